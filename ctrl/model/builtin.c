#include "ctrl/model/builtin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_text.h"
#include "dataplane/base/assert.h"

enum { TIMEOUT_MS = 3600000, MEMORY_MB = 256 };

static const char *const functions[] = {"vespid", "faasm", "openwhisk", "spike", "upload", "project"};

struct route {
	const char *function;
	const char *text; /* as weir_model_route_parse() takes it */
	bool yields;
};

static const struct route routes[] = {
	{"vespid", "POST /actions/{name}/create", false}, {"vespid", "POST /actions/{name}/invoke", false},
	{"vespid", "POST /actions/{name}/get", false},	  {"vespid", "POST /actions/{name}/update", false},
	{"vespid", "POST /actions/{name}/delete", false}, {"vespid", "POST /actions/list", false},
	{"vespid", "GET /ping", true},
	{"faasm", "POST /f/{user}/{function}", false},	  {"faasm", "POST /f/{user}/{function}/", false},
	{"faasm", "PUT /f/{user}/{function}", false},	  {"faasm", "PUT /f/{user}/{function}/*", false},
	{"upload", "GET /upload", false},		  {"upload", "POST /upload", false},
	{"faasm", "GET /f/*", false},			  {"faasm", "GET /fa/*", false},
	{"openwhisk", "ANY /api/v1/namespaces", false},   {"openwhisk", "ANY /api/v1/namespaces/*", false},
	{"spike", "ANY /v1/create_function", false},
	{"spike", "ANY /v1/update_function", false},
	{"spike", "ANY /v1/delete_function/{function_name}", false},
	{"spike", "ANY /v1/call_function", false},
	{"spike", "ANY /v1/get_all_functions", false},
	{"spike", "ANY /v1/get_function_resources/{function_name}", false},
	{"spike", "ANY /v1/scale_function", false},
	{"spike", "ANY /v1/*", true}, /* it says what its clients read: 404 */
	{"project", "POST /auth/register", false},	  {"project", "POST /auth/login", false},
	{"project", "GET /auth/validate", false},	  {"project", "GET /auth/health", false},
	{"project", "ANY /auth/*", true}, /* likewise */
	{"project", "POST /registry/register", false},	  {"project", "GET /registry/retrieve", false},
	{"project", "GET /registry/list", false},	  {"project", "DELETE /registry/delete", false},
	{"project", "PUT /registry/update", false},	  {"project", "GET /registry/health", false},
	{"project", "POST /publisher/publish", false},	  {"project", "GET /publisher/health", false},
};

enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]), ROUTES = sizeof(routes) / sizeof(routes[0]) };

uint64_t weir_builtin_id(const char *name)
{
	uint64_t i = 0;

	while (strcmp(functions[i], name) != 0)
		i++;
	return WEIR_BUILTIN_ID_BIT | (i + 1);
}

bool weir_builtin_function(size_t i, const char *data, struct weir_model_function *out_function)
{
	if (i >= FUNCTIONS)
		return false;
	*out_function = (struct weir_model_function){
		.id = WEIR_BUILTIN_ID_BIT | (i + 1),
		.version = 1,
		.space = WEIR_BUILTIN_SPACE,
		.runtime = "dialect",
		.timeout_ms = TIMEOUT_MS,
		.memory_mb = MEMORY_MB,
		.queue_max = WEIR_MODEL_QUEUE_MAX,
		.is_builtin = true,
	};
	(void)snprintf(out_function->name, sizeof(out_function->name), "%s", functions[i]);
	(void)snprintf(out_function->code_path, sizeof(out_function->code_path), "%s/run/dialect/api.sock",
		       data); /* fits: a socket's path is shorter */
	return true;
}

bool weir_builtin_route(size_t i, struct weir_model_route *out_route)
{
	if (i >= ROUTES)
		return false;
	*out_route = (struct weir_model_route){
		.id = WEIR_BUILTIN_ID_BIT | (i + 1),
		.function_id = weir_builtin_id(routes[i].function),
		.space = WEIR_BUILTIN_SPACE,
	};
	const int code = weir_model_route_parse(routes[i].text, out_route, NULL);

	WEIR_ASSERT(code == 0); /* constant text, tested */
	(void)snprintf(out_route->name, sizeof(out_route->name), "%s", routes[i].function);
	return true;
}

bool weir_builtin_yields(size_t i)
{
	return i < ROUTES && routes[i].yields;
}

enum segment { LITERAL, PARAM, STAR };

static enum segment kind_of(const char *segment)
{
	return segment[0] == '{' ? PARAM : segment[0] == '*' && segment[1] == '\0' ? STAR : LITERAL;
}

/* Would `theirs` get requests that `ours` is for? Of two that could match, the one gets it that is more exact
 * in the first segment where they differ in kind. */
static bool takes_from(const char *theirs, const char *ours)
{
	bool is_narrower = false;

	for (;;) {
		const size_t their_bytes = strcspn(++theirs, "/");
		const size_t our_bytes = strcspn(++ours, "/");
		const enum segment their_kind = kind_of(theirs);
		const enum segment our_kind = kind_of(ours);

		if (their_kind == LITERAL && our_kind == LITERAL &&
		    (their_bytes != our_bytes || memcmp(theirs, ours, our_bytes) != 0))
			return false;
		if (their_kind > our_kind && !is_narrower)
			return false;
		if (their_kind == STAR || our_kind == STAR)
			return true;
		is_narrower = is_narrower || their_kind < our_kind;
		theirs += their_bytes;
		ours += our_bytes;
		if (*theirs == '\0' || *ours == '\0')
			return *theirs == *ours;
	}
}

int weir_builtin_route_check(const struct weir_model_route *route, struct weir_model_error *error)
{
	for (size_t i = 0; route->host[0] == '\0' && i < ROUTES; i++) {
		if (!routes[i].yields && takes_from(route->pattern, strchr(routes[i].text, '/')))
			return weir_model_fail(error, "route",
					       "is what clients of %s call (%s); choose another path, or give it a host",
					       routes[i].function, routes[i].text);
	}
	return 0;
}
