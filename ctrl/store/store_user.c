#include "ctrl/store/store_user.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/store/store_internal.h"
#include "dataplane/base/cleanup.h"

enum { ROOM_FIRST = 16 };

#define COLUMNS "name, uuid, role, created, hash"

/* A query about one name: its number. */
static int count_of(struct weir_store *store, const char *text, const char *name, int64_t *out_count,
		    struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, text, &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	*out_count = sqlite3_column_int64(statement, 0);
	return 0;
}

/* May there be one more of that name? */
static int place_check(struct weir_store *store, const char *name, bool is_new_space, struct weir_store_error *error)
{
	int64_t same = 0;
	int64_t all = 0;
	int64_t functions = 0;
	int64_t keys = 0;
	int code = count_of(store, "SELECT count(*) FROM user WHERE name = ?1", name, &same, error);

	if (code == 0)
		code = count_of(store, "SELECT count(*) FROM user WHERE ?1 <> ''", name, &all, error);
	if (code == 0)
		code = count_of(store, "SELECT count(*) FROM functions WHERE space = ?1", name, &functions, error);
	if (code == 0)
		code = count_of(store, "SELECT count(*) FROM api_key WHERE space = ?1", name, &keys, error);
	if (code != 0)
		return code;
	if (same > 0)
		return weir_store_fail(error, -EEXIST, "there is a user %s already", name);
	if (is_new_space && functions + keys > 0)
		return weir_store_fail(error, -EEXIST,
				       "functions or keys are in the namespace %s already; choose another name, or let an "
				       "administrator add this user: ctrlctl user add %s",
				       name, name);
	if (all >= WEIR_STORE_USERS_MAX)
		return weir_store_fail(error, -EDQUOT, "there are %d users, the most that Weir keeps; remove one first",
				       WEIR_STORE_USERS_MAX);
	return 0;
}

