/* What clients, dialects and ctrlctl ask for.
 *
 *   POST   /weir/async/NAMESPACE/NAME   202 {"activation"}: it will run. x-weir-priority, x-weir-delay-ms,
 *                                       x-weir-retries, idempotency-key; 413, 429, 503 where it cannot be kept
 *   GET    /weir/async/ID               200: what became of it, with the answer
 *   GET    /weir/async/ID/result        the answer alone; 202 as long as there is none
 *   DELETE /weir/async/ID               cancel: 202 where it runs; 409: it has ended; ?forget=1: forget one that has
 *   POST   /weir/async/ID               one that has ended: again; ?new=1: a new call like it
 *   GET    /weir/async[?state=S]        how many there are; those in a state: &after=NUMBER&limit=N */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/model/builtin.h"
#include "ctrl/queued/door.h"
#include "dataplane/base/clock.h"

enum { LIST_DEFAULT = 100, ID_BYTES = 33 };

static void id_write(struct weir_id id, char out[ID_BYTES])
{
	weir_id_format(id, out);
	out[ID_BYTES - 1] = '\0';
}

static int missing(struct weir_door *door)
{
	return weir_door_refuse(door, 404, "call_gone", "There is no asynchronous call with this id, or it was too long ago");
}

/* ---- accepting ---- */

/* A field that is a whole number up to `max`; `otherwise` where it is not there. False: it is none. */
static bool number_read(const struct weir_door *door, const char *name, uint64_t max, uint64_t otherwise,
			uint64_t *out_number)
{
	const struct weir_span text = weir_door_field(door, name);
	uint64_t number = 0;

	*out_number = otherwise;
	if (text.bytes == 0)
		return true;
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
		if (number > max)
			return false;
	}
	*out_number = number;
	return true;
}

/* The call's name, priority, delay and so on. 0; 1: a refusal was sent; or an errno. */
static int wishes_read(struct weir_door *door, struct weir_span space, struct weir_span name)
{
	static const char *const fields[] = {"x-weir-priority", "x-weir-delay-ms", "x-weir-retries"};
	const uint64_t max[] = {WEIR_QUEUE_PRIORITY_MAX, WEIR_QUEUE_DELAY_S_MAX * UINT64_C(1000), WEIR_QUEUE_RETRIES_MAX};
	uint64_t value[] = {WEIR_QUEUE_PRIORITY_DEFAULT, 0, door->limits->retries_max};
	const struct weir_span key = weir_door_field(door, "idempotency-key");
	struct weir_queue_call *const call = &door->operation->call;
	char text[2 * WEIR_MODEL_NAME_BYTES_MAX + 2] = "";
	struct weir_model_error wrong;
	int result = 0;

	if (space.bytes <= WEIR_MODEL_NAME_BYTES_MAX && name.bytes <= WEIR_MODEL_NAME_BYTES_MAX)
		(void)snprintf(text, sizeof(text), "%.*s/%.*s", (int)space.bytes, space.data, (int)name.bytes, name.data);
	if (weir_model_name_parse(text, call->space, call->name, &wrong) != 0 ||
	    strcmp(call->space, WEIR_BUILTIN_SPACE) == 0) {
		result = weir_door_refuse(door, 404, "call_unknown", "There is no function of this name to call");
		return result == 0 ? 1 : result;
	}
	if (!weir_door_may(door, call->space)) {
		result = weir_door_refuse(door, 403, "forbidden", "The key is of another namespace than the function");
		return result == 0 ? 1 : result;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (number_read(door, fields[i], max[i], value[i], &value[i]))
			continue;
		result = weir_door_refuse(door, 400, "bad_field", "%s is a whole number up to %" PRIu64, fields[i], max[i]);
		return result == 0 ? 1 : result;
	}
	if (key.bytes > WEIR_QUEUE_KEY_BYTES_MAX) {
		result = weir_door_refuse(door, 400, "bad_field", "idempotency-key has at most %d bytes",
					  WEIR_QUEUE_KEY_BYTES_MAX);
		return result == 0 ? 1 : result;
	}
	if (key.bytes > 0)
		memcpy(door->operation->key, key.data, key.bytes);
	call->priority = (uint32_t)value[0];
	call->due_ms = value[1] == 0 ? 0 : (int64_t)(weir_clock_wall_ns() / WEIR_NS_PER_MS + value[1]);
	call->retries_max = (uint32_t)value[2];
	return 0;
}

