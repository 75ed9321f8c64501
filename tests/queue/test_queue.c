/* The way of a call through the queue, and what a crash, a bound or somebody else makes of it. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctrl/queue/queue.h"
#include "dataplane/base/clock.h"

static const struct weir_queue_limits limits = {
	.rows_max = 5,
	.bytes_max = 1000,
	.body_bytes_max = 100,
	.running_max = 3,
	.retries_max = 1,
	.retry_ms = 100,
	.keep_s = 60,
	.key_keep_s = 30,
};

struct test {
	char directory[64];
	struct weir_queue *queue;
	struct weir_queue_time time;
	struct weir_store_error error;
	uint64_t last_id;
};

static void queue_reopen(struct test *test)
{
	weir_queue_close(test->queue);
	test->queue = NULL;
	if (weir_queue_open(test->directory, &test->queue, &test->error) != 0)
		fail_msg("%s", test->error.text);
	weir_queue_limits_set(test->queue, &limits);
}

static int setup(void **state)
{
	struct test *const test = calloc(1, sizeof(*test));

	if (test == NULL)
		return -1;
	(void)snprintf(test->directory, sizeof(test->directory), "/tmp/test-queue-XXXXXX");
	if (mkdtemp(test->directory) == NULL)
		return -1;
	test->time = (struct weir_queue_time){.wall_ms = 1000000, .now_ns = weir_clock_now_ns()};
	queue_reopen(test);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	struct test *const test = *state;
	char path[128];

	weir_queue_close(test->queue);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/queue.db%s", test->directory, endings[i]);
		(void)unlink(path);
	}
	(void)rmdir(test->directory);
	free(test);
	return 0;
}

static void pass(struct test *test, uint64_t ms)
{
	test->time.wall_ms += (int64_t)ms;
	test->time.now_ns += ms * WEIR_NS_PER_MS;
	assert_int_equal(weir_queue_begin(test->queue, &test->error), 0);
	assert_int_equal(weir_queue_sweep(test->queue, test->time, &test->error), 0);
	assert_int_equal(weir_queue_commit(test->queue, &test->error), 0);
}

struct wish {
	uint32_t priority;
	uint64_t delay_ms;
	const char *key;
	const char *name;
};

static int accept_with(struct test *test, struct wish wish, const char *body, struct weir_id *out_id)
{
	struct weir_queue_call call = {
		.id = {.high = 7, .low = ++test->last_id},
		.priority = wish.priority,
		.retries_max = limits.retries_max,
		.due_ms = wish.delay_ms == 0 ? 0 : test->time.wall_ms + (int64_t)wish.delay_ms,
		.body = (char *)(uintptr_t)body,
		.body_bytes = strlen(body),
	};
	int code = 0;

	(void)strcpy(call.space, "space");
	(void)strcpy(call.name, wish.name == NULL ? "name" : wish.name);
	assert_int_equal(weir_queue_begin(test->queue, &test->error), 0);
	code = weir_queue_accept(test->queue, test->time, &call, wish.key, &test->error);
	assert_int_equal(weir_queue_commit(test->queue, &test->error), 0);
	*out_id = call.id;
	return code;
}

static struct weir_id accepted(struct test *test, const char *body)
{
	struct weir_id id;

	assert_int_equal(accept_with(test, (struct wish){.priority = 5}, body, &id), 0);
	return id;
}

static int take(struct test *test, uint64_t runner, struct weir_queue_call *call)
{
	return weir_queue_take(test->queue, test->time, runner, call, &test->error);
}

/* Report: `failure` NULL and an answer, or a failure. */
static int done(struct test *test, const struct weir_queue_call *taken, uint32_t status, const char *failure)
{
	const struct weir_queue_call end = {
		.number = taken->number,
		.attempt = taken->attempt,
		.status = status,
		.failure = (char *)(uintptr_t)failure,
		.answer = (char *)(uintptr_t) "answer",
		.answer_bytes = 6,
	};

	return weir_queue_done(test->queue, test->time, &end, &test->error);
}

static enum weir_queue_state state_of(struct test *test, struct weir_id id)
{
	struct weir_queue_call call;
	enum weir_queue_state state = WEIR_QUEUE_STATES;

