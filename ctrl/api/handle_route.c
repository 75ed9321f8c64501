#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/model/builtin.h"

enum { ROUTE_TEXT_MAX = WEIR_MODEL_PATTERN_BYTES_MAX + 80 };

static cJSON *route_json(const struct weir_model_route *route)
{
	cJSON *json = cJSON_CreateObject();
	char text[ROUTE_TEXT_MAX];
	char methods[64];
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];

	(void)weir_model_methods_format(route->methods, methods, sizeof(methods));
	(void)snprintf(text, sizeof(text), "%s %s", methods, route->pattern); /* fits */
	(void)snprintf(function, sizeof(function), "%s/%s", route->space,
		       route->name);                        /* fits */
	(void)cJSON_AddStringToObject(json, "route", text); /* without memory: members lack */
	(void)cJSON_AddStringToObject(json, "methods", methods);
	(void)cJSON_AddStringToObject(json, "pattern", route->pattern);
	(void)cJSON_AddStringToObject(json, "host", route->host);
	(void)cJSON_AddStringToObject(json, "function", function);
	(void)cJSON_AddNumberToObject(json, "timeout_ms", route->timeout_ms);
	(void)cJSON_AddStringToObject(json, "auth", weir_model_auth_name(route->auth));
	(void)cJSON_AddStringToObject(json, "source", "weir");
	(void)cJSON_AddStringToObject(json, "state", "active");
	return json;
}

/* The route that the text ("GET /x") and host name; in a query or in the body. */
static bool key_parse(struct weir_api_call *call, const char *text, const char *host,
		      struct weir_model_route *out_key)
{
	struct weir_model_error wrong;

