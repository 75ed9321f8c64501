/* faasm: the API of Faasm's first version (August 2018, src/edge): /f/USER/FUNCTION is function FUNCTION of
 * namespace USER.
 *
 *   POST /f/USER/FUNCTION[/]      input -> 200, output and a line end; 500 "Error\n"
 *   PUT  /f/USER/FUNCTION[/...]   WebAssembly -> 200 "Upload complete\n"; what follows the function is not looked
 *                                 at: curl -T puts the file's name there
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

	if (!is_upload && !weir_span_equal(call->method, WEIR_SPAN("POST")))
		return say(call, 200, "Get OK");
	if (!weir_dialect_name(call->ops->param(call, "user"), user) ||
	    !weir_dialect_name(call->ops->param(call, "function"), function))
		return is_upload ? refuse(call, 400, unsound, NULL) : fail(call, unsound);
	return is_upload ? upload(call, user, function) : invoke(call, user, function);
}

const struct weir_dialect weir_dialect_faasm = {.name = "faasm",
					     .body_bytes_max = WEIR_DIALECT_CODE_BYTES_MAX,
					     .serve = serve};
