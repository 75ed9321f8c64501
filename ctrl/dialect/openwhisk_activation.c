#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/dialect/openwhisk.h"
#include "dataplane/base/clock.h"

enum {
	RECORDS_MAX = 1000, /* the newest so many are looked at; the API's most */
	RECORDS_MORE = 100, /* they are kept in the order of their ends, nearly, and told in that of their starts */
	LINES_MAX = 1000,   /* of one call, likewise */
};

/* What is asked of the list. */
struct query {
	const struct weir_whisk_name *name; /* the namespace, or one action of it */
	struct weir_whisk_page page;
	uint64_t since_ms;
	uint64_t upto_ms; /* 0: now */
	bool is_whole;    /* docs=true */
};

/* ---- one record ---- */

/* "2026-01-02T03:04:05.678901234Z" in ms since 1970; 0 where it is none. */
static double ms_of(const char *time)
{
	struct tm utc = {0};
	const char *const rest = time == NULL ? NULL : strptime(time, "%Y-%m-%dT%H:%M:%S", &utc);

	return rest == NULL ? 0 : 1000 * (double)timegm(&utc) + floor(1000 * strtod(rest, NULL));
}

static double stage_ms(const cJSON *record, const char *stage)
{
	return floor(weir_whisk_number(cJSON_GetObjectItemCaseSensitive(record, "times_ns"), stage, 0) /
		     (double)WEIR_NS_PER_MS);
}

/* Who called gets no other answer than this: Weir's own failures are those of the code, or of Weir. */
static enum weir_whisk_outcome outcome_of(const cJSON *record)
{
	static const char *const of_code[] = {"function_failed", "function_garbage", "function_load",
					      "function_timeout", "worker_died",      "out_of_memory"};
	const char *const failure = weir_dialect_text(record, "failure");
	const double status = weir_whisk_number(record, "status", 0);

	for (size_t i = 0; failure != NULL && i < sizeof(of_code) / sizeof(of_code[0]); i++) {
		if (strcmp(failure, of_code[i]) == 0)
			return WEIR_WHISK_DEVELOPER_ERROR;
	}
	if (failure != NULL || status == 0)
		return WEIR_WHISK_INTERNAL_ERROR;
	return status < 300 ? WEIR_WHISK_SUCCESS : WEIR_WHISK_APPLICATION_ERROR;
}

/* Which function it was of. False: the record is none. */
static bool name_of(const cJSON *record, struct weir_whisk_name *out_name)
{
	const char *const function = weir_dialect_text(record, "function");
	const char *const slash = function == NULL ? NULL : strchr(function, '/');

	*out_name = (struct weir_whisk_name){.function = ""};
	return slash != NULL &&
	       weir_dialect_name((struct weir_span){.data = function, .bytes = (size_t)(slash - function)}, out_name->space) &&
	       weir_dialect_name(weir_span_of(slash + 1), out_name->function);
}

/* What the function says of it: as it is now, or nothing if it is gone. 0 and *out_json, or as manage(), -ENOMEM. */
static int base_json(struct weir_dialect_call *call, const cJSON *record, const struct weir_whisk_name *name,
		     cJSON **out_json)
{
	struct weir_dialect_verdict verdict;
	const cJSON *function = NULL;
	cJSON *gone = NULL;
	bool is_that_version = false;
	const int code = weir_dialect_know(call, name->space, name->function, &function, &verdict);

	if (code != 0)
		return code;
	if (function == NULL) {
		gone = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(gone, "namespace", name->space); /* or members lack */
		(void)cJSON_AddStringToObject(gone, "name", name->function);
		function = gone;
	}
	/* What says nothing of a version is of this one. */
	is_that_version = weir_whisk_number(function, "version", 0) ==
			  weir_whisk_number(record, "version", weir_whisk_number(function, "version", 0));
	*out_json = weir_whisk_activation_json(function);
	if (!is_that_version) /* which number it had then is not kept */
		(void)cJSON_ReplaceItemInObjectCaseSensitive(*out_json, "version", cJSON_CreateString("0.0.0"));
	cJSON_Delete(gone);
	weir_dialect_verdict_release(&verdict);
	return *out_json == NULL ? -ENOMEM : 0;
}

