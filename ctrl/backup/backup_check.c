#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/backup/backup_file.h"
#include "ctrl/store/store_alias.h"
#include "ctrl/store/store_examine.h"
#include "ctrl/store/store_key.h"
#include "ctrl/store/store_user.h"
#include "dataplane/base/cleanup.h"

/* What an examination of the store does not ask, each as a query that finds what is wrong. */
static const struct {
	const char *query; /* its first column names the culprit */
	const char *why;
} rules[] = {
	{"SELECT a.pattern FROM routes AS a JOIN routes AS b ON a.host = b.host AND a.shape = b.shape AND a.id < b.id "
	 "WHERE (a.methods & b.methods) <> 0 OR (a.methods = 0 AND b.methods = 0)",
	 "two routes answer the same requests"},
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
	{"SELECT 'image_alias' WHERE (SELECT count(*) FROM image_alias) > 4096", "there are more than 4096 images with an alias"},
	{"SELECT 'user' WHERE (SELECT count(*) FROM user) > 16384", "there are more than 16384 users"},
	{"SELECT 'api_key' WHERE (SELECT count(*) FROM api_key) > 16384", "there are more than 16384 keys"},
};

static_assert(WEIR_STORE_VARIABLES_MAX == 128, "the rule above says so");
static_assert(WEIR_STORE_ALIASES_MAX == 4096, "so does that of image_alias");
static_assert(WEIR_STORE_USERS_MAX == 16384, "so does that of user");
static_assert(WEIR_STORE_KEYS_MAX == 16384, "and that of api_key");

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

/* Code outside of the data directory is not in a backup; who restores it elsewhere wants to know. */
static int outside_note(struct weir_backup_job *job, sqlite3 *staged)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	int code = weir_sql_prepare(staged, "the backup",
				    "SELECT space, name, code_path FROM functions WHERE code_path LIKE '/%' ORDER BY space, name",
				    &rows, &job->error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		if (access(weir_sql_text(rows, 2), F_OK) != 0)
			weir_backup_name_note(&job->report.missing, weir_sql_text(rows, 0), weir_sql_text(rows, 1));
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

/* ---- every record, as `ctrlctl config check` looks at it ---- */

static bool stop_asked(void *context)
{
	return weir_backup_job_go_on(context) != 0;
}

/* Rows of the public table may be anything: what they mean is found out when they are read. */
static void row_found(void *context, const struct weir_store_bad_row *row)
{
	struct weir_backup_job *job = context;

	if (strcmp(row->table, "rows") == 0 || job->is_unsound)
		return;
	job->is_unsound = true;
	(void)snprintf(job->error.text, sizeof(job->error.text), "table %s%s%s: %s: %s", row->table,
		       row->row[0] == '\0' ? "" : ", ", row->row, row->field, row->reason);
}

static void version_ignore(void *context, const struct weir_store_version *version)
{
	(void)context; /* its code is checked with all others */
	(void)version;
}

static int records_check(struct weir_backup_job *job)
{
	const struct weir_store_examiner examiner = {
		.context = job, .stop = stop_asked, .found = row_found, .version = version_ignore};
	struct weir_store_examined examined;
	struct weir_store_error error = {{0}};
	const int code = weir_store_examine(job->folder, &examiner, &examined, &error);

	if (code != 0 && !job->is_unsound)
		job->error = error;
	if (code != 0 || job->is_unsound)
		return code != 0 ? code : -EINVAL;
	job->report.functions = (uint32_t)examined.functions;
	job->report.routes = (uint32_t)examined.routes;
	return examined.functions <= WEIR_STORE_FUNCTIONS_MAX && examined.routes <= WEIR_STORE_ROUTES_MAX
		       ? 0
		       : fail(job, "functions and routes", "there are more than Weir keeps");
}

static int queries_check(struct weir_backup_job *job)
{
	WEIR_CLEANUP(weir_backup_close_db) sqlite3 *staged = NULL;
	int code = weir_backup_staged_open(job->folder, &staged, &job->error);

	if (code != 0)
		return code;
	weir_backup_job_watch(job, staged);
	code = rules_check(job, staged);
	if (code == 0)
		code = paths_check(job, staged);
	return code == 0 ? outside_note(job, staged) : code;
}

int weir_backup_staged_check(struct weir_backup_job *job)
{
	struct weir_store *store = NULL;
	int code = weir_store_create(job->folder, &store);

	/* Opening it migrates what an older Weir made. */
	if (code == 0)
		code = weir_store_open(store, false, &job->error);
	if (code == 0)
		code = weir_store_variable_each(store, variable_check, job, &job->error);
	weir_store_destroy(store);
	if (code == 0)
		code = records_check(job);
	return code == 0 ? queries_check(job) : code;
}
