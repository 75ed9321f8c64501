#include "ctrl/api/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/model/model_json.h"
#include "dataplane/base/clock.h"

/* The one list of what the API offers. '*' stands for one path segment. `what` is how history calls it, with
 * what it is about behind; NULL: it changes nothing. */
static const struct {
	enum weir_http_method method;
	const char *path;
	weir_api_handler *handler;
	const char *what;
} endpoints[] = {
	{WEIR_HTTP_GET, "/weir/functions", weir_api_function_list, NULL},
	{WEIR_HTTP_POST, "/weir/functions", weir_api_function_add, "add function"},
	{WEIR_HTTP_GET, "/weir/functions/*/*", weir_api_function_get, NULL},
	{WEIR_HTTP_PATCH, "/weir/functions/*/*", weir_api_function_change, "change function"},
	{WEIR_HTTP_DELETE, "/weir/functions/*/*", weir_api_function_remove, "remove function"},
	{WEIR_HTTP_POST, "/weir/functions/*/*/deploy", weir_api_function_deploy, "deploy function"},
	{WEIR_HTTP_GET, "/weir/functions/*/*/versions", weir_api_function_versions, NULL},
	{WEIR_HTTP_POST, "/weir/functions/*/*/rollback", weir_api_function_rollback, "roll back function"},
	{WEIR_HTTP_PATCH, "/weir/functions/*/*/scale", weir_api_function_scale, "scale function"},
	{WEIR_HTTP_GET, "/weir/functions/*/*/environment", weir_api_variable_list, NULL},
	{WEIR_HTTP_PATCH, "/weir/functions/*/*/environment", weir_api_variable_change, "change environment of"},
	/* The body is a file called ?name=, or an archive: server_upload.c. */
	{WEIR_HTTP_POST, "/weir/code", weir_api_code_add, "upload code"},
	/* ?after=ID&limit=COUNT&since=NS&newest=1 */
	{WEIR_HTTP_GET, "/weir/functions/*/*/logs", weir_api_function_logs, NULL},
	{WEIR_HTTP_GET, "/weir/activations/*/logs", weir_api_activation_logs, NULL},
	/* ?route=GET%20/x&host=h names one route. */
	{WEIR_HTTP_GET, "/weir/routes", weir_api_route_list, NULL},
	{WEIR_HTTP_POST, "/weir/routes", weir_api_route_add, "add route"},
	{WEIR_HTTP_PATCH, "/weir/routes", weir_api_route_update, "change route"},
	{WEIR_HTTP_DELETE, "/weir/routes", weir_api_route_remove, "remove route"},
	{WEIR_HTTP_POST, "/weir/route-test", weir_api_route_test, "test route"},
	{WEIR_HTTP_GET, "/weir/settings", weir_api_setting_list, NULL},
	{WEIR_HTTP_GET, "/weir/settings/*", weir_api_setting_read, NULL},
	{WEIR_HTTP_PUT, "/weir/settings/*", weir_api_setting_write, "set"},
	{WEIR_HTTP_DELETE, "/weir/settings/*", weir_api_setting_unset, "unset"},
	/* ?pool=NAME names one pool. */
	{WEIR_HTTP_GET, "/weir/pools", weir_api_pool_list, NULL},
	{WEIR_HTTP_PATCH, "/weir/pools", weir_api_pool_change, "change pool"},
	/* ?limit=COUNT */
	{WEIR_HTTP_GET, "/weir/history", weir_api_history_list, NULL},
	{WEIR_HTTP_GET, "/weir/history/diff", weir_api_history_diff, NULL},
	{WEIR_HTTP_GET, "/weir/status", weir_api_status_get, NULL},
};

/* Does `path` have the form of `pattern`? Fills the parameters as far as it gets. */
static bool path_match(struct weir_api_call *call, const char *pattern, const char *path)
{
	size_t param = 0;

	while (*pattern != '\0') {
		size_t bytes = 0;

		if (*pattern != '*') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		bytes = strcspn(path, "/");
		if (bytes == 0 || param == WEIR_API_PARAMS_MAX ||
		    !weir_api_decode((struct weir_span){.data = path, .bytes = bytes},
				     call->param[param], sizeof(call->param[param])))
			return false;
		param++;
		path += bytes;
		pattern++;
	}
	return *path == '\0';
}

