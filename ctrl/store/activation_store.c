#include "ctrl/store/activation_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/side_file.h"
#include "ctrl/store/sql.h"
#include "ctrl/store/store_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum {
	SCHEMA_VERSION = 1,
	TRIM_ROWS = 1000, /* removed at once */
	VACUUM_PAGES = 2000,
	SLACK_BYTES = 4 << 20,
};

static const char file_name[] = "activations.db";

static const char schema[] =
	"CREATE TABLE activation ("
	"  number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, parent BLOB NOT NULL,"
	"  function TEXT NOT NULL, version INTEGER NOT NULL, route INTEGER NOT NULL,"
	"  worker INTEGER NOT NULL, started INTEGER NOT NULL, received INTEGER NOT NULL,"
	"  total INTEGER NOT NULL, parse INTEGER NOT NULL, queue INTEGER NOT NULL,"
	"  dispatch INTEGER NOT NULL, run INTEGER NOT NULL, reply INTEGER NOT NULL,"
	"  cpu INTEGER NOT NULL, request_bytes INTEGER NOT NULL, answer_bytes INTEGER NOT NULL,"
	"  status INTEGER NOT NULL, failure INTEGER NOT NULL, flags INTEGER NOT NULL,"
	"  failed INTEGER NOT NULL) STRICT;"
	"CREATE INDEX activation_by_id ON activation (id);"
	"CREATE INDEX activation_by_function ON activation (function, number);"
	"CREATE INDEX activation_failed ON activation (number) WHERE failed = 1;"
	"PRAGMA user_version = 1;";

/* In the order of the columns of `selected`, from the fourth on. */
static const struct {
	size_t offset;
	const char *column;
} numbers[] = {
#define NUMBER(field, column) {offsetof(struct weir_activation_row, field), column}
	NUMBER(version, "version"),
	NUMBER(route_id, "route"),
	NUMBER(worker_id, "worker"),
	NUMBER(started_ns, "started"),
	NUMBER(received_ns, "received"),
	NUMBER(total_ns, "total"),
	NUMBER(parse_ns, "parse"),
	NUMBER(queue_ns, "queue"),
	NUMBER(dispatch_ns, "dispatch"),
	NUMBER(run_ns, "run"),
	NUMBER(reply_ns, "reply"),
	NUMBER(cpu_ns, "cpu"),
	NUMBER(request_bytes, "request_bytes"),
	NUMBER(answer_bytes, "answer_bytes"),
#undef NUMBER
};

enum {
	NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
	FIRST_NUMBER = 3, /* behind id, parent, function */
	STATUS = FIRST_NUMBER + NUMBERS,
	FAILURE,
	FLAGS,
	LAST, /* insert: failed; select: number */
};

struct weir_activation_store {
	char path[WEIR_STORE_PATH_BYTES_MAX];
	sqlite3 *db;
	sqlite3_stmt *insert;
};

bool weir_activation_row_is_failed(const struct weir_activation_row *row)
{
	return row->status == 0 || row->status >= 500 || row->failure != 0 ||
	       (row->flags & WEIR_ACTIVATION_ROW_CUT) != 0;
}

/* "id, parent, function, version, ..., status, failure, flags" */
static const char *columns(char out[400])
{
	size_t used = (size_t)snprintf(out, 400, "id, parent, function");

	for (size_t i = 0; i < NUMBERS; i++)
		used += (size_t)snprintf(out + used, 400 - used, ", %s", numbers[i].column); /* fits */
	(void)snprintf(out + used, 400 - used, ", status, failure, flags");
	return out;
}

static int insert_prepare(struct weir_activation_store *store, struct weir_store_error *error)
{
	char names[400];
	char text[700];
	int used = snprintf(text, sizeof(text), "INSERT INTO activation (%s, failed) VALUES (?", columns(names));

	for (int i = 1; i <= LAST; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, ", ?"); /* fits */
	(void)snprintf(text + used, sizeof(text) - (size_t)used, ")");
	return weir_sql_prepare(store->db, store->path, text, &store->insert, error);
}

int weir_activation_store_open(const char *data, struct weir_activation_store **out_store,
			       struct weir_store_error *error)
{
	struct weir_activation_store *const store = calloc(1, sizeof(*store));
	int code = 0;

	if (store == NULL)
		return weir_store_fail(error, -ENOMEM, "no memory for the records of calls");
	if (!weir_side_file_path(data, file_name, store->path))
		code = weir_store_fail(error, -ENAMETOOLONG, "the path %s is too long", data);
	if (code == 0)
		code = weir_side_file_open(store->path, schema, SCHEMA_VERSION, &store->db, error);
	if (code == 0)
		code = insert_prepare(store, error);
	if (code != 0) {
		weir_activation_store_close(store);
		return code;
	}
	*out_store = store;
	return 0;
}

