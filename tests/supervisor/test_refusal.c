/* What can't work is said in one clear line, and nothing is left of the attempt. */
#include "tests/supervisor/instance.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct instance instance;
static const char *bin_directory;

/* Run weir-keeper with the test's data directory and `arguments`; its output goes to `out_text`. */
static int keeper_run(const char *arguments, char *out_text, size_t bytes)
{
	char command[4096];
	size_t used = 0;
	FILE *output = NULL;
	int status = 0;

	(void)snprintf(command, sizeof(command), "WEIR_LOG=error WEIR_LIBEXEC=%s/libexec %s/weir-keeper --data %s %s 2>&1",
		       instance.home, bin_directory, instance.data, arguments);
	output = popen(command, "re");
	assert_non_null(output);
	used = fread(out_text, 1, bytes - 1, output);
	out_text[used] = '\0';
	status = pclose(output);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void assert_one_line(const char *text, const char *part, const char *other_part)
{
	if (strncmp(text, "error: ", 7) != 0 || strstr(text, part) == NULL || strstr(text, other_part) == NULL ||
	    strchr(text, '\n') != text + strlen(text) - 1)
		fail_msg("not one clear line about '%s' and '%s': %s", part, other_part, text);
}

static int setup(void **state)
{
	(void)state;
	instance_open(&instance);
	return 0;
}

static void port_in_use_is_one_line_even_if_the_other_shares_it(void **state)
{
	char text[4096];
	char arguments[64];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)instance.port)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	(void)snprintf(arguments, sizeof(arguments), "--listen 127.0.0.1:%d", instance.port);
	assert_int_equal(keeper_run(arguments, text, sizeof(text)), 1);
	assert_one_line(text, "address already in use", "--listen");
	(void)close(fd);
	instance_close(&instance);
}

static void address_of_nobody_is_one_line(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(keeper_run("--listen 192.0.2.1:8080", text, sizeof(text)), 1);
	assert_one_line(text, "192.0.2.1:8080", "no interface");
	instance_close(&instance);
}

static void second_instance_on_the_same_data_names_the_first(void **state)
{
	char text[4096];
	char pid[32];

	(void)state;
	instance_start(&instance);
	instance_wait_ready(&instance, 1, 1);
	(void)snprintf(pid, sizeof(pid), "process %d", (int)instance.keeper);
	assert_int_equal(keeper_run("--listen 127.0.0.1:8081", text, sizeof(text)), 1);
	assert_one_line(text, "already runs", pid);
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

static void missing_program_is_named(void **state)
{
	char text[4096];
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/libexec/weir-ctrld", instance.home);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "--listen 127.0.0.1:%d", instance.port);
	assert_int_equal(keeper_run(path, text, sizeof(text)), 1);
	assert_one_line(text, "weir-ctrld", "install");
	instance_close(&instance);
}

static void usage_errors_exit_with_two(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(keeper_run("--listen nonsense", text, sizeof(text)), 2);
	assert_one_line(text, "nonsense", "ADDR:PORT");
	assert_int_equal(keeper_run("--help", text, sizeof(text)), 0);
	assert_non_null(strstr(text, "usage:"));
	instance_close(&instance);
}

static void supervisor_alone_says_who_starts_it(void **state)
{
	char command[4096];
	char text[1024] = {0};
	FILE *output = NULL;
	int status = 0;

	(void)state;
	(void)snprintf(command, sizeof(command), "%s/weir-supervisor --data %s 2>&1 3>&-", bin_directory,
		       instance.data);
	output = popen(command, "re");
	assert_non_null(output);
	(void)fread(text, 1, sizeof(text) - 1, output);
	status = pclose(output);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_one_line(text, "weir-keeper", "hand");
	instance_close(&instance);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(port_in_use_is_one_line_even_if_the_other_shares_it, setup),
		cmocka_unit_test_setup(address_of_nobody_is_one_line, setup),
		cmocka_unit_test_setup(second_instance_on_the_same_data_names_the_first, setup),
		cmocka_unit_test_setup(missing_program_is_named, setup),
		cmocka_unit_test_setup(usage_errors_exit_with_two, setup),
		cmocka_unit_test_setup(supervisor_alone_says_who_starts_it, setup),
	};

	if (argc != 3) {
		(void)fprintf(stderr, "usage: test_supervisor_refusal BIN_DIRECTORY FAKE_PROCESS\n");
		return 2;
	}
	bin_directory = argv[1];
	instance_programs(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