weir_api_handler *weir_api_endpoint_find(struct weir_api_call *call, const char *path)
{
	bool path_known = false;

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		if (!path_match(call, endpoints[i].path, path))
			continue;
		if (endpoints[i].method == call->method) {
			call->what = endpoints[i].what;
			return endpoints[i].handler;
		}
		path_known = true;
	}
	if (path_known) {
		(void)weir_api_refuse(
			call, 405, "method_not_allowed", NULL,
			"this path of the management API knows other methods only");
	} else {
		(void)weir_api_refuse(call, 404, "no_endpoint", NULL,
				      "the management API has no such path; see /weir/status, "
				      "/weir/functions, "
				      "/weir/routes, /weir/settings, /weir/pools");
	}
	return NULL;
}

/* What a change is about, where the path does not say it: out of the query or the body. */
static void object_find(const struct weir_api_call *call, char *out, size_t max)
{
	static const char *const names[] = {"route", "pool", "name", "generation"};
	const char *space = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->body, "namespace"));

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && out[0] == '\0'; i++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, names[i]);

		if (weir_api_query(call, names[i], out, max))
			return;
		out[0] = '\0'; /* what did not fit */
		if (cJSON_IsString(item))
			(void)snprintf(out, max, "%s%s%s", space == NULL ? "" : space,
				       space == NULL ? "" : "/", item->valuestring); /* cut is fine */
		if (cJSON_IsNumber(item))
			(void)snprintf(out, max, "%.0f", item->valuedouble);
	}
}

void weir_api_author_complete(struct weir_api_call *call)
{
	struct weir_history_author *author = &call->author;
	char object[WEIR_HISTORY_WHAT_BYTES] = "";

	if (call->what == NULL)
		return;
	if (call->param[0][0] == '\0')
		object_find(call, object, sizeof(object));
	/* Cut is fine. */
	if (snprintf(author->what, sizeof(author->what), "%s %s%s%s%s", call->what, call->param[0],
		     call->param[1][0] == '\0' ? "" : "/", call->param[1], object) < 0)
		author->what[0] = '\0';
}

enum weir_api_result weir_api_refuse(struct weir_api_call *call, uint16_t status,
				     const char *code, const char *field, const char *sentence)
{
	cJSON *answer = cJSON_CreateObject();

	/* Without memory an empty answer with the right status goes out. */
	(void)cJSON_AddStringToObject(answer, "error", sentence);
	(void)cJSON_AddStringToObject(answer, "code", code);
	(void)cJSON_AddStringToObject(answer, "part", "control");
	if (field != NULL)
		(void)cJSON_AddStringToObject(answer, "field", field);
	cJSON_Delete(call->answer);
	call->answer = answer;
	call->status = status;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_refuse_field(struct weir_api_call *call,
					   const struct weir_model_error *wrong)
{
	char sentence[sizeof(wrong->field) + sizeof(wrong->reason) + 2];

	(void)snprintf(sentence, sizeof(sentence), "%s %s", wrong->field, wrong->reason);
	return weir_api_refuse(call, 422, "invalid", wrong->field, sentence);
}

enum weir_api_result weir_api_refuse_store(struct weir_api_call *call, int code,
					   const struct weir_store_error *error)
{
	static const struct {
		int code;
		uint16_t status;
		const char *word;
	} words[] = {
		{-ENOENT, 404, "not_found"}, {-EEXIST, 409, "exists"},
		{-EBUSY, 409, "in_use"},     {-EINVAL, 422, "invalid"},
		{-EDQUOT, 409, "limit"},     {-E2BIG, 409, "limit"},
		{-EAGAIN, 503, "locked"},    {-ENOSPC, 507, "disk_full"},
		{-EBADMSG, 503, "damaged"},  {-EPROTO, 503, "damaged"},
		{-EACCES, 503, "denied"},    {-EROFS, 503, "read_only"},
		{-ENOMEM, 503, "memory"},    {-ESTALE, 409, "changed_outside"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].code == code) {
			(void)weir_api_refuse(call, words[i].status, words[i].word, NULL,
					      error->text);
			return code == -EAGAIN ? WEIR_API_RETRY : WEIR_API_DONE;
		}
	}
	return weir_api_refuse(call, 500, "io", NULL, error->text);
}