/* Copy what is the caller's, up to `max` bytes; NULL where it is empty. 0, -E2BIG, -ENOMEM. */
static int text_copy(struct weir_span text, size_t max, char **out)
{
	if (text.bytes > max)
		return -E2BIG;
	*out = text.bytes == 0 ? NULL : strndup(text.data, text.bytes);
	return text.bytes == 0 || *out != NULL ? 0 : -ENOMEM;
}

/* Its body, content type and query. As wishes_read(). */
static int content_read(struct weir_door *door)
{
	struct weir_queue_call *const call = &door->operation->call;
	int result = weir_whole_body_read(door->call, &door->body, door->limits->body_bytes_max);

	if (result == -EMSGSIZE) {
		result = weir_door_refuse(door, 413, "body_too_large",
					  "The body of an asynchronous call has at most %" PRIu64
					  " bytes (setting async.body_bytes_max)",
					  door->limits->body_bytes_max);
		return result == 0 ? 1 : result;
	}
	if (result == 0)
		result = text_copy(weir_door_field(door, "content-type"), WEIR_QUEUE_TYPE_BYTES_MAX, &call->type);
	if (result == 0)
		result = text_copy(weir_runtime_span(door->call, door->call->head->query), WEIR_QUEUE_QUERY_BYTES_MAX,
				   &call->query);
	if (result == -E2BIG) {
		result = weir_door_refuse(door, 400, "bad_field",
					  "The query of an asynchronous call has at most %d bytes, its content type %d",
					  WEIR_QUEUE_QUERY_BYTES_MAX, WEIR_QUEUE_TYPE_BYTES_MAX);
		return result == 0 ? 1 : result;
	}
	if (result != 0)
		return result;
	call->body = malloc(door->body.bytes + 1);
	if (call->body == NULL)
		return -ENOMEM;
	if (door->body.bytes > 0)
		memcpy(call->body, door->body.data, door->body.bytes);
	call->body_bytes = door->body.bytes;
	return 0;
}

static int accepted(struct weir_door *door, struct weir_id id)
{
	cJSON *const json = cJSON_CreateObject();
	char text[ID_BYTES];
	char location[64];
	const struct weir_runtime_field field = {
		.name = WEIR_SPAN("location"),
		.value = {.data = location,
			  .bytes = sizeof("/weir/async/") - 1 + ID_BYTES - 1},
	};

	id_write(id, text);
	(void)snprintf(location, sizeof(location), "/weir/async/%s", text); /* fits */
	(void)cJSON_AddStringToObject(json, "activation", text); /* or it lacks */
	return weir_door_answer_json(door, 202, json, &field, 1);
}

static int full(struct weir_door *door)
{
	return weir_door_refuse(door, 429, "async_full",
				"As many asynchronous calls wait, or as many bytes of them are kept, as may (settings "
				"async.rows_max %" PRIu64 ", async.bytes_max %" PRIu64 "); try again later",
				door->limits->rows_max, door->limits->bytes_max);
}

int weir_door_accept(struct weir_door *door, struct weir_span space, struct weir_span name)
{
	int result = weir_door_operation(door, WEIR_OPERATION_ACCEPT);

	if (result == 0)
		result = wishes_read(door, space, name);
	if (result == 0)
		result = content_read(door);
	if (result != 0)
		return result == 1 ? 0 : result;
	door->operation->call.id =
		(struct weir_id){.high = door->call->activation_high, .low = door->call->activation_low};
	result = weir_door_do(door);
	if (result != 0)
		return result;
	if (door->operation->sentence[0] != '\0')
		return weir_door_trouble(door);
	if (door->operation->result == -EDQUOT)
		return full(door);
	if (door->operation->result == -EEXIST)
		return weir_door_refuse(door, 422, "key_taken",
					"This idempotency-key came with a call of another function before");
	return accepted(door, door->operation->call.id);
}

/* ---- telling ---- */

static void time_add(cJSON *json, const char *name, int64_t ms)
{
	const time_t seconds = (time_t)(ms / 1000);
	struct tm utc;
	char text[40];
	char whole[64];

	if (ms == 0 || gmtime_r(&seconds, &utc) == NULL)
		return;
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(whole, sizeof(whole), "%s.%03dZ", text, (int)(ms % 1000)); /* fits */
	(void)cJSON_AddStringToObject(json, name, whole);
}

