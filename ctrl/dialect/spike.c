/* spike: Pixels-Spike's HTTP API (github.com/pixelsdb/pixels-spike, README and spike.proto, July 2025), of
 * namespace `default`: what grpc-gateway makes of its service.
 *
 *   POST   /v1/create_function {"function_name","image_url",
 *                               "resources":[{"cpu","memory","min_replica","max_replica"}]}
 *   POST   /v1/update_function {"function_name", and what changes: "image_url","resources","task_version",
 *                               "enable_auto_scaling"}; it was declared there and never built
 *   DELETE /v1/delete_function/NAME                   -> {"code":0,"message":"Function added"}, updated, deleted
 *   POST   /v1/call_function {"function_name","payload","cpu","memory"}     -> {"payload","errorCode":0}
 *   GET    /v1/get_all_functions             -> {"functions":[{"functionName","imageUrl","resources":[...]}]}
 *   GET    /v1/get_function_resources/NAME   -> {"functionName","resources":[{"ipv4","cpu","memory","launchType",
 *                                               "lastStatus","desiredStatus"}]}, one for each replica
 *   POST   /v1/scale_function {"function_name","cpu","memory","scale_cnt"}  -> {}
 *
 * Requests spell members as above or as "functionName", numbers may be texts, what is unknown is stepped over;
 * answers spell "functionName" and have zeros. Errors: {"code","message","details":[]} with gRPC's codes: 500 and 2
 * for what failed, 503 and 14 where it may work later, 400 and 3 for what cannot be read, 404 and 5, 501 and 12.
 * An image is the name of code that Weir has (`ctrlctl image alias`); nothing is pulled. Replicas are workers: those
 * of a spec serve all functions of the namespace that have the same. cpu is in millicores, as its README says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/spike_message.h"

enum { TIMEOUT_MS = 600000, SAID_BYTES_MAX = 256 };

/* One of "resources" as the API's spec. A maximum of 0 is none that was given. */
static cJSON *spec_read(struct weir_spike_reader *reader, const cJSON *resource)
{
	struct weir_spike_reader inner = {.json = resource};
	const int32_t most = weir_spike_number(&inner, "max_replica");
	cJSON *const spec = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(spec, "cpu_millicores", weir_spike_number(&inner, "cpu")); /* or the API misses them */
	(void)cJSON_AddNumberToObject(spec, "memory_mb", weir_spike_number(&inner, "memory"));
	(void)cJSON_AddNumberToObject(spec, "min", weir_spike_number(&inner, "min_replica"));
	if (most != 0)
		(void)cJSON_AddNumberToObject(spec, "max", most);
	if (!cJSON_IsObject(resource))
		weir_spike_wrong(reader, "each of resources", "an object");
	if (inner.wrong[0] != '\0' && reader->wrong[0] == '\0')
		memcpy(reader->wrong, inner.wrong, sizeof(inner.wrong));
	return spec;
}

/* "resources" as the API's "specs", added to `out`. */
static void specs_read(struct weir_spike_reader *reader, cJSON *out)
{
	const cJSON *const list = weir_spike_member(reader->json, "resources");
	cJSON *const specs = cJSON_AddArrayToObject(out, "specs");
	const cJSON *resource = NULL;

	if (list != NULL && !cJSON_IsArray(list))
		weir_spike_wrong(reader, "resources", "a list of objects");
	cJSON_ArrayForEach(resource, list)
		(void)cJSON_AddItemToArray(specs, spec_read(reader, resource)); /* without memory: it is not there */
}

/* ---- the API ---- */

/* As weir_spike_ask(); 1 where the API said no, which is the reply then, else 0 and nothing is left to release. `json` is
 * taken over. */
static int order(struct weir_dialect_call *call, const char *method, const char *format, const char *name,
		 cJSON *json)
{
	struct weir_dialect_verdict verdict;
	int code = weir_spike_ask(call, method, format, name, json, &verdict);

	cJSON_Delete(json);
	if (code != 0)
		return code;
	if (verdict.status >= 300) {
		code = weir_spike_refused(call, &verdict);
		return code == 0 ? 1 : code;
	}
	weir_dialect_verdict_release(&verdict);
	return 0;
}

