#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"
#include "ctrl/model/model_json.h"
#include "dataplane/base/clock.h"

enum {
	REMEMBERED = 128,
	REMEMBERED_MS = 2000,
	REMEMBERED_BYTES_MAX = 65536, /* of what the API tells of one */
};

/* ---- what the action is ---- */

/* What was known of functions a moment ago: asking costs more than a call, and ctrld may be away. */
static struct {
	struct weir_whisk_name name;
	cJSON *function;
	uint64_t until_ns;
} remembered[REMEMBERED];

static size_t place_of(const struct weir_whisk_name *name)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	for (const char *at = name->space; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619;
	for (const char *at = name->function; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619;
	return hash % REMEMBERED;
}

/* NULL: nothing is known of it. */
static const cJSON *recall(const struct weir_whisk_name *name, bool *out_is_fresh)
{
	const size_t place = place_of(name);

	*out_is_fresh = weir_clock_now_ns() < remembered[place].until_ns;
	return strcmp(remembered[place].name.space, name->space) == 0 &&
			       strcmp(remembered[place].name.function, name->function) == 0
		       ? remembered[place].function
		       : NULL;
}

/* Takes the function over; NULL forgets it. */
static void remember(const struct weir_whisk_name *name, cJSON *function)
{
	const size_t place = place_of(name);
	bool is_fresh = false;

	if (function == NULL && recall(name, &is_fresh) == NULL)
		return;
	cJSON_Delete(remembered[place].function);
	remembered[place].name = *name;
	remembered[place].function = function;
	remembered[place].until_ns = weir_clock_now_ns() + REMEMBERED_MS * WEIR_NS_PER_MS;
}

/* An action about to be called: everything that is needed once it was, since what is remembered may change. */
struct action {
	const struct weir_whisk_name *name;
	cJSON *activation; /* as far as it is known before */
	char *arguments;   /* the call's over those that are bound */
	uint32_t timeout_ms;
	bool is_whisk; /* it was made here, so it has to return what OpenWhisk's do */
};

static void action_release(struct action *action)
{
	cJSON_Delete(action->activation);
	cJSON_free(action->arguments);
}

static void annotation_add(cJSON *list, const char *key, cJSON *value)
{
	cJSON *const pair = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(pair, "key", key); /* or members lack */
	(void)cJSON_AddItemToObject(pair, "value", value);
	(void)cJSON_AddItemToArray(list, pair);
}

static cJSON *activation_begin(const cJSON *function)
{
	cJSON *const json = cJSON_CreateObject();
	cJSON *annotations = NULL;
	char path[WEIR_WHISK_PATH_BYTES];
	char whole[2 * WEIR_WHISK_PATH_BYTES];
	char version[24];
	const char *name = NULL;

	weir_whisk_path(function, path, &name);
	weir_whisk_version(function, version);
	(void)snprintf(whole, sizeof(whole), "%s/%s", path, name); /* fits */
	(void)cJSON_AddStringToObject(json, "namespace", weir_dialect_text(function, "namespace")); /* or members lack */
	(void)cJSON_AddStringToObject(json, "name", name);
	(void)cJSON_AddStringToObject(json, "version", version);
	(void)cJSON_AddStringToObject(json, "subject", "guest");
	(void)cJSON_AddFalseToObject(json, "publish");
	annotations = cJSON_AddArrayToObject(json, "annotations");
	annotation_add(annotations, "path", cJSON_CreateString(whole));
	annotation_add(annotations, "kind", cJSON_CreateString(weir_whisk_kind(function)));
	annotation_add(annotations, "limits", weir_whisk_limits(function));
	return json;
}

/* The call's arguments over the bound ones. NULL: no memory. */
static char *arguments_join(const cJSON *bound, const cJSON *given)
{
	cJSON *const all = cJSON_IsObject(bound) ? cJSON_Duplicate(bound, true) : cJSON_CreateObject();
	const cJSON *item = NULL;
	char *text = NULL;

	cJSON_ArrayForEach(item, given)
	{
		cJSON_DeleteItemFromObjectCaseSensitive(all, item->string);
		(void)cJSON_AddItemToObject(all, item->string, cJSON_Duplicate(item, true)); /* or it lacks */
	}
	text = cJSON_PrintUnformatted(all);
	cJSON_Delete(all);
	return text;
}

/* False: no memory. */
static bool action_take(struct action *action, const cJSON *function, const cJSON *given)
{
	action->activation = activation_begin(function);
	action->arguments = arguments_join(cJSON_GetObjectItemCaseSensitive(function, "parameters"), given);
	action->timeout_ms = (uint32_t)weir_whisk_number(function, "timeout_ms", 0);
	action->is_whisk = weir_whisk_note(function) != NULL;
	return action->activation != NULL && action->arguments != NULL;
}

/* Fill `action`. False: *out_code is serve()'s; a reply was made if that is 0. */
static bool action_know(struct weir_dialect_call *call, const cJSON *given, struct action *action, int *out_code)
{
	bool is_fresh = false;
	const cJSON *known = recall(action->name, &is_fresh);
	struct weir_dialect_verdict verdict = {.status = 503};

	if (known == NULL || !is_fresh) {
		*out_code = weir_whisk_look_up(call, action->name, &verdict);
		if (*out_code != 0)
			return false;
		known = recall(action->name, &is_fresh); /* others ran meanwhile */
	}
	if (verdict.status == 200)
		known = verdict.json;
	if (verdict.status == 404)
		remember(action->name, NULL);
	if (known == NULL || (verdict.status != 200 && verdict.status != 503)) {
		*out_code = weir_whisk_refused(call, &verdict);
		return false;
	}
	*out_code = action_take(action, known, given) ? 0 : -ENOMEM;
	if (verdict.status == 200 && verdict.bytes <= REMEMBERED_BYTES_MAX) {
		remember(action->name, verdict.json);
		verdict.json = NULL;
	}
	weir_dialect_verdict_release(&verdict);
	return *out_code == 0;
}

/* ---- what came of it ---- */

/* As OpenWhisk counts them. */
enum outcome { SUCCESS, APPLICATION_ERROR, DEVELOPER_ERROR, INTERNAL_ERROR };

static const char *const outcomes[] = {"success", "application error", "action developer error", "whisk internal error"};

/* {"MEMBER": value}, where the value is JSON, or else a text; NULL: it is no text either, or no memory. */
static char *wrapped(const char *member, const char *json, struct weir_span text)
{
	cJSON *const object = cJSON_CreateObject();
	char *copy = NULL;
	char *printed = NULL;
	size_t at = 0;

	while (json == NULL && at < text.bytes) {
		const size_t step = weir_model_utf8_bytes(text.data + at, text.bytes - at);

		if (step == 0 || text.data[at] == '\0')
			break;
		at += step;
	}
	if (json != NULL) {
		(void)cJSON_AddRawToObject(object, member, json); /* or it is {} */
	} else if (at == text.bytes) {
		copy = strndup(text.bytes == 0 ? "" : text.data, text.bytes);
		(void)cJSON_AddStringToObject(object, member, copy == NULL ? "" : copy);
	}
	if (json != NULL || at == text.bytes)
		printed = cJSON_PrintUnformatted(object);
	free(copy);
	cJSON_Delete(object);
	return printed;
}

static char *error_of(const char *before, const char *text, const char *behind)
{
	char sentence[2 * WEIR_DIALECT_SENTENCE_BYTES];

	(void)snprintf(sentence, sizeof(sentence), "%s%s%s", before, text, behind); /* cut is fine */
	return wrapped("error", NULL, weir_span_of(sentence));
}

/* The body in canonical form, from malloc; NULL: it is no JSON. */
static char *json_of(struct weir_span body)
{
	char *const text = malloc(body.bytes + 1);
	size_t bytes = 0;

	if (text != NULL && body.bytes > 0 &&
	    weir_model_json_canonicalize(body, "result", WEIR_DIALECT_JSON_DEPTH_MAX, text, &bytes, NULL) == 0)
		return text;
	free(text);
	return NULL;
}

/* What a function answered, as a result. NULL: no memory. */
static char *answer_read(const struct action *action, const struct weir_dialect_result *result, enum outcome *out_outcome)
{
	char *const json = json_of(result->body);
	const bool is_object = json != NULL && json[0] == '{';
	struct weir_span error;
	char *out = NULL;

	*out_outcome = SUCCESS;
	if (result->status >= 300 || (is_object && weir_model_json_member(weir_span_of(json), "error", &error)))
		*out_outcome = APPLICATION_ERROR;
	if (is_object && (*out_outcome == SUCCESS || weir_model_json_member(weir_span_of(json), "error", &error)))
		return json;
	if (*out_outcome == APPLICATION_ERROR)
		out = wrapped("error", json, result->body);
	else if (json != NULL && json[0] == '[')
		return json;
	else if (result->body.bytes == 0)
		out = strdup("{}");
	else if (!action->is_whisk)
		out = wrapped("result", json, result->body);
	free(json);
	if (out != NULL)
		return out;
	*out_outcome = DEVELOPER_ERROR;
	return error_of("The action did not return a dictionary or array.", "", "");
}

/* What Weir says of an action that ran and did not answer. NULL: it is not the action's fault, see refuse(). */
static char *failure_read(const struct action *action, const struct weir_dialect_result *result)
{
	static const char *const own[] = {"function_failed", "function_garbage", "worker_died", "out_of_memory"};
	char limit[24];

	(void)snprintf(limit, sizeof(limit), "%u", action->timeout_ms); /* fits */
	if (strcmp(result->failure, "function_timeout") == 0)
		return error_of("The action exceeded its time limits of ", limit, " milliseconds.");
	if (strcmp(result->failure, "function_load") == 0)
		return error_of("Initialization has failed due to: ", result->sentence, "");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strcmp(result->failure, own[i]) == 0)
			return error_of("An error has occurred: ", result->sentence, "");
	}
	return NULL;
}

