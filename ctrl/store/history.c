#include "ctrl/store/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "ctrl/store/history_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum {
	ROWS_BYTES = 1024, /* of the counts' text */
	FOREIGN_LINES_MAX = 8, /* before one change: another program that writes all the time */
};

/* What a changeset holds, in short. */
struct summary {
	char rows[ROWS_BYTES];
	size_t used;
	char table[WEIR_HISTORY_NAME_BYTES];
	uint64_t count;
};

void weir_history_author_set(struct weir_store *store, const struct weir_history_author *author)
{
	static const struct weir_history_author own = {
		.who = "", .uid = -1, .from = "ctrld", .what = "by itself"};

	store->author = author == NULL ? own : *author;
	store->author_is_named = author != NULL;
}

bool weir_history_author_offer(struct weir_store *store, const struct weir_history_author *author)
{
	if (store->author_is_named)
		return false;
	weir_history_author_set(store, author);
	return true;
}

int weir_history_table_is_recorded(void *context, const char *table)
{
	static const char *const own[] = {"meta", "history", "history_code", "user", "api_key"};

	(void)context;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (strcmp(table, own[i]) == 0)
			return 0;
	}
	/* Others may make tables in the file; a name of ours is a plain word. */
	return strlen(table) < WEIR_HISTORY_NAME_BYTES &&
	       strspn(table, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(table) &&
	       strncmp(table, "sqlite_", 7) != 0;
}

int weir_history_session_open(struct weir_store *store, sqlite3_session **out_session,
			      struct weir_store_error *error)
{
	sqlite3_session *session = NULL;
	int code = sqlite3session_create(store->db, "main", &session);

	if (code == SQLITE_OK) {
		sqlite3session_table_filter(session, weir_history_table_is_recorded, NULL);
		code = sqlite3session_attach(session, NULL);
	}
	if (code != SQLITE_OK) {
		weir_history_session_close(&session);
		return weir_sql_error(store->db, code, store->path, error);
	}
	*out_session = session;
	return 0;
}

void weir_history_session_close(sqlite3_session **session)
{
	if (*session != NULL)
		sqlite3session_delete(*session);
	*session = NULL;
}

void weir_history_changes_release(struct weir_history_changes *changes)
{
	sqlite3_free(changes->data);
	*changes = (struct weir_history_changes){0};
}

int weir_history_session_take(struct weir_store *store, sqlite3_session *session,
			      struct weir_history_changes *out_changes,
			      struct weir_store_error *error)
{
	const int code = sqlite3session_changeset(session, &out_changes->bytes, &out_changes->data);

	return code == SQLITE_OK ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static void summary_close(struct summary *summary)
{
	int written = 0;

	if (summary->count == 0)
		return;
	written = snprintf(summary->rows + summary->used, sizeof(summary->rows) - summary->used,
			   "%s\"%s\":%llu", summary->used == 1 ? "" : ",", summary->table,
			   (unsigned long long)summary->count);
	/* More tables than there is room for: the last ones are not counted. */
	if (written > 0 && summary->used + (size_t)written + 2 < sizeof(summary->rows))
		summary->used += (size_t)written;
	summary->count = 0;
}

static void summary_count(struct summary *summary, const char *table)
{
	if (strcmp(summary->table, table) != 0) {
		summary_close(summary);
		(void)snprintf(summary->table, sizeof(summary->table), "%s",
			       table); /* fits: it is recorded */
	}
	summary->count++;
}

static const char *summary_text(struct summary *summary)
{
	summary_close(summary);
	summary->rows[summary->used] = '}';
	summary->rows[summary->used + 1] = '\0';
	return summary->rows;
}

/* Remember the code of a version that this line removes. */
static int code_keep(struct weir_store *store, sqlite3_changeset_iter *change, int column,
		     int64_t place, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	sqlite3_value *code_value = NULL;
	int code = 0;

	if (column == -1)
		return 0; /* another program took it away; what reads it says so */
	code = sqlite3changeset_old(change, column, &code_value);
	if (code != SQLITE_OK)
		return weir_sql_error(store->db, code, store->path, error);
	if (code_value == NULL || sqlite3_value_bytes(code_value) == 0)
		return 0;
	code = weir_store_prepare(
		store, "INSERT OR IGNORE INTO history_code (place, code) VALUES (?1, ?2)",
		&statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, place); /* errors show at the step */
	(void)sqlite3_bind_value(statement, 2, code_value);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

/* Look through the change once: count its rows, keep the code that it takes away. */
static int changes_look(struct weir_store *store, const struct weir_history_changes *changes,
			int64_t place, struct summary *summary, struct weir_store_error *error)
{
	struct weir_history_columns columns = {.count = 0};
	sqlite3_changeset_iter *change = NULL;
	int result = 0;
	int code = sqlite3changeset_start(&change, changes->bytes, changes->data);

	while (code == SQLITE_OK && result == 0 &&
	       (code = sqlite3changeset_next(change)) == SQLITE_ROW) {
		const char *table = NULL;
		int width = 0;
		int operation = 0;

		code = sqlite3changeset_op(change, &table, &width, &operation, NULL);
		if (code != SQLITE_OK)
			break;
		summary_count(summary, table);
		if (operation == SQLITE_INSERT || strcmp(table, "versions") != 0)
			continue;
		result = weir_history_columns_read(store, table, &columns, error);
		if (result == 0)
			result = code_keep(store, change,
					   weir_history_column(&columns, "code"), place, error);
	}
	(void)sqlite3changeset_finalize(change); /* repeats the last error */
	if (result == 0 && code != SQLITE_DONE && code != SQLITE_OK)
		result = weir_sql_error(store->db, code, store->path, error);
	return result;
}

/* A setting's value within its range, the default where it is not set. */
static int limit_read(struct weir_store *store, const char *name, int64_t least, int64_t most,
		      int64_t *value, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT value FROM settings WHERE name = ?1",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	if (code == SQLITE_ROW && sqlite3_column_int64(statement, 0) >= least &&
	    sqlite3_column_int64(statement, 0) <= most)
		*value = sqlite3_column_int64(statement, 0);
	return 0;
}

int weir_history_run(struct weir_store *store, const char *text, int64_t first, int64_t second,
		     struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, first); /* errors show at the step */
	if (sqlite3_bind_parameter_count(statement) > 1)
		(void)sqlite3_bind_int64(statement, 2, second);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_history_number(struct weir_store *store, const char *text, int64_t argument,
			int64_t *out_number, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, argument); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return code == SQLITE_DONE
			       ? weir_store_fail(error, -EBADMSG,
						 "%s lacks its history's start; restore it from a copy",
						 store->path)
			       : weir_sql_error(store->db, code, store->path, error);
	*out_number = sqlite3_column_int64(statement, 0);
	return 0;
}

