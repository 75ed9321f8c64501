#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/api/config_plan.h"
#include "dataplane/base/assert.h"
#include "tests/base/base_test.h"

enum { ROUNDS = 25, TEXT_MAX = 16384 };

/* One instance's databases, and the API's handlers without the server. */
struct instance {
	char directory[64];
	struct weir_store *store;
	struct weir_public_table *table;
	struct weir_public_rows rows;
	struct weir_code *code;
	struct weir_api_owner owner;
	int published;
};

struct config_test {
	struct instance one;
	struct instance other;
};

static int publish(void *context, struct weir_store_error *error)
{
	(void)error;
	((struct instance *)context)->published++;
	return 0;
}

static int table_written(void *context, struct weir_store_error *error)
{
	struct instance *instance = context;
	bool changed = false;
	const int code = weir_public_rows_sync(&instance->rows, instance->table,
					       weir_store_generation(instance->store) + 1, &changed, error);

	return code != 0 || !changed ? code : weir_public_rows_save(&instance->rows, instance->store, error);
}

static int seal_play(void *context, const char *label, const void *value, size_t bytes, uint8_t *out)
{
	(void)context;
	(void)label;
	(void)value;
	memset(out, 'x', bytes + 40);
	return 0;
}

static void report_none(void *context, const struct weir_public_row *row, enum weir_public_event event)
{
	(void)context;
	(void)row;
	(void)event;
}

static int build_never(void *context, const char *runtime, const char *path, bool again, char **out_log)
{
	(void)context;
	(void)runtime;
	(void)path;
	(void)again;
	(void)out_log;
	return 0;
}

/* Open what is in the directory, as ctrld does at its start. */
static void instance_attach(struct instance *instance)
{
	struct weir_store_error error;
	bool made = false;

	memset(&instance->rows, 0, sizeof(instance->rows));
	instance->rows.report = report_none;
	instance->published = 0;
	assert_int_equal(weir_store_create(instance->directory, &instance->store), 0);
	assert_int_equal(weir_store_open(instance->store, true, &error), 0);
	assert_int_equal(weir_public_table_create(instance->directory, &instance->table), 0);
	assert_int_equal(weir_public_table_make(instance->table, NULL, NULL, &made, &error), 0);
	assert_int_equal(weir_code_open(instance->directory, &instance->code), 0);
	instance->owner = (struct weir_api_owner){
		.context = instance,
		.store = instance->store,
		.table = instance->table,
		.rows = &instance->rows,
		.code = instance->code,
		.publish = publish,
		.table_written = table_written,
		.seal = seal_play,
		.build = build_never,
	};
	assert_int_equal(weir_public_rows_load(&instance->rows, instance->store, &error), 0);
	assert_int_equal(table_written(instance, &error), 0);
}

static void instance_detach(struct instance *instance)
{
	weir_public_rows_release(&instance->rows);
	weir_public_table_destroy(instance->table);
	weir_store_destroy(instance->store);
	weir_code_close(instance->code);
}

static void instance_open(struct instance *instance)
{
	(void)snprintf(instance->directory, sizeof(instance->directory), "/tmp/test-config-XXXXXX");
	assert_non_null(mkdtemp(instance->directory));
	instance_attach(instance);
}

static void instance_close(struct instance *instance)
{
	char command[160];

	instance_detach(instance);
	(void)snprintf(command, sizeof(command), "chmod -R u+w '%s'; rm -rf '%s'", instance->directory,
		       instance->directory);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	struct config_test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return -1;
	instance_open(&test->one);
	instance_open(&test->other);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct config_test *test = *state;

	instance_close(&test->one);
	instance_close(&test->other);
	free(test);
	return 0;
}

/* Apply {"document": ..., OPTIONS}; the status, and what was answered as text. */
static int apply(struct instance *instance, const char *document, const char *options, char out[TEXT_MAX])
{
	struct weir_api_call call = {.owner = &instance->owner};
	enum weir_api_result result = WEIR_API_DONE;
	char *text = NULL;
	char *answer = NULL;
	int status = 0;

	assert_true(asprintf(&text, "{\"document\": %s%s}", document, options) > 0);
	call.text = weir_span_of(text);
	call.body = cJSON_Parse(text);
	assert_non_null(call.body);
	result = weir_api_config_apply(&call);
	assert_true(result == WEIR_API_DONE || result == WEIR_API_WAIT);
	status = call.status;
	answer = cJSON_PrintUnformatted(call.answer);
	if (strlen(answer) >= TEXT_MAX)
		fail_msg("the answer is long: %s", answer);
	strcpy(out, answer);
	cJSON_free(answer);
	cJSON_Delete(call.answer);
	cJSON_Delete(call.body);
	if (call.state != NULL)
		call.state_release(call.state);
	free(text);
	return status;
}

