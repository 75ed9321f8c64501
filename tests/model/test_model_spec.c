#include "tests/model/model_test.h"

static int parse(const char *text, struct weir_model_spec *out_spec, struct weir_model_error *error)
{
	return weir_model_spec_parse(text, strlen(text), out_spec, error);
}

static void a_spec_is_read_in_any_order_with_or_without_bounds(void **state)
{
	struct weir_model_spec spec;

	(void)state;
	assert_int_equal(parse("cpu=500,memory=256,min=1,max=4", &spec, NULL), 0);
	assert_int_equal(spec.cpu_millicores, 500);
	assert_int_equal(spec.memory_mb, 256);
	assert_int_equal(spec.workers_min, 1);
	assert_int_equal(spec.workers_max, 4);
	assert_int_equal(parse("max=2,memory=1048576,cpu=1000000", &spec, NULL), 0);
	assert_int_equal(spec.cpu_millicores, 1000000); /* far beyond this machine, and no matter */
	assert_int_equal(spec.memory_mb, 1048576);
	assert_int_equal(spec.workers_min, 0);
	assert_int_equal(spec.workers_max, 2);
	assert_int_equal(parse("cpu=1,memory=1", &spec, NULL), 0);
	assert_int_equal(spec.workers_max, WEIR_MODEL_SPEC_WORKERS_DEFAULT);
	assert_int_equal(parse("cpu=1,memory=1,min=40", &spec, NULL), 0);
	assert_int_equal(spec.workers_max, 40);
}

static void a_malformed_spec_is_refused_with_an_example(void **state)
{
	static const char *const texts[] = {
		"",	     "500",	       "cpu=500",      "memory=5",	   "cpu=5,memory",
		"cpu=,memory=5", "cpu=5,memory=5,", ",cpu=5,memory=5", "cpu=5,,memory=5", "cpu=5;memory=5",
		"cpu=5,memory=5,cpu=6", "cpu=5,memory=5,weight=1", "cpu=-1,memory=5", "cpu=1.5,memory=5",
		"cpu=5m,memory=5", "cpu=4294967797,memory=5", "CPU=5,memory=5", "cpu=5, memory=5",
	};
	struct weir_model_spec spec = {.cpu_millicores = 77};
	struct weir_model_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i], &spec, &error), -EINVAL);
		assert_error(&error, "spec", "write cpu=500,memory=256,min=0,max=4");
	}
	assert_int_equal(spec.cpu_millicores, 77);
}

static void numbers_out_of_range_are_refused_with_the_range(void **state)
{
	static const char *const texts[][2] = {
		{"cpu=0,memory=5", "between 1 and 1000000 millicores"},
		{"cpu=1000001,memory=5", "between 1 and 1000000 millicores"},
		{"cpu=5,memory=0", "between 1 and 1048576 MB"},
		{"cpu=5,memory=1048577", "between 1 and 1048576 MB"},
		{"cpu=5,memory=5,max=0", "between 1 and 400 workers"},
		{"cpu=5,memory=5,max=401", "between 1 and 400 workers"},
		{"cpu=5,memory=5,min=3,max=2", "min=3, which is more than max=2"},
	};
	struct weir_model_spec spec;
	struct weir_model_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(parse(texts[i][0], &spec, &error), -EINVAL);
		assert_error(&error, "spec", texts[i][1]);
	}
}

static void specs_stand_smallest_first_and_come_back_from_their_text(void **state)
{
	static const char sorted[] = "cpu=100,memory=9,min=0,max=16 cpu=200,memory=4,min=0,max=16 "
				     "cpu=200,memory=8,min=1,max=2";
	struct weir_model_function function = model_function(), again = model_function();
	char text[WEIR_MODEL_SPECS_BYTES_MAX];

	(void)state;
	assert_string_equal(weir_model_specs_format(&function, text), "");
	assert_int_equal(weir_model_specs_parse("cpu=200,memory=8,min=1,max=2 cpu=100,memory=9 cpu=200,memory=4",
						&function, NULL),
			 0);
	assert_int_equal(weir_model_function_check(&function, NULL), 0);
	assert_string_equal(weir_model_specs_format(&function, text), sorted);
	assert_int_equal(weir_model_specs_parse(text, &again, NULL), 0);
	assert_memory_equal(again.spec, function.spec, 3 * sizeof(again.spec[0]));
	assert_int_equal(weir_model_specs_parse("", &again, NULL), 0);
	assert_int_equal(again.spec_count, 0);
}

static void equal_specs_too_many_and_disorder_are_refused(void **state)
{
	struct weir_model_function function = model_function();
	struct weir_model_spec spec = {.cpu_millicores = 1, .memory_mb = 1, .workers_max = 1};
	struct weir_model_error error;

	(void)state;
	for (uint32_t i = 0; i < WEIR_MODEL_SPECS_MAX; i++) {
		spec.memory_mb = WEIR_MODEL_SPECS_MAX - i;
		assert_int_equal(weir_model_spec_add(&function, &spec, &error), 0);
	}
	spec.memory_mb = 100;
	assert_int_equal(weir_model_spec_add(&function, &spec, &error), -EINVAL);
	assert_error(&error, "spec", "a function may have 8");
	function.spec_count = 2;
	spec.memory_mb = 2;
	spec.workers_max = 5;
	assert_int_equal(weir_model_spec_add(&function, &spec, &error), -EINVAL);
	assert_error(&error, "spec", "cpu=1,memory=2 is given twice");
	function.spec[0].memory_mb = 2; /* as somebody else may have written it */
	assert_int_equal(weir_model_function_check(&function, &error), -EINVAL);
	assert_error(&error, "spec", "out of order or given twice");
	function.spec[0].memory_mb = 0;
	assert_int_equal(weir_model_function_check(&function, &error), -EINVAL);
	function.spec_count = WEIR_MODEL_SPECS_MAX + 1;
	assert_int_equal(weir_model_function_check(&function, &error), -EINVAL);
	assert_error(&error, "spec", "is one of 9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spec_is_read_in_any_order_with_or_without_bounds),
		cmocka_unit_test(a_malformed_spec_is_refused_with_an_example),
		cmocka_unit_test(numbers_out_of_range_are_refused_with_the_range),
		cmocka_unit_test(specs_stand_smallest_first_and_come_back_from_their_text),
		cmocka_unit_test(equal_specs_too_many_and_disorder_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
