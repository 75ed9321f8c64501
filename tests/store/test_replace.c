#include "ctrl/store/store_replace.h"

#include <sys/stat.h>

#include "ctrl/store/store_alias.h"

#include "tests/store/store_test.h"

/* Two instances: what `theirs` has is put in place of what test->store has. */
struct two {
	struct store_test *ours;
	struct store_test *theirs;
	void *theirs_state;
};

static int setup(void **state)
{
	struct two *two = calloc(1, sizeof(*two));
	void *ours = NULL;

	if (two == NULL || store_test_setup(&ours) != 0 || store_test_setup(&two->theirs_state) != 0)
		return -1;
	two->ours = ours;
	two->theirs = two->theirs_state;
	*state = two;
	return weir_store_open(two->ours->store, true, &two->ours->error) != 0 ||
	       weir_store_open(two->theirs->store, true, &two->theirs->error) != 0;
}

static int teardown(void **state)
{
	struct two *two = *state;
	void *ours = two->ours;

	(void)store_test_teardown(&ours);
	(void)store_test_teardown(&two->theirs_state);
	free(two);
	return 0;
}

/* Version 1 of a function with parameters and a variable, and a route to it. */
static void function_make(struct store_test *test, const char *name, const char *parameters, const char *value)
{
	struct weir_model_function function = {.space = "default", .runtime = "js", .code_path = "/srv/x.js",
					       .timeout_ms = 1000, .memory_mb = 64, .queue_max = 10};
	struct weir_model_route route = {.methods = 2, .space = "default"};
	struct weir_store_variables variables = {.variable = {{.name = "V", .value = value, .bytes = strlen(value)}},
						 .count = 1};
	struct weir_model_details details = {.description = "it"};
	const struct weir_store_deployment deployment = {
		.code = "", .details = &details, .variables = &variables, .versions_max = 3};
	uint32_t number = 0;

	(void)strcpy(function.name, name);
	(void)strcpy(route.name, name);
	(void)snprintf(route.pattern, sizeof(route.pattern), "/%s/{id}", name);
	assert_int_equal(weir_model_parameters_read(&details, weir_span_of(parameters), NULL), 0);
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	weir_model_details_release(&details);
	assert_int_equal(weir_store_route_add(test->store, &route, &test->error), 0);
}

static struct weir_model_function function_of(struct store_test *test, const char *name)
{
	struct weir_model_function function = {0};

	assert_int_equal(weir_store_function_find(test->store, "default", name, &function, &test->error), 0);
	return function;
}

static void replace(struct two *two, bool dry_run, struct weir_store_difference parts[WEIR_STORE_PART_COUNT])
{
	struct weir_store_error error = {{0}};
	const int code = weir_store_replace(two->ours->store, two->theirs->directory, dry_run, parts, &error);

	if (code != 0)
		fail_msg("%d: %s", code, error.text);
}

static void assert_difference(const struct weir_store_difference *difference, uint32_t added, uint32_t changed,
			      uint32_t removed)
{
	assert_int_equal(difference->added, added);
	assert_int_equal(difference->changed, changed);
	assert_int_equal(difference->removed, removed);
}

static void what_both_have_is_not_touched(void **state)
{
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	struct weir_model_function before = {0};
	uint64_t generation = 0;

	function_make(two->theirs, "unlike", "{}", "x"); /* so that their ids are others */
	function_make(two->theirs, "same", "{\"a\":1}", "x");
	function_make(two->ours, "same", "{\"a\":1}", "x");
	function_make(two->ours, "gone", "{\"b\":2}", "x");
	before = function_of(two->ours, "same");
	generation = weir_store_generation(two->ours->store);
	replace(two, false, parts);
	assert_difference(&parts[WEIR_STORE_FUNCTIONS], 1, 0, 1);
	assert_difference(&parts[WEIR_STORE_ROUTES], 1, 0, 1);
	assert_difference(&parts[WEIR_STORE_VARIABLES], 1, 0, 1);
	assert_int_equal(function_of(two->ours, "same").id, before.id);
	assert_int_equal(function_of(two->ours, "same").version, before.version);
	assert_int_equal(function_of(two->ours, "same").details, before.details);
	assert_int_equal(weir_store_generation(two->ours->store), generation + 1);
	assert_int_equal(function_of(two->ours, "unlike").version, generation + 1);
}

