#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "tests/ctrlctl/ctl_test.h"

static struct ctl_output output;

static void board_stop(pid_t child)
{
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void usage_errors_exit_with_2_and_a_hint(void **state)
{
	static const char *const wrong[] = {
		"bogus",
		"route",
		"route bogus",
		"route add",
		"route add 'GET /x'",
		"route list extra",
		"fn add x --bogus",
		"status --output xml",
		"fn add x --file",
		"config set only",
		"completion zsh",
		"fn add x --file /bin/true",
	};
	struct ctl_test *test = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ctl_test_run(test, wrong[i], 2, &output);
		assert_int_equal(strncmp(output.err, "error: ", 7), 0);
		assert_string_equal(output.out, "");
	}
	ctl_test_shell(test, "\"$CTRLCTL\"", &output);
	assert_int_equal(output.status, 2);
}

/* Every command that the top help names has a help of its own that names it; so has every noun. */
static void help_works_on_every_level(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_shell(test,
		       "set -e\n"
		       "\"$CTRLCTL\" --help | sed -n '/^  [a-z]/p' | while read -r noun verb "
		       "rest; do\n"
		       "  case $verb in [a-z]*) [ \"$noun\" != completion ] ;; *) false ;; "
		       "esac || verb=\n"
		       "  case $noun in status|ready|api|version|completion) verb= ;; esac\n"
		       "  \"$CTRLCTL\" $noun $verb --help | grep -q \"^usage: ctrlctl "
		       "$noun${verb:+ $verb}\" ||\n"
		       "    { echo \"no help: $noun $verb\"; exit 1; }\n"
		       "  \"$CTRLCTL\" $noun --help >/dev/null || { echo \"no help: $noun\"; "
		       "exit 1; }\n"
		       "  echo \"$noun $verb\"\n"
		       "done",
		       &output);
	assert_int_equal(output.status, 0);
	assert_non_null(strstr(output.out, "route update"));
	assert_non_null(strstr(output.out, "fn invoke"));
	assert_non_null(strstr(output.out, "config set"));
	assert_non_null(strstr(output.out, "ready"));
	ctl_test_run(test, "--version", 0, &output);
	assert_non_null(strstr(output.out, WEIR_VERSION));
	ctl_test_run(test, "version -o json", 0, &output);
	assert_string_equal(output.out, "{\"version\":\"" WEIR_VERSION "\"}\n");
}

static void unreachable_instance_is_3_and_names_the_path_that_was_tried(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_run(test, "route list", 3, &output);
	assert_non_null(strstr(output.err, "/data/run/api.sock"));
	ctl_test_run(test, "status", 3, &output);
	ctl_test_run(test, "ready", 3, &output);
	ctl_test_run(test, "worker list", 3, &output);
	ctl_test_run(test, "fn invoke x", 3, &output);
	assert_non_null(strstr(output.err, "http.sock"));
	ctl_test_shell(test, "WEIR_DATA=/nonexistent/one \"$CTRLCTL\" route list", &output);
	assert_int_equal(output.status, 3);
	assert_non_null(strstr(output.err, "/nonexistent/one/run/api.sock"));
	ctl_test_shell(
		test,
		"WEIR_DATA=/nonexistent/one \"$CTRLCTL\" --data /nonexistent/two route list",
		&output);
	assert_non_null(strstr(output.err, "/nonexistent/two/run/api.sock"));
}

static void path_too_long_for_a_socket_is_said(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_shell(test, "\"$CTRLCTL\" --data \"/$(printf 'x%.0s' {1..120})\" route list",
		       &output);
	assert_int_equal(output.status, 2);
	assert_non_null(strstr(output.err, "107"));
}