/* Too many lines, or too many bytes: the oldest go. `place` is the newest, which stays. */
static int prune(struct weir_store *store, int64_t place, int64_t bytes_end,
		 int64_t bytes_max, struct weir_store_error *error)
{
	int64_t lines_max = WEIR_HISTORY_GENERATIONS_DEFAULT;
	int64_t first = 0; /* that stays */
	int code = limit_read(store, WEIR_HISTORY_GENERATIONS_SETTING, 1,
			      WEIR_HISTORY_GENERATIONS_MAX, &lines_max, error);

	if (code == 0)
		code = weir_history_number(
			store,
			"SELECT coalesce(min(place), -1) FROM history WHERE bytes_before >= ?1",
			bytes_end - bytes_max, &first, error);
	if (code != 0)
		return code;
	if (first == -1)
		first = place;
	if (first < place - lines_max + 1)
		first = place - lines_max + 1;
	code = weir_history_run(store,
				"UPDATE meta SET value = max(value, coalesce((SELECT max(generation) "
				"FROM history WHERE place < ?1), 0)) WHERE name = 'history_oldest'",
				first, 0, error);
	if (code == 0)
		code = weir_history_run(store, "DELETE FROM history_code WHERE place < ?1", first, 0,
					error);
	return code == 0 ? weir_history_run(store, "DELETE FROM history WHERE place < ?1", first, 0,
					    error)
			 : code;
}

/* Where the next line stands, and how many bytes all lines before it ever had. */
static int place_next(struct weir_store *store, int64_t *out_place, int64_t *out_bytes_before,
		      struct weir_store_error *error)
{
	int code = weir_history_number(
		store, "SELECT coalesce(max(place), 0) + 1 FROM history WHERE ?1 = 0", 0, out_place,
		error);

	if (code == 0)
		code = weir_history_number(
			store,
			"SELECT coalesce(max(bytes_before + coalesce(length(changes), 0)), 0) "
			"FROM history WHERE place = ?1",
			*out_place - 1, out_bytes_before, error);
	return code;
}

int64_t weir_history_digest(const void *data, int bytes, uint64_t generation)
{
	return (int64_t)XXH3_64bits_withSeed(data, (size_t)bytes, generation);
}

/* A line to be written. */
struct line {
	int64_t place;
	int64_t bytes_before;
	uint64_t generation;
	const struct weir_history_author *author;
	const char *rows;
	const struct weir_history_changes *changes; /* NULL: not known */
};

