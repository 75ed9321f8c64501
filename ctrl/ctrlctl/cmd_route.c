#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/assert.h"

enum { TEXT_MAX = 8192, TARGET_MAX = 3 * TEXT_MAX + 64 };

/* "GET /x" as one word, or as two. */
static void route_text(const struct weir_ctl_call *call, char out[TEXT_MAX])
{
	(void)snprintf(out, TEXT_MAX, "%s%s%s", call->arguments[0],
		       call->argument_count > 1 ? " " : "",
		       call->argument_count > 1 ? call->arguments[1]
						: ""); /* a cut one is refused as too long */
}

/* /weir/routes?route=...&host=... */
static bool route_target(const struct weir_ctl_call *call, char target[TARGET_MAX])
{
	const char *host = weir_ctl_option(call, "--host");
	char text[TEXT_MAX];

	route_text(call, text);
	(void)snprintf(target, TARGET_MAX, "/weir/routes?route=");
	if (!weir_ctl_encode(target, TARGET_MAX, text))
		return false;
	if (host == NULL)
		return true;
	strncat(target, "&host=", TARGET_MAX - strlen(target) - 1);
	return weir_ctl_encode(target, TARGET_MAX, host);
}

/* An object that says which route is meant. */
static cJSON *route_body(const struct weir_ctl_call *call)
{
	const char *host = weir_ctl_option(call, "--host");
	cJSON *body = cJSON_CreateObject();
	char text[TEXT_MAX];

	WEIR_ASSERT(body != NULL);
	route_text(call, text);
	(void)cJSON_AddStringToObject(body, "route", text);
	if (host != NULL)
		(void)cJSON_AddStringToObject(body, "host", host);
	return body;
}

/* --auth as "auth"; what stands for nothing set is "as-set" here. */
static bool auth_add(cJSON *body, const struct weir_ctl_call *call)
{
	const char *const auth = weir_ctl_option(call, "--auth");

	return auth == NULL || cJSON_AddStringToObject(body, "auth", strcmp(auth, "as-set") == 0 ? "" : auth) != NULL;
}

static enum weir_ctl_exit too_long(void)
{
	return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the route is too long");
}

enum weir_ctl_exit weir_ctl_route_add(const struct weir_ctl_call *call)
{
	cJSON *body = NULL;

	if (weir_ctl_option(call, "--fn") == NULL) {
		return weir_ctl_fail(WEIR_CTL_USAGE,
				     "ctrlctl route add 'GET /img/{id}' --fn thumbs",
				     "--fn is missing: which function shall the route call?");
	}
	body = route_body(call);
	if (!weir_ctl_body_text(body, call, "--fn", "function") || !auth_add(body, call) ||
	    !weir_ctl_body_duration(body, call)) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	return weir_ctl_api_change(call, "POST", "/weir/routes", body);
}

enum weir_ctl_exit weir_ctl_route_update(const struct weir_ctl_call *call)
{
	const char *file = weir_ctl_option(call, "--file");
	cJSON *body = route_body(call);
	const bool sound = (file == NULL || weir_ctl_body_file(body, file)) &&
			   weir_ctl_body_text(body, call, "--fn", "function") && auth_add(body, call) &&
			   weir_ctl_body_duration(body, call) &&
			   weir_ctl_body_text(body, call, "--handler", "handler") &&
			   weir_ctl_body_text(body, call, "--runtime", "runtime") &&
			   weir_ctl_body_number(body, call, "--memory", "memory_mb");

	if (!sound) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	return weir_ctl_api_change(call, "PATCH", "/weir/routes", body);
}

/* What the public table has of a row, out of the options. False: wrong, and said. */
static bool row_value_add(cJSON *body, const struct weir_ctl_call *call)
{
	cJSON *const value = cJSON_AddObjectToObject(body, "value");
	cJSON *timeout_ms = NULL;
	bool sound = weir_ctl_body_file(value, weir_ctl_option(call, "--file")) &&
		     weir_ctl_body_text(value, call, "--name", "name") &&
		     weir_ctl_body_text(value, call, "--runtime", "runtime") &&
		     weir_ctl_body_text(value, call, "--handler", "handler") &&
		     weir_ctl_body_number(value, call, "--memory", "memory") && weir_ctl_body_duration(value, call);

	/* The C platform's words for them. */
	(void)cJSON_AddItemToObject(value, "module", cJSON_DetachItemFromObjectCaseSensitive(value, "file")); /* or it lacks */
	timeout_ms = cJSON_DetachItemFromObjectCaseSensitive(value, "timeout_ms");
	if (timeout_ms != NULL)
		(void)cJSON_AddNumberToObject(value, "timeout", timeout_ms->valuedouble / 1000);
	cJSON_Delete(timeout_ms);
	return sound;
}

