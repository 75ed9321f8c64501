/* Calls between functions when somebody dies, leaves, lies or stops at any step. */
#include <signal.h>

#include "tests/gateway/nested_fixture.h"

static struct rig_options patient = {.timeout_ms = 20000, .queue_max = 100};
static struct rig_options growing = {.timeout_ms = 20000, .queue_max = 100, .workers_max = 4};

/* Steps of a nested call, at each of which something happens. */
enum step { STEP_OPENED, STEP_PUT_PART, STEP_CALLED, STEP_RUNS, STEP_ANSWERS, STEP_ONE_WAY, STEP_COUNT };

struct scene {
	struct rig *rig;
	struct rig_worker caller;
	struct rig_worker called;
	struct weir_message parent;
	struct weir_message child;
	struct nested nested;
	int client;
	bool has_child;
};

/* Two workers; the call goes as far as `step`. */
static void play(struct scene *scene, struct rig *rig, enum step step)
{
	uint32_t head_bytes;

	*scene = (struct scene){.rig = rig};
	rig_worker_start(rig, &scene->caller);
	scene->parent = begin_parent(rig, &scene->caller, &scene->client);
	atomic_store(&scene->caller.segment.header->parked, 64); /* it gets no other call */
	rig_worker_start(rig, &scene->called);
	scene->nested = nested_open(&scene->caller, &scene->parent, 0);
	if (step == STEP_OPENED)
		return;
	if (step == STEP_PUT_PART) {
		head_bytes = nested_head(&scene->nested, "g", "/");
		nested_put(&scene->nested, head_bytes, 4000, 0);
		(void)nested_pop(&scene->nested, WEIR_NESTED_CHUNK);
		return;
	}
	nested_call(&scene->nested, "g", "body", step == STEP_ONE_WAY ? WEIR_NESTED_FLAG_ONE_WAY : 0);
	if (step == STEP_ONE_WAY) {
		assert_int_equal(nested_answer(&scene->nested, "activation"), 202);
		return;
	}
	assert_true(rig_worker_has(&scene->called, 5000));
	if (step == STEP_CALLED)
		return;
	scene->child = rig_worker_accept(&scene->called);
	scene->has_child = true;
	if (step == STEP_RUNS)
		return;
	rig_worker_begin(&scene->called, &scene->child, "begin");
	assert_int_equal(nested_pop(&scene->nested, WEIR_NESTED_REPLY).flags, 0);
}

static void end(struct scene *scene)
{
	close(scene->client);
	rig_worker_kill(&scene->called);
	rig_worker_kill(&scene->caller);
	rig_expect_metric(scene->rig, WEIR_METRIC_calls_in_flight, 0);
	rig_expect_metric(scene->rig, WEIR_METRIC_nested_in_use, 0);
	rig_expect_metric(scene->rig, WEIR_METRIC_links, 0);
	assert_true(rig_is_alive(scene->rig));
}

/* The worker of the called function is told to stop, and returns the call. */
static void expect_child_cancelled(struct scene *scene)
{
	struct weir_message message;

	if (!scene->has_child)
		return;
	do
		message = rig_worker_pop(&scene->called);
	while (message.kind == WEIR_MESSAGE_CREDIT);
	assert_int_equal(message.kind, WEIR_MESSAGE_CANCEL);
	assert_int_equal(message.call, scene->child.call);
	rig_worker_push(&scene->called, &(struct weir_message){.kind = WEIR_MESSAGE_ABORT,
							       .flags = WEIR_MESSAGE_FLAG_END,
							       .call = scene->child.call,
							       .sequence = scene->child.sequence,
							       .chunk = WEIR_CHUNK_NONE,
							       .grant = WEIR_CHUNK_NONE,
							       .code = WEIR_ABORT_CANCELLED});
}

static void the_callers_client_leaves_at_each_step(void **state)
{
	for (enum step step = STEP_OPENED; step < STEP_COUNT; step++) {
		struct scene scene;

		play(&scene, *state, step);
		rig_reset(scene.client);
		rig_expect_metric(scene.rig, WEIR_METRIC_nested_in_use, 0);
		expect_child_cancelled(&scene);
		scene.client = rig_client(scene.rig);
		end(&scene);
	}
}

static void the_callers_worker_dies_at_each_step(void **state)
{
	for (enum step step = STEP_OPENED; step < STEP_COUNT; step++) {
		struct scene scene;

		play(&scene, *state, step);
		kill(scene.caller.pid, SIGKILL);
		expect_status(scene.client, "HTTP/1.1 502");
		rig_expect_metric(scene.rig, WEIR_METRIC_nested_in_use, 0);
		expect_child_cancelled(&scene);
		end(&scene);
	}
}

