/* faasm: the API of Faasm's first version (August 2018, src/edge): /f/USER/FUNCTION is function FUNCTION of
 * namespace USER.
 *
 *   POST /f/USER/FUNCTION[/]      input -> 200, output and a line end; 500 "Error\n"
 *   PUT  /f/USER/FUNCTION[/...]   WebAssembly -> 200 "Upload complete\n"; what follows the function is not looked
 *                                 at: curl -T puts the file's name there
 *   POST /fa/USER/FUNCTION[/]     input -> 201 "Async request submitted\n"; the call's id is in the fields
 *                                 x-openwhisk-activation-id and Location
 *   GET  /fa/USER/FUNCTION/ID     -> its output, or "Error\n", as above; 202 as long as there is none
 *   GET  /f/..., /fa/...          -> 200 "Get OK"
 *
 * Content types mean nothing, either way. Why a call failed stands in the field x-weir-error. What Faasm did not
 * refuse has a status that says what it is, and "Error: sentence\n": input that is too large (413), modules that
 * cannot run (the API's status). Such a module never replaces one that can. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/dialect.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_OUTPUT "application/octet-stream"

static int say(struct weir_dialect_call *call, uint16_t status, const char *text)
{
	return weir_dialect_reply_text(call, status, TYPE_TEXT, weir_span_of(text));
}

/* "Error: sentence", and what a compiler said, where it did. */
static int refuse(struct weir_dialect_call *call, uint16_t status, const char *sentence, const char *log)
{
	char *text = NULL;
	const int bytes = asprintf(&text, "Error: %s\n%s", sentence, log == NULL ? "" : log);
	int code = -ENOMEM;

	if (bytes >= 0) {
		code = say(call, status, text);
		free(text);
	}
	return code;
}

/* "Error", as it always was; the reason beside it. */
static int fail(struct weir_dialect_call *call, const char *reason)
{
	const int code = say(call, 500, "Error\n");

	return code == 0 ? weir_dialect_reply_field(call, WEIR_SPAN("x-weir-error"), reason) : code;
}

/* ---- calls ---- */

static int answered(struct weir_dialect_call *call, struct weir_span output)
{
	char *const text = malloc(output.bytes + 1);
	int code = -ENOMEM;

	if (text != NULL) {
		if (output.bytes > 0)
			memcpy(text, output.data, output.bytes);
		text[output.bytes] = '\n';
		code = weir_dialect_reply_text(call, 200, TYPE_OUTPUT,
					       (struct weir_span){.data = text, .bytes = output.bytes + 1});
	}
	free(text);
	return code;
}

/* Its own failure, or Weir's where it could not run. */
static int failed(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
		  const struct weir_dialect_result *result)
{
	char reason[WEIR_DIALECT_SENTENCE_BYTES];

	if (result->failure == NULL)
		(void)snprintf(reason, sizeof(reason), "the function answered with status %u",
			       (unsigned)result->status); /* fits, as the next */
	else if (strcmp(result->failure, "call_unknown") == 0)
		(void)snprintf(reason, sizeof(reason), "there is no function %s/%s: upload it", wanted->space,
			       wanted->name);
	else
		return fail(call, result->sentence);
	return fail(call, reason);
}

static int invoke(struct weir_dialect_call *call, const char *user, const char *function)
{
	const struct weir_dialect_invocation wanted = {.space = user, .name = function, .body = call->body};
	struct weir_dialect_result result;
	int code = 0;

	if (call->body.bytes > WEIR_DIALECT_INPUT_BYTES_MAX)
		return refuse(call, 413, "the input of a function has at most 1 MiB", NULL);
	code = call->ops->invoke(call, &wanted, &result);
	if (code == -EMSGSIZE)
		return fail(call, "the output of a function has at most 1 MiB");
	if (code != 0)
		return code;
	if (result.failure == NULL && result.status < 400)
		return answered(call, result.body);
	return failed(call, &wanted, &result);
}

/* ---- calls that nobody waits for ---- */

static int submit(struct weir_dialect_call *call, const char *user, const char *function)
{
	const struct weir_dialect_invocation wanted = {.space = user, .name = function, .body = call->body};
	struct weir_dialect_result result;
	char id[WEIR_DIALECT_ID_BYTES];
	char location[WEIR_DIALECT_TARGET_BYTES];
	const char *const parts[] = {user, function, id};
	int code = 0;

	if (call->body.bytes > WEIR_DIALECT_INPUT_BYTES_MAX)
		return refuse(call, 413, "the input of a function has at most 1 MiB", NULL);
	code = weir_dialect_later(call, &wanted, &result, id);
	if (code != 0)
		return code;
	if (result.status == 404)
		return fail(call, result.sentence);
	if (result.status != 202)
		return refuse(call, (uint16_t)result.status, result.sentence, NULL);
	if (!weir_dialect_target(location, "/fa/%s/%s/%s", parts))
		return -EINVAL; /* names are short */
	code = say(call, 201, "Async request submitted\n");
	return code == 0 ? weir_dialect_reply_field(call, WEIR_SPAN("location"), location) : code;
}