/* What a function's order came to, as the reply. */
static int ordered(struct weir_dialect_call *call, int code, const char *message)
{
	return code == 0 ? weir_spike_done(call, message) : code == 1 ? 0 : code;
}

/* The function that a message is about. False: the reply is left, or *out_code says why there is none. */
static bool name_read(struct weir_dialect_call *call, const struct weir_spike_reader *reader, const char *text,
		      char out[WEIR_MODEL_NAME_BYTES_MAX + 1], int *out_code)
{
	if (reader->wrong[0] != '\0')
		*out_code = weir_spike_fail(call, WEIR_SPIKE_INVALID, "%s", reader->wrong);
	else if (!weir_dialect_name(weir_span_of(text), out))
		*out_code = weir_spike_name_wrong(call);
	else
		return true;
	return false;
}

/* ---- create, delete, scale ---- */

static int create_function(struct weir_dialect_call *call, cJSON **body)
{
	struct weir_spike_reader reader = {.json = *body};
	const char *const text = weir_spike_text(&reader, "function_name");
	const char *const image = weir_spike_text(&reader, "image_url");
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	cJSON *const json = cJSON_CreateObject();
	int code = 0;

	specs_read(&reader, json);
	if (!name_read(call, &reader, text, name, &code)) {
		cJSON_Delete(json);
		return code;
	}
	if (image[0] == '\0') {
		cJSON_Delete(json);
		return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "image_url names no image");
	}
	(void)cJSON_AddStringToObject(json, "namespace", WEIR_SPIKE_SPACE); /* what lacks, the API misses */
	(void)cJSON_AddStringToObject(json, "name", name);
	(void)cJSON_AddStringToObject(json, "image", image);
	(void)cJSON_AddNumberToObject(json, "timeout_ms", TIMEOUT_MS);
	return ordered(call, order(call, "POST", "/weir/functions", name, json), "Function added");
}

static int delete_function(struct weir_dialect_call *call, cJSON **body)
{
	const struct weir_span param = call->ops->param(call, "function_name");
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];

	(void)body;
	if (!weir_dialect_name(param, name))
		return weir_spike_name_wrong(call);
	return ordered(call, order(call, "DELETE", WEIR_SPIKE_FUNCTION, name, NULL), "Function deleted");
}

static int scale_function(struct weir_dialect_call *call, cJSON **body)
{
	struct weir_spike_reader reader = {.json = *body};
	const char *const text = weir_spike_text(&reader, "function_name");
	cJSON *const json = cJSON_CreateObject();
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_dialect_verdict verdict;
	const char *field = NULL;
	int code = 0;

	(void)cJSON_AddNumberToObject(json, "cpu_millicores", weir_spike_number(&reader, "cpu")); /* or it misses */
	(void)cJSON_AddNumberToObject(json, "memory_mb", weir_spike_number(&reader, "memory"));
	(void)cJSON_AddNumberToObject(json, "by", weir_spike_number(&reader, "scale_cnt"));
	if (name_read(call, &reader, text, name, &code))
		code = weir_spike_ask(call, "PATCH", WEIR_SPIKE_FUNCTION "/scale", name, json, &verdict);
	else
		field = "function_name"; /* the reply is left */
	cJSON_Delete(json);
	if (code != 0 || field != NULL)
		return code;
	if (verdict.status < 300) {
		weir_dialect_verdict_release(&verdict);
		return weir_dialect_reply_json(call, 200, cJSON_CreateObject());
	}
	field = weir_dialect_text(verdict.json, "field");
	if (field == NULL || strcmp(field, "cpu_millicores") != 0)
		return weir_spike_refused(call, &verdict);
	code = weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "no such resource spec: %s", weir_dialect_sentence(&verdict));
	weir_dialect_verdict_release(&verdict);
	return code;
}

/* ---- update ---- */

