/* openwhisk: Apache OpenWhisk's REST API as its npm client, wsk and curl call it (openwhisk-client-js 3.21.9;
 * core/controller of apache/openwhisk), as far as nothing has to wait in a queue.
 *
 *   GET  /api/v1/namespaces                                        -> ["guest"]
 *   GET  /api/v1/namespaces/NS/actions ?skip &limit &count
 *   PUT, GET, DELETE, POST (invoke) .../NS/actions/[PACKAGE/]NAME
 *   GET  .../NS/activations ?name &skip &limit &since &upto &docs &count; .../activations/ID, ID/logs, ID/result
 *   GET  /api/v1/namespaces/NS/packages, triggers, rules           -> []
 *
 * NS `_` is the caller's own. One of Weir's keys opens its namespace; who has other credentials is `guest`, as long as
 * calls are open at all. Errors are {"error", "code"}. */
#include "ctrl/dialect/openwhisk.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT "/api/v1/namespaces"
#define GUEST "guest"

enum { SEGMENTS_MAX = 4, NAME_BYTES_MAX = 256, CREDENTIALS_BYTES_MAX = 1024 };

int weir_whisk_fail(struct weir_dialect_call *call, uint16_t status, const char *format, ...)
{
	char text[2 * WEIR_DIALECT_SENTENCE_BYTES];
	cJSON *const json = cJSON_CreateObject();
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
	va_end(arguments);
	(void)cJSON_AddStringToObject(json, "error", text); /* or members lack */
	(void)cJSON_AddStringToObject(json, "code", call->activation);
	return weir_dialect_reply_json(call, status, json);
}

static int unauthorized(struct weir_dialect_call *call, const char *sentence)
{
	const int code = weir_whisk_fail(call, 401, "%s", sentence);

	return code == 0 ? weir_dialect_reply_field(call, WEIR_SPAN("www-authenticate"), "Basic realm=\"weir\"") : code;
}

int weir_whisk_missing(struct weir_dialect_call *call)
{
	return weir_whisk_fail(call, 404, "The requested resource does not exist.");
}

int weir_whisk_malformed(struct weir_dialect_call *call, const char *sentence)
{
	return weir_whisk_fail(call, 400, "The request content was malformed:\n%s", sentence);
}

int weir_whisk_refused(struct weir_dialect_call *call, struct weir_dialect_verdict *verdict)
{
	const char *const word = weir_dialect_text(verdict->json, "code");
	const char *const sentence = weir_dialect_sentence(verdict);
	int code = 0;

	if (verdict->status == 404)
		code = weir_whisk_missing(call);
	else if (verdict->status == 401)
		code = unauthorized(call, sentence);
	else if (verdict->status == 403)
		code = weir_whisk_fail(call, 403, "The supplied authentication is not authorized to access this: %s", sentence);
	else if (verdict->status == 409 && word != NULL && strcmp(word, "exists") == 0)
		code = weir_whisk_fail(call, 409, "resource already exists");
	else if (verdict->status == 422)
		code = weir_whisk_malformed(call, sentence);
	else if (verdict->status == 409 || verdict->status == 413 || verdict->status == 503)
		code = weir_whisk_fail(call, verdict->status, "%s", sentence);
	else
		code = weir_whisk_fail(call, 500, "There was an internal server error: %s", sentence);
	weir_dialect_verdict_release(verdict);
	return code;
}

/* ---- the query ---- */

bool weir_whisk_flag(struct weir_dialect_call *call, const char *name, bool *out_value, int *out_code)
{
	char text[16] = "false";
	const bool is_there = weir_dialect_query(call, name, text, sizeof(text));

	*out_value = strcmp(text, "true") == 0;
	if (*out_value || !is_there || strcmp(text, "false") == 0)
		return true;
	*out_code = weir_whisk_fail(call, 400, "The query parameter '%s' was malformed:\n'%s' is neither true nor false.",
				    name, text);
	return false;
}

