#include <errno.h>
#include <stdlib.h>

#include "ctrl/publish/publish_list.h"
#include "tests/publish/publish_test.h"

/* Add "METHOD PATTERN" with an id. */
static void add(struct weir_publish_list *list, const char *text, const char *host, uint64_t id,
		enum weir_publish_rank rank)
{
	struct weir_model_route route = {.id = id, .function_id = 1};

	assert_int_equal(weir_model_route_parse(text, &route, NULL), 0);
	assert_int_equal(weir_model_host_parse(host, route.host, NULL), 0);
	assert_int_equal(weir_publish_list_add(list, &route, rank, (uint32_t)id), 0);
}

/* The settled list's ids in their order, as one text. */
static void assert_order(struct weir_publish_list *list, const char *wanted)
{
	char got[256] = "";
	size_t used = 0;

	assert_int_equal(weir_publish_list_settle(list), 0);
	for (size_t i = 0; i < list->count; i++)
		used += (size_t)snprintf(got + used, sizeof(got) - used, "%s%llu", i > 0 ? " " : "",
					 (unsigned long long)list->entry[i].id);
	assert_string_equal(got, wanted);
}

static void routes_stand_by_host_and_segments_and_the_winner_first(void **state)
{
	struct weir_publish_list list = {.count = 0};

	(void)state;
	add(&list, "GET /a-b", "", 1, WEIR_PUBLISH_STORE); /* '-' sorts before '/', and still behind all of /a */
	add(&list, "GET /a/c", "", 2, WEIR_PUBLISH_STORE);
	add(&list, "GET /a/*", "", 3, WEIR_PUBLISH_STORE);
	add(&list, "GET /a", "", 4, WEIR_PUBLISH_STORE);
	add(&list, "GET /a/{x}/d", "", 5, WEIR_PUBLISH_PUBLIC);
	add(&list, "GET /a/{y}/d", "", 9, WEIR_PUBLISH_STORE); /* the same pattern: Weir's own wins, then the lower id */
	add(&list, "GET /a/{z}/d", "", 6, WEIR_PUBLISH_STORE);
	add(&list, "GET /a", "h.example", 7, WEIR_PUBLISH_STORE);
	add(&list, "GET /", "", 8, WEIR_PUBLISH_STORE);
	assert_order(&list, "8 4 3 6 9 5 2 1 7");
	weir_publish_list_release(&list);
}

static void later_routes_find_their_place_among_the_sorted(void **state)
{
	struct weir_publish_list list = {.count = 0};

	(void)state;
	add(&list, "GET /b", "", 1, WEIR_PUBLISH_STORE);
	add(&list, "GET /d", "", 2, WEIR_PUBLISH_STORE);
	assert_order(&list, "1 2");
	add(&list, "GET /e", "", 3, WEIR_PUBLISH_STORE);
	add(&list, "GET /a", "", 4, WEIR_PUBLISH_STORE);
	add(&list, "GET /c", "", 5, WEIR_PUBLISH_STORE);
	assert_order(&list, "4 1 5 2 3");
	assert_order(&list, "4 1 5 2 3");
	weir_publish_list_release(&list);
}

static void routes_leave_by_id_or_by_origin(void **state)
{
	const uint64_t ids[] = {2, 3, 7};
	struct weir_publish_list list = {.count = 0};

	(void)state;
	add(&list, "GET /a", "", 1, WEIR_PUBLISH_STORE);
	add(&list, "GET /b", "", 2, WEIR_PUBLISH_STORE);
	add(&list, "GET /c", "", 3, WEIR_PUBLISH_PUBLIC); /* another row's id, by chance */
	add(&list, "GET /d", "", 4, WEIR_PUBLISH_PUBLIC);
	assert_order(&list, "1 2 3 4");
	add(&list, "GET /e", "", 7, WEIR_PUBLISH_STORE);
	weir_publish_list_remove(&list, ids, 3);
	assert_order(&list, "1 3 4");
	weir_publish_list_remove(&list, ids, 0);
	assert_order(&list, "1 3 4");
	add(&list, "GET /b", "", 5, WEIR_PUBLISH_PUBLIC);
	weir_publish_list_remove_all(&list, WEIR_PUBLISH_PUBLIC);
	assert_order(&list, "1");
	weir_publish_list_remove_all(&list, WEIR_PUBLISH_STORE);
	assert_order(&list, "");
	add(&list, "GET /z", "", 6, WEIR_PUBLISH_STORE);
	assert_order(&list, "6");
	weir_publish_list_release(&list);
}

