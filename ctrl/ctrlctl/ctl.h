/* ctl: the command line of Weir. One table (command.c) holds every command with its arguments,
 * options, help and function; dispatch, --help and bash completion all read it.
 *
 *   argv -> command table -> call -> function -> HTTP on run/api.sock      (changes, lists)
 *                                            -> HTTP on run/http.sock     (fn invoke)
 *                                            -> board, run/supervisor.sock (live numbers, read-only)
 *
 * Results go to standard output, errors with a hint to standard error. Output to a terminal may have
 * colours (not with NO_COLOR); into a pipe it is plain. Texts of others lose their control characters.
 * One thread; blocks on the instance, with time limits. */
#ifndef WEIR_CTRL_CTRLCTL_CTL_H
#define WEIR_CTRL_CTRLCTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_ctl_exit {
	WEIR_CTL_OK = 0,
	WEIR_CTL_FAILED = 1,
	WEIR_CTL_USAGE = 2,
	WEIR_CTL_UNREACHABLE = 3,
	WEIR_CTL_NOT_FOUND = 5,
	WEIR_CTL_EXISTS = 6,
	WEIR_CTL_INVALID = 7,
	WEIR_CTL_NOT_ACKNOWLEDGED = 9,
};

enum {
	WEIR_CTL_OPTIONS_MAX = 20, /* of one command */
	WEIR_CTL_ARGUMENTS_MAX = 32,
	WEIR_CTL_REPEATED_MAX = 64,
	WEIR_CTL_PATH_MAX = 4096,
};

/* What bash offers behind an option or as an argument. */
enum weir_ctl_complete {
	WEIR_CTL_COMPLETE_NOTHING,
	WEIR_CTL_COMPLETE_FILE,
	WEIR_CTL_COMPLETE_DIRECTORY,
	WEIR_CTL_COMPLETE_FUNCTION,
	WEIR_CTL_COMPLETE_ROUTE,
	WEIR_CTL_COMPLETE_SETTING,
	WEIR_CTL_COMPLETE_OUTPUT,
	WEIR_CTL_COMPLETE_RUNTIME,
	WEIR_CTL_COMPLETE_METHOD,
	WEIR_CTL_COMPLETE_SHOW,
	WEIR_CTL_COMPLETE_SHELL,
	WEIR_CTL_COMPLETE_POOL,
	WEIR_CTL_COMPLETE_POLICY,
	WEIR_CTL_COMPLETE_SWITCH,
	WEIR_CTL_COMPLETE_USER,
	WEIR_CTL_COMPLETE_ROLE,
	WEIR_CTL_COMPLETE_KEY,
	WEIR_CTL_COMPLETE_AUTH,
	WEIR_CTL_COMPLETE_ALIAS, /* all arguments of `image alias` */
};

struct weir_ctl_option {
	const char *name;   /* "--timeout" */
	const char *letter; /* "-t", or NULL */
	const char *value;  /* what it takes, "DURATION"; NULL: nothing */
	const char *help;
	enum weir_ctl_complete complete;
	bool is_repeated; /* may be given several times: weir_ctl_call.repeated */
};

struct weir_ctl_call;

struct weir_ctl_command {
	const char *noun;
	const char *verb;      /* NULL: the noun is the whole command */
	const char *arguments; /* "ROUTE", "" for none */
	size_t arguments_min;
	size_t arguments_max;
	enum weir_ctl_complete complete; /* the first argument */
	const char *help;                /* one line */
	const char *more;                /* examples and notes, or NULL */
	bool writes_yaml;                /* -o yaml is known, too, and the default */
	struct weir_ctl_option options[WEIR_CTL_OPTIONS_MAX];
	enum weir_ctl_exit (*run)(const struct weir_ctl_call *call);
};

/* One invocation, parsed. */
struct weir_ctl_call {
	const struct weir_ctl_command *command;
	char data[WEIR_CTL_PATH_MAX]; /* the instance's directory */
	bool json;
	const char *arguments[WEIR_CTL_ARGUMENTS_MAX];
	size_t argument_count;
	const char *options
		[WEIR_CTL_OPTIONS_MAX]; /* the last values by place in the command's table; NULL: not given */
	struct {
		const char *name;
		const char *value;
	} repeated[WEIR_CTL_REPEATED_MAX]; /* of options that may be repeated */
	size_t repeated_count;
};

/* The i-th command, or NULL behind the last; and one by its words (verb may be NULL). */
const struct weir_ctl_command *weir_ctl_command_at(size_t i);
const struct weir_ctl_command *weir_ctl_command_find(const char *noun, const char *verb);

/* Options that every command takes, ended by a NULL name. */
extern const struct weir_ctl_option weir_ctl_options_global[];

/* Help for everything, for a noun, for a command. Return 0 for use as an exit code. */
int weir_ctl_help_all(void);
int weir_ctl_help_noun(const char *noun);
int weir_ctl_help_command(const struct weir_ctl_command *command);

/* Parse argv behind the program's name. -1: run call->command; else the exit code to end with, all
 * said already (help was shown, or the usage is wrong). */
int weir_ctl_parse(int argc, char **argv, struct weir_ctl_call *call);

/* The value of an option of this command, or NULL where it was not given. */
const char *weir_ctl_option(const struct weir_ctl_call *call, const char *name);

/* Print "error: ..." and "hint: ..." (if not NULL) to standard error; returns `code`. */
enum weir_ctl_exit weir_ctl_fail(enum weir_ctl_exit code, const char *hint, const char *format,
				 ...) __attribute__((format(printf, 3, 4)));

/* The functions of the commands. */
enum weir_ctl_exit weir_ctl_route_add(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_route_update(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_route_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_route_get(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_route_remove(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_api_describe(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_row_add(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_route_test(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_add(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_get(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_set(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_remove(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_init(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_deploy(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_versions(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_rollback(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_environment(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_invoke(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_logs(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_get(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_tail(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_logs(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_result(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_cancel(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_call_replay(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_dead_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_dead_show(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_dead_redrive(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_dead_purge(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_queue_status(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_worker_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_status(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_scores(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_numa(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_ready(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_get(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_set(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_unset(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_check(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_history(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_diff(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_rollback(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_export(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_config_apply(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_function_scale(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_image_alias(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_user_add(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_user_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_user_remove(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_key_add(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_key_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_key_remove(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_pool_list(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_pool_get(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_pool_set(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_backup(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_restore(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_completion(const struct weir_ctl_call *call);
enum weir_ctl_exit weir_ctl_version(const struct weir_ctl_call *call);

#endif
