#include "ctrl/store/store_alias.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

enum { ROOM_FIRST = 16 };

/* Run one statement about an alias: ?1 image, and where it has them ?2 namespace, ?3 function. *out_changed: rows. */
static int run(struct weir_store *store, const char *text, const struct weir_model_alias *alias, int *out_changed,
	       struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, alias->image, -1, SQLITE_STATIC); /* errors show at the step */
	if (sqlite3_bind_parameter_count(statement) == 3) {
		(void)sqlite3_bind_text(statement, 2, alias->space, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(statement, 3, alias->name, -1, SQLITE_STATIC);
	}
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	*out_changed = sqlite3_changes(store->db);
	return 0;
}

int weir_store_image_touch(struct weir_store *store, const char *image, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "UPDATE functions SET version = ?2 WHERE image = ?1", &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, image, -1, SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)store->generation + 1);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

static int count_check(struct weir_store *store, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT count(*) FROM image_alias", &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	return sqlite3_column_int64(statement, 0) <= WEIR_STORE_ALIASES_MAX
		       ? 0
		       : weir_store_fail(error, -EDQUOT, "there are %d images with an alias, the most that Weir keeps; remove one first",
					 WEIR_STORE_ALIASES_MAX);
}

int weir_store_alias_set(struct weir_store *store, const struct weir_model_alias *alias,
			 struct weir_store_error *error)
{
	struct weir_model_error wrong;
	int changed = 0;
	int code = 0;

	if (weir_model_alias_check(alias, &wrong) != 0)
		return weir_store_fail(error, -EINVAL, "%s %s", wrong.field, wrong.reason);
	code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = run(store,
		   "INSERT INTO image_alias (image, space, function) VALUES (?1, ?2, ?3) ON CONFLICT (image) DO UPDATE SET "
		   "space = excluded.space, function = excluded.function WHERE space <> excluded.space OR function <> "
		   "excluded.function",
		   alias, &changed, error);
	if (code == 0 && changed > 0)
		code = count_check(store, error);
	if (code == 0 && changed > 0)
		code = weir_store_image_touch(store, alias->image, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

static int missing(const char *image, struct weir_store_error *error)
{
	return weir_store_fail(error, -ENOENT, "no function is set for the image '%.512s'; `ctrlctl image alias list` shows what there is",
			       image);
}

int weir_store_alias_remove(struct weir_store *store, const char *image, struct weir_store_error *error)
{
	struct weir_model_alias alias = {.image = ""};
	int changed = 0;
	int code = 0;

	if (strlen(image) > WEIR_MODEL_IMAGE_BYTES_MAX)
		return missing(image, error);
	(void)snprintf(alias.image, sizeof(alias.image), "%s", image); /* fits */
	code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = run(store, "DELETE FROM image_alias WHERE image = ?1", &alias, &changed, error);
	if (code == 0 && changed == 0)
		code = missing(image, error);
	if (code == 0)
		code = weir_store_image_touch(store, image, error);
	if (code == 0)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

/* One row -> a checked record. Another program may have written it. 0, or -EBADMSG with *wrong. */
static int alias_read(sqlite3_stmt *row, struct weir_model_alias *out_alias, struct weir_model_error *wrong)
{
	*wrong = (struct weir_model_error){.field = "text", .reason = "is too long"};
	memset(out_alias, 0, sizeof(*out_alias));
	return weir_sql_text_copy(row, 0, out_alias->image, sizeof(out_alias->image)) &&
			       weir_sql_text_copy(row, 1, out_alias->space, sizeof(out_alias->space)) &&
			       weir_sql_text_copy(row, 2, out_alias->name, sizeof(out_alias->name)) &&
			       weir_model_alias_check(out_alias, wrong) == 0
		       ? 0
		       : -EBADMSG;
}

int weir_store_alias_find(struct weir_store *store, const char *image, struct weir_model_alias *out_alias,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_alias alias;
	struct weir_model_error wrong;
	int code = weir_store_prepare(store, "SELECT image, space, function FROM image_alias WHERE image = ?1", &statement,
				      error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, image, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return missing(image, error);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	if (alias_read(statement, &alias, &wrong) != 0)
		return weir_store_fail(error, -EBADMSG, "%s, table image_alias, %.512s: %s: %s", store->path, image,
				       wrong.field, wrong.reason);
	*out_alias = alias;
	return 0;
}

static void bad_note(struct weir_store *store, sqlite3_stmt *row, const struct weir_model_error *wrong)
{
	struct weir_store_bad_row bad = {.table = "image_alias"};

	(void)snprintf(bad.row, sizeof(bad.row), "%s", weir_sql_text(row, 0)); /* cut is fine */
	memcpy(bad.field, wrong->field, sizeof(bad.field));
	memcpy(bad.reason, wrong->reason, sizeof(bad.reason));
	weir_store_bad_row_note(store, WEIR_STORE_BAD_ALIASES, &bad);
}

/* Room for one more. */
static struct weir_model_alias *alias_next(struct weir_store_aliases *aliases, size_t *room)
{
	if (aliases->count == *room) {
		const size_t wanted = *room == 0 ? ROOM_FIRST : 2 * *room;
		struct weir_model_alias *grown = reallocarray(aliases->alias, wanted, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		aliases->alias = grown;
		*room = wanted;
	}
	return &aliases->alias[aliases->count];
}

int weir_store_aliases_load(struct weir_store *store, struct weir_store_aliases *out_aliases,
			    struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	size_t room = 0;
	int code = weir_store_prepare(store, "SELECT image, space, function FROM image_alias ORDER BY image", &statement, error);

	if (code != 0)
		return code;
	store->bad[WEIR_STORE_BAD_ALIASES].count = 0;
	/* Another program may have written more than there may be. */
	while (out_aliases->count < WEIR_STORE_ALIASES_MAX && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_alias *alias = alias_next(out_aliases, &room);
		struct weir_model_error wrong;

		if (alias == NULL)
			return weir_store_fail(error, -ENOMEM, "not enough memory for the images' aliases");
		if (alias_read(statement, alias, &wrong) == 0)
			out_aliases->count++;
		else
			bad_note(store, statement, &wrong);
	}
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : weir_sql_error(store->db, code, store->path, error);
}

void weir_store_aliases_release(struct weir_store_aliases *aliases)
{
	free(aliases->alias);
	memset(aliases, 0, sizeof(*aliases));
}
