/* The parts of the runtime `python` that need no Python: pairs of a query, one line of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/runtime/python/python_failure.h"
#include "dataplane/runtime/python/python_query.h"

/* "name=value|..." of a query, decoded. */
static const char *pairs(const char *query)
{
	static char out[512];
	struct weir_span text = weir_span_of(query);
	struct weir_span name;
	struct weir_span value;
	size_t used = 0;

	out[0] = '\0';
	while (weir_python_query_next(&text, &name, &value)) {
		char decoded[256];

		used += (size_t)snprintf(out + used, sizeof(out) - used, "%.*s=",
					 (int)weir_python_query_decode(name, decoded), decoded);
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%.*s|",
					 (int)weir_python_query_decode(value, decoded), decoded);
	}
	return out;
}

static void query_is_cut_into_decoded_pairs(void **state)
{
	(void)state;
	assert_string_equal(pairs(""), "");
	assert_string_equal(pairs("a=1&b=2"), "a=1|b=2|");
	assert_string_equal(pairs("&&a&=b&c=d=e&"), "a=|=b|c=d=e|");
	assert_string_equal(pairs("a+b=%20%2B%c3%BC+"), "a b= +\xc3\xbc |");
}

static void escape_that_is_none_stays(void **state)
{
	(void)state;
	assert_string_equal(pairs("a=%&b=%2&c=%zz&d=%4"), "a=%|b=%2|c=%zz|d=%4|");
}

static void line_is_cut_between_characters(void **state)
{
	char text[400];
	char line[WEIR_RUNTIME_REASON_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xbc", 2);
	weir_python_failure_line((struct weir_span){.data = text, .bytes = sizeof(text)}, line);
	assert_int_equal(strlen(line), 198); /* 199 is in the middle of one */
	weir_python_failure_line(WEIR_SPAN("a\nb\tc\x7f"), line);
	assert_string_equal(line, "a b c ");
	weir_python_failure_line(WEIR_SPAN(""), line);
	assert_string_equal(line, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_is_cut_into_decoded_pairs),
		cmocka_unit_test(escape_that_is_none_stays),
		cmocka_unit_test(line_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