	assert_int_equal(weir_queue_find(test->queue, id, &call, &test->error), 0);
	state = call.state;
	weir_queue_call_release(&call);
	return state;
}

static void a_call_goes_its_way(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "body");
	struct weir_queue_call call;

	assert_int_equal(state_of(test, id), WEIR_QUEUE_READY);
	assert_int_equal(take(test, 1, &call), 0);
	assert_true(call.id.low == id.low && call.attempt == 1 && call.state == WEIR_QUEUE_RUNNING);
	assert_memory_equal(call.body, "body", 5);
	assert_int_equal(done(test, &call, 200, NULL), 0);
	weir_queue_call_release(&call);
	assert_int_equal(weir_queue_find(test->queue, id, &call, &test->error), 0);
	assert_true(call.state == WEIR_QUEUE_DONE && call.status == 200 && call.failure == NULL);
	assert_memory_equal(call.answer, "answer", 7);
	weir_queue_call_release(&call);
	assert_int_equal(take(test, 1, &call), -ENOENT);
}

static void the_highest_priority_goes_first_and_of_these_the_oldest(void **state)
{
	static const uint32_t priorities[] = {5, 9, 0, 9, 5};
	static const char order[] = "BDAEC";
	struct test *const test = *state;
	struct weir_queue_call call;
	struct weir_id id;

	for (size_t i = 0; i < 5; i++) {
		const char body[2] = {(char)('A' + i), '\0'};

		assert_int_equal(accept_with(test, (struct wish){.priority = priorities[i]}, body, &id), 0);
	}
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(take(test, 1, &call), 0);
		assert_int_equal(call.body[0], order[i]);
		assert_int_equal(done(test, &call, 200, NULL), 0);
		weir_queue_call_release(&call);
	}
}

static void a_delayed_call_is_not_handed_out_before_its_time(void **state)
{
	struct test *const test = *state;
	struct weir_queue_call call;
	struct weir_id id;

	assert_int_equal(accept_with(test, (struct wish){.priority = 9, .delay_ms = 1000}, "", &id), 0);
	pass(test, 999);
	assert_int_equal(take(test, 1, &call), -ENOENT);
	pass(test, 1);
	assert_int_equal(take(test, 1, &call), 0);
	weir_queue_call_release(&call);
}

static void what_failed_is_tried_again_later_and_then_dead(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "");
	struct weir_queue_call call;

	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(done(test, &call, 502, "worker_died"), 0);
	weir_queue_call_release(&call);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DELAYED);
	pass(test, 100);
	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(call.attempt, 2);
	assert_int_equal(done(test, &call, 502, "worker_died"), 0);
	weir_queue_call_release(&call);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DEAD);
	assert_int_equal(weir_queue_redrive(test->queue, id, &test->error), 0);
	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(call.failed, 0);
	assert_int_equal(done(test, &call, 200, NULL), 0);
	weir_queue_call_release(&call);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DONE);
}

static void what_was_refused_does_not_count_as_a_failure(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "");
	struct weir_queue_call call;

	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(take(test, 1, &call), 0);
		assert_int_equal(done(test, &call, 503, "no_worker"), 0);
		assert_int_equal(call.failed, 0);
		weir_queue_call_release(&call);
		assert_int_equal(state_of(test, id), WEIR_QUEUE_DELAYED);
		pass(test, 100U << i);
	}
	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(done(test, &call, 404, "call_unknown"), 0);
	weir_queue_call_release(&call);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DEAD);
}

static void a_call_whose_runner_is_gone_is_handed_out_anew(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "");
	struct weir_queue_call first;
	struct weir_queue_call second;

	assert_int_equal(take(test, 1, &first), 0);
	pass(test, WEIR_QUEUE_LEASE_MS - 1);
	assert_int_equal(weir_queue_renew(test->queue, test->time, 1, first.number, first.attempt), 0);
	pass(test, WEIR_QUEUE_LEASE_MS - 1);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_RUNNING);
	pass(test, 1);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_READY);
	assert_int_equal(weir_queue_renew(test->queue, test->time, 1, first.number, first.attempt), -ESRCH);
	assert_int_equal(take(test, 2, &second), 0);
	assert_int_equal(second.attempt, 2);
	assert_int_equal(done(test, &first, 200, NULL), -ESRCH); /* it is the second's now */
	assert_int_equal(done(test, &second, 200, NULL), 0);
	assert_int_equal(done(test, &second, 200, NULL), -ESRCH);
	weir_queue_call_release(&first);
	weir_queue_call_release(&second);
}

