#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"
#include "ctrl/model/model_json.h"
#include "dataplane/base/clock.h"

/* ---- what the action is ---- */

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
	action->activation = weir_whisk_activation_json(function);
	action->arguments = arguments_join(cJSON_GetObjectItemCaseSensitive(function, "parameters"), given);
	action->timeout_ms = (uint32_t)weir_whisk_number(function, "timeout_ms", 0);
	action->is_whisk = weir_whisk_note(function) != NULL;
	return action->activation != NULL && action->arguments != NULL;
}

/* Fill `action`. False: *out_code is serve()'s; a reply was made if that is 0. */
static bool action_know(struct weir_dialect_call *call, const cJSON *given, struct action *action, int *out_code)
{
	struct weir_dialect_verdict verdict;
	const cJSON *function = NULL;

	*out_code = weir_whisk_know(call, action->name, &function, &verdict);
	if (*out_code != 0)
		return false;
	if (function == NULL) {
		*out_code = weir_whisk_refused(call, &verdict);
		return false;
	}
	*out_code = action_take(action, function, given) ? 0 : -ENOMEM;
	weir_dialect_verdict_release(&verdict);
	return *out_code == 0;
}

/* ---- what came of it ---- */

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
static char *answer_read(const struct action *action, const struct weir_dialect_result *result, enum weir_whisk_outcome *out_outcome)
{
	char *const json = json_of(result->body);
	const bool is_object = json != NULL && json[0] == '{';
	struct weir_span error;
	char *out = NULL;

	*out_outcome = WEIR_WHISK_SUCCESS;
	if (result->status >= 300 || (is_object && weir_model_json_member(weir_span_of(json), "error", &error)))
		*out_outcome = WEIR_WHISK_APPLICATION_ERROR;
	if (is_object && (*out_outcome == WEIR_WHISK_SUCCESS || weir_model_json_member(weir_span_of(json), "error", &error)))
		return json;
	if (*out_outcome == WEIR_WHISK_APPLICATION_ERROR)
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
	*out_outcome = WEIR_WHISK_DEVELOPER_ERROR;
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
			    const struct weir_dialect_result *answer, char *result, enum weir_whisk_outcome outcome)
{
	const double took_ms = (double)(answer->took_ns / WEIR_NS_PER_MS);
	const double ended_ms = (double)(weir_clock_wall_ns() / WEIR_NS_PER_MS);
	cJSON *const json = action->activation;

	(void)cJSON_AddStringToObject(json, "activationId", answer->activation); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "start", ended_ms - took_ms);
	(void)cJSON_AddNumberToObject(json, "end", ended_ms);
	(void)cJSON_AddNumberToObject(json, "duration", took_ms);
	(void)cJSON_AddArrayToObject(json, "logs");
	(void)cJSON_AddItemToObject(json, "response", weir_whisk_response_json(outcome, result));
	free(result);
	action->activation = NULL;
	return weir_dialect_reply_json(call, outcome == WEIR_WHISK_SUCCESS ? 200 : 502, json);
}

static int answered(struct weir_dialect_call *call, struct action *action, const struct weir_dialect_result *answer,
		    bool is_result_only)
{
	enum weir_whisk_outcome outcome = WEIR_WHISK_DEVELOPER_ERROR;
	char *const result = answer->failure != NULL ? failure_read(action, answer) : answer_read(action, answer, &outcome);
	int code = 0;

	if (result == NULL)
		return answer->failure != NULL ? refuse(call, action, answer) : -ENOMEM;
	if (!is_result_only)
		return activation_reply(call, action, answer, result, outcome);
	code = weir_dialect_reply_text(call, outcome == WEIR_WHISK_SUCCESS ? 200 : 502, "application/json", weir_span_of(result));
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
