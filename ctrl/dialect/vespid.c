/* vespid: Vespid's API (github.com/sblayush/vespid, README and core/, April 2022), of namespace `default`.
 *
 *   POST /actions/NAME/create {"vcode","runtime": c, cnative, js or jsnative}   -> {"deployTime","runTime","result"}
 *   POST /actions/NAME/invoke {"vargs": {...}}     -> {"result","runTime","deployTime"}, times in ms
 *   POST /actions/NAME/get, /actions/list, /actions/NAME/delete; update, which it declared and never had, is as create
 *   GET /ping -> "pong"
 *
 * Every error is a 500 with {"msg": "KIND: sentence"}, which its clients read. C is one function of ints, run as
 * native code; js and jsnative are JavaScript's `function NAME(vargs)`; the micro-VMs are Weir's sandboxes. What an
 * action was created as is in its annotation `vespid`; functions made in other ways are actions, too. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/dialect.h"
#include "dataplane/base/clock.h"

#define SPACE "default"

enum { DIGITS_MAX = 10 };

struct kind {
	const char *name;
	const char *runtime; /* Weir's */
	const char *suffix;
	bool is_number; /* its result is one, not a text */
};

static const struct kind kinds[] = {
	{"c", "c", ".c", false},
	{"cnative", "c", ".c", true},
	{"js", "js", ".js", false},
	{"jsnative", "js", ".js", false},
};

static const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* 500 {"msg": "KIND: sentence"}. */
static int fail(struct weir_dialect_call *call, const char *kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct weir_dialect_call *call, const char *kind, const char *format, ...)
{
	char text[WEIR_DIALECT_SENTENCE_BYTES + 128];
	cJSON *const json = cJSON_CreateObject();
	va_list arguments;
	int used = snprintf(text, sizeof(text), "%s: ", kind); /* short */

	va_start(arguments, format);
	(void)vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments); /* cut is fine */
	va_end(arguments);
	(void)cJSON_AddStringToObject(json, "msg", text); /* or it lacks */
	return weir_dialect_reply_json(call, 500, json);
}

static int unsound(struct weir_dialect_call *call, const char *sentence)
{
	return fail(call, "InvalidRequestError", "%s", sentence);
}

/* The API said no. */
static int refused(struct weir_dialect_call *call, const char *name, struct weir_dialect_verdict *verdict)
{
	const char *const word = weir_dialect_text(verdict->json, "code");
	int code = 0;

	if (verdict->status == 404)
		code = fail(call, "InvalidActionError", "Action does not exist: %s", name);
	else if (verdict->status == 409)
		code = fail(call, "ActionAlreadyExists", "Action already exists: %s", name);
	else if (word != NULL && strcmp(word, "build_failed") == 0)
		code = fail(call, "ActionCompileError", "%s %s", weir_dialect_sentence(verdict),
			    weir_dialect_text(verdict->json, "log") == NULL ? ""
									    : weir_dialect_text(verdict->json, "log"));
	else
		code = fail(call, "ActionError", "%s", weir_dialect_sentence(verdict));
	weir_dialect_verdict_release(verdict);
	return code;
}

static double ms_of(uint64_t ns)
{
	return (double)(ns / WEIR_NS_PER_US) / 1000;
}

/* ---- create, update ---- */

static int deployed(struct weir_dialect_call *call, const char *name, const char *done, uint64_t took_ns)
{
	char text[WEIR_MODEL_NAME_BYTES_MAX + 64];
	cJSON *const json = cJSON_CreateObject();

	(void)snprintf(text, sizeof(text), "action '%s' %s successfully", name, done); /* fits */
	(void)cJSON_AddNumberToObject(json, "deployTime", ms_of(took_ns)); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "runTime", 0);
	(void)cJSON_AddStringToObject(json, "result", text);
	return weir_dialect_reply_json(call, 200, json);
}

