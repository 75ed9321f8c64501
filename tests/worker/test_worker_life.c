#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/shm/control.h"
#include "tests/worker/native_fixture.h"

static bool is_gone(void *argument)
{
	const struct rig_link *const link = argument;

	return link->is_gone;
}

static void a_second_link_works_beside_the_first_and_closing_cancels_its_calls(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_link *const first = fixture->link;
	struct rig_link *const second = rig_link_open(&fixture->rig, 1);
	struct rig_call *const waiting =
		rig_call(first, 0, SLEEP,
			 &(struct rig_request){.param_name = "ms", .param_value = "19000"});
	struct rig_call *call = rig_invoke(second, PING, &(struct rig_request){0});

	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
	while (atomic_load(&line_of(first)->parked) < 1)
		rig_turn(&fixture->rig, 10);
	call = rig_invoke(second, PING, &(struct rig_request){0});
	rig_call_free(call);
	assert_int_equal(atomic_load(&line_of(second)->parked), 0);
	assert_int_equal(atomic_load(&line_of(second)->parked_max), 63);
	rig_link_close(first);
	rig_wait(&fixture->rig, is_gone, first, "LINK_GONE");
	rig_wait_done(waiting);
	assert_int_equal(waiting->abort_code, WEIR_ABORT_CANCELLED);
	rig_call_free(waiting);
	assert_int_equal(atomic_load(&line_of(second)->parked_max), 64);
	call = rig_invoke(second, PING, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
}

static void links_come_and_go_without_leaving_anything(void **state)
{
	struct fixture *const fixture = *state;
	char path[64];
	struct rig_call *call = NULL;
	char maps_before[64];
	char maps_after[64];

	(void)snprintf(path, sizeof(path),
		       "ls /proc/%d/fd | wc -l; grep -c weir-link /proc/%d/maps",
		       fixture->rig.pid, fixture->rig.pid);
	for (int round = 0; round < 2; round++) {
		char *const text = round == 0 ? maps_before : maps_after;
		FILE *counts = NULL;

		for (int i = 0; i < 5; i++) {
			struct rig_link *const link = rig_link_open(&fixture->rig, 2);

			call = rig_invoke(link, PING, &(struct rig_request){0});
			rig_call_free(call);
			rig_link_close(link);
			rig_wait(&fixture->rig, is_gone, link, "LINK_GONE");
			for (uint32_t k = 0; k < 2; k++)
				weir_fd_close(&link->event_fd[k]);
			weir_segment_detach(&link->segment);
			weir_fd_close(&link->segment_fd);
			weir_fd_close(&link->board_fd);
			link->is_open = false;
		}
		counts = popen(path, "r"); /* NOLINT(cert-env33-c) */
		assert_non_null(counts);
		text[fread(text, 1, 63, counts)] = '\0';
		(void)pclose(counts);
	}
	assert_string_equal(maps_before, maps_after);
}

static void a_newer_generation_is_waited_for_and_its_code_runs(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_function changed[SAMPLE_COUNT];
	struct rig_call *early = NULL;
	struct rig_call *call = NULL;

	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_call_free(call);
	memcpy(changed, samples, sizeof(changed));
	changed[PING - 1].version = 2;
	changed[PING - 1].code_path = RIG_SAMPLES "/hello.so";
	early = rig_call(fixture->link, 0, PING,
			 &(struct rig_request){.generation = fixture->rig.generation + 1});
	for (int i = 0; i < 5; i++)
		rig_turn(&fixture->rig, 20);
	assert_false(early->is_done);
	/* Others of the older generation run meanwhile. */
	call = rig_invoke(fixture->link, STATUS,
			  &(struct rig_request){.param_name = "code", .param_value = "201"});
	rig_assert_answer(call, 201, "{\"status\":201}");
	rig_call_free(call);
	rig_configure(&fixture->rig, changed, SAMPLE_COUNT);
	rig_wait_done(early);
	rig_assert_answer(early, 200, "{\"message\":\"Hello, world!\"}");
	rig_call_free(early);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){.generation = 99});
	assert_int_equal(call->abort_code, WEIR_ABORT_UNKNOWN); /* never comes */
	rig_call_free(call);
}

static void a_function_that_moved_away_runs_as_it_was_for_calls_that_were_bound_before(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_function moved[SAMPLE_COUNT];
	struct rig_call *call = NULL;
	const uint64_t before = fixture->rig.generation;

	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_call_free(call);
	memcpy(moved, samples, sizeof(moved));
	moved[PING - 1].version = 2;
	moved[PING - 1].code_path = "/nothing/for/this/runtime";
	moved[PING - 1].is_elsewhere = true;
	moved[HELLO - 1].is_elsewhere = true;
	rig_configure(&fixture->rig, moved, SAMPLE_COUNT);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){.generation = before});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
	/* One that was not loaded is not any more. */
	call = rig_invoke(fixture->link, HELLO, &(struct rig_request){.generation = before});
	assert_int_equal(call->abort_code, WEIR_ABORT_UNKNOWN);
	rig_call_free(call);
	/* And back, as another version. */
	moved[PING - 1].version = 3;
	moved[PING - 1].code_path = RIG_SAMPLES "/hello.so";
	moved[PING - 1].is_elsewhere = false;
	rig_configure(&fixture->rig, moved, SAMPLE_COUNT);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"message\":\"Hello, world!\"}");
	rig_call_free(call);
}

