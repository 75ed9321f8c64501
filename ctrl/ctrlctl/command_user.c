#include "ctrl/ctrlctl/command.h"

const struct weir_ctl_command weir_ctl_commands_of_users[] = {
	{
		.noun = "user",
		.verb = "add",
		.arguments = "NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "add a user, whose namespace has the same name",
		.more = "The password is asked for on a terminal, else read as the next line of standard input;\n"
			"--password=@FILE and --password=- (standard input) read all of it. It is kept as a hash.\n"
			"  ctrlctl user add simon\n"
			"  ctrlctl user add ci --role invoker --password=@/run/secrets/ci\n",
		.options =
			{
				{.name = "--role",
				 .value = "ROLE",
				 .help = "admin, developer or invoker (default: developer)",
				 .complete = WEIR_CTL_COMPLETE_ROLE},
				{.name = "--password",
				 .value = "@FILE|-",
				 .help = "where the password is read from"},
			},
		.run = weir_ctl_user_add,
	},
	{
		.noun = "user",
		.verb = "list",
		.arguments = "",
		.help = "list users",
		.run = weir_ctl_user_list,
	},
	{
		.noun = "user",
		.verb = "rm",
		.arguments = "NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_USER,
		.help = "remove a user who owns no functions; tokens end with it",
		.run = weir_ctl_user_remove,
	},
	{
		.noun = "key",
		.verb = "add",
		.arguments = "NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "make a key for a program, and print it: nobody can show it again",
		.more = "A key opens one namespace; that of an admin, all. It is sent as Authorization: Bearer KEY, or as\n"
			"user and password (curl -u KEY), which OpenWhisk's clients call api_key.\n"
			"  ctrlctl key add shop --namespace shop --expires 90d\n"
			"  ctrlctl key add door --role invoker > door.key\n",
		.options =
			{
				{.name = "--namespace",
				 .value = "NAMESPACE",
				 .help = "whose functions it opens (default: default)"},
				{.name = "--role",
				 .value = "ROLE",
				 .help = "invoker: calls; developer: and makes functions; admin: everything (default: developer)",
				 .complete = WEIR_CTL_COMPLETE_ROLE},
				{.name = "--expires",
				 .value = "DURATION",
				 .help = "how long it is good: 12h, 90d (default: until it is removed)"},
			},
		.run = weir_ctl_key_add,
	},
	{
		.noun = "key",
		.verb = "list",
		.arguments = "",
		.help = "list keys, without their secrets",
		.run = weir_ctl_key_list,
	},
	{
		.noun = "key",
		.verb = "rm",
		.arguments = "NAME|ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_KEY,
		.help = "remove a key; from then on it is refused",
		.run = weir_ctl_key_remove,
	},
};

const size_t weir_ctl_commands_of_users_count = sizeof(weir_ctl_commands_of_users) / sizeof(weir_ctl_commands_of_users[0]);
