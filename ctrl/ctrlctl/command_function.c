#include "ctrl/ctrlctl/command.h"

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
#define DESCRIPTION_OPTION                                                                 \
	{                                                                                  \
		.name = "--description", .value = "TEXT", .help = "what it is for, one line" \
	}
#define OWNER_OPTION                                                        \
	{                                                                   \
		.name = "--owner", .value = "NAME", .help = "whose it is"   \
	}
#define PARAM_OPTION                                                                           \
	{                                                                                      \
		.name = "--param", .value = "NAME=VALUE|NAME=@FILE", .is_repeated = true,      \
		.help = "a parameter, JSON or a text; may be repeated, all are replaced; none" \
	}
#define ANNOTATION_OPTION                                                                   \
	{                                                                                   \
		.name = "--annotation", .value = "NAME=VALUE|NAME=@FILE", .is_repeated = true, \
		.help = "an annotation, likewise"                                           \
	}

const struct weir_ctl_command weir_ctl_commands_of_functions[] = {
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
			"  ctrlctl fn add test --image registry.example/test:1.1  runs what the image stands for\n"
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
				{.name = "--image",
				 .value = "REFERENCE",
				 .help = "in place of file and runtime: an image, which nobody pulls"},
				{.name = "--handler",
				 .value = "NAME",
				 .help = "native: the C function (default: weir_handle)"},
				WEIR_CTL_TIMEOUT_OPTION,
				{.name = "--memory",
				 .value = "MB",
				 .help = "memory it may use"},
				{.name = "--queue",
				 .value = "COUNT",
				 .help = "requests that may wait for it"},
				SPEC_OPTION,
				DESCRIPTION_OPTION,
				OWNER_OPTION,
				PARAM_OPTION,
				ANNOTATION_OPTION,
			},
		.run = weir_ctl_function_add,
	},
	{
		.noun = "fn",
		.verb = "list",
		.arguments = "",
		.help = "list functions",
		.more = "  ctrlctl fn list --namespace web --owner ada\n",
		.options =
			{
				{.name = "--namespace", .value = "NAMESPACE", .help = "only those of this namespace"},
				{.name = "--owner", .value = "NAME", .help = "only those of this owner"},
			},
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
		.more = "Parameters are handed to it by the dialects, under those of the call; a call over a\n"
			"route or `fn invoke` gets what it sends and nothing more. Long values are cut;\n"
			"-o json shows them whole.\n"
			"  ctrlctl fn get web/shop -o json\n",
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
		.arguments = "[DIR|FILE]",
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
			"  ctrlctl fn deploy ./shop --watch                   while you write it\n"
			"  ctrlctl fn deploy --image REFERENCE --name shop    what the image stands for\n",
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
				{.name = "--image",
				 .value = "REFERENCE",
				 .help = "in place of code: an image, which nobody pulls"},
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
				WEIR_CTL_TIMEOUT_OPTION,
				{.name = "--memory",
				 .value = "MB",
				 .help = "memory it may use"},
				{.name = "--queue",
				 .value = "COUNT",
				 .help = "requests that may wait for it"},
				SPEC_OPTION,
				DESCRIPTION_OPTION,
				PARAM_OPTION,
				ANNOTATION_OPTION,
			},
		.run = weir_ctl_function_deploy,
	},
	{
		.noun = "fn",
		.verb = "set",
		.arguments = "[NAMESPACE/]NAME",
		.arguments_min = 1,
		.arguments_max = 1,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "change a function's limits and what it carries: a next version with the same code",
		.more = "  ctrlctl fn set web/shop --timeout 10s\n"
			"  ctrlctl fn set thumbs --spec cpu=500,memory=128 --spec cpu=2000,memory=1024\n"
			"  ctrlctl fn set thumbs --spec none\n"
			"  ctrlctl fn set web/shop --description 'sells things' --param currency=EUR \\\n"
			"      --param 'limits={\"items\":20}' --param terms=@terms.json\n",
		.options =
			{
				WEIR_CTL_TIMEOUT_OPTION,
				{.name = "--memory",
				 .value = "MB",
				 .help = "memory it may use"},
				{.name = "--queue",
				 .value = "COUNT",
				 .help = "requests that may wait for it"},
				SPEC_OPTION,
				DESCRIPTION_OPTION,
				OWNER_OPTION,
				PARAM_OPTION,
				ANNOTATION_OPTION,
			},
		.run = weir_ctl_function_set,
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
		.verb = "scale",
		.arguments = "[NAMESPACE/]NAME COUNT|MIN..MAX|+COUNT|auto",
		.arguments_min = 2,
		.arguments_max = 2,
		.complete = WEIR_CTL_COMPLETE_FUNCTION,
		.help = "set how many workers a function's pool has",
		.more = "COUNT: exactly so many. MIN..MAX: so many as its load needs. +COUNT: so many more at\n"
			"least than now, and -COUNT (behind --) fewer, within the bounds of the function's spec.\n"
			"auto: what holds for all pools. Functions of one namespace and runtime share a pool, those of node and python\n"
			"have one each, and each spec has one; `ctrlctl fn get` shows which. Workers that go\n"
			"finish what they have.\n"
			"  ctrlctl fn scale web/shop 4\n"
			"  ctrlctl fn scale web/shop 0..16     none while nobody calls\n"
			"  ctrlctl fn scale web/shop 2 --cpu 500 --memory 256\n"
			"  ctrlctl fn scale web/shop -- -1\n",
		.options =
			{
				{.name = "--cpu",
				 .value = "MILLICORES",
				 .help = "of the spec, where the function has several"},
				{.name = "--memory", .value = "MB", .help = "of the spec"},
			},
		.run = weir_ctl_function_scale,
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
				{.name = "--async",
				 .help = "print the call's id as soon as it is kept: see `ctrlctl call result`"},
				{.name = "--priority", .value = "0-9", .help = "of an asynchronous call; default 5"},
				{.name = "--delay", .value = "DURATION", .help = "likewise: not before so long"},
				{.name = "--retries", .value = "COUNT", .help = "likewise; default: setting async.retries"},
				{.name = "--key", .value = "TEXT", .help = "likewise: the same key is the same call"},
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
		.noun = "image",
		.verb = "alias",
		.arguments = "[list | set IMAGE [NAMESPACE/]FUNCTION | remove IMAGE]",
		.arguments_max = 3,
		.complete = WEIR_CTL_COMPLETE_ALIAS,
		.help = "whose code functions with an image run",
		.more = "A function that was added with an image runs the runtime, code and handler of the function\n"
			"named here, in its own namespace, with its own limits and environment. Nothing is pulled;\n"
			"calls of an image that no function is set for get 501.\n"
			"  ctrlctl image alias\n"
			"  ctrlctl image alias set registry.example/test:1.1 default/reverse\n"
			"  ctrlctl image alias remove registry.example/test:1.1\n",
		.run = weir_ctl_image_alias,
	},
};

const size_t weir_ctl_commands_of_functions_count =
	sizeof(weir_ctl_commands_of_functions) / sizeof(weir_ctl_commands_of_functions[0]);
