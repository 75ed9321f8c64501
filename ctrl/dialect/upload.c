/* upload: how the C platform (Tednoob17/FaaS, gateway's /upload) takes functions into its public table.
 *
 *   GET  /upload                                              -> a page with a form
 *   POST /upload multipart/form-data: `code`, a file; `descriptor`, {"runtime", "method", "memory", "timeout"}
 *        -> function ID of namespace `default`, built and tried, and the row METHOD:/api/ID, which runs it as
 *           programs of that table run: body on standard input, standard output is the answer
 *        -> 200 {"status", "message", "uri", "method", "info"}; every failure is a 500 {"error"}
 *
 * The descriptor's runtime is required, of the rest what is missing has defaults; other members mean nothing.
 * C is compiled to WebAssembly, as it was there; what Weir does not compile comes as a module (`wasm`). A page of
 * another site cannot send a user's browser here. Where the row cannot be written the function goes again. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctrl/dialect/dialect.h"
#include "ctrl/dialect/multipart.h"
#include "ctrl/dialect/upload_page.h"

#define SPACE "default"
#define SHEBANG "#!/usr/bin/env python3\n"
#define RUNTIMES_TEXT "c, php, python and wasm; compile others to WebAssembly (WASI) and upload the module as wasm"

enum { DESCRIPTOR_BYTES_MAX = 65536, ID_BYTES = 64, MS_PER_S = 1000, NUMBER_MAX = 4000000 };

struct kind {
	const char *name;
	const char *runtime; /* Weir's */
	const char *file;
	const char *start; /* what the file begins with, unless it says itself what runs it */
};

static const struct kind kinds[] = {
	{"c", "wasm", "main.c", NULL},
	{"php", "php", "index.php", NULL},
	{"python", "exec", "main.py", SHEBANG},
	{"wasm", "wasm", "module.wasm", NULL},
};

/* What is asked for. */
struct upload {
	const struct kind *kind;
	const char *method;
	double memory_mb; /* 0: the default; likewise the next */
	double timeout_s;
	char id[ID_BYTES];
};

static int fail(struct weir_dialect_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct weir_dialect_call *call, const char *format, ...)
{
	char *text = NULL;
	cJSON *json = NULL;
	va_list arguments;
	int bytes = 0;

	va_start(arguments, format);
	bytes = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (bytes < 0)
		return -ENOMEM;
	json = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(json, "error", text); /* or it lacks */
	free(text);
	return weir_dialect_reply_json(call, 500, json);
}

/* The API said no. */
static int refused(struct weir_dialect_call *call, struct weir_dialect_verdict *verdict)
{
	const char *const log = weir_dialect_text(verdict->json, "log");
	const int code = log == NULL ? fail(call, "%s", weir_dialect_sentence(verdict))
				     : fail(call, "%s: %s", weir_dialect_sentence(verdict), log);

	weir_dialect_verdict_release(verdict);
	return code;
}

/* ---- what was sent ---- */

/* A number over 0, or 0 where there is none. False: it is something else, or more than anybody could mean. */
static bool number_read(const cJSON *descriptor, const char *name, double *out)
{
	const cJSON *const item = cJSON_GetObjectItemCaseSensitive(descriptor, name);

	*out = cJSON_IsNumber(item) ? item->valuedouble : 0;
	return item == NULL || (*out > 0 && *out < NUMBER_MAX);
}

/* NULL or what is wrong with the descriptor. `method` stays the descriptor's. */
static const char *descriptor_read(const cJSON *descriptor, struct upload *out)
{
	static const char *const methods[] = {"POST", "GET", "PUT", "DELETE", "PATCH"};
	const char *const runtime = weir_dialect_text(descriptor, "runtime");
	const char *const method = weir_dialect_text(descriptor, "method");
	const bool is_default = !cJSON_HasObjectItem(descriptor, "method");

	*out = (struct upload){.kind = NULL};
	for (size_t i = 0; runtime != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(runtime, kinds[i].name) == 0)
			out->kind = &kinds[i];
	}
	if (out->kind == NULL)
		return "runtime is required; known are " RUNTIMES_TEXT;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (is_default ? i == 0 : method != NULL && strcmp(method, methods[i]) == 0)
			out->method = methods[i];
	}
	if (out->method == NULL)
		return "method must be GET, POST, PUT, DELETE or PATCH";
	if (!number_read(descriptor, "memory", &out->memory_mb) || out->memory_mb != floor(out->memory_mb))
		return "memory must be a whole number of MB";
	return number_read(descriptor, "timeout", &out->timeout_s) ? NULL : "timeout must be a number of seconds";
}