	memset(out_key, 0, sizeof(*out_key));
	if (weir_model_route_parse(text, out_key, &wrong) == 0 &&
	    weir_model_host_parse(host, out_key->host, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

/* The row of the public table that a text names: by its key, or by method and path. */
static struct weir_public_row *row_find(const struct weir_api_call *call, const char *text,
					const char *host)
{
	struct weir_model_route key = {0};
	struct weir_model_error wrong;
	struct weir_public_row *row = weir_public_rows_find(call->owner->rows, text);

	if (row != NULL && host[0] == '\0')
		return row;
	if (host[0] != '\0' || weir_model_route_parse(text, &key, &wrong) != 0)
		return NULL;
	return weir_public_rows_find_route(call->owner->rows, &key);
}

/* Weir's own route first; a row of the public table only where there is none. -ENOENT with *error. */
static enum weir_api_result route_get(struct weir_api_call *call, const char *text,
				      const char *host)
{
	struct weir_store_error error = {{0}};
	struct weir_model_route key;
	struct weir_model_route route;
	const struct weir_public_row *row = row_find(call, text, host);
	int code = 0;

	if (row != NULL && strchr(text, ' ') == NULL) {
		call->answer = weir_api_row_json(row);
		call->status = 200;
		return WEIR_API_DONE;
	}
	if (!key_parse(call, text, host, &key))
		return WEIR_API_DONE;
	code = weir_store_route_find(call->owner->store, &key, &route, &error);
	if (code != 0 && (code != -ENOENT || row == NULL))
		return weir_api_refuse_store(call, code, &error);
	call->answer = code == 0 ? route_json(&route) : weir_api_row_json(row);
	call->status = 200;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_route_list(struct weir_api_call *call)
{
	struct weir_store_catalog catalog = {.is_tolerant = true};
	struct weir_store_error error = {{0}};
	char text[ROUTE_TEXT_MAX] = "";
	char host[WEIR_MODEL_HOST_BYTES_MAX + 1] = "";
	cJSON *list = NULL;
	int code = 0;

	(void)weir_api_query(call, "host", host, sizeof(host)); /* none: any host */
	if (weir_api_query(call, "route", text, sizeof(text)))
		return route_get(call, text, host);
	code = weir_store_load(call->owner->store, &catalog, &error);
	if (code != 0) {
		weir_store_catalog_release(&catalog);
		return weir_api_refuse_store(call, code, &error);
	}
	call->answer = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(call->answer, "routes");
	for (size_t i = 0; i < catalog.route_count; i++)
		(void)cJSON_AddItemToArray(list, route_json(&catalog.routes[i]));
	for (size_t i = 0; i < call->owner->rows->count; i++) {
		(void)cJSON_AddItemToArray(list,
					   weir_api_row_json(&call->owner->rows->rows[i]));
	}
	weir_store_catalog_release(&catalog);
	call->status = 200;
	return WEIR_API_DONE;
}

/* The body of add and update: {"route", "host", "function", "timeout_ms", "auth"}. */
struct route_body {
	char text[ROUTE_TEXT_MAX];
	char host[WEIR_MODEL_HOST_BYTES_MAX + 2];
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	char auth[16];
	uint32_t timeout_ms;
};

static bool route_body_read(struct weir_api_call *call, struct route_body *body)
{
	return weir_api_body_text(call, "route", body->text, sizeof(body->text)) &&
	       weir_api_body_text(call, "host", body->host, sizeof(body->host)) &&
	       weir_api_body_text(call, "function", body->function, sizeof(body->function)) &&
	       weir_api_body_text(call, "auth", body->auth, sizeof(body->auth)) &&
	       weir_api_body_number(call, "timeout_ms", &body->timeout_ms);
}

/* The function's name and the check of the whole. */
static bool route_complete(struct weir_api_call *call, const struct route_body *body,
			   struct weir_model_route *route)
{
	struct weir_model_error wrong;

	route->timeout_ms = body->timeout_ms;
	if ((body->function[0] == '\0' ||
	     weir_model_name_parse(body->function, route->space, route->name, &wrong) == 0) &&
	    weir_model_auth_parse(body->auth, &route->auth, &wrong) == 0 &&
	    weir_model_route_check(route, &wrong) == 0 && weir_builtin_route_check(route, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

enum weir_api_result weir_api_route_add(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct route_body body = {.timeout_ms = 0};
	struct weir_model_route route;
	const struct weir_public_row *row = NULL;
	char sentence[ROUTE_TEXT_MAX + 128];
	int code = 0;

	if (!route_body_read(call, &body) ||
	    !key_parse(call, body.text, body.host, &route))
		return WEIR_API_DONE;
	if (body.function[0] == '\0') {
		return weir_api_refuse(call, 422, "invalid", "function",
				       "function is missing: which one shall it call?");
	}
	if (!route_complete(call, &body, &route))
		return WEIR_API_DONE;
	for (size_t i = 0; i < call->owner->rows->count; i++) {
		row = &call->owner->rows->rows[i];
		if (row->value == NULL || !weir_store_routes_overlap(&row->route, &route))
			continue;
		(void)snprintf(sentence, sizeof(sentence),
			       "the public table has the row '%s' already; remove that row "
			       "first, or choose another path",
			       row->key);
		return weir_api_refuse(call, 409, "exists", "route", sentence);
	}
	code = weir_store_route_add(call->owner->store, &route, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 201);
}

enum weir_api_result weir_api_route_update(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct route_body body = {.timeout_ms = 0};
	struct weir_model_route route;
	const struct weir_public_row *row = NULL;
	int code = 0;

	if (!route_body_read(call, &body))
		return WEIR_API_DONE;
	row = row_find(call, body.text, body.host);
	if (row != NULL && strchr(body.text, ' ') == NULL)
		return weir_api_row_update(call, row);
	if (!key_parse(call, body.text, body.host, &route))
		return WEIR_API_DONE;
	code = weir_store_route_find(call->owner->store, &route, &route, &error);
	if (code == -ENOENT && row != NULL)
		return weir_api_row_update(call, row);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	if (cJSON_HasObjectItem(call->body, "file") ||
	    cJSON_HasObjectItem(call->body, "handler") ||
	    cJSON_HasObjectItem(call->body, "runtime") ||
	    cJSON_HasObjectItem(call->body, "memory_mb")) {
		return weir_api_refuse(call, 422, "invalid", "file",
				       "file, handler, runtime and memory belong to the "
				       "function of this route; "
				       "only rows of the public table have their own");
	}
	if (!cJSON_HasObjectItem(call->body, "timeout_ms"))
		body.timeout_ms = route.timeout_ms;
	if (!cJSON_HasObjectItem(call->body, "auth"))
		(void)snprintf(body.auth, sizeof(body.auth), "%s", weir_model_auth_name(route.auth)); /* fits */
	if (!route_complete(call, &body, &route))
		return WEIR_API_DONE;
	code = weir_store_route_update(call->owner->store, &route, &error);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 200);
}

enum weir_api_result weir_api_route_remove(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	char text[ROUTE_TEXT_MAX] = "";
	char host[WEIR_MODEL_HOST_BYTES_MAX + 1] = "";
	struct weir_model_route key;
	const struct weir_public_row *row = NULL;
	int code = 0;

	(void)weir_api_query(call, "host", host, sizeof(host)); /* none: any host */
	if (!weir_api_query(call, "route", text, sizeof(text))) {
		return weir_api_refuse(call, 422, "invalid", "route",
				       "route is missing: ?route=GET%20/path");
	}
	row = row_find(call, text, host);
	if (row != NULL && strchr(text, ' ') == NULL)
		return weir_api_row_remove(call, row);
	if (!key_parse(call, text, host, &key))
		return WEIR_API_DONE;
	code = weir_store_route_remove(call->owner->store, &key, &error);
	if (code == -ENOENT && row != NULL)
		return weir_api_row_remove(call, row);
	return code != 0 ? weir_api_refuse_store(call, code, &error)
			 : weir_api_committed(call, 200);
}
