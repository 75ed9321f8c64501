#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/store/store_test.h"

static struct weir_model_route route_make(const char *text, const char *host, const char *name)
{
	struct weir_model_route route = {0};
	struct weir_model_error wrong;

	assert_int_equal(weir_model_route_parse(text, &route, &wrong), 0);
	(void)snprintf(route.host, sizeof(route.host), "%s", host);
	(void)snprintf(route.space, sizeof(route.space), "default");
	(void)snprintf(route.name, sizeof(route.name), "%s", name);
	return route;
}

static int route_add(struct store_test *test, const char *text, const char *host,
		     const char *name)
{
	const struct weir_model_route route = route_make(text, host, name);

	return weir_store_route_add(test->store, &route, &test->error);
}

static void what_was_committed_is_there_after_reopening(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_catalog catalog = {0};

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET,POST /x/{id}", "h.example", "a"), 0);
	assert_int_equal(weir_store_generation(test->store), 2);
	weir_store_destroy(test->store);
	assert_int_equal(weir_store_create(test->directory, &test->store), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(weir_store_generation(test->store), 2);
	assert_int_equal(weir_store_load(test->store, &catalog, &test->error), 0);
	assert_int_equal(catalog.function_count, 1);
	assert_int_equal(catalog.functions[0].version, 1);
	assert_int_equal(catalog.functions[0].timeout_ms, 1000);
	assert_int_equal(catalog.route_count, 1);
	assert_string_equal(catalog.routes[0].pattern, "/x/{id}");
	assert_string_equal(catalog.routes[0].host, "h.example");
	assert_string_equal(catalog.routes[0].name, "a");
	assert_int_equal(catalog.routes[0].function_id, catalog.functions[0].id);
	weir_store_catalog_release(&catalog);
}

static int deploy(struct store_test *test, const struct weir_model_function *function, const char *code,
		  uint32_t versions_max, uint32_t *out_number)
{
	const struct weir_store_deployment deployment = {.code = code, .versions_max = versions_max};

	return weir_store_deploy(test->store, function, &deployment, out_number, &test->error);
}

static int variable_note(void *context, const struct weir_model_function *function,
			 const struct weir_store_variable *variable)
{
	char *text = context;

	(void)snprintf(text + strlen(text), 256 - strlen(text), "%s:%s=%.*s%s;", function->name, variable->name,
		       (int)variable->bytes, (const char *)variable->value, variable->is_secret ? "!" : "");
	return 0;
}

static void variables_are_set_unset_and_gone_with_their_function(void **state)
{
	static const struct weir_store_variables two = {.variable = {{"A", "1", 1, false}, {"B", "xy", 2, true}},
							.count = 2};
	static const struct weir_store_variables change = {.variable = {{"A", NULL, 0, false}, {"B", "z", 1, false}},
							   .count = 2};
	struct store_test *test = store_test_opened(state);
	const struct weir_store_deployment deployment = {.code = "", .variables = &two, .versions_max = 3};
	struct weir_model_function function = store_test_function("a");
	struct weir_model_function after;
	uint32_t number = 0;
	char text[256] = "";

	assert_int_equal(weir_store_variables_change(test->store, "default", "a", &two, &test->error), -ENOENT);
	assert_int_equal(weir_store_deploy(test->store, &function, &deployment, &number, &test->error), 0);
	assert_int_equal(weir_store_variable_each(test->store, variable_note, text, &test->error), 0);
	assert_string_equal(text, "a:A=1;a:B=xy!;");
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	assert_int_equal(weir_store_variables_change(test->store, "default", "a", &change, &test->error), 0);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &after, &test->error), 0);
	assert_true(after.version > function.version); /* workers load it anew */
	text[0] = '\0';
	assert_int_equal(weir_store_variable_each(test->store, variable_note, text, &test->error), 0);
	assert_string_equal(text, "a:B=z;");
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM variables"), 0);
}

