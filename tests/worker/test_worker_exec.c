#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "tests/worker/rig.h"

/* Under TSan vfork() is fork(): what the child could not do is then not told in our memory, and looks
 * like a program that ended with 127. */
#if defined(__SANITIZE_THREAD__)
#define VFORK_IS_FORK true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VFORK_IS_FORK true
#endif
#endif
#ifndef VFORK_IS_FORK
#define VFORK_IS_FORK false
#endif

/* Each test brings a shell program; it runs as function 1, through /bin/sh, or as itself. */
struct fixture {
	struct rig rig;
	struct rig_link *link;
	char directory[32];
	char path[64];
};

static int setup(void **state)
{
	struct fixture *const fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	(void)snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/weir-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/program", fixture->directory);
	rig_start(&fixture->rig, "exec");
	fixture->link = rig_link_open(&fixture->rig, 1);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *const fixture = *state;

	rig_stop(&fixture->rig);
	(void)unlink(fixture->path);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

/* Install `text` as the program of function 1. */
static void program(struct fixture *fixture, const char *text, const char *interpreter)
{
	const struct rig_function function = {.id = 1,
					      .version = fixture->rig.generation + 1,
					      .name = "program",
					      .code_path = fixture->path,
					      .interpreter = interpreter};
	int fd = open(fixture->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	weir_fd_close(&fd);
	rig_configure(&fixture->rig, &function, 1);
}

static void run_expect(struct fixture *fixture, const char *text, uint32_t status,
		       const char *answer)
{
	struct rig_call *call = NULL;

	program(fixture, text, "sh");
	call = rig_invoke(fixture->link, 1, &(struct rig_request){0});
	rig_assert_answer(call, status, answer);
	assert_string_equal(call->fields, "content-type: application/json\n");
	rig_call_free(call);
}

static void json_passes_and_other_output_is_wrapped_and_escaped(void **state)
{
	struct fixture *const fixture = *state;

	run_expect(fixture, "printf '{\"a\":1}'", 200, "{\"a\":1}");
	run_expect(fixture, "printf '[1,2]\\n'", 200, "[1,2]\n");
	run_expect(fixture, "printf 'hello\\n'", 200, "{\"result\":\"hello\\n\"}");
	run_expect(fixture, "printf 'a\"b\\\\\\001\\377'", 200,
		   "{\"result\":\"a\\\"b\\\\\\u0001\xef\xbf\xbd\"}");
}

static void failure_is_the_seeds_error_once_and_escaped(void **state)
{
	struct fixture *const fixture = *state;

	run_expect(
		fixture, "printf 'say \"no\"'; exit 3", 500,
		"{\"error\":\"Function "
		"failed\",\"exit_code\":3,\"output_bytes\":8,\"output\":\"say \\\"no\\\"\"}");
	run_expect(fixture, "exit 0", 500,
		   "{\"error\":\"Function "
		   "failed\",\"exit_code\":0,\"output_bytes\":0,\"output\":\"\"}");
	run_expect(fixture, "printf out; printf err >&2; exit 1", 500,
		   "{\"error\":\"Function "
		   "failed\",\"exit_code\":1,\"output_bytes\":6,\"output\":\"outerr\"}");
	run_expect(fixture, "kill -9 $$", 500,
		   "{\"error\":\"Function "
		   "failed\",\"exit_code\":137,\"output_bytes\":0,\"output\":\"\"}");
}

static void only_the_first_200_bytes_of_a_failure_are_shown(void **state)
{
	struct fixture *const fixture = *state;
	char expected[512];
	char shown[201];

	memset(shown, 'x', 200);
	shown[200] = '\0';
	(void)snprintf(expected, sizeof(expected),
		       "{\"error\":\"Function "
		       "failed\",\"exit_code\":1,\"output_bytes\":5000,\"output\":\"%s\"}",
		       shown);
	run_expect(fixture, "head -c 5000 /dev/zero | tr '\\0' x; exit 1", 500, expected);
}

static void standard_error_goes_to_the_log_and_does_no_harm(void **state)
{
	struct fixture *const fixture = *state;
	char *text = NULL;

	run_expect(fixture,
		   "echo one >&2; echo two >&2; head -c 200000 /dev/zero >&2; printf ok", 200,
		   "{\"result\":\"ok\"}");
	text = rig_stderr(&fixture->rig);
	assert_non_null(strstr(text, "name=default/program activation=0123456789abcdef"));
	assert_non_null(strstr(text, "text=one\n"));
	assert_non_null(strstr(text, "text=two\n"));
	free(text);
}

static void body_comes_on_standard_input_whether_it_is_read_or_not(void **state)
{
	struct fixture *const fixture = *state;
	const size_t bytes = 1500000;
	char *const body = malloc(bytes);
	struct rig_request request = {
		.body = body, .body_bytes = bytes, .is_streamed = true, .method = 2};
	struct rig_call *call = NULL;

	assert_non_null(body);
	memset(body, 'y', bytes);
	body[0] = '[';
	program(fixture, "exec cat", "/bin/sh");
	call = rig_invoke(fixture->link, 1, &request);
	assert_int_equal(call->status, 200);
	assert_int_equal(call->answer_bytes, bytes);
	assert_memory_equal(call->answer, body, bytes);
	rig_call_free(call);
	body[0] = 'y'; /* now it must be wrapped, while it streams */
	call = rig_invoke(fixture->link, 1, &request);
	assert_int_equal(call->answer_bytes, bytes + strlen("{\"result\":\"\"}"));
	assert_memory_equal(call->answer, "{\"result\":\"yyy", 14);
	assert_memory_equal(call->answer + call->answer_bytes - 4, "yy\"}", 4);
	rig_call_free(call);
	program(fixture, "printf unread", "/bin/sh");
	call = rig_invoke(fixture->link, 1, &request);
	rig_assert_answer(call, 200, "{\"result\":\"unread\"}");
	rig_call_free(call);
	request = (struct rig_request){.body = "small", .body_bytes = 5};
	program(fixture, "read x; printf %s \"$x\"", "/bin/sh");
	call = rig_invoke(fixture->link, 1, &request);
	rig_assert_answer(call, 200, "{\"result\":\"small\"}");
	rig_call_free(call);
	free(body);
}

static void a_failure_after_a_long_output_cuts_the_answer(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *call = NULL;

	program(fixture, "head -c 3000000 /dev/zero | tr '\\0' x; exit 5", "sh");
	call = rig_invoke(fixture->link, 1, &(struct rig_request){0});
	assert_true(call->is_head_seen);
	assert_int_equal(call->abort_code, WEIR_ABORT_FAILED);
	rig_call_free(call);
}

static void the_environment_is_small_and_tells_about_the_request(void **state)
{
	struct fixture *const fixture = *state;
	const struct rig_request request = {.method = 3,
					    .path = "/img/a b",
					    .query = "x=1&y=%20",
					    .param_name = "id",
					    .param_value = "seven; rm",
					    .field_name = "Content-Type",
					    .field_value = "text/plain"};
	static const char *const expected[] = {
		"WEIR_ACTIVATION_ID=0123456789abcdef",
		"WEIR_METHOD=PUT\\n",
		"WEIR_PATH=/img/a b\\n",
		"WEIR_QUERY=x=1&y=%20\\n",
		"WEIR_PARAM_id=seven; rm\\n",
		"WEIR_CONTENT_TYPE=text/plain\\n",
		"WEIR_FUNCTION=default/program\\n",
		"WEIR_PATTERN=/pattern\\n",
		"WEIR_PEER=127.0.0.1\\n",
		"WEIR_DEADLINE_MS=1",
		"LANG=C.UTF-8\\n",
		"PATH=/usr/local/sbin:",
		"WEIR_CALL_FD=20\\n",
		"WEIR_PARENT_ID=\\n",
	};
	struct rig_call *call = NULL;
	size_t lines = 0;

	program(fixture, "exec env", "sh");
	call = rig_invoke(fixture->link, 1, &request);
	assert_int_equal(call->status, 200);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (strstr((const char *)call->answer, expected[i]) == NULL)
			fail_msg("'%s' is not in %s", expected[i], (const char *)call->answer);
	for (const char *at = (const char *)call->answer; (at = strstr(at, "\\n")) != NULL;
	     at++)
		lines++;
	assert_int_equal(lines, 16); /* 15 of ours, and PWD by the shell */
	rig_call_free(call);
}

static void programs_inherit_no_descriptors_and_default_signals(void **state)
{
	struct fixture *const fixture = *state;

	/* 20 is WEIR_CALL_FD, 3 what ls itself reads the directory with. */
	run_expect(fixture, "exec ls /proc/self/fd", 200, "{\"result\":\"0\\n1\\n2\\n20\\n3\\n\"}");
	run_expect(fixture, "grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'", 200,
		   "{\"result\":\"SigBlk:0000000000000000SigIgn:0000000000000000\"}");
}

static void an_executable_file_runs_by_itself_in_its_directory(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *call = NULL;
	char expected[128];

	program(fixture, "#!/bin/sh\npwd\n", NULL);
	call = rig_invoke(fixture->link, 1, &(struct rig_request){0});
	(void)snprintf(expected, sizeof(expected), "{\"result\":\"%s\\n\"}",
		       fixture->directory);
	rig_assert_answer(call, 200, expected);
	rig_call_free(call);
}

static void load_expect(struct fixture *fixture, const struct rig_function *function,
			const char *text)
{
	struct rig_call *call = NULL;

	rig_configure(&fixture->rig, function, 1);
	call = rig_invoke(fixture->link, function->id, &(struct rig_request){0});
	assert_int_equal(call->abort_code, WEIR_ABORT_LOAD);
	if (strstr(call->abort_text, text) == NULL)
		fail_msg("'%s' does not say '%s'", call->abort_text, text);
	rig_call_free(call);
}

static void what_cannot_be_started_is_named(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_function function = {
		.id = 2, .version = 1, .name = "f", .code_path = "/opt/nowhere/convert.wasm"};
	struct rig_call *call = NULL;

	load_expect(fixture, &function, "'/opt/nowhere/convert.wasm': No such file");
	function.interpreter = "no-such-interpreter";
	load_expect(fixture, &function, "interpreter 'no-such-interpreter'");
	program(fixture, "text", NULL);
	assert_int_equal(chmod(fixture->path, 0600), 0);
	function = (struct rig_function){
		.id = 3, .version = 1, .name = "f", .code_path = fixture->path};
	load_expect(fixture, &function, "is not executable");
	assert_int_equal(unlink(fixture->path), 0);
	function.code_path = "/etc";
	load_expect(fixture, &function, "'/etc' is not a file");
	if (!VFORK_IS_FORK) {
		program(fixture, "not a program", NULL);
		call = rig_invoke(fixture->link, 1, &(struct rig_request){0});
		assert_int_equal(call->abort_code, WEIR_ABORT_LOAD);
		assert_non_null(strstr(call->abort_text, "Exec format error"));
		rig_call_free(call);
	}
	/* Loaded, and gone later. */
	program(fixture, "echo", "sh");
	call = rig_invoke(fixture->link, 1, &(struct rig_request){0});
	rig_call_free(call);
	assert_int_equal(unlink(fixture->path), 0);
	call = rig_invoke(fixture->link, 1, &(struct rig_request){0});
	assert_int_equal(call->abort_code, WEIR_ABORT_LOAD);
	assert_non_null(strstr(call->abort_text, fixture->path));
	rig_call_free(call);
}

/* Number of processes whose command line contains `text`. */
static int processes_with(const char *text)
{
	DIR *const directory = opendir("/proc");
	const struct dirent *entry = NULL;
	int count = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		char path[300];
		char line[512] = {0};
		int fd = -1;
		ssize_t bytes = 0;

		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			continue;
		bytes = read(fd, line, sizeof(line) - 1);
		for (ssize_t i = 0; i + 1 < bytes; i++)
			if (line[i] == '\0')
				line[i] = ' ';
		count += strstr(line, text) != NULL;
		weir_fd_close(&fd);
	}
	(void)closedir(directory);
	return count;
}

static void processes_vanish(const char *text)
{
	for (int i = 0; processes_with(text) != 0; i++) {
		assert_true(i < RIG_WAIT_MS / 10);
		(void)usleep(10000);
	}
}

/* Sleeps that no other process of this machine sleeps. */
static void sleep_text(char *text, size_t bytes)
{
	(void)snprintf(text, bytes, "sleep 7%d", getpid());
}

static void deadline_and_cancel_kill_the_program_with_its_children(void **state)
{
	struct fixture *const fixture = *state;
	struct rig_call *call = NULL;
	char sleeping[32];
	char text[128];

	sleep_text(sleeping, sizeof(sleeping));
	(void)snprintf(text, sizeof(text), "%s & %s", sleeping, sleeping);
	program(fixture, text, "sh");
	call = rig_invoke(fixture->link, 1, &(struct rig_request){.timeout_ms = 300});
	assert_int_equal(call->abort_code, WEIR_ABORT_TIMEOUT);
	rig_call_free(call);
	processes_vanish(sleeping);
	call = rig_call(fixture->link, 0, 1, &(struct rig_request){0});
	while (processes_with(sleeping) < 2)
		rig_turn(&fixture->rig, 10);
	rig_cancel(call);
	rig_wait_done(call);
	assert_int_equal(call->abort_code, WEIR_ABORT_CANCELLED);
	rig_call_free(call);
	processes_vanish(sleeping);
}

static void what_a_program_leaves_behind_ends_with_it(void **state)
{
	struct fixture *const fixture = *state;
	char sleeping[32];
	char text[128];

	sleep_text(sleeping, sizeof(sleeping));
	/* The one left behind holds standard output open: the answer does not wait for it. */
	(void)snprintf(text, sizeof(text), "%s & printf done", sleeping);
	run_expect(fixture, text, 200, "{\"result\":\"done\"}");
	processes_vanish(sleeping);
}

static void programs_die_with_their_worker(void **state)
{
	struct fixture *const fixture = *state;
	char sleeping[32];
	char text[128];

	sleep_text(sleeping, sizeof(sleeping));
	(void)snprintf(text, sizeof(text), "exec %s", sleeping);
	program(fixture, text, "sh");
	(void)rig_call(fixture->link, 0, 1, &(struct rig_request){0});
	while (processes_with(sleeping) < 1)
		rig_turn(&fixture->rig, 10);
	assert_int_equal(kill(fixture->rig.pid, SIGKILL), 0);
	(void)rig_wait_exit(&fixture->rig);
	processes_vanish(sleeping);
}

static void programs_run_side_by_side_and_leave_no_descriptor(void **state)
{
	enum { CALLS = 20 };
	struct fixture *const fixture = *state;
	const struct rig_request request = {
		.body = "go", .body_bytes = 2, .is_streamed = true, .is_body_withheld = true};
	_Atomic uint32_t *const parked = &fixture->link->segment.header->parked;
	struct rig_call *calls[CALLS];
	char command[64];
	char text[2][32] = {{0}};

	(void)snprintf(command, sizeof(command),
		       "ls -l /proc/%d/fd | grep -c pipe:", fixture->rig.pid);
	program(fixture, "exec cat", "sh");
	for (int round = 0; round < 2; round++) {
		FILE *counts = NULL;

		for (size_t i = 0; i < CALLS; i++)
			calls[i] = rig_call(fixture->link, 0, 1, &request);
		while (atomic_load(parked) < CALLS) /* all of them read, none has its body */
			rig_turn(&fixture->rig, 10);
		for (size_t i = 0; i < CALLS; i++) {
			rig_body_go_on(calls[i]);
			rig_wait_done(calls[i]);
			rig_assert_answer(calls[i], 200, "{\"result\":\"go\"}");
			rig_call_free(calls[i]);
		}
		counts = popen(command, "r"); /* NOLINT(cert-env33-c) */
		assert_non_null(counts);
		assert_true(fread(text[round], 1, sizeof(text[0]) - 1, counts) != 0);
		(void)pclose(counts);
	}
	assert_string_equal(text[0], text[1]);
}

static void the_php_samples_answer_as_published(void **state)
{
	struct fixture *const fixture = *state;
	const struct rig_function functions[] = {
		{.id = 1,
		 .version = 1,
		 .name = "hello",
		 .code_path = RIG_PHP "/hello.php",
		 .interpreter = "php"},
		{.id = 2,
		 .version = 1,
		 .name = "info",
		 .code_path = RIG_PHP "/info.php",
		 .interpreter = "php"},
		{.id = 3,
		 .version = 1,
		 .name = "resize",
		 .code_path = RIG_PHP "/resize.php",
		 .interpreter = "php"},
	};
	const char *const image = "{\"image\":\"base64data...\",\"width\":800}";
	struct rig_call *call = NULL;

	if (access("/usr/bin/php", X_OK) != 0)
		skip();
	rig_configure(&fixture->rig, functions, 3);
	call = rig_invoke(fixture->link, 1,
			  &(struct rig_request){.path = "/api/hello",
						.body = "{\"name\":\"Alice\"}",
						.body_bytes = 16});
	rig_assert_answer(call, 200,
			  "{\"message\":\"Hello, "
			  "Alice\",\"runtime\":\"php\",\"endpoint\":\"/api/hello\"}");
	rig_call_free(call);
	call = rig_invoke(fixture->link, 2, &(struct rig_request){.path = "/api/info"});
	assert_int_equal(call->status, 200);
	assert_memory_equal(call->answer, "{\"service\":\"faas\",\"status\":\"ok\"", 31);
	rig_call_free(call);
	call = rig_invoke(fixture->link, 3,
			  &(struct rig_request){.body = image, .body_bytes = strlen(image)});
	rig_assert_answer(
		call, 200,
		"{\"ok\":true,\"requested_width\":800,\"image_bytes\":13,\"runtime\":\"php\"}");
	rig_call_free(call);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORKER_TEST(json_passes_and_other_output_is_wrapped_and_escaped),
		WORKER_TEST(failure_is_the_seeds_error_once_and_escaped),
		WORKER_TEST(only_the_first_200_bytes_of_a_failure_are_shown),
		WORKER_TEST(standard_error_goes_to_the_log_and_does_no_harm),
		WORKER_TEST(body_comes_on_standard_input_whether_it_is_read_or_not),
		WORKER_TEST(a_failure_after_a_long_output_cuts_the_answer),
		WORKER_TEST(the_environment_is_small_and_tells_about_the_request),
		WORKER_TEST(programs_inherit_no_descriptors_and_default_signals),
		WORKER_TEST(an_executable_file_runs_by_itself_in_its_directory),
		WORKER_TEST(what_cannot_be_started_is_named),
		WORKER_TEST(deadline_and_cancel_kill_the_program_with_its_children),
		WORKER_TEST(what_a_program_leaves_behind_ends_with_it),
		WORKER_TEST(programs_die_with_their_worker),
		WORKER_TEST(programs_run_side_by_side_and_leave_no_descriptor),
		WORKER_TEST(the_php_samples_answer_as_published),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
