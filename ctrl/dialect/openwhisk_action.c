#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"
#include "dataplane/base/clock.h"

#define SYSTEM WEIR_SPACE_SHARED

/* A PUT while it is put together. */
struct change {
	const struct weir_whisk_name *name;
	cJSON *body;
	const cJSON *old; /* what the API tells of the function; NULL: it is new */
	cJSON *annotations;
	uint32_t timeout_ms;
	uint32_t memory_mb;
};

/* ---- answers ---- */

static bool is_utf8(const struct weir_dialect_verdict *verdict)
{
	size_t at = 0;

	while (at < verdict->bytes) {
		const size_t step = weir_model_utf8_bytes(verdict->text + at, verdict->bytes - at);

		if (step == 0 || verdict->text[at] == '\0')
			return false;
		at += step;
	}
	return true;
}

/* The source, where it is a text. 0, or as manage(). */
static int code_add(struct weir_dialect_call *call, const struct weir_whisk_name *name, cJSON *exec)
{
	const char *const parts[] = {name->space, name->function};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};
	struct weir_dialect_verdict verdict;
	int code = -EINVAL;

	if (weir_dialect_target(target, "/weir/functions/%s/%s/code", parts))
		code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	if (verdict.status == 200 && is_utf8(&verdict))
		(void)cJSON_AddStringToObject(exec, "code", verdict.text); /* or it lacks */
	weir_dialect_verdict_release(&verdict);
	return 0;
}

/* The action, with its code if that is wanted and is a text. Takes the verdict over. */
static int action_reply(struct weir_dialect_call *call, const struct weir_whisk_name *name,
			struct weir_dialect_verdict *verdict, bool has_code)
{
	cJSON *const json = weir_whisk_action_json(verdict->json, true);
	cJSON *const exec = cJSON_GetObjectItemCaseSensitive(json, "exec");
	const bool is_text = strchr(weir_whisk_kind(verdict->json), ':') != NULL &&
			     !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(exec, "binary"));
	int code = 0;

	weir_dialect_verdict_release(verdict);
	if (has_code && is_text)
		code = code_add(call, name, exec);
	if (code == 0)
		return weir_dialect_reply_json(call, 200, json);
	cJSON_Delete(json);
	return code;
}

int weir_whisk_action_get(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	struct weir_dialect_verdict verdict;
	char wanted[8] = "true";
	int code = 0;

	if (weir_dialect_query(call, "code", wanted, sizeof(wanted)) && strcmp(wanted, "true") != 0 &&
	    strcmp(wanted, "false") != 0)
		return weir_whisk_fail(call, 400, "The query parameter 'code' was malformed:\n'%s' is neither true nor false.",
				       wanted);
	code = weir_dialect_look_up(call, name->space, name->function, &verdict);
	if (code != 0)
		return code;
	return verdict.status == 200 ? action_reply(call, name, &verdict, wanted[0] == 't')
				     : weir_whisk_refused(call, &verdict);
}

static bool is_writable(struct weir_dialect_call *call, const struct weir_whisk_name *name, int *out_code)
{
	if (strcmp(name->space, SYSTEM) != 0)
		return true;
	*out_code = weir_whisk_fail(call, 403, "The supplied authentication is not authorized to access '%s/%s'.",
				    name->space, name->function);
	return false;
}

int weir_whisk_action_delete(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	const char *const parts[] = {name->space, name->function};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "DELETE", .target = target};
	struct weir_dialect_verdict verdict;
	int code = 0;

	if (!is_writable(call, name, &code))
		return code;
	code = weir_whisk_action_get(call, name); /* the reply, if it can be removed then */
	if (code != 0 || call->reply.status != 200)
		return code;
	code = weir_dialect_target(target, "/weir/functions/%s/%s", parts) ? call->ops->manage(call, &order, &verdict)
									   : -EINVAL;
	if (code != 0)
		return code;
	if (verdict.status >= 300)
		return weir_whisk_refused(call, &verdict);
	weir_dialect_verdict_release(&verdict);
	weir_dialect_forget(name->space, name->function);
	return 0;
}