static int deploy(struct weir_dialect_call *call, const char *name, const char *code, const struct kind *kind,
		  bool is_new)
{
	char file[WEIR_MODEL_NAME_BYTES_MAX + 8];
	cJSON *const annotations = cJSON_CreateObject();
	const struct weir_dialect_deployment wanted = {
		.space = SPACE,
		.name = name,
		.file = file,
		.runtime = kind->runtime,
		.handler = strcmp(kind->runtime, "js") == 0 ? name : NULL,
		.code = weir_span_of(code),
		.annotations = annotations,
		.is_new = is_new,
	};
	const uint64_t begun_ns = weir_clock_now_ns();
	struct weir_dialect_verdict verdict;
	int result = 0;

	(void)snprintf(file, sizeof(file), "main%s", kind->suffix); /* fits */
	if (cJSON_AddStringToObject(annotations, "vespid", kind->name) == NULL) {
		cJSON_Delete(annotations);
		return -ENOMEM;
	}
	result = weir_dialect_deploy(call, &wanted, &verdict);
	cJSON_Delete(annotations);
	if (result != 0)
		return result;
	if (verdict.status >= 300)
		return refused(call, name, &verdict);
	weir_dialect_verdict_release(&verdict);
	return deployed(call, name, is_new ? "created" : "updated", weir_clock_now_ns() - begun_ns);
}

static int create(struct weir_dialect_call *call, const char *name, const cJSON *body)
{
	const char *const code = weir_dialect_text(body, "vcode");
	const char *const runtime = weir_dialect_text(body, "runtime");
	const struct kind *const kind = kind_find(runtime);

	if (code == NULL || runtime == NULL)
		return unsound(call, "vcode and runtime must be texts");
	if (kind == NULL)
		return unsound(call, "runtime must be c, cnative, js or jsnative");
	return deploy(call, name, code, kind, true);
}

/* What is not named stays; the code has to be. */
static int update(struct weir_dialect_call *call, const char *name, const cJSON *body)
{
	const char *const code = weir_dialect_text(body, "vcode");
	struct weir_dialect_verdict verdict;
	const struct kind *kind = kind_find(weir_dialect_text(body, "runtime"));
	int result = 0;

	if (code == NULL)
		return unsound(call, "vcode must be a text");
	result = weir_dialect_look_up(call, SPACE, name, &verdict);
	if (result != 0)
		return result;
	if (verdict.status != 200)
		return refused(call, name, &verdict);
	if (kind == NULL)
		kind = kind_find(weir_dialect_text(cJSON_GetObjectItemCaseSensitive(verdict.json, "annotations"),
						   "vespid"));
	weir_dialect_verdict_release(&verdict);
	if (kind == NULL)
		return unsound(call, "runtime must be c, cnative, js or jsnative");
	return deploy(call, name, code, kind, false);
}

/* ---- invoke ---- */

/* Without blanks and line ends around it, as a text prints. */
static struct weir_span trimmed(struct weir_span text)
{
	while (text.bytes > 0 && strchr(" \t\r\n", text.data[text.bytes - 1]) != NULL &&
	       text.data[text.bytes - 1] != '\0')
		text.bytes--;
	return text;
}

/* A C function's int. */
static bool is_int(struct weir_span text)
{
	size_t i = text.bytes > 0 && text.data[0] == '-' ? 1 : 0;
	const size_t first = i;

	while (i < text.bytes && text.data[i] >= '0' && text.data[i] <= '9')
		i++;
	return i == text.bytes && i > first && i - first <= DIGITS_MAX;
}

/* The result as its creator's runtime gives it: "7" or 7. */
static cJSON *result_json(struct weir_span body, bool is_number)
{
	const struct weir_span text = trimmed(body);
	char *const copy = malloc(text.bytes + 1);
	cJSON *json = NULL;

	if (copy == NULL)
		return NULL;
	if (text.bytes > 0)
		memcpy(copy, text.data, text.bytes);
	copy[text.bytes] = '\0';
	json = is_number && is_int(text) ? cJSON_CreateNumber(strtod(copy, NULL)) : cJSON_CreateString(copy);
	free(copy);
	return json;
}

static int answered(struct weir_dialect_call *call, const struct weir_dialect_result *result, bool is_number)
{
	cJSON *const json = cJSON_CreateObject();

	if (!cJSON_AddItemToObject(json, "result", result_json(result->body, is_number))) {
		cJSON_Delete(json);
		return -ENOMEM;
	}
	(void)cJSON_AddNumberToObject(json, "runTime", ms_of(result->took_ns)); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "deployTime", 0);
	return weir_dialect_reply_json(call, 200, json);
}

static int failed(struct weir_dialect_call *call, const char *name, const struct weir_dialect_result *result)
{
	const struct weir_span text = trimmed(result->body);

	if (result->failure != NULL && strcmp(result->failure, "call_unknown") == 0)
		return fail(call, "InvalidActionError", "Action does not exist: %s", name);
	if (result->failure != NULL)
		return fail(call, "ActionInvokeError", "%s", result->sentence);
	if (result->status == 400)
		return fail(call, "InvalidSignatureError", "Mismatch in arguments for action %s", name);
	return fail(call, "ActionInvokeError", "%.*s", text.bytes < 256 ? (int)text.bytes : 256, text.data);
}