static char *export(struct instance *instance, const char *query)
{
	struct weir_api_call call = {.owner = &instance->owner, .query = weir_span_of(query)};
	char *text = NULL;

	assert_int_equal(weir_api_config_export(&call), WEIR_API_DONE);
	assert_int_equal(call.status, 200);
	text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(call.answer, "document"));
	cJSON_Delete(call.answer);
	return text;
}

static void exports(struct instance *instance, const char *document)
{
	char *text = export(instance, "");

	assert_string_equal(text, document);
	cJSON_free(text);
}

/* "+function a;~route GET /x;-pool *;" of an answer. */
static const char *changes(const char *answer)
{
	static char text[TEXT_MAX];
	cJSON *json = cJSON_Parse(answer);
	const cJSON *change = NULL;
	size_t used = 0;

	text[0] = '\0';
	cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(json, "changes"))
	{
		const char *what = cJSON_GetObjectItemCaseSensitive(change, "change")->valuestring;

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s;",
					 what[0] == 'a' ? "+" : what[0] == 'c' ? "~" : "-",
					 cJSON_GetObjectItemCaseSensitive(change, "kind")->valuestring,
					 cJSON_GetObjectItemCaseSensitive(change, "name")->valuestring);
	}
	cJSON_Delete(json);
	return text;
}

static void applies(struct instance *instance, const char *document, const char *options, const char *wanted)
{
	static char answer[TEXT_MAX];

	if (apply(instance, document, options, answer) != 200)
		fail_msg("%s", answer);
	assert_string_equal(changes(answer), wanted);
}

/* It is refused, and one of the problems is at this place and says this. */
static void refuses(struct instance *instance, const char *document, const char *options, const char *place,
		    const char *reason)
{
	static char answer[TEXT_MAX];
	const int status = apply(instance, document, options, answer);
	const uint64_t generation = weir_store_generation(instance->store);
	cJSON *json = cJSON_Parse(answer);
	const cJSON *problem = NULL;
	bool found = false;

	cJSON_ArrayForEach(problem, cJSON_GetObjectItemCaseSensitive(json, "problems"))
	{
		found = found || (strcmp(cJSON_GetObjectItemCaseSensitive(problem, "place")->valuestring, place) == 0 &&
				  strstr(cJSON_GetObjectItemCaseSensitive(problem, "reason")->valuestring, reason) != NULL);
	}
	cJSON_Delete(json);
	if (status != 422 || !found)
		fail_msg("%s: %d %s", document, status, answer);
	assert_int_equal(weir_store_generation(instance->store), generation);
}

#define CAT "{\"name\":\"cat\",\"runtime\":\"exec\",\"path\":\"/bin/cat\"}"
#define FUNCTIONS(text) "{\"weir\":1,\"functions\":[" text "]}"