bool weir_whisk_count(struct weir_dialect_call *call, const char *name, uint64_t max, uint64_t *value, int *out_code)
{
	char text[24] = "";
	char *end = NULL;
	uint64_t read = 0;

	if (!weir_dialect_query(call, name, text, sizeof(text)))
		return true;
	read = strtoull(text, &end, 10);
	if (isdigit((unsigned char)text[0]) && *end == '\0' && read <= max) {
		*value = read;
		return true;
	}
	*out_code = weir_whisk_fail(call, 400,
				    "The query parameter '%s' was malformed:\nThe value '%s' is not in the range of 0 to %" PRIu64 ".",
				    name, text, max);
	return false;
}

bool weir_whisk_page_read(struct weir_dialect_call *call, struct weir_whisk_page *out_page, int *out_code)
{
	*out_page = (struct weir_whisk_page){.limit = WEIR_WHISK_LIST_DEFAULT};
	if (!weir_whisk_count(call, "skip", UINT32_MAX, &out_page->skip, out_code) ||
	    !weir_whisk_count(call, "limit", WEIR_WHISK_LIST_MAX, &out_page->limit, out_code) ||
	    !weir_whisk_flag(call, "count", &out_page->is_count, out_code))
		return false;
	if (out_page->limit == 0)
		out_page->limit = WEIR_WHISK_LIST_MAX; /* "as many as there may be" */
	return true;
}

/* ---- names ---- */

/* OpenWhisk's names: \w, then [\w@ .&-], no blank at the end. */
static bool is_name(struct weir_span name)
{
	if (name.bytes == 0 || name.bytes > NAME_BYTES_MAX || name.data[name.bytes - 1] == ' ')
		return false;
	for (size_t i = 0; i < name.bytes; i++) {
		const unsigned char byte = (unsigned char)name.data[i];
		const bool is_word = (byte < 0x80 && isalnum(byte)) || byte == '_';

		if (!is_word && (i == 0 || byte == '\0' || strchr("@ .&-", byte) == NULL))
			return false;
	}
	return true;
}

/* The namespace that is the caller's own. */
static struct weir_span own_space(const struct weir_dialect_call *call)
{
	return call->caller.role == WEIR_ROLE_NOBODY ? WEIR_SPAN(GUEST) : call->caller.space;
}

static bool space_take(const struct weir_dialect_call *call, struct weir_span space,
		       char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	if (weir_span_equal(space, WEIR_SPAN("_")))
		space = own_space(call);
	return is_name(space) && weir_dialect_name(space, out);
}

bool weir_whisk_name_make(struct weir_dialect_call *call, struct weir_span package, struct weir_span name,
			  struct weir_whisk_name *out_name, int *out_code)
{
	const size_t bytes = package.bytes + (package.bytes != 0) + name.bytes;

	if (!is_name(name) || (package.bytes != 0 && !is_name(package))) {
		*out_code = weir_whisk_fail(call, 400,
					    "The name of an action or a package begins with a letter, a digit or _, goes on "
					    "with those and @ . & - or blanks, does not end with a blank, and has up to 256 "
					    "characters.");
		return false;
	}
	if (bytes > WEIR_MODEL_NAME_BYTES_MAX || memchr(name.data, '&', name.bytes) != NULL ||
	    (package.bytes != 0 && memchr(package.data, '&', package.bytes) != NULL)) {
		*out_code = weir_whisk_fail(call, 400, "Here a name has no &, and with its package up to %d characters.",
					    WEIR_MODEL_NAME_BYTES_MAX);
		return false;
	}
	(void)snprintf(out_name->function, sizeof(out_name->function), "%.*s%s%.*s", (int)package.bytes,
		       package.bytes == 0 ? "" : package.data, package.bytes == 0 ? "" : ".", (int)name.bytes,
		       name.data); /* fits */
	out_name->package_bytes = package.bytes;
	return true;
}

