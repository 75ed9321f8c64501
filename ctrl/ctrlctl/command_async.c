#include "ctrl/ctrlctl/command.h"

#define ID_NOTE "The id is what `ctrlctl fn invoke --async` printed.\n"

const struct weir_ctl_command weir_ctl_commands_of_async[] = {
	{
		.noun = "call",
		.verb = "result",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "print what an asynchronous call was answered",
		.more = ID_NOTE "Exit code 1 if it has not ended, has no answer, or one with a status of 400 or more.\n"
				"  ctrlctl call result 0123456789abcdef0123456789abcdef --wait 30s\n",
		.options = {{.name = "--wait", .value = "DURATION", .help = "for its end: 30s, 5m"}},
		.run = weir_ctl_call_result,
	},
	{
		.noun = "call",
		.verb = "cancel",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "cancel an asynchronous call that waits or runs",
		.more = ID_NOTE "One that runs is ended within a second or two.\n",
		.run = weir_ctl_call_cancel,
	},
	{
		.noun = "call",
		.verb = "replay",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "make a new asynchronous call like an old one; print its id",
		.more = ID_NOTE,
		.run = weir_ctl_call_replay,
	},
	{
		.noun = "dlq",
		.verb = "list",
		.arguments = "",
		.help = "list dead letters: asynchronous calls that were given up",
		.run = weir_ctl_dead_list,
	},
	{
		.noun = "dlq",
		.verb = "show",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "show all that is known of one",
		.run = weir_ctl_dead_show,
	},
	{
		.noun = "dlq",
		.verb = "redrive",
		.arguments = "[ID]",
		.arguments_max = 1,
		.help = "run dead letters again, under the same ids",
		.more = "  ctrlctl dlq redrive 0123456789abcdef0123456789abcdef\n"
			"  ctrlctl dlq redrive --all\n",
		.options = {{.name = "--all", .help = "all that there are"}},
		.run = weir_ctl_dead_redrive,
	},
	{
		.noun = "dlq",
		.verb = "purge",
		.arguments = "[ID]",
		.arguments_max = 1,
		.help = "forget dead letters",
		.more = "  ctrlctl dlq purge 0123456789abcdef0123456789abcdef\n"
			"  ctrlctl dlq purge --all\n",
		.options = {{.name = "--all", .help = "all that there are"}},
		.run = weir_ctl_dead_purge,
	},
	{
		.noun = "queue",
		.verb = "status",
		.arguments = "",
		.help = "count asynchronous calls by what became of them",
		.more = "`ctrlctl config list` shows their limits: async.*\n",
		.run = weir_ctl_queue_status,
	},
};

const size_t weir_ctl_commands_of_async_count = sizeof(weir_ctl_commands_of_async) / sizeof(weir_ctl_commands_of_async[0]);
