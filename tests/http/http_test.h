/* http_test: what the tests of dataplane/http share. */
#ifndef WEIR_TESTS_HTTP_HTTP_TEST_H
#define WEIR_TESTS_HTTP_HTTP_TEST_H

/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
/* clang-format on */

#include "dataplane/base/span.h"
#include "dataplane/http/http_request.h"

/* The limits that tests use unless they are about limits. */
static const struct weir_http_limits test_limits = {
	.target_bytes_max = 64,
	.head_bytes_max = 1024,
	.headers_max = 8,
	.body_bytes_max = 1000,
};

/* A copy of exactly `bytes` bytes, so that AddressSanitizer sees a read behind them. */
static inline char *exact_copy(const char *data, size_t bytes)
{
	char *copy = malloc(bytes > 0 ? bytes : 1);

	assert_non_null(copy);
	memcpy(copy, data, bytes);
	return copy;
}

#endif
