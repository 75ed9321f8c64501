#include <stdlib.h>
#include <string.h>

#include "dataplane/base/bytes.h"
#include "tests/base/base_test.h"

enum { BYTES_MAX = 40 };

/* Memory of exactly that size, so that AddressSanitizer sees a read or write beyond it. */
static char *exact(size_t bytes, char first)
{
	char *memory = malloc(bytes > 0 ? bytes : 1);

	assert_non_null(memory);
	for (size_t i = 0; i < bytes; i++)
		memory[i] = (char)(first + (char)i);
	return memory;
}

static void a_copy_has_every_byte_whatever_its_length(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
		char *from = exact(bytes, 'A');
		char *to = exact(bytes, 'a');

		weir_bytes_copy(to, from, bytes);
		assert_memory_equal(to, from, bytes);
		free(to);
		free(from);
	}
	weir_bytes_copy(NULL, NULL, 0);
}

static void one_other_byte_anywhere_makes_two_runs_unequal(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
		char *one = exact(bytes, 'A');
		char *other = exact(bytes, 'A');

		assert_true(weir_bytes_equal(one, other, bytes));
		for (size_t at = 0; at < bytes; at++) {
			other[at] ^= 0x40;
			assert_false(weir_bytes_equal(one, other, bytes));
			other[at] ^= 0x40;
		}
		free(other);
		free(one);
	}
	assert_true(weir_bytes_equal(NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_has_every_byte_whatever_its_length),
		cmocka_unit_test(one_other_byte_anywhere_makes_two_runs_unequal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