void weir_activation_store_close(struct weir_activation_store *store)
{
	if (store == NULL)
		return;
	weir_sql_finalize(&store->insert);
	(void)sqlite3_close_v2(store->db); /* cannot fail: nothing else is open in it */
	free(store);
}

static void undo(struct weir_activation_store *store)
{
	if (sqlite3_get_autocommit(store->db) == 0)
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL); /* the first error counts */
}

int weir_activation_store_begin(struct weir_activation_store *store, struct weir_store_error *error)
{
	return weir_sql_run(store->db, store->path, "BEGIN IMMEDIATE", error);
}

static uint64_t number_of(const struct weir_activation_row *row, size_t i)
{
	uint64_t value;

	memcpy(&value, (const char *)row + numbers[i].offset, sizeof(value));
	return value;
}

int weir_activation_store_add(struct weir_activation_store *store, const struct weir_activation_row *row,
			      struct weir_store_error *error)
{
	sqlite3_stmt *const insert = store->insert;
	uint8_t id[16];
	uint8_t parent[16];
	int code = 0;

	weir_side_file_id(row->id_high, row->id_low, id);
	weir_side_file_id(row->parent_high, row->parent_low, parent);
	/* Errors of binding show at the step. */
	(void)sqlite3_bind_blob(insert, 1, id, sizeof(id), SQLITE_STATIC);
	(void)sqlite3_bind_blob(insert, 2, parent, sizeof(parent), SQLITE_STATIC);
	(void)sqlite3_bind_text(insert, 3, row->function.data, (int)row->function.bytes, SQLITE_STATIC);
	for (int i = 0; i < NUMBERS; i++)
		(void)sqlite3_bind_int64(insert, 1 + FIRST_NUMBER + i, (sqlite3_int64)number_of(row, (size_t)i));
	(void)sqlite3_bind_int(insert, 1 + STATUS, row->status);
	(void)sqlite3_bind_int(insert, 1 + FAILURE, row->failure);
	(void)sqlite3_bind_int(insert, 1 + FLAGS, row->flags);
	(void)sqlite3_bind_int(insert, 1 + LAST, weir_activation_row_is_failed(row) ? 1 : 0);
	code = sqlite3_step(insert);
	if (code == SQLITE_DONE) {
		(void)sqlite3_reset(insert); /* repeats the step's success */
		return 0;
	}
	code = weir_sql_error(store->db, code, store->path, error);
	(void)sqlite3_reset(insert); /* repeats the step's error */
	undo(store);
	return code;
}

int weir_activation_store_touch(struct weir_activation_store *store, struct weir_store_error *error)
{
	const int code = weir_sql_run(store->db, store->path, "UPDATE sqlite_sequence SET seq = seq", error);

	if (code != 0)
		undo(store);
	return code;
}

int weir_activation_store_commit(struct weir_activation_store *store, struct weir_store_error *error)
{
	const int code = weir_sql_run(store->db, store->path, "COMMIT", error);

	if (code != 0)
		undo(store);
	return code;
}

int weir_activation_store_trim(struct weir_activation_store *store, uint64_t rows_max, uint64_t oldest_ns,
			       struct weir_store_error *error)
{
	struct weir_side_file_size size;
	char text[300];
	int code = 0;

	/* Numbers are given without gaps, but for those of transactions that failed. */
	(void)snprintf(text, sizeof(text),
		       "DELETE FROM activation WHERE number IN (SELECT number FROM activation ORDER BY number LIMIT %d) "
		       "AND (received < %lld OR number <= (SELECT max(number) FROM activation) - %lld)",
		       TRIM_ROWS, (long long)oldest_ns, (long long)rows_max); /* fits */
	code = weir_sql_run(store->db, store->path, text, error);
	if (code != 0)
		return code;
	if (sqlite3_changes(store->db) == TRIM_ROWS)
		return 1;
	code = weir_side_file_size(store->db, store->path, &size, error);
	if (code != 0 || size.file_bytes < 2 * size.used_bytes + SLACK_BYTES)
		return code;
	/* Give pages back where the limit became smaller; else they serve the next records. */
	(void)snprintf(text, sizeof(text), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES);
	return weir_sql_run(store->db, store->path, text, error);
}

/* ---- readers ---- */

static void row_visit(sqlite3_stmt *statement, weir_activation_visit *visit, void *context)
{
	struct weir_activation_row row = {
		.number = (uint64_t)sqlite3_column_int64(statement, LAST),
		.status = (uint16_t)sqlite3_column_int(statement, STATUS),
		.failure = (uint8_t)sqlite3_column_int(statement, FAILURE),
		.flags = (uint8_t)sqlite3_column_int(statement, FLAGS),
	};

	weir_side_file_id_read(statement, 0, &row.id_high, &row.id_low);
	weir_side_file_id_read(statement, 1, &row.parent_high, &row.parent_low);
	row.function = weir_span_of(weir_sql_text(statement, 2));
	for (int i = 0; i < NUMBERS; i++) {
		const uint64_t value = (uint64_t)sqlite3_column_int64(statement, FIRST_NUMBER + i);

		memcpy((char *)&row + numbers[i].offset, &value, sizeof(value));
	}
	visit(context, &row);
}