/* The generation of a change that is safe now; how it went is reported when the wait ends. */
static enum weir_api_result wait_begin(struct weir_api_call *call, uint16_t status, int code,
				       const struct weir_store_error *error)
{
	char sentence[sizeof(error->text) + 64];

	if (code != 0) {
		(void)snprintf(sentence, sizeof(sentence), "saved, but not published: %s",
			       error->text);
		return weir_api_refuse(call, 500, "not_published", NULL, sentence);
	}
	call->status = status;
	call->generation = weir_store_generation(call->owner->store);
	return WEIR_API_WAIT;
}

enum weir_api_result weir_api_committed(struct weir_api_call *call, uint16_t status)
{
	struct weir_store_error error = {{0}};

	call->committed_ns = weir_clock_now_ns();
	return wait_begin(call, status, call->owner->publish(call->owner->context, &error),
			  &error);
}

enum weir_api_result weir_api_table_committed(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};

	call->committed_ns = weir_clock_now_ns();
	return wait_begin(call, 200, call->owner->table_written(call->owner->context, &error),
			  &error);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool weir_api_decode(struct weir_span text, char *out, size_t max)
{
	size_t used = 0;

	for (size_t i = 0; i < text.bytes; i++) {
		char byte = text.data[i];

		if (byte == '%') {
			const int high = i + 2 < text.bytes ? hex_digit(text.data[i + 1]) : -1;
			const int low = high < 0 ? -1 : hex_digit(text.data[i + 2]);

			if (high < 0 || low < 0)
				return false;
			byte = (char)(high * 16 + low);
			i += 2;
		}
		if (byte == '\0' || used + 1 >= max)
			return false;
		out[used++] = byte;
	}
	out[used] = '\0';
	return true;
}

bool weir_api_query(const struct weir_api_call *call, const char *name, char *out, size_t max)
{
	const size_t name_bytes = strlen(name);
	size_t at = 0;

	while (at < call->query.bytes) {
		const char *item = call->query.data + at;
		const char *end = memchr(item, '&', call->query.bytes - at);
		const size_t bytes =
			end == NULL ? call->query.bytes - at : (size_t)(end - item);

		if (bytes > name_bytes && memcmp(item, name, name_bytes) == 0 &&
		    item[name_bytes] == '=') {
			return weir_api_decode(
				(struct weir_span){.data = item + name_bytes + 1,
						   .bytes = bytes - name_bytes - 1},
				out, max);
		}
		at += bytes + 1;
	}
	return false;
}

bool weir_api_query_number(struct weir_api_call *call, const char *name, uint64_t max,
			   uint64_t *out_value)
{
	struct weir_model_error wrong = {.reason = "must be a whole number in its range"};
	char text[24] = "";
	char *end = NULL;
	uint64_t value = 0;

	if (!weir_api_query(call, name, text, sizeof(text)))
		return true;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > max) {
		(void)snprintf(wrong.field, sizeof(wrong.field), "%s", name); /* short */
		(void)weir_api_refuse_field(call, &wrong);
		return false;
	}
	*out_value = value;
	return true;
}

static bool body_refuse(struct weir_api_call *call, const char *name, const char *reason)
{
	struct weir_model_error wrong;

	(void)snprintf(wrong.field, sizeof(wrong.field), "%s", name); /* cut is fine */
	(void)snprintf(wrong.reason, sizeof(wrong.reason), "%s", reason);
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

bool weir_api_body_text(struct weir_api_call *call, const char *name, char *out, size_t max)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, name);

	if (item == NULL)
		return true;
	if (!cJSON_IsString(item))
		return body_refuse(call, name, "must be a string");
	if (strlen(item->valuestring) >= max)
		return body_refuse(call, name, "is too long");
	(void)snprintf(out, max, "%s", item->valuestring); /* fits */
	return true;
}

