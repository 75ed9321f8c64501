#include <string.h>

#include "ctrl/ctrlctl/ctl.h"

#define HOST_OPTION                                                                         \
	{                                                                                   \
		.name = "--host", .value = "HOST", .help = "only for requests to this host" \
	}
#define TIMEOUT_OPTION                                    \
	{                                                 \
		.name = "--timeout", .value = "DURATION", \
		.help = "time of a call: 250ms, 5s, 2m"   \
	}

#define ENV_OPTION                                                                   \
	{                                                                            \
		.name = "--env", .value = "NAME=VALUE", .is_repeated = true,         \
		.help = "a variable of its environment; may be repeated"             \
	}
#define SECRET_OPTION                                                                \
	{                                                                            \
		.name = "--secret", .value = "NAME[=@FILE|=-]", .is_repeated = true, \
		.help = "a secret one: asked for, a line of standard input, or read from there" \
	}

#define SPEC_OPTION                                                                              \
	{                                                                                        \
		.name = "--spec", .value = "cpu=MILLICORES,memory=MB[,min=N,max=N]",             \
		.is_repeated = true,                                                             \
		.help = "what a worker of it has, and how many there may be; may be repeated; none" \
	}

const struct weir_ctl_option weir_ctl_options_global[] = {
	{.name = "--data",
	 .value = "DIR",
	 .help = "the instance's data directory (default: WEIR_DATA, or the user's)",
	 .complete = WEIR_CTL_COMPLETE_DIRECTORY},
	{.name = "--output",
	 .letter = "-o",
	 .value = "table|json",
	 .help = "how to print (default: table)",
	 .complete = WEIR_CTL_COMPLETE_OUTPUT},
	{.name = "--help", .letter = "-h", .help = "show help"},
	{.name = NULL},
};

