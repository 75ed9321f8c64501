/* The way of a call: in, out to a runner, and back. */
#include <errno.h>
#include <string.h>

#include "ctrl/queue/queue_internal.h"
#include "ctrl/store/sql.h"
#include "dataplane/base/clock.h"

enum { TRIM_ROWS = 100 /* at once, each time */ };

static const uint64_t trim_ns = WEIR_NS_PER_SECOND;

static void count_move(struct weir_queue *queue, enum weir_queue_state from, enum weir_queue_state to)
{
	queue->count[from]--;
	queue->count[to]++;
}

/* ---- in ---- */

/* The call that came with this key before: 1 and *out_id, 0: none did; -EEXIST: for another function. */
static int key_find(struct weir_queue *queue, const struct weir_queue_call *call, const char *key,
		    struct weir_id *out_id, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_KEY_FIND);
	int code = 0;

	weir_queue_bind_text(statement, 1, call->space);
	weir_queue_bind_text(statement, 2, key);
	code = weir_queue_step(queue, statement, error);
	if (code == 1 && strcmp(weir_sql_text(statement, 1), call->name) != 0)
		code = -EEXIST;
	if (code == 1)
		*out_id = weir_queue_id_read(sqlite3_column_blob(statement, 0));
	(void)sqlite3_reset(statement);
	return code;
}

static int key_add(struct weir_queue *queue, const struct weir_queue_call *call, const char *key,
		   const uint8_t id[16], struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_KEY_ADD);

	weir_queue_bind_text(statement, 1, call->space);
	weir_queue_bind_text(statement, 2, key);
	(void)sqlite3_bind_blob(statement, 3, id, 16, SQLITE_STATIC);
	weir_queue_bind_text(statement, 4, call->name);
	(void)sqlite3_bind_int64(statement, 5, call->accepted_ms);
	return weir_queue_run(queue, statement, error);
}

static int call_add(struct weir_queue *queue, const struct weir_queue_call *call, const uint8_t id[16],
		    struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_ADD);

	(void)sqlite3_bind_blob(statement, 1, id, 16, SQLITE_STATIC);
	weir_queue_bind_text(statement, 2, call->space);
	weir_queue_bind_text(statement, 3, call->name);
	(void)sqlite3_bind_int(statement, 4, (int)call->state);
	(void)sqlite3_bind_int(statement, 5, (int)call->priority);
	(void)sqlite3_bind_int(statement, 6, (int)call->retries_max);
	(void)sqlite3_bind_int64(statement, 7, call->due_ms);
	(void)sqlite3_bind_int64(statement, 8, call->accepted_ms);
	weir_queue_bind_text(statement, 9, call->query);
	weir_queue_bind_text(statement, 10, call->type);
	(void)sqlite3_bind_blob64(statement, 11, call->body_bytes == 0 ? "" : call->body, call->body_bytes,
				  SQLITE_STATIC);
	return weir_queue_run(queue, statement, error);
}

int weir_queue_accept(struct weir_queue *queue, struct weir_queue_time time, struct weir_queue_call *call,
		      const char *key, struct weir_store_error *error)
{
	const uint64_t waiting = queue->count[WEIR_QUEUE_DELAYED] + queue->count[WEIR_QUEUE_READY] +
				 queue->count[WEIR_QUEUE_RUNNING];
	uint8_t id[16];
	int code = key == NULL ? 0 : key_find(queue, call, key, &call->id, error);

	if (code != 0)
		return code < 0 ? code : 0;
	queue->is_full = queue->is_full || queue->bytes + call->body_bytes > queue->limits.bytes_max;
	if (waiting >= queue->limits.rows_max || queue->bytes + call->body_bytes > queue->limits.bytes_max)
		return -EDQUOT;
	call->state = call->due_ms > time.wall_ms ? WEIR_QUEUE_DELAYED : WEIR_QUEUE_READY;
	call->accepted_ms = time.wall_ms;
	weir_queue_id_write(call->id, id);
	code = call_add(queue, call, id, error);
	if (code == 0 && key != NULL)
		code = key_add(queue, call, key, id, error);
	if (code != 0)
		return code;
	queue->count[call->state]++;
	queue->bytes += call->body_bytes;
	return 0;
}

/* ---- leases ---- */

struct weir_queue_lease *weir_queue_lease_of(struct weir_queue *queue, int64_t number, uint32_t attempt)
{
	for (size_t i = 0; i < WEIR_QUEUE_RUNNERS_MAX; i++) {
		struct weir_queue_lease *const lease = &queue->lease[i];

		if (lease->is_used && lease->number == number && lease->attempt == attempt)
			return lease;
	}
	return NULL;
}

