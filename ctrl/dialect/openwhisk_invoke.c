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
	cJSON *components; /* of a sequence, as texts; NULL: it is none */
	uint32_t timeout_ms;
	bool is_whisk; /* it was made here, so it has to return what OpenWhisk's do */
};

static void action_release(struct action *action)
{
	cJSON_Delete(action->activation);
	cJSON_Delete(action->components);
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
	action->components = cJSON_Duplicate(weir_whisk_components(function), true);
	return action->activation != NULL && action->arguments != NULL;
}

/* Fill `action`. False: *out_code is serve()'s; a reply was made if that is 0. */
static bool action_know(struct weir_dialect_call *call, const cJSON *given, struct action *action, int *out_code)
{
	struct weir_dialect_verdict verdict;
	const cJSON *function = NULL;

	*out_code = weir_dialect_know(call, action->name->space, action->name->function, &function, &verdict);
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

/* What came of an action, or of a sequence so far. */
struct end {
	char *result; /* JSON; NULL: a reply was made instead */
	enum weir_whisk_outcome outcome;
	uint64_t took_ns;
	char activation[WEIR_DIALECT_ID_BYTES];
	cJSON *components; /* of a sequence: the activations of what ran, as its log; NULL: it is none */
};

/* Instead of what `end` had. 0 or -ENOMEM. */
static int end_set(struct end *end, enum weir_whisk_outcome outcome, char *result)
{
	free(end->result);
	end->result = result;
	end->outcome = outcome;
	return result == NULL ? -ENOMEM : 0;
}

/* The record as far as it is known here, printed, and kept for who asks for the activation. `cause`: the sequence's that
 * it is part of, or NULL. NULL: no memory. */
static char *end_keep(struct weir_dialect_call *call, struct action *action, const struct end *end, const char *cause)
{
	const double took_ms = (double)(end->took_ns / WEIR_NS_PER_MS);
	const double ended_ms = (double)(weir_clock_wall_ns() / WEIR_NS_PER_MS);
	cJSON *const json = action->activation;
	char *text = NULL;

	action->activation = NULL;
	if (cause != NULL)
		(void)cJSON_AddStringToObject(json, "cause", cause); /* or members lack */
	(void)cJSON_AddStringToObject(json, "activationId", end->activation);
	(void)cJSON_AddNumberToObject(json, "start", ended_ms - took_ms);
	(void)cJSON_AddNumberToObject(json, "end", ended_ms);
	(void)cJSON_AddNumberToObject(json, "duration", took_ms);
	(void)cJSON_AddItemToObject(json, "logs",
				    cause != NULL || end->components == NULL ? cJSON_CreateArray()
									     : cJSON_Duplicate(end->components, true));
	(void)cJSON_AddItemToObject(json, "response", weir_whisk_response_json(end->outcome, end->result));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (text != NULL && strlen(text) <= WEIR_DIALECT_KEPT_BYTES_MAX)
		call->ops->keep(call, end->activation, weir_span_of(text));
	return text;
}

/* ---- the call ---- */

/* One action, `*end` instead of what it had. */
static int run(struct weir_dialect_call *call, const struct action *action, struct end *end)
{
	static const struct weir_dialect_field json_type = {{"content-type", 12}, {"application/json", 16}};
	const struct weir_dialect_invocation wanted = {
		.space = action->name->space,
		.name = action->name->function,
		.body = weir_span_of(action->arguments),
		.fields = &json_type,
		.field_count = 1,
	};
	enum weir_whisk_outcome outcome = WEIR_WHISK_DEVELOPER_ERROR;
	struct weir_dialect_result answer;
	char *result = NULL;
	int code = 0;

	(void)end_set(end, outcome, NULL); /* a reply, if nothing comes */
	if (wanted.body.bytes > WEIR_WHISK_ENTITY_BYTES_MAX)
		return weir_whisk_fail(call, 413, "Request larger than allowed: %zu > %d bytes.", wanted.body.bytes,
				       WEIR_WHISK_ENTITY_BYTES_MAX);
	code = call->ops->invoke(call, &wanted, &answer);
	if (code == -EMSGSIZE)
		return weir_whisk_fail(call, 502, "The action produced a response that exceeds the allowed length: more than %d bytes.",
				       WEIR_WHISK_ENTITY_BYTES_MAX);
	if (code != 0)
		return code;
	end->took_ns = answer.took_ns;
	memcpy(end->activation, answer.activation, sizeof(end->activation));
	if (end->components != NULL)
		(void)cJSON_AddItemToArray(end->components, cJSON_CreateString(answer.activation)); /* or it lacks */
	result = answer.failure != NULL ? failure_read(action, &answer) : answer_read(action, &answer, &outcome);
	if (result == NULL && answer.failure != NULL)
		return refuse(call, action, &answer);
	return end_set(end, outcome, result);
}

/* The next component, with what came before it; of one that is a sequence its components stand next. */
static int component_run(struct weir_dialect_call *call, const char *text, cJSON *components, struct end *end)
{
	struct weir_whisk_name name;
	struct action action = {.name = &name};
	cJSON *const given = cJSON_Parse(end->result);
	cJSON *item = NULL;
	int code = 0;

	if (!cJSON_IsObject(given)) {
		cJSON_Delete(given);
		return end_set(end, WEIR_WHISK_DEVELOPER_ERROR,
			       error_of("The action before '", text, "' did not return a dictionary, which that takes."));
	}
	if (!weir_whisk_name_parse(call, text, &name, &code) || !action_know(call, given, &action, &code)) {
		(void)end_set(end, WEIR_WHISK_INTERNAL_ERROR, NULL); /* a reply was made, or none can be */
	} else if (action.components != NULL) {
		while ((item = cJSON_DetachItemFromArray(action.components, cJSON_GetArraySize(action.components) - 1)) != NULL)
			(void)cJSON_InsertItemInArray(components, 0, item); /* cannot fail: there is nothing to allocate */
		code = end_set(end, WEIR_WHISK_SUCCESS, strdup(action.arguments));
	} else {
		code = run(call, &action, end);
		if (code == 0 && end->result != NULL)
			cJSON_free(end_keep(call, &action, end, call->activation)); /* or it is not kept */
	}
	action_release(&action);
	cJSON_Delete(given);
	return code;
}

/* One after the other, until one fails. */
static int sequence_run(struct weir_dialect_call *call, const struct action *action, struct end *end)
{
	const uint64_t begun_ns = weir_clock_now_ns();
	int code = end_set(end, WEIR_WHISK_SUCCESS, strdup(action->arguments));

	end->components = cJSON_CreateArray();
	for (size_t steps = 0; code == 0 && end->result != NULL && end->outcome == WEIR_WHISK_SUCCESS; steps++) {
		cJSON *const component = cJSON_DetachItemFromArray(action->components, 0);

		if (component == NULL)
			break;
		if (steps == WEIR_WHISK_SEQUENCE_MAX)
			code = end_set(end, WEIR_WHISK_APPLICATION_ERROR, error_of("Too many actions in the sequence.", "", ""));
		else
			code = component_run(call, component->valuestring, action->components, end);
		cJSON_Delete(component);
	}
	end->took_ns = weir_clock_now_ns() - begun_ns;
	memcpy(end->activation, call->activation, sizeof(end->activation));
	return code;
}

/* The result, or the record. */
static int end_reply(struct weir_dialect_call *call, struct action *action, const struct end *end, bool is_result_only)
{
	const uint16_t status = end->outcome == WEIR_WHISK_SUCCESS ? 200 : 502;
	char *const record = end_keep(call, action, end, NULL);
	const int code = record == NULL ? -ENOMEM
					: weir_dialect_reply_text(call, status, "application/json",
								  weir_span_of(is_result_only ? end->result : record));

	cJSON_free(record);
	return code;
}

/* ---- without waiting ---- */

/* 202 and the id, once it is kept. What a sequence is made of only this adapter knows, so that needs one that waits. */
static int submit(struct weir_dialect_call *call, const struct action *action)
{
	static const struct weir_dialect_field json_type = {{"content-type", 12}, {"application/json", 16}};
	const struct weir_dialect_invocation wanted = {
		.space = action->name->space,
		.name = action->name->function,
		.body = weir_span_of(action->arguments),
		.fields = &json_type,
		.field_count = 1,
	};
	char id[WEIR_DIALECT_ID_BYTES];
	struct weir_dialect_result result;
	cJSON *json = NULL;
	int code = 0;

	if (action->components != NULL)
		return weir_whisk_fail(call, 503, "sequences are not called asynchronously; use blocking=true");
	if (wanted.body.bytes > WEIR_WHISK_ENTITY_BYTES_MAX)
		return weir_whisk_fail(call, 413, "Request larger than allowed: %zu > %d bytes.", wanted.body.bytes,
				       WEIR_WHISK_ENTITY_BYTES_MAX);
	code = weir_dialect_later(call, &wanted, &result, id);
	if (code != 0)
		return code;
	if (result.status != 202)
		return weir_whisk_fail(call, (uint16_t)result.status, "%s", result.sentence);
	json = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(json, "activationId", id); /* or it lacks */
	return weir_dialect_reply_json(call, 202, json);
}

/* What was told of one, as functions answer. `*out_body` is to be freed. False: no memory. */
static bool told_read(const cJSON *told, struct weir_dialect_result *out_result, char **out_body)
{
	static const char *const words[] = {"function_failed", "function_garbage", "function_load", "function_timeout",
					    "worker_died", "out_of_memory"};
	const char *const failure = weir_dialect_text(told, "failure");
	size_t bytes = 0;
	cJSON *error = NULL;

	*out_body = weir_dialect_later_body(told, &bytes);
	if (*out_body == NULL)
		return false;
	*out_result = (struct weir_dialect_result){
		.status = (uint32_t)weir_whisk_number(told, "status", 0),
		.body = {.data = *out_body, .bytes = bytes},
		.failure = failure,
	};
	for (size_t i = 0; failure != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(failure, words[i]) == 0)
			error = cJSON_ParseWithLength(*out_body, bytes);
	}
	(void)snprintf(out_result->sentence, sizeof(out_result->sentence), "%s",
		       weir_dialect_text(error, "error") != NULL ? weir_dialect_text(error, "error")
		       : failure != NULL				 ? failure
									 : "the call was cancelled"); /* cut is fine */
	cJSON_Delete(error);
	return true;
}

