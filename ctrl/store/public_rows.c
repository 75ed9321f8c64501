#include "ctrl/store/public_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "ctrl/store/sql.h"
#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

/* Ids of public rows have the top bit; ids that weir.db counts never reach it. */
#define PUBLIC_ID_BIT (UINT64_C(1) << 63)

/* A table being read: rows in the order of their keys, as weir_public_table_read() gives them. */
struct reading {
	struct weir_public_row *rows;
	size_t count;
	size_t room;
};

/* One sync: the rows that were, the rows that are, and what is common to all steps. */
struct sync {
	struct weir_public_rows *old;
	struct reading fresh;
	uint64_t generation;
	bool changed;
};

static void row_release(struct weir_public_row *row)
{
	free(row->key);
	free(row->value);
	free(row->value_refused);
	memset(row, 0, sizeof(*row));
}

static void array_release(struct weir_public_row **rows, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		row_release(&(*rows)[i]);
	free(*rows);
	*rows = NULL;
	*count = 0;
}

static void gone_release(struct weir_public_rows *rows)
{
	for (size_t i = 0; i < rows->gone_count; i++)
		free(rows->gone[i]);
	free(rows->gone);
	rows->gone = NULL;
	rows->gone_count = 0;
}

void weir_public_rows_release(struct weir_public_rows *rows)
{
	array_release(&rows->rows, &rows->count);
	gone_release(rows);
}

