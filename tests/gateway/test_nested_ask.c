/* Calls that functions make to others and that ask for resources: who gets a worker's room, who waits for it,
 * and who would wait for ever. Workers are played. */
#include "tests/gateway/nested_fixture.h"

static struct rig_options one = {.timeout_ms = 20000, .queue_max = 100};
static struct rig_options two = {.timeout_ms = 20000, .queue_max = 100, .workers_max = 2};

/* A request to `path` that asks for so much memory; both functions may have 64 MB. */
static int ask_client(struct rig *rig, const char *path, int memory_mb)
{
	const int client = rig_client(rig);
	char text[128];

	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: t\r\nx-weir-memory-mb: %d\r\n\r\n", path, memory_mb);
	rig_send(client, text);
	return client;
}

/* All that was given away has come back: a call can have everything. */
static void expect_room(struct rig *rig, struct rig_worker *worker)
{
	const int client = ask_client(rig, "/g", 64);
	const struct weir_message call = rig_worker_accept(worker);

	rig_worker_answer(worker, &call, 200, "all of it");
	expect_status(client, "HTTP/1.1 200");
	close(client);
}

static void a_function_may_ask_and_is_refused_as_a_client_is(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child;
	struct nested nested;
	int client;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 1);
	for (int i = 0; i < 2; i++) {
		const uint8_t one_way = i == 0 ? 0 : WEIR_NESTED_FLAG_ONE_WAY;

		nested_ask(&nested, "g", "half", one_way);
		assert_int_equal(nested_answer(&nested, "\"error\":\"The field x-weir-memory-mb is 'half'; send it once"), 400);
		nested_ask(&nested, "g", "1.5", one_way);
		assert_int_equal(nested_answer(&nested, "\"code\":\"bad_resources\""), 400);
		nested_ask(&nested, "g", "65", one_way);
		assert_int_equal(nested_answer(&nested, "\"error\":\"No spec of 'g' holds the 0 millicores and 65 MB"), 503);
	}
	assert_int_equal(rig_metric(rig, WEIR_METRIC_calls_nested_refused), 6);
	nested_ask(&nested, "g", "64", 0);
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 200, "all of it");
	assert_int_equal(nested_answer(&nested, "all of it"), 200);
	end_parent(&worker, &parent, client);
	expect_room(rig, &worker);
	rig_worker_kill(&worker);
}

static void a_call_waits_for_no_room_that_only_its_callers_can_free(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, child;
	struct nested nested, below;
	int client;

	rig_worker_start(rig, &worker);
	client = ask_client(rig, "/f", 40);
	parent = rig_worker_accept(&worker);
	nested = nested_open(&worker, &parent, 0);
	nested_ask(&nested, "f", "25", 0);
	assert_int_equal(nested_answer(&nested, "no_worker"), 503); /* at once */
	nested_ask(&nested, "f", "14", 0);
	child = rig_worker_accept(&worker);
	below = nested_open(&worker, &child, 0);
	nested_ask(&below, "g", "11", 0);
	assert_int_equal(nested_answer(&below, "no_worker"), 503);
	rig_worker_answer(&worker, &child, 200, "enough");
	assert_int_equal(nested_answer(&nested, "enough"), 200);
	nested_call(&nested, "g", "", 0); /* who asks for nothing needs no room */
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 200, "none");
	assert_int_equal(nested_answer(&nested, "none"), 200);
	end_parent(&worker, &parent, client);
	expect_room(rig, &worker);
	rig_worker_kill(&worker);
}

static void callers_that_have_each_others_room_are_refused_until_the_rest_can_go_on(void **state)
{
	enum { CALLERS = 3 };
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent[CALLERS], child;
	struct nested nested[CALLERS];
	int client[CALLERS];

	rig_worker_start(rig, &worker);
	for (uint32_t i = 0; i < CALLERS; i++) {
		client[i] = ask_client(rig, "/f", 20);
		parent[i] = rig_worker_accept(&worker);
		nested[i] = nested_open(&worker, &parent[i], 0);
	}
	nested_ask(&nested[0], "g", "30", 0); /* 40 are with others, which may give them back */
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	nested_ask(&nested[1], "g", "30", 0); /* now 40 are with calls that await others */
	assert_int_equal(nested_answer(&nested[1], "no_worker"), 503);
	nested_ask(&nested[2], "g", "30", 0); /* perhaps it waits first: one is refused every 5 ms */
	assert_int_equal(nested_answer(&nested[2], "no_worker"), 503);
	end_parent(&worker, &parent[1], client[1]);
	end_parent(&worker, &parent[2], client[2]);
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 200, "its turn");
	assert_int_equal(nested_answer(&nested[0], "its turn"), 200);
	end_parent(&worker, &parent[0], client[0]);
	expect_room(rig, &worker);
	rig_worker_kill(&worker);
}