/* What the first schema made, as it lies on disks. */
static void database_of_the_first_version_is_taken_over(void **state)
{
	static const char first[] =
		"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
		"INSERT INTO meta VALUES ('generation', 7), ('id', 4);"
		"CREATE TABLE functions (id INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
		" space TEXT NOT NULL, name TEXT NOT NULL, runtime TEXT NOT NULL, code_path TEXT NOT NULL,"
		" handler TEXT NOT NULL, timeout_ms INTEGER NOT NULL, memory_mb INTEGER NOT NULL,"
		" queue_max INTEGER NOT NULL, UNIQUE (space, name)) STRICT;"
		"CREATE TABLE routes (id INTEGER PRIMARY KEY,"
		" function_id INTEGER NOT NULL REFERENCES functions (id), methods INTEGER NOT NULL,"
		" host TEXT NOT NULL, pattern TEXT NOT NULL, shape TEXT NOT NULL,"
		" timeout_ms INTEGER NOT NULL, UNIQUE (host, shape, methods)) STRICT;"
		"CREATE INDEX routes_by_function ON routes (function_id);"
		"CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
		"CREATE TABLE public_rows (k TEXT PRIMARY KEY, v TEXT NOT NULL, version INTEGER NOT NULL)"
		" STRICT, WITHOUT ROWID;"
		"INSERT INTO functions VALUES (4, 6, 'default', 'a', 'exec', '/bin/cat', '', 1000, 64, 10);"
		"PRAGMA user_version = 1;";
	struct store_test *test = *state;
	struct weir_model_function function = {0};
	uint32_t number = 0;

	store_test_run(test, "weir.db", first);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(weir_store_generation(test->store), 7);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	assert_int_equal(function.version, 6);
	assert_int_equal(function.number, 0);
	assert_string_equal(function.code_path, "/bin/cat");
	assert_int_equal(deploy(test, &function, "", 10, &number), 0);
	assert_int_equal(number, 2); /* what was there is version 1 */
	assert_int_equal(function.spec_count, 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0); /* once is enough */
}

static void specs_are_kept_with_each_version(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_function function = store_test_function("a"), found = {0};
	struct weir_store_version version;
	char text[WEIR_MODEL_SPECS_BYTES_MAX];
	uint32_t number = 0;

	assert_int_equal(weir_model_specs_parse("cpu=500,memory=64", &function, NULL), 0);
	assert_int_equal(weir_store_function_add(test->store, &function, NULL, &test->error), 0);
	assert_int_equal(weir_model_specs_parse("cpu=2000,memory=128,min=1,max=2 cpu=500,memory=64", &function, NULL), 0);
	assert_int_equal(deploy(test, &function, "", 10, &number), 0);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &found, &test->error), 0);
	assert_string_equal(weir_model_specs_format(&found, text),
			    "cpu=500,memory=64,min=0,max=16 cpu=2000,memory=128,min=1,max=2");
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 0, &version, &test->error), 0);
	assert_int_equal(version.function.spec_count, 1);
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &found, &test->error), 0);
	assert_string_equal(weir_model_specs_format(&found, text), "cpu=500,memory=64,min=0,max=16");
	store_test_run(test, "weir.db", "UPDATE functions SET specs = 'cpu=0,memory=64'");
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &found, &test->error), -EBADMSG);
	assert_non_null(strstr(test->error.text, "spec"));
}

struct listed {
	uint32_t count;
	uint32_t number[16];
	uint32_t current;
};

static int version_note(void *context, const struct weir_store_version *version)
{
	struct listed *listed = context;

	listed->number[listed->count++] = version->number;
	if (version->is_current)
		listed->current = version->number;
	return 0;
}