static void file_copy(const char *from, const char *to)
{
	char command[8192];

	(void)snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static void code_overwritten_in_place_is_loaded_anew_with_its_version(void **state)
{
	struct fixture *const fixture = *state;
	char path[] = "/tmp/weir-test-XXXXXX";
	int fd = mkstemp(path);
	struct rig_function function = {
		.id = 50, .version = 1, .name = "changing", .code_path = path};
	struct rig_call *call = NULL;

	assert_true(fd != -1);
	weir_fd_close(&fd);
	file_copy(RIG_SAMPLES "/ping.so", path);
	rig_configure(&fixture->rig, &function, 1);
	call = rig_invoke(fixture->link, 50, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
	file_copy(RIG_SAMPLES "/hello.so", path); /* the same inode, other bytes */
	call = rig_invoke(fixture->link, 50, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}"); /* the version did not change */
	rig_call_free(call);
	function.version = 2;
	rig_configure(&fixture->rig, &function, 1);
	call = rig_invoke(fixture->link, 50, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"message\":\"Hello, world!\"}");
	rig_call_free(call);
	(void)unlink(path);
}

static void a_crash_names_its_function_and_activation(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const call =
		rig_call(fixture->link, 0, CRASH, &(struct rig_request){0});
	char *text = NULL;
	char expected[128];
	const int status = rig_wait_exit(&fixture->rig);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	text = rig_stderr(&fixture->rig);
	(void)snprintf(expected, sizeof(expected),
		       "crashed with signal 11 in default/crash activation %016llx%016llx",
		       0x0123456789abcdefULL, (unsigned long long)call->sequence);
	if (strstr(text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", text, expected);
	free(text);
}

static void calls_queued_behind_one_that_hangs_are_still_their_shards(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *const hanging =
		rig_call(fixture->link, 0, HANG, &(struct rig_request){0});
	struct rig_call *behind = NULL;

	while (atomic_load(&line_of(fixture->link)->accepted) == 0)
		rig_turn(&fixture->rig, 10);
	behind = rig_call(fixture->link, 0, PING, &(struct rig_request){0});
	rig_turn(&fixture->rig, 10);
	assert_false(behind->is_done);
	assert_int_equal(kill(fixture->rig.pid, SIGKILL), 0);
	assert_true(WIFSIGNALED(rig_wait_exit(&fixture->rig)));
	assert_false(rig_recall(hanging)); /* it ran */
	assert_true(rig_recall(behind));
}

static void stop_lets_running_calls_finish_and_starts_no_more(void **state)
{
	struct fixture *const fixture = *state;
	const struct weir_control stop = {.kind = WEIR_CONTROL_STOP};
	struct rig_call *const call =
		rig_call(fixture->link, 0, SLEEP,
			 &(struct rig_request){.param_name = "ms", .param_value = "200"});
	struct rig_call *late = NULL;

	while (atomic_load(&line_of(fixture->link)->parked) == 0)
		rig_turn(&fixture->rig, 10);
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &stop, NULL, 0), 0);
	for (int i = 0; i < 5; i++)
		rig_turn(&fixture->rig, 10);
	late = rig_call(fixture->link, 0, PING, &(struct rig_request){0});
	rig_wait_done(call);
	rig_assert_answer(call, 200, "{\"slept_ms\":200}");
	assert_int_equal(rig_wait_exit(&fixture->rig), 0);
	assert_true(rig_recall(late));
	rig_call_free(call);
}

static void the_supervisors_end_is_the_workers_end(void **state)
{
	struct fixture *const fixture = *state;

	weir_fd_close(&fixture->rig.socket_fd);
	assert_int_equal(rig_wait_exit(&fixture->rig), 0);
}

static void bad_control_messages_are_refused_and_leave_nothing_open(void **state)
{
	struct fixture *const fixture = *state;
	struct weir_control control = {.kind = WEIR_CONTROL_LINK_OPEN};
	int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
		      open("/dev/null", O_RDONLY | O_CLOEXEC)};
	struct rig_call *call = NULL;

	control.link_open.link_id = 77;
	control.link_open.shard_count = 1;
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 2), 0);
	control.link_open.shard_count = 1000;
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 2), 0);
	control = (struct weir_control){.kind = WEIR_CONTROL_SNAPSHOT};
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 1), 0);
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, NULL, 0), 0);
	control.kind = 999;
	assert_int_equal(weir_control_send(fixture->rig.socket_fd, &control, fds, 2), 0);
	weir_fd_close_all(fds, 2);
	call = rig_invoke(fixture->link, PING, &(struct rig_request){0});
	rig_assert_answer(call, 200, "{\"pong\":true}");
	rig_call_free(call);
}

static void the_process_has_no_rights(void **state)
{
	struct fixture *const fixture = *state;
	char path[64];
	char text[8192];
	FILE *status = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", fixture->rig.pid);
	status = fopen(path, "re");
	assert_non_null(status);
	text[fread(text, 1, sizeof(text) - 1, status)] = '\0';
	(void)fclose(status);
	assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
	assert_non_null(strstr(text, "CapInh:\t0000000000000000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(a_second_link_works_beside_the_first_and_closing_cancels_its_calls),
		WORKER_TEST(links_come_and_go_without_leaving_anything),
		WORKER_TEST(a_newer_generation_is_waited_for_and_its_code_runs),
		WORKER_TEST(a_function_that_moved_away_runs_as_it_was_for_calls_that_were_bound_before),
		WORKER_TEST(code_overwritten_in_place_is_loaded_anew_with_its_version),
		WORKER_TEST(a_crash_names_its_function_and_activation),
		WORKER_TEST(calls_queued_behind_one_that_hangs_are_still_their_shards),
		WORKER_TEST(stop_lets_running_calls_finish_and_starts_no_more),
		WORKER_TEST(the_supervisors_end_is_the_workers_end),
		WORKER_TEST(bad_control_messages_are_refused_and_leave_nothing_open),
		WORKER_TEST(the_process_has_no_rights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