static void an_answer_that_comes_late_counts_as_long_as_nobody_else_was_sent(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "");
	struct weir_queue_call call;

	assert_int_equal(take(test, 1, &call), 0);
	pass(test, WEIR_QUEUE_LEASE_MS);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_READY);
	assert_int_equal(done(test, &call, 200, NULL), 0);
	weir_queue_call_release(&call);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DONE);
	assert_int_equal(take(test, 1, &call), -ENOENT);
}

static void after_a_crash_running_calls_are_adopted_or_handed_out_anew(void **state)
{
	struct test *const test = *state;
	struct weir_queue_call call[2];
	struct weir_queue_status status;
	struct weir_id id[2];

	for (size_t i = 0; i < 2; i++) {
		id[i] = accepted(test, "body");
		assert_int_equal(take(test, 1 + i, &call[i]), 0);
	}
	queue_reopen(test);
	test->time.now_ns = weir_clock_now_ns();
	assert_int_equal(weir_queue_status_get(test->queue, &status, &test->error), 0);
	assert_int_equal(status.count[WEIR_QUEUE_RUNNING], 2);
	assert_int_equal(status.bytes, 8);
	assert_int_equal(weir_queue_renew(test->queue, test->time, 1, call[0].number, call[0].attempt), 0);
	assert_int_equal(weir_queue_renew(test->queue, test->time, 9, call[0].number, call[0].attempt), -ESRCH);
	pass(test, WEIR_QUEUE_LEASE_MS - 100);
	assert_int_equal(weir_queue_renew(test->queue, test->time, 1, call[0].number, call[0].attempt), 0);
	pass(test, 200);
	assert_int_equal(state_of(test, id[0]), WEIR_QUEUE_RUNNING);
	assert_int_equal(state_of(test, id[1]), WEIR_QUEUE_READY);
	assert_int_equal(done(test, &call[0], 200, NULL), 0);
	weir_queue_call_release(&call[0]);
	weir_queue_call_release(&call[1]);
}

/* The answer with the call was lost, so the runner asks again. */
static void what_a_runner_never_heard_of_is_handed_out_again(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "body");
	struct weir_queue_call lost;
	struct weir_queue_call call;
	struct weir_queue_status status;

	assert_int_equal(take(test, 1, &lost), 0);
	assert_int_equal(take(test, 1, &call), 0);
	assert_true(call.id.low == id.low);
	assert_int_equal(call.attempt, 2);
	assert_int_equal(weir_queue_renew(test->queue, test->time, 1, lost.number, lost.attempt), -ESRCH);
	assert_int_equal(weir_queue_status_get(test->queue, &status, &test->error), 0);
	assert_int_equal(status.count[WEIR_QUEUE_RUNNING], 1);
	assert_int_equal(status.runners, 1);
	assert_int_equal(done(test, &call, 200, NULL), 0);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DONE);
	weir_queue_call_release(&lost);
	weir_queue_call_release(&call);
}

static void the_same_end_told_twice_counts_once(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "body");
	struct weir_queue_call call;
	struct weir_queue_call seen;

	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(done(test, &call, 502, "worker_died"), 0);
	assert_int_equal(done(test, &call, 502, "worker_died"), -ESRCH); /* it is delayed */
	pass(test, 60000);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_READY);
	assert_int_equal(done(test, &call, 502, "worker_died"), -ESRCH);
	assert_int_equal(weir_queue_find(test->queue, id, &seen, &test->error), 0);
	assert_int_equal(seen.failed, 1);
	weir_queue_call_release(&seen);
	weir_queue_call_release(&call);
}

