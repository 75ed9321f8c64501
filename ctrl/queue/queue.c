#include "ctrl/queue/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ctrl/queue/queue_internal.h"
#include "ctrl/store/sql.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

#define COLUMNS                                                                                              \
	"number, id, space, name, state, priority, attempt, failed, retries_max, is_cancelled, due_ms, "    \
	"accepted_ms, begun_ms, ended_ms, status, failure, query, type, answer_type, body, answer"
#define BYTES "length(body) + coalesce(length(answer), 0)"

enum { BUSY_MS = 1000 /* for a look from outside; nobody else writes */ };

/* What makes a database of version i one of version i + 1. */
static const char *const migrations[] = {
	"CREATE TABLE calls (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),"
	" space TEXT NOT NULL, name TEXT NOT NULL, state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),"
	" priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9), attempt INTEGER NOT NULL CHECK (attempt >= 0),"
	" failed INTEGER NOT NULL CHECK (failed BETWEEN 0 AND attempt), retries_max INTEGER NOT NULL,"
	" is_cancelled INTEGER NOT NULL CHECK (is_cancelled IN (0, 1)), due_ms INTEGER NOT NULL,"
	" accepted_ms INTEGER NOT NULL, begun_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
	" status INTEGER NOT NULL, failure TEXT, query TEXT, type TEXT, answer_type TEXT, body BLOB NOT NULL,"
	" answer BLOB, CHECK ((ended_ms = 0) = (state < 3))) STRICT;"
	"CREATE INDEX calls_ready ON calls (priority DESC, number) WHERE state = 1;"
	"CREATE INDEX calls_delayed ON calls (due_ms) WHERE state = 0;"
	"CREATE INDEX calls_running ON calls (number) WHERE state = 2;"
	"CREATE INDEX calls_ended ON calls (ended_ms) WHERE state >= 3;"
	"CREATE TABLE keys (space TEXT NOT NULL, key TEXT NOT NULL, id BLOB NOT NULL CHECK (length(id) = 16),"
	" name TEXT NOT NULL, accepted_ms INTEGER NOT NULL, PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX keys_age ON keys (accepted_ms);",
};
enum { VERSION = sizeof(migrations) / sizeof(migrations[0]) };