/* Documents, and a problem that each has. */
static const struct {
	const char *document;
	const char *place;
	const char *reason;
} bad[] = {
	{"7", "", "must have members"},
	{"{}", "weir", "must be 1"},
	{"{\"weir\":2}", "weir", "must be 1"},
	{"{\"weir\":\"1\"}", "weir", "whole number"},
	{"{\"weir\":1,\"zork\":1}", "zork", "is not known"},
	{"{\"weir\":1,\"functions\":{}}", "functions", "must be a list"},
	{"{\"weir\":1,\"namespace\":\"a/b\"}", "namespace", "a name holds"},
	{"{\"weir\":1,\"namespace\":\"\"}", "namespace", "is empty"},
	{FUNCTIONS("7"), "functions[0]", "must have members"},
	{FUNCTIONS("{}"), "functions[0].name", "is empty"},
	{FUNCTIONS("{\"name\":7}"), "functions[0].name", "must be text; put it in quotes"},
	{FUNCTIONS("{\"name\":\"a b \"}"), "functions[0].name", "does not end in a blank"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\"}"), "functions[0]", "needs one of"},
	{FUNCTIONS("{\"name\":\"a\",\"path\":\"/x\",\"code\":\"y\"}"), "functions[0]", "needs one of"},
	{FUNCTIONS("{\"name\":\"a\",\"path\":\"x\",\"runtime\":\"exec\"}"), "functions[0].path", "absolute"},
	{FUNCTIONS("{\"name\":\"a\",\"path\":\"/no/x\",\"runtime\":\"exec\"}"), "functions[0].path",
	 "cannot be executed"},
	{FUNCTIONS("{\"name\":\"a\",\"path\":\"/x\",\"runtime\":\"zork\"}"), "functions[0].runtime", "known are"},
	{FUNCTIONS("{\"name\":\"a\",\"path\":\"/x\",\"entry\":\"y\"}"), "functions[0].entry", "without code"},
	{FUNCTIONS("{\"name\":\"a\",\"code\":\"../../etc\"}"), "functions[0].code", "is not here"},
	{FUNCTIONS("{\"name\":\"a\",\"timeout\":\"5 parsecs\"}"), "functions[0].timeout", "5 parsecs"},
	{FUNCTIONS("{\"name\":\"a\",\"timeout\":1e99}"), "functions[0].timeout", "1e+99"},
	{FUNCTIONS("{\"name\":\"a\",\"timeout\":[]}"), "functions[0].timeout", "must be a duration"},
	{FUNCTIONS("{\"name\":\"a\",\"memory\":1.5}"), "functions[0].memory", "whole number"},
	{FUNCTIONS("{\"name\":\"a\",\"memory\":-1}"), "functions[0].memory", "whole number"},
	{FUNCTIONS("{\"name\":\"a\",\"memory\":4294967296}"), "functions[0].memory", "whole number"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/x\",\"queue\":0}"), "functions[0].queue", "between"},
	{FUNCTIONS("{\"name\":\"a\",\"specs\":{}}"), "functions[0].specs", "must be a list"},
	{FUNCTIONS("{\"name\":\"a\",\"specs\":[{\"cpu\":1,\"zork\":1}]}"), "functions[0].specs[0].zork", "is not known"},
	{FUNCTIONS("{\"name\":\"a\",\"specs\":[{\"cpu\":\"1\"}]}"), "functions[0].specs[0].cpu", "whole number"},
	{FUNCTIONS("{\"name\":\"a\",\"specs\":[{\"cpu\":0,\"memory\":1}]}"), "functions[0].specs[0]", "between 1"},
	{FUNCTIONS("{\"name\":\"a\",\"environment\":[]}"), "functions[0].environment", "NAME: VALUE"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/x\",\"environment\":{\"A\":1}}"),
	 "functions[0].environment.A", "in quotes"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/x\",\"environment\":{\"1\":\"x\"}}"),
	 "functions[0].environment", "no name of a variable"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/x\",\"secrets\":[{\"A\":\"x\"}]}"),
	 "functions[0].secrets[0]", "must be a name"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/x\",\"secrets\":[\"A\"],\"environment\":{\"A\":\"\"}}"),
	 "functions[0].secrets[0]", "in environment, too"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/bin/cat\",\"secrets\":[\"A\"]}"),
	 "functions[0].secrets", "A has no value here"},
	{FUNCTIONS("{\"name\":\"a\",\"runtime\":\"exec\",\"path\":\"/x\",\"secrets\":[\"A\",\"A\"]}"),
	 "functions[0].secrets[1]", "is given twice"},
	{FUNCTIONS("{\"name\":\"a\",\"parameters\":[1]}"), "functions[0].parameters", "NAME: VALUE"},
	{FUNCTIONS("{\"name\":\"a\",\"description\":\"a\\nb\"}"), "functions[0].description", "control"},
	{FUNCTIONS(CAT "," CAT), "functions[1]", "is the same function as functions[0]"},
	{"{\"weir\":1,\"routes\":[{\"route\":\"GET x\",\"function\":\"a\"}]}", "routes[0].route", "must begin with '/'"},
	{"{\"weir\":1,\"routes\":[{\"route\":\"GET /\"}]}", "routes[0].function", "is missing"},
	{"{\"weir\":1,\"routes\":[{\"route\":\"GET /\",\"function\":\"a\"}]}", "routes[0].function", "there is no function a"},
	{"{\"weir\":1,\"routes\":[{\"route\":\"GET /\",\"function\":\"a\",\"host\":\"a:80\"}]}", "routes[0].host", "port"},
	{"{\"weir\":1,\"routes\":[{\"route\":\"GET /{a}\",\"function\":\"a\"},{\"route\":\"GET /{b}\",\"function\":\"a\"}]}",
	 "routes[1]", "is the same route as routes[0]"},
	{"{\"weir\":1,\"settings\":{\"zork\":1}}", "settings.zork", "is no setting"},
	{"{\"weir\":1,\"settings\":{\"headers_max\":1.5}}", "settings.headers_max", "whole number"},
	{"{\"weir\":1,\"settings\":{\"headers_max\":1e300}}", "settings.headers_max", "whole number"},
	{"{\"weir\":1,\"settings\":{\"headers_max\":0}}", "settings.headers_max", "must be within"},
	{"{\"weir\":1,\"settings\":{\"pool.workers_min\":300}}", "settings.pool.workers_min", "larger than pool.workers_max"},
	{"{\"weir\":1,\"settings\":{\"head_timeout\":5,\"head_timeout_ms\":5000}}", "settings.head_timeout_ms", "the same setting"},
	{"{\"weir\":1,\"namespace\":\"a\",\"settings\":{}}", "settings", "belong to no namespace"},
	{"{\"weir\":1,\"namespace\":\"b\",\"functions\":[" CAT "]}", "functions[0].name", "the document is of b only"},
	{"{\"weir\":1,\"pools\":[{\"pool\":\"x\"}]}", "pools[0].pool", "is no pool's name"},
	{"{\"weir\":1,\"pools\":[{\"pool\":\"a/exec:1x\"}]}", "pools[0].pool", "is no pool's name"},
	{"{\"weir\":1,\"pools\":[{\"pool\":\"a/exec\",\"policy\":\"zork\"}]}", "pools[0].policy", "is one of"},
	{"{\"weir\":1,\"pools\":[{\"pool\":\"a/exec\",\"workers_min\":3,\"workers_max\":2}]}", "pools[0]", "larger than workers_max"},
	{"{\"weir\":1,\"images\":[{\"image\":\"a b\",\"function\":\"f\"}]}", "images[0].image", "printable ASCII"},
	{"{\"weir\":1,\"images\":[{\"image\":\"a\",\"function\":\"a/b/c\"}]}", "images[0].function", "a name holds"},
	{"{\"weir\":1,\"images\":[{\"image\":\"a\"}]}", "images[0].function", "is empty"},
	{"{\"weir\":1,\"images\":[{\"image\":\"a\",\"function\":\"f\"},{\"image\":\"a\",\"function\":\"g\"}]}", "images[1]",
	 "is the same image as images[0]"},
	{"{\"weir\":1,\"namespace\":\"a\",\"images\":[{\"image\":\"a\",\"function\":\"f\"}]}", "images[0]", "belongs to no namespace"},
	{FUNCTIONS("{\"name\":\"f\",\"image\":\"a\",\"path\":\"/bin/cat\"}"), "functions[0]", "needs one of"},
	{FUNCTIONS("{\"name\":\"f\",\"image\":\"a\",\"runtime\":\"exec\"}"), "functions[0].image", "is for runtime container"},
	{"{\"weir\":1,\"rows\":[{\"key\":\"zork\",\"value\":{}}]}", "rows[0].key", "METHOD:/path"},
	{"{\"weir\":1,\"rows\":[{\"key\":\"GET:/x\",\"value\":{\"module\":1}}]}", "rows[0].value.module", "must be a string"},
	{"{\"weir\":1,\"rows\":[{\"key\":\"GET:/x\"}]}", "rows[0].value", "must have members"},
};