/* What an update changes. */
struct update {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	const char *task; /* "": none is named */
	int32_t version;  /* 0: none is named */
	bool has_code;    /* image or resources */
	bool has_scaling;
	bool is_scaling; /* automatic */
	const char *image;
};

/* How many workers of one of its specs there are: so many as their load needs, or those that there are in any
 * case, and no other. 0, 1: the reply is left, or as manage(). */
static int scaling_set(struct weir_dialect_call *call, const struct update *update, const cJSON *spec,
		       const cJSON *pool)
{
	const cJSON *const kept = cJSON_GetObjectItemCaseSensitive(pool, "workers_min");
	const double count = kept != NULL && kept->valuedouble > 1 ? kept->valuedouble : 1;
	cJSON *const json = cJSON_CreateObject();

	if (update->is_scaling) {
		(void)cJSON_AddTrueToObject(json, "reset"); /* what lacks, the API misses */
	} else {
		(void)cJSON_AddNumberToObject(json, "workers_min", count);
		(void)cJSON_AddNumberToObject(json, "workers_max", count);
	}
	for (const cJSON *item = spec == NULL ? NULL : spec->child; item != NULL; item = item->next) {
		if (strcmp(item->string, "cpu_millicores") == 0 || strcmp(item->string, "memory_mb") == 0)
			(void)cJSON_AddNumberToObject(json, item->string, item->valuedouble);
	}
	return order(call, "PATCH", WEIR_SPIKE_FUNCTION "/scale", update->name, json);
}

/* All of its specs; one that names none has one pool. */
static int scalings_set(struct weir_dialect_call *call, const struct update *update)
{
	struct weir_dialect_verdict verdict;
	const cJSON *specs = NULL;
	const cJSON *pools = NULL;
	int code = weir_spike_ask(call, "GET", WEIR_SPIKE_FUNCTION, update->name, NULL, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200) {
		code = weir_spike_refused(call, &verdict);
		return code == 0 ? 1 : code;
	}
	specs = cJSON_GetObjectItemCaseSensitive(verdict.json, "specs");
	pools = cJSON_GetObjectItemCaseSensitive(verdict.json, "pools");
	for (int i = 0; code == 0 && (i == 0 || i < cJSON_GetArraySize(specs)); i++)
		code = scaling_set(call, update, cJSON_GetArrayItem(specs, i), cJSON_GetArrayItem(pools, i));
	weir_dialect_verdict_release(&verdict);
	return code;
}

/* Another image as the next version, other resources, or both. Takes `json`. */
static int code_set(struct weir_dialect_call *call, const struct update *update, cJSON *json)
{
	int code = order(call, "GET", WEIR_SPIKE_FUNCTION, update->name, NULL); /* deploying would make it */

	if (code != 0) {
		cJSON_Delete(json);
		return code;
	}
	if (update->image[0] == '\0')
		return order(call, "PATCH", WEIR_SPIKE_FUNCTION, update->name, json);
	(void)cJSON_AddStringToObject(json, "image", update->image); /* or the API misses it */
	return order(call, "POST", WEIR_SPIKE_FUNCTION "/deploy", update->name, json);
}

static int version_set(struct weir_dialect_call *call, const struct update *update)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(json, "number", update->version); /* or the API takes the one before */
	return order(call, "POST", WEIR_SPIKE_FUNCTION "/rollback", update->name, json);
}

/* Why it cannot be, or NULL. */
static const char *update_wrong(const struct update *update)
{
	if (update->task[0] != '\0' && strcmp(update->task, update->name) != 0)
		return "task_name must be the function's name: its versions are its own";
	if (update->version < 0)
		return "task_version must be a version's number: `ctrlctl fn versions` lists them";
	if (update->version != 0 && update->has_code)
		return "task_version, an earlier version, excludes image_url and resources, which make a new one";
	if (update->version == 0 && !update->has_code && !update->has_scaling)
		return "nothing to update: name image_url, resources, task_version or enable_auto_scaling";
	return NULL;
}