static const char *const texts[WEIR_QUEUE_SQL_STATEMENTS] = {
	[WEIR_QUEUE_SQL_BEGIN] = "BEGIN",
	[WEIR_QUEUE_SQL_COMMIT] = "COMMIT",
	[WEIR_QUEUE_SQL_ROLLBACK] = "ROLLBACK",
	/* id, space, name, state, priority, retries_max, due_ms, accepted_ms, query, type, body */
	[WEIR_QUEUE_SQL_ADD] = "INSERT INTO calls (id, space, name, state, priority, attempt, failed, retries_max, "
			       "is_cancelled, due_ms, accepted_ms, begun_ms, ended_ms, status, query, type, body) VALUES "
			       "(?1, ?2, ?3, ?4, ?5, 0, 0, ?6, 0, ?7, ?8, 0, 0, 0, ?9, ?10, ?11)",
	/* space, key */
	[WEIR_QUEUE_SQL_KEY_FIND] = "SELECT id, name FROM keys WHERE space = ?1 AND key = ?2",
	/* space, key, id, name, accepted_ms */
	[WEIR_QUEUE_SQL_KEY_ADD] = "INSERT INTO keys (space, key, id, name, accepted_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
	/* accepted_ms */
	[WEIR_QUEUE_SQL_KEYS_TRIM] = "DELETE FROM keys WHERE (space, key) IN (SELECT space, key FROM keys WHERE "
				     "accepted_ms < ?1 ORDER BY accepted_ms LIMIT 200)",
	[WEIR_QUEUE_SQL_BEST] = "SELECT number FROM calls WHERE state = 1 ORDER BY priority DESC, number LIMIT 1",
	/* number; id */
	[WEIR_QUEUE_SQL_READ] = "SELECT " COLUMNS " FROM calls WHERE number = ?1",
	[WEIR_QUEUE_SQL_FIND] = "SELECT " COLUMNS " FROM calls WHERE id = ?1",
	/* number, begun_ms */
	[WEIR_QUEUE_SQL_TAKE] = "UPDATE calls SET state = 2, attempt = attempt + 1, begun_ms = ?2 WHERE number = ?1",
	/* number, state, due_ms, failed, is_cancelled, ended_ms, status, failure, answer_type, answer */
	[WEIR_QUEUE_SQL_END] = "UPDATE calls SET state = ?2, due_ms = ?3, failed = ?4, is_cancelled = ?5, ended_ms = ?6, "
			       "status = ?7, failure = ?8, answer_type = ?9, answer = ?10 WHERE number = ?1",
	/* number */
	[WEIR_QUEUE_SQL_CANCELLING] = "UPDATE calls SET is_cancelled = 1 WHERE number = ?1",
	[WEIR_QUEUE_SQL_REDRIVE] = "UPDATE calls SET state = 1, failed = 0, is_cancelled = 0, begun_ms = 0, "
				   "ended_ms = 0, status = 0, failure = NULL, answer_type = NULL, answer = NULL "
				   "WHERE number = ?1",
	[WEIR_QUEUE_SQL_REMOVE] = "DELETE FROM calls WHERE number = ?1",
	/* due_ms */
	[WEIR_QUEUE_SQL_DUE] = "UPDATE calls SET state = 1 WHERE number IN (SELECT number FROM calls WHERE state = 0 AND "
			       "due_ms <= ?1 ORDER BY due_ms LIMIT 1000)",
	/* ended_ms */
	[WEIR_QUEUE_SQL_OLDEST_ENDED] = "SELECT number, state, " BYTES
					" FROM calls WHERE state >= 3 AND ended_ms < ?1 ORDER BY ended_ms LIMIT 1",
	/* state, number, limit */
	[WEIR_QUEUE_SQL_LIST] = "SELECT number, id, space, name, state, priority, attempt, failed, retries_max, "
				"is_cancelled, due_ms, accepted_ms, begun_ms, ended_ms, status, failure, NULL, NULL, NULL, "
				"NULL, NULL FROM calls WHERE (?1 < 0 OR state = ?1) AND number > ?2 ORDER BY number LIMIT ?3",
	[WEIR_QUEUE_SQL_FIRST_READY] = 
		"SELECT accepted_ms FROM calls WHERE number = (SELECT min((SELECT number FROM calls WHERE state = 1 AND "
		"priority = column1 ORDER BY number LIMIT 1)) FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)))",
	[WEIR_QUEUE_SQL_FIRST_DELAYED] = "SELECT due_ms FROM calls WHERE state = 0 ORDER BY due_ms LIMIT 1",
	[WEIR_QUEUE_SQL_COUNTS] = "SELECT state, count(*), sum(" BYTES ") FROM calls GROUP BY state",
	[WEIR_QUEUE_SQL_RUNNING] = "SELECT number, attempt, is_cancelled FROM calls WHERE state = 2 ORDER BY number LIMIT 64",
};

/* ---- names ---- */

static const char *const state_names[WEIR_QUEUE_STATES] = {"delayed", "ready", "running", "done", "dead", "cancelled"};

const char *weir_queue_state_name(enum weir_queue_state state)
{
	return state < WEIR_QUEUE_STATES ? state_names[state] : "";
}

bool weir_queue_state_find(const char *name, enum weir_queue_state *out_state)
{
	for (enum weir_queue_state state = 0; state < WEIR_QUEUE_STATES; state++) {
		if (strcmp(state_names[state], name) != 0)
			continue;
		*out_state = state;
		return true;
	}
	return false;
}

void weir_queue_call_release(struct weir_queue_call *call)
{
	free(call->query);
	free(call->type);
	free(call->body);
	free(call->failure);
	free(call->answer_type);
	free(call->answer);
	*call = (struct weir_queue_call){.number = 0};
}