static void a_transaction_that_is_rolled_back_leaves_nothing(void **state)
{
	struct test *const test = *state;
	struct weir_queue_call call = {.id = {1, 2}, .space = "s", .name = "n"};
	struct weir_queue_status status;

	(void)accepted(test, "kept");
	assert_int_equal(weir_queue_begin(test->queue, &test->error), 0);
	assert_int_equal(weir_queue_accept(test->queue, test->time, &call, NULL, &test->error), 0);
	assert_int_equal(weir_queue_rollback(test->queue, &test->error), 0);
	assert_int_equal(weir_queue_status_get(test->queue, &status, &test->error), 0);
	assert_int_equal(status.count[WEIR_QUEUE_READY], 1);
	assert_int_equal(status.bytes, 4);
	assert_int_equal(weir_queue_find(test->queue, call.id, &call, &test->error), -ENOENT);
}

static void calls_and_bytes_are_bounded(void **state)
{
	struct test *const test = *state;
	struct weir_queue_call call;
	struct weir_id id;
	char body[999];

	memset(body, 'x', sizeof(body));
	body[998] = '\0';
	(void)accepted(test, body);
	assert_int_equal(accept_with(test, (struct wish){0}, "abc", &id), -EDQUOT);
	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(done(test, &call, 200, NULL), 0);
	weir_queue_call_release(&call);
	pass(test, 1); /* what has ended makes room */
	(void)accepted(test, "abc");
	for (size_t i = 1; i < limits.rows_max; i++)
		(void)accepted(test, "");
	assert_int_equal(accept_with(test, (struct wish){0}, "", &id), -EDQUOT);
}

static void the_same_key_is_the_same_call_for_a_while(void **state)
{
	struct test *const test = *state;
	const struct wish wish = {.key = "key"};
	const struct wish other = {.key = "key", .name = "other"};
	struct weir_id first;
	struct weir_id second;

	assert_int_equal(accept_with(test, wish, "", &first), 0);
	assert_int_equal(accept_with(test, wish, "", &second), 0);
	assert_true(first.high == second.high && first.low == second.low);
	assert_int_equal(accept_with(test, other, "", &second), -EEXIST);
	pass(test, limits.key_keep_s * 1000 + 1);
	assert_int_equal(accept_with(test, wish, "", &second), 0);
	assert_true(first.low != second.low);
}

static void what_has_ended_goes_after_its_time(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "body");
	struct weir_queue_status status;
	struct weir_queue_call call;

	assert_int_equal(weir_queue_remove(test->queue, id, &test->error), -EBUSY);
	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(done(test, &call, 200, NULL), 0);
	weir_queue_call_release(&call);
	pass(test, limits.keep_s * 1000);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_DONE);
	pass(test, 1001);
	assert_int_equal(weir_queue_find(test->queue, id, &call, &test->error), -ENOENT);
	assert_int_equal(weir_queue_status_get(test->queue, &status, &test->error), 0);
	assert_int_equal(status.bytes, 0);
	assert_int_equal(status.count[WEIR_QUEUE_DONE], 0);
}

static void a_running_call_is_cancelled_by_its_runner(void **state)
{
	struct test *const test = *state;
	const struct weir_id id = accepted(test, "");
	const struct weir_id waiting = accepted(test, "");
	enum weir_queue_state was = WEIR_QUEUE_STATES;
	struct weir_queue_call call;

	assert_int_equal(take(test, 1, &call), 0);
	assert_int_equal(weir_queue_cancel(test->queue, test->time, id, &was, &test->error), 0);
	assert_int_equal(was, WEIR_QUEUE_RUNNING);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_RUNNING);
	queue_reopen(test); /* it is not forgotten */
	test->time.now_ns = weir_clock_now_ns();
	assert_int_equal(weir_queue_renew(test->queue, test->time, 1, call.number, call.attempt), -ECANCELED);
	assert_int_equal(done(test, &call, 503, "cancelled"), 0);
	weir_queue_call_release(&call);
	assert_int_equal(state_of(test, id), WEIR_QUEUE_CANCELLED);
	assert_int_equal(weir_queue_cancel(test->queue, test->time, waiting, &was, &test->error), 0);
	assert_int_equal(state_of(test, waiting), WEIR_QUEUE_CANCELLED);
	assert_int_equal(weir_queue_cancel(test->queue, test->time, waiting, &was, &test->error), -EALREADY);
}