/* ---- the list ---- */

/* Newest first. */
static int newer_first(const void *left, const void *right)
{
	const double a = weir_whisk_number(*(const cJSON *const *)left, "version", 0);
	const double b = weir_whisk_number(*(const cJSON *const *)right, "version", 0);

	return a < b ? 1 : a > b ? -1 : 0;
}

/* Those of the namespace, in order, in `out`, which has room for all. */
static size_t functions_choose(const cJSON *functions, const char *space, const cJSON **out)
{
	const cJSON *function = NULL;
	size_t count = 0;

	cJSON_ArrayForEach(function, functions)
	{
		const char *const of = weir_dialect_text(function, "namespace");

		if (of != NULL && strcmp(of, space) == 0)
			out[count++] = function;
	}
	if (count > 1)
		qsort(out, count, sizeof(const cJSON *), newer_first);
	return count;
}

/* One of the list, with what only asking for it tells; one that is gone meanwhile is left out. */
static int action_add(struct weir_dialect_call *call, const cJSON *function, cJSON *list)
{
	const char *const name = weir_dialect_text(function, "name");
	struct weir_dialect_verdict verdict;
	struct weir_whisk_name wanted;
	int code = 0;

	(void)snprintf(wanted.space, sizeof(wanted.space), "%s", weir_dialect_text(function, "namespace")); /* fits */
	(void)snprintf(wanted.function, sizeof(wanted.function), "%s", name == NULL ? "" : name);
	code = weir_dialect_look_up(call, wanted.space, wanted.function, &verdict);
	if (code != 0)
		return code;
	if (verdict.status == 200 && !cJSON_AddItemToArray(list, weir_whisk_action_json(verdict.json, false)))
		code = -ENOMEM;
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int page_reply(struct weir_dialect_call *call, const struct weir_whisk_page *page, const cJSON **chosen,
		      size_t count)
{
	cJSON *const json = page->is_count ? cJSON_CreateObject() : cJSON_CreateArray();
	int code = 0;

	if (page->is_count)
		(void)cJSON_AddNumberToObject(json, "actions", count > page->skip ? (double)(count - page->skip) : 0);
	for (size_t i = page->skip; !page->is_count && code == 0 && i < count && i - page->skip < page->limit; i++)
		code = action_add(call, chosen[i], json);
	if (code == 0)
		return weir_dialect_reply_json(call, 200, json);
	cJSON_Delete(json);
	return code;
}

int weir_whisk_action_list(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	const struct weir_dialect_order order = {.method = "GET", .target = "/weir/functions"};
	struct weir_dialect_verdict verdict;
	struct weir_whisk_page page;
	const cJSON *functions = NULL;
	const cJSON **chosen = NULL;
	int code = 0;

	if (!weir_whisk_page_read(call, &page, &code))
		return code;
	code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	if (verdict.status != 200)
		return weir_whisk_refused(call, &verdict);
	functions = cJSON_GetObjectItemCaseSensitive(verdict.json, "functions");
	chosen = malloc(((size_t)cJSON_GetArraySize(functions) + 1) * sizeof(const cJSON *));
	code = chosen == NULL ? -ENOMEM
			      : page_reply(call, &page, chosen, functions_choose(functions, name->space, chosen));
	free(chosen);
	weir_dialect_verdict_release(&verdict);
	return code;
}

/* ---- PUT ---- */

/* A limit of the body, within its range; else `old`. False: a reply was made. */
static bool limit_read(struct weir_dialect_call *call, const cJSON *limits, const char *name, const char *unit,
		       const double range[2], double *value, int *out_code)
{
	const cJSON *const item = cJSON_GetObjectItemCaseSensitive(limits, name);

	if (item == NULL)
		return true;
	if (cJSON_IsNumber(item) && floor(item->valuedouble) == item->valuedouble && item->valuedouble >= range[0] &&
	    item->valuedouble <= range[1]) {
		*value = item->valuedouble;
		return true;
	}
	if (!cJSON_IsNumber(item) || floor(item->valuedouble) != item->valuedouble)
		*out_code = weir_whisk_fail(call, 400, "The request content was malformed:\n%s must be a whole number of %s",
					    name, unit);
	else
		*out_code = weir_whisk_fail(
			call, 400, "The request content was malformed:\nrequirement failed: %s %.0f %s %s allowed threshold of %.0f %s",
			name, item->valuedouble, unit, item->valuedouble < range[0] ? "below" : "exceeds",
			item->valuedouble < range[0] ? range[0] : range[1], unit);
	return false;
}

/* Limits that are given go before those that the action has. */
static bool limits_read(struct weir_dialect_call *call, struct change *change, cJSON *note, int *out_code)
{
	static const double timeout_range[] = {100, 300000};
	static const double memory_range[] = {128, 512};
	static const double logs_range[] = {0, 10};
	static const double concurrency_range[] = {1, 500};
	const cJSON *const limits = cJSON_GetObjectItemCaseSensitive(change->body, "limits");
	const cJSON *const old_note = weir_whisk_note(change->old);
	double timeout = weir_whisk_number(change->old, "timeout_ms", 60000);
	double memory = weir_whisk_number(change->old, "memory_mb", 256);
	double logs = weir_whisk_number(old_note, "logs", 10);
	double concurrency = weir_whisk_number(old_note, "concurrency", 1);

	if (!limit_read(call, limits, "timeout", "milliseconds", timeout_range, &timeout, out_code) ||
	    !limit_read(call, limits, "memory", "MB", memory_range, &memory, out_code) ||
	    !limit_read(call, limits, "logs", "MB", logs_range, &logs, out_code) ||
	    !limit_read(call, limits, "concurrency", "activations", concurrency_range, &concurrency, out_code))
		return false;
	change->timeout_ms = (uint32_t)timeout;
	change->memory_mb = (uint32_t)memory;
	(void)cJSON_AddNumberToObject(note, "logs", logs); /* or members lack */
	(void)cJSON_AddNumberToObject(note, "concurrency", concurrency);
	return true;
}

/* "1.2.3" -> three numbers. */
static bool version_parse(const char *text, unsigned version[3])
{
	int used = 0;

	return strspn(text, "0123456789.") == strlen(text) && strlen(text) < 24 &&
	       sscanf(text, "%9u.%9u.%9u%n", &version[0], &version[1], &version[2], &used) == 3 && text[used] == '\0';
}

/* The one that is given, else the next. */
static bool version_add(struct weir_dialect_call *call, const struct change *change, cJSON *note, int *out_code)
{
	const cJSON *const given = cJSON_GetObjectItemCaseSensitive(change->body, "version");
	unsigned version[3] = {0, 0, 0};
	char text[40];

	if (given != NULL && (!cJSON_IsString(given) || !version_parse(given->valuestring, version))) {
		*out_code = weir_whisk_malformed(call, "version must be like 0.0.1: three numbers");
		return false;
	}
	if (given == NULL) {
		if (change->old != NULL)
			weir_whisk_version(change->old, text);
		if (change->old != NULL && !version_parse(text, version))
			version[2] = 0;
		version[2]++;
	}
	(void)snprintf(text, sizeof(text), "%u.%u.%u", version[0], version[1], version[2]); /* fits */
	(void)cJSON_AddStringToObject(note, "version", text); /* or it lacks */
	return true;
}

/* [{"key", "value"}] as an object; NULL: it is no such list. */
static cJSON *object_of(const cJSON *pairs)
{
	cJSON *const object = cJSON_CreateObject();
	const cJSON *pair = NULL;

	cJSON_ArrayForEach(pair, pairs)
	{
		const char *const key = weir_dialect_text(pair, "key");
		const cJSON *const value = cJSON_GetObjectItemCaseSensitive(pair, "value");

		if (key == NULL || value == NULL) {
			cJSON_Delete(object);
			return NULL;
		}
		cJSON_DeleteItemFromObjectCaseSensitive(object, key);
		(void)cJSON_AddItemToObject(object, key, cJSON_Duplicate(value, true)); /* or it lacks */
	}
	return object;
}

/* What the user says of the action, else what was said. */
static bool annotations_read(struct weir_dialect_call *call, struct change *change, int *out_code)
{
	const cJSON *const given = cJSON_GetObjectItemCaseSensitive(change->body, "annotations");
	const cJSON *const parameters = cJSON_GetObjectItemCaseSensitive(change->body, "parameters");

	if (given == NULL && change->old != NULL)
		change->annotations = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(change->old, "annotations"), true);
	else if (given == NULL || cJSON_IsArray(given))
		change->annotations = object_of(given);
	if (change->annotations == NULL || (parameters != NULL && !cJSON_IsArray(parameters))) {
		*out_code = weir_whisk_malformed(call, "annotations and parameters are lists of {\"key\": …, \"value\": …}");
		return false;
	}
	cJSON_DeleteItemFromObjectCaseSensitive(change->annotations, WEIR_WHISK_NOTE);
	return true;
}

