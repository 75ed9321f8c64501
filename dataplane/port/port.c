#include "dataplane/port/port.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/fd.h"
#include "dataplane/port/port_private.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/doorbell.h"
#include "dataplane/shm/shard_board.h"

static_assert(WEIR_PORT_CALLS_MAX <= UINT8_MAX, "a pair names running calls by one byte");

void weir_port_open(struct weir_port *port, uint32_t parked_max, weir_port_wake *wake,
		    void *context)
{
	WEIR_ASSERT(parked_max >= 1 && parked_max < WEIR_PORT_CALLS_MAX);
	port->wake = wake;
	port->context = context;
	port->parked_max = parked_max;
	port->link_count = 0;
	port->pair_count = 0;
	port->cursor = 0;
	port->turn_taken = 0;
	port->recent = NULL;
	port->dirty_count = 0;
	port->service_ns = 0;
	port->refused = 0;
	port->call_count = 0;
	for (size_t i = 0; i < WEIR_PORT_CALLS_MAX; i++) {
		port->call[i].pair = NULL;
		port->call_free[i] = &port->call[WEIR_PORT_CALLS_MAX - 1 - i];
	}
}

int weir_port_link_create(int segment_fd, int board_fd, const int *event_fds,
			  size_t event_fd_count, struct weir_port_link **out_link)
{
	WEIR_CLEANUP(weir_segment_detach) struct weir_segment segment = {0};
	struct weir_port_link *link = NULL;
	int result = weir_segment_attach(segment_fd, &segment);

	if (result != 0)
		return result;
	if (segment.shard_count != event_fd_count)
		return -EBADMSG;
	link = calloc(1, sizeof(*link) + segment.shard_count * sizeof(link->pair[0]));
	if (link == NULL)
		return -ENOMEM;
	result = weir_shard_board_attach(board_fd, &link->board);
	if (result != 0) {
		free(link);
		return result;
	}
	link->segment = segment;
	segment = (struct weir_segment){0};
	link->link_id = link->segment.link_id;
	link->shard_count = link->segment.shard_count;
	for (uint32_t i = 0; i < link->shard_count; i++) {
		struct weir_port_pair *const pair = &link->pair[i];

		pair->shm = &link->segment.pair[i];
		pair->link = link;
		pair->shard = i;
		weir_ring_rx_open(&pair->rx, &pair->shm->to_worker);
		weir_ring_tx_open(&pair->tx, &pair->shm->to_shard);
		link->event_fd[i] = event_fds[i];
	}
	*out_link = link;
	return 0;
}

void weir_port_link_destroy(struct weir_port_link *link)
{
	if (link == NULL)
		return;
	weir_fd_close_all(link->event_fd, link->shard_count);
	weir_shard_board_detach(link->board);
	weir_segment_detach(&link->segment);
	free(link);
}

/* How many calls of other links are parked leaves that much less room in each link's line. */
static void lines_write_parked(struct weir_port *port)
{
	uint32_t parked = 0;

	for (uint32_t i = 0; i < port->link_count; i++)
		parked += port->link[i]->parked;
	for (uint32_t i = 0; i < port->link_count; i++) {
		struct weir_port_link *const link = port->link[i];
		struct weir_link_header *const line = link->segment.header;
		const uint32_t others = parked - link->parked;

		atomic_store_explicit(&line->parked, link->parked, memory_order_relaxed);
		atomic_store_explicit(&line->parked_max,
				      port->is_shut		   ? WEIR_LINK_PARKED_MAX_SHUT
				      : others < port->parked_max ? port->parked_max - others
								   : 0,
				      memory_order_relaxed);
	}
}

static void pairs_list(struct weir_port *port)
{
	port->pair_count = 0;
	port->cursor = 0;
	port->turn_taken = 0;
	port->recent = NULL;
	for (uint32_t i = 0; i < port->link_count; i++) {
		for (uint32_t k = 0; k < port->link[i]->shard_count; k++)
			port->pair[port->pair_count++] = &port->link[i]->pair[k];
	}
}