/* Takes `specs`, which has "specs" where resources are named. */
static int update_apply(struct weir_dialect_call *call, const struct update *update, cJSON *specs)
{
	int code = 0;

	if (update->has_code)
		code = code_set(call, update, specs);
	else
		cJSON_Delete(specs);
	if (code == 0 && update->version != 0)
		code = version_set(call, update);
	if (code == 0 && update->has_scaling)
		code = scalings_set(call, update);
	return ordered(call, code, "Function updated");
}

static int update_function(struct weir_dialect_call *call, cJSON **body)
{
	struct weir_spike_reader reader = {.json = *body};
	const char *const text = weir_spike_text(&reader, "function_name");
	const bool has_specs = weir_spike_member(*body, "resources") != NULL;
	struct update update = {
		.task = weir_spike_text(&reader, "task_name"),
		.version = weir_spike_number(&reader, "task_version"),
		.has_scaling = weir_spike_member(*body, "enable_auto_scaling") != NULL,
		.is_scaling = weir_spike_switch(&reader, "enable_auto_scaling"),
		.image = weir_spike_text(&reader, "image_url"),
	};
	cJSON *const specs = cJSON_CreateObject();
	const char *wrong = NULL;
	int code = 0;

	if (has_specs)
		specs_read(&reader, specs);
	update.has_code = has_specs || update.image[0] != '\0';
	if (name_read(call, &reader, text, update.name, &code)) {
		wrong = update_wrong(&update);
		if (wrong == NULL)
			return update_apply(call, &update, specs);
		code = weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "%s", wrong);
	}
	cJSON_Delete(specs);
	return code;
}

/* ---- call ---- */

/* A message's text is UTF-8, and NUL ends a text here. */
static bool is_text(struct weir_span body)
{
	for (size_t at = 0; at < body.bytes;) {
		const size_t bytes = weir_model_utf8_bytes(body.data + at, body.bytes - at);

		if (bytes == 0 || body.data[at] == '\0')
			return false;
		at += bytes;
	}
	return true;
}

static int answered(struct weir_dialect_call *call, const char *name, const struct weir_dialect_result *result)
{
	cJSON *const json = cJSON_CreateObject();
	char *text = NULL;

	if (!is_text(result->body)) {
		cJSON_Delete(json);
		return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "the result of function %s is no text in UTF-8", name);
	}
	text = calloc(1, result->body.bytes + 1);
	if (text != NULL && result->body.bytes > 0)
		memcpy(text, result->body.data, result->body.bytes);
	if (text == NULL || cJSON_AddStringToObject(json, "payload", text) == NULL) {
		free(text);
		cJSON_Delete(json);
		return -ENOMEM;
	}
	free(text);
	(void)cJSON_AddNumberToObject(json, "errorCode", 0); /* or it lacks */
	return weir_dialect_reply_json(call, 200, json);
}

static int failed(struct weir_dialect_call *call, const char *name, const struct weir_dialect_result *result)
{
	const struct weir_span said = result->body;

	if (result->failure != NULL && strcmp(result->failure, "call_unknown") == 0)
		return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "there is no function '%s'", name);
	if (result->failure != NULL)
		return weir_spike_fail(call, weir_spike_code_of(result->status), "%s", result->sentence);
	return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "function %s failed with status %u: %.*s", name, result->status,
		    is_text(said) && said.bytes <= SAID_BYTES_MAX ? (int)said.bytes : 0, said.data);
}

/* What a call asks for: its fields, and the room for their texts. */
struct asking {
	struct weir_dialect_field field[3];
	size_t count;
	char cpu[12];
	char memory[12];
};

static void asking_add(struct asking *asking, const char *name, int32_t value, char text[12])
{
	if (value == 0)
		return;
	(void)snprintf(text, 12, "%d", value); /* fits */
	asking->field[asking->count++] =
		(struct weir_dialect_field){.name = weir_span_of(name), .value = weir_span_of(text)};
}