static void what_weir_brings_goes_first_or_yields_to_all(void **state)
{
	struct weir_publish_list list = {.count = 0};

	(void)state;
	add(&list, "GET /a", "", 9, WEIR_PUBLISH_BUILTIN);
	add(&list, "GET /a", "", 1, WEIR_PUBLISH_FALLBACK);
	add(&list, "GET /a", "", 3, WEIR_PUBLISH_PUBLIC);
	add(&list, "GET /a", "", 4, WEIR_PUBLISH_STORE);
	assert_order(&list, "9 4 3 1");
	weir_publish_list_remove_all(&list, WEIR_PUBLISH_STORE);
	weir_publish_list_remove_all(&list, WEIR_PUBLISH_PUBLIC);
	assert_order(&list, "9 1");
	weir_publish_list_release(&list);
}

static void what_the_model_refuses_does_not_enter(void **state)
{
	const struct weir_model_route route = {.pattern = "no slash"};
	struct weir_publish_list list = {.count = 0};

	(void)state;
	assert_int_equal(weir_publish_list_add(&list, &route, WEIR_PUBLISH_STORE, 0), -EINVAL);
	assert_int_equal(list.count, 0);
	weir_publish_list_release(&list);
}

/* A list that lived through many changes publishes what a fresh one does. */
static void a_changed_list_publishes_what_a_fresh_one_does(void **state)
{
	struct weir_publish_list lived = {.count = 0};
	struct weir_publish_list fresh = {.count = 0};
	struct publish_test test = {.fd = -1};
	uint64_t gone[100];

	(void)state;
	for (uint64_t id = 1; id <= 300; id++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "GET /p/%llu/{a}/%llu", (unsigned long long)(id % 7),
			       (unsigned long long)(id * 7919 % 301));
		add(&lived, text, "", id, WEIR_PUBLISH_STORE);
		if (id > 100)
			add(&fresh, text, "", id, WEIR_PUBLISH_STORE);
		else
			gone[id - 1] = id;
		if (id % 50 == 0)
			assert_int_equal(weir_publish_list_settle(&lived), 0);
	}
	weir_publish_list_remove(&lived, gone, 100);
	assert_int_equal(publish_test_function(&test, "f", "native"), 1);
	const struct weir_publish_input input = publish_test_input(&test);
	struct weir_snapshot a, b;
	int fd_a = -1, fd_b = -1;

	assert_int_equal(weir_publish_build_list(&input, &lived, &fd_a, &a), 0);
	assert_int_equal(weir_publish_build_list(&input, &fresh, &fd_b, &b), 0);
	assert_int_equal(a.header->nodes.count, b.header->nodes.count);
	assert_memory_equal(a.nodes, b.nodes, a.header->nodes.count * sizeof(*a.nodes));
	assert_int_equal(a.header->targets.count, b.header->targets.count);
	assert_memory_equal(a.targets, b.targets, a.header->targets.count * sizeof(*a.targets));
	assert_int_equal(a.header->strings.count, b.header->strings.count);
	assert_memory_equal(a.strings, b.strings, a.header->strings.count);
	weir_snapshot_detach(&a);
	weir_snapshot_detach(&b);
	weir_fd_close(&fd_a);
	weir_fd_close(&fd_b);
	weir_publish_list_release(&lived);
	weir_publish_list_release(&fresh);
	publish_test_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_stand_by_host_and_segments_and_the_winner_first),
		cmocka_unit_test(later_routes_find_their_place_among_the_sorted),
		cmocka_unit_test(routes_leave_by_id_or_by_origin),
		cmocka_unit_test(what_weir_brings_goes_first_or_yields_to_all),
		cmocka_unit_test(what_the_model_refuses_does_not_enter),
		cmocka_unit_test(a_changed_list_publishes_what_a_fresh_one_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
