/* When a thread may wait awake, and how soon it stops where that does not pay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/base/linger.h"

#define SECOND_NS UINT64_C(1000000000)

static void fresh_one_is_allowed(void **state)
{
	const struct weir_linger linger = {0};

	(void)state;
	assert_true(weir_linger_allowed(&linger, 0));
}

static void answers_keep_it_on(void **state)
{
	struct weir_linger linger = {0};
	uint64_t now_ns = SECOND_NS;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(weir_linger_allowed(&linger, now_ns));
		now_ns += 5000;
		weir_linger_learn(&linger, now_ns, 5000, true);
	}
}

/* Linger whenever it is allowed, always in vain: what share of the time goes into it? */
static void vain_waits_become_rare(void **state)
{
	struct weir_linger linger = {0};
	uint64_t lingered_ns = 0;

	(void)state;
	for (uint64_t now_ns = SECOND_NS; now_ns < 11 * SECOND_NS; now_ns += 10000) {
		if (!weir_linger_allowed(&linger, now_ns))
			continue;
		now_ns += WEIR_LINGER_NS;
		lingered_ns += WEIR_LINGER_NS;
		weir_linger_learn(&linger, now_ns, 300, false);
	}
	assert_true(lingered_ns >= 2 * WEIR_LINGER_NS); /* it tries again now and then */
	assert_true(lingered_ns < 10 * SECOND_NS / 1000);
}

static void stolen_cpu_turns_it_off_faster_even_with_an_answer(void **state)
{
	struct weir_linger stolen = {0}, vain = {0};

	(void)state;
	weir_linger_learn(&vain, SECOND_NS, 300, false);
	weir_linger_learn(&stolen, SECOND_NS, WEIR_LINGER_STOLEN_NS, true);
	assert_false(weir_linger_allowed(&stolen, SECOND_NS + WEIR_LINGER_STOLEN_NS));
	assert_true(stolen.off_until_ns > vain.off_until_ns);
	assert_true(weir_linger_allowed(&stolen, stolen.off_until_ns));
}

static void answers_bring_it_back(void **state)
{
	struct weir_linger linger = {0};
	uint64_t now_ns = SECOND_NS;

	(void)state;
	for (int i = 0; i < 100; i++) {
		weir_linger_learn(&linger, now_ns, 300, false);
		now_ns = linger.off_until_ns;
	}
	assert_true(weir_linger_allowed(&linger, now_ns)); /* however often it failed */
	for (int i = 0; i < 10; i++)
		weir_linger_learn(&linger, now_ns, 5000, true);
	assert_true(weir_linger_allowed(&linger, now_ns));
	weir_linger_learn(&linger, now_ns, 300, false);
	assert_true(linger.off_until_ns - now_ns < SECOND_NS / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_one_is_allowed),
		cmocka_unit_test(answers_keep_it_on),
		cmocka_unit_test(vain_waits_become_rare),
		cmocka_unit_test(stolen_cpu_turns_it_off_faster_even_with_an_answer),
		cmocka_unit_test(answers_bring_it_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
