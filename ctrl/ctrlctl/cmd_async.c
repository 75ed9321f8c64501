/* Asynchronous calls: over the socket that serves functions, so that all of it works while ctrld is away. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrlctl/async.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"
#include "dataplane/base/clock.h"

enum {
	TARGET_MAX = 1024,
	PATIENCE_MS = 60000,
	PAGE_CALLS = 1000, /* of one answer */
	POLL_MS = 100,
};

/* One request; the answer is read as JSON where it is below 400. */
static enum weir_ctl_exit ask(const struct weir_ctl_call *call, const char *method, const char *target,
			      cJSON **out_json)
{
	const struct weir_ctl_request request = {.socket_name = "http.sock",
						 .method = method,
						 .target = target,
						 .host = "weir",
						 .patience_ms = PATIENCE_MS};
	struct weir_ctl_answer answer = {0};
	const enum weir_ctl_exit code = weir_ctl_request(call, &request, &answer);

	return code != WEIR_CTL_OK ? code : weir_ctl_answer_json(&answer, out_json);
}

/* "/weir/async/ID" and what follows. False: said. */
static bool target_make(const char *id, const char *behind, char target[TARGET_MAX])
{
	(void)snprintf(target, TARGET_MAX, "/weir/async/");
	if (!weir_ctl_encode(target, TARGET_MAX, id) || strlen(target) + strlen(behind) >= TARGET_MAX) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the call's id is too long");
		return false;
	}
	strcat(target, behind);
	return true;
}

/* A request about one call; its JSON, or `member` of it as a line. */
static enum weir_ctl_exit one_ask(const struct weir_ctl_call *call, const char *method, const char *id,
				  const char *behind, const char *member)
{
	char target[TARGET_MAX];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_INVALID;

	if (!target_make(id, behind, target))
		return code;
	code = ask(call, method, target, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json)
		weir_ctl_print_json(json);
	else
		weir_ctl_print("%s\n", weir_ctl_json_text(json, member));
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_call_cancel(const struct weir_ctl_call *call)
{
	return one_ask(call, "DELETE", call->arguments[0], "", "state");
}

enum weir_ctl_exit weir_ctl_call_replay(const struct weir_ctl_call *call)
{
	return one_ask(call, "POST", call->arguments[0], "?new=1", "activation");
}

/* ---- results ---- */

/* The answer, or why there is none, of a call that has ended. */
static enum weir_ctl_exit result_print(const struct weir_ctl_answer *answer)
{
	const char *const failure = weir_ctl_answer_field(answer, "x-weir-failure");
	const char *const state = weir_ctl_answer_field(answer, "x-weir-state");
	const char *const status = weir_ctl_answer_field(answer, "x-weir-status");
	const unsigned long number = status == NULL ? 0 : strtoul(status, NULL, 10);

	(void)fwrite(answer->body, 1, answer->body_bytes, stdout); /* a failure is found at the end */
	if (failure != NULL)
		return weir_ctl_fail(WEIR_CTL_FAILED, "`ctrlctl dlq redrive ID` runs it again",
				     "the call is %.*s: %.*s", (int)strcspn(state == NULL ? "" : state, "\r\n"),
				     state == NULL ? "" : state, (int)strcspn(failure, "\r\n"), failure);
	if (number == 0)
		return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "the call was cancelled before it was answered");
	if (number >= 400)
		return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "the function answered with status %lu", number);
	return WEIR_CTL_OK;
}

/* With -o json everything that is known of it. */
static enum weir_ctl_exit result_get(const struct weir_ctl_call *call, const char *target, bool *out_has_ended)
{
	const struct weir_ctl_request request = {.socket_name = "http.sock",
						 .method = "GET",
						 .target = target,
						 .host = "weir",
						 .patience_ms = PATIENCE_MS};
	struct weir_ctl_answer answer = {0};
	cJSON *json = NULL;
	enum weir_ctl_exit code = weir_ctl_request(call, &request, &answer);