static struct weir_queue_lease *lease_of_runner(struct weir_queue *queue, uint64_t runner)
{
	for (size_t i = 0; i < WEIR_QUEUE_RUNNERS_MAX; i++) {
		if (queue->lease[i].is_used && queue->lease[i].runner == runner)
			return &queue->lease[i];
	}
	return NULL;
}

static uint32_t leases_count(const struct weir_queue *queue)
{
	uint32_t count = 0;

	for (size_t i = 0; i < WEIR_QUEUE_RUNNERS_MAX; i++)
		count += queue->lease[i].is_used;
	return count;
}

/* A place for one more, or NULL: as many run as may. */
static struct weir_queue_lease *lease_take(struct weir_queue *queue)
{
	struct weir_queue_lease *lease = NULL;

	if (leases_count(queue) >= queue->limits.running_max)
		return NULL;
	for (lease = queue->lease; lease->is_used;)
		lease++;
	return lease;
}

/* Its runner is gone: to be handed out again, at once. */
static int lease_expire(struct weir_queue *queue, struct weir_queue_time time, struct weir_queue_lease *lease,
			struct weir_store_error *error)
{
	struct weir_queue_call call;
	int code = lease->number == 0 ? -ENOENT : weir_queue_read(queue, lease->number, &call, error);

	*lease = (struct weir_queue_lease){.is_used = false};
	if (code == -ENOENT)
		return 0;
	if (code != 0)
		return code;
	if (call.state == WEIR_QUEUE_RUNNING) {
		call.state = WEIR_QUEUE_READY;
		if (call.is_cancelled || call.attempt >= WEIR_QUEUE_ATTEMPTS_MAX) {
			call.state = call.is_cancelled ? WEIR_QUEUE_CANCELLED : WEIR_QUEUE_DEAD;
			call.ended_ms = time.wall_ms;
		}
		code = weir_queue_end(queue, &call, WEIR_QUEUE_RUNNING, call.answer_bytes, error);
	}
	weir_queue_call_release(&call);
	return code;
}

size_t weir_queue_runners_start(struct weir_queue *queue, struct weir_queue_time time, uint64_t *out, size_t max)
{
	size_t count = 0;
	uint64_t coming = 0; /* runners that have no call yet */

	for (size_t i = 0; i < WEIR_QUEUE_RUNNERS_MAX; i++)
		coming += queue->lease[i].is_used && queue->lease[i].number == 0;
	for (; count < max && coming < queue->count[WEIR_QUEUE_READY]; coming++) {
		struct weir_queue_lease *const lease = lease_take(queue);

		if (lease == NULL)
			break;
		*lease = (struct weir_queue_lease){
			.is_used = true,
			.runner = weir_id_next(&queue->random).low | 1, /* 0 means something else */
			.until_ns = time.now_ns + WEIR_QUEUE_STARTING_MS * WEIR_NS_PER_MS,
		};
		out[count++] = lease->runner;
	}
	return count;
}

void weir_queue_leave(struct weir_queue *queue, uint64_t runner)
{
	struct weir_queue_lease *const lease = lease_of_runner(queue, runner);

	if (lease != NULL && lease->number == 0)
		*lease = (struct weir_queue_lease){.is_used = false};
}

/* ---- out ---- */

static int best_find(struct weir_queue *queue, int64_t *out_number, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_BEST);
	const int code = weir_queue_step(queue, statement, error);

	*out_number = code == 1 ? sqlite3_column_int64(statement, 0) : 0;
	(void)sqlite3_reset(statement);
	return code == 0 ? -ENOENT : code < 0 ? code : 0;
}

static int call_hand_out(struct weir_queue *queue, struct weir_queue_time time, int64_t number,
			 struct weir_queue_call *out_call, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_TAKE);
	int code = 0;

	(void)sqlite3_bind_int64(statement, 1, number);
	(void)sqlite3_bind_int64(statement, 2, time.wall_ms);
	code = weir_queue_run(queue, statement, error);
	return code == 0 ? weir_queue_read(queue, number, out_call, error) : code;
}

int weir_queue_take(struct weir_queue *queue, struct weir_queue_time time, uint64_t runner,
		    struct weir_queue_call *out_call, struct weir_store_error *error)
{
	struct weir_queue_lease *lease = lease_of_runner(queue, runner);
	int64_t number = 0;
	int code = 0;