static void versions_are_kept_up_to_a_limit_and_the_serving_one_always(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_function function = store_test_function("a");
	struct weir_store_version version;
	struct listed listed = {.count = 0};
	uint32_t number = 0;

	/* No history: a version that is gone does not come back. */
	assert_int_equal(weir_store_setting_set(test->store, "history_generations_max", 1, &test->error), 0);
	for (uint32_t i = 1; i <= 4; i++) {
		function.timeout_ms = 1000 + i;
		assert_int_equal(deploy(test, &function, i == 1 ? "one" : "more", 3, &number),
				 0);
		assert_int_equal(number, i);
	}
	assert_int_equal(weir_store_version_each(test->store, "default", "a", version_note, &listed,
						 &test->error),
			 0);
	assert_int_equal(listed.count, 3);
	assert_int_equal(listed.number[0], 4);
	assert_int_equal(listed.current, 4);
	assert_true(weir_store_code_used(test->store, "one")); /* by the newest line, which stays */
	assert_int_equal(store_test_function_add(test, "b"), 0);
	assert_false(weir_store_code_used(test->store, "one"));
	assert_true(weir_store_code_used(test->store, "more"));
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 2, &version, &test->error), 0);
	assert_int_equal(version.function.timeout_ms, 1002);
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 2, &version, &test->error), -EEXIST);
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 0, &version, &test->error), -ENOENT);
	assert_int_equal(weir_store_rollback(test->store, "default", "c", 0, &version, &test->error), -ENOENT);
	assert_int_equal(deploy(test, &function, "more", 1, &number), 0);
	assert_int_equal(number, 5);
	memset(&listed, 0, sizeof(listed));
	assert_int_equal(weir_store_version_each(test->store, "default", "a", version_note, &listed,
						 &test->error),
			 0);
	assert_int_equal(listed.count, 1);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "b", &test->error), 0);
	assert_false(weir_store_code_used(test->store, "more"));
}

/* The data directory may be moved: what lies in it is found again. */
static void code_in_the_data_directory_is_kept_relative_to_it(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_function function = store_test_function("a");
	struct weir_store_version version;
	uint32_t number = 0;

	(void)snprintf(function.code_path, sizeof(function.code_path), "%s/code/0123/x.so", test->directory);
	assert_int_equal(deploy(test, &function, "0123", 3, &number), 0);
	assert_int_equal(store_test_number(test, "weir.db",
					   "SELECT count(*) FROM functions WHERE code_path = 'code/0123/x.so'"),
			 1);
	assert_int_equal(deploy(test, &function, "0123", 3, &number), 0);
	assert_int_equal(weir_store_rollback(test->store, "default", "a", 1, &version, &test->error), 0);
	assert_string_equal(version.function.code_path, function.code_path);
	memset(&function, 0, sizeof(function));
	assert_int_equal(weir_store_function_find(test->store, "default", "a", &function, &test->error), 0);
	assert_string_equal(version.function.code_path, function.code_path);
}

static uint64_t route_id(struct store_test *test, const char *text)
{
	const struct weir_model_route key = route_make(text, "", "a");
	struct weir_model_route route = {0};

	assert_int_equal(weir_store_route_find(test->store, &key, &route, &test->error), 0);
	return route.id;
}

static void changed_routes_are_told_once(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_changes changes;
	struct weir_model_route route = {0};
	struct weir_model_route key = route_make("GET /y", "", "a");
	uint64_t first = 0;
	uint64_t second = 0;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET /x", "", "a"), 0);
	weir_store_changes_take(test->store, &changes);
	assert_true(changes.all); /* nobody knows anything yet */
	weir_store_changes_take(test->store, &changes);
	assert_false(changes.all);
	assert_int_equal(changes.count, 0);
	first = route_id(test, "GET /x");
	assert_int_equal(route_add(test, "GET /y", "", "a"), 0);
	second = route_id(test, "GET /y");
	key = route_make("GET /x", "", "a");
	assert_int_equal(weir_store_route_update(test->store, &key, &test->error), 0);
	weir_store_changes_take(test->store, &changes);
	assert_false(changes.all);
	assert_int_equal(changes.count, 2);
	assert_int_equal(changes.id[0], first);
	assert_int_equal(changes.id[1], second);
	assert_int_equal(weir_store_route_get(test->store, second, &route, &test->error), 0);
	assert_string_equal(route.pattern, "/y");
	key = route_make("GET /y", "", "a");
	assert_int_equal(weir_store_route_remove(test->store, &key, &test->error), 0);
	weir_store_changes_take(test->store, &changes);
	assert_int_equal(changes.count, 1);
	assert_int_equal(changes.id[0], second);
	assert_int_equal(weir_store_route_get(test->store, second, &route, &test->error), -ENOENT);
}

