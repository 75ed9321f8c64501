#include "ctrl/store/store_examine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/store/public_table.h"
#include "ctrl/store/store_alias.h"
#include "ctrl/store/store_key.h"
#include "ctrl/store/store_user.h"
#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

enum { PROGRESS_STEPS = 20000, FINDINGS_MAX = 100 /* of SQLite, about one file */ };

/* What rows must agree on: each query gives the rows that do not, by name. */
static const struct {
	const char *table;
	const char *field;
	const char *reason;
	const char *query;
} rules[] = {
	{"functions", "number", "is the number of a version that is not there",
	 "SELECT f.space || '/' || f.name FROM functions f LEFT JOIN versions v "
	 "ON v.function_id = f.id AND v.number = f.number WHERE f.number <> 0 AND v.number IS NULL"},
	{"functions", "details", "refers to a row of table details that is not there",
	 "SELECT f.space || '/' || f.name FROM functions f LEFT JOIN details d "
	 "ON d.id = f.details AND d.function_id = f.id WHERE f.details <> 0 AND d.id IS NULL"},
	{"versions", "details", "refers to a row of table details that is not there",
	 "SELECT f.space || '/' || f.name || ' ' || v.number FROM versions v JOIN functions f "
	 "ON f.id = v.function_id LEFT JOIN details d ON d.id = v.details AND d.function_id = v.function_id "
	 "WHERE v.details <> 0 AND d.id IS NULL"},
	{"meta", "id", "is behind an id that is in use; the next function or route would not fit",
	 "SELECT name FROM meta WHERE name = 'id' AND value < (SELECT max(id) FROM ("
	 "SELECT id FROM functions UNION ALL SELECT id FROM routes UNION ALL SELECT id FROM details))"},
	{"meta", "value", "is missing: the generation, or the last id",
	 "SELECT 'generation' WHERE (SELECT count(*) FROM meta WHERE name IN ('generation', 'id')) <> 2"},
};

static void tell(const struct weir_store_examiner *examiner, const char *table, const char *row,
		 const char *field, const char *reason)
{
	struct weir_store_bad_row bad;

	memset(&bad, 0, sizeof(bad));
	(void)snprintf(bad.table, sizeof(bad.table), "%s", table); /* cut is fine, here and below */
	(void)snprintf(bad.row, sizeof(bad.row), "%s", row);
	(void)snprintf(bad.field, sizeof(bad.field), "%s", field);
	(void)snprintf(bad.reason, sizeof(bad.reason), "%s", reason);
	examiner->found(examiner->context, &bad);
}

static int progress(void *context)
{
	const struct weir_store_examiner *examiner = context;

	return examiner->stop(examiner->context) ? 1 : 0;
}

/* A connection that only reads, and one state from here on. */
static int reader_open(const char *path, const struct weir_store_examiner *examiner, sqlite3 **out_db,
		       struct weir_store_error *error)
{
	const int code = sqlite3_open_v2(path, out_db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	if (code != SQLITE_OK)
		return weir_sql_error(*out_db, code, path, error);
	(void)sqlite3_extended_result_codes(*out_db, 1);
	(void)sqlite3_busy_timeout(*out_db, 0);
	sqlite3_progress_handler(*out_db, PROGRESS_STEPS, progress, (void *)(uintptr_t)examiner);
	return weir_sql_run(*out_db, path, "BEGIN", error);
}

static void reader_close(sqlite3 *db)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* it only read */
	(void)sqlite3_close_v2(db); /* statements are finalized */
}

/* What SQLite finds: pages, indices, types, rules of the tables. */
static int file_check(sqlite3 *db, const char *path, const char *table,
		      const struct weir_store_examiner *examiner, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char query[64];
	int code = 0;

	(void)snprintf(query, sizeof(query), "PRAGMA integrity_check(%d)", FINDINGS_MAX); /* fits */
	code = weir_sql_prepare(db, path, query, &statement, error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (strcmp(weir_sql_text(statement, 0), "ok") != 0)
			tell(examiner, table, "", "file", weir_sql_text(statement, 0));
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, path, error);
}

