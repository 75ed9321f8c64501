#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrlctl/yaml.h"
#include "tests/base/base_test.h"

enum { ROUNDS = 400, NODES_MAX = 60, LEVELS = 5 };

/* YAML becomes this JSON. */
static void reads(const char *text, const char *json)
{
	struct weir_ctl_yaml yaml = {.json = NULL};
	struct weir_ctl_yaml_error error = {.line = 0};
	char *printed = NULL;

	if (weir_ctl_yaml_read(text, strlen(text), &yaml, &error) != 0)
		fail_msg("%zu:%zu: %s in:\n%s", error.line, error.column, error.reason, text);
	printed = yaml.json == NULL ? strdup("nothing") : cJSON_PrintUnformatted(yaml.json);
	assert_string_equal(printed, json);
	cJSON_free(printed);
	weir_ctl_yaml_release(&yaml);
}

/* It is refused, there, and the reason holds this. */
static void refuses_bytes(const char *text, size_t bytes, size_t line, size_t column, const char *reason)
{
	struct weir_ctl_yaml yaml = {.json = NULL};
	struct weir_ctl_yaml_error error = {.line = 0};

	assert_true(weir_ctl_yaml_read(text, bytes, &yaml, &error) != 0);
	weir_ctl_yaml_release(&yaml);
	if (strstr(error.reason, reason) == NULL)
		fail_msg("'%s' does not say '%s'", error.reason, reason);
	if (error.line != line || error.column != column)
		fail_msg("'%s' is said of %zu:%zu", error.reason, error.line, error.column);
}

static void refuses(const char *text, size_t line, size_t column, const char *reason)
{
	refuses_bytes(text, strlen(text), line, column, reason);
}

static void values_have_the_types_of_json(void **state)
{
	(void)state;
	reads("a: 1\nb: -2.5e3\nc: true\nd: null\ne: ~\nf:\ng: false\n",
	      "{\"a\":1,\"b\":-2500,\"c\":true,\"d\":null,\"e\":null,\"f\":null,\"g\":false}");
	reads("[yes, on, 010, 0x1f, .5, +1, 1_000, 5s, 2026-01-01, '1', \"true\"]",
	      "[\"yes\",\"on\",\"010\",\"0x1f\",\".5\",\"+1\",\"1_000\",\"5s\",\"2026-01-01\",\"1\",\"true\"]");
	reads("a: |\n  two\n  lines\nb: >-\n  one\n  line\n", "{\"a\":\"two\\nlines\\n\",\"b\":\"one line\"}");
	reads("{\"weir\": 1,\n\t\"x\":[{\"y\":\"\\u00e9\\/\"},[]]}", "{\"weir\":1,\"x\":[{\"y\":\"é/\"},[]]}");
	reads("# nothing\n", "nothing");
	reads("{}", "{}");
}

static void what_makes_another_document_is_refused(void **state)
{
	(void)state;
	refuses("a: &x 1\nb: *x\n", 1, 4, "anchors");
	refuses("a: *x\n", 1, 4, "aliases");
	refuses("a: !!str 1\n", 1, 4, "tags");
	refuses("- !ruby/object {}\n", 1, 3, "tags");
	refuses("a: 1\n---\nb: 2\n", 2, 1, "second document");
	refuses("a: 1\nb:\n  c: 1\n  c: 2\n", 4, 3, "'c' is given twice");
	refuses("? [a]\n: 1\n", 1, 3, "a name must be text");
	refuses("? {a: 1}\n: 1\n", 1, 3, "a name must be text");
}

static void what_is_no_yaml_is_refused_where_it_stands(void **state)
{
	static const char invalid[] = "a: 1\nb: \"x\xff\"\n";

	(void)state;
	refuses("a: [1\nb: 2\n", 2, 2, "did not find expected");
	refuses("a: b: c\n", 1, 5, "mapping values are not allowed");
	refuses_bytes(invalid, sizeof(invalid) - 1, 2, 6, "UTF-8");
	refuses("a: \"\\0\"\n", 1, 4, "\\0");
	refuses("\"\\0\": 1\n", 1, 1, "\\0");
	refuses("a: \x01\n", 1, 4, "control characters");
	refuses("a: \"\\ud800\"\n", 1, 7, "Unicode");
}