/* func_SECONDS_COUNT_RANDOM, as the platform named them. */
static void id_make(char out[ID_BYTES])
{
	static unsigned count;
	unsigned number = 0;

	(void)getrandom(&number, sizeof(number), 0); /* without: the API refuses what is there already */
	(void)snprintf(out, ID_BYTES, "func_%lld_%u_%u", (long long)time(NULL), ++count, number); /* fits */
}

/* ---- the function ---- */

/* What is written to the file, in *out_text (free()) where it gets a first line. 0 or -ENOMEM. */
static int code_start(const struct kind *kind, struct weir_span *code, char **out_text)
{
	const size_t bytes = kind->start == NULL ? 0 : strlen(kind->start);

	*out_text = NULL;
	if (bytes == 0 || (code->bytes >= 2 && memcmp(code->data, "#!", 2) == 0))
		return 0;
	*out_text = malloc(bytes + code->bytes);
	if (*out_text == NULL)
		return -ENOMEM;
	memcpy(*out_text, kind->start, bytes);
	memcpy(*out_text + bytes, code->data, code->bytes);
	*code = (struct weir_span){.data = *out_text, .bytes = bytes + code->bytes};
	return 0;
}

/* The verdict is the API's. 0 or as manage(). */
static int deploy(struct weir_dialect_call *call, const struct upload *upload, struct weir_span code,
		  struct weir_dialect_verdict *out_verdict)
{
	char *text = NULL;
	int result = code_start(upload->kind, &code, &text);
	const struct weir_dialect_deployment wanted = {
		.space = SPACE,
		.name = upload->id,
		.file = upload->kind->file,
		.runtime = upload->kind->runtime,
		.timeout_ms = (uint32_t)ceil(upload->timeout_s * MS_PER_S),
		.memory_mb = (uint32_t)upload->memory_mb,
		.code = code,
		.is_new = true,
	};

	if (result == 0)
		result = weir_dialect_deploy(call, &wanted, out_verdict);
	free(text);
	return result;
}

/* Remove the function; if that fails it stays without a row. */
static void forget(struct weir_dialect_call *call, const struct upload *upload)
{
	const char *const parts[] = {SPACE, upload->id};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "DELETE", .target = target};
	struct weir_dialect_verdict verdict;

	if (weir_dialect_target(target, "/weir/functions/%s/%s", parts) &&
	    call->ops->manage(call, &order, &verdict) == 0)
		weir_dialect_verdict_release(&verdict);
}

/* {"route", "value"} of the row that runs the file; NULL without memory. */
static cJSON *row_json(const struct upload *upload, const char *file)
{
	char key[ID_BYTES + 32];
	cJSON *const json = cJSON_CreateObject();
	cJSON *const value = cJSON_AddObjectToObject(json, "value");
	bool is_whole = cJSON_AddStringToObject(value, "name", upload->id) != NULL &&
			cJSON_AddStringToObject(value, "runtime", upload->kind->runtime) != NULL &&
			cJSON_AddStringToObject(value, "module", file) != NULL &&
			cJSON_AddStringToObject(value, "handler", "main") != NULL;

	(void)snprintf(key, sizeof(key), "%s:/api/%s", upload->method, upload->id); /* fits */
	is_whole = is_whole && cJSON_AddStringToObject(json, "route", key) != NULL;
	if (is_whole && upload->memory_mb != 0)
		is_whole = cJSON_AddNumberToObject(value, "memory", upload->memory_mb) != NULL;
	if (is_whole && upload->timeout_s != 0)
		is_whole = cJSON_AddNumberToObject(value, "timeout", upload->timeout_s) != NULL;
	if (is_whole)
		return json;
	cJSON_Delete(json);
	return NULL;
}