/* The annotation that says what Weir has no place for. */
static bool note_add(struct weir_dialect_call *call, struct change *change, const struct weir_whisk_exec *exec,
		     int *out_code)
{
	const cJSON *const old = weir_whisk_note(change->old);
	char package[WEIR_MODEL_NAME_BYTES_MAX + 1];
	cJSON *note = NULL;

	if (!annotations_read(call, change, out_code))
		return false;
	note = cJSON_AddObjectToObject(change->annotations, WEIR_WHISK_NOTE);
	(void)cJSON_AddStringToObject(note, "kind", exec != NULL ? exec->kind : weir_whisk_kind(change->old)); /* or members lack */
	(void)cJSON_AddBoolToObject(note, "binary",
				    exec != NULL ? exec->is_binary
						 : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(old, "binary")));
	if (exec != NULL && exec->components != NULL)
		(void)cJSON_AddItemToObject(note, "components", cJSON_Duplicate(exec->components, true));
	else if (exec == NULL && weir_whisk_components(change->old) != NULL)
		(void)cJSON_AddItemToObject(note, "components", cJSON_Duplicate(weir_whisk_components(change->old), true));
	else if (exec != NULL && strcmp(exec->main, "main") != 0)
		(void)cJSON_AddStringToObject(note, "main", exec->main);
	else if (exec == NULL && weir_dialect_text(old, "main") != NULL)
		(void)cJSON_AddStringToObject(note, "main", weir_dialect_text(old, "main"));
	if (change->name->package_bytes != 0) {
		(void)snprintf(package, sizeof(package), "%.*s", (int)change->name->package_bytes, change->name->function);
		(void)cJSON_AddStringToObject(note, "package", package);
	}
	(void)cJSON_AddNumberToObject(note, "updated", (double)(weir_clock_wall_ns() / WEIR_NS_PER_MS));
	return limits_read(call, change, note, out_code) && version_add(call, change, note, out_code);
}

