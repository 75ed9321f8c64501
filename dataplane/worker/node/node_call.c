#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/base/log.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/node/node_host.h"
#include "dataplane/worker/node/node_nested.h"
#include "dataplane/worker/variables.h"

enum { BODY_FIRST = 65536 };

static struct weir_id activation_of(const struct weir_port_call *call)
{
	return (struct weir_id){.high = call->activation_high, .low = call->activation_low};
}

/* ---- slots ---- */

struct weir_node_slot *weir_node_call_find(struct weir_host *host, uint32_t id)
{
	const uint32_t place = id & ((1U << WEIR_NODE_ID_SHIFT) - 1);
	struct weir_node_slot *const slot = &host->slot[place];

	if (place >= WEIR_PORT_CALLS_MAX || slot->call == NULL || slot->id != id)
		return NULL;
	return slot;
}

void weir_node_call_park(struct weir_node_slot *slot)
{
	if (slot->is_parked)
		return;
	slot->is_parked = true;
	weir_port_park(&slot->host->port, slot->call);
}

static void unpark(struct weir_node_slot *slot)
{
	if (!slot->is_parked)
		return;
	slot->is_parked = false;
	weir_port_unpark(&slot->host->port, slot->call);
}

/* Before the call goes back to the port. */
static struct weir_port_call *slot_empty(struct weir_node_slot *slot)
{
	struct weir_port_call *const call = slot->call;

	weir_print_end(&slot->print); /* before its answer: who has that finds the lines */
	unpark(slot);
	free(slot->bytes);
	slot->bytes = NULL;
	weir_node_nested_end(slot->nested);
	slot->nested = NULL;
	slot->call = NULL;
	slot->has_event = false;
	slot->id += 1U << WEIR_NODE_ID_SHIFT;
	return call;
}

/* ---- ends ---- */

/* Say that a call failed, at most once a second. */
static void failure_log(struct weir_host *host, const struct weir_port_call *call, struct weir_span reason)
{
	const uint64_t now_ns = weir_clock_now_ns();
	char activation[32];

	if (host->logged_ns != 0 && now_ns - host->logged_ns < WEIR_NS_PER_SECOND) {
		host->unlogged++;
		return;
	}
	weir_id_format(activation_of(call), activation);
	weir_log(WEIR_LOG_WARN, "call failed", "function=%s activation=%.32s since_last=%llu reason=%.*s",
		 host->function.name, activation, (unsigned long long)host->unlogged, (int)reason.bytes,
		 reason.data);
	host->logged_ns = now_ns;
	host->unlogged = 0;
}

void weir_node_call_fail(struct weir_node_slot *slot, enum weir_abort code, struct weir_span reason)
{
	struct weir_host *const host = slot->host;
	struct weir_port_call *const call = slot_empty(slot);

	if (reason.bytes > WEIR_PORT_CALL_REASON_BYTES_MAX) {
		reason.bytes = WEIR_PORT_CALL_REASON_BYTES_MAX;
		while (reason.bytes != 0 && ((unsigned char)reason.data[reason.bytes] & 0xc0) == 0x80)
			reason.bytes--; /* not within a character */
	}
	if (call->is_cancelled)
		code = WEIR_ABORT_CANCELLED;
	else
		failure_log(host, call, reason);
	weir_port_call_abort(call, code, reason);
}

void weir_node_call_fail_all(struct weir_host *host, struct weir_span reason)
{
	for (size_t i = 0; i < WEIR_PORT_CALLS_MAX; i++) {
		if (host->slot[i].call != NULL)
			weir_node_call_fail(&host->slot[i], WEIR_ABORT_FAILED, reason);
	}
	weir_port_publish(&host->port);
}

void weir_node_call_finish(struct weir_node_slot *slot)
{
	struct weir_host *const host = slot->host;
	struct weir_port_call *const call = slot_empty(slot);
	const bool is_refused = call->refused != 0;

	if (!weir_port_call_finish(call))
		failure_log(host, call, WEIR_SPAN("the answer is shorter than announced, or had no memory"));
	else if (is_refused)
		failure_log(host, call, WEIR_SPAN("a status or field that the function set was refused"));
}