static int insert(struct weir_store *store, const struct weir_model_user *user, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_store_prepare(store, "INSERT INTO user (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5)", &statement,
				      error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, user->name, -1, SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_text(statement, 2, user->uuid, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 3, weir_model_role_name(user->role), -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 4, user->created_s);
	(void)sqlite3_bind_text(statement, 5, user->hash, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	return code == SQLITE_DONE ? 0 : weir_sql_error(store->db, code, store->path, error);
}

int weir_store_user_add(struct weir_store *store, const struct weir_model_user *user, bool is_new_space,
			struct weir_store_error *error)
{
	struct weir_model_error wrong;
	int code = 0;

	if (weir_model_user_check(user, &wrong) != 0)
		return weir_store_fail(error, -EINVAL, "%s %s", wrong.field, wrong.reason);
	code = weir_store_begin(store, error);
	if (code != 0)
		return code;
	code = place_check(store, user->name, is_new_space, error);
	if (code == 0)
		code = insert(store, user, error);
	if (code == 0) {
		store->user_changes++;
		return weir_store_finish(store, error);
	}
	weir_store_undo(store);
	return code;
}

static int missing(const char *name, struct weir_store_error *error)
{
	return weir_store_fail(error, -ENOENT, "there is no user '%.80s'; `ctrlctl user list` shows all", name);
}

static int delete(struct weir_store *store, const char *name, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int64_t functions = 0;
	int64_t keys = 0;
	int code = count_of(store, "SELECT count(*) FROM functions WHERE owner = ?1", name, &functions, error);

	if (code == 0 && functions > 0)
		return weir_store_fail(error, -EBUSY,
				       "%lld functions are still %.80s's, `ctrlctl fn list` shows them; remove them first: "
				       "ctrlctl fn rm NAMESPACE/NAME",
				       (long long)functions, name);
	if (code == 0)
		code = count_of(store, "SELECT count(*) FROM api_key WHERE space = ?1", name, &keys, error);
	if (code == 0 && keys > 0)
		return weir_store_fail(error, -EBUSY,
				       "%lld keys open the namespace %.80s, `ctrlctl key list` shows them; remove them first: "
				       "ctrlctl key rm NAME",
				       (long long)keys, name);
	if (code == 0)
		code = weir_store_prepare(store, "DELETE FROM user WHERE name = ?1", &statement, error);
	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE)
		return weir_sql_error(store->db, code, store->path, error);
	return sqlite3_changes(store->db) == 0 ? missing(name, error) : 0;
}

int weir_store_user_remove(struct weir_store *store, const char *name, struct weir_store_error *error)
{
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = delete(store, name, error);
	if (code == 0) {
		store->user_changes++;
		return weir_store_finish(store, error);
	}
	weir_store_undo(store);
	return code;
}

/* One row -> a checked record. Another program may have written it. 0, or -EBADMSG with *wrong. */
static int user_read(sqlite3_stmt *row, struct weir_model_user *out_user, struct weir_model_error *wrong)
{
	char role[16];

	*wrong = (struct weir_model_error){.field = "text", .reason = "is too long"};
	memset(out_user, 0, sizeof(*out_user));
	out_user->created_s = sqlite3_column_int64(row, 3);
	return weir_sql_text_copy(row, 0, out_user->name, sizeof(out_user->name)) &&
			       weir_sql_text_copy(row, 1, out_user->uuid, sizeof(out_user->uuid)) &&
			       weir_sql_text_copy(row, 2, role, sizeof(role)) &&
			       weir_sql_text_copy(row, 4, out_user->hash, sizeof(out_user->hash)) &&
			       weir_model_role_parse(role, &out_user->role, wrong) == 0 &&
			       weir_model_user_check(out_user, wrong) == 0
		       ? 0
		       : -EBADMSG;
}

int weir_store_user_find(struct weir_store *store, const char *name, struct weir_model_user *out_user,
			 struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	struct weir_model_user user;
	struct weir_model_error wrong;
	int code = weir_store_prepare(store, "SELECT " COLUMNS " FROM user WHERE name = ?1", &statement, error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC); /* errors show at the step */
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return missing(name, error);
	if (code != SQLITE_ROW)
		return weir_sql_error(store->db, code, store->path, error);
	if (user_read(statement, &user, &wrong) != 0)
		return weir_store_fail(error, -EBADMSG, "%s, table user, %.80s: %s %s", store->path, name, wrong.field,
				       wrong.reason);
	*out_user = user;
	return 0;
}

static void bad_note(struct weir_store *store, sqlite3_stmt *row, const struct weir_model_error *wrong)
{
	struct weir_store_bad_row bad = {.table = "user"};

	(void)snprintf(bad.row, sizeof(bad.row), "%s", weir_sql_text(row, 0)); /* cut is fine */
	memcpy(bad.field, wrong->field, sizeof(bad.field));
	memcpy(bad.reason, wrong->reason, sizeof(bad.reason));
	weir_store_bad_row_note(store, WEIR_STORE_BAD_USERS, &bad);
}

/* Room for one more. */
static struct weir_model_user *user_next(struct weir_store_users *users, size_t *room)
{
	if (users->count == *room) {
		const size_t wanted = *room == 0 ? ROOM_FIRST : 2 * *room;
		struct weir_model_user *grown = reallocarray(users->user, wanted, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		users->user = grown;
		*room = wanted;
	}
	return &users->user[users->count];
}

int weir_store_users_load(struct weir_store *store, struct weir_store_users *out_users,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	size_t room = 0;
	int code = weir_store_prepare(store, "SELECT " COLUMNS " FROM user ORDER BY name", &statement, error);

	if (code != 0)
		return code;
	store->bad[WEIR_STORE_BAD_USERS].count = 0;
	/* Another program may have written more than there may be. */
	while (out_users->count < WEIR_STORE_USERS_MAX && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct weir_model_user *user = user_next(out_users, &room);
		struct weir_model_error wrong;

		if (user == NULL)
			return weir_store_fail(error, -ENOMEM, "not enough memory for the users");
		if (user_read(statement, user, &wrong) == 0)
			out_users->count++;
		else
			bad_note(store, statement, &wrong);
	}
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : weir_sql_error(store->db, code, store->path, error);
}

void weir_store_users_release(struct weir_store_users *users)
{
	free(users->user);
	memset(users, 0, sizeof(*users));
}