static void routes_and_functions_end_in_their_exit_codes(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_run(test, "route add 'GET /x' --fn nobody", 5, &output);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 0, &output);
	assert_int_equal(sscanf(output.out, "generation %*u acked %*u/%*u in %*f ms"), 0);
	assert_non_null(strstr(output.out, " acked 3/3 in "));
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 6, &output);
	ctl_test_run(test, "fn add g --runtime exec --file /nonexistent", 7, &output);
	ctl_test_run(test, "fn add g --runtime cobol --file /bin/cat", 7, &output);
	ctl_test_run(test, "fn add g --runtime exec --file /bin/cat --timeout never", 7,
		     &output);
	ctl_test_run(test, "fn add 'a b/c/d' --runtime exec --file /bin/cat", 7, &output);
	ctl_test_run(test, "route add 'GET /x' --fn f", 0, &output);
	ctl_test_run(test, "route add 'GET /x' --fn f", 6, &output);
	ctl_test_run(test, "route add 'FETCH /x' --fn f", 7, &output);
	ctl_test_run(test, "route update 'GET /y' --fn f", 5, &output);
	ctl_test_run(test, "route update 'GET /x' --timeout 5s", 0, &output);
	ctl_test_run(test, "route get 'GET /x'", 0, &output);
	assert_non_null(strstr(output.out, "5000"));
	ctl_test_run(test, "fn rm f", 1, &output);
	assert_non_null(strstr(output.err, "GET /x"));
	ctl_test_run(test, "route rm 'GET /x'", 0, &output);
	ctl_test_run(test, "route rm GET /x", 5, &output);
	ctl_test_run(test, "fn rm f", 0, &output);
	ctl_test_run(test, "fn get f", 5, &output);
	ctl_test_stop(test);
}

static void saved_but_unacknowledged_is_9_and_the_change_is_there(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	atomic_store(&test->acknowledge, false);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat", 9, &output);
	assert_non_null(strstr(output.err, "saved"));
	ctl_test_run(test, "fn get f", 0, &output);
	atomic_store(&test->acknowledge, true);
	ctl_test_run(test, "fn rm f", 0, &output);
	ctl_test_stop(test);
}

static void settings_are_read_changed_and_checked(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_run(test, "config get head_timeout_ms", 0, &output);
	assert_string_equal(output.out, "10s\n");
	ctl_test_run(test, "config set head_timeout_ms 250ms", 0, &output);
	ctl_test_run(test, "config get head_timeout", 0, &output);
	assert_string_equal(output.out, "250ms\n");
	ctl_test_run(test, "config set body_bytes_max 1M", 0, &output);
	ctl_test_run(test, "config list", 0, &output);
	assert_non_null(strstr(output.out, "1 MiB"));
	ctl_test_run(test, "config set body_bytes_max much", 7, &output);
	ctl_test_run(test, "config set headers_max 101", 7, &output);
	ctl_test_run(test, "config set pool.workers_min 100", 7, &output);
	ctl_test_run(test, "config set nonsense 1", 5, &output);
	ctl_test_run(test, "config unset head_timeout_ms", 0, &output);
	ctl_test_run(test, "config get head_timeout_ms", 0, &output);
	assert_string_equal(output.out, "10s\n");
	ctl_test_stop(test);
}

static void pipes_get_no_colours_and_no_control_characters(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_shell(test,
		       "printf \"INSERT INTO functions (k, v) VALUES ('evil' || char(27) || "
		       "'[31m', 'x');\" | "
		       "sqlite3 \"$DATA/faas_meta.db\"",
		       &output);
	assert_int_equal(output.status, 0);
	CTL_TEST_UNTIL((ctl_test_run(test, "route list", 0, &output),
			strstr(output.out, "evil") != NULL));
	assert_null(strchr(output.out, '\033'));
	ctl_test_run(test, "status", 0, &output);
	assert_null(strchr(output.out, '\033'));
	assert_non_null(strstr(output.out, "evil"));
	/* A terminal gets colours, unless it asks for none. */
	ctl_test_shell(
		test,
		"command -v script >/dev/null || exit 0; TERM=xterm script -qec "
		"\"$CTRLCTL --data $DATA route list\" /dev/null | grep -q $'\\033\\\\[1m' && "
		"! NO_COLOR=1 TERM=xterm script -qec \"$CTRLCTL --data $DATA route list\" "
		"/dev/null | "
		"grep -q $'\\033\\\\['",
		&output);
	assert_int_equal(output.status, 0);
	ctl_test_stop(test);
}