static void as_many_runners_are_sent_for_as_there_is_work_and_may_run(void **state)
{
	struct test *const test = *state;
	uint64_t runner[8];
	struct weir_queue_call call;

	assert_int_equal(weir_queue_runners_start(test->queue, test->time, runner, 8), 0);
	(void)accepted(test, "");
	assert_int_equal(weir_queue_runners_start(test->queue, test->time, runner, 8), 1);
	assert_int_equal(weir_queue_runners_start(test->queue, test->time, runner, 8), 0);
	assert_int_equal(take(test, runner[0], &call), 0);
	weir_queue_call_release(&call);
	for (int i = 0; i < 4; i++)
		(void)accepted(test, "");
	assert_int_equal(weir_queue_runners_start(test->queue, test->time, runner, 8), limits.running_max - 1);
	assert_int_equal(take(test, 77, &call), -ENOENT); /* one that nobody sent for finds no place */
	pass(test, WEIR_QUEUE_STARTING_MS);		  /* none came */
	assert_int_equal(weir_queue_runners_start(test->queue, test->time, runner, 1), 1);
	weir_queue_leave(test->queue, runner[0]);
	assert_int_equal(weir_queue_runners_start(test->queue, test->time, runner, 8), limits.running_max - 1);
}

static void calls_are_listed_by_state_in_pages(void **state)
{
	struct test *const test = *state;
	struct weir_queue_call list[8];
	struct weir_queue_call call;

	for (int i = 0; i < 4; i++)
		(void)accepted(test, "body");
	assert_int_equal(take(test, 1, &call), 0);
	weir_queue_call_release(&call);
	assert_int_equal(weir_queue_list(test->queue, WEIR_QUEUE_STATES, 0, list, 8, &test->error), 4);
	assert_null(list[0].body);
	assert_int_equal(weir_queue_list(test->queue, WEIR_QUEUE_READY, 0, list, 2, &test->error), 2);
	assert_int_equal(list[0].number, 2);
	assert_int_equal(weir_queue_list(test->queue, WEIR_QUEUE_READY, list[1].number, list, 8, &test->error), 1);
	assert_int_equal(weir_queue_list(test->queue, WEIR_QUEUE_DEAD, 0, list, 8, &test->error), 0);
}

static void another_process_waits_and_other_tables_are_refused(void **state)
{
	struct test *const test = *state;
	struct weir_queue *other = NULL;
	sqlite3 *db = NULL;
	char path[128];

	assert_int_equal(weir_queue_open(test->directory, &other, &test->error), -EBUSY);
	weir_queue_close(test->queue);
	test->queue = NULL;
	(void)snprintf(path, sizeof(path), "%s/queue.db", test->directory);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "ALTER TABLE calls ADD COLUMN more TEXT", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	assert_int_equal(weir_queue_open(test->directory, &other, &test->error), -EBADMSG);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	assert_int_equal(weir_queue_open(test->directory, &other, &test->error), -EBADMSG);
	assert_non_null(strstr(test->error.text, "newer"));
	assert_int_equal(weir_queue_open("/nowhere/at/all", &other, &test->error), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_goes_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(the_highest_priority_goes_first_and_of_these_the_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_delayed_call_is_not_handed_out_before_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(what_failed_is_tried_again_later_and_then_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_refused_does_not_count_as_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_whose_runner_is_gone_is_handed_out_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_that_comes_late_counts_as_long_as_nobody_else_was_sent, setup,
						teardown),
		cmocka_unit_test_setup_teardown(after_a_crash_running_calls_are_adopted_or_handed_out_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_a_runner_never_heard_of_is_handed_out_again, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_end_told_twice_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_transaction_that_is_rolled_back_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(calls_and_bytes_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(the_same_key_is_the_same_call_for_a_while, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_ended_goes_after_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_running_call_is_cancelled_by_its_runner, setup, teardown),
		cmocka_unit_test_setup_teardown(as_many_runners_are_sent_for_as_there_is_work_and_may_run, setup, teardown),
		cmocka_unit_test_setup_teardown(calls_are_listed_by_state_in_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(another_process_waits_and_other_tables_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
