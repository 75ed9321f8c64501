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
};

const size_t weir_ctl_commands_of_users_count = sizeof(weir_ctl_commands_of_users) / sizeof(weir_ctl_commands_of_users[0]);
