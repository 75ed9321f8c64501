#include "ctrl/store/store_replace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum { COLUMNS_BYTES_MAX = 2048, SQL_BYTES_MAX = 4 * COLUMNS_BYTES_MAX };

/* The parts, in an order in which nothing ever refers to what is not there; functions that go, go last. */
static const struct part {
	const char *name;
	const char *keys;      /* how people know a row; unique */
	const char *own;       /* columns that the store fills itself */
	const char *own_value; /* with this: ?1 is the last id, ?2 the new version */
	bool of_function;      /* has a column function_id, which is another in each database */
	const char *run_by; /* a function with other rows of it is another version: the column that says whose ... */
	const char *run_as; /* ... and the function's that it is like; NULL: no matter */
} parts[WEIR_STORE_PART_COUNT] = {
	[WEIR_STORE_FUNCTIONS] = {.name = "functions", .keys = "space, name", .own = "id, version, ",
				  .own_value = "?1 + row_number() OVER (), ?2, "},
	[WEIR_STORE_ROUTES] = {.name = "routes", .keys = "host, shape, methods", .own = "id, ",
			       .own_value = "?1 + row_number() OVER (), ", .of_function = true},
	[WEIR_STORE_VERSIONS] = {.name = "versions", .keys = "function_id, number", .own = "",
				 .own_value = "", .of_function = true},
	[WEIR_STORE_VARIABLES] = {.name = "variables", .keys = "function_id, name", .own = "",
				  .own_value = "", .of_function = true,
				  .run_by = "function_id", .run_as = "id"},
	[WEIR_STORE_SETTINGS] = {.name = "settings", .keys = "name", .own = "", .own_value = ""},
	[WEIR_STORE_POOL_SETTINGS] = {.name = "pool_settings", .keys = "pool, name", .own = "", .own_value = ""},
	[WEIR_STORE_IMAGE_ALIASES] = {.name = "image_alias", .keys = "image", .own = "", .own_value = "",
				      .run_by = "image", .run_as = "image"},
	[WEIR_STORE_USERS] = {.name = "user", .keys = "name", .own = "", .own_value = ""},
	[WEIR_STORE_KEYS] = {.name = "api_key", .keys = "name", .own = "", .own_value = ""},
};

/* One statement with up to two numbers; *out_number (NULL: not wanted) is the number that it gives. */
static int run(struct weir_store *store, const char *text, const uint64_t numbers[2], uint64_t *out_number,
	       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	for (int i = 0; i < sqlite3_bind_parameter_count(statement); i++)
		(void)sqlite3_bind_int64(statement, i + 1, (sqlite3_int64)numbers[i]); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	if (out_number != NULL)
		*out_number = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	return 0;
}

/* A statement made of a part's names. */
__attribute__((format(printf, 5, 6))) static int run_text(struct weir_store *store, const uint64_t numbers[2],
							   uint64_t *out_number, struct weir_store_error *error,
							   const char *format, ...)
{
	char text[SQL_BYTES_MAX];
	va_list arguments;
	int written = 0;

	va_start(arguments, format);
	written = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	WEIR_ASSERT(written > 0 && (size_t)written < sizeof(text)); /* our own names are short */
	return run(store, text, numbers, out_number, error);
}

