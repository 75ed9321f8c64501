#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/store/history_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

/* Where undoing a line met rows that are not as the line left them. */
struct conflict {
	char table[WEIR_HISTORY_NAME_BYTES];
	int kind;
};

static int conflict_note(void *context, int kind, sqlite3_changeset_iter *iterator)
{
	struct conflict *conflict = context;
	const char *table = NULL;
	int width = 0;
	int operation = 0;

	conflict->kind = kind;
	if (kind != SQLITE_CHANGESET_FOREIGN_KEY &&
	    sqlite3changeset_op(iterator, &table, &width, &operation, NULL) == SQLITE_OK)
		(void)snprintf(conflict->table, sizeof(conflict->table), "%s", table); /* cut is fine */
	return SQLITE_CHANGESET_ABORT;
}

/* Undo one line. */
static int line_undo(struct weir_store *store, sqlite3_stmt *line, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_history_changes_release) struct weir_history_changes inverse = {0};
	const unsigned long long generation = (unsigned long long)sqlite3_column_int64(line, 0);
	struct conflict conflict = {.kind = 0};
	int code = 0;

	if (sqlite3_column_type(line, 1) == SQLITE_NULL)
		return weir_store_fail(error, -ESTALE,
				       "generation %llu (%s: %s) changed what history does not know; nothing "
				       "before it can be compared or restored",
				       generation, weir_sql_text(line, 2), weir_sql_text(line, 3));
	if (weir_history_digest(sqlite3_column_blob(line, 1), sqlite3_column_bytes(line, 1), generation) !=
	    sqlite3_column_int64(line, 4))
		return weir_store_fail(error, -EBADMSG,
				       "%s, table history: what generation %llu changed is damaged; nothing before "
				       "it can be compared or restored",
				       store->path, generation);
	if (sqlite3_column_bytes(line, 1) == 0)
		return 0; /* it changed users only */
	code = sqlite3changeset_invert(sqlite3_column_bytes(line, 1), sqlite3_column_blob(line, 1),
				       &inverse.bytes, &inverse.data);
	if (code == SQLITE_OK)
		code = sqlite3changeset_apply(store->db, inverse.bytes, inverse.data,
					      weir_history_table_is_recorded, conflict_note, &conflict);
	if (code == SQLITE_OK)
		return 0;
	if (conflict.kind == 0)
		return weir_sql_error(store->db, code, store->path, error);
	return weir_store_fail(error, -ESTALE,
			       "generation %llu cannot be undone: table %s is not as it left it, because "
			       "another program changed weir.db; nothing before it can be compared or "
			       "restored",
			       generation, conflict.table);
}

static int generation_check(struct weir_store *store, uint64_t generation,
			    struct weir_store_error *error)
{
	uint64_t oldest = 0;
	const int code = weir_history_oldest(store, &oldest, error);

	if (code != 0)
		return code;
	if (generation > store->generation)
		return weir_store_fail(error, -ENOENT,
				       "there is no generation %llu yet; the newest is %llu",
				       (unsigned long long)generation,
				       (unsigned long long)store->generation);
	if (generation < oldest)
		return weir_store_fail(error, -ENOENT,
				       "generation %llu is no longer there; history goes back to %llu "
				       "(settings " WEIR_HISTORY_GENERATIONS_SETTING
				       " and " WEIR_HISTORY_BYTES_SETTING ")",
				       (unsigned long long)generation, (unsigned long long)oldest);
	return 0;
}

int weir_history_travel_begin(struct weir_store *store, struct weir_history_travel *travel,
			      struct weir_store_error *error)
{
	int code = 0;

	WEIR_ASSERT(store->depth == 0);
	*travel = (struct weir_history_travel){.is_open = false};
	if (store->db == NULL)
		return weir_store_check(store, error);
	/* A line undoes its cascades itself, and a table before the one it refers to. Cannot fail. */
	(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
	code = weir_store_begin(store, error);
	travel->is_open = code == 0;
	travel->reached = store->generation;
	if (code != 0)
		weir_history_travel_end(store, travel);
	return code;
}

void weir_history_travel_end(struct weir_store *store, struct weir_history_travel *travel)
{
	if (travel->is_open)
		weir_store_undo(store);
	travel->is_open = false;
	if (store->db != NULL)
		(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
}

int weir_history_travel_to(struct weir_store *store, struct weir_history_travel *travel,
			   uint64_t generation, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = generation_check(store, generation, error);

	WEIR_ASSERT(travel->is_open);
	if (code == 0)
		code = weir_store_prepare(store,
					  "SELECT generation, changes, origin, what, digest FROM history "
					  "WHERE generation > ?1 AND generation <= ?2 ORDER BY place DESC",
					  &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)generation); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)travel->reached);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		code = line_undo(store, statement, error);
		if (code != 0)
			return code;
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	travel->reached = generation;
	return 0;
}

/* What the second half of the way changed: from the older generation to the newer one, or back. */
static int leg_take(struct weir_store *store, sqlite3_session *session, bool forward,
		    struct weir_history_changes *out_changes, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_history_changes_release) struct weir_history_changes back = {0};
	int code = weir_history_session_take(store, session, forward ? &back : out_changes, error);

	if (code != 0 || !forward)
		return code;
	code = sqlite3changeset_invert(back.bytes, back.data, &out_changes->bytes, &out_changes->data);
	return code == SQLITE_OK ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_history_diff(struct weir_store *store, uint64_t from, uint64_t to,
		      weir_history_change_visit *visit, void *context,
		      struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_history_changes_release) struct weir_history_changes changes = {0};
	const struct weir_history_viewer viewer = {.visit = visit, .context = context};
	struct weir_history_travel travel;
	sqlite3_session *session = NULL;
	size_t count = 0;
	int code = weir_history_travel_begin(store, &travel, error);

	if (code != 0)
		return code;
	code = weir_history_travel_to(store, &travel, from > to ? from : to, error);
	if (code == 0)
		code = weir_history_session_open(store, &session, error);
	if (code == 0)
		code = weir_history_travel_to(store, &travel, from > to ? to : from, error);
	if (code == 0)
		code = leg_take(store, session, from < to, &changes, error);
	if (code == 0)
		code = weir_history_changes_visit(store, &changes, &viewer, &count, error);
	weir_history_session_close(&session);
	weir_history_travel_end(store, &travel);
	return code;
}
