#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/history_internal.h"
#include "dataplane/base/cleanup.h"

enum {
	TITLE_BYTES = WEIR_MODEL_PATTERN_BYTES_MAX + WEIR_MODEL_HOST_BYTES_MAX + 512,
	FUNCTION_BYTES = 2 * WEIR_MODEL_NAME_BYTES_MAX + 2,
};

/* A function that the changeset adds or removes. */
struct known {
	int64_t id;
	char name[FUNCTION_BYTES];
};

/* A walk through a changeset; `table` to `operation` are those of the row it stands at. */
struct walk {
	struct weir_store *store;
	struct weir_store_error *error;
	sqlite3_changeset_iter *iterator;
	struct weir_history_columns columns;
	unsigned char *is_key;
	int width;
	int operation;
	struct known *known; /* by id */
	size_t known_count;
	size_t known_room;
	char title[TITLE_BYTES];
	char names[2][FUNCTION_BYTES]; /* that a field's two sides need */
	struct weir_history_field fields[WEIR_HISTORY_COLUMNS_MAX];
	size_t field_count;
	bool is_different; /* in a column that matters, whether people see it or not */
};

static void walk_release(struct walk **walk)
{
	free((*walk)->known);
	free(*walk);
}

/* A column's value before or after; NULL: there is none on that side, or it did not change. */
static sqlite3_value *side(const struct walk *walk, int column, bool after)
{
	sqlite3_value *value = NULL;

	if (column < 0 || column >= walk->width || walk->operation == (after ? SQLITE_DELETE : SQLITE_INSERT))
		return NULL;
	if (after)
		(void)sqlite3changeset_new(walk->iterator, column, &value); /* in range, and has this side */
	else
		(void)sqlite3changeset_old(walk->iterator, column, &value);
	return value;
}

/* What identifies or describes the row: the value after, else before. */
static sqlite3_value *either(const struct walk *walk, const char *column)
{
	const int place = weir_history_column(&walk->columns, column);
	sqlite3_value *value = side(walk, place, true);

	return value != NULL ? value : side(walk, place, false);
}

static const char *text_of(sqlite3_value *value)
{
	const char *text = value == NULL ? NULL : (const char *)sqlite3_value_text(value);

	return text == NULL ? "" : text;
}

static bool table_is(const struct walk *walk, const char *table)
{
	return strcmp(walk->columns.table, table) == 0;
}

static int compare_known(const void *left, const void *right)
{
	const struct known *a = left;
	const struct known *b = right;

	return (a->id > b->id) - (a->id < b->id);
}

static int known_add(struct walk *walk)
{
	struct known *known = NULL;

	if (walk->known_count == walk->known_room) {
		const size_t room = walk->known_room == 0 ? 16 : walk->known_room * 2;
		struct known *grown = realloc(walk->known, room * sizeof(*grown));

		if (grown == NULL)
			return weir_store_fail(walk->error, -ENOMEM,
					       "not enough memory for the names of functions");
		walk->known = grown;
		walk->known_room = room;
	}
	known = &walk->known[walk->known_count++];
	known->id = weir_history_number_of(either(walk, "id"));
	(void)snprintf(known->name, sizeof(known->name), "%s/%s", text_of(either(walk, "space")),
		       text_of(either(walk, "name"))); /* fits: it was checked */
	return 0;
}

/* The name of the function with that id, which is in the database or in the changeset. */
static int function_name(struct walk *walk, int64_t id, char out[FUNCTION_BYTES])
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const struct known key = {.id = id};
	const struct known *known = walk->known_count == 0 ? NULL
							   : bsearch(&key, walk->known, walk->known_count,
								     sizeof(key), compare_known);
	int code = 0;

	if (known != NULL) {
		(void)snprintf(out, FUNCTION_BYTES, "%s", known->name);
		return 0;
	}
	code = weir_store_prepare(walk->store,
				  "SELECT space || '/' || name FROM functions WHERE id = ?1",
				  &statement, walk->error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, id); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(walk->store->db, code, walk->store->path, walk->error);
	(void)snprintf(out, FUNCTION_BYTES, "%s", code == SQLITE_ROW ? weir_sql_text(statement, 0) : "?");
	return 0;
}

