#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

#define ROUTE_SELECT                                                                        \
	"SELECT r.id, r.function_id, r.methods, r.host, r.pattern, r.timeout_ms, f.space, " \
	"f.name, r.auth "                                                                   \
	"FROM routes r JOIN functions f ON f.id = r.function_id "

void weir_store_pattern_shape(const char *pattern, char out[WEIR_MODEL_PATTERN_BYTES_MAX + 1])
{
	size_t used = 0;
	bool inside = false;

	for (size_t i = 0; pattern[i] != '\0' && used < WEIR_MODEL_PATTERN_BYTES_MAX; i++) {
		if (pattern[i] == '}')
			inside = false;
		if (!inside)
			out[used++] = pattern[i];
		if (pattern[i] == '{')
			inside = true;
	}
	out[used] = '\0';
}

bool weir_store_routes_overlap(const struct weir_model_route *a,
			       const struct weir_model_route *b)
{
	char shape_a[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	char shape_b[WEIR_MODEL_PATTERN_BYTES_MAX + 1];

	if (strcmp(a->host, b->host) != 0)
		return false;
	weir_store_pattern_shape(a->pattern, shape_a);
	weir_store_pattern_shape(b->pattern, shape_b);
	if (strcmp(shape_a, shape_b) != 0)
		return false;
	/* ANY (0) stands beside named methods, which win over it; two ANY are one too many. */
	return (a->methods == 0 && b->methods == 0) || (a->methods & b->methods) != 0;
}

/* 0, or -EBADMSG with *wrong. */
static int row_check(sqlite3_stmt *row, struct weir_model_route *out_route, struct weir_model_error *wrong)
{
	const bool fits =
		weir_sql_text_copy(row, 3, out_route->host, sizeof(out_route->host)) &&
		weir_sql_text_copy(row, 4, out_route->pattern, sizeof(out_route->pattern)) &&
		weir_sql_text_copy(row, 6, out_route->space, sizeof(out_route->space)) &&
		weir_sql_text_copy(row, 7, out_route->name, sizeof(out_route->name));

	out_route->id = (uint64_t)sqlite3_column_int64(row, 0);
	out_route->function_id = (uint64_t)sqlite3_column_int64(row, 1);
	out_route->methods = (uint16_t)sqlite3_column_int(row, 2);
	out_route->timeout_ms = (uint32_t)sqlite3_column_int64(row, 5);
	out_route->auth = (enum weir_model_auth)sqlite3_column_int(row, 8);
	*wrong = (struct weir_model_error){.field = "text", .reason = "is too long"};
	return fits && weir_model_route_check(out_route, wrong) == 0 ? 0 : -EBADMSG;
}

static int route_read(struct weir_store *store, sqlite3_stmt *row,
		      struct weir_model_route *out_route, struct weir_store_error *error)
{
	struct weir_model_error wrong;

	return row_check(row, out_route, &wrong) == 0
		       ? 0
		       : weir_store_fail(error, -EBADMSG, "%s, table routes, '%s': %s: %s", store->path,
					 weir_sql_text(row, 4), wrong.field, wrong.reason);
}

static void route_bad_note(struct weir_store *store, sqlite3_stmt *row, const struct weir_model_error *wrong)
{
	struct weir_store_bad_row bad = {.table = "routes"};

	(void)snprintf(bad.row, sizeof(bad.row), "%s%s", weir_sql_text(row, 3), weir_sql_text(row, 4)); /* cut is fine */
	memcpy(bad.field, wrong->field, sizeof(bad.field));
	memcpy(bad.reason, wrong->reason, sizeof(bad.reason));
	weir_store_bad_row_note(store, WEIR_STORE_BAD_ROUTES, &bad);
}

static int routes_visit(struct weir_store *store, bool is_tolerant, weir_store_route_visit *visit,
			void *context, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	uint32_t count = 0;
	int code = weir_store_prepare(
		store, ROUTE_SELECT "ORDER BY r.host, r.pattern, r.methods", &statement, error);

	if (code != 0)
		return code;
	if (is_tolerant)
		code = weir_store_references_check(store, error);
	if (code != 0)
		return code;
	if (is_tolerant)
		store->bad[WEIR_STORE_BAD_ROUTES].count = 0;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_route route = {0};
		struct weir_model_error wrong;

		if (++count > 2 * WEIR_STORE_ROUTES_MAX) /* another program wrote them */
			return weir_store_fail(error, -E2BIG,
					       "%s, table routes: more than %d rows; delete some",
					       store->path, 2 * WEIR_STORE_ROUTES_MAX);
		if (is_tolerant && row_check(statement, &route, &wrong) != 0) {
			route_bad_note(store, statement, &wrong);
			continue;
		}
		code = is_tolerant ? 0 : route_read(store, statement, &route, error);
		if (code != 0)
			return code;
		code = visit(context, &route);
		if (code != 0)
			return weir_store_fail(error, code,
					       "not enough memory for the routes");
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_route_each(struct weir_store *store, weir_store_route_visit *visit,
			  void *context, struct weir_store_error *error)
{
	return routes_visit(store, false, visit, context, error);
}

int weir_store_route_each_sound(struct weir_store *store, weir_store_route_visit *visit,
				void *context, struct weir_store_error *error)
{
	return routes_visit(store, true, visit, context, error);
}

static int catalog_visit(void *context, const struct weir_model_route *route)
{
	struct weir_model_route *own = weir_store_catalog_route(context);

	if (own == NULL)
		return -ENOMEM;
	*own = *route;
	return 0;
}

int weir_store_route_load(struct weir_store *store, struct weir_store_catalog *catalog,
			  struct weir_store_error *error)
{
	return routes_visit(store, catalog->is_tolerant, catalog_visit, catalog, error);
}

int weir_store_route_get(struct weir_store *store, uint64_t id,
			 struct weir_model_route *out_route, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_route route = {0};
	int code =
		weir_store_prepare(store, ROUTE_SELECT "WHERE r.id = ?1", &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)id); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return weir_store_fail(error, -ENOENT, "there is no such route");
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	code = route_read(store, statement, &route, error);
	if (code == 0)
		*out_route = route;
	return code;
}

void weir_store_route_note(struct weir_store *store, uint64_t id)
{
	struct weir_store_changes *changes = &store->changes;

	if (changes->count == WEIR_STORE_CHANGES_MAX)
		changes->all = true;
	else
		changes->id[changes->count++] = id;
}

static int compare_ids(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left;
	const uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

void weir_store_changes_take(struct weir_store *store, struct weir_store_changes *out_changes)
{
	const int64_t version = store->db != NULL ? weir_sql_data_version(store->db) : -1;

	*out_changes = store->changes;
	if (version == -1 || version != store->data_version)
		out_changes->all = true;
	qsort(out_changes->id, out_changes->count, sizeof(out_changes->id[0]), compare_ids);
	store->changes.all = false;
	store->changes.count = 0;
	store->data_version = version;
}

/* Say which route was not found, and what comes near. */
static int route_not_found(struct weir_store *store, const struct weir_model_route *key,
			   const char *near, struct weir_store_error *error)
{
	char methods[64];

	(void)store;
	(void)weir_model_methods_format(key->methods, methods, sizeof(methods));
	if (near[0] != '\0') {
		return weir_store_fail(
			error, -ENOENT, "there is no route '%s %s'%s%s, but there is '%s'",
			methods, key->pattern, key->host[0] == '\0' ? "" : " for host ",
			key->host, near);
	}
	return weir_store_fail(
		error, -ENOENT,
		"there is no route '%s %s'%s%s; `ctrlctl route list` shows what there is",
		methods, key->pattern, key->host[0] == '\0' ? "" : " for host ", key->host);
}

int weir_store_route_find(struct weir_store *store, const struct weir_model_route *key,
			  struct weir_model_route *out_route, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	char near[WEIR_MODEL_PATTERN_BYTES_MAX + 80] = "";
	int code = weir_store_prepare(store, ROUTE_SELECT "WHERE r.shape = ?1 AND r.host = ?2",
				      &statement, error);

	if (code != 0)
		return code;
	weir_store_pattern_shape(key->pattern, shape);
	(void)sqlite3_bind_text(statement, 1, shape, -1,
				SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_text(statement, 2, key->host, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_route route = {0};
		char methods[64];

		code = route_read(store, statement, &route, error);
		if (code != 0)
			return code;
		if (route.methods == key->methods) {
			*out_route = route;
			return 0;
		}
		(void)snprintf(
			near, sizeof(near), "%s %s",
			weir_model_methods_format(route.methods, methods, sizeof(methods)),
			route.pattern);
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	return route_not_found(store, key, near, error);
}

/* -EEXIST if another route has the host, the shape and one of the methods. */
static int route_is_free(struct weir_store *store, const struct weir_model_route *route,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	char methods[64];
	int code = weir_store_prepare(store,
				      ROUTE_SELECT
				      "WHERE r.shape = ?1 AND r.host = ?2 AND "
				      "(r.methods & ?3 <> 0 OR (r.methods = 0 AND ?3 = 0))",
				      &statement, error);

	if (code != 0)
		return code;
	weir_store_pattern_shape(route->pattern, shape);
	(void)sqlite3_bind_text(statement, 1, shape, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 2, route->host, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 3, route->methods);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return 0;
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	return weir_store_fail(
		error, -EEXIST,
		"the route '%s %s' exists and leads to %s/%s; change it with `ctrlctl route "
		"update`",
		weir_model_methods_format((uint16_t)sqlite3_column_int(statement, 2), methods,
					  sizeof(methods)),
		weir_sql_text(statement, 4), weir_sql_text(statement, 6),
		weir_sql_text(statement, 7));
}

static int route_has_room(struct weir_store *store, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT count(*) FROM routes", &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	if (sqlite3_column_int64(statement, 0) < WEIR_STORE_ROUTES_MAX)
		return 0;
	return weir_store_fail(
		error, -EDQUOT,
		"there are %d routes, the most that Weir keeps; remove one first",
		WEIR_STORE_ROUTES_MAX);
}

static int route_insert(struct weir_store *store, const struct weir_model_route *route,
			uint64_t function_id, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	uint64_t id = 0;
	int code = weir_store_id_next(store, &id, error);

	if (code == 0) {
		weir_store_route_note(store, id);
		code = weir_store_prepare(store,
					  "INSERT INTO routes (id, function_id, methods, host, "
					  "pattern, shape, timeout_ms, auth) "
					  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
					  &statement, error);
	}
	if (code != 0)
		return code;
	weir_store_pattern_shape(route->pattern, shape);
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)function_id);
	(void)sqlite3_bind_int(statement, 3, route->methods);
	(void)sqlite3_bind_text(statement, 4, route->host, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 5, route->pattern, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 6, shape, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 7, route->timeout_ms);
	(void)sqlite3_bind_int(statement, 8, (int)route->auth);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int route_check(const struct weir_model_route *route, struct weir_store_error *error)
{
	struct weir_model_error wrong;

	if (weir_model_route_check(route, &wrong) == 0)
		return 0;
	return weir_store_fail(error, -EINVAL, "%s: %s", wrong.field, wrong.reason);
}

int weir_store_route_add(struct weir_store *store, const struct weir_model_route *route,
			 struct weir_store_error *error)
{
	struct weir_model_function function = {0};
	int code = route_check(route, error);

	if (code == 0)
		code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = weir_store_function_find(store, route->space, route->name, &function, error);
	if (code == 0)
		code = route_is_free(store, route, error);
	if (code == 0)
		code = route_has_room(store, error);
	if (code == 0)
		code = route_insert(store, route, function.id, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

static int route_change(struct weir_store *store, const struct weir_model_route *route,
			uint64_t route_id, uint64_t function_id, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store,
				      "UPDATE routes SET function_id = ?2, pattern = ?3, "
				      "timeout_ms = ?4, auth = ?5 WHERE id = ?1",
				      &statement, error);

	if (code != 0)
		return code;
	weir_store_route_note(store, route_id);
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)route_id);
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)function_id);
	(void)sqlite3_bind_text(statement, 3, route->pattern, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 4, route->timeout_ms);
	(void)sqlite3_bind_int(statement, 5, (int)route->auth);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_route_update(struct weir_store *store, const struct weir_model_route *route,
			    struct weir_store_error *error)
{
	struct weir_model_function function = {0};
	struct weir_model_route existing = {0};
	int code = route_check(route, error);

	if (code == 0)
		code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = weir_store_route_find(store, route, &existing, error);
	if (code == 0) {
		code = weir_store_function_find(store, route->space, route->name, &function,
						error);
	}
	if (code == 0)
		code = route_change(store, route, existing.id, function.id, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

static int route_delete(struct weir_store *store, uint64_t id, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "DELETE FROM routes WHERE id = ?1", &statement,
				      error);

	if (code != 0)
		return code;
	weir_store_route_note(store, id);
	(void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_route_remove(struct weir_store *store, const struct weir_model_route *key,
			    struct weir_store_error *error)
{
	struct weir_model_route route = {0};
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = weir_store_route_find(store, key, &route, error);
	if (code == 0)
		code = route_delete(store, route.id, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}