static int call_with(struct weir_dialect_call *call, const struct weir_dialect_named *named, const char *payload,
		     const struct asking *asking)
{
	const struct weir_dialect_invocation wanted = {.space = named->space,
						       .name = named->name,
						       .body = weir_span_of(payload),
						       .fields = asking->field,
						       .field_count = asking->count};
	struct weir_dialect_result result;
	const int code = call->ops->invoke(call, &wanted, &result);

	if (code == -EMSGSIZE)
		return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "payloads and results of functions have up to 1 MiB");
	if (code != 0)
		return code;
	return result.failure != NULL || result.status >= 400 ? failed(call, named->name, &result)
							      : answered(call, named->name, &result);
}

/* Of the body nothing but the payload is kept while the function runs. */
static int call_function(struct weir_dialect_call *call, cJSON **body)
{
	struct weir_spike_reader reader = {.json = *body};
	const char *const text = weir_spike_text(&reader, "function_name");
	const char *const given = weir_spike_text(&reader, "payload");
	const int32_t cpu = weir_spike_number(&reader, "cpu");
	const int32_t memory = weir_spike_number(&reader, "memory");
	struct asking asking = {.field = {{WEIR_SPAN("content-type"), WEIR_SPAN("text/plain; charset=utf-8")}},
				.count = 1};
	struct weir_dialect_named named;
	char *payload = NULL;
	int code = 0;

	if (reader.wrong[0] != '\0')
		return weir_spike_fail(call, WEIR_SPIKE_INVALID, "%s", reader.wrong);
	if (!weir_dialect_named(weir_span_of(text), WEIR_SPIKE_SPACE, &named))
		return weir_spike_name_wrong(call);
	if (cpu < 0 || memory < 0)
		return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "cpu and memory must not be below 0");
	asking_add(&asking, "x-weir-cpu-millicores", cpu, asking.cpu);
	asking_add(&asking, "x-weir-memory-mb", memory, asking.memory);
	payload = strdup(given);
	cJSON_Delete(*body);
	*body = NULL;
	code = payload == NULL ? -ENOMEM : call_with(call, &named, payload, &asking);
	free(payload);
	return code;
}

/* ---- the table ---- */

static const struct {
	const char *pattern;
	const char *method;
	int (*serve)(struct weir_dialect_call *call, cJSON **body); /* may take it over: NULL then */
} endpoints[] = {
	{"/v1/create_function", "POST", create_function},
	{"/v1/update_function", "POST", update_function},
	{"/v1/delete_function/{function_name}", "DELETE", delete_function},
	{"/v1/call_function", "POST", call_function},
	{"/v1/get_all_functions", "GET", weir_spike_get_all_functions},
	{"/v1/get_function_resources/{function_name}", "GET", weir_spike_get_function_resources},
	{"/v1/scale_function", "POST", scale_function},
};

static int serve(struct weir_dialect_call *call)
{
	const size_t count = sizeof(endpoints) / sizeof(endpoints[0]);
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	cJSON *body = NULL;
	size_t i = 0;
	int code = 0;

	while (i < count && !weir_span_equal(call->pattern, weir_span_of(endpoints[i].pattern)))
		i++;
	if (i == count)
		return weir_spike_fail(call, WEIR_SPIKE_NOT_FOUND, "Not Found");
	if (!weir_span_equal(call->method, weir_span_of(endpoints[i].method)))
		return weir_spike_fail(call, WEIR_SPIKE_UNIMPLEMENTED, "Method Not Allowed");
	if (strcmp(endpoints[i].method, "POST") != 0)
		return endpoints[i].serve(call, &body);
	body = weir_dialect_body(call, false, sentence);
	if (body == NULL)
		return weir_spike_fail(call, WEIR_SPIKE_INVALID, "%s", sentence);
	code = endpoints[i].serve(call, &body);
	cJSON_Delete(body);
	return code;
}

const struct weir_dialect weir_dialect_spike = {.name = "spike", .space = "default",
					     .body_bytes_max = WEIR_DIALECT_JSON_BYTES_MAX,
					     .serve = serve};