static void long_numbers_stay_as_they_are(void **state)
{
	static const char list[] = "[999999999999999,1e+308,0.1,1234567890123456789,-0.12345678901234567,100000000000000000000]";
	struct weir_ctl_yaml yaml = {.json = NULL};
	struct weir_ctl_yaml_error error;
	char *text = NULL;

	(void)state;
	reads(list, list);
	refuses("a: 1e999\n", 1, 4, "1e999");
	assert_int_equal(weir_ctl_yaml_read(list, strlen(list), &yaml, &error), 0);
	text = weir_ctl_yaml_write(yaml.json);
	assert_string_equal(text, "- 999999999999999\n- 1e+308\n- 0.1\n- 1234567890123456789\n- -0.12345678901234567\n"
				  "- 100000000000000000000\n");
	free(text);
	weir_ctl_yaml_release(&yaml);
}

static void size_and_depth_have_limits(void **state)
{
	char *text = malloc(WEIR_CTL_YAML_BYTES_MAX + 1);
	size_t used = 0;

	(void)state;
	assert_non_null(text);
	memset(text, '[', 100000);
	refuses_bytes(text, 100000, 1, WEIR_CTL_YAML_DEPTH_MAX + 1, "levels");
	memset(text, '#', WEIR_CTL_YAML_BYTES_MAX + 1);
	refuses_bytes(text, WEIR_CTL_YAML_BYTES_MAX + 1, 1, 1, "15 MiB");
	for (size_t i = 0; i <= WEIR_CTL_YAML_VALUES_MAX; i++)
		used += (size_t)sprintf(text + used, "%s", i == 0 ? "[" : i % 1000 == 0 ? "1,\n" : "1,");
	refuses_bytes(text, used, 1000, 1999, "1000000 values");
	used = 0;
	for (size_t i = 0; i <= WEIR_CTL_YAML_NAMES_MAX; i++)
		used += (size_t)sprintf(text + used, "a%zu: 1\n", i);
	refuses_bytes(text, used, WEIR_CTL_YAML_NAMES_MAX + 1, 1, "names");
	free(text);
}

static void places_are_found_or_what_is_around_them(void **state)
{
	static const char text[] = "weir: 1\nfunctions:\n- name: a\n- name: b\n  timeout: 5s\nsettings:\n  pool.workers_max: 3\n";
	static const struct {
		const char *place;
		size_t line;
		size_t column;
	} places[] = {
		{"functions[1].timeout", 5, 12}, {"functions[1].memory", 4, 3}, {"functions[7].x", 3, 1},
		{"settings.pool.workers_max", 7, 21}, {"settings.pool", 7, 3}, {"", 1, 1}, {"functions", 3, 1},
		{"functions[0].name.x[2]", 3, 9}, {"functions.name", 3, 1}, {"weir[0].x", 1, 7},
	};
	struct weir_ctl_yaml yaml = {.json = NULL};
	struct weir_ctl_yaml_error error;

	(void)state;
	assert_int_equal(weir_ctl_yaml_read(text, sizeof(text) - 1, &yaml, &error), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct weir_ctl_yaml_mark *mark = weir_ctl_yaml_place(&yaml, places[i].place);

		assert_non_null(mark);
		if (mark->line != places[i].line || mark->column != places[i].column)
			fail_msg("%s is at %zu:%zu", places[i].place, mark->line, mark->column);
	}
	weir_ctl_yaml_release(&yaml);
}