static void same_again_makes_no_generation(void **state)
{
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	uint64_t generation = 0;

	function_make(two->theirs, "a", "{\"a\":1}", "x");
	replace(two, false, parts);
	generation = weir_store_generation(two->ours->store);
	replace(two, false, parts);
	for (int i = 0; i < WEIR_STORE_PART_COUNT; i++)
		assert_difference(&parts[i], 0, 0, 0);
	assert_int_equal(weir_store_generation(two->ours->store), generation);
}

static void look_changes_nothing(void **state)
{
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	struct weir_model_function function = {0};
	const uint64_t generation = weir_store_generation(two->ours->store);

	function_make(two->theirs, "a", "{\"a\":1}", "x");
	replace(two, true, parts);
	assert_difference(&parts[WEIR_STORE_FUNCTIONS], 1, 0, 0);
	assert_int_equal(weir_store_function_find(two->ours->store, "default", "a", &function, &two->ours->error), -ENOENT);
	assert_int_equal(weir_store_generation(two->ours->store), generation);
}

static int details_look(void *context, const struct weir_store_version *version)
{
	struct two *two = context;
	struct weir_model_details details = {.parameters = NULL};

	assert_int_equal(weir_store_details_get(two->ours->store, &version->function, &details, &two->ours->error), 0);
	assert_string_equal(details.parameters, version->number == 1 ? "{\"a\":1}" : "{\"a\":2}");
	weir_model_details_release(&details);
	return 0;
}