static void documents_that_are_wrong_are_refused_with_the_place(void **state)
{
	struct config_test *test = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuses(&test->one, bad[i].document, "", bad[i].place, bad[i].reason);
	refuses(&test->one, FUNCTIONS(CAT), ",\"secrets\":{\"dog\":{\"A\":\"x\"}}", "secrets.dog", "no function of that name");
	refuses(&test->one, FUNCTIONS(CAT), ",\"secrets\":{\"cat\":{\"A\":\"x\"}}", "secrets.cat.A", "is no secret");
	refuses(&test->one, FUNCTIONS(CAT), ",\"secrets\":{\"cat\":7}", "secrets.cat", "NAME: VALUE");
	assert_int_equal(test->one.published, 0);
	exports(&test->one, "{\"weir\":1}");
}

static void all_problems_are_listed_up_to_a_limit(void **state)
{
	struct config_test *test = *state;
	char document[8192] = "{\"weir\":1,\"routes\":[";
	static char answer[TEXT_MAX];
	cJSON *json = NULL;

	for (int i = 0; i < 150; i++)
		strcat(document, i == 0 ? "7" : ",7");
	strcat(document, "]}");
	assert_int_equal(apply(&test->one, document, "", answer), 422);
	json = cJSON_Parse(answer);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "problems")), WEIR_CONFIG_PROBLEMS_MAX);
	assert_int_equal(cJSON_GetObjectItem(json, "problem_count")->valueint, 150);
	assert_non_null(strstr(cJSON_GetObjectItem(json, "error")->valuestring, "(and 149 more); nothing was changed"));
	assert_string_equal(cJSON_GetObjectItem(json, "field")->valuestring, "routes[0]");
	cJSON_Delete(json);
}