	*out_has_ended = code != WEIR_CTL_OK || answer.status != 202;
	if (code != WEIR_CTL_OK)
		return code;
	if (answer.status != 200 && answer.status != 202) {
		code = weir_ctl_answer_json(&answer, &json);
		cJSON_Delete(json);
		return code;
	}
	if (answer.status == 200)
		code = call->json ? one_ask(call, "GET", call->arguments[0], "", "") : result_print(&answer);
	free(answer.body);
	return code;
}

enum weir_ctl_exit weir_ctl_call_result(const struct weir_ctl_call *call)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * (long)WEIR_NS_PER_MS};
	const char *const wait = weir_ctl_option(call, "--wait");
	char target[TARGET_MAX];
	struct weir_model_error wrong;
	uint32_t wait_ms = 0;
	uint64_t until_ns = 0;
	bool has_ended = false;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (wait != NULL && weir_model_duration_parse(wait, &wait_ms, &wrong) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, "--wait 30s", "--wait %s", wrong.reason);
	if (!target_make(call->arguments[0], "/result", target))
		return WEIR_CTL_INVALID;
	until_ns = weir_clock_now_ns() + wait_ms * WEIR_NS_PER_MS;
	code = result_get(call, target, &has_ended);
	while (!has_ended && weir_clock_now_ns() < until_ns) {
		(void)nanosleep(&pause, NULL); /* cut short: it asks sooner */
		code = result_get(call, target, &has_ended);
	}
	return has_ended ? code
			 : weir_ctl_fail(WEIR_CTL_FAILED, "--wait 30s waits for it", "the call has not ended");
}

/* ---- dead letters ---- */

static void row_print(struct weir_ctl_table *table, const cJSON *row)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%.19sZ", weir_ctl_json_text(row, "ended"));
	weir_ctl_table_cell(table, weir_ctl_json_text(row, "activation"));
	weir_ctl_table_cell(table, weir_ctl_json_text(row, "function"));
	weir_ctl_table_cell(table, text);
	weir_ctl_table_number(table, weir_ctl_json_number(row, "attempts"));
	(void)snprintf(text, sizeof(text), "%.0f %.40s", weir_ctl_json_number(row, "status"),
		       weir_ctl_json_text(row, "failure"));
	weir_ctl_table_cell(table, text);
}

/* All that there are, page by page. WEIR_CTL_OK and *out_list, to be deleted. */
static enum weir_ctl_exit dead_list(const struct weir_ctl_call *call, cJSON **out_list)
{
	cJSON *const list = cJSON_CreateArray();
	double after = 0;