static void the_called_functions_worker_dies_at_each_step(void **state)
{
	for (enum step step = STEP_CALLED; step <= STEP_ANSWERS; step++) {
		struct scene scene;
		struct rig_worker next;

		play(&scene, *state, step);
		kill(scene.called.pid, SIGKILL);
		if (step == STEP_RUNS)
			assert_int_equal(nested_answer(&scene.nested, "worker_died"), 502);
		if (step == STEP_ANSWERS) {
			nested_more(&scene.nested);
			assert_int_equal(nested_pop(&scene.nested, WEIR_NESTED_REPLY).flags,
					 WEIR_MESSAGE_FLAG_END | WEIR_NESTED_FLAG_BROKEN);
		}
		if (step == STEP_CALLED) { /* it never started: another worker gets it */
			rig_worker_start(scene.rig, &next);
			scene.child = rig_worker_accept(&next);
			rig_worker_answer(&next, &scene.child, 200, "second try");
			assert_int_equal(nested_answer(&scene.nested, "second try"), 200);
			rig_worker_kill(&next);
		}
		end_parent(&scene.caller, &scene.parent, scene.client);
		scene.client = rig_client(scene.rig);
		end(&scene);
	}
}

static void the_gateway_stops_at_each_step(void **state)
{
	struct rig **place = (struct rig **)state;

	for (enum step step = STEP_OPENED; step < STEP_COUNT; step++) {
		struct scene scene;
		const struct rig_options options = (*place)->options;

		play(&scene, *place, step);
		rig_ask_to_stop(*place);
		rig_worker_answer(&scene.caller, &scene.parent, 200, "parent");
		expect_status(scene.client, "HTTP/1.1 200");
		close(scene.client);
		if (step == STEP_ONE_WAY && rig_worker_has(&scene.called, 500)) {
			scene.child = rig_worker_accept(&scene.called); /* it began before the stop */
			scene.has_child = true;
		}
		if (scene.has_child)
			rig_worker_answer(&scene.called, &scene.child, 200, "child");
		rig_stop(*place);
		rig_worker_kill(&scene.called);
		rig_worker_kill(&scene.caller);
		rig_start_with(*place, &options);
	}
}

/* Messages that no port sends, each to a call whose slot 0 is open and in the worker's hands. */
static void lie(struct scene *scene, int which)
{
	struct weir_message message = nested_message(&scene->nested, WEIR_NESTED_PUT);
	const uint32_t head_bytes = nested_head(&scene->nested, "g", "/");
	size_t room;
	uint8_t *chunk = nested_chunk(&scene->nested, &room);

	message.flags = WEIR_MESSAGE_FLAG_END;
	message.chunk = scene->nested.chunk;
	message.head_bytes = head_bytes;
	message.bytes = head_bytes;
	switch (which) {
	case 0: message.code = weir_nested_code(WEIR_NESTED_SLOTS, WEIR_NESTED_OPEN); break;
	case 1: message = nested_message(&scene->nested, WEIR_NESTED_OPEN); break; /* twice */
	case 2: message.code = weir_nested_code(1, WEIR_NESTED_PUT); break; /* not open */
	case 3: message.chunk = scene->parent.chunk ^ 1; break;
	case 4: message.chunk = WEIR_CHUNK_NONE; break;
	case 5: message.bytes = (uint32_t)room + 1; break;
	case 6: message.head_bytes = 0; break; /* a first part without a head */
	case 7: message.head_bytes = message.bytes + 1; break;
	case 8: chunk[0] ^= 0xff; break; /* the head's own size */
	case 9: message.code = weir_nested_code(0, WEIR_NESTED_MORE); break; /* of nothing */
	case 10: message.code = weir_nested_code(0, WEIR_NESTED_REPLY); break;
	case 11: message.code = UINT32_MAX; break;
	case 12: message.chunk = scene->parent.grant; break; /* its own, but not the slot's */
	case 13: message.head_bytes = WEIR_NESTED_HEAD_BYTES_MAX + 1; message.bytes = 4000; break;
	default: fail();
	}
	rig_worker_push(&scene->caller, &message);
}

