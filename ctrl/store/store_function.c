#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

#define FUNCTION_COLUMNS                                                                 \
	"id, version, space, name, runtime, code_path, handler, timeout_ms, memory_mb, " \
	"queue_max, specs, number, owner, image, details"

enum { CATALOG_ROOM_FIRST = 64 };

/* Doubles an array of records up to a limit. */
static void *array_grow(void *array, size_t count, size_t *room, size_t record_bytes,
			size_t count_max)
{
	size_t wanted = *room == 0 ? CATALOG_ROOM_FIRST : *room * 2;
	void *grown = NULL;

	if (count < *room)
		return array;
	if (count >= count_max)
		return NULL;
	grown = realloc(array, wanted * record_bytes);
	if (grown != NULL)
		*room = wanted;
	return grown;
}

struct weir_model_function *weir_store_catalog_function(struct weir_store_catalog *catalog)
{
	struct weir_model_function *grown =
		array_grow(catalog->functions, catalog->function_count, &catalog->function_room,
			   sizeof(*grown), (size_t)WEIR_STORE_FUNCTIONS_MAX * 2);

	if (grown == NULL)
		return NULL;
	catalog->functions = grown;
	memset(&grown[catalog->function_count], 0, sizeof(*grown));
	return &grown[catalog->function_count++];
}

struct weir_model_route *weir_store_catalog_route(struct weir_store_catalog *catalog)
{
	struct weir_model_route *grown =
		array_grow(catalog->routes, catalog->route_count, &catalog->route_room,
			   sizeof(*grown), (size_t)WEIR_STORE_ROUTES_MAX * 2);

	if (grown == NULL)
		return NULL;
	catalog->routes = grown;
	memset(&grown[catalog->route_count], 0, sizeof(*grown));
	return &grown[catalog->route_count++];
}

void weir_store_catalog_release(struct weir_store_catalog *catalog)
{
	free(catalog->functions);
	free(catalog->routes);
	memset(catalog, 0, sizeof(*catalog));
}

const char *weir_store_path_kept(const struct weir_store *store, const char *path)
{
	const size_t bytes = store->directory_bytes;

	return strncmp(path, store->path, bytes) == 0 && strncmp(path + bytes, "/code/", 6) == 0
		       ? path + bytes + 1
		       : path;
}

bool weir_store_path_read(const struct weir_store *store, sqlite3_stmt *row, int column,
			  char out[WEIR_MODEL_PATH_BYTES_MAX + 1])
{
	const char *text = weir_sql_text(row, column);
	const bool kept = strncmp(text, "code/", 5) == 0;
	const int written = snprintf(out, WEIR_MODEL_PATH_BYTES_MAX + 1, "%.*s%s%s",
				     kept ? (int)store->directory_bytes : 0, store->path,
				     kept ? "/" : "", text);

	return written >= 0 && written <= WEIR_MODEL_PATH_BYTES_MAX;
}

/* One row -> a checked record. Another program may have written it. 0, or -EBADMSG with *wrong. */
static int function_read(struct weir_store *store, sqlite3_stmt *row,
			 struct weir_model_function *out_function, struct weir_model_error *wrong)
{
	*wrong = (struct weir_model_error){.field = "text", .reason = "is too long"};
	out_function->id = (uint64_t)sqlite3_column_int64(row, 0);
	out_function->version = (uint64_t)sqlite3_column_int64(row, 1);
	out_function->timeout_ms = (uint32_t)sqlite3_column_int64(row, 7);
	out_function->memory_mb = (uint32_t)sqlite3_column_int64(row, 8);
	out_function->queue_max = (uint32_t)sqlite3_column_int64(row, 9);
	out_function->number = (uint32_t)sqlite3_column_int64(row, 11);
	out_function->details = (uint64_t)sqlite3_column_int64(row, 14);
	if (weir_sql_text_copy(row, 2, out_function->space, sizeof(out_function->space)) &&
	    weir_sql_text_copy(row, 3, out_function->name, sizeof(out_function->name)) &&
	    weir_sql_text_copy(row, 4, out_function->runtime, sizeof(out_function->runtime)) &&
	    weir_store_path_read(store, row, 5, out_function->code_path) &&
	    weir_sql_text_copy(row, 6, out_function->handler, sizeof(out_function->handler)) &&
	    weir_sql_text_copy(row, 12, out_function->owner, sizeof(out_function->owner)) &&
	    weir_sql_text_copy(row, 13, out_function->image, sizeof(out_function->image)) &&
	    weir_model_specs_parse(weir_sql_text(row, 10), out_function, wrong) == 0 &&
	    weir_model_function_check(out_function, wrong) == 0)
		return 0;
	return -EBADMSG;
}