/* A route whose methods, host and pattern are not all in the changeset: they did not change. */
static int route_title_read(struct walk *walk, int64_t id)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char methods[64];
	int code = weir_store_prepare(walk->store,
				      "SELECT methods, pattern, host FROM routes WHERE id = ?1",
				      &statement, walk->error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_int64(statement, 1, id); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(walk->store->db, code, walk->store->path, walk->error);
	(void)snprintf(walk->title, sizeof(walk->title), "%s %s%s%s",
		       weir_model_methods_format((uint16_t)sqlite3_column_int(statement, 0), methods,
						 sizeof(methods)),
		       weir_sql_text(statement, 1), weir_sql_text(statement, 2)[0] == '\0' ? "" : " for ",
		       weir_sql_text(statement, 2)); /* fits */
	return 0;
}

static int route_title(struct walk *walk)
{
	const char *host = text_of(either(walk, "host"));
	char methods[64];

	if (walk->operation == SQLITE_UPDATE)
		return route_title_read(walk, weir_history_number_of(either(walk, "id")));
	(void)snprintf(walk->title, sizeof(walk->title), "%s %s%s%s",
		       weir_model_methods_format((uint16_t)weir_history_number_of(either(walk, "methods")),
						 methods, sizeof(methods)),
		       text_of(either(walk, "pattern")), host[0] == '\0' ? "" : " for ", host);
	return 0;
}

/* The key, in words: a function's id becomes its name. */
static int key_title(struct walk *walk)
{
	char function[FUNCTION_BYTES];
	size_t used = 0;

	for (int i = 0; i < walk->width && i < walk->columns.count; i++) {
		sqlite3_value *value = side(walk, i, walk->operation == SQLITE_INSERT);
		const char *text = NULL;
		int written = 0;

		if (walk->is_key[i] == 0)
			continue; /* and its bytes, which are shown, stay where they are */
		text = text_of(value);
		if (strcmp(walk->columns.name[i], "function_id") == 0) {
			const int code = function_name(walk, weir_history_number_of(value), function);

			if (code != 0)
				return code;
			text = function;
		}
		written = snprintf(walk->title + used, sizeof(walk->title) - used, "%s%s",
				   used == 0 ? "" : " ", text);
		if (written < 0 || used + (size_t)written >= sizeof(walk->title))
			break; /* cut is fine */
		used += (size_t)written;
	}
	return 0;
}

static int title(struct walk *walk)
{
	walk->title[0] = '\0';
	if (table_is(walk, "functions"))
		return function_name(walk, weir_history_number_of(either(walk, "id")), walk->title);
	if (table_is(walk, "routes"))
		return route_title(walk);
	if (table_is(walk, "details") && walk->operation != SQLITE_UPDATE)
		return function_name(walk, weir_history_number_of(either(walk, "function_id")), walk->title);
	return key_title(walk);
}

/* Whether a variable's value must not be seen; one that cannot be looked up must not. */
static int variable_is_secret(struct walk *walk, bool *out_secret)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	const int place = weir_history_column(&walk->columns, "secret");
	sqlite3_value *const before = side(walk, place, false);
	sqlite3_value *const after = side(walk, place, true);
	int code = 0;

	if (before != NULL || after != NULL) {
		*out_secret = weir_history_number_of(before) != 0 || weir_history_number_of(after) != 0;
		return 0;
	}
	code = weir_store_prepare(walk->store,
				  "SELECT secret FROM variables WHERE function_id = ?1 AND name = ?2",
				  &statement, walk->error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_value(statement, 1, either(walk, "function_id")); /* errors show at the step */
	(void)sqlite3_bind_value(statement, 2, either(walk, "name"));
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return weir_sql_error(walk->store->db, code, walk->store->path, walk->error);
	*out_secret = code != SQLITE_ROW || sqlite3_column_int(statement, 0) != 0;
	return 0;
}