static bool runtime_is_here(const cJSON *status, const char *runtime)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, "runtimes"))
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, runtime) == 0)
			return true;
	}
	return false;
}

/* QuickJS runs what needs no packages, and Node what QuickJS does. 0, or as manage(). */
static int runtime_settle(struct weir_dialect_call *call, struct weir_whisk_exec *exec)
{
	const struct weir_dialect_order order = {.method = "GET", .target = "/weir/status"};
	struct weir_dialect_verdict verdict;
	int code = 0;

	if (exec->otherwise == NULL)
		return 0;
	code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	if (verdict.status == 200 && !runtime_is_here(verdict.json, exec->runtime) &&
	    runtime_is_here(verdict.json, exec->otherwise))
		exec->runtime = exec->otherwise;
	weir_dialect_verdict_release(&verdict);
	return 0;
}

/* New code. 0 with a verdict, or as manage(). */
static int deploy(struct weir_dialect_call *call, const struct change *change, struct weir_whisk_exec *exec,
		  struct weir_dialect_verdict *out_verdict)
{
	const struct weir_dialect_deployment wanted = {
		.space = change->name->space,
		.name = change->name->function,
		.file = exec->file,
		.runtime = exec->runtime,
		.handler = exec->main,
		.code = {.data = exec->code, .bytes = exec->bytes},
		.annotations = change->annotations,
		.parameters = cJSON_GetObjectItemCaseSensitive(change->body, "parameters"),
		.timeout_ms = change->timeout_ms,
		.memory_mb = change->memory_mb,
		.is_new = change->old == NULL,
		.is_untried = true,
	};