static int row_add(struct weir_dialect_call *call, const struct upload *upload, const char *file,
		   struct weir_dialect_verdict *out_verdict)
{
	cJSON *const json = row_json(upload, file);
	const struct weir_dialect_order order = {.method = "POST", .target = "/weir/rows", .json = json};
	const int code = json == NULL ? -ENOMEM : call->ops->manage(call, &order, out_verdict);

	cJSON_Delete(json);
	return code;
}

/* ---- the answer ---- */

static int done(struct weir_dialect_call *call, const struct upload *upload)
{
	char uri[ID_BYTES + 8];
	cJSON *const json = cJSON_CreateObject();

	(void)snprintf(uri, sizeof(uri), "/api/%s", upload->id); /* fits */
	(void)cJSON_AddStringToObject(json, "status", "success"); /* or members lack */
	(void)cJSON_AddStringToObject(json, "message", "Function compiled and deployed");
	(void)cJSON_AddStringToObject(json, "uri", uri);
	(void)cJSON_AddStringToObject(json, "method", upload->method);
	(void)cJSON_AddStringToObject(json, "info", "Will be available in <5 seconds");
	return weir_dialect_reply_json(call, 200, json);
}

static int take(struct weir_dialect_call *call, const struct upload *upload, struct weir_span code)
{
	struct weir_dialect_verdict deployed;
	struct weir_dialect_verdict written;
	const char *file = NULL;
	int result = deploy(call, upload, code, &deployed);

	if (result != 0)
		return result;
	file = weir_dialect_text(deployed.json, "file");
	if (deployed.status >= 300 || file == NULL)
		return refused(call, &deployed);
	result = row_add(call, upload, file, &written);
	weir_dialect_verdict_release(&deployed);
	if (result == 0 && written.status < 300) {
		weir_dialect_verdict_release(&written);
		return done(call, upload);
	}
	forget(call, upload);
	return result != 0 ? result : refused(call, &written);
}

static int described(struct weir_dialect_call *call, struct weir_span code, struct weir_span text)
{
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	struct upload upload;
	const char *wrong = NULL;
	cJSON *const descriptor = text.bytes > DESCRIPTOR_BYTES_MAX
					  ? NULL
					  : weir_dialect_json(text, "descriptor", false, sentence);

	if (text.bytes > DESCRIPTOR_BYTES_MAX)
		return fail(call, "descriptor has more than %d bytes", DESCRIPTOR_BYTES_MAX);
	if (descriptor == NULL)
		return fail(call, "%s", sentence);
	wrong = descriptor_read(descriptor, &upload);
	cJSON_Delete(descriptor);
	if (wrong != NULL)
		return fail(call, "descriptor: %s", wrong);
	id_make(upload.id);
	return take(call, &upload, code);
}

static int serve(struct weir_dialect_call *call)
{
	struct weir_multipart form;
	const struct weir_multipart_part *code = NULL;
	const struct weir_multipart_part *descriptor = NULL;
	const char *wrong = NULL;
	bool is_twice[2] = {false, false};

	if (!weir_span_equal(call->method, WEIR_SPAN("POST")))
		return weir_dialect_reply_text(call, 200, "text/html; charset=utf-8", weir_span_of(weir_upload_page));
	wrong = weir_multipart_read(call->ops->field(call, "content-type"), call->body, &form);
	if (wrong != NULL)
		return fail(call, "the body %s", wrong);
	code = weir_multipart_find(&form, "code", &is_twice[0]);
	descriptor = weir_multipart_find(&form, "descriptor", &is_twice[1]);
	if (is_twice[0] || is_twice[1])
		return fail(call, "the form has more than one file '%s'", is_twice[0] ? "code" : "descriptor");
	if (code == NULL || descriptor == NULL)
		return fail(call, "the form lacks the file '%s'", code == NULL ? "code" : "descriptor");
	return described(call, code->content, descriptor->content);
}

const struct weir_dialect weir_dialect_upload = {.name = "upload", .space = "default",
					      .body_bytes_max = WEIR_DIALECT_CODE_BYTES_MAX,
					      .serve = serve};