int weir_port_link_add(struct weir_port *port, struct weir_port_link *link)
{
	for (uint32_t i = 0; i < port->link_count; i++)
		if (port->link[i]->link_id == link->link_id)
			return -EEXIST;
	if (port->link_count == WEIR_PORT_LINKS_MAX)
		return -ENOSPC;
	port->link[port->link_count++] = link;
	pairs_list(port);
	lines_write_parked(port);
	atomic_store_explicit(&link->segment.header->service_ns, port->service_ns,
			      memory_order_relaxed);
	return 0;
}

static void link_close(struct weir_port *port, struct weir_port_link *link)
{
	link->is_closing = true;
	for (uint32_t i = 0; i < link->shard_count; i++)
		link->pair[i].backlog_count = 0; /* still QUEUED: its shard takes them back */
	for (size_t i = 0; i < WEIR_PORT_CALLS_MAX; i++) {
		struct weir_port_call *const call = &port->call[i];

		if (call->pair == NULL || call->pair->link != link)
			continue;
		call->is_cancelled = true;
		port->wake(port->context, call);
	}
}

int weir_port_link_close(struct weir_port *port, uint64_t link_id)
{
	for (uint32_t i = 0; i < port->link_count; i++) {
		if (port->link[i]->link_id == link_id) {
			link_close(port, port->link[i]);
			return 0;
		}
	}
	return -ENOENT;
}

int weir_port_link_take(struct weir_port *port, uint64_t link_id,
			struct weir_port_link **out_link)
{
	for (uint32_t i = 0; i < port->link_count; i++) {
		struct weir_port_link *const link = port->link[i];

		if (link->link_id != link_id)
			continue;
		if (!link->is_closing || link->calls != 0)
			return -EBUSY;
		weir_port_publish(
			port); /* what its calls still said; empties the dirty list too */
		port->link[i] = port->link[--port->link_count];
		pairs_list(port);
		lines_write_parked(port);
		*out_link = link;
		return 0;
	}
	return -ENOENT;
}

bool weir_port_push(struct weir_port_call *call, struct weir_message message)
{
	struct weir_port_pair *const pair = call->pair;

	message.call = call->index;
	message.sequence = call->sequence;
	if (!weir_ring_push(&pair->tx, &message, 0)) {
		call->port->refused++;
		return false;
	}
	if (!pair->is_dirty) {
		pair->is_dirty = true;
		call->port->dirty[call->port->dirty_count++] = pair;
	}
	return true;
}

void weir_port_publish(struct weir_port *port)
{
	for (uint32_t i = 0; i < port->dirty_count; i++) {
		struct weir_port_pair *const pair = port->dirty[i];

		pair->is_dirty = false;
		if (!weir_ring_publish(&pair->tx))
			continue;
		WEIR_FAULT(worker_published);
		(void)weir_shard_ring(&pair->link->board->shard[pair->shard], &pair->rung_for,
				      pair->link->event_fd[pair->shard]);
	}
	port->dirty_count = 0;
}

void weir_port_release(struct weir_port_call *call)
{
	struct weir_port *const port = call->port;
	struct weir_port_link *const link = call->pair->link;

	call->pair->running[call->index] = 0;
	call->pair = NULL;
	link->calls--;
	link->finished++;
	/* Relaxed: the answer's publication follows and orders it. */
	atomic_store_explicit(&link->segment.header->finished, link->finished,
			      memory_order_relaxed);
	port->call_count--;
	port->call_free[WEIR_PORT_CALLS_MAX - 1 - port->call_count] = call;
}