static int line_insert(struct weir_store *store, const struct line *line,
		       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store,
				      "INSERT INTO history (place, generation, created, uid, who, "
				      "origin, what, rows, changes, bytes_before, digest) "
				      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, line->place); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)line->generation);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)time(NULL));
	(void)sqlite3_bind_int64(statement, 4, line->author->uid);
	(void)sqlite3_bind_text(statement, 5, line->author->who, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 6, line->author->from, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 7, line->author->what, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 8, line->rows, -1, SQLITE_STATIC);
	if (line->changes != NULL)
		(void)sqlite3_bind_blob(statement, 9, line->changes->bytes == 0 ? "" : line->changes->data,
					line->changes->bytes, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 10, line->bytes_before);
	(void)sqlite3_bind_int64(statement, 11,
				 line->changes == NULL
					 ? 0
					 : weir_history_digest(line->changes->data, line->changes->bytes,
							       line->generation));
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int changes_write(struct weir_store *store, uint64_t generation,
			 const struct weir_history_changes *changes, struct weir_store_error *error)
{
	struct summary summary = {.rows = "{", .used = 1, .table = "user", .count = store->user_changes};
	struct line line = {.generation = generation, .author = &store->author, .changes = changes};
	int64_t bytes_max = WEIR_HISTORY_BYTES_DEFAULT;
	int64_t bytes_end = 0;
	int code = place_next(store, &line.place, &line.bytes_before, error);

	summary_close(&summary);
	(void)snprintf(summary.table, sizeof(summary.table), "api_key"); /* fits */
	summary.count = store->key_changes; /* closed by the first table that is recorded */
	if (code == 0)
		code = changes_look(store, changes, line.place, &summary, error);
	if (code == 0)
		code = limit_read(store, WEIR_HISTORY_BYTES_SETTING, WEIR_HISTORY_BYTES_MIN,
				  WEIR_HISTORY_BYTES_MAX, &bytes_max, error);
	if (code != 0)
		return code;
	bytes_end = line.bytes_before + changes->bytes;
	if (changes->bytes > bytes_max) { /* the line alone, which nothing undoes past */
		line.changes = NULL;
		bytes_end = line.bytes_before;
	}
	line.rows = summary_text(&summary);
	code = line_insert(store, &line, error);
	return code == 0 ? prune(store, line.place, bytes_end, bytes_max, error) : code;
}

int weir_history_write(struct weir_store *store, uint64_t generation,
		       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_history_changes_release) struct weir_history_changes changes = {0};
	const int code = weir_history_session_take(store, store->session, &changes, error);

	if (code != 0 || (changes.bytes == 0 && store->user_changes + store->key_changes == 0))
		return code;
	return changes_write(store, generation, &changes, error);
}

void weir_history_forget_others(struct weir_store *store)
{
	store->foreign_version = weir_sql_data_version(store->db);
}

/* True: somebody else has committed since we looked last. */
static bool foreign_is_new(const struct weir_store *store)
{
	const int64_t version = weir_sql_data_version(store->db);

	return version != -1 && version != store->foreign_version;
}

/* In a transaction: the line of a change that another program made. */
static int foreign_write(struct weir_store *store, struct weir_store_error *error)
{
	static const struct weir_history_author foreign = {
		.who = "", .uid = -1, .from = "another program", .what = "weir.db was changed from outside"};
	struct line line = {
		.generation = store->generation + 1, .author = &foreign, .rows = "{}"};
	int code = place_next(store, &line.place, &line.bytes_before, error);

	if (code == 0)
		code = line_insert(store, &line, error);
	return code == 0 ? weir_store_commit(store, error) : code;
}

int weir_history_begin(struct weir_store *store, struct weir_store_error *error)
{
	int code = weir_sql_run(store->db, store->path, "BEGIN IMMEDIATE", error);

	for (int i = 0; code == 0 && foreign_is_new(store); i++) {
		if (i == FOREIGN_LINES_MAX)
			code = weir_store_fail(error, -EAGAIN,
					       "another program writes to %s all the time; end it",
					       store->path);
		if (code == 0)
			code = foreign_write(store, error);
		if (code != 0)
			break;
		weir_history_forget_others(store);
		store->foreign_is_noted = true;
		code = weir_sql_run(store->db, store->path, "BEGIN IMMEDIATE", error);
	}
	if (code == 0)
		code = weir_history_session_open(store, &store->session, error);
	return code;
}

bool weir_history_look(struct weir_store *store)
{
	struct weir_store_error error;
	bool is_noted = false;

	WEIR_ASSERT(store->depth == 0);
	if (store->db != NULL && foreign_is_new(store) && weir_store_begin(store, &error) == 0)
		weir_store_undo(store); /* its beginning wrote the line */
	is_noted = store->foreign_is_noted;
	store->foreign_is_noted = false;
	return is_noted;
}
