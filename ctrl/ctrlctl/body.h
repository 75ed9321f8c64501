/* body: options -> members of a request's JSON, and JSON objects -> tables; what the commands share.
 * Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_BODY_H
#define WEIR_CTRL_CTRLCTL_BODY_H

#include <cjson/cJSON.h>

#include "ctrl/ctrlctl/ctl.h"

/* Add the option's value as a member, if it was given: as text, as a whole number, and --timeout as
 * "timeout_ms" (0: the function's own). False: the value is wrong, and that was said. */
bool weir_ctl_body_text(cJSON *body, const struct weir_ctl_call *call, const char *option,
			const char *member);
bool weir_ctl_body_number(cJSON *body, const struct weir_ctl_call *call, const char *option,
			  const char *member);
bool weir_ctl_body_duration(cJSON *body, const struct weir_ctl_call *call);

/* Add a file's absolute path as "file"; symbolic links stay, since what they lead to may change. */
bool weir_ctl_body_file(cJSON *body, const char *file);

/* "/weir/functions/NAMESPACE/NAME" + `rest` of "[NAMESPACE/]NAME", within WEIR_CTL_TARGET_MAX bytes.
 * False: the name is wrong, and that was said. */
enum { WEIR_CTL_TARGET_MAX = 1024 };
bool weir_ctl_function_target(const char *name, const char *rest,
			      char target[WEIR_CTL_TARGET_MAX]);

/* "K=V" as a member of body's "environment". False: wrong, and said. And a secret, as one of its
 * "secrets": "K" is asked for on a terminal, else read as the next line of standard input; "K=@FILE" and
 * "K=-" (standard input) are read whole. */
bool weir_ctl_body_variable(cJSON *body, const char *text);
bool weir_ctl_body_secret(cJSON *body, const char *text);

/* What is not to stand on a command line, within out[0 .. max-1]: asked for on a terminal, else
 * the next line of standard input, where `from` is NULL; all of a file or of standard input where it is "@FILE" or
 * "-". `name` is what people call it, "the secret TOKEN". False: wrong, and said. */
bool weir_ctl_secret_read(const char *name, const char *from, char *out, size_t max);

/* All --env and --secret of the call. */
bool weir_ctl_body_variables(cJSON *body, const struct weir_ctl_call *call);

/* All --spec of the call as "specs"; "none" is an empty list. False: wrong, and said. */
bool weir_ctl_body_specs(cJSON *body, const struct weir_ctl_call *call);

/* --description, and all --param and --annotation, each replacing what was there: a value is JSON where it
 * reads as that, else a text. False: wrong, and said. */
bool weir_ctl_body_details(cJSON *body, const struct weir_ctl_call *call);

/* DATA as it stands, @FILE, @- or - (standard input). NULL stays *out_data = NULL. *out_data has room for one
 * byte more and is the caller's (free()). False: said why. */
bool weir_ctl_data_read(const char *option, char **out_data, size_t *out_bytes);

/* Where a function's code comes from, as a list shows it: its image, else its file. */
const char *weir_ctl_code_text(const cJSON *function);

/* "5s", "250ms"; "-" for 0. */
void weir_ctl_duration_format(double ms, char *out, size_t max);

/* Print an object's members as a table of two columns, those in `skip` (ended by NULL) and empty
 * ones left out; members of nested objects as "name.member". */
void weir_ctl_print_object(const cJSON *json, const char *const *skip);

#endif