int weir_queue_fail(struct weir_store_error *error, int number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, arguments); /* cut is fine */
	va_end(arguments);
	return number;
}

/* ---- statements ---- */

sqlite3_stmt *weir_queue_statement(struct weir_queue *queue, enum weir_queue_statement which)
{
	sqlite3_stmt *const statement = queue->statement[which];

	(void)sqlite3_reset(statement); /* repeats the last step's error, which was handled */
	(void)sqlite3_clear_bindings(statement);
	errno = 0; /* weir_sql_error() looks at it */
	return statement;
}

int weir_queue_step(struct weir_queue *queue, sqlite3_stmt *statement, struct weir_store_error *error)
{
	const int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : weir_sql_error(queue->db, code, queue->path, error);
}

int weir_queue_run(struct weir_queue *queue, sqlite3_stmt *statement, struct weir_store_error *error)
{
	const int code = weir_queue_step(queue, statement, error);

	(void)sqlite3_reset(statement);
	return code < 0 ? code : 0;
}

void weir_queue_bind_text(sqlite3_stmt *statement, int place, const char *text)
{
	(void)sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC); /* errors show at the step */
}

static uint64_t number_at(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

void weir_queue_id_write(struct weir_id id, uint8_t out[16])
{
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(id.high >> (56 - 8 * i));
		out[8 + i] = (uint8_t)(id.low >> (56 - 8 * i));
	}
}

struct weir_id weir_queue_id_read(const uint8_t bytes[16])
{
	return (struct weir_id){.high = number_at(bytes), .low = number_at(bytes + 8)};
}

/* A copy of a text or blob, NUL-terminated; NULL where there is none. False: no memory. */
static bool column_copy(sqlite3_stmt *row, int column, char **out, size_t *out_bytes)
{
	const void *const data = sqlite3_column_blob(row, column);
	const size_t bytes = (size_t)sqlite3_column_bytes(row, column);

	*out = NULL;
	if (out_bytes != NULL)
		*out_bytes = bytes;
	if (sqlite3_column_type(row, column) == SQLITE_NULL)
		return true;
	*out = malloc(bytes + 1);
	if (*out == NULL)
		return false;
	if (bytes > 0)
		memcpy(*out, data, bytes);
	(*out)[bytes] = '\0';
	return true;
}

int weir_queue_row_read(sqlite3_stmt *row, struct weir_queue_call *out_call, struct weir_store_error *error)
{
	struct weir_queue_call call = {.number = sqlite3_column_int64(row, 0),
				       .id = weir_queue_id_read(sqlite3_column_blob(row, 1))};

	if (!weir_sql_text_copy(row, 2, call.space, sizeof(call.space)) ||
	    !weir_sql_text_copy(row, 3, call.name, sizeof(call.name)))
		return weir_queue_fail(error, -EBADMSG, "call %lld of queue.db has a name that is none",
				       (long long)call.number);
	call.state = (enum weir_queue_state)sqlite3_column_int(row, 4);
	call.priority = (uint32_t)sqlite3_column_int(row, 5);
	call.attempt = (uint32_t)sqlite3_column_int(row, 6);
	call.failed = (uint32_t)sqlite3_column_int(row, 7);
	call.retries_max = (uint32_t)sqlite3_column_int(row, 8);
	call.is_cancelled = sqlite3_column_int(row, 9) != 0;
	call.due_ms = sqlite3_column_int64(row, 10);
	call.accepted_ms = sqlite3_column_int64(row, 11);
	call.begun_ms = sqlite3_column_int64(row, 12);
	call.ended_ms = sqlite3_column_int64(row, 13);
	call.status = (uint32_t)sqlite3_column_int(row, 14);
	if (!column_copy(row, 15, &call.failure, NULL) || !column_copy(row, 16, &call.query, NULL) ||
	    !column_copy(row, 17, &call.type, NULL) || !column_copy(row, 18, &call.answer_type, NULL) ||
	    !column_copy(row, 19, &call.body, &call.body_bytes) ||
	    !column_copy(row, 20, &call.answer, &call.answer_bytes)) {
		weir_queue_call_release(&call);
		return weir_queue_fail(error, -ENOMEM, "not enough memory for a call of queue.db");
	}
	*out_call = call;
	return 0;
}