/* Cut a path into its segments; how many there are, SEGMENTS_MAX + 1 for more than that. */
static size_t segments_cut(struct weir_span path, struct weir_span segment[SEGMENTS_MAX + 1])
{
	size_t count = 0;

	while (path.bytes > 0 && count <= SEGMENTS_MAX) {
		const char *const end = memchr(path.data, '/', path.bytes);
		const size_t bytes = end == NULL ? path.bytes : (size_t)(end - path.data);

		segment[count++] = (struct weir_span){.data = path.data, .bytes = bytes};
		path.data += end == NULL ? bytes : bytes + 1;
		path.bytes -= end == NULL ? bytes : bytes + 1;
	}
	return count;
}

/* May who calls do that there? False: a reply was made. */
static bool is_open_to(struct weir_dialect_call *call, enum weir_role needed, const char *space, int *out_code)
{
	if (weir_dialect_may(call, needed, space))
		return true;
	*out_code = weir_whisk_fail(call, 403, "The supplied authentication is not authorized to access '%s'.", space);
	return false;
}

bool weir_whisk_name_parse(struct weir_dialect_call *call, const char *text, struct weir_whisk_name *out_name,
			   int *out_code)
{
	struct weir_span segment[SEGMENTS_MAX + 1];
	const size_t count = segments_cut(weir_span_of(text + (text[0] == '/')), segment);

	if ((count == 2 || count == 3) && space_take(call, segment[0], out_name->space)) {
		if (!is_open_to(call, WEIR_ROLE_INVOKER, out_name->space, out_code))
			return false;
		return weir_whisk_name_make(call, count == 3 ? segment[1] : WEIR_SPAN(""), segment[count - 1], out_name,
					    out_code);
	}
	*out_code = weir_whisk_fail(call, 400, "The name '%.64s' is none of an action: it is like /namespace/name or "
					       "/namespace/package/name.",
				    text);
	return false;
}

/* ---- credentials ---- */

/* Whoever comes without a key is the guest, where that is allowed, but has to say who it is. False: a reply was made. */
static bool is_let_in(struct weir_dialect_call *call, int *out_code)
{
	const struct weir_span given = call->ops->field(call, "authorization");
	const struct weir_span scheme = WEIR_SPAN("Basic ");
	const size_t start_bytes = given.bytes < scheme.bytes ? given.bytes : scheme.bytes;
	char pair[CREDENTIALS_BYTES_MAX];
	size_t pair_bytes = 0;

	if (call->caller.role != WEIR_ROLE_NOBODY) /* the gateway found the key good */
		return true;
	if (given.bytes == 0) {
		*out_code = unauthorized(call, "The resource requires authentication, which was not supplied with the request");
		return false;
	}
	if (!call->caller.is_required && given.bytes <= sizeof(pair) && weir_span_equal_nocase((struct weir_span){given.data, start_bytes}, scheme) &&
	    weir_whisk_base64((struct weir_span){given.data + start_bytes, given.bytes - start_bytes}, pair, sizeof(pair),
			      &pair_bytes) &&
	    memchr(pair, ':', pair_bytes) != NULL)
		return true;
	*out_code = unauthorized(call, "The supplied authentication is invalid.");
	return false;
}

/* ---- paths ---- */

static bool is_method(const struct weir_dialect_call *call, const char *method)
{
	return weir_span_equal(call->method, weir_span_of(method));
}

/* What it takes to do what the method does. */
static enum weir_role role_of(const struct weir_dialect_call *call)
{
	return is_method(call, "PUT") || is_method(call, "DELETE") ? WEIR_ROLE_DEVELOPER : WEIR_ROLE_INVOKER;
}

static int method_unknown(struct weir_dialect_call *call, const char *known)
{
	return weir_whisk_fail(call, 405, "HTTP method not allowed, supported methods: %s", known);
}

static int namespaces_tell(struct weir_dialect_call *call)
{
	const struct weir_span own = own_space(call);
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	const char *const mine[] = {name};

	(void)snprintf(name, sizeof(name), "%.*s", (int)own.bytes, own.data); /* fits: a namespace's */
	if (!is_method(call, "GET"))
		return method_unknown(call, "GET");
	return weir_dialect_reply_json(call, 200, cJSON_CreateStringArray(mine, 1));
}