static void a_worker_that_lies_about_calls_is_retired(void **state)
{
	for (int which = 0; which < 14; which++) {
		struct scene scene;
		const uint64_t lied = rig_metric(*state, WEIR_METRIC_workers_lied);

		play(&scene, *state, STEP_OPENED);
		lie(&scene, which);
		rig_expect_metric(scene.rig, WEIR_METRIC_workers_lied, lied + 1);
		(void)rig_expect(scene.rig, WEIR_CONTROL_WORKER_KILL);
		kill(scene.caller.pid, SIGKILL);
		expect_status(scene.client, "HTTP/1.1 502");
		end(&scene);
	}
}

static void random_messages_break_nothing(void **state)
{
	const unsigned seed = (unsigned)weir_clock_now_ns();
	unsigned random = seed;

	print_message("seed %u\n", seed);
	for (int round = 0; round < 40; round++) {
		struct scene scene;

		play(&scene, *state, (enum step)(rand_r(&random) % STEP_COUNT));
		for (int i = 0; i < 4; i++) {
			struct weir_message message = nested_message(&scene.nested, WEIR_NESTED_OPEN);
			size_t room;
			uint8_t *chunk = nested_chunk(&scene.nested, &room);

			message.flags = (uint8_t)(rand_r(&random) % 8);
			message.code = (uint32_t)(rand_r(&random) % 5 * 256 + rand_r(&random) % 8);
			message.chunk = rand_r(&random) % 2 ? scene.nested.chunk : WEIR_CHUNK_NONE;
			message.bytes = (uint32_t)(rand_r(&random) % 5000);
			message.head_bytes = (uint32_t)(rand_r(&random) % 300);
			for (size_t k = 0; k < 300; k++)
				chunk[k] = rand_r(&random) % 3 ? chunk[k] : (uint8_t)rand_r(&random);
			rig_worker_push(&scene.caller, &message);
		}
		usleep(2000);
		kill(scene.caller.pid, SIGKILL);
		expect_status(scene.client, "HTTP/1.1 502");
		end(&scene);
	}
}

static void a_suspect_may_call_its_own_pool(void **state)
{
	struct rig *rig = *state;
	struct rig_worker killed, worker;
	struct weir_message parent, child;
	struct nested nested;
	int client;

	rig_worker_start(rig, &killed);
	(void)begin_parent(rig, &killed, &client);
	rig_worker_kill(&killed); /* f is a suspect: it runs alone */
	expect_status(client, "HTTP/1.1 502");
	close(client);
	rig_worker_start(rig, &worker);
	parent = begin_parent(rig, &worker, &client);
	nested = nested_open(&worker, &parent, 0);
	nested_call(&nested, "f", "", 0);
	child = rig_worker_accept(&worker);
	rig_worker_answer(&worker, &child, 200, "inner");
	assert_int_equal(nested_answer(&nested, "inner"), 200);
	end_parent(&worker, &parent, client);
	rig_worker_kill(&worker);
}

static void many_callers_at_once_are_all_answered(void **state)
{
	enum { CALLERS = 60 };
	struct rig *rig = *state;
	struct rig_worker worker;
	struct weir_message parent[CALLERS], child;
	struct nested nested[CALLERS];
	int client[CALLERS];

	rig_worker_start(rig, &worker);
	atomic_store(&worker.segment.header->parked_max, 200);
	for (int i = 0; i < CALLERS; i++) {
		parent[i] = begin_parent(rig, &worker, &client[i]);
		atomic_store(&worker.segment.header->parked, (uint32_t)i + 1);
		nested[i] = nested_open(&worker, &parent[i], 0);
	}
	for (int i = 0; i < CALLERS; i++) {
		nested_call(&nested[i], "g", "", 0);
		child = rig_worker_accept(&worker);
		rig_worker_answer(&worker, &child, 200, "one of many");
		assert_int_equal(nested_answer(&nested[i], "one of many"), 200);
	}
	for (int i = 0; i < CALLERS; i++)
		end_parent(&worker, &parent[i], client[i]);
	rig_worker_kill(&worker);
}

int main(void)
{
#define TEST_WITH(name, options) \
	cmocka_unit_test_prestate_setup_teardown(name, rig_setup, rig_teardown, &(options))
#define TEST(name) TEST_WITH(name, patient)
	const struct CMUnitTest tests[] = {
		TEST(the_callers_client_leaves_at_each_step),
		TEST(the_callers_worker_dies_at_each_step),
		TEST_WITH(the_called_functions_worker_dies_at_each_step, growing),
		TEST(the_gateway_stops_at_each_step),
		TEST(a_worker_that_lies_about_calls_is_retired),
		TEST(random_messages_break_nothing),
		TEST(a_suspect_may_call_its_own_pool),
		TEST(many_callers_at_once_are_all_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
