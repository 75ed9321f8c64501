#include <errno.h>
#include <string.h>

#include "ctrl/store/history_internal.h"
#include "dataplane/base/cleanup.h"

int weir_history_columns_read(struct weir_store *store, const char *table,
			      struct weir_history_columns *columns,
			      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = 0;

	if (strcmp(columns->table, table) == 0)
		return 0;
	columns->table[0] = '\0';
	columns->count = 0;
	code = weir_store_prepare(store, "SELECT name FROM pragma_table_info(?1) ORDER BY cid",
				  &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC); /* errors show at the step */
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		if (columns->count == WEIR_HISTORY_COLUMNS_MAX ||
		    !weir_sql_text_copy(statement, 0, columns->name[columns->count],
					sizeof(columns->name[0])))
			return weir_store_fail(error, -EBADMSG,
					       "%s, table %s: more or longer columns than Weir makes",
					       store->path, table);
		columns->count++;
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	if (columns->count == 0 || strlen(table) >= sizeof(columns->table))
		return weir_store_fail(error, -EBADMSG, "%s has no table '%.64s' any more",
				       store->path, table);
	memcpy(columns->table, table, strlen(table) + 1);
	return 0;
}

int weir_history_column(const struct weir_history_columns *columns, const char *name)
{
	int found = -1;

	for (int i = 0; i < columns->count && found == -1; i++) {
		if (strcmp(columns->name[i], name) == 0)
			found = i;
	}
	return found;
}

int64_t weir_history_number_of(sqlite3_value *value)
{
	return value == NULL ? 0 : sqlite3_value_int64(value);
}

static int line_visit(struct weir_store *store, sqlite3_stmt *row, weir_history_visit *visit,
		      void *context, struct weir_store_error *error)
{
	struct weir_history_line line = {
		.generation = (uint64_t)sqlite3_column_int64(row, 0),
		.created_s = sqlite3_column_int64(row, 1),
		.author = {.uid = sqlite3_column_int64(row, 2)},
		.rows = weir_sql_text(row, 6),
		.is_known = sqlite3_column_int(row, 7) != 0,
		.bytes = (uint64_t)sqlite3_column_int64(row, 8),
	};

	if (!weir_sql_text_copy(row, 3, line.author.who, sizeof(line.author.who)) ||
	    !weir_sql_text_copy(row, 4, line.author.from, sizeof(line.author.from)) ||
	    !weir_sql_text_copy(row, 5, line.author.what, sizeof(line.author.what)))
		return weir_store_fail(error, -EBADMSG,
				       "%s, table history, generation %llu: a text is too long",
				       store->path, (unsigned long long)line.generation);
	return visit(context, &line);
}

int weir_history_each(struct weir_store *store, uint64_t count_max, weir_history_visit *visit,
		      void *context, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(
		store,
		"SELECT generation, created, uid, who, origin, what, rows, changes IS NOT NULL, "
		"coalesce(length(changes), 0) FROM history ORDER BY place DESC LIMIT ?1",
		&statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1,
				 count_max > INT64_MAX ? INT64_MAX : (sqlite3_int64)count_max);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		code = line_visit(store, statement, visit, context, error);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_history_oldest(struct weir_store *store, uint64_t *out_generation,
			struct weir_store_error *error)
{
	int64_t generation = 0;
	const int code = weir_history_number(
		store, "SELECT value FROM meta WHERE name = 'history_oldest' AND ?1 = 0", 0,
		&generation, error);

	if (code == 0)
		*out_generation = (uint64_t)generation;
	return code;
}