static int function_bad(struct weir_store *store, sqlite3_stmt *row, const struct weir_model_error *wrong,
			struct weir_store_error *error)
{
	return weir_store_fail(error, -EBADMSG, "%s, table functions, %s/%s: %s: %s", store->path,
			       weir_sql_text(row, 2), weir_sql_text(row, 3), wrong->field, wrong->reason);
}

/* In place of a function whose row cannot be used, so that who calls it is told why. False: it has not
 * even a name. */
static bool stand_in_make(sqlite3_stmt *row, const struct weir_model_error *wrong,
			  struct weir_model_function *out_function)
{
	struct weir_model_function stand_in = {
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.version = (uint64_t)sqlite3_column_int64(row, 1),
		.runtime = "native",
		.code_path = "/",
		.timeout_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT,
		.memory_mb = WEIR_MODEL_MEMORY_MB_DEFAULT,
		.queue_max = WEIR_MODEL_QUEUE_DEFAULT,
	};

	(void)snprintf(stand_in.problem, sizeof(stand_in.problem), "The function's row in weir.db is damaged: %.32s %.100s",
		       wrong->field, wrong->reason);
	if (!weir_sql_text_copy(row, 2, stand_in.space, sizeof(stand_in.space)) ||
	    !weir_sql_text_copy(row, 3, stand_in.name, sizeof(stand_in.name)) ||
	    weir_model_function_check(&stand_in, NULL) != 0)
		return false;
	*out_function = stand_in;
	return true;
}

/* The catalog's last function could not be read: it goes on without, or with a stand-in. */
static void function_bad_note(struct weir_store *store, sqlite3_stmt *row, const struct weir_model_error *wrong,
			      struct weir_store_catalog *catalog)
{
	struct weir_store_bad_row bad = {.table = "functions"};

	(void)snprintf(bad.row, sizeof(bad.row), "%s/%s", weir_sql_text(row, 2), weir_sql_text(row, 3)); /* cut is fine */
	memcpy(bad.field, wrong->field, sizeof(bad.field));
	memcpy(bad.reason, wrong->reason, sizeof(bad.reason));
	weir_store_bad_row_note(store, WEIR_STORE_BAD_FUNCTIONS, &bad);
	if (!stand_in_make(row, wrong, &catalog->functions[catalog->function_count - 1]))
		catalog->function_count--;
}

int weir_store_function_load(struct weir_store *store, struct weir_store_catalog *catalog,
			     struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(
		store, "SELECT " FUNCTION_COLUMNS " FROM functions ORDER BY space, name",
		&statement, error);

	if (code != 0)
		return code;
	if (catalog->is_tolerant)
		store->bad[WEIR_STORE_BAD_FUNCTIONS].count = 0;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_function *function = weir_store_catalog_function(catalog);
		struct weir_model_error wrong;

		if (function == NULL) {
			return weir_store_fail(error, -ENOMEM,
					       "not enough memory for the functions");
		}
		code = function_read(store, statement, function, &wrong);
		if (code != 0 && !catalog->is_tolerant)
			return function_bad(store, statement, &wrong, error);
		if (code != 0)
			function_bad_note(store, statement, &wrong, catalog);
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static void function_bind_name(sqlite3_stmt *statement, const char *space, const char *name)
{
	(void)sqlite3_bind_text(statement, 1, space, -1,
				SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_text(statement, 2, name, -1, SQLITE_STATIC);
}

int weir_store_function_find(struct weir_store *store, const char *space, const char *name,
			     struct weir_model_function *out_function,
			     struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_function function = {0};
	struct weir_model_error wrong;
	int code = weir_store_prepare(store,
				      "SELECT " FUNCTION_COLUMNS
				      " FROM functions WHERE space = ?1 AND name = ?2",
				      &statement, error);

	if (code != 0)
		return code;
	function_bind_name(statement, space, name);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE) {
		return weir_store_fail(
			error, -ENOENT,
			"there is no function %s/%s; `ctrlctl fn list` shows what there is",
			space, name);
	}
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	if (function_read(store, statement, &function, &wrong) != 0)
		return function_bad(store, statement, &wrong, error);
	*out_function = function;
	return 0;
}

static int function_count(struct weir_store *store, uint64_t *out_count,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code =
		weir_store_prepare(store, "SELECT count(*) FROM functions", &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	*out_count = (uint64_t)sqlite3_column_int64(statement, 0);
	return 0;
}

static int function_insert(struct weir_store *store, const struct weir_model_function *function,
			   struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const uint64_t version = store->generation + 1;
	char specs[WEIR_MODEL_SPECS_BYTES_MAX];
	uint64_t id = 0;
	int code = weir_store_id_next(store, &id, error);

	if (code == 0) {
		code = weir_store_prepare(store,
					  "INSERT INTO functions (" FUNCTION_COLUMNS ") "
					  "VALUES (?3, ?4, ?1, ?2, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?13, 0)",
					  &statement, error);
	}
	if (code != 0)
		return code;
	function_bind_name(statement, function->space, function->name);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)id);
	(void)sqlite3_bind_int64(statement, 4, (sqlite3_int64)version);
	(void)sqlite3_bind_text(statement, 5, function->runtime, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 6, weir_store_path_kept(store, function->code_path), -1,
				SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 7, function->handler, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 8, function->timeout_ms);
	(void)sqlite3_bind_int64(statement, 9, function->memory_mb);
	(void)sqlite3_bind_int64(statement, 10, function->queue_max);
	(void)sqlite3_bind_text(statement, 11, weir_model_specs_format(function, specs), -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 12, function->owner, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 13, function->image, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

/* What it carries, once it is there. */
static int details_add(struct weir_store *store, const struct weir_model_function *function,
		       const struct weir_model_details *details, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_function added = {0};
	uint64_t id = 0;
	int code = weir_store_function_find(store, function->space, function->name, &added, error);

	if (code == 0)
		code = weir_store_details_insert(store, added.id, details, &id, error);
	if (code == 0)
		code = weir_store_prepare(store, "UPDATE functions SET details = ?2 WHERE id = ?1",
					  &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)added.id); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)id);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int function_add_checked(struct weir_store *store,
				const struct weir_model_function *function,
				const struct weir_model_details *details,
				struct weir_store_error *error)
{
	struct weir_model_function existing = {0};
	int code = weir_store_function_find(store, function->space, function->name, &existing, error);