static void text_that_looks_like_something_else_is_quoted(void **state)
{
	static const char *const texts[] = {"yes", "5", "0x1f", "null", "", "~", "2026-01-01", "1e5", "- a", "a: b",
					    "#c", " x ", "'", "\"", "a\nb", "\t", "é", "&a", "*a", "!a", "5s", "=", "%"};
	static const char expected[] =
		"- 'yes'\n- '5'\n- '0x1f'\n- 'null'\n- ''\n- '~'\n- '2026-01-01'\n- '1e5'\n- '- a'\n- 'a: b'\n- '#c'\n"
		"- ' x '\n- ''''\n- '\"'\n- \"a\\nb\"\n- \"\\t\"\n- é\n- '&a'\n- '*a'\n- '!a'\n- 5s\n- '='\n- '%'\n";
	cJSON *list = cJSON_CreateArray();
	char *text = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(texts[i]));
	text = weir_ctl_yaml_write(list);
	assert_string_equal(text, expected);
	free(text);
	cJSON_Delete(list);
}

/* Anything */

static cJSON *text_make(void)
{
	static const char *const parts[] = {"a", "B", "7", " ", "\n", "\t", "'", "\"", "\\", "#", ":", "-", "{", "]", ",",
					    "é", "☃", "\xf0\x9f\x98\x80", "yes", "~", "&", "*", "!", "|", ">", "%", "@", "`",
					    "\x01", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", ".", "?"};
	char text[64] = "";
	const int count = rand() % 7;

	for (int i = 0; i < count; i++)
		strcat(text, parts[(size_t)rand() % (sizeof(parts) / sizeof(parts[0]))]);
	return cJSON_CreateString(text);
}

static cJSON *leaf_make(void)
{
	switch (rand() % 5) {
	case 0:
		return cJSON_CreateNumber(rand() % 2 == 0 ? rand() : (double)rand() / 1000 - 1e6);
	case 1:
		return cJSON_CreateBool(rand() % 2);
	case 2:
		return cJSON_CreateNull();
	default:
		return text_make();
	}
}

/* A random document: nodes are hung onto random open ones. */
static cJSON *document_make(void)
{
	cJSON *open[NODES_MAX] = {cJSON_CreateObject()};
	int level[NODES_MAX] = {0};
	size_t count = 1;
	const int nodes = 1 + rand() % NODES_MAX;

	for (int i = 0; i < nodes; i++) {
		const size_t at = (size_t)rand() % count;
		const bool is_leaf = rand() % 3 != 0 || count == NODES_MAX || level[at] == LEVELS;
		cJSON *node = is_leaf ? leaf_make() : rand() % 2 == 0 ? cJSON_CreateArray() : cJSON_CreateObject();
		cJSON *start = text_make();
		char name[96];

		(void)snprintf(name, sizeof(name), "%s%d", start->valuestring, i);
		cJSON_Delete(start);
		if (cJSON_IsArray(open[at]))
			(void)cJSON_AddItemToArray(open[at], node);
		else
			(void)cJSON_AddItemToObject(open[at], name, node);
		if (!is_leaf) {
			level[count] = level[at] + 1;
			open[count++] = node;
		}
	}
	return open[0];
}

static void what_is_written_reads_back_as_the_same(void **state)
{
	const char *given = getenv("WEIR_TEST_SEED");
	const unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < ROUNDS; i++) {
		cJSON *json = document_make();
		char *before = cJSON_PrintUnformatted(json);
		char *text = weir_ctl_yaml_write(json);

		assert_non_null(text);
		reads(text, before);
		cJSON_free(before);
		free(text);
		cJSON_Delete(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_the_types_of_json),
		cmocka_unit_test(what_makes_another_document_is_refused),
		cmocka_unit_test(what_is_no_yaml_is_refused_where_it_stands),
		cmocka_unit_test(long_numbers_stay_as_they_are),
		cmocka_unit_test(size_and_depth_have_limits),
		cmocka_unit_test(places_are_found_or_what_is_around_them),
		cmocka_unit_test(text_that_looks_like_something_else_is_quoted),
		cmocka_unit_test(what_is_written_reads_back_as_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