/* Without logs and response. 0 and *out_json, or as manage(), -ENOMEM. */
static int record_json(struct weir_dialect_call *call, const cJSON *record, cJSON **out_json)
{
	const double start_ms = ms_of(weir_dialect_text(record, "start"));
	const double duration_ms = stage_ms(record, "total");
	const double waited_ms = stage_ms(record, "parse") + stage_ms(record, "queue");
	const bool is_cold = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(record, "cold"));
	struct weir_whisk_name name;
	cJSON *annotations = NULL;
	int code = name_of(record, &name) ? base_json(call, record, &name, out_json) : -EINVAL;

	if (code != 0)
		return code;
	annotations = cJSON_GetObjectItemCaseSensitive(*out_json, "annotations");
	weir_whisk_annotation_add(annotations, "waitTime", cJSON_CreateNumber(is_cold ? 0 : waited_ms));
	if (is_cold) /* what it waited for */
		weir_whisk_annotation_add(annotations, "initTime", cJSON_CreateNumber(waited_ms));
	(void)cJSON_AddStringToObject(*out_json, "activationId", weir_dialect_text(record, "activation")); /* or members lack */
	(void)cJSON_AddNumberToObject(*out_json, "start", start_ms);
	(void)cJSON_AddNumberToObject(*out_json, "end", start_ms + duration_ms);
	(void)cJSON_AddNumberToObject(*out_json, "duration", duration_ms);
	return 0;
}

/* "2026-…Z stdout: text" of each line; of what Weir's own log levels are, warnings and errors are stderr. */
static void line_add(cJSON *list, const cJSON *line)
{
	const char *const time = weir_dialect_text(line, "time");
	const char *const stream = weir_dialect_text(line, "stream");
	const char *const text = weir_dialect_text(line, "text");
	const bool is_error = stream != NULL && (strcmp(stream, "stderr") == 0 || strcmp(stream, "warn") == 0 ||
						 strcmp(stream, "error") == 0);
	char *whole = NULL;

	if (time == NULL || text == NULL ||
	    asprintf(&whole, "%s %s: %s", time, is_error ? "stderr" : "stdout", text) == -1)
		return;
	(void)cJSON_AddItemToArray(list, cJSON_CreateString(whole)); /* or it lacks */
	free(whole);
}

/* What a call printed. 0 and *out_list, or as manage(). */
static int logs_json(struct weir_dialect_call *call, const char *id, cJSON **out_list)
{
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};
	struct weir_dialect_verdict verdict;
	const cJSON *line = NULL;
	int code = 0;

	(void)snprintf(target, sizeof(target), "/weir/activations/%s/logs?limit=%d", id, LINES_MAX); /* fits: an id */
	code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	*out_list = cJSON_CreateArray();
	cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(verdict.json, "lines"))
	{
		line_add(*out_list, line);
	}
	weir_dialect_verdict_release(&verdict); /* 404: it printed nothing */
	return 0;
}

/* What its client was answered: "activationId", "response" and more, or NULL where that is not kept. 0, or as manage().
 * Valid until the verdict's release. */
static int answer_ask(struct weir_dialect_call *call, const char *id, struct weir_dialect_verdict *out_verdict,
		      const cJSON **out_answer)
{
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};
	int code = 0;

	(void)snprintf(target, sizeof(target), "/weir/activations/%s/answer", id); /* fits: an id */
	code = call->ops->manage(call, &order, out_verdict);
	*out_answer = NULL;
	if (code == 0 && out_verdict->status == 200)
		*out_answer = cJSON_GetObjectItemCaseSensitive(out_verdict->json, "answer");
	return code;
}

/* Of a call whose answer is not kept: null, or the reason for which there is nothing. */
static cJSON *response_json(const cJSON *record)
{
	const char *const failure = weir_dialect_text(record, "failure");
	char result[128] = "null";

	if (failure != NULL)
		(void)snprintf(result, sizeof(result), "{\"error\":\"%s\"}", failure); /* fits: one of Weir's words */
	cJSON *const json = weir_whisk_response_json(outcome_of(record), result);

	(void)cJSON_ReplaceItemInObjectCaseSensitive(
		json, "size", cJSON_CreateNumber(weir_whisk_number(record, "answer_bytes", 0))); /* or it stays */
	return json;
}

/* The response of an asynchronous call, which the queue keeps: *out_response is NULL where it has not ended, or is none.
 * 0, or as manage(), -ENOMEM. */
