#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/ctrlctl/ctl.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/progress.h"

enum weir_ctl_exit weir_ctl_fail(enum weir_ctl_exit code, const char *hint, const char *format,
				 ...)
{
	char text[8192];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
	va_end(arguments);
	for (char *at = text; *at != '\0'; at++) /* names of others must not steer a terminal */
		*at = ((unsigned char)*at < ' ' && *at != '\n' && *at != '\t') || *at == 0x7f ? '?' : *at;
	weir_ctl_progress_clear();
	(void)fflush(stdout); /* in order on a terminal; a failure is found at the end */
	(void)fprintf(stderr, "error: %s\n", text);
	if (hint != NULL)
		(void)fprintf(stderr, "hint: %s\n", hint);
	return code;
}

const char *weir_ctl_option(const struct weir_ctl_call *call, const char *name)
{
	for (size_t i = 0; i < WEIR_CTL_OPTIONS_MAX && call->command->options[i].name != NULL;
	     i++) {
		if (strcmp(call->command->options[i].name, name) == 0)
			return call->options[i];
	}
	return NULL;
}

/* Does `word` name the option? "--name", "--name=value", "-x", "-xvalue". *out_value: the value that
 * stands in the same word, or NULL. */
static bool option_is(const struct weir_ctl_option *option, const char *word,
		      const char **out_value)
{
	const size_t bytes = strlen(option->name);

	*out_value = NULL;
	if (strcmp(word, option->name) == 0)
		return true;
	if (option->letter != NULL && strncmp(word, option->letter, 2) == 0 &&
	    (word[2] == '\0' || option->value != NULL)) {
		*out_value = word[2] == '\0' ? NULL : word + 2;
		return true;
	}
	if (option->value == NULL || strncmp(word, option->name, bytes) != 0 ||
	    word[bytes] != '=')
		return false;
	*out_value = word + bytes + 1;
	return true;
}

/* A table's option that `word` names, or NULL; *out_place is its index. */
static const struct weir_ctl_option *option_find(const struct weir_ctl_option *options,
						 const char *word, size_t *out_place,
						 const char **out_value)
{
	for (size_t i = 0; i < WEIR_CTL_OPTIONS_MAX && options[i].name != NULL; i++) {
		*out_place = i;
		if (option_is(&options[i], word, out_value))
			return &options[i];
	}
	return NULL;
}

static int global_set(struct weir_ctl_call *call, const struct weir_ctl_option *option,
		      const char *value, bool *help)
{
	if (strcmp(option->name, "--help") == 0) {
		*help = true;
		return -1;
	}
	if (strcmp(option->name, "--data") == 0) {
		const int written = snprintf(call->data, sizeof(call->data), "%s", value);

		if (value[0] == '\0' || written < 0 || (size_t)written >= sizeof(call->data)) {
			return (int)weir_ctl_fail(WEIR_CTL_USAGE, NULL,
						  "--data needs a directory");
		}
		return -1;
	}
	if (strcmp(value, "yaml") == 0 && call->command != NULL && call->command->writes_yaml)
		return -1;
	if (strcmp(value, "table") != 0 && strcmp(value, "json") != 0) {
		return (int)weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl ... -o json",
					  "--output is table or json, not '%s'", value);
	}
	call->json = strcmp(value, "json") == 0;
	return -1;
}

/* The words of the command: everything that is no option and no option's value. */
struct words {
	const char *word[WEIR_CTL_ARGUMENTS_MAX + 1];
	size_t count;
};

static int word_add(struct words *words, const char *word)
{
	if (words->count == sizeof(words->word) / sizeof(words->word[0])) {
		return (int)weir_ctl_fail(WEIR_CTL_USAGE, "quote a route: 'GET /x'",
					  "too many words at '%s'", word);
	}
	words->word[words->count++] = word;
	return -1;
}

/* Which command the first words name; it decides which options there are. An option's value may stand
 * in front of them, so global options are stepped over. */
static const struct weir_ctl_command *command_detect(int argc, char **argv)
{
	const char *words[2] = {NULL, NULL};
	size_t count = 0;

	for (int i = 1; i < argc && count < 2; i++) {
		const char *value = NULL;
		size_t place = 0;
		const struct weir_ctl_option *option =
			option_find(weir_ctl_options_global, argv[i], &place, &value);

		if (option != NULL) {
			i += option->value != NULL && value == NULL ? 1 : 0;
		} else if (argv[i][0] != '-') {
			words[count++] = argv[i];
		} else {
			break;
		}
	}
	return words[0] == NULL ? NULL : weir_ctl_command_find(words[0], words[1]);
}

