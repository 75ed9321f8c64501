/* What the sandbox's steps promise by themselves; whole workers are attacked in tests/runtime/sandbox.py. */
#include "dataplane/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/sandbox/layers.h"

static const struct weir_sandbox_profile least = {.flags = 0};

/* Run `step` in a child: what it returned. */
static int in_child(int (*step)(void))
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(step());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_plan_survives_being_an_argument(void **state)
{
	const struct weir_sandbox_plan plan = {.layers = WEIR_SANDBOX_LAYERS_ALL};
	struct weir_sandbox_plan read = {.layers = 0};
	char text[WEIR_SANDBOX_PLAN_BYTES];

	(void)state;
	weir_sandbox_plan_format(&plan, text);
	assert_int_equal(weir_sandbox_plan_parse(text, &read), 0);
	assert_memory_equal(&plan, &read, sizeof(plan));
}

static void a_plan_that_is_none_is_refused(void **state)
{
	struct weir_sandbox_plan plan = {.layers = 77};

	(void)state;
	assert_int_equal(weir_sandbox_plan_parse("--version", &plan), -EINVAL);
	assert_int_equal(weir_sandbox_plan_parse(WEIR_SANDBOX_ARGUMENT, &plan), -EINVAL);
	assert_int_equal(weir_sandbox_plan_parse(WEIR_SANDBOX_ARGUMENT "ffffffff", &plan), -EINVAL);
	assert_int_equal(weir_sandbox_plan_parse(WEIR_SANDBOX_ARGUMENT "1 more", &plan), -EINVAL);
	assert_int_equal(plan.layers, 77);
}

static void every_layer_is_there_or_missed_in_words(void **state)
{
	struct weir_sandbox_plan plan = {.layers = 0};
	char lacks[1024] = "unwritten";

	(void)state;
	assert_int_equal(weir_sandbox_probe(&plan, lacks, sizeof(lacks)), 0);
	assert_true((plan.layers == WEIR_SANDBOX_LAYERS_ALL) == (lacks[0] == '\0'));
	for (uint32_t i = 0; i < 32; i++)
		assert_true((weir_sandbox_layer_name(i) != NULL) ==
			    ((WEIR_SANDBOX_LAYERS_ALL & (UINT32_C(1) << i)) != 0));
}

static int unknown_call_step(void)
{
	static const int calls[] = {SYS_read, 100000};
	const struct weir_sandbox_profile profile = {.calls = calls, .call_count = 2};

	return weir_sandbox_seccomp_enter(&profile) == -EINVAL ? 0 : 1;
}

static void a_profile_with_an_unknown_call_is_refused(void **state)
{
	(void)state;
	assert_int_equal(in_child(unknown_call_step), 0);
}

static int named_call_step(void)
{
	static const int calls[] = {SYS_socket};
	const struct weir_sandbox_profile profile = {.calls = calls, .call_count = 1};
	int before = 0;

	if (weir_sandbox_seccomp_enter(&profile) != 0)
		return 77;
	before = socket(AF_UNIX, SOCK_STREAM, 0);
	return before != -1 && vfork() == -1 ? 0 : 1;
}

static void a_profile_adds_calls_and_nothing_else(void **state)
{
	(void)state;
	const int result = in_child(named_call_step);

	if (result == 77)
		skip();
	assert_int_equal(result, 0);
}

static int connect_step(void)
{
	const struct weir_sandbox_profile profile = {.flags = WEIR_SANDBOX_CONNECTS};
	struct sockaddr_un nobody = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
	int local = -1;

	if (weir_sandbox_seccomp_enter(&profile) != 0)
		return 77;
	local = socket(AF_UNIX, SOCK_STREAM, 0);
	if (local == -1 || socket(AF_INET, SOCK_STREAM, 0) != -1 || errno != EPERM)
		return 1;
	return connect(local, (const struct sockaddr *)&nobody, sizeof(nobody)) == -1 && errno == ENOENT ? 0 : 2;
}

static void a_profile_that_connects_gets_unix_sockets_only(void **state)
{
	(void)state;
	const int result = in_child(connect_step);

	if (result == 77)
		skip();
	assert_int_equal(result, 0);
}

static char inside[] = "/tmp/it-weir-sandbox-XXXXXX";

static int scratch_step(void)
{
	int fd = -1;

	if (weir_sandbox_landlock_enter(&least, inside) != 0)
		return 1;
	if (chdir(inside) != 0)
		return 2;
	fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1 || unlink("file") != 0)
		return 3;
	fd = open("/tmp/it-weir-outside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1 || errno != EACCES)
		return 4;
	return open("/dev/null", O_WRONLY | O_CLOEXEC) == -1 ? 5 : 0;
}

static void only_the_scratch_directory_takes_files(void **state)
{
	(void)state;
	if (weir_sandbox_landlock_version() == 0)
		skip();
	assert_non_null(mkdtemp(inside));
	assert_int_equal(in_child(scratch_step), 0);
	assert_int_equal(rmdir(inside), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_survives_being_an_argument),
		cmocka_unit_test(a_plan_that_is_none_is_refused),
		cmocka_unit_test(every_layer_is_there_or_missed_in_words),
		cmocka_unit_test(a_profile_with_an_unknown_call_is_refused),
		cmocka_unit_test(a_profile_adds_calls_and_nothing_else),
		cmocka_unit_test(a_profile_that_connects_gets_unix_sockets_only),
		cmocka_unit_test(only_the_scratch_directory_takes_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