static int told_response(struct weir_dialect_call *call, const cJSON *told, const struct weir_whisk_name *name,
			 cJSON **out_response)
{
	struct weir_dialect_verdict verdict;
	const cJSON *function = NULL;
	int code = 0;

	*out_response = NULL;
	if (told == NULL || !weir_dialect_later_has_ended(told))
		return 0;
	code = weir_dialect_know(call, name->space, name->function, &function, &verdict);
	if (code != 0)
		return code;
	*out_response = weir_whisk_told_response(told, function);
	weir_dialect_verdict_release(&verdict);
	return *out_response == NULL ? -ENOMEM : 0;
}

/* The same by the id of one that left a record. */
static int later_response(struct weir_dialect_call *call, const char *id, const struct weir_whisk_name *name,
			  cJSON **out_response)
{
	cJSON *told = NULL;
	int code = weir_dialect_later_ask(call, id, &told);

	*out_response = NULL;
	if (code == 0)
		code = told_response(call, told, name, out_response);
	cJSON_Delete(told);
	return code;
}

/* With logs and response. */
static int whole_json(struct weir_dialect_call *call, const cJSON *record, cJSON **out_json)
{
	const char *const id = weir_dialect_text(record, "activation");
	struct weir_dialect_verdict verdict;
	struct weir_whisk_name name;
	const cJSON *answer = NULL;
	cJSON *response = NULL;
	cJSON *later = NULL;
	cJSON *cause = NULL;
	cJSON *logs = NULL;
	int code = record_json(call, record, out_json);

	if (code == 0)
		code = logs_json(call, id, &logs);
	if (code != 0)
		return code;
	(void)cJSON_AddItemToObject(*out_json, "logs", logs); /* or members lack */
	code = answer_ask(call, id, &verdict, &answer);
	if (code != 0)
		return code;
	response = cJSON_GetObjectItemCaseSensitive(answer, "response");
	if (response == NULL && name_of(record, &name))
		code = later_response(call, id, &name, &later);
	if (code != 0) {
		weir_dialect_verdict_release(&verdict);
		return code;
	}
	(void)cJSON_AddItemToObject(*out_json, "response",
				    response != NULL ? cJSON_Duplicate(response, true)
				    : later != NULL  ? later
						     : response_json(record));
	cause = cJSON_GetObjectItemCaseSensitive(answer, "cause");
	if (cause != NULL)
		(void)cJSON_AddItemToObject(*out_json, "cause", cJSON_Duplicate(cause, true)); /* likewise */
	weir_dialect_verdict_release(&verdict);
	return 0;
}

/* Of an asynchronous call whose record was not kept. *out_json is NULL where there is none in this namespace, or it has
 * not ended. */
static int later_json(struct weir_dialect_call *call, const struct weir_whisk_name *name, const char *id, cJSON **out_json)
{
	struct weir_whisk_name of;
	cJSON *response = NULL;
	cJSON *logs = NULL;
	cJSON *told = NULL;
	double start_ms = 0;
	double end_ms = 0;
	int code = weir_dialect_later_ask(call, id, &told);

	*out_json = NULL;
	if (code == 0 && name_of(told, &of) && strcmp(of.space, name->space) == 0)
		code = told_response(call, told, &of, &response);
	if (code == 0 && response != NULL)
		code = base_json(call, told, &of, out_json);
	if (code == 0 && response != NULL)
		code = logs_json(call, id, &logs);
	if (code == 0 && response != NULL) {
		start_ms = ms_of(weir_dialect_text(told, "begun"));
		end_ms = ms_of(weir_dialect_text(told, "ended"));
		(void)cJSON_AddStringToObject(*out_json, "activationId", id); /* or members lack */
		(void)cJSON_AddNumberToObject(*out_json, "start", start_ms);
		(void)cJSON_AddNumberToObject(*out_json, "end", end_ms);
		(void)cJSON_AddNumberToObject(*out_json, "duration", end_ms - start_ms);
		(void)cJSON_AddItemToObject(*out_json, "logs", logs);
		(void)cJSON_AddItemToObject(*out_json, "response", response);
	} else {
		cJSON_Delete(response);
	}
	cJSON_Delete(told);
	return code;
}