enum weir_ctl_exit weir_ctl_row_add(const struct weir_ctl_call *call)
{
	cJSON *body = NULL;
	char text[TEXT_MAX];

	if (weir_ctl_option(call, "--file") == NULL || weir_ctl_option(call, "--runtime") == NULL ||
	    weir_ctl_option(call, "--handler") == NULL)
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl row add 'POST /resize' --runtime php --file /srv/resize.php --handler main",
				     "--file, --runtime and --handler are needed: what runs?");
	route_text(call, text);
	if (strchr(text, ' ') != NULL)
		*strchr(text, ' ') = ':'; /* the table's keys are "POST:/resize" */
	body = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(body, "route", text);
	if (!row_value_add(body, call)) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	return weir_ctl_api_change(call, "POST", "/weir/rows", body);
}

/* What is wrong with a row, for the last column. */
static void note_format(const cJSON *route, char *out, size_t max)
{
	const cJSON *problem = cJSON_GetObjectItemCaseSensitive(route, "problem");
	const char *state = weir_ctl_json_text(route, "state");

	if (problem != NULL) {
		(void)snprintf(out, max, "!%s: %s %s", state,
			       weir_ctl_json_text(problem, "field"),
			       weir_ctl_json_text(problem, "reason"));
	} else {
		(void)snprintf(out, max, "%s%s", strcmp(state, "active") == 0 ? "" : "!",
			       state);
	}
}

enum weir_ctl_exit weir_ctl_route_list(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"ROUTE",  "HOST",	"FUNCTION", "TIMEOUT",
					     "AUTH", "SOURCE", "STATE", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *route = NULL;
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, "GET", "/weir/routes", NULL, &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "routes"));
		cJSON_Delete(json);
		return WEIR_CTL_OK;
	}
	cJSON_ArrayForEach(route, cJSON_GetObjectItemCaseSensitive(json, "routes"))
	{
		const char *host = weir_ctl_json_text(route, "host");
		const char *function = weir_ctl_json_text(route, "function");
		const char *auth = weir_ctl_json_text(route, "auth");
		char timeout[32];
		char note[512];

		weir_ctl_duration_format(weir_ctl_json_number(route, "timeout_ms"), timeout,
					 sizeof(timeout));
		note_format(route, note, sizeof(note));
		weir_ctl_table_cell(&table, weir_ctl_json_text(route, "route"));
		weir_ctl_table_cell(&table, host[0] == '\0' ? "-" : host);
		weir_ctl_table_cell(&table, function[0] == '\0' ? "-" : function);
		weir_ctl_table_cell(&table, timeout);
		weir_ctl_table_cell(&table, auth[0] == '\0' ? "-" : auth);
		weir_ctl_table_cell(&table, weir_ctl_json_text(route, "source"));
		weir_ctl_table_cell(&table, note);
	}
	weir_ctl_table_print(&table);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_route_get(const struct weir_ctl_call *call)
{
	static const char *const skip[] = {"methods", "pattern", NULL};
	char target[TARGET_MAX];
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!route_target(call, target))
		return too_long();
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		weir_ctl_print_object(json, skip);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_route_remove(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX];

	if (!route_target(call, target))
		return too_long();
	return weir_ctl_api_change(call, "DELETE", target, NULL);
}

static enum weir_ctl_exit test_verdict(const cJSON *json)
{
	const char *result = weir_ctl_json_text(json, "result");

	if (strcmp(result, "match") == 0)
		return WEIR_CTL_OK;
	if (strcmp(result, "method") == 0) {
		return weir_ctl_fail(WEIR_CTL_NOT_FOUND, NULL,
				     "405: the path is known, but only for %s",
				     weir_ctl_json_text(json, "allow"));
	}
	return weir_ctl_fail(WEIR_CTL_NOT_FOUND, "`ctrlctl route list` shows all routes",
			     "404: no route takes %s %s", weir_ctl_json_text(json, "method"),
			     weir_ctl_json_text(json, "path"));
}

enum weir_ctl_exit weir_ctl_route_test(const struct weir_ctl_call *call)
{
	static const char *const skip[] = {"result", NULL};
	cJSON *json = NULL;
	enum weir_ctl_exit code =
		weir_ctl_api(call, "POST", "/weir/route-test", route_body(call), &json);

	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(json);
	} else if (strcmp(weir_ctl_json_text(json, "result"), "match") == 0) {
		weir_ctl_print_object(json, skip);
	}
	code = test_verdict(json);
	cJSON_Delete(json);
	return code;
}