static void too_many_changes_and_those_of_others_mean_all_routes(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_changes changes;
	char path[4200];
	sqlite3 *other = NULL;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET /x", "", "a"), 0);
	weir_store_changes_take(test->store, &changes);
	for (int i = 0; i <= WEIR_STORE_CHANGES_MAX; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "GET /r/%d", i);
		assert_int_equal(route_add(test, text, "", "a"), 0);
	}
	weir_store_changes_take(test->store, &changes);
	assert_true(changes.all);
	weir_store_changes_take(test->store, &changes);
	assert_false(changes.all);
	(void)snprintf(path, sizeof(path), "%s/weir.db", test->directory);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "UPDATE routes SET timeout_ms = 7", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	weir_store_changes_take(test->store, &changes);
	assert_true(changes.all);
	weir_store_changes_take(test->store, &changes);
	assert_false(changes.all);
}

static int visit_counted(void *context, const struct weir_model_route *route)
{
	size_t *left = context;

	assert_string_equal(route->name, "a");
	return (*left)-- == 0 ? -ENOMEM : 0;
}

static void each_route_is_visited_until_the_visitor_has_enough(void **state)
{
	struct store_test *test = store_test_opened(state);
	size_t left = 10;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET /x", "", "a"), 0);
	assert_int_equal(route_add(test, "GET /y", "", "a"), 0);
	assert_int_equal(weir_store_route_each(test->store, visit_counted, &left, &test->error), 0);
	assert_int_equal(left, 8);
	left = 1;
	assert_int_equal(weir_store_route_each(test->store, visit_counted, &left, &test->error),
			 -ENOMEM);
}

static void failed_change_leaves_generation_and_tables_alone(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_catalog catalog = {0};

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "a"), -EEXIST);
	assert_int_equal(store_test_function_add(test, "bad/name"), -EINVAL);
	assert_int_equal(route_add(test, "GET /x", "", "nobody"), -ENOENT);
	assert_int_equal(
		weir_store_function_remove(test->store, "default", "nobody", &test->error),
		-ENOENT);
	assert_int_equal(weir_store_generation(test->store), 1);
	assert_int_equal(weir_store_load(test->store, &catalog, &test->error), 0);
	assert_int_equal(catalog.function_count, 1);
	assert_int_equal(catalog.route_count, 0);
	weir_store_catalog_release(&catalog);
}

static void parts_of_a_change_are_committed_together_as_one_generation(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET /x", "", "a"), 0);
	assert_int_equal(weir_store_setting_set(test->store, "s", 1, &test->error), 0);
	assert_int_equal(weir_store_generation(test->store), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 0);
	assert_int_equal(weir_store_finish(test->store, &test->error), 0);
	assert_int_equal(weir_store_generation(test->store), 1);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM routes, functions, settings"), 1);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT version FROM functions"), 1);
}

static void one_part_undone_undoes_the_whole_change(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "a"), -EEXIST);
	assert_int_equal(store_test_function_add(test, "b"), -ECANCELED);
	assert_int_equal(weir_store_finish(test->store, &test->error), -ECANCELED);
	assert_non_null(strstr(test->error.text, "nothing was changed"));
	assert_int_equal(weir_store_generation(test->store), 0);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(weir_store_generation(test->store), 1);
}

static void change_that_is_undone_outside_takes_its_parts_along(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(weir_store_begin(test->store, &test->error), 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	weir_store_undo(test->store);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	assert_int_equal(weir_store_generation(test->store), 1);
	assert_int_equal(store_test_number(test, "weir.db", "SELECT count(*) FROM functions"), 1);
}

static void ids_are_never_used_again(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_function first;
	struct weir_model_function second;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(
		weir_store_function_find(test->store, "default", "a", &first, &test->error), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error),
			 0);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(
		weir_store_function_find(test->store, "default", "a", &second, &test->error),
		0);
	assert_true(second.id > first.id);
	assert_true(second.version > first.version);
}

