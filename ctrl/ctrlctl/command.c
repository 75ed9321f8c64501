#include <string.h>

#include "ctrl/ctrlctl/command.h"

#define HOST_OPTION                                                                         \
	{                                                                                   \
		.name = "--host", .value = "HOST", .help = "only for requests to this host" \
	}

#define CALL_OPTIONS                                                       \
	{.name = "--fn",                                                   \
	 .value = "[NAMESPACE/]NAME",                                      \
	 .help = "only calls of this function",                            \
	 .complete = WEIR_CTL_COMPLETE_FUNCTION},                          \
	{.name = "--namespace",                                            \
	 .value = "NAMESPACE",                                             \
	 .help = "only calls of functions of this namespace"},             \
	{                                                                  \
		.name = "--failed", .help = "only calls that went wrong"   \
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

static const struct weir_ctl_command routes[] = {
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
				WEIR_CTL_TIMEOUT_OPTION,
				{.name = "--auth",
				 .value = "AUTH",
				 .help = "open or required, whatever the setting auth says; or as-set",
				 .complete = WEIR_CTL_COMPLETE_AUTH},
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
				WEIR_CTL_TIMEOUT_OPTION,
				{.name = "--auth",
				 .value = "AUTH",
				 .help = "open or required, whatever the setting auth says; or as-set",
				 .complete = WEIR_CTL_COMPLETE_AUTH},
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
		.noun = "row",
		.verb = "add",
		.arguments = "ROUTE",
		.arguments_min = 1,
		.arguments_max = 2,
		.help = "add a row to the public table (faas_meta.db); fails if it exists",
		.more = "A row is a route with a function of its own; `route update` and `route rm` change it.\n"
			"  ctrlctl row add 'POST /resize' --runtime php --file /srv/resize.php --handler main\n",
		.options =
			{
				{.name = "--runtime",
				 .value = "RUNTIME",
				 .help = "what runs it",
				 .complete = WEIR_CTL_COMPLETE_RUNTIME},
				{.name = "--file",
				 .value = "PATH",
				 .help = "the module",
				 .complete = WEIR_CTL_COMPLETE_FILE},
				{.name = "--handler", .value = "NAME", .help = "the handler in it"},
				{.name = "--name", .value = "TEXT", .help = "what people call it"},
				{.name = "--memory", .value = "MB", .help = "its memory"},
				WEIR_CTL_TIMEOUT_OPTION,
			},
		.run = weir_ctl_row_add,
	},
};