	/* What was handed out to it last it has never heard of: the answer was lost on the way. */
	if (lease != NULL && lease->number != 0) {
		code = lease_expire(queue, time, lease, error);
		if (code != 0)
			return code;
		lease = NULL;
	}
	if (lease == NULL)
		lease = lease_take(queue);
	if (lease == NULL)
		return -ENOENT;
	code = best_find(queue, &number, error);
	if (code == 0)
		code = call_hand_out(queue, time, number, out_call, error);
	if (code != 0) {
		weir_queue_leave(queue, runner);
		return code;
	}
	*lease = (struct weir_queue_lease){.is_used = true,
					   .runner = runner,
					   .number = number,
					   .attempt = out_call->attempt,
					   .until_ns = time.now_ns + WEIR_QUEUE_LEASE_MS * WEIR_NS_PER_MS};
	count_move(queue, WEIR_QUEUE_READY, WEIR_QUEUE_RUNNING);
	return 0;
}

int weir_queue_renew(struct weir_queue *queue, struct weir_queue_time time, uint64_t runner, int64_t number,
		     uint32_t attempt)
{
	struct weir_queue_lease *const lease = weir_queue_lease_of(queue, number, attempt);

	if (lease == NULL || (lease->runner != 0 && lease->runner != runner))
		return -ESRCH;
	lease->runner = runner; /* that of before a crash speaks up again */
	lease->until_ns = time.now_ns + WEIR_QUEUE_LEASE_MS * WEIR_NS_PER_MS;
	return lease->is_cancelled ? -ECANCELED : 0;
}

/* ---- back ---- */

int weir_queue_end(struct weir_queue *queue, const struct weir_queue_call *call, enum weir_queue_state before,
		   uint64_t answer_bytes_before, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_END);
	int code = 0;

	(void)sqlite3_bind_int64(statement, 1, call->number);
	(void)sqlite3_bind_int(statement, 2, (int)call->state);
	(void)sqlite3_bind_int64(statement, 3, call->due_ms);
	(void)sqlite3_bind_int(statement, 4, (int)call->failed);
	(void)sqlite3_bind_int(statement, 5, call->is_cancelled);
	(void)sqlite3_bind_int64(statement, 6, call->ended_ms);
	(void)sqlite3_bind_int(statement, 7, (int)call->status);
	weir_queue_bind_text(statement, 8, call->failure);
	weir_queue_bind_text(statement, 9, call->answer_type);
	if (call->answer != NULL)
		(void)sqlite3_bind_blob64(statement, 10, call->answer_bytes == 0 ? "" : call->answer,
					  call->answer_bytes, SQLITE_STATIC);
	code = weir_queue_run(queue, statement, error);
	if (code != 0)
		return code;
	count_move(queue, before, call->state);
	queue->bytes += call->answer_bytes;
	queue->bytes -= answer_bytes_before;
	queue->is_full = queue->is_full || queue->bytes > queue->limits.bytes_max;
	return 0;
}

/* Where the call goes from here. */
static void fate_set(struct weir_queue *queue, struct weir_queue_time time, struct weir_queue_call *call)
{
	const enum weir_queue_verdict verdict = weir_queue_verdict_of(call->status, call->failure);
	const uint64_t random = weir_id_next(&queue->random).high;
	uint32_t tries = 0; /* that count for the wait */

	call->ended_ms = time.wall_ms;
	call->failed += verdict == WEIR_QUEUE_VERDICT_FAILED;
	if (verdict == WEIR_QUEUE_VERDICT_ANSWERED) {
		call->state = WEIR_QUEUE_DONE;
	} else if (call->is_cancelled) {
		call->state = WEIR_QUEUE_CANCELLED;
	} else if (verdict == WEIR_QUEUE_VERDICT_HOPELESS || call->failed > call->retries_max ||
		   call->attempt >= WEIR_QUEUE_ATTEMPTS_MAX) {
		call->state = WEIR_QUEUE_DEAD;
	} else {
		tries = verdict == WEIR_QUEUE_VERDICT_FAILED ? call->failed : call->attempt - call->failed;
		call->state = WEIR_QUEUE_DELAYED;
		call->ended_ms = 0;
		call->due_ms = time.wall_ms + weir_queue_back_off_ms(queue->limits.retry_ms, tries, random);
	}
}

/* What `end` says, in the place of what the call had. */
static void answer_put(struct weir_queue_call *call, const struct weir_queue_call *end)
{
	call->status = end->status;
	call->failure = end->failure;
	call->answer_type = end->answer_type;
	call->answer = end->answer;
	call->answer_bytes = end->answer_bytes;
}

/* Is what a run came to still wanted? Also when it comes late, as long as nobody else was sent for another: a lease
 * that expired leaves `due_ms` as it was before the run. Not when it was told already, and the answer to that lost. */
static bool awaits_end(const struct weir_queue_call *call)
{
	return call->state == WEIR_QUEUE_RUNNING ||
	       (call->state == WEIR_QUEUE_READY && call->begun_ms != 0 && call->due_ms <= call->begun_ms);
}