static void routes_exclude_each_other_by_method_host_and_shape(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET,POST /x/{id}", "", "a"), 0);
	assert_int_equal(route_add(test, "GET /x/{name}", "", "a"), -EEXIST);
	assert_int_equal(route_add(test, "POST,PUT /x/{id}", "", "a"), -EEXIST);
	assert_int_equal(route_add(test, "PUT /x/{id}", "", "a"), 0);
	assert_int_equal(route_add(test, "GET /x/{id}", "other.example", "a"), 0);
	assert_int_equal(route_add(test, "ANY /x/{id}", "", "a"), 0);
	assert_int_equal(route_add(test, "ANY /x/{any}", "", "a"), -EEXIST);
	assert_int_equal(route_add(test, "GET /x/id", "", "a"), 0);
}

static void update_changes_one_route_and_never_creates(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_model_route route = route_make("GET /x", "", "b");
	struct weir_model_route found;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	assert_int_equal(weir_store_route_update(test->store, &route, &test->error), -ENOENT);
	assert_int_equal(route_add(test, "GET,POST /x", "", "a"), 0);
	assert_int_equal(weir_store_route_update(test->store, &route, &test->error), -ENOENT);
	assert_non_null(strstr(test->error.text, "GET,POST /x"));
	route = route_make("GET,POST /x", "", "b");
	route.timeout_ms = 77;
	assert_int_equal(weir_store_route_update(test->store, &route, &test->error), 0);
	assert_int_equal(weir_store_route_find(test->store, &route, &found, &test->error), 0);
	assert_string_equal(found.name, "b");
	assert_int_equal(found.timeout_ms, 77);
}

static void function_with_routes_stays_and_names_one(void **state)
{
	struct store_test *test = store_test_opened(state);
	const struct weir_model_route route = route_make("GET /x", "", "a");

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(route_add(test, "GET /x", "", "a"), 0);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error),
			 -EBUSY);
	assert_non_null(strstr(test->error.text, "GET /x"));
	assert_int_equal(weir_store_route_remove(test->store, &route, &test->error), 0);
	assert_int_equal(weir_store_route_remove(test->store, &route, &test->error), -ENOENT);
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error),
			 0);
}

static void setting_count(void *context, const char *name, uint64_t value)
{
	uint64_t *sum = context;

	assert_string_equal(name, "x_ms");
	*sum += value;
}

static void settings_are_set_changed_and_unset(void **state)
{
	struct store_test *test = store_test_opened(state);
	uint64_t sum = 0;

	assert_int_equal(weir_store_setting_set(test->store, "x_ms", 5, &test->error), 0);
	assert_int_equal(weir_store_setting_set(test->store, "x_ms", 7, &test->error), 0);
	assert_int_equal(
		weir_store_setting_each(test->store, setting_count, &sum, &test->error), 0);
	assert_int_equal(sum, 7);
	assert_int_equal(weir_store_setting_unset(test->store, "x_ms", &test->error), 0);
	assert_int_equal(weir_store_setting_unset(test->store, "x_ms", &test->error), -ENOENT);
	assert_int_equal(weir_store_setting_set(test->store, "x_ms", UINT64_MAX, &test->error),
			 -EINVAL);
	assert_int_equal(weir_store_generation(test->store), 3);
}

static void foreign_lock_stops_changes_at_once_but_no_reads(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_catalog catalog = {0};
	sqlite3 *other = NULL;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	other = store_test_foreign(test, "weir.db");
	store_test_sql(other, "BEGIN IMMEDIATE");
	assert_int_equal(store_test_function_add(test, "b"), -EAGAIN);
	assert_non_null(strstr(test->error.text, "lock"));
	assert_int_equal(weir_store_load(test->store, &catalog, &test->error), 0);
	assert_int_equal(catalog.function_count, 1);
	assert_int_equal(weir_store_generation(test->store), 1);
	store_test_sql(other, "ROLLBACK");
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	weir_store_catalog_release(&catalog);
}