static bool is_text(const char *data, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		const size_t step = weir_model_utf8_bytes(data + at, bytes - at);

		if (step == 0 || data[at] == '\0')
			return false;
		at += step;
	}
	return true;
}

/* "body": text, or "body_base64". */
static void body_add(cJSON *json, const char *data, size_t bytes)
{
	const size_t room = sodium_base64_encoded_len(bytes, sodium_base64_VARIANT_ORIGINAL);
	char *text = NULL;

	if (is_text(data, bytes)) {
		(void)cJSON_AddStringToObject(json, "body", data); /* NUL-terminated */
		return;
	}
	text = malloc(room);
	if (text == NULL)
		return;
	(void)sodium_bin2base64(text, room, (const unsigned char *)data, bytes, sodium_base64_VARIANT_ORIGINAL);
	(void)cJSON_AddStringToObject(json, "body_base64", text);
	free(text);
}

/* Members that memory is lacking for lack. */
static cJSON *call_json(const struct weir_queue_call *call)
{
	cJSON *const json = cJSON_CreateObject();
	char text[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];

	id_write(call->id, text);
	(void)cJSON_AddStringToObject(json, "activation", text);
	(void)snprintf(text, sizeof(text), "%s/%s", call->space, call->name); /* fits */
	(void)cJSON_AddStringToObject(json, "function", text);
	(void)cJSON_AddStringToObject(json, "state", weir_queue_state_name(call->state));
	(void)cJSON_AddNumberToObject(json, "number", (double)call->number);
	(void)cJSON_AddNumberToObject(json, "priority", call->priority);
	(void)cJSON_AddNumberToObject(json, "attempts", call->attempt);
	(void)cJSON_AddNumberToObject(json, "failed", call->failed);
	(void)cJSON_AddNumberToObject(json, "retries", call->retries_max);
	time_add(json, "accepted", call->accepted_ms);
	if (call->state == WEIR_QUEUE_DELAYED)
		time_add(json, "due", call->due_ms);
	time_add(json, "begun", call->begun_ms);
	time_add(json, "ended", call->ended_ms);
	if (call->is_cancelled)
		(void)cJSON_AddTrueToObject(json, "cancelled");
	if (call->status != 0)
		(void)cJSON_AddNumberToObject(json, "status", call->status);
	if (call->failure != NULL)
		(void)cJSON_AddStringToObject(json, "failure", call->failure);
	if (call->answer_type != NULL)
		(void)cJSON_AddStringToObject(json, "content_type", call->answer_type);
	if (call->answer != NULL)
		body_add(json, call->answer, call->answer_bytes);
	return json;
}

/* One operation about a call. 0; 1: an answer was sent; or an errno. */
static int call_do(struct weir_door *door, enum weir_operation_kind kind, struct weir_id id)
{
	int result = weir_door_operation(door, kind);

	if (result != 0)
		return result;
	door->operation->id = id;
	door->operation->new_id =
		(struct weir_id){.high = door->call->activation_high, .low = door->call->activation_low};
	result = weir_door_do(door);
	if (result != 0)
		return result;
	if (door->operation->sentence[0] != '\0')
		result = weir_door_trouble(door);
	else if (door->operation->result == -ENOENT)
		result = missing(door);
	else
		return 0;
	return result == 0 ? 1 : result;
}

/* The same, of one that who calls may reach: of others it is said that there are none, before anything is done. */
static int call_find(struct weir_door *door, enum weir_operation_kind kind, struct weir_id id)
{
	const int found = call_do(door, WEIR_OPERATION_FIND, id);
	int result = 0;

	if (found != 0)
		return found;
	if (weir_door_may(door, door->operation->call.space))
		return kind == WEIR_OPERATION_FIND ? 0 : call_do(door, kind, id);
	result = missing(door);
	return result == 0 ? 1 : result;
}

int weir_door_call_get(struct weir_door *door, struct weir_id id)
{
	const int result = call_find(door, WEIR_OPERATION_FIND, id);

	if (result != 0)
		return result == 1 ? 0 : result;
	return weir_door_answer_json(door, 200, call_json(&door->operation->call), NULL, 0);
}