bool weir_api_body_number(struct weir_api_call *call, const char *name, uint32_t *out_value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, name);

	if (item == NULL)
		return true;
	/* Written so that NaN fails too. */
	if (!cJSON_IsNumber(item) ||
	    !(item->valuedouble >= 0 && item->valuedouble <= UINT32_MAX))
		return body_refuse(call, name, "must be a whole number");
	if ((double)(uint32_t)item->valuedouble < item->valuedouble)
		return body_refuse(call, name, "must be a whole number");
	*out_value = (uint32_t)item->valuedouble;
	return true;
}

/* One member of a spec: left out, or a whole number. */
static bool spec_number(struct weir_api_call *call, const cJSON *item, const char *name, uint32_t *out_value)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, name);
	const double value = number == NULL ? *out_value : number->valuedouble;

	/* Written so that NaN fails too. */
	if ((number != NULL && !cJSON_IsNumber(number)) || !(value >= 0 && value <= UINT32_MAX) ||
	    (double)(uint32_t)value < value)
		return body_refuse(call, name, "of a spec must be a whole number");
	*out_value = (uint32_t)value;
	return true;
}

static bool spec_read(struct weir_api_call *call, const cJSON *item, struct weir_model_function *function)
{
	static const char *const names[] = {"cpu_millicores", "memory_mb", "min", "max"};
	struct weir_model_spec spec = {.workers_max = WEIR_MODEL_SPEC_WORKERS_DEFAULT};
	uint32_t *const values[] = {&spec.cpu_millicores, &spec.memory_mb, &spec.workers_min, &spec.workers_max};
	struct weir_model_error wrong;
	int known = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		known += cJSON_HasObjectItem(item, names[i]) ? 1 : 0;
		if (!spec_number(call, item, names[i], values[i]))
			return false;
	}
	if (!cJSON_IsObject(item) || known != cJSON_GetArraySize(item))
		return body_refuse(call, "specs",
				   "is a list of objects with cpu_millicores, memory_mb, min and max, nothing else");
	if (!cJSON_HasObjectItem(item, "max") && spec.workers_max < spec.workers_min)
		spec.workers_max = spec.workers_min;
	if (weir_model_spec_add(function, &spec, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

bool weir_api_body_specs(struct weir_api_call *call, struct weir_model_function *function)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "specs");
	const cJSON *item = NULL;

	if (list == NULL)
		return true;
	if (!cJSON_IsArray(list))
		return body_refuse(call, "specs", "must be a list; an empty one takes all specs away");
	function->spec_count = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (!spec_read(call, item, function))
			return false;
	}
	return true;
}

bool weir_api_body_only(struct weir_api_call *call, const char *const *names)
{
	if (call->body == NULL) {
		(void)weir_api_refuse(call, 400, "bad_json", NULL,
				      "this request needs a body: one JSON object");
		return false;
	}
	for (const cJSON *item = call->body->child; item != NULL; item = item->next) {
		size_t i = 0;

		while (names[i] != NULL && strcmp(names[i], item->string) != 0)
			i++;
		if (names[i] == NULL) {
			return body_refuse(call, item->string,
					   "is not a member that this request knows");
		}
	}
	return true;
}

int weir_api_json_parse(char *text, size_t *bytes, cJSON **out_json, struct weir_model_error *error)
{
	const struct weir_span from = {.data = text, .bytes = *bytes};
	const int code =
		weir_model_json_canonicalize(from, "body", WEIR_API_JSON_DEPTH_MAX, text, bytes, error);

	if (code != 0)
		return code;
	if (text[0] != '{') {
		(void)snprintf(error->field, sizeof(error->field), "body"); /* fits */
		(void)snprintf(error->reason, sizeof(error->reason), "must be a JSON object, {...}");
		return -EINVAL;
	}
	*out_json = cJSON_ParseWithLength(text, *bytes);
	return *out_json == NULL ? -ENOMEM : 0; /* it is sound */
}
