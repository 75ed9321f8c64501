#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/follow.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"

enum {
	TARGET_MAX = 1024,
	PAGE_LINES = 1000, /* of one answer; the API's most */
	LINES_DEFAULT = 100,
};

/* What was asked for, and how far it got. */
struct reading {
	const struct weir_ctl_call *call;
	char target[TARGET_MAX]; /* of the lines, without its query */
	uint64_t since_ns;
	uint64_t last_id; /* of the last line that was printed */
	bool with_ids;
	cJSON *all; /* for -o json; NULL: lines are printed as they come */
};

/* ---- lines ---- */

/* "2026-01-02T03:04:05.678901234Z stdout: text", OpenWhisk's form. */
static void line_print(const struct reading *reading, const cJSON *line)
{
	const char *const stream = weir_ctl_json_text(line, "stream");
	const char *const activation = weir_ctl_json_text(line, "activation");
	const bool colours = weir_ctl_print_has_colours();
	const bool is_bad = strcmp(stream, "stderr") == 0 || strcmp(stream, "error") == 0 ||
			    strcmp(stream, "warn") == 0;

	weir_ctl_print("%s%s%s ", colours ? "\033[2m" : "", weir_ctl_json_text(line, "time"),
		       colours ? "\033[0m" : "");
	if (reading->with_ids)
		weir_ctl_print("%s ", activation[0] == '\0' ? "-" : activation);
	weir_ctl_print("%s%s:%s ", colours && is_bad ? "\033[31m" : "", stream,
		       colours && is_bad ? "\033[0m" : "");
	/* The API sends no control character but the tab. */
	weir_ctl_print("%s\n", weir_ctl_json_text(line, "text"));
}

static void lines_take(struct reading *reading, cJSON *json)
{
	cJSON *const lines = cJSON_GetObjectItemCaseSensitive(json, "lines");
	cJSON *line = NULL;

	while ((line = cJSON_DetachItemFromArray(lines, 0)) != NULL) {
		reading->last_id = (uint64_t)weir_ctl_json_number(line, "id");
		if (reading->all != NULL) {
			(void)cJSON_AddItemToArray(reading->all, line);
			continue;
		}
		line_print(reading, line);
		cJSON_Delete(line);
	}
}

/* One page: the newest `lines`, or the next ones. */
static enum weir_ctl_exit page_read(struct reading *reading, bool newest, unsigned lines,
				    size_t *out_count)
{
	char target[TARGET_MAX + 120];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)snprintf(target, sizeof(target), "%s?after=%llu&since=%llu&newest=%d&limit=%u",
		       reading->target, (unsigned long long)reading->last_id,
		       (unsigned long long)reading->since_ns, newest ? 1 : 0, lines); /* fits */
	code = weir_ctl_api(reading->call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	*out_count = (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "lines"));
	lines_take(reading, json);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

/* All lines behind the last one. */
static enum weir_ctl_exit rest_read(struct reading *reading)
{
	size_t count = PAGE_LINES;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	while (code == WEIR_CTL_OK && count == PAGE_LINES)
		code = page_read(reading, false, PAGE_LINES, &count);
	return code;
}

static enum weir_ctl_exit reading_step(void *context)
{
	return rest_read(context);
}

static enum weir_ctl_exit reading_finish(struct reading *reading, enum weir_ctl_exit code)
{
	if (reading->all != NULL && code == WEIR_CTL_OK)
		weir_ctl_print_json(reading->all);
	cJSON_Delete(reading->all);
	return code;
}

/* ---- call logs ---- */

enum weir_ctl_exit weir_ctl_call_logs(const struct weir_ctl_call *call)
{
	struct reading reading = {.call = call};

	(void)snprintf(reading.target, sizeof(reading.target), "/weir/activations/");
	if (!weir_ctl_encode(reading.target, sizeof(reading.target) - sizeof("/logs"),
			     call->arguments[0]))
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the activation's id is too long");
	strcat(reading.target, "/logs"); /* room was left */
	reading.all = call->json ? cJSON_CreateArray() : NULL;
	return reading_finish(&reading, rest_read(&reading));
}

/* ---- fn logs ---- */

static enum weir_ctl_exit function_logs_parse(const struct weir_ctl_call *call,
					      struct reading *reading, unsigned *out_lines)
{
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (weir_model_name_parse(call->arguments[0], space, name, &wrong) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s %s", wrong.field, wrong.reason);
	code = weir_ctl_since_parse(call, &reading->since_ns);
	*out_lines = LINES_DEFAULT;
	if (code == WEIR_CTL_OK)
		code = weir_ctl_count_parse(call, "--lines", PAGE_LINES, out_lines);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json && weir_ctl_option(call, "--follow") != NULL)
		return weir_ctl_fail(WEIR_CTL_USAGE, NULL, "-f prints lines, not JSON");
	(void)snprintf(reading->target, sizeof(reading->target), "/weir/functions/");
	(void)weir_ctl_encode(reading->target, TARGET_MAX, space); /* names are short */
	strncat(reading->target, "/", TARGET_MAX - strlen(reading->target) - 1);
	(void)weir_ctl_encode(reading->target, TARGET_MAX, name);
	strncat(reading->target, "/logs", TARGET_MAX - strlen(reading->target) - 1);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_function_logs(const struct weir_ctl_call *call)
{
	struct reading reading = {.call = call,
				  .with_ids = weir_ctl_option(call, "--ids") != NULL};
	const bool is_all = weir_ctl_option(call, "--since") != NULL &&
			    weir_ctl_option(call, "--lines") == NULL;
	unsigned lines = 0;
	size_t count = 0;
	enum weir_ctl_exit code = function_logs_parse(call, &reading, &lines);

	if (code != WEIR_CTL_OK)
		return code;
	reading.all = call->json ? cJSON_CreateArray() : NULL;
	code = is_all ? rest_read(&reading) : page_read(&reading, true, lines, &count);
	if (code == WEIR_CTL_OK && weir_ctl_option(call, "--follow") != NULL)
		code = weir_ctl_follow(call, reading_step, &reading);
	return reading_finish(&reading, code);
}