static int option_take(int argc, char **argv, int *at, struct weir_ctl_call *call, bool *help)
{
	const char *word = argv[*at];
	const char *value = NULL;
	size_t place = 0;
	const struct weir_ctl_option *global =
		option_find(weir_ctl_options_global, word, &place, &value);
	const struct weir_ctl_option *option = global;

	if (option == NULL && call->command != NULL)
		option = option_find(call->command->options, word, &place, &value);
	if (option == NULL) {
		return (int)weir_ctl_fail(WEIR_CTL_USAGE,
					  "ctrlctl --help, or --help behind any command",
					  "there is no option '%s' here", word);
	}
	if (option->value != NULL && value == NULL) {
		if (*at + 1 >= argc) {
			return (int)weir_ctl_fail(WEIR_CTL_USAGE, NULL, "%s needs a value: %s",
						  option->name, option->value);
		}
		value = argv[++*at];
	}
	if (global != NULL)
		return global_set(call, option, value == NULL ? "" : value, help);
	call->options[place] = value == NULL ? "" : value;
	if (option->is_repeated && call->repeated_count == WEIR_CTL_REPEATED_MAX) {
		return (int)weir_ctl_fail(WEIR_CTL_USAGE, NULL, "there are more than %d options",
					  WEIR_CTL_REPEATED_MAX);
	}
	if (option->is_repeated) {
		call->repeated[call->repeated_count].name = option->name;
		call->repeated[call->repeated_count++].value = call->options[place];
	}
	return -1;
}

static bool noun_known(const char *noun)
{
	const struct weir_ctl_command *command = NULL;

	for (size_t i = 0; (command = weir_ctl_command_at(i)) != NULL; i++) {
		if (strcmp(command->noun, noun) == 0)
			return true;
	}
	return false;
}

/* No command was named, or not completely. */
static int command_missing(const struct words *words, bool help)
{
	if (words->count == 0 && help)
		return weir_ctl_help_all();
	if (words->count == 0) {
		(void)weir_ctl_help_all();
		return WEIR_CTL_USAGE;
	}
	if (!noun_known(words->word[0])) {
		return (int)weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl --help lists the commands",
					  "there is no command '%s'", words->word[0]);
	}
	if (help)
		return weir_ctl_help_noun(words->word[0]);
	if (words->count == 1) {
		return (int)weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl NOUN --help lists the verbs",
					  "%s needs a verb", words->word[0]);
	}
	return (int)weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl NOUN --help lists the verbs",
				  "%s has no verb '%s'", words->word[0], words->word[1]);
}

static int arguments_take(struct weir_ctl_call *call, const struct words *words)
{
	const struct weir_ctl_command *command = call->command;
	const size_t first = command->verb == NULL ? 1 : 2;

	for (size_t i = first; i < words->count; i++)
		call->arguments[call->argument_count++] = words->word[i];
	if (call->argument_count >= command->arguments_min &&
	    call->argument_count <= command->arguments_max)
		return -1;
	return (int)weir_ctl_fail(WEIR_CTL_USAGE, "--help behind the command shows an example",
				  "usage: ctrlctl %s%s%s%s%s [OPTIONS]", command->noun,
				  command->verb == NULL ? "" : " ",
				  command->verb == NULL ? "" : command->verb,
				  command->arguments[0] == '\0' ? "" : " ", command->arguments);
}

/* --data, else WEIR_DATA, else where the programs of this user keep theirs. */
static void data_default(struct weir_ctl_call *call)
{
	const char *data = getenv("WEIR_DATA");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (call->data[0] != '\0')
		return;
	/* Cut paths are found not to exist. */
	if (data != NULL && data[0] != '\0') {
		(void)snprintf(call->data, sizeof(call->data), "%s", data);
	} else if (geteuid() == 0) {
		(void)snprintf(call->data, sizeof(call->data), "/var/lib/weir");
	} else if (state != NULL && state[0] == '/') {
		(void)snprintf(call->data, sizeof(call->data), "%s/weir", state);
	} else {
		(void)snprintf(call->data, sizeof(call->data), "%s/.local/state/weir",
			       home == NULL ? "" : home);
	}
}

int weir_ctl_parse(int argc, char **argv, struct weir_ctl_call *call)
{
	struct words words = {.count = 0};
	bool help = false;
	bool options_end = false;
	int code = -1;

	memset(call, 0, sizeof(*call));
	call->command = command_detect(argc, argv);
	for (int i = 1; i < argc && code == -1; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
		} else if (!options_end && strcmp(argv[i], "--version") == 0) {
			return (int)weir_ctl_version(call);
		} else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0') {
			code = option_take(argc, argv, &i, call, &help);
		} else {
			code = word_add(&words, argv[i]);
		}
	}
	if (code != -1)
		return code;
	if (call->command == NULL)
		return command_missing(&words, help);
	if (help)
		return weir_ctl_help_command(call->command);
	data_default(call);
	return arguments_take(call, &words);
}
