#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "dataplane/http/http_path.h"
#include "dataplane/route/route.h"

enum { TEST_TEXT_MAX = 9000 };

static size_t rows_count(const struct weir_public_rows *rows, bool bad)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++)
		count += (rows->rows[i].error.field[0] != '\0') == bad ? 1 : 0;
	return count;
}

/* Rows that do not say what they should, so that people find them. */
static void row_problems_add(const struct weir_api_call *call, cJSON *problems)
{
	char sentence[sizeof(((struct weir_model_error *)0)->reason) + 512];

	for (size_t i = 0; i < call->owner->rows->count; i++) {
		const struct weir_public_row *row = &call->owner->rows->rows[i];
		cJSON *problem = NULL;

		if (row->error.field[0] == '\0' && !row->shadowed)
			continue;
		problem = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(problem, "what",
					      "row"); /* without memory: members lack */
		(void)cJSON_AddStringToObject(problem, "row", row->key);
		if (row->error.field[0] != '\0') {
			(void)cJSON_AddStringToObject(problem, "field", row->error.field);
			(void)snprintf(sentence, sizeof(sentence), "%s; %s", row->error.reason,
				       row->value == NULL ? "it serves nothing"
							  : "its last good version serves");
		} else {
			(void)cJSON_AddStringToObject(problem, "field", "k");
			(void)snprintf(sentence, sizeof(sentence),
				       "is shadowed: Weir has a route of its own with this "
				       "method and path");
		}
		(void)cJSON_AddStringToObject(problem, "reason", sentence);
		(void)cJSON_AddItemToArray(problems, problem);
	}
}

static void bad_row_add(cJSON *problems, const struct weir_store_bad_row *row)
{
	cJSON *problem = cJSON_CreateObject();
	char name[sizeof(row->table) + sizeof(row->row) + 2];

	(void)snprintf(name, sizeof(name), "%s %s", row->table, row->row); /* fits */
	(void)cJSON_AddStringToObject(problem, "what", "weir.db"); /* without memory: members lack */
	(void)cJSON_AddStringToObject(problem, "row", name);
	(void)cJSON_AddStringToObject(problem, "field", row->field);
	(void)cJSON_AddStringToObject(problem, "reason", row->reason);
	(void)cJSON_AddItemToArray(problems, problem);
}

/* Rows of weir.db that serve nothing. */
static void bad_rows_add(const struct weir_api_call *call, cJSON *problems)
{
	for (enum weir_store_bad_kind kind = 0; kind < WEIR_STORE_BAD_KINDS; kind++) {
		const struct weir_store_bad_rows *bad = weir_store_bad_rows(call->owner->store, kind);
		struct weir_store_bad_row more = {.field = "rows"};

		for (size_t i = 0; i < bad->count && i < WEIR_STORE_BAD_ROWS_MAX; i++)
			bad_row_add(problems, &bad->row[i]);
		if (bad->count <= WEIR_STORE_BAD_ROWS_MAX)
			continue;
		(void)snprintf(more.reason, sizeof(more.reason), "%zu more are damaged; `ctrlctl config check` names all",
			       bad->count - WEIR_STORE_BAD_ROWS_MAX); /* fits */
		bad_row_add(problems, &more);
	}
}

enum weir_api_result weir_api_status_get(struct weir_api_call *call)
{
	const struct weir_snapshot *snapshot = call->owner->snapshot(call->owner->context);
	cJSON *problems = NULL;

	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "version",
				      WEIR_VERSION); /* without memory: members lack */
	(void)cJSON_AddNumberToObject(call->answer, "generation",
				      (double)weir_store_generation(call->owner->store));
	(void)cJSON_AddNumberToObject(call->answer, "published",
				      snapshot == NULL ? 0
						       : (double)snapshot->header->generation);
	(void)cJSON_AddNumberToObject(call->answer, "functions",
				      snapshot == NULL ? 0 : snapshot->function_count);
	(void)cJSON_AddNumberToObject(call->answer, "rows", (double)call->owner->rows->count);
	(void)cJSON_AddNumberToObject(call->answer, "rows_bad",
				      (double)rows_count(call->owner->rows, true));
	problems = cJSON_AddArrayToObject(call->answer, "problems");
	call->owner->status(call->owner->context, call->answer);
	row_problems_add(call, problems);
	weir_api_alias_problems_add(call, problems);
	bad_rows_add(call, problems);
	call->status = 200;
	return WEIR_API_DONE;
}

static void span_add(cJSON *json, const char *name, struct weir_span span)
{
	char text[TEST_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%.*s", (int)span.bytes,
		       span.bytes == 0 ? "" : span.data);
	(void)cJSON_AddStringToObject(json, name, text);
}

/* Why this pattern won, in one sentence. */
static const char *match_kind(const struct weir_snapshot *snapshot,
			      const struct weir_route_match *match)
{
	const struct weir_span pattern = weir_snapshot_span(snapshot, match->target->pattern);

	if (pattern.bytes >= 2 && memcmp(pattern.data + pattern.bytes - 2, "/*", 2) == 0)
		return "the longest prefix that fits; no exact path and no parameters do";
	return match->param_count > 0 ? "parameters fit, each one segment; no exact path does"
				      : "the exact path";
}