/* Of one that left no record of its own: a sequence, whose log is the list of what ran, or one too many. *out_json is NULL
 * where nothing is kept of it in this namespace. */
static int answered_json(struct weir_dialect_call *call, const struct weir_whisk_name *name, const char *id, cJSON **out_json)
{
	struct weir_dialect_verdict verdict;
	const cJSON *answer = NULL;
	const char *space = NULL;
	cJSON *logs = NULL;
	int code = answer_ask(call, id, &verdict, &answer);

	if (code != 0)
		return code;
	space = weir_dialect_text(answer, "namespace");
	*out_json = space != NULL && strcmp(space, name->space) == 0 ? cJSON_Duplicate(answer, true) : NULL;
	weir_dialect_verdict_release(&verdict);
	if (*out_json == NULL && space == NULL)
		return later_json(call, name, id, out_json);
	if (*out_json == NULL || cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(*out_json, "logs")) > 0)
		return 0;
	code = logs_json(call, id, &logs);
	if (code == 0)
		(void)cJSON_ReplaceItemInObjectCaseSensitive(*out_json, "logs", logs); /* or it stays */
	return code;
}

/* ---- one ---- */

static bool is_id(struct weir_span id)
{
	for (size_t i = 0; i < id.bytes; i++) {
		if (id.data[i] == '\0' || strchr("0123456789abcdefABCDEF", id.data[i]) == NULL)
			return false;
	}
	return id.bytes == WEIR_DIALECT_ID_BYTES - 1;
}

/* All of it, or its response, or its logs. */
static cJSON *part_take(cJSON *whole, const char *part)
{
	const bool is_logs = strcmp(part, "logs") == 0;
	cJSON *taken = NULL;

	if (!is_logs && strcmp(part, "result") != 0)
		return whole;
	taken = cJSON_DetachItemFromObjectCaseSensitive(whole, is_logs ? "logs" : "response");
	cJSON_Delete(whole);
	if (!is_logs)
		return taken;
	whole = cJSON_CreateObject();
	(void)cJSON_AddItemToObject(whole, "logs", taken); /* or it lacks */
	return whole;
}

int weir_whisk_activation_get(struct weir_dialect_call *call, const struct weir_whisk_name *name, struct weir_span id,
			      const char *part)
{
	char text[WEIR_DIALECT_ID_BYTES];
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};
	struct weir_dialect_verdict verdict;
	struct weir_whisk_name of;
	cJSON *json = NULL;
	int code = 0;

	if (!is_id(id))
		return weir_whisk_fail(call, 400, "The activation id is not valid: it has %d hexadecimal digits.",
				       WEIR_DIALECT_ID_BYTES - 1);
	(void)snprintf(text, sizeof(text), "%.*s", (int)id.bytes, id.data); /* fits: checked */
	(void)snprintf(target, sizeof(target), "/weir/activations/%s", text); /* likewise */
	code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	if (verdict.status != 200 && verdict.status != 404)
		return weir_whisk_refused(call, &verdict);
	if (verdict.status == 200 && name_of(verdict.json, &of) && strcmp(of.space, name->space) == 0)
		code = whole_json(call, verdict.json, &json);
	else
		code = answered_json(call, name, text, &json);
	weir_dialect_verdict_release(&verdict);
	if (code == 0)
		return json == NULL ? weir_whisk_missing(call) : weir_dialect_reply_json(call, 200, part_take(json, part));
	cJSON_Delete(json);
	return code;
}

/* ---- the list ---- */