/* Columns that only count changes. */
static bool is_counter(const struct walk *walk, int column)
{
	return strcmp(walk->columns.name[column], "version") == 0;
}

/* Columns that say nothing to people: keys, which are the title, and what the store keeps for itself. */
static bool is_hidden(const struct walk *walk, int column)
{
	static const struct {
		const char *table;
		const char *column;
	} hidden[] = {
		{"routes", "shape"},	 {"functions", "space"},  {"functions", "name"},
		{"functions", "details"}, {"versions", "created"}, {"versions", "details"},
		{"details", "function_id"}, {"variables", "secret"},
	};
	static const char *const of_route[] = {"methods", "host", "pattern"};
	const char *name = walk->columns.name[column];

	if (walk->is_key[column] != 0 || is_counter(walk, column))
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (strcmp(name, hidden[i].column) == 0 && table_is(walk, hidden[i].table))
			return true;
	}
	for (size_t i = 0; i < sizeof(of_route) / sizeof(of_route[0]); i++) {
		if (table_is(walk, "routes") && walk->operation != SQLITE_UPDATE &&
		    strcmp(name, of_route[i]) == 0)
			return true; /* in the title */
	}
	return false;
}

static struct weir_history_value value_show(sqlite3_value *value, bool is_secret)
{
	struct weir_history_value shown = {.kind = WEIR_HISTORY_NOTHING};

	if (value == NULL)
		return shown;
	if (is_secret) {
		shown.kind = WEIR_HISTORY_SECRET;
	} else if (sqlite3_value_type(value) == SQLITE_INTEGER) {
		shown.kind = WEIR_HISTORY_NUMBER;
		shown.number = sqlite3_value_int64(value);
	} else {
		shown.kind = WEIR_HISTORY_TEXT;
		shown.text = sqlite3_value_blob(value);
		shown.bytes = (size_t)sqlite3_value_bytes(value);
		if (shown.text == NULL)
			shown.text = ""; /* an empty one */
	}
	return shown;
}

/* A function's id is shown as its name. */
static int function_show(struct walk *walk, struct weir_history_value *value, char name[FUNCTION_BYTES])
{
	int code = 0;

	if (value->kind != WEIR_HISTORY_NUMBER)
		return 0;
	code = function_name(walk, value->number, name);
	*value = (struct weir_history_value){
		.kind = WEIR_HISTORY_TEXT, .text = name, .bytes = strlen(name)};
	return code;
}

static int fields_fill(struct walk *walk)
{
	bool is_secret = false;
	int code = table_is(walk, "variables") ? variable_is_secret(walk, &is_secret) : 0;

	walk->field_count = 0;
	walk->is_different = false;
	for (int i = 0; code == 0 && i < walk->width && i < walk->columns.count; i++) {
		struct weir_history_field *field = &walk->fields[walk->field_count];

		if (walk->is_key[i] == 0 && !is_counter(walk, i) &&
		    (side(walk, i, false) != NULL || side(walk, i, true) != NULL))
			walk->is_different = true;
		if (is_hidden(walk, i))
			continue;
		field->name = walk->columns.name[i];
		field->from = value_show(side(walk, i, false), is_secret);
		field->to = value_show(side(walk, i, true), is_secret);
		if (field->from.kind == WEIR_HISTORY_NOTHING && field->to.kind == WEIR_HISTORY_NOTHING)
			continue; /* unchanged */
		walk->field_count++;
		if (strcmp(field->name, "function_id") != 0)
			continue;
		field->name = "function";
		code = function_show(walk, &field->from, walk->names[0]);
		if (code == 0)
			code = function_show(walk, &field->to, walk->names[1]);
	}
	return code;
}