/* ---- the answer ---- */

/* Send what there is room for. True if that was all, or nothing more can be sent. */
static bool send_some(struct weir_node_slot *slot, const uint8_t *data, size_t bytes)
{
	while (slot->bytes_sent < bytes) {
		size_t taken = 0;
		const int result = weir_port_call_append(slot->call, data + slot->bytes_sent,
							 bytes - slot->bytes_sent, &taken);

		if (result == -EAGAIN)
			return false;
		if (result != 0)
			return true; /* cancelled, or a status without a body */
		slot->bytes_sent += taken;
	}
	return true;
}

void weir_node_call_answer(struct weir_node_slot *slot, const void *data, size_t bytes)
{
	free(slot->bytes);
	slot->bytes = NULL;
	slot->bytes_sent = 0;
	if (bytes != 0 && slot->call->status != 204 && slot->call->status != 304)
		(void)weir_port_call_length(slot->call, bytes); /* nothing was sent yet */
	if (bytes == 0 || slot->call->status == 204 || slot->call->status == 304 ||
	    send_some(slot, data, bytes)) {
		weir_node_call_finish(slot);
		return;
	}
	slot->byte_count = bytes - slot->bytes_sent;
	slot->bytes = malloc(slot->byte_count);
	if (slot->bytes == NULL) {
		weir_node_call_fail(slot, WEIR_ABORT_FAILED, WEIR_SPAN("no memory for the answer"));
		return;
	}
	memcpy(slot->bytes, (const uint8_t *)data + slot->bytes_sent, slot->byte_count);
	slot->bytes_sent = 0;
	slot->state = WEIR_NODE_SENDING;
	weir_node_call_park(slot);
	weir_port_publish(&slot->host->port);
}

/* ---- the request ---- */

static bool body_reserve(struct weir_node_slot *slot, size_t more)
{
	const uint64_t length = slot->call->head->content_length;
	size_t size = slot->bytes_size == 0 ? BODY_FIRST : slot->bytes_size * 2;
	uint8_t *bytes = NULL;

	if (slot->byte_count + more <= slot->bytes_size)
		return true;
	if (slot->bytes_size == 0 && length != WEIR_HEAD_LENGTH_UNKNOWN)
		size = (size_t)length; /* the gateway has compared it with its limit */
	if (size < slot->byte_count + more)
		size = slot->byte_count + more;
	bytes = realloc(slot->bytes, size);
	if (bytes == NULL)
		return false;
	slot->bytes = bytes;
	slot->bytes_size = size;
	return true;
}

/* Take what is here of the body. 0 = all of it, -EAGAIN, -ECANCELED, -ENOMEM. */
static int body_gather(struct weir_node_slot *slot)
{
	for (;;) {
		struct weir_span piece = {0};
		const int result = weir_port_call_body_peek(slot->call, &piece);

		if (result != 1)
			return result;
		if (!body_reserve(slot, piece.bytes))
			return -ENOMEM;
		memcpy(slot->bytes + slot->byte_count, piece.data, piece.bytes);
		slot->byte_count += piece.bytes;
		weir_port_call_body_consume(slot->call, piece.bytes);
	}
}

