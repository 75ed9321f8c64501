/* model_test: cmocka with the headers it needs, and checks of what an error says. */
#ifndef WEIR_TESTS_MODEL_MODEL_TEST_H
#define WEIR_TESTS_MODEL_MODEL_TEST_H

/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/model/model.h"

/* The error names this field, and its sentence holds these words. */
static inline void assert_error(const struct weir_model_error *error, const char *field,
				const char *words)
{
	assert_string_equal(error->field, field);
	if (strstr(error->reason, words) == NULL)
		fail_msg("'%s' lacks '%s'", error->reason, words);
}

static inline struct weir_model_function model_function(void)
{
	return (struct weir_model_function){
		.id = 1,
		.version = 1,
		.space = "default",
		.name = "hello",
		.runtime = "native",
		.code_path = "/srv/hello.so",
		.timeout_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT,
		.memory_mb = WEIR_MODEL_MEMORY_MB_DEFAULT,
		.queue_max = WEIR_MODEL_QUEUE_DEFAULT,
	};
}

#endif