	return weir_dialect_deploy(call, &wanted, out_verdict);
}

/* All but the code. Likewise. */
static int alter(struct weir_dialect_call *call, const struct change *change, struct weir_dialect_verdict *out_verdict)
{
	const char *const parts[] = {change->name->space, change->name->function};
	const cJSON *const parameters = cJSON_GetObjectItemCaseSensitive(change->body, "parameters");
	cJSON *const json = cJSON_CreateObject();
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "PATCH", .target = target, .json = json};
	int code = -EINVAL;

	(void)cJSON_AddNumberToObject(json, "timeout_ms", change->timeout_ms); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "memory_mb", change->memory_mb);
	(void)cJSON_AddItemToObject(json, "annotations", cJSON_Duplicate(change->annotations, true));
	if (parameters != NULL)
		(void)cJSON_AddItemToObject(json, "parameters", cJSON_Duplicate(parameters, true));
	if (weir_dialect_target(target, "/weir/functions/%s/%s", parts))
		code = call->ops->manage(call, &order, out_verdict);
	cJSON_Delete(json);
	return code;
}

static int changed_reply(struct weir_dialect_call *call, const struct change *change, struct weir_dialect_verdict *verdict)
{
	int code = 0;

	if (verdict->status >= 300)
		return weir_whisk_refused(call, verdict);
	weir_dialect_verdict_release(verdict);
	weir_dialect_forget(change->name->space, change->name->function);
	code = weir_dialect_look_up(call, change->name->space, change->name->function, verdict);
	if (code != 0)
		return code;
	return verdict->status == 200 ? action_reply(call, change->name, verdict, true) : weir_whisk_refused(call, verdict);
}

static int put(struct weir_dialect_call *call, struct change *change)
{
	cJSON *const given = cJSON_GetObjectItemCaseSensitive(change->body, "exec");
	struct weir_whisk_exec exec = {.code = NULL};
	struct weir_dialect_verdict verdict;
	int code = 0;

	if (given == NULL && change->old == NULL)
		return weir_whisk_fail(call, 400, "exec undefined");
	if ((given == NULL || weir_whisk_exec_read(call, given, &exec, &code)) &&
	    note_add(call, change, given == NULL ? NULL : &exec, &code)) {
		code = given == NULL ? 0 : runtime_settle(call, &exec);
		if (code == 0)
			code = given == NULL ? alter(call, change, &verdict) : deploy(call, change, &exec, &verdict);
		if (code == 0)
			code = changed_reply(call, change, &verdict);
	}
	free(exec.made);
	cJSON_Delete(change->annotations);
	return code;
}

/* The function as it is: a new one is none. */
static int put_over(struct weir_dialect_call *call, struct change *change, bool may_replace)
{
	struct weir_dialect_verdict verdict;
	int code = weir_dialect_look_up(call, change->name->space, change->name->function, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200 && verdict.status != 404)
		return weir_whisk_refused(call, &verdict);
	if (verdict.status == 200)
		change->old = verdict.json;
	code = change->old != NULL && !may_replace ? weir_whisk_fail(call, 409, "resource already exists") : put(call, change);
	weir_dialect_verdict_release(&verdict);
	return code;
}

int weir_whisk_action_put(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	struct change change = {.name = name};
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	bool may_replace = false;
	cJSON *body = NULL;
	int code = 0;

	if (!is_writable(call, name, &code) || !weir_whisk_flag(call, "overwrite", &may_replace, &code))
		return code;
	body = weir_dialect_body(call, false, sentence);
	if (body == NULL)
		return weir_whisk_malformed(call, sentence);
	change.body = body;
	code = put_over(call, &change, may_replace);
	cJSON_Delete(body);
	return code;
}
