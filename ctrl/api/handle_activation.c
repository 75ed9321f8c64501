#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/store/activation_store.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/http/http_failure.h"

enum { ROWS_DEFAULT = 30 };

/* What a listing needs while it is read. */
struct listing {
	const struct weir_api_call *call;
	cJSON *list;
};

static void id_add(cJSON *json, const char *name, uint64_t high, uint64_t low)
{
	char text[33] = {0};

	weir_id_format((struct weir_id){.high = high, .low = low}, text);
	if (high == 0 && low == 0)
		(void)cJSON_AddNullToObject(json, name);
	else
		(void)cJSON_AddStringToObject(json, name, text);
}

/* The route of that id, of either table, if it is still there. */
static bool route_find(const struct weir_api_call *call, uint64_t route_id, struct weir_model_route *out_route)
{
	struct weir_store_error error = {{0}};

	for (size_t i = 0; i < call->owner->rows->count; i++) {
		if (call->owner->rows->rows[i].route.id == route_id) {
			*out_route = call->owner->rows->rows[i].route;
			return true;
		}
	}
	return weir_store_route_get(call->owner->store, route_id, out_route, &error) == 0;
}

/* "GET /img/{id}"; null for none, and for what is gone. */
static void route_add(const struct weir_api_call *call, cJSON *json, uint64_t route_id)
{
	struct weir_model_route route;
	char methods[WEIR_MODEL_METHODS_BYTES_MAX];
	char text[WEIR_MODEL_METHODS_BYTES_MAX + WEIR_MODEL_PATTERN_BYTES_MAX + 2];

	if (route_id == 0 || !route_find(call, route_id, &route)) {
		(void)cJSON_AddNullToObject(json, "route");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s %s", weir_model_methods_format(route.methods, methods, sizeof(methods)),
		       route.pattern); /* fits */
	(void)cJSON_AddStringToObject(json, "route", text);
}

static void times_add(cJSON *json, const struct weir_activation_row *row)
{
	cJSON *const times = cJSON_AddObjectToObject(json, "times_ns");

	(void)cJSON_AddNumberToObject(times, "parse", (double)row->parse_ns);
	(void)cJSON_AddNumberToObject(times, "queue", (double)row->queue_ns);
	(void)cJSON_AddNumberToObject(times, "dispatch", (double)row->dispatch_ns);
	(void)cJSON_AddNumberToObject(times, "run", (double)row->run_ns);
	(void)cJSON_AddNumberToObject(times, "reply", (double)row->reply_ns);
	(void)cJSON_AddNumberToObject(times, "total", (double)row->total_ns);
	if (row->cpu_ns == UINT64_MAX)
		(void)cJSON_AddNullToObject(times, "cpu");
	else
		(void)cJSON_AddNumberToObject(times, "cpu", (double)row->cpu_ns);
}

/* The word of Weir's own failures, as in their answers; null if the function answered. */
static void failure_add(cJSON *json, const struct weir_activation_row *row)
{
	if (row->failure == 0 || row->failure >= WEIR_HTTP_FAILURE_COUNT)
		(void)cJSON_AddNullToObject(json, "failure");
	else
		(void)cJSON_AddStringToObject(json, "failure",
					      weir_http_failure_row((enum weir_http_failure)row->failure)->code);
}

static cJSON *row_json(const struct weir_api_call *call, const struct weir_activation_row *row)
{
	cJSON *const json = cJSON_CreateObject();
	char function[160];

	(void)snprintf(function, sizeof(function), "%.*s", (int)row->function.bytes, row->function.data); /* fits */
	(void)cJSON_AddNumberToObject(json, "number", (double)row->number); /* without memory members lack */
	id_add(json, "activation", row->id_high, row->id_low);
	id_add(json, "parent", row->parent_high, row->parent_low);
	(void)cJSON_AddStringToObject(json, "function", function);
	(void)cJSON_AddNumberToObject(json, "version", (double)row->version);
	route_add(call, json, row->route_id);
	weir_api_time_add(json, "start", row->started_ns);
	(void)cJSON_AddNumberToObject(json, "status", row->status);
	failure_add(json, row);
	(void)cJSON_AddBoolToObject(json, "cut", (row->flags & WEIR_ACTIVATION_ROW_CUT) != 0);
	(void)cJSON_AddBoolToObject(json, "cold", (row->flags & WEIR_ACTIVATION_ROW_COLD) != 0);
	(void)cJSON_AddBoolToObject(json, "failed", weir_activation_row_is_failed(row));
	(void)cJSON_AddNumberToObject(json, "worker", (double)row->worker_id);
	times_add(json, row);
	(void)cJSON_AddNumberToObject(json, "request_bytes", (double)row->request_bytes);
	(void)cJSON_AddNumberToObject(json, "answer_bytes", (double)row->answer_bytes);
	return json;
}