static void an_awaited_call_gets_room_before_those_who_asked_before_it(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, other, child, late;
	struct nested nested;
	int client, holder, waiter;

	rig_worker_start(rig, &worker);
	client = ask_client(rig, "/f", 20);
	parent = rig_worker_accept(&worker);
	nested = nested_open(&worker, &parent, 0);
	holder = ask_client(rig, "/g", 40);
	other = rig_worker_accept(&worker);
	waiter = ask_client(rig, "/g", 30);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	nested_ask(&nested, "f", "30", 0); /* the other call gives its room back by itself */
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 2);
	rig_worker_answer(&worker, &other, 200, "other");
	expect_status(holder, "HTTP/1.1 200");
	child = rig_worker_accept(&worker);
	assert_int_equal(worker.segment.pair[0].call[child.call].function_id, 7);
	assert_false(rig_worker_has(&worker, 50));
	rig_worker_answer(&worker, &child, 200, "first");
	assert_int_equal(nested_answer(&nested, "first"), 200);
	late = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &late, 200, "then");
	expect_status(waiter, "HTTP/1.1 200");
	close(holder);
	close(waiter);
	end_parent(&worker, &parent, client);
	expect_room(rig, &worker);
	rig_worker_kill(&worker);
}

static void a_one_way_call_that_asks_waits_for_room_and_holds_nobody_back(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, other, call;
	struct nested nested;
	int client, holder, passer;

	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_ask(&nested, "f", "10", WEIR_NESTED_FLAG_ONE_WAY);
	assert_int_equal(nested_answer(&nested, "\"activation\":\""), 202);
	holder = ask_client(rig, "/g", 60);
	other = rig_worker_accept(&worker);
	end_parent(&worker, &parent, client);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	passer = rig_client(rig);
	rig_send(passer, GET_G);
	call = rig_worker_accept(&worker);
	assert_int_equal(worker.segment.pair[0].call[call.call].function_id, 8);
	rig_worker_answer(&worker, &call, 200, "passed");
	expect_status(passer, "HTTP/1.1 200");
	rig_worker_answer(&worker, &other, 200, "other");
	expect_status(holder, "HTTP/1.1 200");
	call = rig_worker_accept(&worker);
	assert_int_equal(worker.segment.pair[0].call[call.call].function_id, 7);
	close(holder);
	close(passer);
	holder = ask_client(rig, "/g", 55); /* beside 10 there is no room for it */
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	rig_worker_answer(&worker, &call, 200, "nobody reads this");
	call = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &call, 200, "at last");
	expect_status(holder, "HTTP/1.1 200");
	close(holder);
	rig_worker_kill(&worker);
}

static void a_caller_that_leaves_takes_what_waits_for_room_along(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent, other;
	struct nested nested;
	int client, holder;

	rig_worker_start(rig, &worker);
	client = ask_client(rig, "/f", 20);
	parent = rig_worker_accept(&worker);
	nested = nested_open(&worker, &parent, 0);
	holder = ask_client(rig, "/g", 40);
	other = rig_worker_accept(&worker);
	nested_ask(&nested, "f", "30", 0);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	rig_reset(client);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 0);
	assert_int_equal(rig_worker_pop(&worker).kind, WEIR_MESSAGE_CANCEL);
	rig_worker_answer(&worker, &parent, 200, "late");
	rig_worker_answer(&worker, &other, 200, "other");
	expect_status(holder, "HTTP/1.1 200");
	close(holder);
	expect_room(rig, &worker);
	rig_worker_kill(&worker);
}

static void another_worker_is_asked_for_at_once_when_callers_have_all_room(void **state)
{
	struct rig *rig = *state;
	struct rig_worker first, second;
	struct weir_message parent, child;
	struct nested nested;
	int client;

	rig_worker_start(rig, &first);
	client = ask_client(rig, "/f", 40);
	parent = rig_worker_accept(&first);
	nested = nested_open(&first, &parent, 0);
	nested_ask(&nested, "g", "40", 0);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_DEMAND).demand.urgent, 1);
	rig_worker_start(rig, &second);
	child = rig_worker_accept(&second);
	rig_worker_answer(&second, &child, 200, "there");
	assert_int_equal(nested_answer(&nested, "there"), 200);
	end_parent(&first, &parent, client);
	rig_worker_kill(&second);
	rig_worker_kill(&first);
}

int main(void)
{
#define TEST(name, options) \
	cmocka_unit_test_prestate_setup_teardown(name, rig_setup, rig_teardown, &(options))
	const struct CMUnitTest tests[] = {
		TEST(a_function_may_ask_and_is_refused_as_a_client_is, one),
		TEST(a_call_waits_for_no_room_that_only_its_callers_can_free, one),
		TEST(callers_that_have_each_others_room_are_refused_until_the_rest_can_go_on, one),
		TEST(an_awaited_call_gets_room_before_those_who_asked_before_it, one),
		TEST(a_one_way_call_that_asks_waits_for_room_and_holds_nobody_back, one),
		TEST(a_caller_that_leaves_takes_what_waits_for_room_along, one),
		TEST(another_worker_is_asked_for_at_once_when_callers_have_all_room, two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
