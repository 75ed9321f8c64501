#include "ctrl/api/call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"

/* What their bodies may hold; each list ends with a member without a name. */
static const struct weir_api_member function_add_members[] = {
	{"namespace", WEIR_API_TEXT},    {"name", WEIR_API_TEXT},	 {"runtime", WEIR_API_TEXT},
	{"file", WEIR_API_TEXT},	 {"image", WEIR_API_TEXT},	 {"handler", WEIR_API_TEXT},
	{"timeout_ms", WEIR_API_NUMBER}, {"memory_mb", WEIR_API_NUMBER}, {"queue_max", WEIR_API_NUMBER},
	{"specs", WEIR_API_LIST},	 {"owner", WEIR_API_TEXT},	 {"description", WEIR_API_TEXT},
	{"parameters", WEIR_API_ANY},    {"annotations", WEIR_API_ANY},  {NULL, WEIR_API_ANY},
};
static const struct weir_api_member function_change_members[] = {
	{"timeout_ms", WEIR_API_NUMBER}, {"memory_mb", WEIR_API_NUMBER}, {"queue_max", WEIR_API_NUMBER},
	{"specs", WEIR_API_LIST},	 {"owner", WEIR_API_TEXT},	 {"description", WEIR_API_TEXT},
	{"parameters", WEIR_API_ANY},    {"annotations", WEIR_API_ANY},  {NULL, WEIR_API_ANY},
};
static const struct weir_api_member function_deploy_members[] = {
	{"code", WEIR_API_TEXT},	 {"image", WEIR_API_TEXT},	 {"runtime", WEIR_API_TEXT},
	{"entry", WEIR_API_TEXT},	 {"handler", WEIR_API_TEXT},	 {"timeout_ms", WEIR_API_NUMBER},
	{"memory_mb", WEIR_API_NUMBER},	 {"queue_max", WEIR_API_NUMBER}, {"specs", WEIR_API_LIST},
	{"health", WEIR_API_TEXT},	 {"trial", WEIR_API_SWITCH},	 {"environment", WEIR_API_OBJECT},
	{"secrets", WEIR_API_OBJECT},	 {"unset", WEIR_API_LIST},	 {"description", WEIR_API_TEXT},
	{"parameters", WEIR_API_ANY},	 {"annotations", WEIR_API_ANY},	 {"new", WEIR_API_SWITCH},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member function_rollback_members[] = {
	{"number", WEIR_API_NUMBER},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member function_scale_members[] = {
	{"workers_min", WEIR_API_NUMBER},    {"workers_max", WEIR_API_NUMBER}, {"reset", WEIR_API_SWITCH},
	{"cpu_millicores", WEIR_API_NUMBER}, {"memory_mb", WEIR_API_NUMBER},   {"by", WEIR_API_ANY},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member variable_change_members[] = {
	{"environment", WEIR_API_OBJECT},
	{"secrets", WEIR_API_OBJECT},
	{"unset", WEIR_API_LIST},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member route_add_members[] = {
	{"route", WEIR_API_TEXT},	 {"host", WEIR_API_TEXT}, {"function", WEIR_API_TEXT},
	{"timeout_ms", WEIR_API_NUMBER}, {"auth", WEIR_API_TEXT}, {NULL, WEIR_API_ANY},
};
static const struct weir_api_member route_update_members[] = {
	{"route", WEIR_API_TEXT},	 {"host", WEIR_API_TEXT},    {"function", WEIR_API_TEXT},
	{"timeout_ms", WEIR_API_NUMBER}, {"file", WEIR_API_TEXT},    {"handler", WEIR_API_TEXT},
	{"runtime", WEIR_API_TEXT},	 {"memory_mb", WEIR_API_NUMBER}, {"auth", WEIR_API_TEXT},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member row_add_members[] = {
	{"route", WEIR_API_TEXT}, /* its key, "POST:/x" */
	{"value", WEIR_API_OBJECT},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member route_test_members[] = {
	{"route", WEIR_API_TEXT},
	{"host", WEIR_API_TEXT},
	{"local", WEIR_API_SWITCH},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member setting_write_members[] = {
	{"value", WEIR_API_ANY}, /* a number, or a text with its unit */
	{NULL, WEIR_API_ANY},
};
/* Besides the settings of pool_setting.c: a value, a text, or null for the default. */
static const struct weir_api_member pool_change_members[] = {
	{"pool", WEIR_API_TEXT},       {"reset", WEIR_API_SWITCH},     {"policy", WEIR_API_ANY},
	{"alpha", WEIR_API_ANY},       {"beta", WEIR_API_ANY},	       {"gamma", WEIR_API_ANY},
	{"delta", WEIR_API_ANY},       {"epsilon", WEIR_API_ANY},      {"ema", WEIR_API_ANY},
	{"one_task", WEIR_API_ANY},    {"workers_min", WEIR_API_ANY},  {"workers_max", WEIR_API_ANY},
	{"scale_step", WEIR_API_ANY},  {"scale_samples", WEIR_API_ANY}, {"scale_threshold", WEIR_API_ANY},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member alias_set_members[] = {
	{"image", WEIR_API_TEXT},
	{"function", WEIR_API_TEXT},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member user_add_members[] = {
	{"name", WEIR_API_TEXT}, {"password", WEIR_API_TEXT}, {"role", WEIR_API_TEXT}, {"new", WEIR_API_SWITCH},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member login_members[] = {
	{"name", WEIR_API_TEXT},
	{"password", WEIR_API_TEXT},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member token_members[] = {
	{"token", WEIR_API_TEXT},
	{NULL, WEIR_API_ANY},
};
static const struct weir_api_member key_add_members[] = {
	{"name", WEIR_API_TEXT},      {"namespace", WEIR_API_TEXT}, {"role", WEIR_API_TEXT},
	{"life_s", WEIR_API_NUMBER}, {NULL, WEIR_API_ANY},
};
static const struct weir_api_member config_apply_members[] = {
	{"document", WEIR_API_OBJECT},  {"secrets", WEIR_API_OBJECT}, {"prune", WEIR_API_SWITCH},
	{"dry_run", WEIR_API_SWITCH}, {"trial", WEIR_API_SWITCH},  {NULL, WEIR_API_ANY},
};
static const struct weir_api_member history_rollback_members[] = {
	{"generation", WEIR_API_NUMBER},
	{"dry_run", WEIR_API_SWITCH},
	{NULL, WEIR_API_ANY},
};

/* The one list of what the API offers: struct weir_api_endpoint. */
static const struct weir_api_endpoint endpoints[] = {
	{WEIR_HTTP_GET, "/weir/functions", weir_api_function_list, NULL, NULL,
	 "namespace owner", "functions[]", WEIR_API_CALLS},
	{WEIR_HTTP_POST, "/weir/functions", weir_api_function_add, "add function", function_add_members,
	 "", "+", WEIR_API_MAKES_NAMED},
	{WEIR_HTTP_GET, "/weir/functions/*/*", weir_api_function_get, NULL, NULL,
	 "", "namespace name runtime file image handler timeout_ms# memory_mb# queue_max# specs[] owner version# "
	     "deployed#? source pools[]? created#? code? code_bytes#? versions#? environment[]? description? "
	     "parameters*? annotations*? problem*? runs? state?", WEIR_API_CALLS_THERE},
	{WEIR_HTTP_PATCH, "/weir/functions/*/*",
	 weir_api_function_change, "change function", function_change_members,
	 "", "namespace name runtime file image number# +", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_DELETE, "/weir/functions/*/*", weir_api_function_remove, "remove function", NULL,
	 "", "+", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_POST, "/weir/functions/*/*/deploy",
	 weir_api_function_deploy, "deploy function", function_deploy_members,
	 "", "namespace name runtime file image number# log? +", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_GET, "/weir/functions/*/*/code", weir_api_function_code, NULL, NULL,
	 "", "@", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_GET, "/weir/functions/*/*/versions", weir_api_function_versions, NULL, NULL,
	 "", "versions[]", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_POST, "/weir/functions/*/*/rollback",
	 weir_api_function_rollback, "roll back function", function_rollback_members,
	 "", "namespace name runtime file image number# +", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_PATCH, "/weir/functions/*/*/scale",
	 weir_api_function_scale, "scale function", function_scale_members,
	 "", "pool +", WEIR_API_MAKES_THERE},
	/* Which run it, or are to be started for it; others of its namespace share them. */
	{WEIR_HTTP_GET, "/weir/functions/*/*/workers", weir_api_function_workers, NULL, NULL,
	 "", "workers[]", WEIR_API_CALLS_THERE},
	{WEIR_HTTP_GET, "/weir/functions/*/*/environment", weir_api_variable_list, NULL, NULL,
	 "", "environment[]", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_PATCH, "/weir/functions/*/*/environment",
	 weir_api_variable_change, "change environment of", variable_change_members,
	 "", "+", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_GET, "/weir/code/*", weir_api_code_get, NULL, NULL,
	 "", "code runtime? entry?", WEIR_API_MAKES},
	/* The body is a file called ?name=, or an archive: server_upload.c. */
	{WEIR_HTTP_POST, "/weir/code", weir_api_code_add, "upload code", NULL,
	 "name", "code runtime? entry?", WEIR_API_MAKES},
	/* The answer is the file; ?key=1: the key of secrets is in it. */
	{WEIR_HTTP_GET, "/weir/backup", weir_api_backup_get, NULL, NULL,
	 "key#", "@", WEIR_API_MANAGES},
	/* The body is such a file: server_upload.c. ?dry-run=1 */
	{WEIR_HTTP_POST, "/weir/restore", weir_api_restore, "restore a backup", NULL,
	 "dry-run#", "backup{} changes{} secrets_sealed_anew# unopened{} missing{} dry_run!? +", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/functions/*/*/logs", weir_api_function_logs, NULL, NULL,
	 "after# limit# since# newest#", "lines[]", WEIR_API_MAKES_THERE},
	{WEIR_HTTP_GET, "/weir/activations/*/logs", weir_api_activation_logs, NULL, NULL,
	 "after# limit# since# newest#", "lines[]", WEIR_API_CALLS},
	/* What a dialect's client was answered, as that dialect tells it. */
	{WEIR_HTTP_GET, "/weir/activations/*/answer", weir_api_activation_answer, NULL, NULL,
	 "", "activation answer{}", WEIR_API_CALLS},
	{WEIR_HTTP_GET, "/weir/activations", weir_api_activation_list, NULL, NULL,
	 "after# limit# since# newest# until# function namespace failed#", "activations[]", WEIR_API_CALLS},
	{WEIR_HTTP_GET, "/weir/activations/*", weir_api_activation_get, NULL, NULL,
	 "", "number# activation parent* function version# route* start status# failure* cut! cold! failed! "
	     "worker# times_ns{} request_bytes# answer_bytes#", WEIR_API_CALLS},
	/* route (GET /x) and host name one route. */
	{WEIR_HTTP_GET, "/weir/routes", weir_api_route_list, NULL, NULL,
	 "route host", "routes[]", WEIR_API_MANAGES},
	{WEIR_HTTP_POST, "/weir/routes", weir_api_route_add, "add route", route_add_members,
	 "", "+", WEIR_API_MANAGES},
	{WEIR_HTTP_PATCH, "/weir/routes", weir_api_route_update, "change route", route_update_members,
	 "", "+", WEIR_API_MANAGES},
	{WEIR_HTTP_DELETE, "/weir/routes", weir_api_route_remove, "remove route", NULL,
	 "route host", "+", WEIR_API_MANAGES},
	{WEIR_HTTP_POST, "/weir/rows", weir_api_row_add, "add row", row_add_members,
	 "", "+", WEIR_API_MAKES_DEFAULT},
	{WEIR_HTTP_POST, "/weir/route-test", weir_api_route_test, "test route", route_test_members,
	 "", "result generation# method path host pattern? function? runtime? file? timeout_ms#? method_rule? why "
	     "parameters{}? rest? allow*?", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/settings", weir_api_setting_list, NULL, NULL,
	 "", "settings[]", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/settings/*", weir_api_setting_read, NULL, NULL,
	 "", "name value# text unit default# min# max# changed! help", WEIR_API_MANAGES},
	{WEIR_HTTP_PUT, "/weir/settings/*", weir_api_setting_write, "set", setting_write_members,
	 "", "+", WEIR_API_MANAGES},
	{WEIR_HTTP_DELETE, "/weir/settings/*", weir_api_setting_unset, "unset", NULL,
	 "", "+", WEIR_API_MANAGES},
	/* pool names one pool. */
	{WEIR_HTTP_GET, "/weir/pools", weir_api_pool_list, NULL, NULL,
	 "pool", "pools[]", WEIR_API_MANAGES},
	{WEIR_HTTP_PATCH, "/weir/pools", weir_api_pool_change, "change pool", pool_change_members,
	 "", "+", WEIR_API_MANAGES},
	/* Whose code functions with an image run. */
	{WEIR_HTTP_GET, "/weir/image-aliases", weir_api_alias_list, NULL, NULL,
	 "", "aliases[]", WEIR_API_MANAGES},
	{WEIR_HTTP_PUT, "/weir/image-aliases", weir_api_alias_set, "set image", alias_set_members,
	 "", "+", WEIR_API_MANAGES},
	{WEIR_HTTP_DELETE, "/weir/image-aliases", weir_api_alias_remove, "unset image", NULL,
	 "image", "+", WEIR_API_MANAGES},
	/* "new": the namespace of that name must have no functions yet. */
	{WEIR_HTTP_GET, "/weir/users", weir_api_user_list, NULL, NULL,
	 "", "users[]", WEIR_API_MANAGES},
	{WEIR_HTTP_POST, "/weir/users", weir_api_user_add, "add user", user_add_members,
	 "", "name uuid role created# +", WEIR_API_ANYBODY},
	{WEIR_HTTP_DELETE, "/weir/users/*", weir_api_user_remove, "remove user", NULL,
	 "", "+", WEIR_API_MANAGES},
	/* POST: the key itself is in the answer, once. DELETE: by name or id. */
	{WEIR_HTTP_GET, "/weir/keys", weir_api_key_list, NULL, NULL,
	 "", "keys[]", WEIR_API_MANAGES},
	{WEIR_HTTP_POST, "/weir/keys", weir_api_key_add, "add key", key_add_members,
	 "", "name id namespace role created# expires* key +", WEIR_API_MANAGES},
	{WEIR_HTTP_DELETE, "/weir/keys/*", weir_api_key_remove, "remove key", NULL,
	 "", "+", WEIR_API_MANAGES},
	/* A password for a token; a token for who it is. */
	{WEIR_HTTP_POST, "/weir/login", weir_api_login, NULL, login_members,
	 "", "token expires#", WEIR_API_ANYBODY},
	{WEIR_HTTP_POST, "/weir/token", weir_api_token_check, NULL, token_members,
	 "", "name uuid role created# expires#", WEIR_API_ANYBODY},
	{WEIR_HTTP_GET, "/weir/config", weir_api_config_export, NULL, NULL,
	 "namespace", "document{} left_out*?", WEIR_API_MANAGES},
	{WEIR_HTTP_POST, "/weir/config", weir_api_config_apply, "apply configuration", config_apply_members,
	 "", "changes[] unchanged# dry_run! +", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/history", weir_api_history_list, NULL, NULL,
	 "limit#", "history[] oldest# generation#", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/history/diff", weir_api_history_diff, NULL, NULL,
	 "from# to#", "from# to# changes[] more#", WEIR_API_MANAGES},
	{WEIR_HTTP_POST, "/weir/history/rollback",
	 weir_api_history_rollback, "roll back to generation", history_rollback_members,
	 "", "changes[] more# +", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/status", weir_api_status_get, NULL, NULL,
	 "", "version generation# published# functions# rows# rows_bad# problems[] acknowledged{} pid# sent# "
	     "runtimes[] output{} activations{}", WEIR_API_MAKES},
	{WEIR_HTTP_GET, "/weir/check", weir_api_check_get, NULL, NULL,
	 "", "examined{} milliseconds# found[] found_count#", WEIR_API_MANAGES},
	{WEIR_HTTP_GET, "/weir/endpoints", weir_api_endpoint_list, NULL, NULL,
	 "", "endpoints[] routes[]", WEIR_API_ANYBODY},
	/* All of it as an OpenAPI document. */
	{WEIR_HTTP_GET, "/weir/openapi.json", weir_api_openapi_get, NULL, NULL,
	 "", "openapi info{} servers[] paths{} components{}", WEIR_API_ANYBODY},
};

const struct weir_api_endpoint *weir_api_endpoint_at(size_t i)
{
	return i < sizeof(endpoints) / sizeof(endpoints[0]) ? &endpoints[i] : NULL;
}

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
			call->members = endpoints[i].members;
			call->access = endpoints[i].access;
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
				      "/weir/routes, /weir/settings, /weir/pools, and /weir/endpoints for all");
	}
	return NULL;
}

/* What a change is about, where the path does not say it: out of the query or the body. */
static void object_find(const struct weir_api_call *call, char *out, size_t max)
{
	static const char *const names[] = {"route", "pool", "name", "generation", "image"};
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
	if (snprintf(author->what, sizeof(author->what), "%s%s%s%s%s%s", call->what,
		     call->param[0][0] == '\0' && object[0] == '\0' ? "" : " ", call->param[0],
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
		{-ENODATA, 409, "code_missing"},
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

enum weir_api_result weir_api_table_committed(struct weir_api_call *call, uint16_t status)
{
	struct weir_store_error error = {{0}};

	call->committed_ns = weir_clock_now_ns();
	return wait_begin(call, status, call->owner->table_written(call->owner->context, &error),
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

bool weir_api_page_read(struct weir_api_call *call, struct weir_api_page *page, uint32_t limit_max)
{
	uint64_t limit = page->limit;
	uint64_t newest = 0;

	if (!weir_api_query_number(call, "after", INT64_MAX - 1, &page->after) ||
	    !weir_api_query_number(call, "since", INT64_MAX, &page->since_ns) ||
	    !weir_api_query_number(call, "newest", 1, &newest) ||
	    !weir_api_query_number(call, "limit", limit_max, &limit))
		return false;
	page->newest = newest != 0;
	page->limit = limit == 0 ? 1 : (uint32_t)limit;
	return true;
}

bool weir_api_is_kept(struct weir_api_call *call, enum weir_api_kept kept)
{
	const struct weir_api_owner *const owner = call->owner;

	if (owner->mark == NULL)
		return true;
	if (call->mark == 0)
		call->mark = owner->mark(owner->context, kept);
	if (owner->reached(owner->context, kept, call->mark))
		return true;
	(void)weir_api_refuse(call, 503, "busy", NULL,
			      kept == WEIR_API_OUTPUT ? "what functions printed is being written; the disk is slow"
						      : "records of calls are being written; the disk is slow");
	return false;
}

void weir_api_time_add(cJSON *json, const char *name, uint64_t time_ns)
{
	const time_t seconds = (time_t)(time_ns / WEIR_NS_PER_SECOND);
	struct tm utc = {0};
	char text[80];

	(void)gmtime_r(&seconds, &utc); /* fails only past the year 2^31 */
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09" PRIu64 "Z",
		       utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
		       utc.tm_sec, time_ns % WEIR_NS_PER_SECOND);
	(void)cJSON_AddStringToObject(json, name, text);
}

bool weir_api_activation_parse(struct weir_api_call *call, const char *text, uint64_t *out_high,
			       uint64_t *out_low)
{
	struct weir_id id = {0};

	if (!weir_id_parse(text, &id)) {
		(void)weir_api_refuse(call, 422, "invalid", "activation",
				      "an activation's id has 32 hexadecimal digits; it stands in "
				      "the answer's header x-openwhisk-activation-id");
		return false;
	}
	*out_high = id.high;
	*out_low = id.low;
	return true;
}