/* Packages, triggers and rules: there are none. */
static int nothing_tell(struct weir_dialect_call *call, const char *what)
{
	struct weir_whisk_page page;
	cJSON *json = NULL;
	int code = 0;

	if (!is_method(call, "GET"))
		return method_unknown(call, "GET");
	if (!weir_whisk_page_read(call, &page, &code))
		return code;
	if (!page.is_count)
		return weir_dialect_reply_json(call, 200, cJSON_CreateArray());
	json = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(json, what, 0); /* or it lacks */
	return weir_dialect_reply_json(call, 200, json);
}

static int action_serve(struct weir_dialect_call *call, const struct weir_whisk_name *name)
{
	if (is_method(call, "POST"))
		return weir_whisk_action_invoke(call, name);
	if (is_method(call, "GET"))
		return weir_whisk_action_get(call, name);
	if (is_method(call, "PUT"))
		return weir_whisk_action_put(call, name);
	if (is_method(call, "DELETE"))
		return weir_whisk_action_delete(call, name);
	return method_unknown(call, "GET, PUT, POST, DELETE");
}

static int actions_serve(struct weir_dialect_call *call, struct weir_whisk_name *name, const struct weir_span *segment,
			 size_t count)
{
	int code = 0;

	if (count == 0)
		return is_method(call, "GET") ? weir_whisk_action_list(call, name) : method_unknown(call, "GET");
	if (count > 2)
		return weir_whisk_missing(call);
	return weir_whisk_name_make(call, count == 2 ? segment[0] : WEIR_SPAN(""), segment[count - 1], name, &code)
		       ? action_serve(call, name)
		       : code;
}

static int activations_serve(struct weir_dialect_call *call, const struct weir_whisk_name *name,
			     const struct weir_span *segment, size_t count)
{
	static const char *const parts[] = {"logs", "result"};

	if (!is_method(call, "GET"))
		return method_unknown(call, "GET");
	if (count == 0)
		return weir_whisk_activation_list(call, name);
	if (count == 1)
		return weir_whisk_activation_get(call, name, segment[0], "");
	for (size_t i = 0; count == 2 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (weir_span_equal(segment[1], weir_span_of(parts[i])))
			return weir_whisk_activation_get(call, name, segment[0], parts[i]);
	}
	return weir_whisk_missing(call);
}

static int serve(struct weir_dialect_call *call)
{
	const struct weir_span root = WEIR_SPAN(ROOT);
	const size_t skipped = call->path.bytes > root.bytes ? root.bytes + 1 : root.bytes;
	struct weir_span segment[SEGMENTS_MAX + 1];
	struct weir_whisk_name name = {.function = ""};
	size_t count = 0;
	int code = 0;

	if (!is_let_in(call, &code))
		return code;
	count = segments_cut((struct weir_span){.data = call->path.data + skipped, .bytes = call->path.bytes - skipped},
			     segment);
	if (count == 0)
		return namespaces_tell(call);
	if (count == 1 || !space_take(call, segment[0], name.space))
		return weir_whisk_missing(call);
	if (!is_open_to(call, role_of(call), name.space, &code))
		return code;
	if (weir_span_equal(segment[1], WEIR_SPAN("actions")))
		return actions_serve(call, &name, segment + 2, count - 2);
	if (weir_span_equal(segment[1], WEIR_SPAN("activations")))
		return activations_serve(call, &name, segment + 2, count - 2);
	if (count == 2 && weir_span_equal(segment[1], WEIR_SPAN("packages")))
		return nothing_tell(call, "packages");
	if (count == 2 && weir_span_equal(segment[1], WEIR_SPAN("triggers")))
		return nothing_tell(call, "triggers");
	if (count == 2 && weir_span_equal(segment[1], WEIR_SPAN("rules")))
		return nothing_tell(call, "rules");
	return weir_whisk_missing(call);
}

const struct weir_dialect weir_dialect_openwhisk = {.name = "openwhisk", .body_bytes_max = WEIR_DIALECT_CODE_BYTES_MAX, .serve = serve};
