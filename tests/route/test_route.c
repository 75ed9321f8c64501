#include "dataplane/http/http_request.h"
#include "tests/route/route_test.h"

enum { MANY = 100000, STEP_LEVELS = 13 };

/* "METHOD PATH -> pattern" for host "", or "none", or "405 ALLOW". */
static void assert_answer(const struct publish_test *test, uint8_t method,
			  const char *authority, const char *path, const char *wanted)
{
	struct weir_route_match match;
	char got[WEIR_MODEL_PATTERN_BYTES_MAX + 1] = "none";
	char methods[WEIR_MODEL_METHODS_BYTES_MAX];

	switch (route_test_match(test, method, authority, path, &match)) {
	case WEIR_ROUTE_MATCH:
		(void)snprintf(got, sizeof(got), "%s",
			       test->snapshot.strings + match.target->pattern.offset);
		assert_ptr_equal(match.function,
				 &test->snapshot.functions[match.target->function]);
		assert_int_equal(match.param_count, match.target->param_count);
		break;
	case WEIR_ROUTE_METHOD:
		(void)snprintf(
			got, sizeof(got), "405 %s",
			weir_model_methods_format(match.allow, methods, sizeof(methods)));
		break;
	case WEIR_ROUTE_NONE:
		break;
	}
	if (strcmp(got, wanted) != 0)
		fail_msg("%d %s%s: %s, not %s", method, authority, path, got, wanted);
}

static void assert_get(const struct publish_test *test, const char *path, const char *wanted)
{
	assert_answer(test, WEIR_HTTP_GET, "", path, wanted);
}

/* Publish GET routes to one function. */
static void open_routes(struct publish_test *test, const char *const *patterns, size_t count)
{
	const uint64_t function = publish_test_function(test, "f", "native");

	for (size_t i = 0; i < count; i++) {
		char text[WEIR_MODEL_PATTERN_BYTES_MAX + 8];

		(void)snprintf(text, sizeof(text), "GET %s", patterns[i]);
		(void)publish_test_route(test, text, "", function);
	}
	publish_test_build(test);
}

