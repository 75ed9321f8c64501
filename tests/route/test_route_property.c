#include "dataplane/base/id.h"
#include "tests/route/route_reference.h"
#include "tests/route/route_test.h"

enum {
	TABLES = 400,
	ROUTES_MAX = 60,
	QUERIES = 400,
	DEPTH_MAX = 5,
	METHODS = 7,
};

static const char *const hosts[] = {"", "", "a.example", "b.example", "example"};
static const char *const authorities[] = {
	"", "A.Example", "a.example:80", "b.EXAMPLE", "b.example.", "example:8080", "other"};
static const char *const authority_hosts[] = {
	"", "a.example", "a.example", "b.example", "b.example", "example", "other"};

struct random {
	struct weir_id_source source;
};

static uint32_t below(struct random *random, uint32_t limit)
{
	return (uint32_t)(weir_id_next(&random->source).low % limit);
}

#define PICK(random, list) (list)[below(random, sizeof(list) / sizeof((list)[0]))]

/* "GET,POST /a/{p1}/b" of a small alphabet, so that patterns overlap a lot. */
static void random_route_text(struct random *random, char *out, size_t max)
{
	static const char *const literals[] = {"a", "b", "ab", "a b", "c"};
	static const char *const methods[] = {"GET",  "GET",      "POST",      "ANY",
					      "HEAD", "GET,POST", "PUT,DELETE"};
	const uint32_t depth = below(random, DEPTH_MAX);
	size_t at = (size_t)snprintf(out, max, "%s ", PICK(random, methods));

	for (uint32_t i = 0; i < depth; i++) {
		if (below(random, 3) == 0)
			at += (size_t)snprintf(out + at, max - at, "/{%s%u}",
					       below(random, 2) ? "x" : "y", i);
		else
			at += (size_t)snprintf(out + at, max - at, "/%s",
					       PICK(random, literals));
	}
	(void)snprintf(out + at, max - at, "%s",
		       below(random, 3) == 0 ? "/*"
		       : depth == 0          ? "/"
					     : "");
	if (below(random, 8) == 0 && out[strlen(out) - 1] != '*' && depth > 0)
		(void)strcat(out, "/");
}

static void random_path(struct random *random, char *out, size_t max)
{
	static const char *const segments[] = {"a", "a", "b", "ab", "a b",
					       "c", "d", "",  "*",  "{x0}"};
	const uint32_t depth = 1 + below(random, DEPTH_MAX + 1);
	size_t at = 0;

	for (uint32_t i = 0; i < depth; i++)
		at += (size_t)snprintf(out + at, max - at, "/%s", PICK(random, segments));
}

static void open_random_table(struct random *random, struct publish_test *test)
{
	const uint32_t count = below(random, ROUTES_MAX + 1);
	const uint64_t functions[2] = {publish_test_function(test, "f", "native"),
				       publish_test_function(test, "g", "php")};

	for (uint32_t i = 0; i < count; i++) {
		char text[128];

		random_route_text(random, text, sizeof(text));
		publish_test_route(test, text, PICK(random, hosts), functions[below(random, 2)])
			->from_public_table = below(random, 4) == 0;
	}
	publish_test_build(test);
}

/* Parameters and rest, put back into the pattern, make the path again. */
static void assert_parts_make_the_path(const struct publish_test *test,
				       const struct weir_route_match *match, const char *path)
{
	const char *pattern = test->snapshot.strings + match->target->pattern.offset;
	char made[256];
	size_t at = 0;
	uint16_t param = 0;

	while (*pattern != '\0') {
		if (*pattern == '{') {
			const struct weir_span name =
				weir_route_param_name(&test->snapshot, match->target, param);

			assert_memory_equal(pattern + 1, name.data, name.bytes);
			pattern += name.bytes + 2;
			memcpy(made + at, match->param[param].data, match->param[param].bytes);
			at += match->param[param++].bytes;
		} else if (*pattern == '*') {
			memcpy(made + at, match->rest.data, match->rest.bytes);
			at += match->rest.bytes;
			pattern++;
		} else {
			made[at++] = *pattern++;
		}
	}
	made[at] = '\0';
	assert_int_equal(param, match->param_count);
	assert_string_equal(made, path);
}

static void compare(struct random *random, const struct publish_test *test)
{
	struct weir_route_match match;
	const size_t authority = below(random, sizeof(authorities) / sizeof(authorities[0]));
	const uint8_t method = (uint8_t)below(random, METHODS);
	char path[128];

	random_path(random, path, sizeof(path));
	const struct route_reference_answer wanted = route_reference_match(
		test->routes, test->route_count, method, authority_hosts[authority], path);
	const enum weir_route_result result =
		route_test_match(test, method, authorities[authority], path, &match);

	if (result != wanted.result)
		fail_msg("%u %s%s: result %d, not %d", method, authorities[authority], path,
			 result, wanted.result);
	if (result == WEIR_ROUTE_METHOD)
		assert_int_equal(match.allow, wanted.allow);
	if (result != WEIR_ROUTE_MATCH)
		return;
	if (match.target->route_id != wanted.route->id)
		fail_msg("%u %s%s: %s, not %s", method, authorities[authority], path,
			 test->snapshot.strings + match.target->pattern.offset,
			 wanted.route->pattern);
	assert_int_equal(match.function->id, wanted.route->function_id);
	assert_parts_make_the_path(test, &match, path);
}

static void random_tables_match_as_the_documentation_reads(void **state)
{
	const char *wanted = getenv("WEIR_SEED");
	struct random random;

	(void)state;
	assert_int_equal(weir_id_source_open(&random.source), 0);
	const uint64_t seed =
		wanted != NULL ? strtoull(wanted, NULL, 0) : weir_id_next(&random.source).low;

	print_message("WEIR_SEED=%llu\n", (unsigned long long)seed);
	random.source = (struct weir_id_source){.state = {seed, 1, 2, 3}};
	for (int table = 0; table < TABLES; table++) {
		struct publish_test test = {.fd = -1};

		open_random_table(&random, &test);
		for (int i = 0; i < QUERIES; i++)
			compare(&random, &test);
		publish_test_close(&test);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tables_match_as_the_documentation_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