static int rule_check(struct weir_store *store, size_t i, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, rules[i].query, &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		tell(store->examiner, rules[i].table, weir_sql_text(statement, 0), rules[i].field, rules[i].reason);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

/* A route is found by its shape. */
static int shapes_check(struct weir_store *store, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT pattern, shape FROM routes", &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		char pattern[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
		char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];

		if (!weir_sql_text_copy(statement, 0, pattern, sizeof(pattern)))
			continue; /* the row's own check says so */
		weir_store_pattern_shape(pattern, shape);
		if (strcmp(shape, weir_sql_text(statement, 1)) != 0)
			tell(store->examiner, "routes", pattern, "shape", "does not belong to the pattern");
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

/* What is gathered while functions are gone through. */
struct gathering {
	struct weir_store *store;
	struct weir_store_examined *examined;
	bool has_version; /* the present function */
};

static int version_visit(void *context, const struct weir_store_version *version)
{
	struct gathering *gathering = context;
	const struct weir_store_examiner *examiner = gathering->store->examiner;

	gathering->has_version = true;
	gathering->examined->versions++;
	examiner->version(examiner->context, version);
	return examiner->stop(examiner->context) ? -ECANCELED : 0;
}

static int function_check(struct gathering *gathering, const struct weir_model_function *function,
			  struct weir_store_error *error)
{
	const struct weir_store_examiner *examiner = gathering->store->examiner;
	int code = 0;

	gathering->has_version = false;
	if (function->problem[0] != '\0')
		return 0; /* a stand-in, which was told of */
	code = weir_store_version_each(gathering->store, function->space, function->name, version_visit, gathering,
				       error);
	if (code == 0 && !gathering->has_version) {
		const struct weir_store_version added = {.function = *function, .is_current = true};

		examiner->version(examiner->context, &added);
	}
	return code;
}

/* Each row of details, by the function that it belongs to. */
static int details_check(struct weir_store *store, struct weir_store_examined *examined,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store,
				      "SELECT d.id, f.id, f.space, f.name FROM details d JOIN functions f "
				      "ON f.id = d.function_id",
				      &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const struct weir_model_function function = {
			.details = (uint64_t)sqlite3_column_int64(statement, 0),
			.id = (uint64_t)sqlite3_column_int64(statement, 1)};
		struct weir_model_details details = {.parameters = NULL};
		struct weir_store_error wrong;
		char name[sizeof(((struct weir_store_bad_row *)0)->row)];

		(void)snprintf(name, sizeof(name), "%s/%s", weir_sql_text(statement, 2),
			       weir_sql_text(statement, 3)); /* cut is fine */
		code = weir_store_details_get(store, &function, &details, &wrong);
		weir_model_details_release(&details);
		if (code == -ENOMEM)
			return weir_store_fail(error, code, "not enough memory to look at table details");
		if (code != 0)
			tell(store->examiner, "details", name, "row", wrong.text);
		examined->details++;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int rows_check(struct weir_store *store, struct weir_store_examined *examined, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_store_aliases_release) struct weir_store_aliases aliases = {.alias = NULL};
	WEIR_CLEANUP(weir_store_users_release) struct weir_store_users users = {.user = NULL};
	WEIR_CLEANUP(weir_store_keys_release) struct weir_store_keys keys = {.key = NULL};
	struct weir_store_catalog catalog = {.is_tolerant = true};
	struct gathering gathering = {.store = store, .examined = examined};
	int code = weir_store_load(store, &catalog, error);

	examined->functions = catalog.function_count;
	examined->routes = catalog.route_count + store->bad[WEIR_STORE_BAD_ROUTES].count;
	for (size_t i = 0; code == 0 && i < catalog.function_count; i++)
		code = function_check(&gathering, &catalog.functions[i], error);
	weir_store_catalog_release(&catalog);
	if (code == 0)
		code = weir_store_aliases_load(store, &aliases, error); /* a bad one is told of */
	if (code == 0)
		code = weir_store_users_load(store, &users, error); /* likewise */
	if (code == 0)
		code = weir_store_keys_load(store, &keys, error); /* likewise */
	if (code == 0)
		code = details_check(store, examined, error);
	for (size_t i = 0; code == 0 && i < sizeof(rules) / sizeof(rules[0]); i++)
		code = rule_check(store, i, error);
	return code == 0 ? shapes_check(store, error) : code;
}

static int weir_db_examine(const char *directory, const struct weir_store_examiner *examiner,
			   struct weir_store_examined *examined, struct weir_store_error *error)
{
	struct weir_store *store = NULL;
	int code = weir_store_create(directory, &store);

	if (code != 0)
		return weir_store_fail(error, code, "cannot look at %s/weir.db: %s", directory, strerror(-code));
	store->examiner = examiner;
	code = reader_open(store->path, examiner, &store->db, error);
	if (code == 0)
		code = file_check(store->db, store->path, "weir.db", examiner, error);
	if (code == 0)
		code = rows_check(store, examined, error);
	reader_close(store->db);
	store->db = NULL;
	weir_store_destroy(store);
	return code;
}

/* Rows of the public table that the table itself reads: no matter what they mean. */
static int public_rows_check(sqlite3 *db, const char *path, const struct weir_store_examiner *examiner,
			     struct weir_store_examined *examined, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, path, "SELECT k, v FROM functions ORDER BY k", &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *key = weir_sql_text(statement, 0);
		const char *value = weir_sql_text(statement, 1);
		struct weir_model_function function;
		struct weir_model_route route;
		struct weir_model_error wrong;

		examined->rows++;
		if (weir_model_row_parse(key, value, (size_t)sqlite3_column_bytes(statement, 1), &function, &route,
					 &wrong) != 0)
			tell(examiner, "rows", key, wrong.field, wrong.reason);
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, path, error);
}

