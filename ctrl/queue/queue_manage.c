/* What people ask of calls. */
#include <errno.h>
#include <string.h>

#include "ctrl/queue/queue_internal.h"

int weir_queue_find(struct weir_queue *queue, struct weir_id id, struct weir_queue_call *out_call,
		    struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_FIND);
	uint8_t bytes[16];
	int code = 0;

	weir_queue_id_write(id, bytes);
	(void)sqlite3_bind_blob(statement, 1, bytes, sizeof(bytes), SQLITE_STATIC);
	code = weir_queue_step(queue, statement, error);
	if (code == 1)
		code = weir_queue_row_read(statement, out_call, error);
	else if (code == 0)
		code = -ENOENT;
	(void)sqlite3_reset(statement);
	return code;
}

int weir_queue_list(struct weir_queue *queue, enum weir_queue_state state, int64_t after, struct weir_queue_call *out,
		    size_t max, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_LIST);
	int count = 0;
	int code = 0;

	(void)sqlite3_bind_int(statement, 1, state == WEIR_QUEUE_STATES ? -1 : (int)state);
	(void)sqlite3_bind_int64(statement, 2, after);
	(void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)max);
	while ((code = weir_queue_step(queue, statement, error)) == 1) {
		code = weir_queue_row_read(statement, &out[count], error);
		if (code != 0)
			break;
		count++;
	}
	(void)sqlite3_reset(statement);
	for (int i = 0; code < 0 && i < count; i++)
		weir_queue_call_release(&out[i]);
	return code < 0 ? code : count;
}

static int cancelling_set(struct weir_queue *queue, const struct weir_queue_call *call, struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_CANCELLING);
	struct weir_queue_lease *const lease = weir_queue_lease_of(queue, call->number, call->attempt);

	(void)sqlite3_bind_int64(statement, 1, call->number);
	if (lease != NULL)
		lease->is_cancelled = true;
	return weir_queue_run(queue, statement, error);
}

int weir_queue_cancel(struct weir_queue *queue, struct weir_queue_time time, struct weir_id id,
		      enum weir_queue_state *out_state, struct weir_store_error *error)
{
	struct weir_queue_call call;
	int code = weir_queue_find(queue, id, &call, error);

	if (code != 0)
		return code;
	if (weir_queue_has_ended(call.state)) {
		code = -EALREADY;
	} else if (call.state == WEIR_QUEUE_RUNNING) {
		code = cancelling_set(queue, &call, error);
	} else {
		const enum weir_queue_state before = call.state;

		call.state = WEIR_QUEUE_CANCELLED;
		call.is_cancelled = true;
		call.ended_ms = time.wall_ms;
		code = weir_queue_end(queue, &call, before, call.answer_bytes, error);
	}
	*out_state = call.state;
	weir_queue_call_release(&call);
	return code;
}

int weir_queue_redrive(struct weir_queue *queue, struct weir_id id, struct weir_store_error *error)
{
	sqlite3_stmt *statement = NULL;
	struct weir_queue_call call;
	int code = weir_queue_find(queue, id, &call, error);

	if (code != 0)
		return code;
	if (!weir_queue_has_ended(call.state)) {
		code = -EBUSY;
	} else {
		statement = weir_queue_statement(queue, WEIR_QUEUE_SQL_REDRIVE);
		(void)sqlite3_bind_int64(statement, 1, call.number);
		code = weir_queue_run(queue, statement, error);
	}
	if (code == 0) {
		queue->count[call.state]--;
		queue->count[WEIR_QUEUE_READY]++;
		queue->bytes -= call.answer_bytes;
	}
	weir_queue_call_release(&call);
	return code;
}

int weir_queue_remove(struct weir_queue *queue, struct weir_id id, struct weir_store_error *error)
{
	struct weir_queue_call call;
	int code = weir_queue_find(queue, id, &call, error);

	if (code != 0)
		return code;
	code = weir_queue_has_ended(call.state)
		       ? weir_queue_forget(queue, call.number, call.state, call.body_bytes + call.answer_bytes, error)
		       : -EBUSY;
	weir_queue_call_release(&call);
	return code;
}

/* The number in the first row of a statement, 0 if there is none. */
static int first_get(struct weir_queue *queue, enum weir_queue_statement which, int64_t *out_number,
		     struct weir_store_error *error)
{
	sqlite3_stmt *const statement = weir_queue_statement(queue, which);
	const int code = weir_queue_step(queue, statement, error);

	*out_number = code == 1 ? sqlite3_column_int64(statement, 0) : 0;
	(void)sqlite3_reset(statement);
	return code < 0 ? code : 0;
}

int weir_queue_status_get(struct weir_queue *queue, struct weir_queue_status *out_status,
			  struct weir_store_error *error)
{
	struct weir_queue_status status = {.bytes = queue->bytes};
	int code = first_get(queue, WEIR_QUEUE_SQL_FIRST_READY, &status.oldest_ms, error);

	if (code == 0)
		code = first_get(queue, WEIR_QUEUE_SQL_FIRST_DELAYED, &status.due_ms, error);
	if (code != 0)
		return code;
	memcpy(status.count, queue->count, sizeof(status.count));
	for (size_t i = 0; i < WEIR_QUEUE_RUNNERS_MAX; i++)
		status.runners += queue->lease[i].is_used;
	*out_status = status;
	return 0;
}