/* Was it created as one whose result is a number? Without ctrld: as it was known, else it is a text. */
static bool is_number_action(struct weir_dialect_call *call, const char *name)
{
	const cJSON *function = NULL;
	struct weir_dialect_verdict verdict;
	const struct kind *kind = NULL;

	if (weir_dialect_know(call, SPACE, name, &function, &verdict) != 0)
		return false;
	kind = kind_find(weir_dialect_text(cJSON_GetObjectItemCaseSensitive(function, "annotations"), "vespid"));
	weir_dialect_verdict_release(&verdict);
	return kind != NULL && kind->is_number;
}

/* Takes the body over: it is not kept while the action runs. */
static int invoke(struct weir_dialect_call *call, const struct weir_dialect_named *named, cJSON *body)
{
	static const struct weir_dialect_field json_type = {{"content-type", 12}, {"application/json", 16}};
	const cJSON *const arguments = cJSON_GetObjectItemCaseSensitive(body, "vargs");
	const bool is_object = cJSON_IsObject(arguments);
	char *text = NULL;
	struct weir_dialect_invocation wanted = {
		.space = named->space, .name = named->name, .fields = &json_type, .field_count = 1};
	struct weir_dialect_result result;
	int code = 0;

	if (is_object)
		text = cJSON_PrintUnformatted(arguments);
	cJSON_Delete(body);
	if (!is_object)
		return unsound(call, "vargs must be an object: {\"vargs\": {\"a\": 1}}");
	if (text == NULL)
		return -ENOMEM;
	wanted.body = weir_span_of(text);
	code = call->ops->invoke(call, &wanted, &result);
	free(text);
	if (code == -EMSGSIZE)
		return fail(call, "ActionInvokeError", "arguments and results of actions have up to 1 MiB");
	if (code != 0)
		return code;
	if (result.failure != NULL || result.status >= 300)
		return failed(call, named->name, &result);
	return answered(call, &result,
			is_int(trimmed(result.body)) && strcmp(named->space, SPACE) == 0 && is_number_action(call, named->name));
}

/* ---- get, list, delete ---- */

/* The source, where it is a text; "" otherwise. */
static int code_add(struct weir_dialect_call *call, const char *name, cJSON *json)
{
	const char *const parts[] = {SPACE, name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};
	struct weir_dialect_verdict verdict;
	int code = -EINVAL;

	if (weir_dialect_target(target, "/weir/functions/%s/%s/code", parts))
		code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	(void)cJSON_AddStringToObject(json, "vcode", verdict.status == 200 ? verdict.text : ""); /* or it lacks */
	weir_dialect_verdict_release(&verdict);
	return 0;
}

/* {"vname","vcode","runtime"} of what the API tells of a function. */
static int action_tell(struct weir_dialect_call *call, const cJSON *function, cJSON *out)
{
	const char *const name = weir_dialect_text(function, "name");
	const char *const kind =
		weir_dialect_text(cJSON_GetObjectItemCaseSensitive(function, "annotations"), "vespid");
	const char *const runtime = weir_dialect_text(function, "runtime");

	if (name == NULL || runtime == NULL)
		return -ENOMEM;
	(void)cJSON_AddStringToObject(out, "vname", name); /* or members lack */
	(void)cJSON_AddStringToObject(out, "runtime", kind != NULL ? kind : runtime);
	if (kind_find(kind) != NULL || kind_find(runtime) != NULL)
		return code_add(call, name, out);
	(void)cJSON_AddStringToObject(out, "vcode", "");
	return 0;
}

static int get(struct weir_dialect_call *call, const char *name)
{
	struct weir_dialect_verdict verdict;
	cJSON *json = NULL;
	int code = weir_dialect_look_up(call, SPACE, name, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200)
		return refused(call, name, &verdict);
	json = cJSON_CreateObject();
	code = action_tell(call, verdict.json, cJSON_AddObjectToObject(json, "result"));
	weir_dialect_verdict_release(&verdict);
	if (code == 0)
		return weir_dialect_reply_json(call, 200, json);
	cJSON_Delete(json);
	return code;
}