	if (code == 0) {
		return weir_store_fail(
			error, -EEXIST,
			"the function %s/%s exists; remove it first, or choose another name",
			function->space, function->name);
	}
	if (code != -ENOENT)
		return code;
	code = weir_store_function_insert(store, function, error);
	return code == 0 && details != NULL ? details_add(store, function, details, error) : code;
}

int weir_store_function_insert(struct weir_store *store,
			       const struct weir_model_function *function,
			       struct weir_store_error *error)
{
	uint64_t count = 0;
	const int code = function_count(store, &count, error);

	if (code != 0)
		return code;
	if (count >= WEIR_STORE_FUNCTIONS_MAX) {
		return weir_store_fail(
			error, -EDQUOT,
			"there are %d functions, the most that Weir keeps; remove one first",
			WEIR_STORE_FUNCTIONS_MAX);
	}
	return function_insert(store, function, error);
}

int weir_store_function_add(struct weir_store *store,
			    const struct weir_model_function *function,
			    const struct weir_model_details *details,
			    struct weir_store_error *error)
{
	int code = weir_store_record_check(function, details, error);

	if (code != 0)
		return code;
	code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = function_add_checked(store, function, details, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

/* Refuse while routes lead to the function, naming one of them. */
static int function_is_free(struct weir_store *store,
			    const struct weir_model_function *function,
			    struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char methods[64];
	int code = weir_store_prepare(
		store,
		"SELECT methods, host, pattern, count(*) OVER () FROM routes "
		"WHERE function_id = ?1 ORDER BY pattern LIMIT 1",
		&statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)function->id);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return 0;
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	return weir_store_fail(
		error, -EBUSY,
		"%lld route%s to %s/%s, such as '%s %s'; remove the routes first (`ctrlctl "
		"route rm`)",
		(long long)sqlite3_column_int64(statement, 3),
		sqlite3_column_int64(statement, 3) == 1 ? " leads" : "s lead", function->space,
		function->name,
		weir_model_methods_format((uint16_t)sqlite3_column_int(statement, 0), methods,
					  sizeof(methods)),
		weir_sql_text(statement, 2));
}

/* Only which one it is: a row that is damaged can be removed, too. */
static int function_identify(struct weir_store *store, const char *space, const char *name,
			     struct weir_model_function *out_function, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_function_find(store, space, name, out_function, error);

	if (code != -EBADMSG)
		return code;
	if (weir_store_prepare(store, "SELECT id FROM functions WHERE space = ?1 AND name = ?2", &statement,
			       error) != 0)
		return code;
	function_bind_name(statement, space, name);
	if (sqlite3_step(statement) != SQLITE_ROW)
		return code;
	out_function->id = (uint64_t)sqlite3_column_int64(statement, 0);
	(void)snprintf(out_function->space, sizeof(out_function->space), "%s", space); /* for people */
	(void)snprintf(out_function->name, sizeof(out_function->name), "%s", name);
	return 0;
}

static int function_delete(struct weir_store *store, uint64_t id,
			   struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "DELETE FROM functions WHERE id = ?1", &statement,
				      error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_function_remove(struct weir_store *store, const char *space, const char *name,
			       struct weir_store_error *error)
{
	struct weir_model_function function = {0};
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = function_identify(store, space, name, &function, error);
	if (code == 0)
		code = function_is_free(store, &function, error);
	if (code == 0)
		code = function_delete(store, function.id, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}