static void damaged_file_is_noticed_before_a_change_and_works_again_when_restored(void **state)
{
	struct store_test *test = store_test_opened(state);
	char path[128];
	char copy[128];
	char command[320];

	assert_int_equal(store_test_function_add(test, "a"), 0);
	/* A sound copy, then noise over the file; the log is moved into the file first. */
	store_test_run(test, "weir.db", "PRAGMA wal_checkpoint(TRUNCATE)");
	store_test_path(test, "weir.db", path);
	store_test_path(test, "copy", copy);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s'", path, copy);
	assert_int_equal(system(command), 0);
	store_test_damage(test, "weir.db");
	assert_int_equal(store_test_function_add(test, "b"), -EBADMSG);
	assert_false(weir_store_is_open(test->store));
	assert_int_equal(store_test_function_add(test, "b"), -EBADMSG);
	assert_int_equal(weir_store_open(test->store, false, &test->error), -EBADMSG);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s'", copy, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(weir_store_generation(test->store), 1);
	assert_int_equal(store_test_function_add(test, "b"), 0);
}

static void removed_file_is_not_made_again_behind_our_back(void **state)
{
	struct store_test *test = store_test_opened(state);
	char path[128];

	assert_int_equal(store_test_function_add(test, "a"), 0);
	store_test_path(test, "weir.db", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(weir_store_check(test->store, &test->error), -EBADMSG);
	assert_int_equal(store_test_function_add(test, "b"), -EBADMSG);
	assert_int_equal(weir_store_open(test->store, false, &test->error), -ENOENT);
	assert_int_equal(access(path, F_OK), -1);
}

static void database_of_a_newer_version_is_refused(void **state)
{
	struct store_test *test = store_test_opened(state);

	store_test_run(test, "weir.db", "PRAGMA user_version = 99");
	assert_int_equal(weir_store_open(test->store, true, &test->error), -EPROTO);
	assert_non_null(strstr(test->error.text, "newer"));
}

static void row_that_breaks_the_rules_is_damage_named_by_table_and_key(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_catalog catalog = {0};

	assert_int_equal(store_test_function_add(test, "a"), 0);
	store_test_run(test, "weir.db", "UPDATE functions SET runtime = 'cobol'");
	assert_int_equal(weir_store_load(test->store, &catalog, &test->error), -EBADMSG);
	assert_non_null(strstr(test->error.text, "default/a"));
	assert_non_null(strstr(test->error.text, "cobol"));
	weir_store_catalog_release(&catalog);
}

/* Foreign keys off, as the sqlite3 program has them. */
static void other_rows_go_on_beside_bad_ones(void **state)
{
	struct store_test *test = store_test_opened(state);
	struct weir_store_catalog catalog = {.is_tolerant = true};
	const struct weir_store_bad_rows *bad = NULL;

	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(store_test_function_add(test, "b"), 0);
	assert_int_equal(store_test_function_add(test, "c"), 0);
	assert_int_equal(route_add(test, "GET /a", "", "a"), 0);
	assert_int_equal(route_add(test, "GET /b", "", "b"), 0);
	assert_int_equal(route_add(test, "GET /c", "", "c"), 0);
	store_test_run(test, "weir.db",
		       "UPDATE functions SET runtime = 'cobol' WHERE name = 'a';"
		       "UPDATE functions SET name = '/' WHERE name = 'b';"
		       "UPDATE routes SET pattern = 'x' WHERE pattern = '/b';"
		       "DELETE FROM functions WHERE name = 'c'");
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	assert_int_equal(weir_store_load(test->store, &catalog, &test->error), 0);
	assert_int_equal(catalog.function_count, 1);
	assert_string_equal(catalog.functions[0].name, "a");
	assert_non_null(strstr(catalog.functions[0].problem, "runtime is 'cobol'"));
	assert_int_equal(weir_model_function_check(&catalog.functions[0], NULL), 0);
	assert_int_equal(catalog.route_count, 1);
	assert_string_equal(catalog.routes[0].pattern, "/a");
	weir_store_catalog_release(&catalog);
	bad = weir_store_bad_rows(test->store, WEIR_STORE_BAD_FUNCTIONS);
	assert_int_equal(bad->count, 2);
	assert_string_equal(bad->row[0].row, "default//");
	assert_string_equal(bad->row[1].row, "default/a");
	assert_string_equal(bad->row[1].field, "runtime");
	bad = weir_store_bad_rows(test->store, WEIR_STORE_BAD_ROUTES);
	assert_int_equal(bad->count, 1);
	assert_string_equal(bad->row[0].row, "x");
	bad = weir_store_bad_rows(test->store, WEIR_STORE_BAD_REFERENCES);
	assert_int_equal(bad->count, 1);
	assert_string_equal(bad->row[0].table, "routes");
	/* A damaged function can be removed, once no route leads to it. */
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), -EBUSY);
	store_test_run(test, "weir.db", "DELETE FROM routes");
	assert_int_equal(weir_store_function_remove(test->store, "default", "a", &test->error), 0);
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
	catalog = (struct weir_store_catalog){.is_tolerant = true};
	assert_int_equal(weir_store_load(test->store, &catalog, &test->error), 0);
	assert_int_equal(weir_store_bad_rows(test->store, WEIR_STORE_BAD_FUNCTIONS)->count, 1);
	assert_int_equal(weir_store_bad_rows(test->store, WEIR_STORE_BAD_ROUTES)->count, 0);
	assert_int_equal(weir_store_bad_rows(test->store, WEIR_STORE_BAD_REFERENCES)->count, 0);
	weir_store_catalog_release(&catalog);
}