static int public_db_examine(const char *directory, const struct weir_store_examiner *examiner,
			     struct weir_store_examined *examined, struct weir_store_error *error)
{
	char path[WEIR_STORE_PATH_BYTES_MAX];
	sqlite3 *db = NULL;
	const int written = snprintf(path, sizeof(path), "%s/" WEIR_PUBLIC_TABLE_FILE, directory);
	int code = 0;

	if (written < 0 || (size_t)written >= sizeof(path))
		return weir_store_fail(error, -ENAMETOOLONG, "the data directory's path is too long");
	code = reader_open(path, examiner, &db, error);
	if (code == 0)
		code = file_check(db, path, WEIR_PUBLIC_TABLE_FILE, examiner, error);
	if (code == 0)
		code = public_rows_check(db, path, examiner, examined, error);
	reader_close(db);
	return code;
}

int weir_store_examine(const char *directory, const struct weir_store_examiner *examiner,
		       struct weir_store_examined *out_examined, struct weir_store_error *error)
{
	struct weir_store_error other = {{0}};
	int code = 0;
	int other_code = 0;

	memset(out_examined, 0, sizeof(*out_examined));
	code = weir_db_examine(directory, examiner, out_examined, error);
	if (examiner->stop(examiner->context))
		return -ECANCELED;
	if (code != 0)
		tell(examiner, "weir.db", "", "file", error->text);
	other_code = public_db_examine(directory, examiner, out_examined, &other);
	if (examiner->stop(examiner->context))
		return -ECANCELED;
	if (other_code == 0)
		return code;
	tell(examiner, WEIR_PUBLIC_TABLE_FILE, "", "file", other.text);
	if (code == 0)
		*error = other;
	return code == 0 ? other_code : code;
}