int weir_door_result_get(struct weir_door *door, struct weir_id id)
{
	const struct weir_queue_call *call = NULL;
	struct weir_runtime_field field[WEIR_DOOR_FIELDS_MAX];
	char status[16];
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	size_t count = 0;
	const int result = call_find(door, WEIR_OPERATION_FIND, id);

	if (result != 0)
		return result == 1 ? 0 : result;
	call = &door->operation->call;
	(void)snprintf(status, sizeof(status), "%u", call->status);			     /* fits */
	(void)snprintf(function, sizeof(function), "%s/%s", call->space, call->name); /* likewise */
	field[count++] = (struct weir_runtime_field){WEIR_SPAN("x-weir-state"),
						     weir_span_of(weir_queue_state_name(call->state))};
	field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_FUNCTION), weir_span_of(function)};
	field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_STATUS), weir_span_of(status)};
	if (call->failure != NULL)
		field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_FAILURE), weir_span_of(call->failure)};
	if (call->state < WEIR_QUEUE_DONE)
		return weir_door_answer(door, 202, NULL, WEIR_SPAN(""), field, count);
	return weir_door_answer(door, 200, call->answer_type,
				(struct weir_span){.data = call->answer, .bytes = call->answer_bytes}, field, count);
}

/* ---- changing ---- */

static int state_tell(struct weir_door *door, uint32_t status, struct weir_id id, const char *state)
{
	cJSON *const json = cJSON_CreateObject();
	char text[ID_BYTES];

	id_write(id, text);
	(void)cJSON_AddStringToObject(json, "activation", text); /* or members lack */
	(void)cJSON_AddStringToObject(json, "state", state);
	return weir_door_answer_json(door, status, json, NULL, 0);
}

static int call_cancel(struct weir_door *door, struct weir_id id)
{
	const int result = call_find(door, WEIR_OPERATION_CANCEL, id);

	if (result != 0)
		return result == 1 ? 0 : result;
	if (door->operation->result == -EALREADY)
		return weir_door_refuse(door, 409, "call_ended", "The call has ended: it is %s",
					weir_queue_state_name(door->operation->state));
	/* A running one is told within a second. */
	return door->operation->state == WEIR_QUEUE_RUNNING ? state_tell(door, 202, id, "cancelling")
							    : state_tell(door, 200, id, "cancelled");
}

static int call_again(struct weir_door *door, struct weir_id id, enum weir_operation_kind kind, const char *state)
{
	const int result = call_find(door, kind, id);

	if (result != 0)
		return result == 1 ? 0 : result;
	if (door->operation->result == -EBUSY)
		return weir_door_refuse(door, 409, "call_not_ended", "The call has not ended");
	if (door->operation->result == -EDQUOT)
		return full(door);
	if (kind == WEIR_OPERATION_REPLAY)
		return accepted(door, door->operation->call.id);
	return state_tell(door, kind == WEIR_OPERATION_REDRIVE ? 202 : 200, id, state);
}

int weir_door_call_change(struct weir_door *door, struct weir_id id)
{
	const struct weir_span query = weir_runtime_span(door->call, door->call->head->query);

	if (weir_span_equal(door->method, WEIR_SPAN("DELETE")) && query.bytes == 0)
		return call_cancel(door, id);
	if (weir_span_equal(door->method, WEIR_SPAN("DELETE")) && weir_span_equal(query, WEIR_SPAN("forget=1")))
		return call_again(door, id, WEIR_OPERATION_REMOVE, "forgotten");
	if (weir_span_equal(door->method, WEIR_SPAN("POST")) && query.bytes == 0)
		return call_again(door, id, WEIR_OPERATION_REDRIVE, "ready");
	if (weir_span_equal(door->method, WEIR_SPAN("POST")) && weir_span_equal(query, WEIR_SPAN("new=1")))
		return call_again(door, id, WEIR_OPERATION_REPLAY, NULL);
	return weir_door_refuse(door, 405, "method_not_allowed",
				"GET tells of a call, DELETE cancels it (?forget=1: forgets it), POST runs it again (?new=1: "
				"as a new call)");
}

/* ---- all of them ---- */

/* Parameter `name` of the query, as it stands there. */
static struct weir_span query_find(const struct weir_door *door, struct weir_span name)
{
	struct weir_span rest = weir_runtime_span(door->call, door->call->head->query);