/* Try to start the call of a HEAD. 1 = *out_call is started, 0 = stale or refused. */
static int head_start(struct weir_port *port, struct weir_port_pair *pair,
		      const struct weir_message *message, struct weir_port_call **out_call)
{
	struct weir_link_call *const record = &pair->shm->call[message->call];
	struct weir_port_call *call = NULL;

	if (!weir_call_accept(record, message->sequence))
		return 0; /* its shard took it back */
	WEIR_FAULT(worker_accepted);
	call = port->call_free[WEIR_PORT_CALLS_MAX - 1 - port->call_count];
	port->call_count++;
	call->port = port;
	call->pair = pair;
	call->index = message->call;
	call->sequence = message->sequence;
	call->deadline_ns = record->deadline_ns;
	call->activation_high = record->activation_high;
	call->activation_low = record->activation_low;
	call->function_id = record->function_id;
	call->generation = record->generation;
	call->context = NULL;
	call->is_nested_open = false;
	pair->running[message->call] = (uint8_t)(1 + (call - port->call));
	pair->link->calls++;
	pair->link->accepted++;
	atomic_store_explicit(&pair->link->segment.header->accepted, pair->link->accepted,
			      memory_order_relaxed);
	if (weir_port_call_start(call, message) != 0) {
		port->refused++;
		weir_port_call_abort(
			call, WEIR_ABORT_FAILED,
			WEIR_SPAN("the request's head in shared memory is damaged"));
		return 0;
	}
	*out_call = call;
	return 1;
}

static void backlog_add(struct weir_port_pair *pair, const struct weir_message *message)
{
	pair->head[message->call] = *message;
	if (pair->is_waiting[message->call] != 0)
		return; /* keeps the place of the stale one */
	pair->is_waiting[message->call] = 1;
	pair->backlog[(pair->backlog_first + pair->backlog_count) % WEIR_PAIR_CALLS] =
		message->call;
	pair->backlog_count++;
}

/* Must it wait until nothing runs? Two shards may each have found the worker idle. */
static bool must_wait(const struct weir_port *port, const struct weir_message *message)
{
	return (message->flags & WEIR_MESSAGE_FLAG_ALONE) != 0 && port->call_count != 0;
}

static uint16_t *backlog_at(struct weir_port_pair *pair, uint16_t place)
{
	return &pair->backlog[(pair->backlog_first + place) % WEIR_PAIR_CALLS];
}

/* Bring the first that may start to the front; those before it keep their order. False: there is none. */
static bool backlog_find(const struct weir_port *port, struct weir_port_pair *pair)
{
	uint16_t place = 0;

	while (place < pair->backlog_count && must_wait(port, &pair->head[*backlog_at(pair, place)]))
		place++;
	if (place == pair->backlog_count)
		return false;
	const uint16_t index = *backlog_at(pair, place);

	for (; place > 0; place--)
		*backlog_at(pair, place) = *backlog_at(pair, (uint16_t)(place - 1));
	*backlog_at(pair, 0) = index;
	return true;
}

static struct weir_message backlog_take(struct weir_port_pair *pair)
{
	const uint16_t index = pair->backlog[pair->backlog_first];

	pair->backlog_first = (uint16_t)((pair->backlog_first + 1) % WEIR_PAIR_CALLS);
	pair->backlog_count--;
	pair->is_waiting[index] = 0;
	return pair->head[index];
}

/* DATA, CREDIT, CANCEL or CALL. What belongs to no running call came after its end and is dropped. */
static void message_deliver(struct weir_port *port, struct weir_port_pair *pair,
			    const struct weir_message *message)
{
	const uint8_t place = pair->running[message->call];
	struct weir_port_call *call = NULL;

	if (place == 0)
		return;
	call = &port->call[place - 1];
	if (call->sequence != message->sequence)
		return;
	if (!(message->kind == WEIR_MESSAGE_CALL ? weir_port_nested_take(call, message)
						  : weir_port_call_take(call, message))) {
		port->refused++;
		return;
	}
	port->wake(port->context, call);
}

static void turn_end(struct weir_port *port, struct weir_port_pair *pair)
{
	weir_ring_release(&pair->rx);
	if (port->turn_taken != 0)
		port->recent = pair;
	port->turn_taken = 0;
	port->cursor++;
	if (port->cursor == port->pair_count)
		port->cursor = 0;
}

enum turn { TURN_EMPTY, TURN_WORKED, TURN_CALL, TURN_BROKEN };

