#include <errno.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

/* Run one statement with its parameters ?1 = pool, ?2 = name, ?3 = value. */
static int run(struct weir_store *store, const char *text, const char *pool,
	       const struct weir_store_pool_setting *setting, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, pool, -1, SQLITE_STATIC); /* errors show at the step */
	if (setting != NULL)
		(void)sqlite3_bind_text(statement, 2, setting->name, -1, SQLITE_STATIC);
	if (setting != NULL && !setting->is_unset)
		(void)sqlite3_bind_int64(statement, 3, setting->value);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int change(struct weir_store *store, const char *pool, const struct weir_store_pool_setting *setting,
		  struct weir_store_error *error)
{
	return run(store,
		   setting->is_unset ? "DELETE FROM pool_settings WHERE pool = ?1 AND name = ?2"
				     : "INSERT OR REPLACE INTO pool_settings (pool, name, value) "
				       "VALUES (?1, ?2, ?3)",
		   pool, setting, error);
}

int weir_store_pool_change(struct weir_store *store, const char *pool, bool reset,
			   const struct weir_store_pool_setting *settings, size_t count,
			   struct weir_store_error *error)
{
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	if (reset)
		code = run(store, "DELETE FROM pool_settings WHERE pool = ?1", pool, NULL, error);
	for (size_t i = 0; code == 0 && i < count; i++)
		code = change(store, pool, &settings[i], error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

int weir_store_pool_each(struct weir_store *store, weir_store_pool_visit *visit, void *context,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT pool, name, value FROM pool_settings ORDER BY pool, name",
				      &statement, error);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const sqlite3_int64 value = sqlite3_column_int64(statement, 2);
		int result = 0;

		if (value >= 0 && value <= UINT32_MAX)
			result = visit(context, weir_sql_text(statement, 0), weir_sql_text(statement, 1),
				       (uint32_t)value);
		if (result != 0)
			return weir_store_fail(error, result, "not enough memory for the settings of pools");
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}