/* The name of an action, or "package/name"; no action where there is none. False: a reply was made. */
static bool action_read(struct weir_dialect_call *call, struct weir_whisk_name *name, int *out_code)
{
	char text[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	char *slash = NULL;
	struct weir_span package = WEIR_SPAN("");

	if (!weir_dialect_query(call, "name", text, sizeof(text)))
		return true;
	slash = strchr(text, '/');
	if (slash != NULL)
		package = (struct weir_span){.data = text, .bytes = (size_t)(slash - text)};
	return weir_whisk_name_make(call, package, weir_span_of(slash == NULL ? text : slash + 1), name, out_code);
}

static bool query_read(struct weir_dialect_call *call, struct weir_whisk_name *name, struct query *out_query, int *out_code)
{
	const uint64_t ms_max = INT64_MAX / WEIR_NS_PER_MS;

	*out_query = (struct query){.name = name};
	if (!weir_whisk_page_read(call, &out_query->page, out_code) || !action_read(call, name, out_code) ||
	    !weir_whisk_count(call, "since", ms_max, &out_query->since_ms, out_code) ||
	    !weir_whisk_count(call, "upto", ms_max, &out_query->upto_ms, out_code) ||
	    !weir_whisk_flag(call, "docs", &out_query->is_whole, out_code))
		return false;
	if (!out_query->is_whole || !out_query->page.is_count)
		return true;
	*out_code = weir_whisk_fail(call, 400, "The parameters 'docs' and 'count' cannot be used together.");
	return false;
}

/* The newest records that fit, oldest first. 0 with a verdict, or as manage(). */
static int records_ask(struct weir_dialect_call *call, const struct query *query, struct weir_dialect_verdict *out_verdict)
{
	const struct weir_whisk_page *const page = &query->page;
	const uint64_t enough = page->skip + page->limit + RECORDS_MORE;
	const bool is_all = page->is_count || enough > RECORDS_MAX;
	const bool is_one = query->name->function[0] != '\0';
	const char *const parts[] = {query->name->space, query->name->function};
	char target[WEIR_DIALECT_TARGET_BYTES];
	char times[128];
	const struct weir_dialect_order order = {.method = "GET", .target = target};

	(void)snprintf(times, sizeof(times), "&limit=%" PRIu64 "&since=%" PRIu64 "&until=%" PRIu64,
		       is_all ? (uint64_t)RECORDS_MAX : enough, query->since_ms * WEIR_NS_PER_MS,
		       query->upto_ms == 0 ? 0 : query->upto_ms * WEIR_NS_PER_MS + WEIR_NS_PER_MS - 1); /* fits */
	if (!weir_dialect_target(target, is_one ? "/weir/activations?newest=1&function=%s%2F%s"
						: "/weir/activations?newest=1&namespace=%s",
				 parts) ||
	    strlen(target) + strlen(times) >= sizeof(target))
		return -EINVAL;
	strcat(target, times);
	return call->ops->manage(call, &order, out_verdict);
}

/* One of the list: all of it, or what lists have. */
static int item_add(struct weir_dialect_call *call, const cJSON *record, bool is_whole, cJSON *list)
{
	cJSON *json = NULL;
	int code = is_whole ? whole_json(call, record, &json) : record_json(call, record, &json);

	if (code == 0 && !is_whole) {
		cJSON_DeleteItemFromObjectCaseSensitive(json, "subject");
		(void)cJSON_AddNumberToObject(json, "statusCode", outcome_of(record)); /* or it lacks */
	}
	if (code == 0 && cJSON_AddItemToArray(list, json))
		return 0;
	cJSON_Delete(json);
	return code == 0 ? -ENOMEM : code;
}

static int items_reply(struct weir_dialect_call *call, const struct query *query, const cJSON *records)
{
	const uint64_t count = (uint64_t)cJSON_GetArraySize(records);
	const cJSON *record = count == 0 ? NULL : records->child->prev; /* the last: the newest */
	cJSON *const json = query->page.is_count ? cJSON_CreateObject() : cJSON_CreateArray();
	int code = 0;

	if (query->page.is_count)
		(void)cJSON_AddNumberToObject(json, "activations",
					      count > query->page.skip ? (double)(count - query->page.skip) : 0);
	for (uint64_t i = 0; !query->page.is_count && code == 0 && i < count && i < query->page.skip + query->page.limit; i++) {
		if (i >= query->page.skip)
			code = item_add(call, record, query->is_whole, json);
		record = record->prev;
	}
	if (code == 0)
		return weir_dialect_reply_json(call, 200, json);
	cJSON_Delete(json);
	return code;
}

int weir_whisk_activation_list(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	struct weir_dialect_verdict verdict;
	struct weir_whisk_name wanted = *name;
	struct query query;
	int code = 0;

	if (!query_read(call, &wanted, &query, &code))
		return code;
	code = records_ask(call, &query, &verdict);
	if (code != 0)
		return code;
	if (verdict.status != 200)
		return weir_whisk_refused(call, &verdict);
	code = items_reply(call, &query, cJSON_GetObjectItemCaseSensitive(verdict.json, "activations"));
	weir_dialect_verdict_release(&verdict);
	return code;
}