static const struct weir_ctl_command others[] = {
	{
		.noun = "call",
		.verb = "list",
		.arguments = "",
		.help = "list what became of calls, the newest last",
		.more = "Of calls that went well only some are kept where there are many: see\n"
			"activation_kept_per_s in `ctrlctl config list`, and `activations` in\n"
			"`ctrlctl status -o json`.\n"
			"  ctrlctl call list --fn web/shop --failed --since 1h\n",
		.options =
			{
				CALL_OPTIONS,
				{.name = "--since",
				 .value = "DURATION",
				 .help = "all of the last 90s, 5m, 2h, 7d"},
				{.name = "--limit",
				 .letter = "-n",
				 .value = "COUNT",
				 .help = "how many at most (default: 30)"},
			},
		.run = weir_ctl_call_list,
	},
	{
		.noun = "call",
		.verb = "get",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "show one call: where its time went, what came of it",
		.more = "The id stands in every answer's header x-openwhisk-activation-id.\n",
		.run = weir_ctl_call_get,
	},
	{
		.noun = "call",
		.verb = "tail",
		.arguments = "",
		.help = "show calls as they end",
		.options =
			{
				CALL_OPTIONS,
			},
		.run = weir_ctl_call_tail,
	},
	{
		.noun = "call",
		.verb = "logs",
		.arguments = "ID",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "show what one call printed",
		.more = "The id stands in every answer's header x-openwhisk-activation-id.\n"
			"  ctrlctl call logs 0123456789abcdef0123456789abcdef\n",
		.run = weir_ctl_call_logs,
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
		.help = "list pools of workers: how each chooses among them, and how many it has",
		.run = weir_ctl_pool_list,
	},
	{
		.noun = "pool",
		.verb = "get",
		.arguments = "POOL",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_POOL,
		.help = "show how a pool chooses, and how many workers it has",
		.run = weir_ctl_pool_get,
	},
	{
		.noun = "pool",
		.verb = "set",
		.arguments = "POOL",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_POOL,
		.help = "change how a pool chooses and grows; what is not named stays",
		.more = "A pool is NAMESPACE/RUNTIME, of node and python NAMESPACE/RUNTIME/FUNCTION; with a spec\n"
			":CPUxMEMORY follows, and what is set without that holds for it, too; '*' stands\n"
			"for all that say nothing else. The score is alpha*cpu + beta*mem + gamma*io +\n"
			"delta*in flight + epsilon*remote; the lowest wins. Each step a look is taken at the\n"
			"requests that wait or run, as workers that they take up; the pool has their mean over\n"
			"the last samples, divided by the threshold, between its minimum and maximum. Where\n"
			"requests wait, it grows at once.\n"
			"  ctrlctl pool set default/native --policy score --alpha .5 --ema .7\n"
			"  ctrlctl pool set '*' --policy least-in-flight\n"
			"  ctrlctl pool set default/native --workers-min 2 --scale-step 1 --scale-samples 30\n"
			"  ctrlctl pool set default/native --reset\n",
		.options =
			{
				{.name = "--policy",
				 .value = "POLICY",
				 .help = "score, least-in-flight, two-choices, round-robin, random, c-seed",
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
				{.name = "--workers-min",
				 .value = "COUNT",
				 .help = "workers that are kept without requests; 0: none"},
				{.name = "--workers-max", .value = "COUNT", .help = "workers at most"},
				{.name = "--scale-step",
				 .value = "SECONDS",
				 .help = "between two looks at the demand (default: 5)"},
				{.name = "--scale-samples",
				 .value = "COUNT",
				 .help = "looks that the pool's size follows (default: 12)"},
				{.name = "--scale-threshold",
				 .value = "PART",
				 .help = "of its workers that is to be in use (default: .8)"},
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
		.noun = "config",
		.verb = "check",
		.arguments = "",
		.help = "read all that is kept, and say what is damaged; exit code 1 if anything is",
		.more = "Both databases as SQLite sees them, every row of theirs, what rows refer to, and whether the\n"
			"code of each version is what was deployed. Nothing is changed, and nobody waits meanwhile.\n",
		.run = weir_ctl_config_check,
	},
	{
		.noun = "config",
		.verb = "export",
		.arguments = "",
		.help = "print the whole configuration as one document",
		.more = "Functions with their environment (secrets by name only), routes, settings, pools, aliases of\n"
			"images and rows of the public table, in a fixed order; what has its default is left out.\n"
			"`config apply` reads it.\n"
			"  ctrlctl config export > weir.yaml\n"
			"  ctrlctl config export -o json --namespace shop\n",
		.writes_yaml = true,
		.options =
			{
				{.name = "--namespace",
				 .value = "NAMESPACE",
				 .help = "its functions, their routes and its pools only"},
			},
		.run = weir_ctl_config_export,
	},
	{
		.noun = "config",
		.verb = "apply",
		.arguments = "",
		.help = "make the configuration what a document says, all of it or nothing",
		.more = "The document is YAML (or JSON), as `config export` prints it. What it names is then as it says,\n"
			"defaults included: 30s, 256 MB, 1024 calls; what it does not name stays, unless --prune.\n"
			"A function's code is one of: file: a path relative to the document, which is uploaded; code: the\n"
			"hash of what is there; path: on the instance's machine. New code is built and tried before\n"
			"anything is changed. With --namespace in the export, only that namespace is pruned.\n"
			"  ctrlctl config apply -f weir.yaml --dry-run\n"
			"  ctrlctl config apply -f weir.yaml --secret shop/cart:TOKEN=@token.txt\n",
		.options =
			{
				{.name = "--file",
				 .letter = "-f",
				 .value = "FILE",
				 .help = "the document; - is standard input",
				 .complete = WEIR_CTL_COMPLETE_FILE},
				{.name = "--prune", .help = "remove what the document does not name"},
				{.name = "--dry-run", .help = "say what would change, and change nothing"},
				{.name = "--secret",
				 .value = "FUNCTION:NAME[=@FILE|=-]",
				 .help = "the value of a secret that the document names (repeatable)",
				 .is_repeated = true},
				{.name = "--no-trial", .help = "do not call new versions before they serve"},
			},
		.run = weir_ctl_config_apply,
	},
	{
		.noun = "config",
		.verb = "history",
		.arguments = "",
		.help = "list changes of the configuration, newest first",
		.more = "Each change makes a generation: functions, routes, environment, settings, pools and rows\n"
			"of the public table. Kept are as many as history_generations_max says.\n",
		.options =
			{
				{.name = "--limit", .value = "COUNT", .help = "at most so many (default: 20)"},
			},
		.run = weir_ctl_config_history,
	},
	{
		.noun = "config",
		.verb = "diff",
		.arguments = "GENERATION [GENERATION]",
		.arguments_min = 1,
		.arguments_max = 2,
		.help = "show what leads from one generation to another, or to the newest",
		.more = "Secrets are never shown.\n"
			"  ctrlctl config diff 41      what has changed since\n"
			"  ctrlctl config diff 41 42   what generation 42 changed\n",
		.run = weir_ctl_config_diff,
	},
	{
		.noun = "config",
		.verb = "rollback",
		.arguments = "GENERATION",
		.arguments_min = 1,
		.arguments_max = 1,
		.help = "make the configuration what it was at a generation",
		.more = "All that was changed since is undone in one step, rows of the public table too: a new\n"
			"generation, which can be rolled back itself. What another program changed in weir.db\n"
			"is not known, and stops it.\n"
			"  ctrlctl config rollback 41 --dry-run\n"
			"  ctrlctl config rollback 41\n",
		.options =
			{
				{.name = "--dry-run", .help = "show what that would change, and change nothing"},
			},
		.run = weir_ctl_config_rollback,
	},
	{
		.noun = "status",
		.arguments = "",
		.help = "what runs, what it does, what it does without, what is wrong",
		.more = "  ctrlctl status --scores   how each worker is scored: the terms (0 to 1), the age of what was\n"
			"                            measured, when it was seen, calls; and the last picks\n"
			"  ctrlctl status --numa     nodes with their CPUs, shards and workers, the calls that left their\n"
			"                            node, and on which node the pages of links lie, looked up now\n",
		.options =
			{
				{.name = "--scores", .help = "how workers are chosen, and which were"},
				{.name = "--numa", .help = "NUMA nodes: what runs and lies where"},
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
		.noun = "backup",
		.arguments = "FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FILE,
		.help = "save configuration and code as one file, while everything runs",
		.more = "The file is an SQLite database; FILE is replaced when it is complete, '-' is standard output.\n"
			"  ctrlctl backup /srv/backup/weir.backup\n"
			"  ctrlctl backup - | ssh other 'cat > weir.backup'\n",
		.options =
			{
				{.name = "--with-key",
				 .help = "the key of secrets, too: whoever has the file can then read them"},
			},
		.run = weir_ctl_backup,
	},
	{
		.noun = "restore",
		.arguments = "FILE",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FILE,
		.help = "make configuration and code those of a backup, while everything runs",
		.more = "Functions that are the same in both go on; what the backup does not have is removed.\n"
			"  ctrlctl restore weir.backup --dry-run\n"
			"  ctrlctl restore weir.backup\n",
		.options =
			{
				{.name = "--dry-run", .help = "check the file and say what would change"},
			},
		.run = weir_ctl_restore,
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
		.noun = "api",
		.arguments = "",
		.help = "show what the management API offers; -o json: as an OpenAPI document",
		.more = "  curl --unix-socket run/api.sock http://weir/weir/status\n",
		.run = weir_ctl_api_describe,
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
	static const size_t routes_count = sizeof(routes) / sizeof(routes[0]);
	static const size_t others_count = sizeof(others) / sizeof(others[0]);

	if (i < routes_count)
		return &routes[i];
	i -= routes_count;
	if (i < weir_ctl_commands_of_functions_count)
		return &weir_ctl_commands_of_functions[i];
	i -= weir_ctl_commands_of_functions_count;
	if (i < weir_ctl_commands_of_users_count)
		return &weir_ctl_commands_of_users[i];
	i -= weir_ctl_commands_of_users_count;
	if (i < weir_ctl_commands_of_async_count)
		return &weir_ctl_commands_of_async[i];
	i -= weir_ctl_commands_of_async_count;
	return i < others_count ? &others[i] : NULL;
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
