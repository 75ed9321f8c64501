/* publish_test: a model in a few lines, published and attached.
 *
 *   publish_test_function() / publish_test_route() ... -> publish_test_build() -> snapshot
 *
 * Brings in cmocka. Owned by the test; publish_test_close() frees everything. */
#ifndef WEIR_TESTS_PUBLISH_PUBLISH_TEST_H
#define WEIR_TESTS_PUBLISH_PUBLISH_TEST_H

/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>

#include "ctrl/publish/publish.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/snapshot.h"

struct publish_test {
	struct weir_model_function *functions;
	size_t function_count;
	struct weir_model_route *routes;
	size_t route_count;
	uint32_t runtimes_missing; /* as in the input */
	const struct weir_publish_pool *pools; /* likewise */
	size_t pool_count;
	bool *shadowed; /* after build: one for each route */
	int fd;         /* after build */
	struct weir_snapshot snapshot;
};

/* A function "NAME" or "NAMESPACE/NAME" with this runtime. Returns its id: 1, 2, 3 ... */
static inline uint64_t publish_test_function(struct publish_test *test, const char *name,
					     const char *runtime)
{
	test->functions = reallocarray(test->functions, test->function_count + 1,
				       sizeof(*test->functions));
	assert_non_null(test->functions);
	struct weir_model_function *function = &test->functions[test->function_count++];

	*function = (struct weir_model_function){
		.id = test->function_count,
		.version = 1,
		.timeout_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT,
		.memory_mb = WEIR_MODEL_MEMORY_MB_DEFAULT,
		.queue_max = WEIR_MODEL_QUEUE_DEFAULT,
	};
	assert_int_equal(weir_model_name_parse(name, function->space, function->name, NULL), 0);
	(void)snprintf(function->runtime, sizeof(function->runtime), "%s", runtime);
	(void)snprintf(function->code_path, sizeof(function->code_path), "/srv/%s", name);
	return function->id;
}

/* A route "GET,POST /pattern" to a function, for one host or (empty) all. Returns it; its id is its
 * place, from 1. Valid until the next one. */
static inline struct weir_model_route *publish_test_route(struct publish_test *test,
							  const char *text, const char *host,
							  uint64_t function_id)
{
	struct weir_model_error error;

	/* Doubled, not grown by one: some tests add 100,000. */
	if ((test->route_count & (test->route_count - 1)) == 0)
		test->routes = reallocarray(test->routes,
					    test->route_count == 0 ? 1 : test->route_count * 2,
					    sizeof(*test->routes));
	assert_non_null(test->routes);
	struct weir_model_route *route = &test->routes[test->route_count++];

	*route = (struct weir_model_route){.id = test->route_count, .function_id = function_id};
	if (weir_model_route_parse(text, route, &error) != 0)
		fail_msg("'%s': %s %s", text, error.field, error.reason);
	assert_int_equal(weir_model_host_parse(host, route->host, NULL), 0);
	return route;
}

/* What the parts so far make as an input; out_shadowed is the test's. */
static inline struct weir_publish_input publish_test_input(struct publish_test *test)
{
	free(test->shadowed);
	test->shadowed = calloc(test->route_count + 1, sizeof(*test->shadowed));
	assert_non_null(test->shadowed);
	return (struct weir_publish_input){
		.generation = 1,
		.settings = weir_publish_settings_default(),
		.pool_workers_min = 1,
		.pool_workers_max = 4,
		.runtimes_missing = test->runtimes_missing,
		.pools = test->pools,
		.pool_count = test->pool_count,
		.functions = test->functions,
		.function_count = test->function_count,
		.routes = test->routes,
		.route_count = test->route_count,
		.out_shadowed = test->shadowed,
	};
}

static inline void publish_test_build(struct publish_test *test)
{
	const struct weir_publish_input input = publish_test_input(test);

	test->fd = -1;
	assert_int_equal(weir_publish_build(&input, &test->fd), 0);
	assert_int_equal(weir_snapshot_attach(test->fd, &test->snapshot), 0);
}

static inline void publish_test_close(struct publish_test *test)
{
	if (test->snapshot.header != NULL) {
		weir_snapshot_detach(&test->snapshot);
		weir_fd_close(&test->fd);
	}
	free(test->functions);
	free(test->routes);
	free(test->shadowed);
	*test = (struct publish_test){.fd = -1};
}

#endif