/* Go on with the turn of one pair until a call starts or the turn is over. */
static enum turn turn_take(struct weir_port *port, struct weir_port_pair *pair, bool may_start,
			   struct weir_port_call **out_call)
{
	/* A turn that started a call is gone on with: it is not empty, whatever comes now. */
	enum turn turn = port->turn_taken != 0 ? TURN_WORKED : TURN_EMPTY;
	struct weir_message message;

	while (port->turn_taken < WEIR_PORT_BATCH) {
		if (may_start && pair->backlog_count != 0 && backlog_find(port, pair)) {
			message = backlog_take(pair);
		} else {
			const int popped = weir_ring_pop(&pair->rx, &message);

			if (popped < 0)
				return TURN_BROKEN;
			if (popped == 0)
				break;
		}
		port->turn_taken++;
		turn = TURN_WORKED;
		if (message.call >= WEIR_PAIR_CALLS) {
			port->refused++;
		} else if (message.kind != WEIR_MESSAGE_HEAD) {
			message_deliver(port, pair, &message);
		} else if (!may_start || must_wait(port, &message)) {
			backlog_add(pair, &message);
		} else if (head_start(port, pair, &message, out_call) == 1) {
			return TURN_CALL;
		}
	}
	turn_end(port, pair);
	return turn;
}

int weir_port_next(struct weir_port *port, bool may_start, struct weir_port_call **out_call)
{
	if (port->call_count == WEIR_PORT_CALLS_MAX)
		may_start = false;
	for (uint32_t seen = 0; seen < port->pair_count; seen++) {
		struct weir_port_pair *const pair = port->pair[port->cursor];

		if (pair->link->is_closing) {
			turn_end(port, pair);
			continue;
		}
		switch (turn_take(port, pair, may_start, out_call)) {
		case TURN_EMPTY:
			break;
		case TURN_WORKED:
			return -EAGAIN;
		case TURN_CALL:
			return 1;
		case TURN_BROKEN:
			link_close(port, pair->link);
			return -EBADMSG;
		}
	}
	return 0;
}

bool weir_port_has_backlog(const struct weir_port *port)
{
	for (uint32_t i = 0; i < port->pair_count; i++)
		if (port->pair[i]->backlog_count != 0 && backlog_find(port, port->pair[i]))
			return true;
	return false;
}

bool weir_port_is_empty(const struct weir_port *port)
{
	for (uint32_t i = 0; i < port->pair_count; i++) {
		if (!port->pair[i]->link->is_closing && !weir_ring_is_empty(&port->pair[i]->rx))
			return false;
	}
	return true;
}

bool weir_port_is_shard_awake(const struct weir_port *port)
{
	const struct weir_port_pair *const pair = port->recent;

	return pair != NULL && weir_shard_is_awake(&pair->link->board->shard[pair->shard]);
}

size_t weir_port_bells(const struct weir_port *port, _Atomic uint32_t **out_bells)
{
	for (uint32_t i = 0; i < port->link_count; i++)
		out_bells[i] = &port->link[i]->segment.header->worker_bell;
	return port->link_count;
}

void weir_port_shut(struct weir_port *port, bool is_shut)
{
	port->is_shut = is_shut;
	lines_write_parked(port);
}

void weir_port_park(struct weir_port *port, struct weir_port_call *call)
{
	call->pair->link->parked++;
	lines_write_parked(port);
}

void weir_port_unpark(struct weir_port *port, struct weir_port_call *call)
{
	call->pair->link->parked--;
	lines_write_parked(port);
}

void weir_port_service(struct weir_port *port, uint64_t service_ns)
{
	port->service_ns = service_ns;
	for (uint32_t i = 0; i < port->link_count; i++)
		atomic_store_explicit(&port->link[i]->segment.header->service_ns, service_ns,
				      memory_order_relaxed);
}

void weir_port_out_of_memory(struct weir_port *port)
{
	for (uint32_t i = 0; i < port->link_count; i++)
		atomic_store_explicit(&port->link[i]->segment.header->out_of_memory, 1, memory_order_relaxed);
}