	for (;;) {
		char target[TARGET_MAX];
		cJSON *json = NULL;
		cJSON *row = NULL;
		cJSON *rows = NULL;
		int count = 0;
		enum weir_ctl_exit code = WEIR_CTL_OK;

		(void)snprintf(target, sizeof(target), "/weir/async?state=dead&limit=%d&after=%.0f", PAGE_CALLS, after);
		code = ask(call, "GET", target, &json);
		if (code != WEIR_CTL_OK) {
			cJSON_Delete(list);
			return code;
		}
		rows = cJSON_GetObjectItemCaseSensitive(json, "calls");
		while ((row = cJSON_DetachItemFromArray(rows, 0)) != NULL) {
			after = weir_ctl_json_number(row, "number");
			(void)cJSON_AddItemToArray(list, row);
			count++;
		}
		cJSON_Delete(json);
		if (count < PAGE_CALLS)
			break;
	}
	*out_list = list;
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_dead_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"ACTIVATION", "FUNCTION", "ENDED", "ATTEMPTS", "OUTCOME", NULL};
	struct weir_ctl_table table = {.titles = titles};
	cJSON *list = NULL;
	const cJSON *row = NULL;
	const enum weir_ctl_exit code = dead_list(call, &list);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(list);
	} else {
		cJSON_ArrayForEach(row, list)
		{
			row_print(&table, row);
		}
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(list);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_dead_show(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_INVALID;

	if (!target_make(call->arguments[0], "", target))
		return code;
	code = ask(call, "GET", target, &json);
	if (code == WEIR_CTL_OK)
		weir_ctl_print_json(json);
	cJSON_Delete(json);
	return code;
}

/* The same for the call that is named, or for all dead letters. */
static enum weir_ctl_exit each(const struct weir_ctl_call *call, const char *method, const char *behind)
{
	const bool is_all = weir_ctl_option(call, "--all") != NULL;
	cJSON *list = NULL;
	const cJSON *row = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (is_all == (call->argument_count > 0))
		return weir_ctl_fail(WEIR_CTL_USAGE, "--help behind the command shows an example",
				     "name one call, or --all of them");
	if (!is_all)
		return one_ask(call, method, call->arguments[0], behind, "state");
	code = dead_list(call, &list);
	cJSON_ArrayForEach(row, list)
	{
		if (code == WEIR_CTL_OK)
			code = one_ask(call, method, weir_ctl_json_text(row, "activation"), behind, "activation");
	}
	cJSON_Delete(list);
	return code;
}

enum weir_ctl_exit weir_ctl_dead_redrive(const struct weir_ctl_call *call)
{
	return each(call, "POST", "");
}

enum weir_ctl_exit weir_ctl_dead_purge(const struct weir_ctl_call *call)
{
	return each(call, "DELETE", "?forget=1");
}

/* ---- the queue ---- */

enum weir_ctl_exit weir_ctl_queue_status(const struct weir_ctl_call *call)
{
	static const char *const numbers[] = {"ready", "delayed", "running", "done", "dead", "cancelled", "runners",
					      "bytes"};
	static const char *const times[] = {"oldest", "next_due"};
	cJSON *json = NULL;
	const enum weir_ctl_exit code = ask(call, "GET", "/weir/async", &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			weir_ctl_print("%-10s %.0f\n", numbers[i], weir_ctl_json_number(json, numbers[i]));
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
			weir_ctl_print("%-10s %s\n", times[i],
				       weir_ctl_json_text(json, times[i])[0] == '\0' ? "-"
										     : weir_ctl_json_text(json, times[i]));
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

/* ---- fn invoke --async ---- */

enum weir_ctl_exit weir_ctl_async_target(const struct weir_ctl_call *call, const char *space, const char *name, char *target,
					 size_t max)
{
	if (weir_ctl_option(call, "--path") != NULL || weir_ctl_option(call, "--method") != NULL)
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl fn invoke hello --async -d @order.json",
				     "--async sends a body alone: --path and --method have no place in it");
	(void)snprintf(target, max, "/weir/async/");
	(void)weir_ctl_encode(target, max, space); /* names are short */
	strncat(target, "/", max - strlen(target) - 1);
	(void)weir_ctl_encode(target, max, name);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_async_fields(const struct weir_ctl_call *call, char *fields, size_t max)
{
	static const struct {
		const char *option;
		const char *field;
	} plain[] = {{"--priority", "x-weir-priority"}, {"--retries", "x-weir-retries"}, {"--key", "idempotency-key"}};
	const char *const delay = weir_ctl_option(call, "--delay");
	struct weir_model_error wrong;
	uint32_t delay_ms = 0;
	size_t used = strlen(fields);

	if (delay != NULL && weir_model_duration_parse(delay, &delay_ms, &wrong) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, "--delay 30s", "--delay %s", wrong.reason);
	if (delay != NULL)
		used += (size_t)snprintf(fields + used, max - used, "x-weir-delay-ms: %" PRIu32 "\r\n", delay_ms);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]) && used < max; i++) {
		const char *const value = weir_ctl_option(call, plain[i].option);

		if (value != NULL && (value[0] == '\0' || value[strcspn(value, "\r\n")] != '\0'))
			return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s is one line", plain[i].option);
		if (value != NULL)
			used += (size_t)snprintf(fields + used, max - used, "%s: %s\r\n", plain[i].field, value);
	}
	return used < max ? WEIR_CTL_OK
			  : weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the fields are longer than 8 KiB");
}

enum weir_ctl_exit weir_ctl_async_end(const struct weir_ctl_call *call, const struct weir_ctl_request *request)
{
	struct weir_ctl_answer answer = {0};
	cJSON *json = NULL;
	enum weir_ctl_exit code = weir_ctl_request(call, request, &answer);

	if (code == WEIR_CTL_OK)
		code = weir_ctl_answer_json(&answer, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json)
		weir_ctl_print_json(json);
	else
		weir_ctl_print("%s\n", weir_ctl_json_text(json, "activation"));
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}