/* The columns of a part that are a configuration's and not this database's, each through `form`. */
static int columns_list(struct weir_store *store, const struct part *part, const char *form,
			char out[COLUMNS_BYTES_MAX], struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char text[512];
	int code = 0;

	(void)snprintf(text, sizeof(text),
		       "SELECT group_concat(%s, ', ') FROM (SELECT name FROM pragma_table_info(?1) WHERE "
		       "instr(', ' || ?2, ', ' || name || ', ') = 0 ORDER BY cid)",
		       form); /* fits */
	code = weir_store_prepare(store, text, &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, part->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 2, part->own, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	WEIR_ASSERT(weir_sql_text_copy(statement, 0, out, COLUMNS_BYTES_MAX));
	return 0;
}

/* temp.wanted: the part's rows as they shall be, with our ids of functions; temp.differing: those of them that
 * are new or other than ours. */
static int rows_compare(struct weir_store *store, const struct part *part,
			const char columns[COLUMNS_BYTES_MAX], struct weir_store_error *error)
{
	static const char of_function[] = "JOIN restored.functions AS theirs ON theirs.id = r.function_id "
					  "JOIN main.functions AS f ON f.space = theirs.space AND f.name = theirs.name";
	char source[COLUMNS_BYTES_MAX];
	/* Ids of functions and of what they carry are others here. */
	int code = columns_list(store, part,
				"CASE name WHEN 'function_id' THEN 'f.id AS function_id' WHEN 'details' THEN "
				"'coalesce((SELECT ours FROM temp.details_map WHERE theirs = r.details), 0) AS details' "
				"ELSE 'r.' || name END",
				source, error);

	if (code == 0)
		code = run_text(store, NULL, NULL, error, "CREATE TEMP TABLE wanted AS SELECT %s FROM restored.%s AS r %s",
				source, part->name, part->of_function ? of_function : "");
	if (code == 0)
		code = run_text(store, NULL, NULL, error,
				"CREATE TEMP TABLE differing AS SELECT %s FROM temp.wanted EXCEPT SELECT %s FROM main.%s",
				columns, columns, part->name);
	return code;
}

/* Rows that the other configuration does not have. */
static int rows_remove(struct weir_store *store, const struct part *part, uint32_t *out_removed,
		       struct weir_store_error *error)
{
	const int code = run_text(store, NULL, NULL, error,
				  "DELETE FROM main.%s WHERE (%s) NOT IN (SELECT %s FROM temp.wanted)", part->name,
				  part->keys, part->keys);

	if (code == 0)
		*out_removed = (uint32_t)sqlite3_changes(store->db);
	return code;
}

/* Functions whose rows of this part differ get the new version; before they are written. */
static int versions_raise(struct weir_store *store, const struct part *part, const uint64_t numbers[2],
			  struct weir_store_error *error)
{
	return run_text(store, numbers, NULL, error,
			"UPDATE main.functions SET version = ?2 WHERE %s IN (SELECT %s FROM temp.differing UNION SELECT %s "
			"FROM main.%s WHERE (%s) NOT IN (SELECT %s FROM temp.wanted))",
			part->run_as, part->run_by, part->run_by, part->name, part->keys, part->keys);
}

/* What differs is written: rows that are there are changed and keep their ids. */
static int rows_write(struct weir_store *store, const struct part *part, const char columns[COLUMNS_BYTES_MAX],
		      struct weir_store_difference *out_difference, struct weir_store_error *error)
{
	uint64_t numbers[2] = {0, store->generation + 1};
	char changes[COLUMNS_BYTES_MAX];
	uint64_t count = 0;
	uint64_t changed = 0;
	int code = columns_list(store, part, "name || ' = excluded.' || name", changes, error);

	if (code == 0)
		code = run(store, "SELECT value FROM main.meta WHERE name = 'id'", NULL, &numbers[0], error);
	if (code == 0)
		code = run(store, "SELECT count(*) FROM temp.differing", NULL, &count, error);
	if (code == 0)
		code = run_text(store, NULL, &changed, error,
				"SELECT count(*) FROM temp.differing WHERE (%s) IN (SELECT %s FROM main.%s)", part->keys,
				part->keys, part->name);
	if (code == 0)
		code = run_text(store, numbers, NULL, error,
				"INSERT INTO main.%s (%s%s) SELECT %s%s FROM temp.differing WHERE true "
				"ON CONFLICT (%s) DO UPDATE SET %s%s",
				part->name, part->own, columns, part->own_value, columns, part->keys,
				strstr(part->own, "version") == NULL ? "" : "version = excluded.version, ", changes);
	if (code == 0 && part->own[0] != '\0')
		code = run_text(store, NULL, NULL, error, "UPDATE main.meta SET value = value + %llu WHERE name = 'id'",
				(unsigned long long)count);
	out_difference->changed = (uint32_t)changed;
	out_difference->added = (uint32_t)(count - changed);
	return code;
}

static int part_replace(struct weir_store *store, const struct part *part,
			struct weir_store_difference *out_difference, struct weir_store_error *error)
{
	const uint64_t numbers[2] = {0, store->generation + 1};
	char columns[COLUMNS_BYTES_MAX];
	int code = columns_list(store, part, "name", columns, error);

	if (code == 0)
		code = rows_compare(store, part, columns, error);
	if (code == 0 && part->run_by != NULL)
		code = versions_raise(store, part, numbers, error);
	/* Functions that routes still lead to stay until those are gone. */
	if (code == 0 && part != &parts[WEIR_STORE_FUNCTIONS])
		code = rows_remove(store, part, &out_difference->removed, error);
	if (code == 0)
		code = rows_write(store, part, columns, out_difference, error);
	if (code == 0)
		code = run(store, "DROP TABLE temp.differing", NULL, NULL, error);
	if (code == 0)
		code = run(store, "DROP TABLE temp.wanted", NULL, NULL, error);
	return code;
}

/* temp.details_map: which row of ours is what theirs is, or will be. They are never changed, and shared by
 * versions, so what is alike is the same. */
static int details_map(struct weir_store *store, struct weir_store_error *error)
{
	static const char *const texts[] = {
		"CREATE TEMP TABLE details_map (theirs INTEGER PRIMARY KEY, ours INTEGER)",
		"INSERT INTO temp.details_map SELECT d.id, (SELECT min(o.id) FROM main.details AS o JOIN main.functions "
		"AS f ON f.id = o.function_id WHERE f.space = theirs.space AND f.name = theirs.name AND o.description = "
		"d.description AND o.parameters = d.parameters AND o.annotations = d.annotations) FROM restored.details "
		"AS d JOIN restored.functions AS theirs ON theirs.id = d.function_id",
		"UPDATE temp.details_map SET ours = (SELECT value FROM main.meta WHERE name = 'id') + (SELECT count(*) FROM "
		"temp.details_map AS m WHERE m.theirs <= details_map.theirs) WHERE ours IS NULL",
		"UPDATE main.meta SET value = max(value, (SELECT coalesce(max(ours), 0) FROM temp.details_map)) WHERE name = "
		"'id'",
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		code = run(store, texts[i], NULL, NULL, error);
	return code;
}

/* What functions carry, now that they are there. */
static int details_write(struct weir_store *store, struct weir_store_error *error)
{
	return run(store,
		   "INSERT INTO main.details (id, function_id, description, parameters, annotations) SELECT m.ours, f.id, "
		   "d.description, d.parameters, d.annotations FROM temp.details_map AS m JOIN restored.details AS d ON "
		   "d.id = m.theirs JOIN restored.functions AS theirs ON theirs.id = d.function_id JOIN main.functions AS f "
		   "ON f.space = theirs.space AND f.name = theirs.name WHERE m.ours NOT IN (SELECT id FROM main.details)",
		   NULL, NULL, error);
}

/* What no version carries any more. */
static int details_remove(struct weir_store *store, struct weir_store_error *error)
{
	const int code = run(store,
			     "DELETE FROM main.details WHERE id NOT IN (SELECT details FROM main.functions UNION ALL SELECT "
			     "details FROM main.versions)",
			     NULL, NULL, error);

	return code == 0 ? run(store, "DROP TABLE temp.details_map", NULL, NULL, error) : code;
}

/* The functions that the other configuration does not have; their versions and variables went before. */
static int functions_remove(struct weir_store *store, uint32_t *out_removed, struct weir_store_error *error)
{
	const int code = run(store,
			     "DELETE FROM main.functions WHERE (space, name) NOT IN (SELECT space, name FROM "
			     "restored.functions)",
			     NULL, NULL, error);

	if (code == 0)
		*out_removed = (uint32_t)sqlite3_changes(store->db);
	return code;
}

static int parts_replace(struct weir_store *store, struct weir_store_difference out_parts[WEIR_STORE_PART_COUNT],
			 struct weir_store_error *error)
{
	int code = details_map(store, error);

	for (int i = 0; code == 0 && i < WEIR_STORE_PART_COUNT; i++) {
		code = part_replace(store, &parts[i], &out_parts[i], error);
		if (code == 0 && i == WEIR_STORE_FUNCTIONS)
			code = details_write(store, error);
	}
	if (code == 0)
		code = functions_remove(store, &out_parts[WEIR_STORE_FUNCTIONS].removed, error);
	return code == 0 ? details_remove(store, error) : code;
}

static bool differs(const struct weir_store_difference found[WEIR_STORE_PART_COUNT])
{
	uint32_t count = 0;

	for (int i = 0; i < WEIR_STORE_PART_COUNT; i++)
		count |= found[i].added | found[i].changed | found[i].removed;
	return count != 0;
}

static int attached_replace(struct weir_store *store, bool dry_run,
			    struct weir_store_difference found[WEIR_STORE_PART_COUNT],
			    struct weir_store_error *error)
{
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = parts_replace(store, found, error);
	if (code == 0 && !dry_run && differs(found)) {
		const struct weir_store_difference *const users = &found[WEIR_STORE_USERS];
		const struct weir_store_difference *const keys = &found[WEIR_STORE_KEYS];

		store->user_changes += users->added + users->changed + users->removed;
		store->key_changes += keys->added + keys->changed + keys->removed;
		store->changes.all = true;
		return weir_store_finish(store, error);
	}
	weir_store_undo(store);
	return code;
}

int weir_store_replace(struct weir_store *store, const char *directory, bool dry_run,
		       struct weir_store_difference out_parts[WEIR_STORE_PART_COUNT],
		       struct weir_store_error *error)
{
	struct weir_store_difference found[WEIR_STORE_PART_COUNT] = {{0}};
	char path[WEIR_STORE_PATH_BYTES_MAX];
	int code = weir_store_check(store, error);

	WEIR_ASSERT(code != 0 || sqlite3_get_autocommit(store->db) != 0); /* a change of its own */
	if ((size_t)snprintf(path, sizeof(path), "%s/weir.db", directory) >= sizeof(path))
		return weir_store_fail(error, -ENAMETOOLONG, "%s: this path is too long", directory);
	/* Tables to compare with are of the size of one configuration, for a moment. */
	if (code == 0)
		code = weir_sql_run(store->db, store->path, "PRAGMA temp_store = MEMORY", error);
	if (code == 0)
		code = weir_sql_attach(store->db, store->path, path, error);
	if (code != 0)
		return code;
	code = attached_replace(store, dry_run, found, error);
	/* Only a database in use cannot be let go, and the change is over. */
	if (store->db != NULL)
		(void)sqlite3_exec(store->db, "DETACH restored", NULL, NULL, NULL);
	if (code == 0)
		memcpy(out_parts, found, sizeof(found));
	return code;
}