	while (rest.bytes > 0) {
		const char *const end = memchr(rest.data, '&', rest.bytes);
		const size_t bytes = end == NULL ? rest.bytes : (size_t)(end - rest.data);

		if (bytes > name.bytes && memcmp(rest.data, name.data, name.bytes) == 0 && rest.data[name.bytes] == '=')
			return (struct weir_span){.data = rest.data + name.bytes + 1, .bytes = bytes - name.bytes - 1};
		rest.data += end == NULL ? bytes : bytes + 1;
		rest.bytes -= end == NULL ? bytes : bytes + 1;
	}
	return WEIR_SPAN("");
}

static int64_t query_number(const struct weir_door *door, struct weir_span name, int64_t otherwise, int64_t max)
{
	const struct weir_span text = query_find(door, name);
	char copy[24] = "";
	int64_t number = otherwise;

	if (text.bytes == 0 || text.bytes >= sizeof(copy))
		return otherwise;
	memcpy(copy, text.data, text.bytes);
	number = strtoll(copy, NULL, 10);
	return number < 0 ? otherwise : number > max ? max : number;
}

static int counts_tell(struct weir_door *door)
{
	const struct weir_queue_status *status = NULL;
	cJSON *json = NULL;
	int result = weir_door_operation(door, WEIR_OPERATION_STATUS);

	if (result == 0)
		result = weir_door_do(door);
	if (result != 0)
		return result;
	if (door->operation->sentence[0] != '\0')
		return weir_door_trouble(door);
	status = &door->operation->status;
	json = cJSON_CreateObject(); /* without memory members lack */
	for (enum weir_queue_state state = 0; state < WEIR_QUEUE_STATES; state++)
		(void)cJSON_AddNumberToObject(json, weir_queue_state_name(state), (double)status->count[state]);
	(void)cJSON_AddNumberToObject(json, "runners", status->runners);
	(void)cJSON_AddNumberToObject(json, "bytes", (double)status->bytes);
	(void)cJSON_AddNumberToObject(json, "rows_max", (double)door->limits->rows_max);
	(void)cJSON_AddNumberToObject(json, "bytes_max", (double)door->limits->bytes_max);
	time_add(json, "oldest", status->oldest_ms);
	time_add(json, "next_due", status->due_ms);
	return weir_door_answer_json(door, 200, json, NULL, 0);
}

static int list_tell(struct weir_door *door)
{
	cJSON *json = NULL;
	cJSON *list = NULL;
	int result = weir_door_do(door);

	if (result != 0)
		return result;
	if (door->operation->sentence[0] != '\0')
		return weir_door_trouble(door);
	json = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(json, "calls");
	for (int i = 0; i < door->operation->list_count; i++) {
		if (weir_door_may_list(door, door->operation->list[i].space)) /* a page has fewer, then */
			(void)cJSON_AddItemToArray(list, call_json(&door->operation->list[i])); /* or it lacks */
	}
	return weir_door_answer_json(door, 200, json, NULL, 0);
}

int weir_door_status(struct weir_door *door)
{
	const struct weir_span state = query_find(door, WEIR_SPAN("state"));
	char name[16] = "";
	int result = 0;

	if (!weir_span_equal(door->method, WEIR_SPAN("GET")))
		return weir_door_refuse(door, 405, "method_not_allowed", "GET /weir/async tells what there is");
	if (state.bytes == 0)
		return counts_tell(door);
	result = weir_door_operation(door, WEIR_OPERATION_LIST);
	if (result != 0)
		return result;
	if (state.bytes < sizeof(name))
		memcpy(name, state.data, state.bytes);
	door->operation->state = WEIR_QUEUE_STATES;
	door->operation->after = query_number(door, WEIR_SPAN("after"), 0, INT64_MAX);
	door->operation->max = (size_t)query_number(door, WEIR_SPAN("limit"), LIST_DEFAULT, WEIR_QUEUE_LIST_MAX);
	if (door->operation->max == 0)
		door->operation->max = 1;
	if (strcmp(name, "any") != 0 && !weir_queue_state_find(name, &door->operation->state))
		return weir_door_refuse(door, 400, "bad_state",
					"state is any, delayed, ready, running, done, dead or cancelled");
	return list_tell(door);
}