static struct weir_public_row *reading_append(struct reading *reading)
{
	if (reading->count == reading->room) {
		const size_t room = reading->room == 0 ? 16 : reading->room * 2;
		struct weir_public_row *grown = realloc(reading->rows, room * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		reading->rows = grown;
		reading->room = room;
	}
	memset(&reading->rows[reading->count], 0, sizeof(*reading->rows));
	return &reading->rows[reading->count++];
}

/* Keep the texts only; `value_refused` stands for "to be parsed". */
static int reading_visit(void *context, const char *key, const char *value, size_t value_bytes)
{
	struct weir_public_row *row = reading_append(context);

	if (row == NULL)
		return -ENOMEM;
	row->key = strdup(key);
	if (row->key == NULL)
		return -ENOMEM;
	if (value == NULL)
		return 0;
	if (strlen(value) != value_bytes) {
		value_bytes =
			strlen(value); /* a NUL inside ends the text; what is left is no JSON */
	}
	row->value_refused = strndup(value, value_bytes);
	return row->value_refused == NULL ? -ENOMEM : 0;
}

/* Parse `value` as the row's new version. False: row->error says why; what was good stays. */
static bool row_parse(struct weir_public_row *row, const char *value, uint64_t version)
{
	struct weir_model_function function;
	struct weir_model_route route;
	const uint64_t id = XXH3_64bits(row->key, strlen(row->key)) | PUBLIC_ID_BIT;

	memset(&row->error, 0, sizeof(row->error));
	if (value == NULL) {
		(void)snprintf(row->error.field, sizeof(row->error.field), "v");
		(void)snprintf(row->error.reason, sizeof(row->error.reason), "must be text");
		return false;
	}
	if (weir_model_row_parse(row->key, value, strlen(value), &function, &route,
				 &row->error) != 0)
		return false;
	function.id = id;
	function.version = version;
	function.from_public_table = true;
	route.id = id;
	route.function_id = id;
	route.from_public_table = true;
	row->function = function;
	row->route = route;
	return true;
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What was known of a row passes to its new self. */
static void row_inherit(struct weir_public_row *row, struct weir_public_row *old)
{
	row->value = old->value;
	row->function = old->function;
	row->route = old->route;
	row->error = old->error;
	row->saved = old->saved;
	row->shadowed = old->shadowed;
	old->value = NULL;
}

/* Settle one row of the new reading; `old` is NULL if the key is new. */
static void sync_row(struct sync *sync, struct weir_public_row *row,
		     struct weir_public_row *old)
{
	const bool was_bad = old != NULL && old->error.field[0] != '\0';
	const bool same_refused = was_bad && text_equal(old->value_refused, row->value_refused);

	if (old != NULL)
		row_inherit(row, old);
	if (same_refused)
		return;
	if (row->value != NULL && text_equal(row->value, row->value_refused)) {
		memset(&row->error, 0, sizeof(row->error));
		free(row->value_refused);
		row->value_refused = NULL;
		if (was_bad)
			sync->old->report(sync->old->report_context, row,
					  WEIR_PUBLIC_ROW_TAKEN);
		return;
	}
	if (!row_parse(row, row->value_refused, sync->generation)) {
		sync->old->report(sync->old->report_context, row, WEIR_PUBLIC_ROW_REFUSED);
		return;
	}
	free(row->value);
	row->value = row->value_refused;
	row->value_refused = NULL;
	row->saved = false;
	sync->changed = true;
	sync->old->report(sync->old->report_context, row, WEIR_PUBLIC_ROW_TAKEN);
}

/* A key that the table no longer has; there is room for it. */
static void sync_gone(struct sync *sync, struct weir_public_row *old)
{
	sync->old->report(sync->old->report_context, old, WEIR_PUBLIC_ROW_GONE);
	if (old->value == NULL)
		return;
	sync->changed = true;
	sync->old->gone[sync->old->gone_count++] = old->key;
	old->key = NULL;
}

/* Both lists are in the order of their keys. */
static void sync_merge(struct sync *sync)
{
	struct weir_public_row *old = sync->old->rows;
	struct weir_public_row *const end = old + sync->old->count;

	for (size_t i = 0; i < sync->fresh.count; i++) {
		struct weir_public_row *row = &sync->fresh.rows[i];
		int order = 1;

		for (; old < end && (order = strcmp(old->key, row->key)) < 0; old++)
			sync_gone(sync, old);
		sync_row(sync, row, old < end && order == 0 ? old : NULL);
		old += old < end && order == 0 ? 1 : 0;
	}
	for (; old < end; old++)
		sync_gone(sync, old);
}

/* Room for every key that may turn out to be gone. */
static bool gone_reserve(struct weir_public_rows *rows)
{
	char **grown =
		realloc(rows->gone, (rows->gone_count + rows->count + 1) * sizeof(*grown));

	if (grown == NULL)
		return false;
	rows->gone = grown;
	return true;
}

int weir_public_rows_sync(struct weir_public_rows *rows, struct weir_public_table *table,
			  uint64_t generation, bool *out_changed,
			  struct weir_store_error *error)
{
	struct sync sync = {.old = rows, .generation = generation};
	int code = weir_public_table_read(table, reading_visit, &sync.fresh, error);

	if (code == 0 && !gone_reserve(rows)) {
		code = weir_store_fail(error, -ENOMEM,
				       "not enough memory for the rows of the public table");
	}
	if (code != 0) {
		array_release(&sync.fresh.rows, &sync.fresh.count);
		return code;
	}
	sync_merge(&sync);
	array_release(&rows->rows, &rows->count);
	rows->rows = sync.fresh.rows;
	rows->count = sync.fresh.count;
	rows->readings++;
	rows->unsaved = rows->unsaved || sync.changed;
	*out_changed = sync.changed;
	return 0;
}

/* One saved row. One that no longer passes the checks is left out, and its key will be forgotten. */
static int row_load(struct weir_public_rows *rows, struct reading *reading,
		    sqlite3_stmt *statement)
{
	struct weir_public_row *row = NULL;

	if (reading_visit(reading, weir_sql_text(statement, 0), weir_sql_text(statement, 1),
			  (size_t)sqlite3_column_bytes(statement, 1)) != 0)
		return -ENOMEM;
	row = &reading->rows[reading->count - 1];
	if (row_parse(row, row->value_refused, (uint64_t)sqlite3_column_int64(statement, 2))) {
		row->value = row->value_refused;
		row->value_refused = NULL;
		row->saved = true;
		return 0;
	}
	if (!gone_reserve(rows))
		return -ENOMEM;
	rows->gone[rows->gone_count++] = row->key;
	row->key = NULL;
	row_release(row);
	reading->count--;
	return 0;
}

int weir_public_rows_load(struct weir_public_rows *rows, struct weir_store *store,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct reading reading = {0};
	int code = weir_store_prepare(
		store, "SELECT k, v, version FROM public_rows ORDER BY k COLLATE BINARY",
		&statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (row_load(rows, &reading, statement) != 0) {
			array_release(&reading.rows, &reading.count);
			return weir_store_fail(
				error, -ENOMEM,
				"not enough memory for the rows of the public table");
		}
	}
	if (code != SQLITE_DONE) {
		array_release(&reading.rows, &reading.count);
		return weir_sql_error(store->db, code, store->path, error);
	}
	array_release(&rows->rows, &rows->count);
	rows->rows = reading.rows;
	rows->count = reading.count;
	rows->readings++;
	return 0;
}

/* Run a prepared statement once with a key, a value (may be NULL) and a version. */
static int row_run(struct weir_store *store, sqlite3_stmt *statement, const char *key,
		   const char *value, uint64_t version, struct weir_store_error *error)
{
	int code = 0;

	(void)sqlite3_bind_text(statement, 1, key, -1,
				SQLITE_STATIC); /* errors show at the step */
	if (value != NULL) {
		(void)sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)version);
	}
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	(void)sqlite3_reset(statement); /* repeats the step's result */
	return 0;
}