/* It did not run. */
static int refuse(struct weir_dialect_call *call, const struct action *action, const struct weir_dialect_result *result)
{
	if (strcmp(result->failure, "call_unknown") == 0)
		return weir_whisk_missing(call);
	if (strcmp(result->failure, "call_foreign") == 0)
		return weir_whisk_fail(call, 403, "The supplied authentication is not authorized to access '%s/%s'.",
				       action->name->space, action->name->function);
	if (result->status == 429 || result->status == 503)
		return weir_whisk_fail(call, (uint16_t)result->status, "%s", result->sentence);
	return weir_whisk_fail(call, 500, "There was an internal server error: %s", result->sentence);
}

/* The record, as far as it is known here. Takes `result` over. */
static int activation_reply(struct weir_dialect_call *call, struct action *action,
			    const struct weir_dialect_result *answer, char *result, enum outcome outcome)
{
	const double took_ms = (double)(answer->took_ns / WEIR_NS_PER_MS);
	const double ended_ms = (double)(weir_clock_wall_ns() / WEIR_NS_PER_MS);
	cJSON *const json = action->activation;
	cJSON *response = NULL;

	(void)cJSON_AddStringToObject(json, "activationId", answer->activation); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "start", ended_ms - took_ms);
	(void)cJSON_AddNumberToObject(json, "end", ended_ms);
	(void)cJSON_AddNumberToObject(json, "duration", took_ms);
	(void)cJSON_AddArrayToObject(json, "logs");
	response = cJSON_AddObjectToObject(json, "response");
	(void)cJSON_AddRawToObject(response, "result", result);
	(void)cJSON_AddStringToObject(response, "status", outcomes[outcome]);
	(void)cJSON_AddBoolToObject(response, "success", outcome == SUCCESS);
	(void)cJSON_AddNumberToObject(response, "size", (double)strlen(result));
	free(result);
	action->activation = NULL;
	return weir_dialect_reply_json(call, outcome == SUCCESS ? 200 : 502, json);
}

