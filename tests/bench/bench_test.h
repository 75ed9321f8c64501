/* bench_test: cmocka with the headers that it needs first. */
#ifndef WEIR_TESTS_BENCH_BENCH_TEST_H
#define WEIR_TESTS_BENCH_BENCH_TEST_H

/* cmocka.h does not include what it needs. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
/* clang-format on */

#endif