static const struct weir_ctl_command commands[] = {
	{
		.noun = "route",
		.verb = "add",
		.arguments = "ROUTE",
		.arguments_min = 1,
		.arguments_max = 2,
		.help = "add a route; fails if it exists",
		.more = "A route is a method (GET, or several as GET,POST, or ANY) and a "
			"pattern.\n"
			"  ctrlctl route add 'GET /img/{id}' --fn thumbs\n"
			"  ctrlctl route add 'ANY /shop/*' --fn web/shop --host shop.example\n",
		.options =
			{
				{.name = "--fn",
				 .value = "[NAMESPACE/]NAME",
				 .help = "the function to call",
				 .complete = WEIR_CTL_COMPLETE_FUNCTION},
				HOST_OPTION,
				TIMEOUT_OPTION,
			},
		.run = weir_ctl_route_add,
	},
	{
		.noun = "route",
		.verb = "update",
		.arguments = "ROUTE",
		.arguments_min = 1,
		.arguments_max = 2,
		.complete = WEIR_CTL_COMPLETE_ROUTE,
		.help = "change a route; never creates one",
		.more = "What is not named stays. Rows of the public table are edited in that "
			"table.\n"
			"  ctrlctl route update 'GET /img/{id}' --fn thumbs2 --timeout 2s\n"
			"  ctrlctl route update 'POST /resize' --file /srv/resize.php\n",
		.options =
			{
				{.name = "--fn",
				 .value = "[NAMESPACE/]NAME",
				 .help = "the function to call",
				 .complete = WEIR_CTL_COMPLETE_FUNCTION},
				HOST_OPTION,
				TIMEOUT_OPTION,
				{.name = "--file",
				 .value = "PATH",
				 .help = "public rows: the module",
				 .complete = WEIR_CTL_COMPLETE_FILE},
				{.name = "--handler",
				 .value = "NAME",
				 .help = "public rows: the handler"},
				{.name = "--runtime",
				 .value = "RUNTIME",
				 .help = "public rows: what runs it",
				 .complete = WEIR_CTL_COMPLETE_RUNTIME},
				{.name = "--memory",
				 .value = "MB",
				 .help = "public rows: its memory"},
			},
		.run = weir_ctl_route_update,
	},
	{
		.noun = "route",
		.verb = "list",
		.arguments = "",
		.help = "list routes, rows of the public table among them",
		.run = weir_ctl_route_list,
	},
	{
		.noun = "route",
		.verb = "get",
		.arguments = "ROUTE",
		.arguments_min = 1,
		.arguments_max = 2,
		.complete = WEIR_CTL_COMPLETE_ROUTE,
		.help = "show one route",
		.options =
			{
				HOST_OPTION,
			},
		.run = weir_ctl_route_get,
	},
	{
		.noun = "route",
		.verb = "rm",
		.arguments = "ROUTE",
		.arguments_min = 1,
		.arguments_max = 2,
		.complete = WEIR_CTL_COMPLETE_ROUTE,
		.help = "remove a route",
		.options =
			{
				HOST_OPTION,
			},
		.run = weir_ctl_route_remove,
	},
	{
		.noun = "route",
		.verb = "test",
		.arguments = "REQUEST",
		.arguments_min = 1,
		.arguments_max = 2,
		.help = "explain which route a request would take; calls nothing",
		.more = "Exit code 5 if no route takes it.\n"
			"  ctrlctl route test 'GET /img/7?size=2' --host shop.example\n",
		.options =
			{
				{.name = "--host",
				 .value = "HOST",
				 .help = "the request's host"},
			},
		.run = weir_ctl_route_test,
	},
	{
		.noun = "fn",
		.verb = "add",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "add a function; fails if it exists",
		.more = "  ctrlctl fn add hello --runtime native --file ./hello.so\n"
			"  ctrlctl fn add web/shop --runtime exec --file /srv/shop --memory "
			"128\n"
			"  ctrlctl fn add greet --runtime exec --file greet.php   runs php greet.php\n"
			"  ctrlctl fn add thumbs --runtime native --file thumbs.so --spec cpu=500,memory=128 \\\n"
			"      --spec cpu=2000,memory=1024,min=1,max=2\n",
		.options =
			{
				{.name = "--runtime",
				 .value = "RUNTIME",
				 .help = "native, c, exec, wasm, js, node, php or python",
				 .complete = WEIR_CTL_COMPLETE_RUNTIME},
				{.name = "--file",
				 .value = "PATH",
				 .help = "the code: a shared object, a program, a script",
				 .complete = WEIR_CTL_COMPLETE_FILE},
				{.name = "--handler",
				 .value = "NAME",
				 .help = "native: the C function (default: weir_handle)"},
				TIMEOUT_OPTION,
				{.name = "--memory",
				 .value = "MB",
				 .help = "memory it may use"},
				{.name = "--queue",
				 .value = "COUNT",
				 .help = "requests that may wait for it"},
				SPEC_OPTION,
			},
		.run = weir_ctl_function_add,
	},
	{
		.noun = "fn",
		.verb = "list",
		.arguments = "",
		.help = "list functions",
		.run = weir_ctl_function_list,
	},
	{
		.noun = "fn",
		.verb = "get",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "show one function",
		.run = weir_ctl_function_get,
	},
	{
		.noun = "fn",
		.verb = "rm",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "remove a function; fails while routes lead to it",
		.run = weir_ctl_function_remove,
	},
	{
		.noun = "fn",
		.verb = "init",
		.arguments = "[DIR/NAME]",
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_DIRECTORY,
		.help = "write a first function, ready to deploy, into a directory of its name",
		.more = "Without a name: into this directory. Nothing that is there is overwritten.\n"
			"  ctrlctl fn init hello --runtime python\n",
		.options =
			{
				{.name = "--runtime",
				 .value = "RUNTIME",
				 .help = "native, c, exec, wasm, js, node, php or python",
				 .complete = WEIR_CTL_COMPLETE_RUNTIME},
			},
		.run = weir_ctl_function_init,
	},
	{
		.noun = "fn",
		.verb = "deploy",
		.arguments = "DIR|FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FILE,
		.help = "upload code and let it serve as a function's next version",
		.more = "The name is the directory's or the file's, the runtime is seen from the "
			"files:\n"
			"index.js or package.json, app.py, index.php, *.wasm, *.c, *.so, a program. "
			"What is not\n"
			"named of an existing function stays, but for the handler. Before it serves a "
			"worker of\n"
			"its own loads it; what fails changes nothing. `ctrlctl fn init` writes a first "
			"one.\n"
			"  ctrlctl fn deploy hello.py\n"
			"  ctrlctl fn deploy ./shop --name web/shop --timeout 5s\n"
			"  ctrlctl fn deploy ./shop --watch                   while you write it\n",
		.options =
			{
				{.name = "--name",
				 .value = "[NAMESPACE/]NAME",
				 .help = "the function (default: after the code)",
				 .complete = WEIR_CTL_COMPLETE_FUNCTION},
				{.name = "--runtime",
				 .value = "RUNTIME",
				 .help = "what runs it (default: seen from the files)",
				 .complete = WEIR_CTL_COMPLETE_RUNTIME},
				{.name = "--entry",
				 .value = "FILE",
				 .help = "the file of a directory that it begins with"},
				{.name = "--handler",
				 .value = "NAME",
				 .help = "the function within the code"},
				{.name = "--health",
				 .value = "/PATH",
				 .help = "call it there before it serves (default: only load it)"},
				{.name = "--watch",
				 .letter = "-w",
				 .help = "go on: deploy again whenever something in it changes"},
				{.name = "--no-trial",
				 .help = "let it serve untried; also without a gateway"},
				ENV_OPTION,
				SECRET_OPTION,
				TIMEOUT_OPTION,
				{.name = "--memory",
				 .value = "MB",
				 .help = "memory it may use"},
				{.name = "--queue",
				 .value = "COUNT",
				 .help = "requests that may wait for it"},
				SPEC_OPTION,
			},
		.run = weir_ctl_function_deploy,
	},
	{
		.noun = "fn",
		.verb = "versions",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "list a function's deployed versions, newest first",
		.run = weir_ctl_function_versions,
	},
	{
		.noun = "fn",
		.verb = "rollback",
		.arguments = "[NAMESPACE/]NAME [VERSION]",
		.arguments_min = 1,
		.arguments_max = 2,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "let an earlier version serve again (default: the one before)",
		.run = weir_ctl_function_rollback,
	},
	{
		.noun = "fn",
		.verb = "env",
		.arguments = "list|set|unset [NAMESPACE/]NAME [VARIABLE ...]",
		.arguments_min = 2,
		.arguments_max = WEIR_CTL_ARGUMENTS_MAX - 2,
		.help = "list, set or unset variables of a function's environment",
		.more = "Secrets are kept encrypted, and never shown again.\n"
			"  ctrlctl fn env set web/shop CURRENCY=EUR LIMIT=20\n"
			"  ctrlctl fn env set web/shop --secret TOKEN              asks for it\n"
			"  ctrlctl fn env set web/shop --secret CERT=@cert.pem --secret TOKEN=- <token.txt\n"
			"  ctrlctl fn env unset web/shop LIMIT\n",
		.options =
			{
				SECRET_OPTION,
			},
		.run = weir_ctl_function_environment,
	},
	{
		.noun = "fn",
		.verb = "invoke",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "call a function by its name and print its answer",
		.more = "No route is needed. Exit code 1 if the answer's status is 400 or "
			"more.\n"
			"  ctrlctl fn invoke hello\n"
			"  ctrlctl fn invoke web/shop -d @order.json --path /orders --show time\n"
			"  jq .order shop.json | ctrlctl fn invoke web/shop -d - >answer\n",
		.options =
			{
				{.name = "--body",
				 .letter = "-d",
				 .value = "DATA|@FILE|-",
				 .help = "the request's body; - reads standard input",
				 .complete = WEIR_CTL_COMPLETE_FILE},
				{.name = "--method",
				 .letter = "-X",
				 .value = "METHOD",
				 .help = "default: GET, with a body POST",
				 .complete = WEIR_CTL_COMPLETE_METHOD},
				{.name = "--header",
				 .letter = "-H",
				 .value = "'NAME: VALUE'",
				 .is_repeated = true,
				 .help = "a field of the request's head; may be repeated"},
				{.name = "--show",
				 .value = "head|time",
				 .help = "also show, on standard error: status and head; and the times",
				 .complete = WEIR_CTL_COMPLETE_SHOW},
				{.name = "--path",
				 .value = "/REST",
				 .help = "path behind the function's name"},
			},
		.run = weir_ctl_function_invoke,
	},
	{
		.noun = "fn",
		.verb = "logs",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "show what a function printed",
		.more = "Each line: when, where (stdout, stderr, or the level it was logged with), "
			"what.\n"
			"  ctrlctl fn logs hello            the last 100 lines\n"
			"  ctrlctl fn logs hello --since 5m\n"
			"  ctrlctl fn logs web/shop -f --ids\n",
		.options =
			{
				{.name = "--follow",
				 .letter = "-f",
				 .help = "go on with new lines as they are printed"},
				{.name = "--since",
				 .value = "DURATION",
				 .help = "only what was printed since: 90s, 5m, 2h, 7d"},
				{.name = "--lines",
				 .letter = "-n",
				 .value = "COUNT",
				 .help = "the last so many lines (1 to 1000)"},
				{.name = "--ids", .help = "show the activation of each line"},
			},
		.run = weir_ctl_function_logs,
	},
	{
		.noun = "activation",
		.verb = "logs",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "show what one call printed",
		.more = "The id stands in every answer's header x-openwhisk-activation-id.\n"
			"  ctrlctl activation logs 0123456789abcdef0123456789abcdef\n",
		.run = weir_ctl_activation_logs,
	},
	{
		.noun = "worker",
		.verb = "list",
		.arguments = "",
		.help = "list workers, live",
		.run = weir_ctl_worker_list,
	},
	{
		.noun = "pool",
		.verb = "list",
		.arguments = "",
		.help = "list pools of workers, and how each chooses among them",
		.run = weir_ctl_pool_list,
	},
	{
		.noun = "pool",
		.verb = "get",
		.arguments = "POOL",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_POOL,
		.help = "show how a pool chooses",
		.run = weir_ctl_pool_get,
	},
	{
		.noun = "pool",
		.verb = "set",
		.arguments = "POOL",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_POOL,
		.help = "change how a pool chooses; what is not named stays",
		.more = "A pool is NAMESPACE/RUNTIME, of node and python NAMESPACE/RUNTIME/FUNCTION; '*' stands\n"
			"for all that say nothing else. The score is alpha*cpu + beta*mem + gamma*io +\n"
			"delta*in flight + epsilon*remote; the lowest wins.\n"
			"  ctrlctl pool set default/native --policy score --alpha .5 --ema .7\n"
			"  ctrlctl pool set '*' --policy least-in-flight\n"
			"  ctrlctl pool set default/native --reset\n",
		.options =
			{
				{.name = "--policy",
				 .value = "POLICY",
				 .help = "score, least-in-flight, two-choices, round-robin, random",
				 .complete = WEIR_CTL_COMPLETE_POLICY},
				{.name = "--alpha", .value = "WEIGHT", .help = "of CPU time and waiting for it"},
				{.name = "--beta", .value = "WEIGHT", .help = "of memory"},
				{.name = "--gamma", .value = "WEIGHT", .help = "of reading and writing"},
				{.name = "--delta", .value = "WEIGHT", .help = "of calls in flight"},
				{.name = "--epsilon",
				 .value = "WEIGHT",
				 .help = "of being on another NUMA node"},
				{.name = "--ema",
				 .value = "PART",
				 .help = "the old value's part in the moving averages"},
				{.name = "--one-task",
				 .value = "on|off",
				 .help = "a worker takes a call only while it has none",
				 .complete = WEIR_CTL_COMPLETE_SWITCH},
				{.name = "--reset", .help = "put all that is not named back to its default"},
			},
		.run = weir_ctl_pool_set,
	},
	{
		.noun = "config",
		.verb = "list",
		.arguments = "",
		.help = "list settings",
		.run = weir_ctl_config_list,
	},
	{
		.noun = "config",
		.verb = "get",
		.arguments = "KEY",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_SETTING,
		.help = "show one setting",
		.run = weir_ctl_config_get,
	},
	{
		.noun = "config",
		.verb = "set",
		.arguments = "KEY VALUE",
		.arguments_min = 2,
		.arguments_max = 2,
		.complete = WEIR_CTL_COMPLETE_SETTING,
		.help = "change a setting",
		.more = "Durations take units (250ms, 5s, 2m), sizes too (16k, 64M).\n"
			"  ctrlctl config set head_timeout_ms 5s\n"
			"  ctrlctl config set body_bytes_max 256M\n",
		.run = weir_ctl_config_set,
	},
	{
		.noun = "config",
		.verb = "unset",
		.arguments = "KEY",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_SETTING,
		.help = "put a setting back to its default",
		.run = weir_ctl_config_unset,
	},
	{
		.noun = "status",
		.arguments = "",
		.help = "what runs, what it does, what it does without, what is wrong",
		.more = "  ctrlctl status --scores   how each worker is scored: the terms (0 to 1), the age of what was\n"
			"                            measured, when it was seen, calls; and the last picks\n",
		.options =
			{
				{.name = "--scores", .help = "how workers are chosen, and which were"},
			},
		.run = weir_ctl_status,
	},
	{
		.noun = "ready",
		.arguments = "",
		.help = "exit with 0 once everything answers",
		.more = "Ready means: gateway and control process run, each pool that is "
			"needed has a\n"
			"worker, and every shard acknowledged the newest generation.\n"
			"  ctrlctl ready --wait 30s\n",
		.options =
			{
				{.name = "--wait",
				 .value = "DURATION",
				 .help = "wait at most this long"},
			},
		.run = weir_ctl_ready,
	},
	{
		.noun = "completion",
		.arguments = "bash",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_SHELL,
		.help = "print a completion script",
		.more = "  source <(ctrlctl completion bash)\n",
		.run = weir_ctl_completion,
	},
	{
		.noun = "version",
		.arguments = "",
		.help = "print the version",
		.run = weir_ctl_version,
	},
};

const struct weir_ctl_command *weir_ctl_command_at(size_t i)
{
	return i < sizeof(commands) / sizeof(commands[0]) ? &commands[i] : NULL;
}

const struct weir_ctl_command *weir_ctl_command_find(const char *noun, const char *verb)
{
	const struct weir_ctl_command *command = NULL;

	for (size_t i = 0; (command = weir_ctl_command_at(i)) != NULL; i++) {
		if (strcmp(command->noun, noun) != 0)
			continue;
		if (command->verb == NULL || (verb != NULL && strcmp(command->verb, verb) == 0))
			return command;
	}
	return NULL;
}