#define WHOLE                                                                                          \
	"{\"weir\":1,\"functions\":[{\"name\":\"cat\",\"description\":\"meows\",\"owner\":\"ann\","    \
	"\"runtime\":\"exec\",\"path\":\"/bin/cat\",\"timeout\":\"5s\",\"memory\":64,\"queue\":10,"    \
	"\"specs\":[{\"cpu\":500,\"memory\":64,\"max\":2},{\"cpu\":1000,\"memory\":64,\"min\":20}],"   \
	"\"parameters\":{\"p\":{\"q\":[1,null,\"x\"]},\"n\":1234567890123456789},\"annotations\":{\"web\":true},"                \
	"\"environment\":{\"A\":\"1\",\"B\":\"\"},\"secrets\":[\"T\"]},"                               \
	"{\"name\":\"shop/cart\",\"runtime\":\"native\",\"path\":\"/bin/cat\",\"handler\":\"h\"}],"    \
	"\"routes\":[{\"route\":\"GET /x/{id}\",\"function\":\"cat\"},"                                \
	"{\"route\":\"ANY /*\",\"host\":\"h.example\",\"function\":\"shop/cart\",\"timeout\":\"250ms\"}]," \
	"\"settings\":{\"head_timeout_ms\":\"5s\",\"headers_max\":50},"                                \
	"\"pools\":[{\"pool\":\"*\",\"alpha\":0.25,\"one_task\":true},{\"pool\":\"shop/native:500x64\",\"policy\":\"random\"}]," \
	"\"images\":[{\"image\":\"a/b:1\",\"function\":\"cat\"},{\"image\":\"none\",\"function\":\"shop/nobody\"}]," \
	"\"rows\":[{\"key\":\"GET:/row\",\"value\":{\"module\":\"/bin/cat\",\"handler\":\"m\",\"own\":[0.30000000000000004]}}]}"

#define TOKEN ",\"secrets\":{\"cat\":{\"T\":\"x\"}}"

static void export_of_what_was_applied_is_the_document(void **state)
{
	struct config_test *test = *state;

	applies(&test->one, WHOLE, TOKEN,
		"+function cat;+function shop/cart;+route GET /x/{id};+route ANY /* (host h.example);"
		"+setting head_timeout_ms;+setting headers_max;+pool *;+pool shop/native:500x64;+image a/b:1;+image none;+row GET:/row;");
	exports(&test->one, WHOLE);
	assert_int_equal(weir_store_generation(test->one.store), 1);
	applies(&test->one, WHOLE, "", "");
	applies(&test->one, WHOLE, ",\"prune\":true", "");
	assert_int_equal(weir_store_generation(test->one.store), 1);
}

static void what_the_document_does_not_name_stays_unless_pruned(void **state)
{
	struct config_test *test = *state;
	char *text = NULL;

	applies(&test->one, WHOLE, TOKEN,
		"+function cat;+function shop/cart;+route GET /x/{id};+route ANY /* (host h.example);"
		"+setting head_timeout_ms;+setting headers_max;+pool *;+pool shop/native:500x64;+image a/b:1;+image none;+row GET:/row;");
	applies(&test->one, FUNCTIONS(CAT), "", "~function cat;");
	applies(&test->one, "{\"weir\":1}", ",\"dry_run\":true,\"prune\":true",
		"-function cat;-function shop/cart;-route GET /x/{id};-route ANY /* (host h.example);"
		"-setting head_timeout_ms;-setting headers_max;-pool *;-pool shop/native:500x64;-image a/b:1;-image none;"
		"-row GET:/row;");
	assert_int_equal(weir_store_generation(test->one.store), 2);
	/* A document of one namespace prunes in that only. */
	applies(&test->one, "{\"weir\":1,\"namespace\":\"shop\"}", ",\"prune\":true",
		"-function shop/cart;-route ANY /* (host h.example);-pool shop/native:500x64;");
	applies(&test->one, FUNCTIONS(CAT), ",\"prune\":true",
		"-route GET /x/{id};-setting head_timeout_ms;-setting headers_max;-pool *;-image a/b:1;-image none;-row GET:/row;");
	exports(&test->one, FUNCTIONS(CAT));
	text = export(&test->one, "namespace=shop");
	assert_string_equal(text, "{\"weir\":1,\"namespace\":\"shop\"}");
	cJSON_free(text);
}

static void routes_and_rows_do_not_stand_in_each_others_way(void **state)
{
	struct config_test *test = *state;

	applies(&test->one,
		"{\"weir\":1,\"functions\":[" CAT "],\"routes\":[{\"route\":\"GET,POST /a\",\"function\":\"cat\"},"
		"{\"route\":\"ANY /a\",\"function\":\"cat\"}],\"rows\":[{\"key\":\"GET:/r\",\"value\":{\"module\":\"/x\",\"handler\":\"h\"}}]}",
		"", "+function cat;+route ANY /a;+route GET,POST /a;+row GET:/r;");
	refuses(&test->one, "{\"weir\":1,\"routes\":[{\"route\":\"GET /a\",\"function\":\"cat\"}]}", "", "routes[0]",
		"the route 'GET,POST /a'");
	refuses(&test->one, "{\"weir\":1,\"routes\":[{\"route\":\"GET,PUT /r\",\"function\":\"cat\"}]}", "", "routes[0]",
		"the row 'GET:/r'");
	refuses(&test->one, "{\"weir\":1,\"rows\":[{\"key\":\"POST:/a\",\"value\":{\"module\":\"/x\",\"handler\":\"h\"}}]}", "",
		"rows[0]", "the route 'GET,POST /a'");
	/* What is pruned makes room. */
	refuses(&test->one, "{\"weir\":1,\"routes\":[{\"route\":\"GET /a\",\"function\":\"cat\"}]}", ",\"prune\":true",
		"routes[0].function", "would be removed");
	applies(&test->one, "{\"weir\":1,\"functions\":[" CAT "],\"routes\":[{\"route\":\"GET /a\",\"function\":\"cat\"},"
			    "{\"route\":\"GET /r\",\"function\":\"cat\"}]}",
		",\"prune\":true", "-route ANY /a;+route GET /a;-route GET,POST /a;+route GET /r;-row GET:/r;");
}