/* What it answered, as a call that was waited for. */
static int told_reply(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted, const cJSON *told)
{
	const char *const failure = weir_dialect_text(told, "failure");
	const cJSON *const status = cJSON_GetObjectItemCaseSensitive(told, "status");
	struct weir_dialect_result result = {.status = cJSON_IsNumber(status) ? (uint32_t)status->valuedouble : 0,
					     .failure = failure};
	size_t bytes = 0;
	char *const body = weir_dialect_later_body(told, &bytes);
	int code = -ENOMEM;

	(void)snprintf(result.sentence, sizeof(result.sentence), "the call ended without an answer: %s",
		       failure == NULL ? weir_dialect_text(told, "state") : failure); /* fits */
	if (body != NULL && result.status > 0 && result.status < 400 && failure == NULL)
		code = answered(call, (struct weir_span){.data = body, .bytes = bytes});
	else if (body != NULL && result.status == 0)
		code = fail(call, result.sentence);
	else if (body != NULL)
		code = failed(call, wanted, &result);
	free(body);
	return code;
}

static int result_get(struct weir_dialect_call *call, const char *user, const char *function, struct weir_span id)
{
	const struct weir_dialect_invocation wanted = {.space = user, .name = function};
	char text[WEIR_DIALECT_ID_BYTES] = "";
	char name[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	const char *of = NULL;
	cJSON *told = NULL;
	int code = 0;

	if (id.bytes < sizeof(text) && memchr(id.data, '/', id.bytes) == NULL)
		memcpy(text, id.data, id.bytes);
	(void)snprintf(name, sizeof(name), "%s/%s", user, function); /* fits */
	code = weir_dialect_later_ask(call, text, &told);
	if (code != 0)
		return code;
	of = weir_dialect_text(told, "function");
	if (of == NULL || strcmp(of, name) != 0)
		code = refuse(call, 404, "there is no call of this function with this id, or it was too long ago", NULL);
	else if (!weir_dialect_later_has_ended(told))
		code = say(call, 202, "Async request submitted\n");
	else
		code = told_reply(call, &wanted, told);
	cJSON_Delete(told);
	return code;
}

/* ---- uploads ---- */

static int upload(struct weir_dialect_call *call, const char *user, const char *function)
{
	const struct weir_dialect_deployment wanted = {
		.space = user,
		.name = function,
		.file = "function.wasm",
		.runtime = "wasm",
		.code = call->body,
	};
	struct weir_dialect_verdict verdict;
	int code = weir_dialect_deploy(call, &wanted, &verdict);

	if (code != 0)
		return code;
	if (verdict.status < 300)
		code = say(call, 200, "Upload complete\n");
	else
		code = refuse(call, verdict.status, weir_dialect_sentence(&verdict),
			      weir_dialect_text(verdict.json, "log"));
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int serve(struct weir_dialect_call *call)
{
	static const char unsound[] = "user and function have 1 to 63 bytes each";
	const bool is_upload = weir_span_equal(call->method, WEIR_SPAN("PUT"));
	char user[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char function[WEIR_MODEL_NAME_BYTES_MAX + 1];

	const struct weir_span id = call->ops->param(call, "id");
	const bool is_async = call->pattern.bytes > 4 && memcmp(call->pattern.data, "/fa/", 4) == 0;

	if (!is_upload && !weir_span_equal(call->method, WEIR_SPAN("POST")) && id.bytes == 0)
		return say(call, 200, "Get OK");
	if (!weir_dialect_name(call->ops->param(call, "user"), user) ||
	    !weir_dialect_name(call->ops->param(call, "function"), function))
		return is_upload ? refuse(call, 400, unsound, NULL) : fail(call, unsound);
	if (!weir_dialect_may(call, is_upload ? WEIR_ROLE_DEVELOPER : WEIR_ROLE_INVOKER, user))
		return refuse(call, 403, "the key is of another user", NULL);
	if (id.bytes > 0)
		return result_get(call, user, function, id);
	if (is_async)
		return submit(call, user, function);
	return is_upload ? upload(call, user, function) : invoke(call, user, function);
}

const struct weir_dialect weir_dialect_faasm = {.name = "faasm",
					     .body_bytes_max = WEIR_DIALECT_CODE_BYTES_MAX,
					     .serve = serve};
