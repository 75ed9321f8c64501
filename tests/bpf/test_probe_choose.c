/* Which optional programs go, on kernels that take some of them. No rights are needed. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "bpf/load_probe.h"

struct kernel {
	unsigned int takes; /* programs */
	bool takes_pairs;   /* or only one at a time */
	unsigned int tries;
};

static bool loads(void *context, unsigned int on)
{
	struct kernel *const kernel = context;

	kernel->tries++;
	return (on & ~kernel->takes) == 0 && (kernel->takes_pairs || (on & (on - 1)) == 0);
}

static unsigned int choose(unsigned int count, struct kernel *kernel)
{
	return weir_probe_choose(count, loads, kernel);
}

static void a_kernel_that_takes_all_is_asked_once(void **state)
{
	struct kernel kernel = {.takes = ~0u, .takes_pairs = true};

	(void)state;
	assert_int_equal(choose(3, &kernel), 7);
	assert_int_equal(kernel.tries, 1);
}

static void one_that_is_refused_takes_no_other_with_it(void **state)
{
	(void)state;
	for (unsigned int takes = 0; takes < 8; takes++) {
		struct kernel kernel = {.takes = takes, .takes_pairs = true};

		assert_int_equal(choose(3, &kernel), takes);
	}
	assert_int_equal(choose(3, &(struct kernel){.takes = 7}), 1); /* never together: the first stays */
}

static void nothing_optional_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(choose(0, &(struct kernel){.takes_pairs = true}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_that_takes_all_is_asked_once),
		cmocka_unit_test(one_that_is_refused_takes_no_other_with_it),
		cmocka_unit_test(nothing_optional_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