static void route_is_changed_in_place(void **state)
{
	struct config_test *test = *state;
	static char answer[TEXT_MAX];

	applies(&test->one, "{\"weir\":1,\"functions\":[" CAT "],\"routes\":[{\"route\":\"GET /{a}\",\"function\":\"cat\"}]}", "",
		"+function cat;+route GET /{a};");
	assert_int_equal(apply(&test->one,
			       "{\"weir\":1,\"routes\":[{\"route\":\"GET /{b}\",\"function\":\"default/cat\",\"timeout\":2}]}",
			       "", answer),
			 200);
	assert_string_equal(changes(answer), "~route GET /{b};");
	assert_non_null(strstr(answer, "{\"field\":\"timeout\",\"to\":\"2s\"}"));
	/* It leaves a function that goes. */
	applies(&test->one,
		"{\"weir\":1,\"functions\":[{\"name\":\"dog\",\"runtime\":\"exec\",\"path\":\"/bin/cat\"}],"
		"\"routes\":[{\"route\":\"GET /{b}\",\"function\":\"dog\"}]}",
		",\"prune\":true", "-function cat;+function dog;~route GET /{b};");
}

static void variables_are_set_kept_moved_and_unset(void **state)
{
	struct config_test *test = *state;
	static char answer[TEXT_MAX];

#define WITH(variables) FUNCTIONS("{\"name\":\"cat\",\"runtime\":\"exec\",\"path\":\"/bin/cat\"," variables "}")
	applies(&test->one, WITH("\"environment\":{\"A\":\"1\",\"B\":\"2\"},\"secrets\":[\"T\",\"U\"]"),
		",\"secrets\":{\"cat\":{\"T\":\"x\",\"U\":\"y\"}}", "+function cat;");
	/* B becomes a secret, T a plain one, U goes, A stays. */
	assert_int_equal(apply(&test->one, WITH("\"environment\":{\"A\":\"1\",\"T\":\"t\"},\"secrets\":[\"B\"]"),
			       ",\"secrets\":{\"cat\":{\"B\":\"sesame\"}}", answer),
			 200);
	assert_null(strstr(answer, "sesame"));
	assert_non_null(strstr(answer, "{\"field\":\"environment.B\",\"from\":\"2\"}"));
	exports(&test->one, WITH("\"environment\":{\"A\":\"1\",\"T\":\"t\"},\"secrets\":[\"B\"]"));
	/* A value that is given counts as a change: what it was cannot be seen. */
	applies(&test->one, WITH("\"environment\":{\"A\":\"1\",\"T\":\"t\"},\"secrets\":[\"B\"]"),
		",\"secrets\":{\"cat\":{\"B\":\"sesame\"}}", "~function cat;");
#undef WITH
}

static void table_that_cannot_be_written_stops_everything(void **state)
{
	struct config_test *test = *state;
	struct weir_api_call call = {.owner = &test->one.owner};
	struct weir_public_table_edit lock = {.db = NULL};
	struct weir_store_error error;

	assert_int_equal(weir_public_table_edit_begin(test->one.table, &lock, &error), 0);
	call.text = weir_span_of("{\"document\":" WHOLE TOKEN "}");
	call.body = cJSON_Parse(call.text.data);
	assert_int_equal(weir_api_config_apply(&call), WEIR_API_RETRY);
	assert_int_equal(weir_store_generation(test->one.store), 0);
	exports(&test->one, "{\"weir\":1}");
	weir_public_table_edit_drop(&lock);
	cJSON_Delete(call.answer);
	call.answer = NULL;
	call.is_rerun = true;
	assert_int_equal(weir_api_config_apply(&call), WEIR_API_WAIT);
	cJSON_Delete(call.answer);
	cJSON_Delete(call.body);
	call.state_release(call.state);
	exports(&test->one, WHOLE);
}