int weir_queue_read(struct weir_queue *queue, int64_t number, struct weir_queue_call *out_call,
		    struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_READ);
	int code = 0;

	(void)sqlite3_bind_int64(statement, 1, number);
	code = weir_queue_step(queue, statement, error);
	if (code == 1)
		code = weir_queue_row_read(statement, out_call, error);
	else if (code == 0)
		code = -ENOENT;
	(void)sqlite3_reset(statement);
	return code;
}

/* ---- what is in memory ---- */

/* Counts and leases as the database says: at the start, and after what was begun did not come about. */
static int memory_load(struct weir_queue *queue, struct weir_store_error *error)
{
	const uint64_t until_ns = weir_clock_now_ns() + WEIR_QUEUE_LEASE_MS * WEIR_NS_PER_MS;
	sqlite3_stmt *statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_COUNTS);
	int code = 0;

	memset(queue->count, 0, sizeof(queue->count));
	memset(queue->lease, 0, sizeof(queue->lease));
	queue->bytes = 0;
	while ((code = weir_queue_step(queue, statement, error)) == 1) {
		queue->count[sqlite3_column_int(statement, 0) % WEIR_QUEUE_STATES] =
			(uint64_t)sqlite3_column_int64(statement, 1);
		queue->bytes += (uint64_t)sqlite3_column_int64(statement, 2);
	}
	(void)sqlite3_reset(statement);
	statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_RUNNING);
	for (size_t i = 0; code == 0 && i < WEIR_QUEUE_RUNNERS_MAX; i++) {
		code = weir_queue_step(queue, statement, error);
		if (code != 1)
			break;
		code = 0;
		queue->lease[i] = (struct weir_queue_lease){.is_used = true,
							    .number = sqlite3_column_int64(statement, 0),
							    .attempt = (uint32_t)sqlite3_column_int(statement, 1),
							    .is_cancelled = sqlite3_column_int(statement, 2) != 0,
							    .until_ns = until_ns};
	}
	(void)sqlite3_reset(statement);
	return code;
}

/* ---- opening ---- */

static int migrate(struct weir_queue *queue, struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	char text[64];
	int version = 0;
	int code = weir_sql_prepare(queue->db, queue->path, "PRAGMA user_version", &statement, error);

	if (code == 0)
		code = weir_queue_step(queue, statement, error);
	if (code < 0)
		return code;
	version = sqlite3_column_int(statement, 0);
	weir_sql_finalize(&statement);
	if (version < 0 || version > VERSION)
		return weir_queue_fail(error, -EBADMSG, "%s is of a newer version of Weir", queue->path);
	for (code = 0; code == 0 && version < VERSION; version++) {
		(void)snprintf(text, sizeof(text), "PRAGMA user_version = %d; COMMIT", version + 1); /* fits */
		code = weir_sql_run(queue->db, queue->path, "BEGIN IMMEDIATE", error);
		if (code == 0)
			code = weir_sql_run(queue->db, queue->path, migrations[version], error);
		if (code == 0)
			code = weir_sql_run(queue->db, queue->path, text, error);
	}
	return code;
}

