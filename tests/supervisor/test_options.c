#include "dataplane/supervisor/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct weir_options options;
static char problem[WEIR_OPTIONS_PROBLEM_BYTES];

static int parse(const char *a, const char *b, const char *c, const char *d)
{
	const char *const arguments[] = {"weir-keeper", a, b, c, d};
	char *argv[5];
	int argc = 1;

	problem[0] = '\0';
	for (int i = 0; i < 5; i++)
		argv[i] = (char *)(uintptr_t)arguments[i]; /* parse writes to none of them */
	while (argc < 5 && arguments[argc] != NULL)
		argc++;
	return weir_options_parse(argc, argv, &options, problem);
}

static void without_arguments_there_are_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(options.listen_count, 1);
	assert_string_equal(options.listen[0].text, "127.0.0.1:8080");
	assert_true(options.data[0] == '/');
	assert_int_equal(options.shard_count, 0);
	assert_int_equal(options.cpu_count, 0);
}

static void options_take_their_value_apart_or_joined(void **state)
{
	(void)state;
	assert_int_equal(parse("--data", "/x", "--shards=3", "--cpus=1"), 0);
	assert_string_equal(options.data, "/x");
	assert_int_equal(options.shard_count, 3);
	assert_int_equal(options.cpu_count, 1);
	assert_int_equal(options.sandbox, WEIR_OPTIONS_SANDBOX_ON);
	assert_true(options.probes);
	assert_int_equal(parse("--probes", "off", NULL, NULL), 0);
	assert_false(options.probes);
	assert_true(options.numa);
	assert_int_equal(parse("--numa=off", NULL, NULL, NULL), 0);
	assert_false(options.numa);
	assert_int_equal(parse("--sandbox", "off", NULL, NULL), 0);
	assert_int_equal(options.sandbox, WEIR_OPTIONS_SANDBOX_OFF);
	assert_int_equal(parse("--sandbox=required", NULL, NULL, NULL), 0);
	assert_int_equal(options.sandbox, WEIR_OPTIONS_SANDBOX_REQUIRED);
	assert_int_equal(parse("--help", NULL, NULL, NULL), 0);
	assert_true(options.help);
	assert_non_null(strstr(weir_options_usage(), "--listen"));
}

static void wrong_options_say_which_and_why(void **state)
{
	(void)state;
	assert_int_equal(parse("--daat", "/x", NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "--daat"));
	assert_int_equal(parse("--data", NULL, NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "--data needs a value"));
	assert_int_equal(parse("--data=", NULL, NULL, NULL), -EINVAL);
	assert_int_equal(parse("--shards", "0", NULL, NULL), -EINVAL);
	assert_int_equal(parse("--shards", "65", NULL, NULL), -EINVAL);
	assert_int_equal(parse("--shards", "two", NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "two"));
	assert_int_equal(parse("--probes", "maybe", NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "--probes maybe"));
	assert_int_equal(parse("--sandbox", "maybe", NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "--sandbox maybe"));
	assert_int_equal(parse("--cpus", "x", NULL, NULL), -EINVAL);
	assert_int_equal(parse("--numa", "perhaps", NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "--numa perhaps: give on or off"));
	assert_int_equal(parse("--listen", "8080", NULL, NULL), -EINVAL);
	assert_non_null(strstr(problem, "8080"));
	assert_int_equal(parse("--listen", "127.0.0.1:1", "--listen", "127.0.0.1:1"), -EINVAL);
	assert_non_null(strstr(problem, "twice"));
}

static void more_addresses_than_fit_are_refused(void **state)
{
	char text[WEIR_OPTIONS_LISTEN_MAX + 1][32];
	char *argv[WEIR_OPTIONS_LISTEN_MAX + 2];

	(void)state;
	argv[0] = text[0];
	for (int i = 0; i <= WEIR_OPTIONS_LISTEN_MAX; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "--listen=127.0.0.1:%d", 9000 + i);
		argv[i + 1] = text[i];
	}
	assert_int_equal(weir_options_parse(WEIR_OPTIONS_LISTEN_MAX + 1, argv, &options, problem), 0);
	assert_int_equal(weir_options_parse(WEIR_OPTIONS_LISTEN_MAX + 2, argv, &options, problem), -EINVAL);
}

static void addresses_are_numeric_with_a_port(void **state)
{
	static const char *const wrong[] = {"",	  ":",	     "127.0.0.1",      "127.0.0.1:",	  "127.0.0.1:0",
					    ":80", "1.2.3:1", "127.0.0.1:65536", "127.0.0.1:8080x", "::1:80",
					    "[::1]", "[::g]:1", "localhost:80",	 "127.0.0.1:-1",    "[]:80"};
	struct weir_listen_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(weir_options_listen_parse(wrong[i], &address), -EINVAL);
	assert_int_equal(weir_options_listen_parse("0.0.0.0:65535", &address), 0);
	assert_int_equal(address.socket.any.sa_family, AF_INET);
	assert_int_equal(ntohs(address.socket.ipv4.sin_port), 65535);
	assert_int_equal(weir_options_listen_parse("[::1]:8080", &address), 0);
	assert_int_equal(address.socket.any.sa_family, AF_INET6);
	assert_int_equal(ntohs(address.socket.ipv6.sin6_port), 8080);
	assert_string_equal(address.text, "[::1]:8080");
}

static void data_directory_is_made_private_and_absolute(void **state)
{
	char home[] = "/tmp/it-weir-options-XXXXXX";
	char path[PATH_MAX];
	struct stat status;

	(void)state;
	assert_non_null(mkdtemp(home));
	(void)snprintf(options.data, sizeof(options.data), "%s/a/../b/c", home);
	(void)snprintf(path, sizeof(path), "%s/a", home);
	assert_int_equal(weir_options_data_open(&options, problem), 0);
	(void)snprintf(path, sizeof(path), "%s/b/c", home);
	assert_string_equal(options.data, path);
	(void)snprintf(path, sizeof(path), "%s/b/c/run", home);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	(void)snprintf(options.data, sizeof(options.data), "%s/b/c", home);
	assert_int_equal(weir_options_data_open(&options, problem), 0); /* again */
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/b/c", home);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/b", home);
	(void)rmdir(path);
	(void)snprintf(path, sizeof(path), "%s/a", home);
	(void)rmdir(path);
	(void)rmdir(home);
}

static void unusable_data_directories_are_named(void **state)
{
	char long_path[PATH_MAX] = "/tmp/it-weir-long";

	(void)state;
	(void)strcpy(options.data, "/dev/null/x");
	assert_int_equal(weir_options_data_open(&options, problem), -ENOTDIR);
	assert_non_null(strstr(problem, "/dev/null/x"));
	memset(long_path + strlen(long_path), 'x', 90);
	(void)strcpy(options.data, long_path);
	assert_int_equal(weir_options_data_open(&options, problem), -ENAMETOOLONG);
	assert_non_null(strstr(problem, "too long"));
	(void)strcat(long_path, "/run");
	(void)rmdir(long_path);
	long_path[strlen(long_path) - 4] = '\0';
	(void)rmdir(long_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_arguments_there_are_defaults),
		cmocka_unit_test(options_take_their_value_apart_or_joined),
		cmocka_unit_test(wrong_options_say_which_and_why),
		cmocka_unit_test(more_addresses_than_fit_are_refused),
		cmocka_unit_test(addresses_are_numeric_with_a_port),
		cmocka_unit_test(data_directory_is_made_private_and_absolute),
		cmocka_unit_test(unusable_data_directories_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
