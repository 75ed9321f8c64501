#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/model/model_number.h"
#include "tests/base/base_test.h"

static void long_numbers_are_kept_as_they_were_written(void **state)
{
	static const char text[] = "{\"a\":[1,{\"-1\":1234567890123456789}],\"s\":\"9\\\"9999999999999999\",\"b\":0.1234567890123456,"
				   "\"c\":-0.00012345678901234567e-300,\"d\":1e22}";
	cJSON *json = cJSON_Parse(text);
	char *printed = NULL;

	(void)state;
	assert_int_equal(weir_model_numbers_keep(json, text, strlen(text)), 0);
	assert_true(cJSON_IsNumber(cJSON_GetObjectItem(json, "d")));
	assert_true(cJSON_IsRaw(cJSON_GetObjectItem(json, "b")));
	printed = cJSON_PrintUnformatted(json);
	assert_string_equal(printed, "{\"a\":[1,{\"-1\":1234567890123456789}],\"s\":\"9\\\"9999999999999999\","
				     "\"b\":0.1234567890123456,\"c\":-0.00012345678901234567e-300,\"d\":1e+22}");
	cJSON_free(printed);
	cJSON_Delete(json);
}

static void text_of_something_else_is_refused(void **state)
{
	static const char text[] = "[1]";
	cJSON *json = cJSON_Parse(text);
	char deep[2 * WEIR_MODEL_NUMBER_LEVELS_MAX + 4];
	size_t used = 0;

	(void)state;
	assert_int_equal(weir_model_numbers_keep(json, "[1,2]", 5), -EBADMSG);
	cJSON_Delete(json);
	for (; used <= WEIR_MODEL_NUMBER_LEVELS_MAX; used++)
		deep[used] = '[';
	deep[used++] = '7';
	for (size_t i = 0; i <= WEIR_MODEL_NUMBER_LEVELS_MAX; i++)
		deep[used++] = ']';
	json = cJSON_ParseWithLength(deep, used);
	assert_non_null(json);
	assert_int_equal(weir_model_numbers_keep(json, deep, used), -EBADMSG);
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_numbers_are_kept_as_they_were_written),
		cmocka_unit_test(text_of_something_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