static int rows_visit(sqlite3 *db, const char *path, sqlite3_stmt *statement, weir_activation_visit *visit,
		      void *context, struct weir_store_error *error)
{
	int code = 0;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		row_visit(statement, visit, context);
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, path, error);
}

int weir_activation_store_read(const char *data, const struct weir_activation_filter *filter,
			       weir_activation_visit *visit, void *context, struct weir_store_error *error)
{
	sqlite3_stmt *statement = NULL;
	char path[WEIR_STORE_PATH_BYTES_MAX];
	char names[400];
	char text[1000];
	uint64_t since_number = 0;
	sqlite3 *db = NULL;
	int code = 0;

	WEIR_ASSERT(filter->rows_max >= 1 && filter->rows_max <= WEIR_ACTIVATION_STORE_ROWS_MAX);
	if (!weir_side_file_path(data, file_name, path))
		return weir_store_fail(error, -ENAMETOOLONG, "the path %s is too long", data);
	code = weir_side_file_open_reader(path, &db, error);
	if (code != 0)
		return code;
	/* What began since then was received since then. */
	if (filter->since_ns != 0)
		code = weir_side_file_since(db, path, "activation", "number", filter->since_ns, &since_number, error);
	(void)columns(names);
	(void)snprintf(text, sizeof(text),
		       "SELECT * FROM (SELECT %s, number FROM activation WHERE number > ?2 AND started >= ?3 "
		       "AND started <= ?5%s%s%s "
		       "ORDER BY number %s LIMIT ?4) ORDER BY started, number",
		       names, filter->function != NULL ? " AND function = ?1" : "",
		       filter->space != NULL ? " AND +function > ?6 || '/' AND +function < ?6 || '0'" : "", /* '0' follows '/' */
		       filter->is_failed ? " AND failed = 1" : "", filter->newest ? "DESC" : "ASC"); /* fits */
	if (code == 0)
		code = weir_sql_prepare(db, path, text, &statement, error);
	if (code == 0) {
		if (filter->function != NULL)
			(void)sqlite3_bind_text(statement, 1, filter->function, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)(since_number > filter->after_number + 1 ? since_number - 1
												 : filter->after_number));
		(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)filter->since_ns);
		(void)sqlite3_bind_int64(statement, 4, filter->rows_max);
		(void)sqlite3_bind_int64(statement, 5, filter->until_ns == 0 ? INT64_MAX : (sqlite3_int64)filter->until_ns);
		if (filter->space != NULL)
			(void)sqlite3_bind_text(statement, 6, filter->space, -1, SQLITE_STATIC);
		code = rows_visit(db, path, statement, visit, context, error);
	}
	weir_sql_finalize(&statement);
	(void)sqlite3_close_v2(db);
	return code;
}

struct counted {
	weir_activation_visit *visit;
	void *context;
	int count;
};

static void counted_visit(void *context, const struct weir_activation_row *row)
{
	struct counted *const counted = context;

	counted->count++;
	counted->visit(counted->context, row);
}

int weir_activation_store_find(const char *data, uint64_t id_high, uint64_t id_low, weir_activation_visit *visit,
			       void *context, struct weir_store_error *error)
{
	struct counted counted = {.visit = visit, .context = context};
	sqlite3_stmt *statement = NULL;
	char path[WEIR_STORE_PATH_BYTES_MAX];
	char names[400];
	char text[600];
	uint8_t id[16];
	sqlite3 *db = NULL;
	int code = 0;

	if (!weir_side_file_path(data, file_name, path))
		return weir_store_fail(error, -ENAMETOOLONG, "the path %s is too long", data);
	code = weir_side_file_open_reader(path, &db, error);
	if (code != 0)
		return code;
	weir_side_file_id(id_high, id_low, id);
	(void)snprintf(text, sizeof(text), "SELECT %s, number FROM activation WHERE id = ?1 ORDER BY number DESC LIMIT 1",
		       columns(names)); /* fits */
	code = weir_sql_prepare(db, path, text, &statement, error);
	if (code == 0) {
		(void)sqlite3_bind_blob(statement, 1, id, sizeof(id), SQLITE_STATIC);
		code = rows_visit(db, path, statement, counted_visit, &counted, error);
	}
	if (code == 0 && counted.count == 0)
		code = weir_store_fail(error, -ENOENT, "nothing is kept of this activation");
	weir_sql_finalize(&statement);
	(void)sqlite3_close_v2(db);
	return code;
}