/* One of the list, with what only asking for it tells; one that is gone meanwhile is left out. */
static int action_add(struct weir_dialect_call *call, const char *name, cJSON *actions)
{
	struct weir_dialect_verdict verdict;
	cJSON *action = NULL;
	int code = weir_dialect_look_up(call, SPACE, name, &verdict);

	if (code == 0 && verdict.status == 200) {
		action = cJSON_CreateObject();
		code = action_tell(call, verdict.json, action);
		if (!cJSON_AddItemToArray(actions, action))
			code = -ENOMEM;
	}
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int list(struct weir_dialect_call *call)
{
	const struct weir_dialect_order order = {.method = "GET", .target = "/weir/functions"};
	const cJSON *function = NULL;
	struct weir_dialect_verdict verdict;
	cJSON *json = NULL;
	cJSON *actions = NULL;
	int code = call->ops->manage(call, &order, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200)
		return refused(call, "", &verdict);
	json = cJSON_CreateObject();
	actions = cJSON_AddArrayToObject(json, "actions");
	cJSON_ArrayForEach(function, cJSON_GetObjectItemCaseSensitive(verdict.json, "functions"))
	{
		const char *const space = weir_dialect_text(function, "namespace");
		const char *const name = weir_dialect_text(function, "name");

		if (code == 0 && space != NULL && name != NULL && strcmp(space, SPACE) == 0)
			code = action_add(call, name, actions);
	}
	weir_dialect_verdict_release(&verdict);
	if (code == 0)
		return weir_dialect_reply_json(call, 200, json);
	cJSON_Delete(json);
	return code;
}

static int remove_action(struct weir_dialect_call *call, const char *name)
{
	const char *const parts[] = {SPACE, name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "DELETE", .target = target};
	struct weir_dialect_verdict verdict;
	cJSON *json = NULL;
	int code = -EINVAL;

	if (weir_dialect_target(target, "/weir/functions/%s/%s", parts))
		code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	if (verdict.status >= 300)
		return refused(call, name, &verdict);
	weir_dialect_verdict_release(&verdict);
	json = cJSON_CreateObject();
	(void)cJSON_AddNullToObject(json, "result");
	return weir_dialect_reply_json(call, 200, json);
}

/* ---- the table ---- */

static int list_or_ping(struct weir_dialect_call *call, bool is_ping)
{
	return is_ping ? weir_dialect_reply_json(call, 200, cJSON_CreateString("pong")) : list(call);
}

/* What a POST of an action wants, by the pattern's last segment. */
static int action_serve(struct weir_dialect_call *call, const char *name, const char *verb)
{
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	cJSON *body = NULL;
	int code = 0;

	if (strcmp(verb, "get") == 0)
		return get(call, name);
	if (strcmp(verb, "delete") == 0)
		return remove_action(call, name);
	body = weir_dialect_body(call, false, sentence);
	if (body == NULL)
		return unsound(call, sentence);
	if (strcmp(verb, "create") == 0)
		code = create(call, name, body);
	else
		code = update(call, name, body);
	cJSON_Delete(body);
	return code;
}

/* Any function may be invoked, those of other namespaces as "other%2Fname". */
static int action_invoke(struct weir_dialect_call *call)
{
	char sentence[WEIR_DIALECT_SENTENCE_BYTES] = "a name has 1 to 63 bytes";
	struct weir_dialect_named named;
	cJSON *body = NULL;

	if (weir_dialect_named(call->ops->param(call, "name"), SPACE, &named))
		body = weir_dialect_body(call, false, sentence);
	return body == NULL ? unsound(call, sentence) : invoke(call, &named, body);
}

static int serve(struct weir_dialect_call *call)
{
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char verb[16] = "";
	const struct weir_span pattern = call->pattern;
	size_t bytes = 0;

	while (bytes < pattern.bytes && pattern.data[pattern.bytes - 1 - bytes] != '/')
		bytes++;
	(void)snprintf(verb, sizeof(verb), "%.*s", (int)bytes, pattern.data + pattern.bytes - bytes); /* fits */
	if (strcmp(verb, "ping") == 0 || strcmp(verb, "list") == 0)
		return list_or_ping(call, verb[0] == 'p');
	if (strcmp(verb, "invoke") == 0)
		return action_invoke(call);
	if (!weir_dialect_name(call->ops->param(call, "name"), name))
		return unsound(call, "a name has 1 to 63 bytes");
	return action_serve(call, name, verb);
}

const struct weir_dialect weir_dialect_vespid = {.name = "vespid", .space = "default",
					      .body_bytes_max = WEIR_DIALECT_JSON_BYTES_MAX,
					      .serve = serve};