static void each_version_carries_what_it_did(void **state)
{
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	struct weir_model_details details = {.description = "it"};
	const struct weir_store_deployment deployment = {.code = "", .details = &details, .versions_max = 3};
	struct weir_model_function function = {0};
	uint32_t number = 0;

	function_make(two->theirs, "other", "{\"o\":1}", "x"); /* so that ids differ */
	function_make(two->theirs, "a", "{\"a\":1}", "x");
	function = function_of(two->theirs, "a");
	assert_int_equal(weir_model_parameters_read(&details, WEIR_SPAN("{\"a\":2}"), NULL), 0);
	assert_int_equal(weir_store_deploy(two->theirs->store, &function, &deployment, &number, &two->theirs->error), 0);
	weir_model_details_release(&details);
	function_make(two->ours, "b", "{\"b\":1}", "x");
	function_make(two->ours, "a", "{\"a\":1}", "x");
	replace(two, false, parts);
	assert_difference(&parts[WEIR_STORE_FUNCTIONS], 1, 1, 1);
	assert_difference(&parts[WEIR_STORE_VERSIONS], 2, 0, 1);
	assert_int_equal(weir_store_version_each(two->ours->store, "default", "a", details_look, two, &two->ours->error), 0);
	assert_int_equal(store_test_number(two->ours, "weir.db", "SELECT count(*) FROM details"), 3);
	assert_int_equal(store_test_number(two->ours, "weir.db", "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static void another_value_makes_another_version_only(void **state)
{
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	struct weir_model_function before = {0};

	function_make(two->theirs, "a", "{}", "y");
	function_make(two->ours, "a", "{}", "x");
	before = function_of(two->ours, "a");
	replace(two, false, parts);
	assert_difference(&parts[WEIR_STORE_FUNCTIONS], 0, 0, 0);
	assert_difference(&parts[WEIR_STORE_VARIABLES], 0, 1, 0);
	assert_int_equal(function_of(two->ours, "a").id, before.id);
	assert_true(function_of(two->ours, "a").version > before.version);
}

static void settings_and_changed_routes_follow(void **state)
{
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	const struct weir_store_pool_setting policy = {.name = "policy", .value = 2};
	struct weir_model_route route = {.methods = 2, .timeout_ms = 7, .space = "default", .name = "a", .pattern = "/a/{key}"};
	struct weir_store_changes changes;

	function_make(two->ours, "a", "{}", "x");
	function_make(two->theirs, "a", "{}", "x");
	assert_int_equal(weir_store_setting_set(two->ours->store, "one", 1, &two->ours->error), 0);
	assert_int_equal(weir_store_setting_set(two->theirs->store, "two", 2, &two->ours->error), 0);
	assert_int_equal(weir_store_pool_change(two->theirs->store, "*", false, &policy, 1, &two->ours->error), 0);
	store_test_run(two->theirs, "weir.db", "UPDATE routes SET pattern = '/a/{key}', timeout_ms = 7");
	weir_store_changes_take(two->ours->store, &changes);
	replace(two, false, parts);
	assert_difference(&parts[WEIR_STORE_SETTINGS], 1, 0, 1);
	assert_difference(&parts[WEIR_STORE_POOL_SETTINGS], 1, 0, 0);
	assert_difference(&parts[WEIR_STORE_ROUTES], 0, 1, 0);
	assert_int_equal(weir_store_route_find(two->ours->store, &route, &route, &two->ours->error), 0);
	assert_int_equal(route.timeout_ms, 7);
	weir_store_changes_take(two->ours->store, &changes);
	assert_true(changes.all);
}

static void alias_set(struct store_test *test, const char *image, const char *name)
{
	struct weir_model_alias alias = {.space = "default"};

	(void)strcpy(alias.image, image);
	(void)strcpy(alias.name, name);
	assert_int_equal(weir_store_alias_set(test->store, &alias, &test->error), 0);
}

static void functions_whose_images_stand_for_something_else_are_another_version(void **state)
{
	static const char *const images[] = {"same", "changed", "new", "gone"};
	struct two *two = *state;
	struct weir_store_difference parts[WEIR_STORE_PART_COUNT];
	uint64_t generation = 0;

	for (size_t i = 0; i < 4; i++) {
		struct weir_model_function function = store_test_function(images[i]);

		(void)strcpy(function.runtime, "container");
		(void)strcpy(function.image, images[i]);
		function.code_path[0] = '\0';
		assert_int_equal(weir_store_function_add(two->ours->store, &function, NULL, &two->ours->error), 0);
		assert_int_equal(weir_store_function_add(two->theirs->store, &function, NULL, &two->theirs->error), 0);
	}
	alias_set(two->ours, "same", "a");
	alias_set(two->ours, "changed", "a");
	alias_set(two->ours, "gone", "a");
	alias_set(two->theirs, "same", "a");
	alias_set(two->theirs, "changed", "b");
	alias_set(two->theirs, "new", "a");
	generation = weir_store_generation(two->ours->store);
	replace(two, false, parts);
	assert_difference(&parts[WEIR_STORE_IMAGE_ALIASES], 1, 1, 1);
	assert_difference(&parts[WEIR_STORE_FUNCTIONS], 0, 0, 0);
	assert_true(function_of(two->ours, "same").version <= generation);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(function_of(two->ours, images[i]).version, generation + 1);
	replace(two, false, parts);
	assert_difference(&parts[WEIR_STORE_IMAGE_ALIASES], 0, 0, 0);
	assert_int_equal(weir_store_generation(two->ours->store), generation + 1);
}

static void older_schema_is_made_the_present_one(void **state)
{
	struct two *two = *state;
	struct weir_store_error error = {{0}};
	struct weir_store *store = NULL;
	char path[128];
	char folder[96];
	sqlite3 *from = NULL;

	/* What schema 1 was; history since then only adds. */
	store_test_run(two->ours, "old.db",
		       "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
		       "INSERT INTO meta VALUES ('generation', 7), ('id', 9);"
		       "CREATE TABLE functions (  id INTEGER PRIMARY KEY, version INTEGER NOT NULL,  space TEXT NOT NULL, "
		       "name TEXT NOT NULL, runtime TEXT NOT NULL,  code_path TEXT NOT NULL, handler TEXT NOT NULL,  "
		       "timeout_ms INTEGER NOT NULL, memory_mb INTEGER NOT NULL, queue_max INTEGER NOT NULL,  UNIQUE "
		       "(space, name)) STRICT;"
		       "INSERT INTO functions VALUES (3, 5, 'default', 'old', 'exec', '/srv/old', '', 100, 64, 1);"
		       "CREATE TABLE routes (  id INTEGER PRIMARY KEY, function_id INTEGER NOT NULL REFERENCES functions "
		       "(id),  methods INTEGER NOT NULL, host TEXT NOT NULL, pattern TEXT NOT NULL, shape TEXT NOT NULL,  "
		       "timeout_ms INTEGER NOT NULL, UNIQUE (host, shape, methods)) STRICT;"
		       "CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
		       "CREATE TABLE public_rows (  k TEXT PRIMARY KEY, v TEXT NOT NULL, version INTEGER NOT NULL) STRICT, "
		       "WITHOUT ROWID;");
	(void)snprintf(folder, sizeof(folder), "%s", two->theirs->directory);
	(void)snprintf(path, sizeof(path), "%s/weir.db", folder);
	weir_store_destroy(two->theirs->store);
	two->theirs->store = NULL;
	assert_int_equal(unlink(path), 0);
	from = store_test_foreign(two->ours, "old.db");
	assert_int_equal(weir_store_import(from, weir_store_schema_version() + 1, folder, &error), -EPROTO);
	assert_int_equal(weir_store_import(from, 1, folder, &error), 0);
	assert_int_equal(sqlite3_close(from), SQLITE_OK);
	assert_int_equal(weir_store_create(folder, &store), 0);
	assert_int_equal(weir_store_open(store, false, &error), 0);
	two->theirs->store = store;
	assert_string_equal(function_of(two->theirs, "old").code_path, "/srv/old");
}

static void table_that_is_a_view_is_refused(void **state)
{
	struct two *two = *state;
	struct weir_store_error error = {{0}};
	char folder[128];
	sqlite3 *from = NULL;

	store_test_path(two->theirs, "fresh", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	store_test_run(two->theirs, "weir.db", "ALTER TABLE settings RENAME TO s; CREATE VIEW settings AS SELECT * FROM s;");
	from = store_test_foreign(two->theirs, "weir.db");
	assert_int_equal(weir_store_import(from, weir_store_schema_version(), folder, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "settings"));
	assert_int_equal(sqlite3_close(from), SQLITE_OK);
	store_test_remove(folder);
}

static void rows_of_the_public_table_follow(void **state)
{
	struct two *two = *state;
	struct weir_store_difference rows = {0};
	struct weir_store_error error = {{0}};
	bool made = false;

	assert_int_equal(weir_public_table_make(two->theirs->table, NULL, NULL, &made, &error), 0);
	store_test_run(two->theirs, WEIR_PUBLIC_TABLE_FILE,
		       "INSERT INTO functions VALUES ('GET:/same', 'v', 1), ('GET:/new', 'not json', 2), ('GET:/x', 'v', 3)");
	assert_int_equal(weir_public_table_make(two->ours->table, NULL, NULL, &made, &error), 0);
	store_test_run(two->ours, WEIR_PUBLIC_TABLE_FILE,
		       "INSERT INTO functions VALUES ('GET:/same', 'v', 1), ('GET:/old', 'v', 2), ('GET:/x', 'w', 3)");
	assert_int_equal(weir_public_table_replace(two->ours->table, two->theirs->directory, true, &rows, &error), 0);
	assert_difference(&rows, 1, 1, 1);
	assert_int_equal(store_test_number(two->ours, WEIR_PUBLIC_TABLE_FILE, "SELECT count(*) FROM functions WHERE k = 'GET:/old'"), 1);
	assert_int_equal(weir_public_table_replace(two->ours->table, two->theirs->directory, false, &rows, &error), 0);
	assert_difference(&rows, 1, 1, 1);
	assert_int_equal(store_test_number(two->ours, WEIR_PUBLIC_TABLE_FILE, "SELECT sum(updated) FROM functions WHERE v <> 'w'"), 6);
	assert_true(weir_public_table_changed(two->ours->table));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_both_have_is_not_touched),
		TEST(same_again_makes_no_generation),
		TEST(look_changes_nothing),
		TEST(each_version_carries_what_it_did),
		TEST(another_value_makes_another_version_only),
		TEST(settings_and_changed_routes_follow),
		TEST(functions_whose_images_stand_for_something_else_are_another_version),
		TEST(older_schema_is_made_the_present_one),
		TEST(table_that_is_a_view_is_refused),
		TEST(rows_of_the_public_table_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