static void completion_is_sound_and_offers_what_the_table_has(void **state)
{
	static const char ask[] = "source <(\"$CTRLCTL\" completion bash); offer() { "
				  "COMP_WORDS=(\"$CTRLCTL\" \"$@\"); "
				  "COMP_CWORD=$#; _ctrlctl; echo \"${COMPREPLY[*]}\"; }; ";
	struct ctl_test *test = *state;
	char command[1024];

	ctl_test_shell(test, "\"$CTRLCTL\" completion bash | bash -n", &output);
	assert_int_equal(output.status, 0);
	assert_string_equal(output.err, "");
	(void)snprintf(
		command, sizeof(command),
		"%s offer rou; offer route a; offer route add x --f; offer -o j; offer fn ''",
		ask);
	ctl_test_shell(test, command, &output);
	assert_string_equal(output.err, "");
	assert_string_equal(output.out,
			    "route\nadd\n--fn\njson\n--help add list get rm init deploy set versions rollback scale "
			    "env invoke logs\n");
	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add thumbs --runtime exec --file /bin/cat", 0, &output);
	(void)snprintf(command, sizeof(command),
		       "%s offer --data \"$DATA\" fn get default/t; offer --data \"$DATA\" "
		       "config get head_t",
		       ask);
	ctl_test_shell(test, command, &output);
	assert_string_equal(output.out, "default/thumbs\nhead_timeout_ms\n");
	ctl_test_stop(test);
}

/* The board as a supervisor fills it. */
static struct weir_board *board_make(int *out_fd)
{
	struct weir_board *board = NULL;

	assert_int_equal(weir_fd_create_shared("board", sizeof(*board), out_fd), 0);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, *out_fd, 0);
	assert_ptr_not_equal(board, MAP_FAILED);
	board->magic = WEIR_BOARD_MAGIC;
	board->abi_major = WEIR_ABI_MAJOR;
	board->shard_count = 2;
	board->node_count = 1;
	board->bytes = sizeof(*board);
	board->started_ns = 1;
	board->generation = 7;
	board->segments = 4;
	board->process_count = 3;
	board->process[0] = (struct weir_board_process){.kind = WEIR_PROCESS_GATEWAY,
							.state = WEIR_PROCESS_READY,
							.pid = 111,
							.started_ns = 1};
	board->process[1] = (struct weir_board_process){.kind = WEIR_PROCESS_CTRLD,
							.state = WEIR_PROCESS_READY,
							.pid = 112,
							.started_ns = 1};
	board->process[2] = (struct weir_board_process){.kind = WEIR_PROCESS_WORKER,
							.state = WEIR_PROCESS_BACKOFF,
							.runtime = 1,
							.pool_key = 5,
							.space = "blue"};
	(void)snprintf(board->missing, sizeof(board->missing),
		       "cgroups: no rights\nsomething else");
	board->process[2].load_source = WEIR_LOAD_SOURCE_PROBES;
	board->process[2].load[WEIR_LOAD_ON_CPU_NS] = 2500000000;
	board->load_source = WEIR_LOAD_SOURCE_PROBES;
	(void)snprintf(board->load, sizeof(board->load), "eBPF probes in the kernel");
	board->shard[0].metric[WEIR_METRIC_requests] = 40;
	board->shard[1].metric[WEIR_METRIC_requests] = 2;
	return board;
}