static int answered(struct weir_dialect_call *call, struct action *action, const struct weir_dialect_result *answer,
		    bool is_result_only)
{
	enum outcome outcome = DEVELOPER_ERROR;
	char *const result = answer->failure != NULL ? failure_read(action, answer) : answer_read(action, answer, &outcome);
	int code = 0;

	if (result == NULL)
		return answer->failure != NULL ? refuse(call, action, answer) : -ENOMEM;
	if (!is_result_only)
		return activation_reply(call, action, answer, result, outcome);
	code = weir_dialect_reply_text(call, outcome == SUCCESS ? 200 : 502, "application/json", weir_span_of(result));
	free(result);
	return code;
}

/* ---- the call ---- */

static int run(struct weir_dialect_call *call, struct action *action, bool is_result_only)
{
	static const struct weir_dialect_field json_type = {{"content-type", 12}, {"application/json", 16}};
	const struct weir_dialect_invocation wanted = {
		.space = action->name->space,
		.name = action->name->function,
		.body = weir_span_of(action->arguments),
		.fields = &json_type,
		.field_count = 1,
	};
	struct weir_dialect_result result;
	int code = 0;

	if (wanted.body.bytes > WEIR_WHISK_ENTITY_BYTES_MAX)
		return weir_whisk_fail(call, 413, "Request larger than allowed: %zu > %d bytes.", wanted.body.bytes,
				       WEIR_WHISK_ENTITY_BYTES_MAX);
	code = call->ops->invoke(call, &wanted, &result);
	if (code == -EMSGSIZE)
		return weir_whisk_fail(call, 502, "The action produced a response that exceeds the allowed length: more than %d bytes.",
				       WEIR_WHISK_ENTITY_BYTES_MAX);
	return code == 0 ? answered(call, action, &result, is_result_only) : code;
}

int weir_whisk_action_invoke(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	struct action action = {.name = name};
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	bool is_blocking = false;
	bool is_result_only = false;
	cJSON *given = NULL;
	int code = 0;

	if (!weir_whisk_flag(call, "blocking", &is_blocking, &code) ||
	    !weir_whisk_flag(call, "result", &is_result_only, &code))
		return code;
	if (!is_blocking)
		return weir_whisk_fail(call, 503, "asynchronous calls are not available yet; use blocking=true");
	given = weir_dialect_body(call, false, sentence);
	if (given == NULL)
		return weir_whisk_malformed(call, sentence);
	if (action_know(call, given, &action, &code))
		code = run(call, &action, is_result_only);
	action_release(&action);
	cJSON_Delete(given);
	return code;
}