static void match_add(cJSON *answer, const struct weir_snapshot *snapshot,
		      const struct weir_route_match *match)
{
	const struct weir_snapshot_function *function = match->function;
	cJSON *parameters = NULL;
	char text[256];

	span_add(answer, "pattern", weir_snapshot_span(snapshot, match->target->pattern));
	(void)snprintf(text, sizeof(text), "%.*s/%.*s", (int)function->space.bytes,
		       snapshot->strings + function->space.offset, (int)function->name.bytes,
		       snapshot->strings + function->name.offset);
	(void)cJSON_AddStringToObject(answer, "function", text);
	(void)cJSON_AddStringToObject(answer, "runtime", weir_runtime_name(function->runtime));
	span_add(answer, "file", weir_snapshot_span(snapshot, function->code_path));
	if (function->runtime == WEIR_RUNTIME_MISSING)
		span_add(answer, "missing", weir_snapshot_span(snapshot, function->reason));
	(void)cJSON_AddNumberToObject(answer, "timeout_ms",
				      match->target->timeout_ms != 0
					      ? match->target->timeout_ms
					      : (double)function->timeout_ns / 1e6);
	(void)cJSON_AddStringToObject(answer, "method_rule",
				      match->target->method == WEIR_SNAPSHOT_METHOD_ANY
					      ? "any method"
					      : "this method");
	(void)cJSON_AddStringToObject(answer, "why", match_kind(snapshot, match));
	parameters = cJSON_AddObjectToObject(answer, "parameters");
	for (uint16_t i = 0; i < match->param_count; i++) {
		const struct weir_span name = weir_route_param_name(snapshot, match->target, i);

		(void)snprintf(text, sizeof(text), "%.*s", (int)name.bytes, name.data);
		span_add(parameters, text, match->param[i]);
	}
	span_add(answer, "rest", match->rest);
}

static void allow_add(cJSON *answer, uint16_t allow)
{
	char methods[64];

	(void)cJSON_AddStringToObject(
		answer, "allow", weir_model_methods_format(allow, methods, sizeof(methods)));
	(void)cJSON_AddStringToObject(answer, "why", "the path is known, with other methods");
}

/* "GET /img/7?x=1" -> method and path as the data path sees them. False: the answer is set. */
static bool test_parse(struct weir_api_call *call, const char *text, char *path,
		       struct weir_route_query *query)
{
	const char *blank = strchr(text, ' ');
	const char *target = blank == NULL ? text : blank + 1;
	enum weir_http_method method = WEIR_HTTP_GET;

	if (blank != NULL &&
	    weir_http_method_parse(
		    (struct weir_span){.data = text, .bytes = (size_t)(blank - text)},
		    &method) != 0) {
		(void)weir_api_refuse(call, 422, "invalid", "route",
				      "route must begin with GET, HEAD, POST, PUT, DELETE, "
				      "PATCH or OPTIONS, as in 'GET /img/7'");
		return false;
	}
	if (target[0] != '/' ||
	    weir_http_path_normalize(
		    (struct weir_span){.data = target, .bytes = strcspn(target, "?")}, path,
		    &query->path) != 0) {
		(void)weir_api_refuse(call, 422, "invalid", "route",
				      "route has no valid path: it begins with '/', has sound "
				      "escapes and does not climb "
				      "above the root");
		return false;
	}
	query->method = (uint8_t)method;
	return true;
}

enum weir_api_result weir_api_route_test(struct weir_api_call *call)
{
	static const char *const results[] = {"match", "none", "method"};
	const struct weir_snapshot *snapshot = call->owner->snapshot(call->owner->context);
	struct weir_route_query query = {
		.local = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "local"))};
	struct weir_route_match match = {0};
	enum weir_route_result result = WEIR_ROUTE_NONE;
	char text[TEST_TEXT_MAX] = "";
	char host[WEIR_MODEL_HOST_BYTES_MAX + 8] = "";
	char path[TEST_TEXT_MAX];

	if (!weir_api_body_text(call, "route", text, sizeof(text)) ||
	    !weir_api_body_text(call, "host", host, sizeof(host)) ||
	    !test_parse(call, text, path, &query))
		return WEIR_API_DONE;
	if (snapshot == NULL) {
		return weir_api_refuse(call, 503, "no_snapshot", NULL,
				       "nothing was published yet; see `ctrlctl status`");
	}
	query.authority = weir_span_of(host);
	result = weir_route_match(snapshot, &query, &match);
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "result",
				      results[result]); /* without memory: members lack */
	(void)cJSON_AddNumberToObject(call->answer, "generation",
				      (double)snapshot->header->generation);
	span_add(call->answer, "method",
		 weir_http_method_name((enum weir_http_method)query.method));
	span_add(call->answer, "path", query.path);
	(void)cJSON_AddStringToObject(call->answer, "host", host);
	if (result == WEIR_ROUTE_MATCH) {
		match_add(call->answer, snapshot, &match);
	} else if (result == WEIR_ROUTE_METHOD) {
		allow_add(call->answer, match.allow);
	} else {
		(void)cJSON_AddStringToObject(call->answer, "why", "no route has this path");
	}
	call->status = 200;
	return WEIR_API_DONE;
}