int weir_queue_done(struct weir_queue *queue, struct weir_queue_time time, const struct weir_queue_call *end,
		    struct weir_store_error *error)
{
	struct weir_queue_lease *const lease = weir_queue_lease_of(queue, end->number, end->attempt);
	struct weir_queue_call before;
	struct weir_queue_call call;
	int code = weir_queue_read(queue, end->number, &before, error);

	if (code == -ENOENT)
		return -ESRCH;
	if (code != 0)
		return code;
	call = before; /* texts stay before's, or are end's */
	if (before.attempt != end->attempt || !awaits_end(&before)) {
		code = -ESRCH;
	} else {
		answer_put(&call, end);
		fate_set(queue, time, &call);
		code = weir_queue_end(queue, &call, before.state, before.answer_bytes, error);
	}
	if (lease != NULL && (code == 0 || code == -ESRCH)) { /* of the runner that comes for the next, or leaves */
		lease->number = 0;
		lease->attempt = 0;
		lease->until_ns = time.now_ns + WEIR_QUEUE_STARTING_MS * WEIR_NS_PER_MS;
	}
	weir_queue_call_release(&before);
	return code;
}

/* ---- what time brings ---- */

static int due_promote(struct weir_queue *queue, struct weir_queue_time time, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_DUE);
	uint64_t changed = 0;
	int code = 0;

	(void)sqlite3_bind_int64(statement, 1, time.wall_ms);
	code = weir_queue_run(queue, statement, error);
	if (code != 0)
		return code;
	changed = (uint64_t)sqlite3_changes(queue->db);
	queue->count[WEIR_QUEUE_DELAYED] -= changed;
	queue->count[WEIR_QUEUE_READY] += changed;
	return 0;
}

int weir_queue_forget(struct weir_queue *queue, int64_t number, enum weir_queue_state state, uint64_t bytes,
		      struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_REMOVE);
	int code = 0;

	(void)sqlite3_bind_int64(statement, 1, number);
	code = weir_queue_run(queue, statement, error);
	if (code != 0)
		return code;
	queue->count[state]--;
	queue->bytes -= bytes;
	return 0;
}

/* The oldest that has ended, if it is older than that. 1 = removed, 0 = there is none, or an error. */
static int ended_trim(struct weir_queue *queue, int64_t before_ms, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_OLDEST_ENDED);
	int64_t number = 0;
	enum weir_queue_state state = WEIR_QUEUE_DONE;
	uint64_t bytes = 0;
	int code = 0;

	(void)sqlite3_bind_int64(statement, 1, before_ms);
	code = weir_queue_step(queue, statement, error);
	if (code == 1) {
		number = sqlite3_column_int64(statement, 0);
		state = (enum weir_queue_state)sqlite3_column_int(statement, 1);
		bytes = (uint64_t)sqlite3_column_int64(statement, 2);
	}
	(void)sqlite3_reset(statement);
	if (code != 1)
		return code;
	code = weir_queue_forget(queue, number, state, bytes, error);
	return code == 0 ? 1 : code;
}

static int trim(struct weir_queue *queue, struct weir_queue_time time, struct weir_store_error *error)
{
	sqlite3_stmt *const keys = weir_queue_statement(queue, WEIR_QUEUE_SQL_KEYS_TRIM);
	const int64_t before_ms = time.wall_ms - (int64_t)queue->limits.keep_s * 1000;
	int code = 0;

	(void)sqlite3_bind_int64(keys, 1, time.wall_ms - (int64_t)queue->limits.key_keep_s * 1000);
	code = weir_queue_run(queue, keys, error);
	if (code != 0)
		return code;
	for (int i = 0; code >= 0 && i < TRIM_ROWS; i++) {
		/* Down to seven eighths, so that there is room for a while. */
		queue->is_full = queue->is_full && queue->bytes > queue->limits.bytes_max / 8 * 7;
		code = ended_trim(queue, queue->is_full ? INT64_MAX : before_ms, error);
		if (code == 0)
			break;
	}
	queue->is_full = queue->is_full && code == 1;
	return code < 0 ? code : 0;
}

int weir_queue_sweep(struct weir_queue *queue, struct weir_queue_time time, struct weir_store_error *error)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < WEIR_QUEUE_RUNNERS_MAX; i++) {
		struct weir_queue_lease *const lease = &queue->lease[i];

		if (lease->is_used && lease->until_ns <= time.now_ns)
			code = lease_expire(queue, time, lease, error);
	}
	if (code == 0 && queue->count[WEIR_QUEUE_DELAYED] > 0)
		code = due_promote(queue, time, error);
	if (code == 0 && (queue->is_full || time.now_ns - queue->trimmed_ns >= trim_ns)) {
		queue->trimmed_ns = time.now_ns;
		code = trim(queue, time, error);
	}
	return code;
}
