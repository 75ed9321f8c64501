#include "ctrl/model/builtin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_text.h"
#include "dataplane/base/assert.h"

enum {
	TIMEOUT_MS = WEIR_MODEL_TIMEOUT_MS_MAX,
	QUEUE_TIMEOUT_MS = 60000, /* it answers at once, or waits for the disk */
	MEMORY_MB = 256,
	RUNNERS_MAX = 4, /* workers, of some fifty calls each */
};

struct function {
	const char *name;
	const char *runtime;
	const char *code_path; /* behind the data directory; from '/' on where it begins with that */
	uint32_t timeout_ms;
	uint32_t workers_max; /* 0 = as is set */
};

static const struct function functions[] = {
	{"vespid", "dialect", "run/dialect/api.sock", TIMEOUT_MS, 0},
	{"faasm", "dialect", "run/dialect/api.sock", TIMEOUT_MS, 0},
	{"openwhisk", "dialect", "run/dialect/api.sock", TIMEOUT_MS, 0},
	{"spike", "dialect", "run/dialect/api.sock", TIMEOUT_MS, 0},
	{"upload", "dialect", "run/dialect/api.sock", TIMEOUT_MS, 0},
	{"project", "dialect", "run/dialect/api.sock", TIMEOUT_MS, 0},
	{WEIR_BUILTIN_QUEUE, "queue", WEIR_BUILTIN_QUEUE_DIRECTORY, QUEUE_TIMEOUT_MS, 1}, /* it owns a file */
	{"runner", "queue", "/dev/null", TIMEOUT_MS, RUNNERS_MAX},
};

struct route {
	const char *function;
	const char *text; /* as weir_model_route_parse() takes it */
	enum weir_role role; /* what it takes to call it; the dialect knows in which namespace */
	bool is_asking;      /* but the dialect itself finds out who calls: it takes other credentials, too */
	bool yields;
};

#define NOBODY	  WEIR_ROLE_NOBODY, false, false
#define INVOKER	  WEIR_ROLE_INVOKER, false, false
#define DEVELOPER WEIR_ROLE_DEVELOPER, false, false
#define ASKING	  WEIR_ROLE_INVOKER, true, false
#define YIELDING  WEIR_ROLE_NOBODY, false, true

static const struct route routes[] = {
	{"vespid", "POST /actions/{name}/create", DEVELOPER},
	{"vespid", "POST /actions/{name}/invoke", INVOKER},
	{"vespid", "POST /actions/{name}/get", DEVELOPER}, /* its code */
	{"vespid", "POST /actions/{name}/update", DEVELOPER},
	{"vespid", "POST /actions/{name}/delete", DEVELOPER},
	{"vespid", "POST /actions/list", INVOKER},
	{"vespid", "GET /ping", YIELDING},
	{"faasm", "POST /f/{user}/{function}", INVOKER},
	{"faasm", "POST /f/{user}/{function}/", INVOKER},
	{"faasm", "PUT /f/{user}/{function}", DEVELOPER},
	{"faasm", "PUT /f/{user}/{function}/*", DEVELOPER},
	{"upload", "GET /upload", DEVELOPER},
	{"upload", "POST /upload", DEVELOPER},
	{"faasm", "POST /fa/{user}/{function}", INVOKER},
	{"faasm", "POST /fa/{user}/{function}/", INVOKER},
	{"faasm", "GET /fa/{user}/{function}/{id}", INVOKER},
	{"faasm", "GET /f/*", NOBODY}, /* "Get OK" */
	{"faasm", "GET /fa/*", NOBODY},
	{"openwhisk", "ANY /api/v1/namespaces", ASKING},
	{"openwhisk", "ANY /api/v1/namespaces/*", ASKING},
	{"spike", "ANY /v1/create_function", DEVELOPER},
	{"spike", "ANY /v1/update_function", DEVELOPER},
	{"spike", "ANY /v1/delete_function/{function_name}", DEVELOPER},
	{"spike", "ANY /v1/call_function", INVOKER},
	{"spike", "ANY /v1/get_all_functions", INVOKER},
	{"spike", "ANY /v1/get_function_resources/{function_name}", INVOKER},
	{"spike", "ANY /v1/scale_function", DEVELOPER},
	{"spike", "ANY /v1/*", YIELDING}, /* it says what its clients read: 404 */
	{"project", "POST /auth/register", NOBODY},
	{"project", "POST /auth/login", NOBODY},
	{"project", "GET /auth/validate", ASKING},
	{"project", "GET /auth/health", NOBODY},
	{"project", "ANY /auth/*", YIELDING}, /* likewise */
	{"project", "POST /registry/register", ASKING},
	{"project", "GET /registry/retrieve", ASKING},
	{"project", "GET /registry/list", ASKING},
	{"project", "DELETE /registry/delete", ASKING},
	{"project", "PUT /registry/update", ASKING},
	{"project", "GET /registry/health", NOBODY},
	{"project", "POST /publisher/publish", ASKING},
	{"project", "GET /publisher/health", NOBODY},
	{WEIR_BUILTIN_QUEUE, "ANY /weir/async", WEIR_ROLE_ADMIN, false, false}, /* all calls */
	{WEIR_BUILTIN_QUEUE, "ANY /weir/async/*", INVOKER},
};

enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]), ROUTES = sizeof(routes) / sizeof(routes[0]) };

uint64_t weir_builtin_id(const char *name)
{
	uint64_t i = 0;

	while (strcmp(functions[i].name, name) != 0)
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
		.timeout_ms = functions[i].timeout_ms,
		.memory_mb = MEMORY_MB,
		.queue_max = WEIR_MODEL_QUEUE_MAX,
		.is_builtin = true,
		.workers_max = functions[i].workers_max,
	};
	const char *const path = functions[i].code_path;

	(void)snprintf(out_function->name, sizeof(out_function->name), "%s", functions[i].name);
	(void)snprintf(out_function->runtime, sizeof(out_function->runtime), "%s", functions[i].runtime);
	(void)snprintf(out_function->code_path, sizeof(out_function->code_path), "%s%s%s", path[0] == '/' ? "" : data,
		       path[0] == '/' ? "" : "/", path); /* fits: a socket's path is shorter */
	return true;
}

void weir_builtin_queue_settle(struct weir_model_function *function, const char *limits)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	if (strcmp(function->name, WEIR_BUILTIN_QUEUE) != 0)
		return;
	(void)snprintf(function->handler, sizeof(function->handler), "%s", limits); /* fits */
	for (; *limits != '\0'; limits++)
		hash = (hash ^ (unsigned char)*limits) * 16777619;
	function->version = 1 + (uint64_t)hash; /* a worker that has it loads it anew */
}

bool weir_builtin_route(size_t i, struct weir_model_route *out_route)
{
	if (i >= ROUTES)
		return false;
	*out_route = (struct weir_model_route){
		.id = WEIR_BUILTIN_ID_BIT | (i + 1),
		.function_id = weir_builtin_id(routes[i].function),
		.space = WEIR_BUILTIN_SPACE,
		.role = routes[i].role,
		.is_asking = routes[i].is_asking,
	};
	const int code = weir_model_route_parse(routes[i].text, out_route, NULL);

	WEIR_ASSERT(code == 0); /* constant text, tested */
	(void)snprintf(out_route->name, sizeof(out_route->name), "%s", routes[i].function);
	return true;
}

bool weir_builtin_is_silent(uint64_t function_id)
{
	const uint64_t i = (function_id & ~WEIR_BUILTIN_ID_BIT) - 1;

	return (function_id & WEIR_BUILTIN_ID_BIT) != 0 && i < FUNCTIONS && strcmp(functions[i].runtime, "queue") == 0;
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