static const char *kind_of(const char *table)
{
	static const struct {
		const char *table;
		const char *kind;
	} kinds[] = {
		{"functions", "function"}, {"routes", "route"},	   {"settings", "setting"},
		{"versions", "version"},   {"variables", "variable"}, {"pool_settings", "pool"},
		{"public_rows", "row"},	   {"image_alias", "image"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].table, table) == 0)
			return kinds[i].kind;
	}
	return table;
}

static int row_visit(struct walk *walk, const struct weir_history_viewer *viewer, size_t *count)
{
	struct weir_history_change change = {
		.operation = walk->operation == SQLITE_INSERT	? WEIR_HISTORY_ADDED
			     : walk->operation == SQLITE_DELETE ? WEIR_HISTORY_REMOVED
								: WEIR_HISTORY_CHANGED,
		.kind = kind_of(walk->columns.table),
		.name = walk->title,
		.fields = walk->fields,
	};
	int code = fields_fill(walk);

	if (code == 0)
		code = title(walk);
	if (code != 0)
		return code;
	change.field_count = walk->field_count;
	if (change.operation == WEIR_HISTORY_CHANGED && !walk->is_different)
		return 0; /* it was only written again */
	++*count;
	code = viewer->visit(viewer->context, &change);
	return code == 0 ? 0 : weir_store_fail(walk->error, code, "not enough memory for the difference");
}

/* Gets each row in turn. */
typedef int row_use(struct walk *walk, const struct weir_history_viewer *viewer, size_t *count);

static int row_know(struct walk *walk, const struct weir_history_viewer *viewer, size_t *count)
{
	(void)viewer;
	(void)count;
	return table_is(walk, "functions") && walk->operation != SQLITE_UPDATE ? known_add(walk) : 0;
}

static int rows_each(struct walk *walk, const struct weir_history_changes *changes, row_use *use,
		     const struct weir_history_viewer *viewer, size_t *count)
{
	int result = 0;
	int code = sqlite3changeset_start(&walk->iterator, changes->bytes, changes->data);

	while (code == SQLITE_OK && result == 0 &&
	       (code = sqlite3changeset_next(walk->iterator)) == SQLITE_ROW) {
		const char *table = NULL;

		code = sqlite3changeset_op(walk->iterator, &table, &walk->width, &walk->operation, NULL);
		if (code == SQLITE_OK)
			code = sqlite3changeset_pk(walk->iterator, &walk->is_key, NULL);
		if (code == SQLITE_OK)
			result = weir_history_columns_read(walk->store, table, &walk->columns,
							   walk->error);
		if (code == SQLITE_OK && result == 0)
			result = use(walk, viewer, count);
	}
	(void)sqlite3changeset_finalize(walk->iterator); /* repeats the last error */
	walk->iterator = NULL;
	if (result == 0 && code != SQLITE_DONE && code != SQLITE_OK)
		result = weir_sql_error(walk->store->db, code, walk->store->path, walk->error);
	return result;
}

int weir_history_changes_visit(struct weir_store *store, const struct weir_history_changes *changes,
			       const struct weir_history_viewer *viewer, size_t *out_count,
			       struct weir_store_error *error)
{
	struct walk *fresh = calloc(1, sizeof(*fresh));
	size_t count = 0;
	int code = 0;

	if (fresh == NULL)
		return weir_store_fail(error, -ENOMEM, "not enough memory for the difference");
	WEIR_CLEANUP(walk_release) struct walk *walk = fresh;

	walk->store = store;
	walk->error = error;
	code = rows_each(walk, changes, row_know, viewer, &count);
	if (walk->known_count > 0)
		qsort(walk->known, walk->known_count, sizeof(walk->known[0]), compare_known);
	if (code == 0)
		code = rows_each(walk, changes, row_visit, viewer, &count);
	if (code == 0)
		*out_count = count;
	return code;
}
