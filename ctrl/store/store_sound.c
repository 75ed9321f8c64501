#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

const struct weir_store_bad_rows *weir_store_bad_rows(const struct weir_store *store,
						      enum weir_store_bad_kind kind)
{
	WEIR_ASSERT(kind < WEIR_STORE_BAD_KINDS);
	return &store->bad[kind];
}

void weir_store_bad_row_note(struct weir_store *store, enum weir_store_bad_kind kind,
			     const struct weir_store_bad_row *row)
{
	struct weir_store_bad_rows *bad = &store->bad[kind];

	if (bad->count < WEIR_STORE_BAD_ROWS_MAX)
		bad->row[bad->count] = *row;
	bad->count++;
	if (store->examiner != NULL)
		store->examiner->found(store->examiner->context, row);
}

int weir_store_pages_check(struct weir_store *store, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "PRAGMA quick_check(1)", &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	return strcmp(weir_sql_text(statement, 0), "ok") == 0
		       ? 0
		       : weir_store_fail(error, -EBADMSG,
					 "damaged: %s (%s); restore the file from a copy; "
					 "the last good configuration keeps serving",
					 store->path, weir_sql_text(statement, 0));
}

/* Rows that refer to others that are not there: another program took them away. */
int weir_store_references_check(struct weir_store *store, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "PRAGMA foreign_key_check", &statement, error);

	if (code != 0)
		return code;
	store->bad[WEIR_STORE_BAD_REFERENCES].count = 0;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_store_bad_row row = {.field = "reference"};

		(void)snprintf(row.table, sizeof(row.table), "%s", weir_sql_text(statement, 0)); /* cut is fine */
		if (sqlite3_column_type(statement, 1) != SQLITE_NULL)
			(void)snprintf(row.row, sizeof(row.row), "row %s", weir_sql_text(statement, 1));
		(void)snprintf(row.reason, sizeof(row.reason), "leads to a row of table %s that is not there",
			       weir_sql_text(statement, 2));
		weir_store_bad_row_note(store, WEIR_STORE_BAD_REFERENCES, &row);
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}