/* Another program at weir.db. */
static void sql(const struct instance *instance, const char *text)
{
	char path[128];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/weir.db", instance->directory);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_another_program_damaged_is_left_out_and_stays(void **state)
{
	struct config_test *test = *state;
	struct weir_api_call call = {.owner = &test->one.owner};
	const cJSON *left_out = NULL;

	applies(&test->one, "{\"weir\":1,\"functions\":[" CAT ",{\"name\":\"dog\",\"runtime\":\"exec\",\"path\":\"/bin/cat\"}],"
			    "\"routes\":[{\"route\":\"GET /x\",\"function\":\"dog\"}]}", "",
		"+function cat;+function dog;+route GET /x;");
	sql(&test->one, "UPDATE functions SET runtime = 'zork' WHERE name = 'dog';"
			"UPDATE routes SET pattern = 'x' WHERE pattern = '/x';"
			"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO variables "
			"SELECT f.id, 'V' || i, x'78', i % 2 FROM n, functions f WHERE f.name = 'cat';");
	assert_int_equal(weir_api_config_export(&call), WEIR_API_DONE);
	assert_int_equal(call.status, 200);
	left_out = cJSON_GetObjectItem(call.answer, "left_out");
	assert_int_equal(cJSON_GetArraySize(left_out), 2);
	assert_non_null(strstr(left_out->child->valuestring, "table functions, default/dog: runtime is 'zork'"));
	assert_non_null(strstr(left_out->child->next->valuestring, "table routes"));
	left_out = cJSON_GetObjectItem(cJSON_GetObjectItem(call.answer, "document"), "functions");
	assert_int_equal(cJSON_GetArraySize(left_out), 1);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(left_out->child, "environment")), 500);
	cJSON_Delete(call.answer);
	applies(&test->one, "{\"weir\":1}", ",\"prune\":true", "-function cat;");
	applies(&test->one, "{\"weir\":1}", ",\"prune\":true", "");
}

static void crash_between_both_databases_leaves_the_rows_to_the_next_application(void **state)
{
	struct config_test *test = *state;
	static char answer[TEXT_MAX];
	int status = 0;
	pid_t child = 0;

#ifndef WEIR_FAULT_POINTS
	skip();
#endif
	instance_detach(&test->one);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)setenv("WEIR_FAULT", "apply_between_files:kill:1", 1);
		instance_attach(&test->one);
		(void)apply(&test->one, WHOLE, TOKEN, answer);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	instance_attach(&test->one);
	applies(&test->one, WHOLE, "", "+row GET:/row;");
	exports(&test->one, WHOLE);
}

/* Any configuration */

static const char *one_of(const char *const *texts, int count)
{
	return texts[rand() % count];
}

static cJSON *function_make(int number)
{
	static const char *const spaces[] = {"", "shop/", "a-b/", "a/"};
	static const char *const runtimes[] = {"exec", "native", "python", "go"};
	static const char *const texts[] = {"", "1", "é\n", "yes", "'\"", "{}", "a: b"};
	cJSON *json = cJSON_CreateObject();
	cJSON *part = NULL;
	char name[64];

	(void)snprintf(name, sizeof(name), "%sf%d", one_of(spaces, 4), number);
	(void)cJSON_AddStringToObject(json, "name", name);
	if (rand() % 5 == 0) {
		(void)cJSON_AddStringToObject(json, "image", "registry.example/x:1");
	} else {
		(void)cJSON_AddStringToObject(json, "runtime", one_of(runtimes, 4));
		(void)cJSON_AddStringToObject(json, "path", "/bin/cat");
	}
	if (rand() % 2 == 0)
		(void)cJSON_AddNumberToObject(json, "timeout", 1 + rand() % 3000);
	if (rand() % 2 == 0)
		(void)cJSON_AddNumberToObject(json, "memory", 1 + rand() % 300);
	for (int i = rand() % 3; i > 0; i--) {
		if (part == NULL)
			part = cJSON_AddArrayToObject(json, "specs");
		cJSON *spec = cJSON_CreateObject();

		(void)cJSON_AddNumberToObject(spec, "cpu", i * 100 + rand() % 100);
		(void)cJSON_AddNumberToObject(spec, "memory", 1 + rand() % 1000);
		if (rand() % 2 == 0)
			(void)cJSON_AddNumberToObject(spec, "min", rand() % 30);
		(void)cJSON_AddItemToArray(part, spec);
	}
	part = cJSON_AddObjectToObject(json, rand() % 2 == 0 ? "environment" : "annotations");
	for (int i = rand() % 4; i > 0; i--) {
		(void)snprintf(name, sizeof(name), "%c%d", 'Z' - rand() % 20, i);
		(void)cJSON_AddStringToObject(part, name, one_of(texts, 7));
	}
	return json;
}