/* Is it in the newest snapshot, and is that new enough? */
static int function_check(struct weir_host *host, const struct weir_port_call *call)
{
	struct weir_node_function *const function = &host->function;
	const struct weir_snapshot_function *row = NULL;
	const char *list[WEIR_ENVIRONMENT_VARIABLES_MAX + 1];

	if (host->snapshot.header == NULL || host->snapshot.header->generation < call->generation)
		return -EAGAIN;
	if (function->id == call->function_id && function->generation == host->snapshot.header->generation)
		return 0;
	row = weir_snapshot_function_find(&host->snapshot, call->function_id);
	if (row == NULL)
		return -ESRCH;
	if (!weir_memory_is_of_pool(&host->snapshot, row)) {
		/* It has moved to other workers: what is loaded is what the call was bound for, before. */
		if (function->id != row->id)
			return -ESRCH;
		function->generation = host->snapshot.header->generation;
		return 0;
	}
	if ((row->flags & WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT) != 0 &&
	    !weir_variables_list(host->variables, row->id, row->version, list))
		return -EAGAIN; /* they are on their way */
	function->id = row->id;
	function->version = row->version;
	function->generation = host->snapshot.header->generation;
	(void)snprintf(function->name, sizeof(function->name), "%s/%s",
		       weir_snapshot_span(&host->snapshot, row->space).data,
		       weir_snapshot_span(&host->snapshot, row->name).data);
	return 0;
}

static void gather(struct weir_node_slot *slot)
{
	const int result = slot->call->is_body_complete && slot->call->piece_count <= 1 && slot->bytes == NULL
				   ? 0 /* all of it is in one place: JavaScript copies it from there */
				   : body_gather(slot);

	if (result == -EAGAIN) {
		slot->state = WEIR_NODE_GATHERING;
		weir_node_call_park(slot);
	} else if (result != 0) {
		weir_node_call_fail(slot, WEIR_ABORT_FAILED, WEIR_SPAN("no memory for the request's body"));
	} else {
		slot->state = WEIR_NODE_RUNNING;
		unpark(slot);
		slot->host->hooks.run(slot->host, NULL, slot->call);
	}
}

static void begin(struct weir_node_slot *slot)
{
	const int result = function_check(slot->host, slot->call);

	if (result == -EAGAIN) {
		slot->state = WEIR_NODE_WAITING;
		weir_node_call_park(slot);
	} else if (result != 0) {
		weir_node_call_fail(slot, WEIR_ABORT_UNKNOWN,
				    WEIR_SPAN("the function is not in the worker's configuration"));
	} else {
		gather(slot);
	}
}

void weir_node_call_start(struct weir_host *host, struct weir_port_call *call)
{
	struct weir_node_slot *const slot = &host->slot[call - host->port.call];

	WEIR_ASSERT(slot->call == NULL);
	slot->call = call;
	slot->is_timed_out = false;
	slot->byte_count = 0;
	slot->bytes_size = 0;
	weir_print_open(&slot->print, host->function.name, activation_of(call));
	call->context = slot;
	begin(slot);
}

static void event(struct weir_node_slot *slot)
{
	if (slot->call->is_cancelled && slot->nested != NULL)
		slot->host->hooks.cancel(slot);
	if (slot->call->is_cancelled)
		weir_node_call_fail(slot, WEIR_ABORT_CANCELLED, (struct weir_span){0});
	else if (slot->state == WEIR_NODE_RUNNING && slot->nested != NULL)
		weir_node_nested_events(slot);
	else if (slot->state == WEIR_NODE_WAITING)
		begin(slot);
	else if (slot->state == WEIR_NODE_GATHERING)
		gather(slot);
	else if (slot->state == WEIR_NODE_SENDING && send_some(slot, slot->bytes, slot->byte_count))
		weir_node_call_finish(slot);
}

void weir_node_call_events(struct weir_host *host)
{
	host->has_events = false;
	for (size_t i = 0; i < WEIR_PORT_CALLS_MAX; i++) {
		struct weir_node_slot *const slot = &host->slot[i];

		if (!slot->has_event)
			continue;
		slot->has_event = false;
		if (slot->call != NULL)
			event(slot);
	}
}

void weir_node_call_print(struct weir_host *host, struct weir_node_slot *slot,
			  enum weir_runtime_stream stream, struct weir_span text)
{
	struct weir_print alone;

	if (slot != NULL) {
		weir_print_add(&slot->print, stream, text);
		return;
	}
	weir_print_open(&alone, host->function.name, (struct weir_id){0});
	weir_print_add(&alone, stream, text);
	weir_print_end(&alone);
}
