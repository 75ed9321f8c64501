#include "ctrl/store/store_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

enum { ROOM_FIRST = 16 };

#define COLUMNS "name, id, space, role, created, expires, digest"

/* Are there as many as there may be? */
static int place_check(struct weir_store *store, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "SELECT count(*) FROM api_key", &statement, error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	return sqlite3_column_int64(statement, 0) < WEIR_STORE_KEYS_MAX
		       ? 0
		       : weir_store_fail(error, -EDQUOT, "there are %d keys, the most that Weir keeps; remove one first",
					 WEIR_STORE_KEYS_MAX);
}

static int insert(struct weir_store *store, const struct weir_model_key *key, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "INSERT INTO api_key (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, key->name, -1, SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_text(statement, 2, key->id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 3, key->space, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 4, weir_model_role_name(key->role), -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 5, key->created_s);
	(void)sqlite3_bind_int64(statement, 6, key->expires_s);
	(void)sqlite3_bind_blob(statement, 7, key->digest, sizeof(key->digest), SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_CONSTRAINT)
		return weir_store_fail(error, -EEXIST, "there is a key %s already; choose another name, or remove it first: "
						       "ctrlctl key rm NAME",
				       key->name);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_key_add(struct weir_store *store, const struct weir_model_key *key, struct weir_store_error *error)
{
	struct weir_model_error wrong;
	int code = 0;

	if (weir_model_key_check(key, &wrong) != 0)
		return weir_store_fail(error, -EINVAL, "%s %s", wrong.field, wrong.reason);
	code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = place_check(store, error);
	if (code == 0)
		code = insert(store, key, error);
	if (code == 0) {
		store->key_changes++;
		return weir_store_finish(store, error);
	}
	weir_store_undo(store);
	return code;
}

static int missing(const char *what, struct weir_store_error *error)
{
	return weir_store_fail(error, -ENOENT, "there is no key '%.80s'; `ctrlctl key list` shows all", what);
}

static int delete(struct weir_store *store, const char *name_or_id, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	/* A name that looks like another key's id must not take that one along. */
	int code = weir_store_prepare(store,
				      "DELETE FROM api_key WHERE name = (SELECT name FROM api_key WHERE name = ?1 OR id = ?1 "
				      "ORDER BY name = ?1 DESC LIMIT 1)",
				      &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name_or_id, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	return sqlite3_changes(store->db) == 0 ? missing(name_or_id, error) : 0;
}

int weir_store_key_remove(struct weir_store *store, const char *name_or_id, struct weir_store_error *error)
{
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = delete(store, name_or_id, error);
	if (code == 0) {
		store->key_changes++;
		return weir_store_finish(store, error);
	}
	weir_store_undo(store);
	return code;
}

/* One row -> a checked record. Another program may have written it. 0, or -EBADMSG with *wrong. */
static int key_read(sqlite3_stmt *row, struct weir_model_key *out_key, struct weir_model_error *wrong)
{
	char role[16];

	*wrong = (struct weir_model_error){.field = "text", .reason = "is too long"};
	memset(out_key, 0, sizeof(*out_key));
	out_key->created_s = sqlite3_column_int64(row, 4);
	out_key->expires_s = sqlite3_column_int64(row, 5);
	if (!weir_sql_text_copy(row, 0, out_key->name, sizeof(out_key->name)) ||
	    !weir_sql_text_copy(row, 1, out_key->id, sizeof(out_key->id)) ||
	    !weir_sql_text_copy(row, 2, out_key->space, sizeof(out_key->space)) ||
	    !weir_sql_text_copy(row, 3, role, sizeof(role)) ||
	    weir_model_role_parse(role, &out_key->role, wrong) != 0 || weir_model_key_check(out_key, wrong) != 0)
		return -EBADMSG;
	*wrong = (struct weir_model_error){.field = "digest", .reason = "is none of SHA-256"};
	if (sqlite3_column_bytes(row, 6) != (int)sizeof(out_key->digest))
		return -EBADMSG;
	memcpy(out_key->digest, sqlite3_column_blob(row, 6), sizeof(out_key->digest));
	return 0;
}

int weir_store_key_find(struct weir_store *store, const char *id, struct weir_model_key *out_key,
			struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_key key;
	struct weir_model_error wrong;
	int code = weir_store_prepare(store, "SELECT " COLUMNS " FROM api_key WHERE id = ?1", &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return missing(id, error);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	if (key_read(statement, &key, &wrong) != 0)
		return weir_store_fail(error, -EBADMSG, "%s, table api_key, %.80s: %s %s", store->path, id, wrong.field,
				       wrong.reason);
	*out_key = key;
	return 0;
}

static void bad_note(struct weir_store *store, sqlite3_stmt *row, const struct weir_model_error *wrong)
{
	struct weir_store_bad_row bad = {.table = "api_key"};

	(void)snprintf(bad.row, sizeof(bad.row), "%s", weir_sql_text(row, 0)); /* cut is fine */
	memcpy(bad.field, wrong->field, sizeof(bad.field));
	memcpy(bad.reason, wrong->reason, sizeof(bad.reason));
	weir_store_bad_row_note(store, WEIR_STORE_BAD_KEYS, &bad);
}

/* Room for one more. */
static struct weir_model_key *key_next(struct weir_store_keys *keys, size_t *room)
{
	if (keys->count == *room) {
		const size_t wanted = *room == 0 ? ROOM_FIRST : 2 * *room;
		struct weir_model_key *grown = reallocarray(keys->key, wanted, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		keys->key = grown;
		*room = wanted;
	}
	return &keys->key[keys->count];
}

int weir_store_keys_load(struct weir_store *store, struct weir_store_keys *out_keys, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	size_t room = 0;
	int code = weir_store_prepare(store, "SELECT " COLUMNS " FROM api_key ORDER BY name", &statement, error);

	if (code != 0)
		return code;
	store->bad[WEIR_STORE_BAD_KEYS].count = 0;
	/* Another program may have written more than there may be. */
	while (out_keys->count < WEIR_STORE_KEYS_MAX && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_key *key = key_next(out_keys, &room);
		struct weir_model_error wrong;

		if (key == NULL)
			return weir_store_fail(error, -ENOMEM, "not enough memory for the keys");
		if (key_read(statement, key, &wrong) == 0)
			out_keys->count++;
		else
			bad_note(store, statement, &wrong);
	}
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : weir_sql_error(store->db, code, store->path, error);
}

void weir_store_keys_release(struct weir_store_keys *keys)
{
	free(keys->key);
	memset(keys, 0, sizeof(*keys));
}