static cJSON *route_make(int number, const char *function)
{
	static const char *const methods[] = {"GET", "ANY", "POST,GET", "DELETE"};
	static const char *const ends[] = {"", "/{b}", "/*", "/x/{c}/y"};
	cJSON *json = cJSON_CreateObject();
	char text[96];

	(void)snprintf(text, sizeof(text), "%s /r%d%s", one_of(methods, 4), number, one_of(ends, 4));
	(void)cJSON_AddStringToObject(json, "route", text);
	(void)cJSON_AddStringToObject(json, "function", function);
	if (rand() % 3 == 0)
		(void)cJSON_AddStringToObject(json, "host", rand() % 2 == 0 ? "H.example" : "[::1]");
	if (rand() % 3 == 0)
		(void)cJSON_AddStringToObject(json, "timeout", rand() % 2 == 0 ? "1.5s" : "2m");
	return json;
}

static char *document_make(void)
{
	cJSON *document = cJSON_CreateObject();
	cJSON *functions = cJSON_AddArrayToObject(document, "functions");
	cJSON *routes = cJSON_AddArrayToObject(document, "routes");
	cJSON *rows = cJSON_AddArrayToObject(document, "rows");
	cJSON *images = cJSON_AddArrayToObject(document, "images");
	cJSON *settings = cJSON_AddObjectToObject(document, "settings");
	const int count = 1 + rand() % 8;
	char *text = NULL;

	(void)cJSON_AddNumberToObject(document, "weir", 1);
	for (int i = 0; i < count; i++) {
		cJSON *function = function_make(i);

		(void)cJSON_AddItemToArray(functions, function);
		if (rand() % 2 == 0)
			(void)cJSON_AddItemToArray(
				routes, route_make(i, cJSON_GetObjectItem(function, "name")->valuestring));
	}
	for (int i = rand() % 3; i > 0; i--) {
		cJSON *image = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(image, "image", i == 1 ? "registry.example/x:1" : "\"'`$#");
		(void)cJSON_AddStringToObject(image, "function", rand() % 2 == 0 ? "default/f0" : "shop/f1");
		(void)cJSON_AddItemToArray(images, image);
	}
	for (int i = rand() % 3; i > 0; i--) {
		cJSON *row = cJSON_CreateObject();
		cJSON *value = cJSON_AddObjectToObject(row, "value");
		char key[32];

		(void)snprintf(key, sizeof(key), "PUT:/row%d", i);
		(void)cJSON_AddStringToObject(row, "key", key);
		(void)cJSON_AddStringToObject(value, "module", "/x");
		(void)cJSON_AddStringToObject(value, "handler", "h");
		(void)cJSON_AddNumberToObject(value, "timeout", (1 + rand() % 100) / 8.0);
		(void)cJSON_AddItemToArray(rows, row);
	}
	if (rand() % 2 == 0)
		(void)cJSON_AddNumberToObject(settings, "body_bytes_max", rand());
	if (rand() % 2 == 0)
		(void)cJSON_AddNumberToObject(settings, "send_idle_ms", 10 + rand() % 10000);
	text = cJSON_PrintUnformatted(document);
	cJSON_Delete(document);
	return text;
}

/* One instance gets one configuration after the other; another one the exports of the first. */
static void export_applied_elsewhere_exports_the_same(void **state)
{
	struct config_test *test = *state;
	const char *given = getenv("WEIR_TEST_SEED");
	const unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	static char answer[TEXT_MAX * 4];

	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < ROUNDS; i++) {
		char *document = document_make();
		char *text = NULL;

		if (apply(&test->one, document, rand() % 2 == 0 ? "" : ",\"prune\":true", answer) != 200) {
			/* Routes of earlier rounds may stand in the way of those that come. */
			if (strstr(answer, "stands in the way") == NULL)
				fail_msg("%s", answer);
			assert_int_equal(apply(&test->one, document, ",\"prune\":true", answer), 200);
		}
		text = export(&test->one, "");
		assert_int_equal(apply(&test->one, text, ",\"prune\":true", answer), 200);
		assert_string_equal(changes(answer), "");
		assert_int_equal(apply(&test->other, text, ",\"prune\":true", answer), 200);
		exports(&test->other, text);
		cJSON_free(document);
		cJSON_free(text);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: a process looks once for the faults that are wanted. */
		TEST(crash_between_both_databases_leaves_the_rows_to_the_next_application),
		TEST(documents_that_are_wrong_are_refused_with_the_place),
		TEST(all_problems_are_listed_up_to_a_limit),
		TEST(export_of_what_was_applied_is_the_document),
		TEST(what_the_document_does_not_name_stays_unless_pruned),
		TEST(routes_and_rows_do_not_stand_in_each_others_way),
		TEST(route_is_changed_in_place),
		TEST(variables_are_set_kept_moved_and_unset),
		TEST(table_that_cannot_be_written_stops_everything),
		TEST(what_another_program_damaged_is_left_out_and_stays),
		TEST(export_applied_elsewhere_exports_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
