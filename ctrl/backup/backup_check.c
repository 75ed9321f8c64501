#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/backup/backup_file.h"
#include "dataplane/base/cleanup.h"

/* What the store's and the model's own checks do not see, each as a query that finds what is wrong. */
static const struct {
	const char *query; /* its first column names the culprit */
	const char *why;
} rules[] = {
	{"SELECT a.pattern FROM routes AS a JOIN routes AS b ON a.host = b.host AND a.shape = b.shape AND a.id < b.id "
	 "WHERE (a.methods & b.methods) <> 0 OR (a.methods = 0 AND b.methods = 0)",
	 "two routes answer the same requests"},
	{"SELECT f.space || '/' || f.name FROM functions AS f WHERE f.number <> 0 AND NOT EXISTS (SELECT 1 FROM versions "
	 "AS v WHERE v.function_id = f.id AND v.number = f.number AND v.code_path = f.code_path)",
	 "the version that serves is not among its versions"},
	{"SELECT f.space || '/' || f.name FROM versions AS v JOIN functions AS f ON f.id = v.function_id WHERE v.number "
	 "NOT BETWEEN 1 AND 4294967295",
	 "a version has no number"},
	{"SELECT code_path FROM versions WHERE code <> '' AND substr(code_path, 1, 70) <> 'code/' || code || '/'",
	 "a version's path does not lie in its code"},
	{"SELECT f.space || '/' || f.name FROM variables AS v JOIN functions AS f ON f.id = v.function_id GROUP BY f.id "
	 "HAVING count(*) > 128",
	 "a function has more than 128 variables"},
	{"SELECT name FROM settings WHERE length(name) >= 64 OR value < 0", "a setting is none"},
	{"SELECT pool FROM pool_settings WHERE length(pool) > 255 OR length(name) >= 64 OR value NOT BETWEEN 0 AND "
	 "4294967295",
	 "a setting of a pool is none"},
};

static_assert(WEIR_STORE_VARIABLES_MAX == 128, "the rule above says so");

static int fail(struct weir_backup_job *job, const char *what, const char *why)
{
	(void)snprintf(job->error.text, sizeof(job->error.text), "%.1100s: %s", what, why);
	return -EINVAL;
}

/* A path in the data directory stays in its code's folder. */
static int path_check(struct weir_backup_job *job, const char *kept)
{
	return strncmp(kept, "code/", 5) != 0 || weir_code_name_inside(kept)
		       ? 0
		       : fail(job, kept, "this path leads out of the code's folder");
}

static int rules_check(struct weir_backup_job *job, sqlite3 *staged)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *found = NULL;
		int code = weir_sql_prepare(staged, "the backup", rules[i].query, &found, &job->error);

		if (code == 0)
			code = sqlite3_step(found);
		if (code == SQLITE_ROW)
			return fail(job, weir_sql_text(found, 0), rules[i].why);
		if (code != SQLITE_DONE)
			return code < 0 ? code : weir_sql_error(staged, code, "the backup", &job->error);
	}
	return 0;
}

/* Shapes are what routes are compared by: they are their patterns'. */
static int shapes_check(struct weir_backup_job *job, sqlite3 *staged)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	int code = weir_sql_prepare(staged, "the backup", "SELECT pattern, shape FROM routes", &rows, &job->error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		weir_store_pattern_shape(weir_sql_text(rows, 0), shape);
		if (strcmp(shape, weir_sql_text(rows, 1)) != 0)
			return fail(job, weir_sql_text(rows, 0), "this route's shape is not its pattern's");
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(staged, code, "the backup", &job->error);
}

static int paths_check(struct weir_backup_job *job, sqlite3 *staged)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	int code = weir_sql_prepare(staged, "the backup",
				    "SELECT code_path FROM functions UNION SELECT code_path FROM versions", &rows,
				    &job->error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		code = path_check(job, weir_sql_text(rows, 0));
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(staged, code, "the backup", &job->error);
}

static int variable_check(void *context, const struct weir_model_function *function,
			  const struct weir_store_variable *variable)
{
	struct weir_backup_job *job = context;
	const size_t extra = variable->is_secret ? WEIR_SECRET_EXTRA_BYTES : 0;

	(void)function;
	if (!weir_model_variable_sound(variable->name))
		return fail(job, variable->name, "this is no name of a variable");
	return variable->bytes >= extra && variable->bytes - extra <= WEIR_MODEL_VALUE_BYTES_MAX
		       ? 0
		       : fail(job, variable->name, "this variable's value is too long, or cut");
}

/* One function's record of what it carries, now or in a version. */
static int details_check(struct weir_backup_job *job, struct weir_store *store,
			 const struct weir_model_function *function)
{
	struct weir_model_details details = {.parameters = NULL};
	const int code = weir_store_details_get(store, function, &details, &job->error);

	if (code == 0)
		weir_model_details_release(&details);
	return code;
}

struct version_context {
	struct weir_backup_job *job;
	struct weir_store *store;
};

static int version_check(void *context, const struct weir_store_version *version)
{
	const struct version_context *at = context;

	return details_check(at->job, at->store, &version->function);
}

/* Every record passes the checks that every door has. */
static int records_check(struct weir_backup_job *job, struct weir_store *store)
{
	struct weir_store_catalog catalog = {.functions = NULL};
	struct version_context context = {.job = job, .store = store};
	int code = weir_store_load(store, &catalog, &job->error);

	for (size_t i = 0; code == 0 && i < catalog.function_count; i++) {
		const struct weir_model_function *function = &catalog.functions[i];

		code = weir_backup_job_go_on(job);
		if (code == 0)
			code = details_check(job, store, function);
		if (code == 0)
			code = weir_store_version_each(store, function->space, function->name, version_check, &context,
						       &job->error);
	}
	if (code == 0 && (catalog.function_count > WEIR_STORE_FUNCTIONS_MAX || catalog.route_count > WEIR_STORE_ROUTES_MAX))
		code = fail(job, "functions and routes", "there are more than Weir keeps");
	job->report.functions = (uint32_t)catalog.function_count;
	job->report.routes = (uint32_t)catalog.route_count;
	weir_store_catalog_release(&catalog);
	return code == 0 ? weir_store_variable_each(store, variable_check, job, &job->error) : code;
}

static int queries_check(struct weir_backup_job *job)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *staged = NULL;
	char path[WEIR_BACKUP_PATH_BYTES_MAX + 16];
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/weir.db", job->folder); /* fits */
	code = sqlite3_open_v2(path, &staged, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return weir_sql_error(staged, code, path, &job->error);
	weir_backup_job_watch(job, staged);
	code = rules_check(job, staged);
	if (code == 0)
		code = shapes_check(job, staged);
	return code == 0 ? paths_check(job, staged) : code;
}

int weir_backup_staged_check(struct weir_backup_job *job)
{
	struct weir_store *store = NULL;
	int code = weir_store_create(job->folder, &store);

	/* Opening it migrates what an older Weir made. */
	if (code == 0)
		code = weir_store_open(store, false, &job->error);
	if (code == 0)
		code = records_check(job, store);
	weir_store_destroy(store);
	return code == 0 ? queries_check(job) : code;
}