cJSON *weir_whisk_told_response(const cJSON *told, const cJSON *function)
{
	const struct action action = {.timeout_ms = (uint32_t)weir_whisk_number(function, "timeout_ms", 0),
				      .is_whisk = weir_whisk_note(function) != NULL};
	enum weir_whisk_outcome outcome = WEIR_WHISK_INTERNAL_ERROR;
	struct weir_dialect_result result;
	char *body = NULL;
	char *text = NULL;
	cJSON *json = NULL;

	if (!told_read(told, &result, &body))
		return NULL;
	if (result.status != 0 && result.failure == NULL) {
		text = answer_read(&action, &result, &outcome);
	} else {
		text = result.failure == NULL ? NULL : failure_read(&action, &result);
		if (text != NULL)
			outcome = WEIR_WHISK_DEVELOPER_ERROR;
		else
			text = error_of(result.sentence, "", "");
	}
	if (text != NULL)
		json = weir_whisk_response_json(outcome, text);
	free(text);
	free(body);
	return json;
}

int weir_whisk_action_invoke(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	struct action action = {.name = name};
	struct end end = {.result = NULL};
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	bool is_blocking = false;
	bool is_result_only = false;
	cJSON *given = NULL;
	int code = 0;

	if (!weir_whisk_flag(call, "blocking", &is_blocking, &code) ||
	    !weir_whisk_flag(call, "result", &is_result_only, &code))
		return code;
	given = weir_dialect_body(call, false, sentence);
	if (given == NULL)
		return weir_whisk_malformed(call, sentence);
	if (action_know(call, given, &action, &code))
		code = !is_blocking		   ? submit(call, &action)
		       : action.components != NULL ? sequence_run(call, &action, &end)
						   : run(call, &action, &end);
	if (code == 0 && end.result != NULL)
		code = end_reply(call, &action, &end, is_result_only);
	free(end.result);
	cJSON_Delete(end.components);
	action_release(&action);
	cJSON_Delete(given);
	return code;
}
