/* route_test: a request for a published table, in one line. */
#ifndef WEIR_TESTS_ROUTE_ROUTE_TEST_H
#define WEIR_TESTS_ROUTE_ROUTE_TEST_H

#include "dataplane/route/route.h"
#include "tests/publish/publish_test.h"

static inline enum weir_route_result route_test_match(const struct publish_test *test,
						      uint8_t method, const char *authority,
						      const char *path,
						      struct weir_route_match *out_match)
{
	const struct weir_route_query query = {
		.path = weir_span_of(path),
		.authority = weir_span_of(authority),
		.method = method,
		.local = false,
	};

	return weir_route_match(&test->snapshot, &query, out_match);
}

#endif