#define ROW_FORGET "DELETE FROM public_rows WHERE k = ?1"
#define ROW_KEEP   "INSERT OR REPLACE INTO public_rows (k, v, version) VALUES (?1, ?2, ?3)"

int weir_public_rows_put(struct weir_store *store, const char *key, const char *value,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const int code =
		weir_store_prepare(store, value == NULL ? ROW_FORGET : ROW_KEEP, &statement, error);

	return code != 0 ? code : row_run(store, statement, key, value, store->generation + 1, error);
}

static int rows_save(const struct weir_public_rows *rows, struct weir_store *store,
		     struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *forget = NULL;
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *keep = NULL;
	int code = weir_store_prepare(store, ROW_FORGET, &forget, error);

	if (code == 0)
		code = weir_store_prepare(store, ROW_KEEP, &keep, error);
	/* Keys that went may have come again since: forget first. */
	for (size_t i = 0; code == 0 && i < rows->gone_count; i++)
		code = row_run(store, forget, rows->gone[i], NULL, 0, error);
	for (size_t i = 0; code == 0 && i < rows->count; i++) {
		const struct weir_public_row *row = &rows->rows[i];

		if (row->value != NULL && !row->saved) {
			code = row_run(store, keep, row->key, row->value, row->function.version,
				       error);
		}
	}
	return code;
}

int weir_public_rows_save(struct weir_public_rows *rows, struct weir_store *store,
			  struct weir_store_error *error)
{
	static const struct weir_history_author others = {
		.who = "", .uid = -1, .from = "public table", .what = "rows of the public table changed"};
	const bool is_others = weir_history_author_offer(store, &others);
	int code = weir_store_begin(store, error);

	if (code == 0) {
		code = rows_save(rows, store, error);
		if (code == 0) {
			code = weir_store_finish(store, error);
		} else {
			weir_store_undo(store);
		}
	}
	if (is_others)
		weir_history_author_set(store, NULL);
	if (code != 0)
		return code;
	for (size_t i = 0; i < rows->count; i++)
		rows->rows[i].saved = true;
	gone_release(rows);
	rows->unsaved = false;
	return 0;
}

bool weir_public_rows_next(void *context, const char **out_key, const char **out_value)
{
	struct weir_public_rows_walk *walk = context;

	while (walk->at < walk->rows->count) {
		const struct weir_public_row *row = &walk->rows->rows[walk->at++];

		if (row->value == NULL)
			continue;
		*out_key = row->key;
		*out_value = row->value;
		return true;
	}
	return false;
}

int weir_public_rows_append_functions(const struct weir_public_rows *rows,
				      struct weir_store_catalog *catalog)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct weir_model_function *function = NULL;

		if (rows->rows[i].value == NULL)
			continue;
		function = weir_store_catalog_function(catalog);
		if (function == NULL)
			return -ENOMEM;
		*function = rows->rows[i].function;
	}
	return 0;
}

int weir_public_rows_append(const struct weir_public_rows *rows,
			    struct weir_store_catalog *catalog)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct weir_model_route *route = NULL;

		if (rows->rows[i].value == NULL)
			continue;
		route = weir_store_catalog_route(catalog);
		if (route == NULL)
			return -ENOMEM;
		*route = rows->rows[i].route;
	}
	return weir_public_rows_append_functions(rows, catalog);
}

struct weir_public_row *weir_public_rows_find(const struct weir_public_rows *rows,
					      const char *key)
{
	size_t first = 0;
	size_t end = rows->count;

	while (first < end) {
		const size_t middle = first + (end - first) / 2;
		const int order = strcmp(key, rows->rows[middle].key);

		if (order == 0)
			return &rows->rows[middle];
		if (order < 0) {
			end = middle;
		} else {
			first = middle + 1;
		}
	}
	return NULL;
}

struct weir_public_row *weir_public_rows_find_route(const struct weir_public_rows *rows,
						    const struct weir_model_route *route)
{
	char key[WEIR_MODEL_PATTERN_BYTES_MAX + 80];
	char methods[64];

	if (route->host[0] != '\0')
		return NULL;
	for (size_t i = 0; i < rows->count; i++) {
		const struct weir_public_row *row = &rows->rows[i];

		if (row->value != NULL && row->route.methods == route->methods &&
		    strcmp(row->route.pattern, route->pattern) == 0)
			return &rows->rows[i];
	}
	/* A row that was never good has no route, only its key. */
	(void)snprintf(key, sizeof(key), "%s:%s",
		       weir_model_methods_format(route->methods, methods, sizeof(methods)),
		       route->pattern);
	return weir_public_rows_find(rows, key);
}