static void row_visit(void *context, const struct weir_activation_row *row)
{
	const struct listing *const listing = context;

	(void)cJSON_AddItemToArray(listing->list, row_json(listing->call, row));
}

static bool filter_read(struct weir_api_call *call, struct weir_activation_filter *filter)
{
	struct weir_api_page page = {.limit = ROWS_DEFAULT};
	uint64_t failed = 0;
	uint64_t until_ns = 0;

	if (!weir_api_page_read(call, &page, WEIR_ACTIVATION_STORE_ROWS_MAX) ||
	    !weir_api_query_number(call, "until", INT64_MAX, &until_ns) ||
	    !weir_api_query_number(call, "failed", 1, &failed))
		return false;
	*filter = (struct weir_activation_filter){.after_number = page.after,
						  .since_ns = page.since_ns,
						  .until_ns = until_ns,
						  .newest = page.newest,
						  .rows_max = page.limit,
						  .is_failed = failed != 0};
	return true;
}

enum weir_api_result weir_api_activation_list(struct weir_api_call *call)
{
	struct weir_activation_filter filter;
	struct weir_store_error error = {{0}};
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct listing listing = {.call = call};
	cJSON *answer = NULL;
	int code = 0;

	if (!filter_read(call, &filter))
		return WEIR_API_DONE;
	if (weir_api_query(call, "function", function, sizeof(function)))
		filter.function = function;
	if (weir_api_query(call, "namespace", space, sizeof(space)))
		filter.space = space;
	if (filter.space == NULL)
		filter.space = weir_api_space_of(call);
	else if (!weir_api_sees(call, filter.space))
		return weir_api_refuse(call, 403, "forbidden", "namespace", "this is of another namespace than who asks");
	if (!weir_api_is_kept(call, WEIR_API_RECORDS))
		return WEIR_API_RETRY;
	answer = cJSON_CreateObject();
	listing.list = cJSON_AddArrayToObject(answer, "activations");
	code = weir_activation_store_read(call->owner->data, &filter, row_visit, &listing, &error);
	if (code != 0 && code != -ENOENT) {
		cJSON_Delete(answer);
		return weir_api_refuse_store(call, code, &error);
	}
	cJSON_Delete(call->answer);
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}

/* The function of the first record. */
static const char *function_of(const cJSON *list)
{
	const char *const function =
		cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, 0), "function"));

	return function == NULL ? "" : function;
}

enum weir_api_result weir_api_activation_get(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct listing listing = {.call = call};
	uint64_t high = 0;
	uint64_t low = 0;
	int code = 0;

	if (!weir_api_activation_parse(call, call->param[0], &high, &low))
		return WEIR_API_DONE;
	if (!weir_api_is_kept(call, WEIR_API_RECORDS))
		return WEIR_API_RETRY;
	listing.list = cJSON_CreateArray();
	code = weir_activation_store_find(call->owner->data, high, low, row_visit, &listing, &error);
	if (code == 0 && !weir_api_sees_function(call, function_of(listing.list)))
		code = -ENOENT;
	if (code == 0) {
		cJSON_Delete(call->answer);
		call->answer = cJSON_DetachItemFromArray(listing.list, 0);
		call->status = 200;
	}
	cJSON_Delete(listing.list);
	if (code == 0)
		return WEIR_API_DONE;
	if (code != -ENOENT)
		return weir_api_refuse_store(call, code, &error);
	return weir_api_refuse(call, 404, "not_found", NULL,
			       "nothing is kept of this activation: the id is unknown, the record was skipped (see "
			       "activation_kept_per_s in `ctrlctl config list`), or it is too old");
}