static void damage_is_found_at_opening(void **state)
{
	struct store_test *test = store_test_opened(state);

	assert_int_equal(store_test_function_add(test, "a"), 0);
	store_test_run(test, "weir.db", "PRAGMA ignore_check_constraints = ON;"
					"INSERT INTO details VALUES (99, 1, '', '[1]', '')");
	assert_int_equal(weir_store_open(test->store, false, &test->error), -EBADMSG);
	assert_non_null(strstr(test->error.text, "CHECK constraint failed in details"));
	assert_false(weir_store_is_open(test->store));
	store_test_run(test, "weir.db", "DELETE FROM details");
	assert_int_equal(weir_store_open(test->store, false, &test->error), 0);
}

/* In a child of its own: a limit on the size of files stands for a full disk. */
static int full_disk_child(struct store_test *test)
{
	const struct rlimit limit = {.rlim_cur = 1 << 17, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	char name[16];
	int code = 0;
	int added = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	for (; code == 0 && added < 1000; added++) {
		(void)snprintf(name, sizeof(name), "f%d", added);
		code = store_test_function_add(test, name);
	}
	if (code != -ENOSPC || strstr(test->error.text, "room") == NULL)
		return 2;
	if (weir_store_generation(test->store) != (uint64_t)added - 1)
		return 3;
	/* The store recovers by itself when there is room again. */
	if (setrlimit(RLIMIT_FSIZE, &none) != 0)
		return 4;
	code = store_test_function_add(test, name);
	if (code != 0 || weir_store_generation(test->store) != (uint64_t)added)
		return 5;
	return 0;
}

static void full_disk_is_said_and_changes_nothing(void **state)
{
	struct store_test *test = *state;
	int status = 0;
	const pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (weir_store_open(test->store, true, &test->error) != 0)
			_exit(10);
		_exit(full_disk_child(test));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void generation_only_grows(void **state)
{
	struct store_test *test = store_test_opened(state);

	weir_store_generation_raise(test->store, 400);
	weir_store_generation_raise(test->store, 300);
	assert_int_equal(weir_store_generation(test->store), 400);
	assert_int_equal(store_test_function_add(test, "a"), 0);
	assert_int_equal(weir_store_generation(test->store), 401);
	assert_int_equal(store_test_number(test, "weir.db",
					   "SELECT value FROM meta WHERE name='generation'"),
			 401);
}

static void shapes_forget_parameter_names_only(void **state)
{
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];

	(void)state;
	weir_store_pattern_shape("/a/{id}/b/{name}/*", shape);
	assert_string_equal(shape, "/a/{}/b/{}/*");
	weir_store_pattern_shape("/plain", shape);
	assert_string_equal(shape, "/plain");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_test_setup, store_test_teardown)

static int pool_setting_note(void *context, const char *pool, const char *name, uint32_t value)
{
	char *text = context;

	(void)sprintf(text + strlen(text), "%s:%s=%u;", pool, name, value);
	return strcmp(name, "no") == 0 ? -ENOMEM : 0;
}

static void settings_of_pools_are_changed_together(void **state)
{
	static const struct weir_store_pool_setting first[] = {{.name = "b", .value = 2}, {.name = "a", .value = 1}};
	static const struct weir_store_pool_setting next[] = {{.name = "a", .is_unset = true}, {.name = "c", .value = 3}};
	static const struct weir_store_pool_setting bad = {.name = "no"};
	struct store_test *test = store_test_opened(state);
	char text[200] = "";

	assert_int_equal(weir_store_pool_change(test->store, "s/x", false, first, 2, &test->error), 0);
	assert_int_equal(weir_store_pool_change(test->store, "*", false, first, 1, &test->error), 0);
	assert_int_equal(weir_store_pool_change(test->store, "s/x", false, next, 2, &test->error), 0);
	assert_int_equal(weir_store_generation(test->store), 3);
	assert_int_equal(weir_store_pool_each(test->store, pool_setting_note, text, &test->error), 0);
	assert_string_equal(text, "*:b=2;s/x:b=2;s/x:c=3;");
	text[0] = '\0';
	assert_int_equal(weir_store_pool_change(test->store, "s/x", true, next + 1, 1, &test->error), 0);
	assert_int_equal(weir_store_pool_each(test->store, pool_setting_note, text, &test->error), 0);
	assert_string_equal(text, "*:b=2;s/x:c=3;");
	assert_int_equal(weir_store_pool_change(test->store, "s/x", true, NULL, 0, &test->error), 0);
	assert_int_equal(weir_store_pool_change(test->store, "s/x", false, &bad, 1, &test->error), 0);
	assert_int_equal(weir_store_pool_each(test->store, pool_setting_note, text, &test->error), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_committed_is_there_after_reopening),
		TEST(code_in_the_data_directory_is_kept_relative_to_it),
		TEST(versions_are_kept_up_to_a_limit_and_the_serving_one_always),
		TEST(database_of_the_first_version_is_taken_over),
		TEST(variables_are_set_unset_and_gone_with_their_function),
		TEST(changed_routes_are_told_once),
		TEST(too_many_changes_and_those_of_others_mean_all_routes),
		TEST(each_route_is_visited_until_the_visitor_has_enough),
		TEST(failed_change_leaves_generation_and_tables_alone),
		TEST(parts_of_a_change_are_committed_together_as_one_generation),
		TEST(one_part_undone_undoes_the_whole_change),
		TEST(change_that_is_undone_outside_takes_its_parts_along),
		TEST(ids_are_never_used_again),
		TEST(routes_exclude_each_other_by_method_host_and_shape),
		TEST(update_changes_one_route_and_never_creates),
		TEST(function_with_routes_stays_and_names_one),
		TEST(settings_are_set_changed_and_unset),
		TEST(settings_of_pools_are_changed_together),
		TEST(foreign_lock_stops_changes_at_once_but_no_reads),
		TEST(damaged_file_is_noticed_before_a_change_and_works_again_when_restored),
		TEST(removed_file_is_not_made_again_behind_our_back),
		TEST(database_of_a_newer_version_is_refused),
		TEST(row_that_breaks_the_rules_is_damage_named_by_table_and_key),
		TEST(other_rows_go_on_beside_bad_ones),
		TEST(damage_is_found_at_opening),
		TEST(full_disk_is_said_and_changes_nothing),
		TEST(specs_are_kept_with_each_version),
		TEST(generation_only_grows),
		TEST(shapes_forget_parameter_names_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
