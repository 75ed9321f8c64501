#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/backup/backup_file.h"
#include "dataplane/base/cleanup.h"

/* The keys that there are, and what this instance keeps sealed now. */
struct keys {
	struct weir_secret *own;     /* NULL: this instance has none yet */
	struct weir_secret *brought; /* NULL: the backup came without */
	sqlite3 *present;
	sqlite3_stmt *value; /* of ?1/?2's variable ?3 */
};

static void keys_close(struct keys *keys)
{
	weir_sql_finalize(&keys->value);
	weir_backup_close_db(&keys->present);
	weir_secret_close(keys->own);
	weir_secret_close(keys->brought);
}

static int present_open(struct weir_backup_job *job, struct keys *keys)
{
	int code = weir_backup_source_open(job, "weir.db", &keys->present);

	if (code == 0)
		code = weir_sql_prepare(keys->present, "weir.db",
					"SELECT v.value FROM variables AS v JOIN functions AS f ON f.id = v.function_id "
					"WHERE f.space = ?1 AND f.name = ?2 AND v.name = ?3 AND v.secret <> 0",
					&keys->value, &job->error);
	return code == -EBADMSG ? -EIO : code; /* that it is damaged is not the backup's fault */
}

static int keys_open(struct weir_backup_job *job, sqlite3 *db, struct keys *keys)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, "the backup", "SELECT bytes FROM backup_key", &statement, &job->error);

	if (code == 0)
		code = sqlite3_step(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return code < 0 ? code : weir_sql_error(db, code, "the backup", &job->error);
	job->report.has_key = code == SQLITE_ROW;
	if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 0) != WEIR_SECRET_KEY_BYTES)
		{
		(void)snprintf(job->error.text, sizeof(job->error.text), "its key of secrets is damaged");
		return -EINVAL;
	}
	code = code == SQLITE_ROW ? weir_secret_import(sqlite3_column_blob(statement, 0), &keys->brought) : 0;
	/* A key that comes with the backup is not taken over: what it sealed is sealed anew. */
	if (code == 0)
		code = weir_secret_open(job->data, job->report.has_key && job->store_code, &keys->own);
	if (code == 0 || code == -ENOENT)
		return keys->brought != NULL && keys->own != NULL ? present_open(job, keys) : 0;
	(void)snprintf(job->error.text, sizeof(job->error.text), "%s/secret.key cannot be used: %s", job->data,
		       strerror(-code));
	return code == -EBADMSG ? -EIO : code;
}

/* A secret on its way: who it is of, sealed as it came, and open. */
struct secret {
	char label[WEIR_SECRET_LABEL_BYTES];
	const void *sealed;
	size_t bytes; /* of that */
	uint8_t plain[WEIR_MODEL_VALUE_BYTES_MAX];
};

/* Is the same value here, sealed with the own key? Then it stays as it is, and its function goes on. Fills out. */
static bool value_is_here(struct keys *keys, sqlite3_stmt *row, const struct secret *secret, uint8_t *out)
{
	uint8_t plain[WEIR_MODEL_VALUE_BYTES_MAX];
	bool is_same = false;

	for (int i = 0; i < 3; i++)
		(void)sqlite3_bind_value(keys->value, i + 1, sqlite3_column_value(row, i)); /* errors show at the step */
	if (sqlite3_step(keys->value) == SQLITE_ROW && (size_t)sqlite3_column_bytes(keys->value, 0) == secret->bytes) {
		memcpy(out, sqlite3_column_blob(keys->value, 0), secret->bytes);
		is_same = weir_secret_unseal(keys->own, secret->label, out, secret->bytes, plain) == 0 &&
			  memcmp(plain, secret->plain, secret->bytes - WEIR_SECRET_EXTRA_BYTES) == 0;
		explicit_bzero(plain, sizeof(plain));
	}
	(void)sqlite3_reset(keys->value); /* repeats the step's result */
	return is_same;
}

/* A sealed value as this instance can open it: 0 and out, 1 (it can already), or -EBADMSG (nobody can). */
static int value_settle(struct keys *keys, sqlite3_stmt *row, struct secret *secret, uint8_t *out)
{
	if (keys->own != NULL &&
	    weir_secret_unseal(keys->own, secret->label, secret->sealed, secret->bytes, secret->plain) == 0)
		return 1;
	if (keys->brought == NULL ||
	    weir_secret_unseal(keys->brought, secret->label, secret->sealed, secret->bytes, secret->plain) != 0)
		return -EBADMSG;
	if (keys->own == NULL) /* a look only: it would be made */
		return 1;
	if (!value_is_here(keys, row, secret, out))
		weir_secret_seal(keys->own, secret->label, secret->plain, secret->bytes - WEIR_SECRET_EXTRA_BYTES, out);
	return 0;
}

static int value_write(struct weir_backup_job *job, sqlite3 *staged, sqlite3_stmt *row, const uint8_t *sealed)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(staged, "the backup", "UPDATE variables SET value = ?3 WHERE function_id = ?1 AND name = ?2",
				    &statement, &job->error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_value(statement, 1, sqlite3_column_value(row, 4)); /* errors show at the step */
	(void)sqlite3_bind_value(statement, 2, sqlite3_column_value(row, 2));
	(void)sqlite3_bind_blob(statement, 3, sealed, sqlite3_column_bytes(row, 3), SQLITE_STATIC);
	code = sqlite3_step(statement);
	job->report.secrets_sealed_anew++;
	return code == SQLITE_DONE ? 0 : weir_sql_error(staged, code, "the backup", &job->error);
}

static int secret_settle(struct weir_backup_job *job, sqlite3 *staged, struct keys *keys, sqlite3_stmt *row)
{
	uint8_t sealed[WEIR_MODEL_VALUE_BYTES_MAX + WEIR_SECRET_EXTRA_BYTES];
	const char *space = weir_sql_text(row, 0);
	const char *function = weir_sql_text(row, 1);
	struct secret secret = {.sealed = sqlite3_column_blob(row, 3), .bytes = (size_t)sqlite3_column_bytes(row, 3)};
	int code = 0;

	(void)weir_secret_label(space, function, weir_sql_text(row, 2), secret.label);
	code = value_settle(keys, row, &secret, sealed);
	explicit_bzero(secret.plain, sizeof(secret.plain));
	if (code == -EBADMSG)
		weir_backup_name_note(&job->report.unopened, space, function);
	return code == 0 ? value_write(job, staged, row, sealed) : 0;
}

int weir_backup_secrets_settle(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged)
{
	WEIR_CLEANUP(keys_close) struct keys keys = {.own = NULL};
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	int code = keys_open(job, db, &keys);

	/* In memory of their own first: they are changed as they go by. */
	if (code == 0)
		code = weir_sql_run(staged, "the backup",
				    "CREATE TEMP TABLE secrets AS SELECT f.space, f.name, v.name AS variable, v.value, "
				    "v.function_id FROM variables AS v JOIN functions AS f ON f.id = v.function_id WHERE "
				    "v.secret <> 0 ORDER BY f.space, f.name",
				    &job->error);
	if (code == 0)
		code = weir_sql_prepare(staged, "the backup", "SELECT * FROM temp.secrets", &rows, &job->error);
	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		code = secret_settle(job, staged, &keys, rows);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(staged, code, "the backup", &job->error);
}
