/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "dataplane/http/http_request.h"
#include "dataplane/runtime/runtime.h"

/* A runtime may not see http, so it has the names itself: they must be the same. */
static void methods_have_the_names_that_http_gives_them(void **state)
{
	struct weir_request_head head = {0};
	const struct weir_runtime_call call = {.head = &head};

	(void)state;
	for (unsigned int i = 0; i < WEIR_HTTP_METHOD_COUNT; i++) {
		head.method = (uint8_t)i;
		assert_true(weir_span_equal(weir_runtime_method(&call),
					    weir_http_method_name((enum weir_http_method)i)));
	}
	head.method = WEIR_HTTP_METHOD_COUNT;
	assert_int_equal(weir_runtime_method(&call).bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_have_the_names_that_http_gives_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
