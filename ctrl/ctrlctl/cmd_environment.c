#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"

enum { SECRET_BYTES_MAX = 32768 };

/* The object that is this member of body, made where it is missing. */
static cJSON *member_object(cJSON *body, const char *name)
{
	cJSON *object = cJSON_GetObjectItemCaseSensitive(body, name);

	return object != NULL ? object : cJSON_AddObjectToObject(body, name);
}

bool weir_ctl_body_variable(cJSON *body, const char *text)
{
	const char *equals = strchr(text, '=');
	char name[256];

	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof(name)) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "CURRENCY=EUR", "'%.80s' is not NAME=VALUE", text);
		return false;
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text); /* fits */
	return cJSON_AddStringToObject(member_object(body, "environment"), name, equals + 1) != NULL;
}

static struct termios terminal_before;

/* Ctrl-C while a value is typed: the terminal shows again what is typed. */
static void terminal_restore(int number)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before); /* nothing else is to be done */
	_exit(128 + number);
}

static void terminal_signals(bool is_quiet)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action = {.sa_handler = is_quiet ? terminal_restore : SIG_DFL};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaction(numbers[i], &action, NULL); /* the numbers are sound */
}

/* A line without its end; on a terminal it is not shown. */
static bool line_read(const char *name, char *out, size_t max)
{
	const bool terminal = isatty(STDIN_FILENO) == 1 &&
			      tcgetattr(STDIN_FILENO, &terminal_before) == 0;
	bool read_it = false;

	if (terminal) {
		struct termios quiet = terminal_before;

		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)fprintf(stderr, "value of %s (not shown): ", name);
		terminal_signals(true);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* it is seen otherwise */
	}
	read_it = fgets(out, (int)max, stdin) != NULL;
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
		terminal_signals(false);
		(void)fputc('\n', stderr);
	}
	out[read_it ? strcspn(out, "\r\n") : 0] = '\0';
	return read_it;
}

/* All of a file, without the line's end that an editor puts at its end. False: said why. */
static bool file_read(FILE *file, const char *path, char *out, size_t max)
{
	const size_t bytes = fread(out, 1, max, file);

	if (ferror(file) != 0) {
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	if (bytes == max || memchr(out, '\0', bytes) != NULL) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "of other bytes take their base64, and let the function undo that",
				    "%s is longer than %zu bytes or no text", path, max - 2);
		return false;
	}
	out[bytes] = '\0';
	if (bytes > 0 && out[bytes - 1] == '\n')
		out[bytes - 1] = '\0';
	return true;
}

bool weir_ctl_secret_read(const char *name, const char *from, char *out, size_t max)
{
	FILE *file = NULL;
	bool read_it = false;

	if (from != NULL && strcmp(from, "-") == 0)
		return file_read(stdin, "standard input", out, max);
	if (from != NULL && from[0] != '@') {
		(void)weir_ctl_fail(WEIR_CTL_USAGE,
				    "=@FILE and =- (standard input) read it, nothing behind the name asks for it",
				    "the value of %s stands on the command line, where others see it", name);
		return false;
	}
	if (from != NULL) {
		file = fopen(from + 1, "re");
		if (file == NULL) {
			(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL, "cannot open %s: %s", from + 1,
					    strerror(errno));
			return false;
		}
		read_it = file_read(file, from + 1, out, max);
		(void)fclose(file); /* it was only read */
		return read_it;
	}
	if (!line_read(name, out, max)) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "echo VALUE | ctrlctl ...", "standard input has no value for %s",
				    name);
		return false;
	}
	return true;
}

bool weir_ctl_body_secret(cJSON *body, const char *text)
{
	char value[SECRET_BYTES_MAX + 2];
	const char *equals = strchr(text, '=');
	char name[256];
	char what[sizeof(name) + 16];
	bool added = false;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, "="), text); /* cut ones are refused */
	(void)snprintf(what, sizeof(what), "the secret %s", name); /* fits */
	added = weir_ctl_secret_read(what, equals == NULL ? NULL : equals + 1, value, sizeof(value));
	if (added && value[0] == '\0') {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the value of the secret %s is empty", name);
		added = false;
	}
	added = added && cJSON_AddStringToObject(member_object(body, "secrets"), name, value) != NULL;
	explicit_bzero(value, sizeof(value));
	return added;
}

bool weir_ctl_body_variables(cJSON *body, const struct weir_ctl_call *call)
{
	for (size_t i = 0; i < call->repeated_count; i++) {
		const char *name = call->repeated[i].name;
		const char *value = call->repeated[i].value;

		if ((strcmp(name, "--secret") == 0 && !weir_ctl_body_secret(body, value)) ||
		    (strcmp(name, "--env") == 0 && !weir_ctl_body_variable(body, value)))
			return false;
	}
	return true;
}

static enum weir_ctl_exit environment_list(const struct weir_ctl_call *call, const char *target)
{
	static const char *const titles[] = {"VARIABLE", "VALUE", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *variable = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", target, NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "environment"));
	} else {
		cJSON_ArrayForEach(variable, cJSON_GetObjectItemCaseSensitive(json, "environment"))
		{
			weir_ctl_table_cell(&table, weir_ctl_json_text(variable, "name"));
			weir_ctl_table_cell(&table,
					    cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(variable, "secret"))
						    ? "(secret)"
						    : weir_ctl_json_text(variable, "value"));
		}
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

/* The request's body of set or unset; NULL: wrong, and said. */
static cJSON *change_make(const struct weir_ctl_call *call, bool is_set)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *unset = is_set ? NULL : cJSON_AddArrayToObject(body, "unset");
	bool sound = call->argument_count > 2 || (is_set && call->repeated_count > 0);

	if (!sound)
		(void)weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl fn env --help shows examples",
				    "no variable is named");
	for (size_t i = 2; sound && i < call->argument_count; i++) {
		if (is_set)
			sound = weir_ctl_body_variable(body, call->arguments[i]);
		else
			sound = cJSON_AddItemToArray(unset, cJSON_CreateString(call->arguments[i])) != 0;
	}
	if (sound && is_set)
		sound = weir_ctl_body_variables(body, call);
	if (sound)
		return body;
	cJSON_Delete(body);
	return NULL;
}

enum weir_ctl_exit weir_ctl_function_environment(const struct weir_ctl_call *call)
{
	const char *what = call->arguments[0];
	const bool is_set = strcmp(what, "set") == 0;
	char target[WEIR_CTL_TARGET_MAX];
	cJSON *body = NULL;

	if (!weir_ctl_function_target(call->arguments[1], "/environment", target))
		return WEIR_CTL_INVALID;
	if (strcmp(what, "list") == 0)
		return environment_list(call, target);
	if (!is_set && strcmp(what, "unset") != 0)
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl fn env list|set|unset NAME",
				     "'%s' is neither list, set nor unset", what);
	body = change_make(call, is_set);
	return body == NULL ? WEIR_CTL_INVALID : weir_ctl_api_change(call, "PATCH", target, body);
}
