#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dataplane/base/log.h"
#include "tests/base/base_test.h"

static void text_matches(const char *text, const char *pattern)
{
	regex_t expression;

	assert_int_equal(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&expression, text, 0, NULL, 0) != 0)
		fail_msg("'%s' does not match '%s'", text, pattern);
	regfree(&expression);
}

static void say_listening(void *argument)
{
	(void)argument;
	(void)unsetenv("WEIR_LOG");
	weir_log_open("gateway/0");
	weir_log(WEIR_LOG_INFO, "listening", "address=%s shards=%d", "127.0.0.1:8080", 2);
	weir_log(WEIR_LOG_DEBUG, "hidden", "x=%d", 1);
	weir_log(WEIR_LOG_ERROR, "bare", "%s", "");
}

static void a_line_has_time_level_part_event_and_details(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(base_run_child(say_listening, NULL, text, sizeof(text)), 0);
	text_matches(text,
		     "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z info "
		     "gateway/0 listening address=127\\.0\\.0\\.1:8080 shards=2\n"
		     "[^ ]+ error gateway/0 bare\n$");
}

static void say_levels(void *argument)
{
	(void)setenv("WEIR_LOG", argument, 1);
	weir_log_open("x");
	weir_log(WEIR_LOG_DEBUG, "d", "%s", "");
	weir_log(WEIR_LOG_INFO, "i", "%s", "");
	weir_log(WEIR_LOG_WARN, "w", "%s", "");
	weir_log(WEIR_LOG_ERROR, "e", "%s", "");
}

static size_t lines_at(const char *level)
{
	char argument[16];
	char text[4096];
	size_t lines = 0;

	(void)strcpy(argument, level);
	assert_int_equal(base_run_child(say_levels, argument, text, sizeof(text)), 0);
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	return lines;
}

static void the_environment_sets_the_lowest_level_and_nonsense_means_info(void **state)
{
	(void)state;
	assert_int_equal(lines_at("debug"), 4);
	assert_int_equal(lines_at("info"), 3);
	assert_int_equal(lines_at("warn"), 2);
	assert_int_equal(lines_at("error"), 1);
	assert_int_equal(lines_at("loud"), 3);
}

static void say_forged(void *argument)
{
	(void)argument;
	weir_log_open("x");
	weir_log(WEIR_LOG_INFO, "request", "path=%s", "/a\nforged\r\x1b[31m\x7f");
}

static void control_characters_cannot_forge_a_second_line(void **state)
{
	char text[4096];

	(void)state;
	assert_int_equal(base_run_child(say_forged, NULL, text, sizeof(text)), 0);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "path=/a\\x0aforged\\x0d\\x1b[31m\\x7f\n"));
}

static void say_long(void *argument)
{
	char *details = malloc(100001);

	memset(details, argument != NULL ? '\n' : 'a', 100000);
	details[100000] = '\0';
	weir_log_open("a-part-name-that-is-longer-than-thirty-one-bytes");
	weir_log(WEIR_LOG_INFO, "long", "%s", details);
	free(details);
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
	char text[8192];

	(void)state;
	assert_int_equal(base_run_child(say_long, NULL, text, sizeof(text)), 0);
	assert_int_equal(strlen(text), 2000);
	assert_int_equal(text[1999], '\n');
	assert_int_equal(base_run_child(say_long, text, text, sizeof(text)), 0);
	assert_true(strlen(text) <= 2000);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

struct rotation {
	char path[64];
	int flags;
	int lines;
};

/* Log `lines` lines into the file, calling for a rotation at 1,000 bytes after each. */
static void say_and_rotate(void *argument)
{
	const struct rotation *rotation = argument;
	const int file = open(rotation->path, rotation->flags, 0600);

	(void)dup2(file, STDERR_FILENO);
	weir_log_open("x");
	for (int i = 0; i < rotation->lines; i++) {
		weir_log(WEIR_LOG_INFO, "line", "number=%d", i);
		if (weir_log_rotate(rotation->path, 1000) < 0)
			_exit(1);
	}
}

static size_t file_bytes(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static void rotation_start(struct rotation *rotation, int flags, int lines)
{
	char text[64];
	int file = -1;

	*rotation = (struct rotation){
		.path = "weir-test-log-XXXXXX", .flags = flags, .lines = lines};
	file = mkstemp(rotation->path);
	assert_true(file >= 0);
	(void)close(file);
	assert_int_equal(base_run_child(say_and_rotate, rotation, text, sizeof(text)), 0);
}

static void a_long_log_moves_aside_and_goes_on_empty(void **state)
{
	struct rotation rotation;
	char older[80];

	(void)state;
	rotation_start(&rotation, O_WRONLY | O_APPEND,
		       30); /* about 45 bytes each: one rotation */
	(void)snprintf(older, sizeof(older), "%s.1", rotation.path);
	assert_in_range(file_bytes(older), 1001, 1100);
	assert_in_range(file_bytes(rotation.path), 1, 999);
	assert_int_equal(unlink(older), 0);
	assert_int_equal(unlink(rotation.path), 0);
}

static void a_short_log_or_a_file_that_does_not_append_is_left_alone(void **state)
{
	struct rotation rotation;
	char older[80];

	(void)state;
	rotation_start(&rotation, O_WRONLY | O_APPEND, 3);
	assert_true(file_bytes(rotation.path) > 100);
	assert_int_equal(unlink(rotation.path), 0);
	rotation_start(&rotation, O_WRONLY, 30);
	(void)snprintf(older, sizeof(older), "%s.1", rotation.path);
	assert_true(file_bytes(rotation.path) > 1000);
	assert_int_equal(access(older, F_OK), -1);
	assert_int_equal(unlink(rotation.path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_part_event_and_details),
		cmocka_unit_test(the_environment_sets_the_lowest_level_and_nonsense_means_info),
		cmocka_unit_test(control_characters_cannot_forge_a_second_line),
		cmocka_unit_test(a_long_line_is_cut_and_still_ends),
		cmocka_unit_test(a_long_log_moves_aside_and_goes_on_empty),
		cmocka_unit_test(a_short_log_or_a_file_that_does_not_append_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