/* The tables are those that the migrations make, in the same words. */
static int schema_check(struct weir_queue *queue, struct weir_store_error *error)
{
	sqlite3 *reference = NULL;
	int code = sqlite3_open_v2(":memory:", &reference, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	code = code != SQLITE_OK ? weir_sql_error(reference, code, "memory", error) : 0;
	for (int i = 0; code == 0 && i < VERSION; i++)
		code = weir_sql_run(reference, "memory", migrations[i], error);
	if (code == 0)
		code = weir_sql_tables_check(queue->db, reference, error);
	(void)sqlite3_close_v2(reference);
	return code;
}

static int database_open(struct weir_queue *queue, struct weir_store_error *error)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int code = sqlite3_open_v2(queue->path, &queue->db, flags, NULL);

	if (code != SQLITE_OK)
		return weir_sql_error(queue->db, code, queue->path, error);
	(void)sqlite3_extended_result_codes(queue->db, 1);
	(void)sqlite3_busy_timeout(queue->db, BUSY_MS);
	/* FULL: the log is on the disk when a commit returns, before anybody is told. */
	code = weir_sql_run(queue->db, queue->path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", error);
	if (code == 0)
		code = migrate(queue, error);
	if (code == 0)
		code = schema_check(queue, error);
	for (size_t i = 0; code == 0 && i < WEIR_QUEUE_SQL_STATEMENTS; i++)
		code = weir_sql_prepare(queue->db, queue->path, texts[i], &queue->statement[i], error);
	return code;
}

static int lock_take(struct weir_queue *queue, const char *directory, struct weir_store_error *error)
{
	queue->lock_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (queue->lock_fd == -1)
		return weir_queue_fail(error, -errno, "cannot open %s: %s", directory, strerror(errno));
	if (flock(queue->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return weir_queue_fail(error, errno == EWOULDBLOCK ? -EBUSY : -errno, "cannot have %s alone: %s", directory,
			       strerror(errno));
}

int weir_queue_open(const char *directory, struct weir_queue **out_queue, struct weir_store_error *error)
{
	struct weir_queue *const queue = calloc(1, sizeof(*queue));
	int code = 0;

	if (queue == NULL)
		return weir_queue_fail(error, -ENOMEM, "not enough memory to open the queue");
	queue->lock_fd = -1;
	if ((size_t)snprintf(queue->path, sizeof(queue->path), "%s/queue.db", directory) >= sizeof(queue->path))
		code = weir_queue_fail(error, -ENAMETOOLONG, "the path of the queue's directory is too long");
	if (code == 0)
		code = weir_id_source_open(&queue->random);
	if (code == 0)
		code = lock_take(queue, directory, error);
	if (code == 0)
		code = database_open(queue, error);
	if (code == 0)
		code = memory_load(queue, error);
	if (code == 0)
		*out_queue = queue;
	else
		weir_queue_close(queue);
	return code;
}

void weir_queue_close(struct weir_queue *queue)
{
	if (queue == NULL)
		return;
	for (size_t i = 0; i < WEIR_QUEUE_SQL_STATEMENTS; i++)
		weir_sql_finalize(&queue->statement[i]);
	(void)sqlite3_close_v2(queue->db); /* cannot fail: no statement is left */
	weir_fd_close(&queue->lock_fd);
	free(queue);
}

void weir_queue_limits_set(struct weir_queue *queue, const struct weir_queue_limits *limits)
{
	queue->limits = *limits;
	if (queue->limits.running_max > WEIR_QUEUE_RUNNERS_MAX)
		queue->limits.running_max = WEIR_QUEUE_RUNNERS_MAX;
}

/* ---- transactions ---- */

int weir_queue_begin(struct weir_queue *queue, struct weir_store_error *error)
{
	return weir_queue_run(queue, weir_queue_statement(queue, WEIR_QUEUE_SQL_BEGIN), error);
}

int weir_queue_commit(struct weir_queue *queue, struct weir_store_error *error)
{
	return weir_queue_run(queue, weir_queue_statement(queue, WEIR_QUEUE_SQL_COMMIT), error);
}

int weir_queue_rollback(struct weir_queue *queue, struct weir_store_error *error)
{
	int code = 0;

	if (sqlite3_get_autocommit(queue->db) == 0) /* some errors have rolled back already */
		code = weir_queue_run(queue, weir_queue_statement(queue, WEIR_QUEUE_SQL_ROLLBACK), error);
	return code == 0 ? memory_load(queue, error) : code;
}