static void status_shows_every_metric_process_and_what_is_missing(void **state)
{
	struct ctl_test *test = *state;
	int fd = -1;
	struct weir_board *board = board_make(&fd);
	const pid_t child = ctl_test_board_serve(test, fd, 3);

	ctl_test_run(test, "status", 0, &output);
	assert_non_null(strstr(output.out, "cgroups: no rights"));
	assert_non_null(strstr(output.out, "something else"));
	assert_non_null(strstr(output.out, "load: eBPF probes in the kernel (1 workers by probes, 0 by clocks"));
	assert_non_null(strstr(output.out, "gateway"));
	assert_non_null(strstr(output.out, "control process does not answer"));
	ctl_test_run(test, "status -o json", 0, &output);
#define WEIR_METRIC(name, kind, unit, help) \
	assert_non_null(strstr(output.out, "\"" #name "\""));
#include "dataplane/abi/metrics.def"
#undef WEIR_METRIC
	assert_non_null(strstr(output.out, "\"requests\":\t42"));
	assert_non_null(strstr(output.out, "\"requests\":\t40"));
	assert_non_null(strstr(output.out, "\"backoff\""));
	assert_non_null(strstr(output.out, "\"on-cpu_ns\":\t2500000000"));
	ctl_test_run(test, "worker list", 0, &output);
	assert_non_null(strstr(output.out, "blue"));
	board_stop(child);
	assert_int_equal(munmap(board, sizeof(*board)), 0);
	weir_fd_close(&fd);
}

static void board_that_makes_no_sense_is_refused(void **state)
{
	struct ctl_test *test = *state;
	int fd = -1;
	struct weir_board *board = board_make(&fd);
	pid_t child = -1;

	board->process_count = WEIR_BOARD_PROCESSES_MAX + 1;
	child = ctl_test_board_serve(test, fd, 1);
	ctl_test_run(test, "worker list", 1, &output);
	board_stop(child);
	board->process_count = 3;
	board->magic = 1;
	child = ctl_test_board_serve(test, fd, 1);
	ctl_test_run(test, "worker list", 1, &output);
	board_stop(child);
	board->magic = WEIR_BOARD_MAGIC;
	board->change = 1; /* its writer died in the middle */
	child = ctl_test_board_serve(test, fd, 1);
	ctl_test_run(test, "worker list", 3, &output);
	board_stop(child);
	/* Something that is not a board at all. */
	weir_fd_close(&fd);
	assert_int_equal(weir_fd_create_shared("small", 4096, &fd), 0);
	child = ctl_test_board_serve(test, fd, 1);
	ctl_test_run(test, "worker list", 1, &output);
	board_stop(child);
	assert_int_equal(munmap(board, sizeof(*board)), 0);
	weir_fd_close(&fd);
}

static void ready_asks_for_gateway_control_generation_and_workers(void **state)
{
	struct ctl_test *test = *state;
	int fd = -1;
	struct weir_board *board = board_make(&fd);
	pid_t child = -1;

	ctl_test_start(test, -1);
	child = ctl_test_board_serve(test, fd, 4);
	ctl_test_run(test, "ready", 1, &output);
	assert_non_null(strstr(output.err, "no worker of blue/native"));
	board->process[2].state = WEIR_PROCESS_READY;
	board->generation = 0;
	ctl_test_run(test, "ready", 1, &output);
	assert_non_null(strstr(output.err, "generation 1"));
	board->generation = 1;
	board->process[0].state = WEIR_PROCESS_STARTING;
	ctl_test_run(test, "ready", 1, &output);
	assert_non_null(strstr(output.err, "gateway"));
	board->process[0].state = WEIR_PROCESS_READY;
	ctl_test_run(test, "ready --wait 5s", 0, &output);
	assert_string_equal(output.out, "ready\n");
	board_stop(child);
	ctl_test_stop(test);
	assert_int_equal(munmap(board, sizeof(*board)), 0);
	weir_fd_close(&fd);
}

static void route_test_explains_without_calling(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_run(test, "fn add f --runtime exec --file /bin/cat --timeout 3s", 0, &output);
	ctl_test_run(test, "route add 'GET /img/{id}' --fn f --host h.example", 0, &output);
	ctl_test_run(test, "route test 'GET /img/7?x=1' --host H.example:8080", 0, &output);
	assert_non_null(strstr(output.out, "/img/{id}"));
	assert_non_null(strstr(output.out, "parameters.id  7"));
	assert_non_null(strstr(output.out, "3000"));
	ctl_test_run(test, "route test 'GET /img/7'", 5, &output);
	ctl_test_run(test, "route test 'POST /img/7' --host h.example", 5, &output);
	assert_non_null(strstr(output.err, "GET"));
	ctl_test_run(test, "route test 'GET /../x'", 7, &output);
	ctl_test_stop(test);
}

/* The whole way of code: detected, uploaded, a version, another one, back. */
static void deploying_makes_versions_that_can_be_listed_and_rolled_back(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_shell(test,
		       "mkdir -p hello/lib hello/.git && echo '#!/bin/cat' >hello/bootstrap && "
		       "chmod +x hello/bootstrap && echo x >hello/lib/data && ln -s lib/data hello/link && "
		       "echo secret >hello/.git/config && printf '#!/bin/sh\\necho two\\n' >two.sh",
		       &output);
	assert_int_equal(output.status, 0);
	ctl_test_run(test, "fn deploy hello --no-trial", 0, &output);
	assert_non_null(strstr(output.out, "default/hello version 1 serves (exec)\ngeneration "));
	assert_string_equal(output.err, ""); /* no bar: this is no terminal */
	ctl_test_run(test, "fn deploy ./hello/ --no-trial --timeout 5s -o json", 0, &output);
	assert_non_null(strstr(output.out, "\"number\":\t2"));
	ctl_test_run(test, "fn deploy two.sh --no-trial --name hello", 0, &output);
	ctl_test_run(test, "fn get hello", 0, &output);
	assert_non_null(strstr(output.out, "/two.sh"));
	assert_non_null(strstr(output.out, "timeout  5s")); /* stays */
	ctl_test_run(test, "fn versions hello", 0, &output);
	assert_non_null(strstr(output.out, "3 serves"));
	assert_non_null(strstr(output.out, "/bootstrap"));
	ctl_test_run(test, "fn rollback hello", 0, &output);
	assert_non_null(strstr(output.out, "version 2 serves"));
	ctl_test_run(test, "fn rollback hello 1", 0, &output);
	ctl_test_run(test, "fn rollback hello 1", 6, &output);
	ctl_test_run(test, "fn rollback hello 9", 5, &output);
	ctl_test_run(test, "fn rollback hello x", 7, &output);
	ctl_test_run(test, "fn versions nobody", 5, &output);
	/* Equal folders are one: of both uploads there is one, and nothing that git keeps. */
	ctl_test_shell(test,
		       "cd data/code && [ $(ls | wc -l) = 2 ] && [ -e */lib/data ] && [ -L */link ] && "
		       "! [ -e */.git ]",
		       &output);
	assert_int_equal(output.status, 0);
	ctl_test_stop(test);
}

static void deployments_that_cannot_be_are_refused(void **state)
{
	struct ctl_test *test = *state;

	ctl_test_start(test, -1);
	ctl_test_shell(test, "mkdir -p none bad && touch empty.py && ln -s /etc/passwd bad/index.js && "
			     "echo hello >notes.txt",
		       &output);
	ctl_test_run(test, "fn deploy missing.py", 7, &output);
	ctl_test_run(test, "fn deploy empty.py", 7, &output);
	ctl_test_run(test, "fn deploy none", 7, &output);
	assert_non_null(strstr(output.err, "empty"));
	ctl_test_run(test, "fn deploy bad", 7, &output);
	assert_non_null(strstr(output.err, "leads out"));
	ctl_test_run(test, "fn deploy notes.txt", 7, &output);
	assert_non_null(strstr(output.err, "--runtime"));
	ctl_test_shell(test, "mkdir two && touch two/a.rb two/b.rb", &output);
	ctl_test_run(test, "fn deploy two --runtime ruby", 7, &output);
	assert_non_null(strstr(output.err, "is 'ruby'; known are native, c,"));
	ctl_test_run(test, "fn list", 0, &output);
	assert_null(strstr(output.out, "notes"));
	ctl_test_stop(test);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, ctl_test_setup, ctl_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usage_errors_exit_with_2_and_a_hint),
		TEST(help_works_on_every_level),
		TEST(unreachable_instance_is_3_and_names_the_path_that_was_tried),
		TEST(path_too_long_for_a_socket_is_said),
		TEST(routes_and_functions_end_in_their_exit_codes),
		TEST(saved_but_unacknowledged_is_9_and_the_change_is_there),
		TEST(settings_are_read_changed_and_checked),
		TEST(pipes_get_no_colours_and_no_control_characters),
		TEST(completion_is_sound_and_offers_what_the_table_has),
		TEST(status_shows_every_metric_process_and_what_is_missing),
		TEST(board_that_makes_no_sense_is_refused),
		TEST(ready_asks_for_gateway_control_generation_and_workers),
		TEST(route_test_explains_without_calling),
		TEST(deploying_makes_versions_that_can_be_listed_and_rolled_back),
		TEST(deployments_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