#define OPEN(test, ...)                                       \
	open_routes(test, (const char *const[]){__VA_ARGS__}, \
		    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void nothing_matches_an_empty_table(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	publish_test_build(&test);
	assert_get(&test, "/", "none");
	assert_answer(&test, WEIR_HTTP_GET, "function.weir", "/default/f", "none");
	publish_test_close(&test);
}

/* Segments that always come together are one piece of the tree, and still match one by one. */
static void segments_in_a_row_match_only_as_a_whole(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	OPEN(&test, "/shop/v1/items/list", "/shop/v1/items/{id}/parts/all/", "/shop/v1/items/list2/*");
	assert_get(&test, "/shop/v1/items/list", "/shop/v1/items/list");
	assert_get(&test, "/shop/v1/items/list/", "none");
	assert_get(&test, "/shop/v1/items", "none");
	assert_get(&test, "/shop/v1/item/list", "none");
	assert_get(&test, "/shop/v1//items/list", "none");
	assert_get(&test, "/shop/v1items/list", "none");
	assert_get(&test, "/shop", "none");
	assert_get(&test, "/", "none");
	assert_get(&test, "/shop/v1/items/7/parts/all/", "/shop/v1/items/{id}/parts/all/");
	assert_get(&test, "/shop/v1/items/list/parts/all/", "/shop/v1/items/{id}/parts/all/");
	assert_get(&test, "/shop/v1/items/7/parts/all", "none");
	assert_get(&test, "/shop/v1/items/7/parts/all/x", "none");
	assert_get(&test, "/shop/v1/items/7/parts/al/", "none");
	assert_get(&test, "/shop/v1/items/list2/", "/shop/v1/items/list2/*");
	assert_get(&test, "/shop/v1/items/list2/a/b", "/shop/v1/items/list2/*");
	assert_get(&test, "/shop/v1/items/list2", "none");
	publish_test_close(&test);
}

static void the_longest_chain_that_a_pattern_may_have_matches(void **state)
{
	struct publish_test test = {.fd = -1};
	char pattern[3 * WEIR_SNAPSHOT_SEGMENTS_MAX + 1] = "";
	char longer[sizeof(pattern) + 2];

	(void)state;
	for (int i = 0; i < WEIR_SNAPSHOT_SEGMENTS_MAX; i++)
		(void)strcat(pattern, i == 0 ? "/r" : "/s");
	(void)snprintf(longer, sizeof(longer), "%s/s", pattern);
	OPEN(&test, pattern, "/q");
	assert_get(&test, pattern, pattern);
	assert_get(&test, longer, "none");
	longer[strlen(pattern) - 2] = '\0';
	assert_get(&test, longer, "none");
	publish_test_close(&test);
}

static void exact_paths_match_exactly(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	OPEN(&test, "/", "/a", "/a/b", "/dir/", "/caf\xc3\xa9");
	assert_get(&test, "/", "/");
	assert_get(&test, "/a", "/a");
	assert_get(&test, "/a/b", "/a/b");
	assert_get(&test, "/dir/", "/dir/");
	assert_get(&test, "/caf\xc3\xa9", "/caf\xc3\xa9");
	assert_get(&test, "/A", "none");
	assert_get(&test, "/a/", "none");
	assert_get(&test, "/dir", "none");
	assert_get(&test, "/dir//", "none");
	assert_get(&test, "//", "none");
	assert_get(&test, "//a", "none");
	assert_get(&test, "/a/b/c", "none");
	assert_get(&test, "/ab", "none");
	assert_get(&test, "", "none");
	assert_get(&test, "*", "none");
	assert_get(&test, "a", "none");
	publish_test_close(&test);
}

static void the_most_specific_pattern_wins(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	OPEN(&test, "/*", "/img/*", "/img/{id}", "/img/new", "/{a}/{b}", "/{a}/list",
	     "/img/{id}/*", "/img/{id}/raw");
	assert_get(&test, "/img/new", "/img/new");
	assert_get(&test, "/img/7", "/img/{id}");
	assert_get(&test, "/img/list", "/img/{id}"); /* the literal stands further left */
	assert_get(&test, "/doc/list", "/{a}/list");
	assert_get(&test, "/doc/7", "/{a}/{b}");
	assert_get(&test, "/img/", "/img/*");
	assert_get(&test, "/img", "/*");
	assert_get(&test, "/img/7/raw", "/img/{id}/raw");
	assert_get(&test, "/img/7/big", "/img/{id}/*");
	assert_get(&test, "/img/7/raw/x", "/img/{id}/*");
	assert_get(&test, "/doc/7/x", "/*");
	assert_get(&test, "/", "/*");
	publish_test_close(&test);
}

static void a_literal_that_leads_nowhere_is_left_for_the_parameter(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	OPEN(&test, "/a/b/c", "/a/{x}/d", "/{y}/b/e", "/{y}/{x}/f", "/a/*");
	assert_get(&test, "/a/b/c", "/a/b/c");
	assert_get(&test, "/a/b/d", "/a/{x}/d");
	assert_get(&test, "/a/b/e", "/{y}/b/e");
	assert_get(&test, "/a/b/f", "/{y}/{x}/f");
	assert_get(&test, "/a/b/g", "/a/*");
	assert_get(&test, "/z/b/g", "none");
	publish_test_close(&test);
}

static void the_longest_star_wins_and_any_ending_beats_it(void **state)
{
	struct publish_test test = {.fd = -1};

	(void)state;
	OPEN(&test, "/a/b/*", "/{x}/b/c/*", "/a/*", "/{x}/{y}/{z}/w", "/a/{y}/*");
	assert_get(&test, "/a/b/c/d", "/{x}/b/c/*");
	assert_get(&test, "/a/b/c/w", "/{x}/{y}/{z}/w");
	assert_get(&test, "/a/b/d", "/a/b/*");
	assert_get(&test, "/a/c/d", "/a/{y}/*");
	assert_get(&test, "/a/c", "/a/*");
	publish_test_close(&test);
}

static void parameters_and_rest_are_pieces_of_the_path(void **state)
{
	static const char path[] = "/u/ann lee/f/x%2Fy/deep//er/";
	struct publish_test test = {.fd = -1};
	struct weir_route_match match;

	(void)state;
	OPEN(&test, "/u/{user}/f/{file_2}/*");
	assert_int_equal(route_test_match(&test, WEIR_HTTP_GET, "", path, &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.param_count, 2);
	assert_true(weir_span_equal(match.param[0], WEIR_SPAN("ann lee")));
	assert_ptr_equal(match.param[0].data, path + 3);
	assert_true(weir_span_equal(match.param[1], WEIR_SPAN("x%2Fy")));
	assert_true(weir_span_equal(match.rest, WEIR_SPAN("deep//er/")));
	assert_true(weir_span_equal(weir_route_param_name(&test.snapshot, match.target, 0),
				    WEIR_SPAN("user")));
	assert_true(weir_span_equal(weir_route_param_name(&test.snapshot, match.target, 1),
				    WEIR_SPAN("file_2")));
	assert_int_equal(route_test_match(&test, WEIR_HTTP_GET, "", "/u/a/f/b/", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.rest.bytes, 0);
	assert_get(&test, "/u/a/f/b", "none");
	assert_get(&test, "/u//f/b/c", "none"); /* a parameter is never empty */
	publish_test_close(&test);
}

static void sixteen_parameters_arrive_in_order(void **state)
{
	struct publish_test test = {.fd = -1};
	struct weir_route_match match;
	char pattern[256] = "";
	char path[256] = "";

	(void)state;
	for (int i = 0; i < WEIR_HEAD_PARAMS_MAX; i++) {
		(void)sprintf(pattern + strlen(pattern), "/{p%d}", i);
		(void)sprintf(path + strlen(path), "/v%d", i);
	}
	OPEN(&test, pattern);
	assert_int_equal(route_test_match(&test, WEIR_HTTP_GET, "", path, &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.param_count, WEIR_HEAD_PARAMS_MAX);
	for (uint16_t i = 0; i < WEIR_HEAD_PARAMS_MAX; i++) {
		char value[8];
		char name[8];

		(void)snprintf(value, sizeof(value), "v%d", i);
		(void)snprintf(name, sizeof(name), "p%d", i);
		assert_true(weir_span_equal(match.param[i], weir_span_of(value)));
		assert_true(
			weir_span_equal(weir_route_param_name(&test.snapshot, match.target, i),
					weir_span_of(name)));
	}
	publish_test_close(&test);
}

static void paths_deeper_than_any_pattern_still_match_a_star(void **state)
{
	struct publish_test test = {.fd = -1};
	char full[256] = "";
	char star[256] = "";
	char path[512] = "";

	(void)state;
	for (int i = 0; i < WEIR_SNAPSHOT_SEGMENTS_MAX; i++)
		(void)strcat(full, "/a");
	memcpy(star, full, strlen(full) - 1);
	(void)strcat(star, "*");
	OPEN(&test, full, star, "/*");
	assert_get(&test, full, full);
	(void)strcpy(path, full);
	(void)strcat(path, "/a");
	assert_get(&test, path, star);
	for (int i = 0; i < 60; i++)
		(void)strcat(path, "/a");
	assert_get(&test, path, star);
	path[1] = 'b';
	assert_get(&test, path, "/*");
	publish_test_close(&test);
}

static void a_method_that_no_route_has_is_405_with_all_that_the_path_has(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");

	(void)state;
	(void)publish_test_route(&test, "POST /a", "", function);
	(void)publish_test_route(&test, "PUT /{x}", "", function);
	(void)publish_test_route(&test, "GET /a", "h", function);
	(void)publish_test_route(&test, "DELETE /*", "", function);
	publish_test_build(&test);
	assert_answer(&test, WEIR_HTTP_POST, "", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_PUT, "", "/a",
		      "/{x}"); /* less specific, but has the method */
	assert_answer(&test, WEIR_HTTP_DELETE, "", "/a", "/*");
	assert_answer(&test, WEIR_HTTP_PATCH, "", "/a", "405 POST,PUT,DELETE");
	assert_answer(&test, WEIR_HTTP_GET, "", "/b", "405 PUT,DELETE");
	assert_answer(&test, WEIR_HTTP_GET, "", "/a/b", "405 DELETE");
	assert_answer(&test, WEIR_HTTP_PATCH, "h", "/a", "405 GET,HEAD,POST,PUT,DELETE");
	assert_answer(&test, WEIR_HTTP_POST, "h", "/a", "/a");
	publish_test_close(&test);
}

static void head_is_served_by_head_then_any_then_get(void **state)
{
	struct publish_test test = {.fd = -1};
	struct weir_route_match match;
	const uint64_t get = publish_test_function(&test, "get", "native");
	const uint64_t head = publish_test_function(&test, "head", "native");
	const uint64_t any = publish_test_function(&test, "any", "native");

	(void)state;
	(void)publish_test_route(&test, "GET /a", "", get);
	(void)publish_test_route(&test, "ANY /a", "", any);
	(void)publish_test_route(&test, "HEAD /a", "", head);
	(void)publish_test_route(&test, "GET /b", "", get);
	(void)publish_test_route(&test, "ANY /b", "", any);
	(void)publish_test_route(&test, "GET /c", "", get);
	(void)publish_test_route(&test, "ANY /*", "", any);
	publish_test_build(&test);
	assert_int_equal(route_test_match(&test, WEIR_HTTP_HEAD, "", "/a", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.function->id, head);
	assert_int_equal(route_test_match(&test, WEIR_HTTP_HEAD, "", "/b", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.function->id, any);
	/* GET and HEAD of one pattern belong together: the star is not asked. */
	assert_int_equal(route_test_match(&test, WEIR_HTTP_HEAD, "", "/c", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.function->id, get);
	assert_int_equal(route_test_match(&test, WEIR_HTTP_GET, "", "/b", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.function->id, get);
	assert_int_equal(route_test_match(&test, WEIR_HTTP_PATCH, "", "/c", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.function->id, any);
	publish_test_close(&test);
}

static void a_host_has_its_own_tree_before_the_common_one(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");
	static const char *const same[] = {"example.com", "EXAMPLE.com", "example.com:80",
					   "example.com.", "Example.Com.:8080"};

	(void)state;
	(void)publish_test_route(&test, "GET /*", "example.com", function);
	(void)publish_test_route(&test, "GET /six", "[::1]", function);
	(void)publish_test_route(&test, "GET /four", "10.0.0.1", function);
	(void)publish_test_route(&test, "GET /a", "", function);
	(void)publish_test_route(&test, "POST /b", "", function);
	publish_test_build(&test);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_answer(&test, WEIR_HTTP_GET, same[i], "/a",
			      "/*"); /* even before an exact one */
	assert_answer(&test, WEIR_HTTP_POST, "example.com", "/b", "/b");
	assert_answer(&test, WEIR_HTTP_GET, "[::1]", "/six", "/six");
	assert_answer(&test, WEIR_HTTP_GET, "[::1]:8080", "/six", "/six");
	assert_answer(&test, WEIR_HTTP_GET, "10.0.0.1:1", "/four", "/four");
	assert_answer(&test, WEIR_HTTP_GET, "", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_GET, "example.co", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_GET, "example.comm", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_GET, "www.example.com", "/x", "none");
	assert_answer(&test, WEIR_HTTP_GET, ":80", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_GET, ".", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_GET, "[", "/a", "/a");
	assert_answer(&test, WEIR_HTTP_GET, "[]", "/a", "/a");
	publish_test_close(&test);
}

static void an_endless_host_is_no_host(void **state)
{
	struct publish_test test = {.fd = -1};
	char host[1024];

	(void)state;
	OPEN(&test, "/a");
	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	assert_answer(&test, WEIR_HTTP_GET, host, "/a", "/a");
	publish_test_close(&test);
}

static void functions_are_called_by_name_on_the_unix_socket_only(void **state)
{
	struct publish_test test = {.fd = -1};
	struct weir_route_match match;
	struct weir_route_query query = {
		.path = WEIR_SPAN("/team/f one/x/y"),
		.authority = WEIR_SPAN("function.weir"),
		.method = WEIR_HTTP_DELETE,
		.local = true,
	};
	const uint64_t function = publish_test_function(&test, "team/f one", "native");

	(void)state;
	(void)publish_test_route(&test, "GET /{a}/{b}/x/y", "", function);
	publish_test_build(&test);
	assert_int_equal(weir_route_match(&test.snapshot, &query, &match), WEIR_ROUTE_MATCH);
	assert_int_equal(match.function->id, function);
	assert_true(weir_span_equal(match.rest, WEIR_SPAN("x/y")));
	query.path = WEIR_SPAN("/team/f one");
	assert_int_equal(weir_route_match(&test.snapshot, &query, &match), WEIR_ROUTE_MATCH);
	assert_int_equal(match.rest.bytes, 0);
	query.local = false;
	assert_int_equal(weir_route_match(&test.snapshot, &query, &match), WEIR_ROUTE_NONE);
	query.path = WEIR_SPAN("/team/f one/x/y");
	assert_int_equal(weir_route_match(&test.snapshot, &query, &match), WEIR_ROUTE_METHOD);
	assert_int_equal(match.allow, 1U << WEIR_HTTP_GET | 1U << WEIR_HTTP_HEAD);
	publish_test_close(&test);
}

static void a_route_carries_its_timeout_and_id(void **state)
{
	struct publish_test test = {.fd = -1};
	struct weir_route_match match;
	const uint64_t function = publish_test_function(&test, "f", "native");

	(void)state;
	struct weir_model_route *route = publish_test_route(&test, "GET,POST /a", "", function);

	route->timeout_ms = 1234;
	route->id = 99;
	publish_test_build(&test);
	assert_int_equal(route_test_match(&test, WEIR_HTTP_POST, "", "/a", &match),
			 WEIR_ROUTE_MATCH);
	assert_int_equal(match.target->timeout_ms, 1234);
	assert_int_equal(match.target->route_id, 99);
	publish_test_close(&test);
}

/* Every pattern of 'a' and '{x}' of STEP_LEVELS levels: the path a/a/... could go 2^STEP_LEVELS ways,
 * and none of them ends where the path ends. */
static void a_table_made_to_branch_costs_a_bounded_walk(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");
	char path[256] = "";
	char last[256];

	(void)state;
	for (unsigned way = 0; way < 1U << STEP_LEVELS; way++) {
		char text[256] = "GET ";

		for (int level = 0; level < STEP_LEVELS; level++)
			(void)sprintf(text + strlen(text),
				      (way >> level & 1) != 0 ? "/{p%d}" : "/a", level);
		(void)strcat(text, "/end");
		(void)publish_test_route(&test, text, "", function);
	}
	/* All parameters is the way that is tried last; its star would win if the walk came so far. */
	(void)strcpy(last, "GET ");
	for (int level = 0; level < STEP_LEVELS; level++)
		(void)sprintf(last + strlen(last), "/{p%d}", level);
	(void)strcat(last, "/*");
	(void)publish_test_route(&test, last, "", function);
	(void)publish_test_route(&test, "GET /a/*", "", function);
	publish_test_build(&test);
	for (int level = 0; level < STEP_LEVELS; level++)
		(void)strcat(path, "/a");
	(void)strcat(path, "/other");
	assert_get(&test, path, "/a/*"); /* the best so far */
	publish_test_close(&test);
}

static void every_one_of_100000_routes_is_found(void **state)
{
	struct publish_test test = {.fd = -1};
	const uint64_t function = publish_test_function(&test, "f", "native");
	char text[64];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(text, sizeof(text),
			       i % 3 == 0 ? "GET /api/%d/{id}" : "GET /api/%d/get", i);
		(void)publish_test_route(&test, text, i % 10 == 0 ? "example.com" : "",
					 function);
	}
	publish_test_build(&test);
	for (int i = 0; i < MANY; i++) {
		struct weir_route_match match;

		(void)snprintf(text, sizeof(text), "/api/%d/get", i);
		assert_int_equal(
			route_test_match(&test, WEIR_HTTP_GET, "example.com", text, &match),
			WEIR_ROUTE_MATCH);
		assert_int_equal(match.target->route_id, i + 1);
		assert_int_equal(match.param_count, i % 3 == 0);
	}
	assert_get(&test, "/api/100000/get", "none");
	publish_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_matches_an_empty_table),
		cmocka_unit_test(segments_in_a_row_match_only_as_a_whole),
		cmocka_unit_test(the_longest_chain_that_a_pattern_may_have_matches),
		cmocka_unit_test(exact_paths_match_exactly),
		cmocka_unit_test(the_most_specific_pattern_wins),
		cmocka_unit_test(a_literal_that_leads_nowhere_is_left_for_the_parameter),
		cmocka_unit_test(the_longest_star_wins_and_any_ending_beats_it),
		cmocka_unit_test(parameters_and_rest_are_pieces_of_the_path),
		cmocka_unit_test(sixteen_parameters_arrive_in_order),
		cmocka_unit_test(paths_deeper_than_any_pattern_still_match_a_star),
		cmocka_unit_test(a_method_that_no_route_has_is_405_with_all_that_the_path_has),
		cmocka_unit_test(head_is_served_by_head_then_any_then_get),
		cmocka_unit_test(a_host_has_its_own_tree_before_the_common_one),
		cmocka_unit_test(an_endless_host_is_no_host),
		cmocka_unit_test(functions_are_called_by_name_on_the_unix_socket_only),
		cmocka_unit_test(a_route_carries_its_timeout_and_id),
		cmocka_unit_test(a_table_made_to_branch_costs_a_bounded_walk),
		cmocka_unit_test(every_one_of_100000_routes_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
