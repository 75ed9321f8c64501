#include "dataplane/gateway/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/answer.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/nested.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/scores.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/doorbell.h"

enum {
	STALL_MS = 5,          /* a worker whose head does not move for this long loses its queue */
	CHECK_MS = 20,         /* how often running calls are checked against their kill time */
	TRIM_IDLE_MS = 10000,  /* chunks of an idle pair go back to the kernel after this */
	ANSWERS_SOON_LINKS = 8, /* looked at before a sleep */
	ANSWERS_SOON_NS = 20000, /* the running time of functions that are worth waiting for awake */
	MESSAGES_PER_TURN = 512, /* taken from one link before the others get their turn */
};

struct weir_shard_link *weir_link_create(struct weir_segment *segment, uint32_t shard_index,
					 uint64_t pool_key, int event_fd)
{
	struct weir_shard_link *link = weir_shard_allocate(sizeof(*link));

	if (!link)
		return NULL;
	WEIR_ASSERT(shard_index < segment->shard_count);
	link->header = segment->header;
	link->pair = &segment->pair[shard_index];
	link->link_id = segment->link_id;
	link->worker_id = segment->worker_id;
	link->pool_key = pool_key;
	link->event_fd = event_fd;
	weir_ring_tx_open(&link->to_worker, &link->pair->to_worker);
	weir_ring_rx_open(&link->from_worker, &link->pair->to_shard);
	weir_chunk_arena_open(&link->arena);
	for (uint32_t i = 0; i < WEIR_PAIR_CALLS; i++)
		link->free_call[i] = (uint16_t)(WEIR_PAIR_CALLS - 1 - i);
	link->free_call_count = WEIR_PAIR_CALLS;
	return link;
}

static void poll_arm(struct weir_shard *shard, struct weir_shard_link *link)
{
	struct io_uring_sqe *sqe = weir_shard_sqe(shard);

	/* Multishot and never read: each write to the eventfd is one completion. */
	io_uring_prep_poll_multishot(sqe, link->event_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_LINK, link->slot));
	link->polling = true;
}

bool weir_link_open(struct weir_shard *shard, struct weir_shard_link *link)
{
	struct weir_shard_pool *pool = weir_dispatch_pool(shard, link->pool_key);
	uint32_t slot = 0;

	if (!pool || pool->link_count == WEIR_GATEWAY_POOL_LINKS_MAX)
		return false;
	while (slot < WEIR_GATEWAY_LINKS_MAX && shard->link[slot])
		slot++;
	if (slot == WEIR_GATEWAY_LINKS_MAX)
		return false;
	link->slot = slot;
	link->pool = pool;
	shard->link[slot] = link;
	weir_pick_enter(pool, link);
	weir_scores_enter(shard, link);
	link->opened = true;
	poll_arm(shard, link);
	weir_shard_count(shard, WEIR_METRIC_links, 1);
	return true;
}

static void leave_pool(struct weir_shard *shard, struct weir_shard_link *link)
{
	weir_scores_leave(shard, link);
	if (link->pool)
		weir_pick_leave(link->pool, link);
	link->pool = NULL;
}

/* Let go of a link that is dead or drained, once nothing of ours can touch it any more. */
static void release_if_done(struct weir_shard *shard, struct weir_shard_link *link)
{
	struct io_uring_sqe *sqe;

	if (!(link->dead || link->draining) || link->in_flight > 0 || link->gone)
		return;
	leave_pool(shard, link);
	link->gone = true;
	weir_timer_disarm(&shard->wheel, &link->timer);
	if (!link->polling) {
		weir_link_poll_ended(shard, link);
		return;
	}
	sqe = weir_shard_sqe(shard);
	io_uring_prep_cancel64(sqe, weir_shard_data(WEIR_OPERATION_LINK, link->slot), 0);
	io_uring_sqe_set_data64(sqe, weir_shard_data(WEIR_OPERATION_IGNORE, 0));
}

void weir_link_poll_ended(struct weir_shard *shard, struct weir_shard_link *link)
{
	link->polling = false;
	if (!link->gone) {
		poll_arm(shard, link);
		return;
	}
	if (link->active || link->dirty) { /* still on a list of this turn: finish in the next */
		link->gone_pending = true;
		return;
	}
	shard->link[link->slot] = NULL;
	weir_shard_count(shard, WEIR_METRIC_links, -1);
	weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_LINK_GONE, .object = link});
}

void weir_link_drain(struct weir_shard *shard, struct weir_shard_link *link)
{
	link->draining = true;
	if (link->opened)
		release_if_done(shard, link);
}

void weir_link_condemn(struct weir_shard *shard, struct weir_shard_link *link, const char *reason,
		       uint64_t function_id)
{
	if (link->condemned || link->dead)
		return;
	link->condemned = true;
	weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_KILL,
						     .object = link,
						     .value = function_id,
						     .text = reason});
}

static void chunk_metrics(struct weir_shard *shard, const struct weir_shard_link *link,
			  uint16_t small_before, uint16_t large_before)
{
	if (link->arena.used_small != small_before)
		weir_shard_count(shard, WEIR_METRIC_chunks_small, link->arena.used_small - small_before);
	if (link->arena.used_large != large_before)
		weir_shard_count(shard, WEIR_METRIC_chunks_large, link->arena.used_large - large_before);
}

uint32_t weir_link_chunk_take(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call,
			      size_t bytes_min)
{
	const uint16_t small = link->arena.used_small, large = link->arena.used_large;
	const uint32_t chunk = weir_chunk_take(&link->arena, call, bytes_min);

	chunk_metrics(shard, link, small, large);
	if (chunk == WEIR_CHUNK_NONE)
		return chunk;
	/* An earlier call may have ended with it in the worker's hands. */
	link->lent[chunk / 64] &= ~(UINT64_C(1) << (chunk % 64));
	if (chunk >= WEIR_PAIR_CHUNKS_SMALL)
		link->touched_large = true;
	return chunk;
}

void weir_link_chunk_give(struct weir_shard *shard, struct weir_shard_link *link, uint16_t call,
			  uint32_t chunk)
{
	const uint16_t small = link->arena.used_small, large = link->arena.used_large;

	WEIR_ASSERT(weir_chunk_give(&link->arena, call, chunk));
	chunk_metrics(shard, link, small, large);
	shard->has_food |= link->starved;
}

void weir_link_chunk_lend(struct weir_shard_link *link, uint32_t chunk)
{
	link->lent[chunk / 64] |= UINT64_C(1) << (chunk % 64);
}

bool weir_link_chunk_return(struct weir_shard_link *link, uint16_t call, uint32_t chunk)
{
	if (!weir_chunk_is_held(&link->arena, call, chunk))
		return false;
	if (!(link->lent[chunk / 64] >> (chunk % 64) & 1))
		return false;
	link->lent[chunk / 64] &= ~(UINT64_C(1) << (chunk % 64));
	return true;
}

int weir_link_call_take(struct weir_shard *shard, struct weir_shard_link *link,
			struct weir_exchange *exchange)
{
	uint16_t index;
	struct weir_shard_call *call;

	if (link->free_call_count == 0)
		return -1;
	index = link->free_call[--link->free_call_count];
	call = &link->call[index];
	WEIR_DEBUG_ASSERT(call->sequence == 0);
	*call = (struct weir_shard_call){.sequence = ++link->sequence,
					 .exchange = exchange,
					 .deadline_ns = exchange->deadline_ns,
					 .function_id = exchange->function_id};
	link->in_flight++;
	weir_shard_count(shard, WEIR_METRIC_calls_in_flight, 1);
	if (!link->active) {
		link->active = true;
		link->next_active = shard->active_first;
		shard->active_first = link;
	}
	return index;
}

void weir_link_call_settle(struct weir_shard *shard, struct weir_shard_link *link, uint16_t index)
{
	struct weir_shard_call *call = &link->call[index];
	const uint16_t small = link->arena.used_small, large = link->arena.used_large;

	if (!call->finished || call->operations > 0 || call->exchange || call->sequence == 0)
		return;
	(void)weir_chunk_give_all(&link->arena, index); /* however many it still held */
	chunk_metrics(shard, link, small, large);
	shard->has_food |= link->starved;
	weir_call_release(&link->pair->call[index], call->sequence);
	call->sequence = 0;
	if (call->has_room)
		weir_room_give(shard, link, index);
	if (call->overdue)
		(void)atomic_fetch_sub_explicit(&link->room->overdue, 1, memory_order_relaxed);
	link->free_call[link->free_call_count++] = index;
	link->in_flight--;
	weir_pick_finished(link);
	weir_shard_count(shard, WEIR_METRIC_calls_in_flight, -1);
	if (link->in_flight == 0) {
		link->idle_since_ns = shard->now_ns;
		if (link->touched_large)
			weir_timer_arm(&shard->wheel, &link->timer,
				       shard->now_ns + TRIM_IDLE_MS * WEIR_NS_PER_MS);
		release_if_done(shard, link);
	}
}

static bool try_recall(struct weir_shard *shard, struct weir_shard_link *link, uint16_t index)
{
	struct weir_shard_call *call = &link->call[index];

	if (call->finished || call->started ||
	    !weir_call_recall(&link->pair->call[index], call->sequence))
		return false;
	call->finished = true;
	link->queued--;
	weir_shard_count(shard, WEIR_METRIC_calls_recalled, 1);
	return true;
}

/* An exclusive call ended or lost its worker: others may use the link again. */
static void leave_exclusive(struct weir_shard_link *link, struct weir_exchange *exchange)
{
	if (link->exclusive == exchange)
		link->exclusive = NULL;
}

/* Bind nothing to the link until its worker's counts, or what it has read of its ring, differ from
 * what they are now. */
static void stall(struct weir_shard_link *link)
{
	link->watched_accepted = atomic_load_explicit(&link->header->accepted, memory_order_relaxed);
	link->watched_finished = atomic_load_explicit(&link->header->finished, memory_order_relaxed);
	link->watched_head = atomic_load_explicit(&link->to_worker.shm->head, memory_order_relaxed);
	link->stalled = true;
}

/* A call that should be over. Until the worker gave it back nothing else is started there: it may have to be killed. */
static void mark_overdue(struct weir_shard_link *link, struct weir_shard_call *call)
{
	if (call->overdue)
		return;
	call->overdue = true;
	(void)atomic_fetch_add_explicit(&link->room->overdue, 1, memory_order_relaxed);
}

void weir_link_call_abandon(struct weir_shard *shard, struct weir_exchange *exchange)
{
	struct weir_shard_link *link = exchange->link;
	const uint16_t index = exchange->call;
	struct weir_shard_call *call;

	if (!link)
		return;
	call = &link->call[index];
	WEIR_ASSERT(call->exchange == exchange);
	if (call->nested > 0)
		weir_nested_parent_ended(shard, link, index, false);
	call->exchange = NULL;
	exchange->link = NULL;
	exchange->piece_count = 0;
	if (!call->finished && try_recall(shard, link, index))
		weir_activation_unbound(exchange);
	if (call->finished) {
		leave_exclusive(link, exchange);
		weir_link_call_settle(shard, link, index);
		return;
	}
	/* A suspect that was abandoned may hang: its worker stays closed to others until it ends. */
	if (link->exclusive == exchange)
		stall(link);
	leave_exclusive(link, exchange);
	if (shard->now_ns >= call->deadline_ns)
		mark_overdue(link, call);
	weir_shard_count(shard, WEIR_METRIC_calls_cancelled, 1);
	(void)weir_link_push(shard, link, /* a full ring condemns the link inside */
			     &(struct weir_message){.kind = WEIR_MESSAGE_CANCEL,
						    .call = index,
						    .sequence = call->sequence,
						    .chunk = WEIR_CHUNK_NONE,
						    .grant = WEIR_CHUNK_NONE},
			     0);
	weir_timer_arm(&shard->wheel, &link->timer, shard->now_ns + CHECK_MS * WEIR_NS_PER_MS);
}

bool weir_link_push(struct weir_shard *shard, struct weir_shard_link *link,
		    struct weir_message *message, uint32_t keep_free)
{
	if (!weir_ring_push(&link->to_worker, message, keep_free)) {
		if (keep_free == 0)
			weir_link_condemn(shard, link, "its ring is full of messages it owes", 0);
		return false;
	}
	if (!link->dirty) {
		link->dirty = true;
		link->pushed_ns = shard->now_ns;
		shard->dirty[shard->dirty_count++] = link;
	}
	return true;
}

/* Take messages of one link. */
static void poll_link(struct weir_shard *shard, struct weir_shard_link *link)
{
	struct weir_message message;
	uint32_t count = 0;
	int result = 0;

	while (count < MESSAGES_PER_TURN && (result = weir_ring_pop(&link->from_worker, &message)) == 1) {
		count++;
		if (!link->dead && !link->condemned && !weir_answer_message(shard, link, &message)) {
			weir_shard_count(shard, WEIR_METRIC_workers_lied, 1);
			weir_link_condemn(shard, link, "it sent a malformed message", 0);
		}
	}
	if (result == -EBADMSG && !link->condemned) {
		weir_shard_count(shard, WEIR_METRIC_workers_lied, 1);
		weir_link_condemn(shard, link, "its ring index is out of range", 0);
	}
	if (count > 0) {
		link->messages += count;
		link->stalled = false;
		weir_ring_release(&link->from_worker);
	}
	if (link->starved)
		weir_answer_feed(shard, link);
}

void weir_link_poll_all(struct weir_shard *shard)
{
	struct weir_shard_link **place = &shard->active_first;

	shard->has_food = false;
	while (*place) {
		struct weir_shard_link *link = *place;

		poll_link(shard, link);
		if (link->in_flight > 0) {
			place = &link->next_active;
			continue;
		}
		*place = link->next_active;
		link->active = false;
		if (link->gone_pending && !link->dirty)
			weir_link_poll_ended(shard, link);
	}
}

bool weir_link_any_waiting(struct weir_shard *shard)
{
	for (struct weir_shard_link *link = shard->active_first; link; link = link->next_active) {
		if (!link->condemned && !weir_ring_is_empty(&link->from_worker))
			return true;
	}
	return false;
}

bool weir_link_answers_soon(const struct weir_shard *shard)
{
	const struct weir_shard_link *link = shard->active_first;

	/* A few will do: what is bound in one turn goes to few workers. */
	for (uint32_t i = 0; link && i < ANSWERS_SOON_LINKS; i++, link = link->next_active) {
		const uint64_t service_ns =
			atomic_load_explicit(&link->header->service_ns, memory_order_relaxed);

		if (link->in_flight > 0 && !link->condemned && service_ns != 0 &&
		    service_ns <= ANSWERS_SOON_NS &&
		    shard->now_ns - link->pushed_ns <= WEIR_LINGER_NS)
			return true;
	}
	return false;
}

void weir_link_publish_all(struct weir_shard *shard)
{
	for (uint32_t i = 0; i < shard->dirty_count; i++) {
		struct weir_shard_link *link = shard->dirty[i];

		link->dirty = false;
		if (link->gone_pending && !link->active) {
			weir_link_poll_ended(shard, link);
			continue;
		}
		if (!weir_ring_publish(&link->to_worker) || link->dead)
			continue;
		if (weir_bell_ring(&link->header->worker_bell))
			weir_shard_count(shard, WEIR_METRIC_wakes_sent, 1);
	}
	shard->dirty_count = 0;
}

/* Take back everything that the worker did not start and put it in front of the queue. */
static void recall_queued(struct weir_shard *shard, struct weir_shard_link *link)
{
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS && link->queued > 0; i++) {
		struct weir_exchange *exchange = link->call[i].exchange;

		if (link->call[i].sequence == 0 || !exchange || !try_recall(shard, link, i))
			continue;
		weir_dispatch_again(shard, exchange);
	}
}

void weir_link_died(struct weir_shard *shard, struct weir_shard_link *link, bool out_of_memory)
{
	if (link->dead || link->gone || !link->opened)
		return;
	poll_link(shard, link); /* what it answered before it died still counts */
	link->dead = true;
	weir_shard_count(shard, WEIR_METRIC_workers_died, 1);
	recall_queued(shard, link);
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS; i++) {
		struct weir_shard_call *call = &link->call[i];
		struct weir_exchange *exchange = call->exchange;

		if (call->sequence == 0 || call->finished)
			continue;
		if (call->nested > 0)
			weir_nested_parent_ended(shard, link, i, false);
		if (!call->started)
			link->queued--;
		call->finished = true;
		if (exchange) {
			weir_dispatch_suspect(shard, exchange);
			weir_exchange_fail(shard, exchange,
					   out_of_memory ? WEIR_HTTP_OUT_OF_MEMORY : WEIR_HTTP_WORKER_DIED,
					   (struct weir_span){0});
		}
		weir_link_call_settle(shard, link, i);
	}
	release_if_done(shard, link);
}

/* Kill the worker of a call that nobody waits for and that does not come back. */
static void check_overdue(struct weir_shard *shard, struct weir_shard_link *link)
{
	const uint64_t grace_ns =
		shard->config ? shard->config->settings->kill_grace_ms * WEIR_NS_PER_MS : 0;

	for (uint16_t i = 0; i < WEIR_PAIR_CALLS; i++) {
		struct weir_shard_call *call = &link->call[i];

		if (call->sequence == 0 || call->finished || shard->now_ns < call->deadline_ns)
			continue;
		if (call->exchange == NULL)
			mark_overdue(link, call); /* its client left before the deadline */
		if (shard->now_ns < call->deadline_ns + grace_ns)
			continue;
		weir_link_condemn(shard, link, "a call ran past its deadline", call->function_id);
		return;
	}
}

/* Give the large chunks of a pair that was idle for a while back to the kernel. */
static void trim_idle(struct weir_shard *shard, struct weir_shard_link *link)
{
	const uint64_t due_ns = link->idle_since_ns + TRIM_IDLE_MS * WEIR_NS_PER_MS;

	if (!link->touched_large)
		return;
	if (shard->now_ns < due_ns) {
		weir_timer_arm(&shard->wheel, &link->timer, due_ns);
		return;
	}
	link->touched_large = false; /* advice: failing leaves the pages in use */
	(void)madvise(link->pair->large, sizeof(link->pair->large), MADV_REMOVE);
}

bool weir_link_is_at_rest(const struct weir_shard_link *link)
{
	const uint64_t accepted = atomic_load_explicit(&link->header->accepted, memory_order_relaxed);
	const uint64_t finished = atomic_load_explicit(&link->header->finished, memory_order_relaxed);
	const uint32_t parked = atomic_load_explicit(&link->header->parked, memory_order_relaxed);
	uint64_t sequence;

	/* What it has not read may have been recalled; that it does not read is the trouble. */
	if (accepted - finished != parked ||
	    atomic_load_explicit(&link->to_worker.shm->head, memory_order_relaxed) != link->to_worker.tail)
		return false;
	for (uint16_t i = 0; i < WEIR_PAIR_CALLS; i++) {
		const struct weir_shard_call *call = &link->call[i];

		if (call->sequence != 0 && !call->finished && !call->started &&
		    weir_call_peek(&link->pair->call[i], &sequence) == WEIR_CALL_QUEUED)
			return false;
	}
	return true;
}

void weir_link_timer(struct weir_shard *shard, struct weir_shard_link *link)
{
	const uint64_t accepted = atomic_load_explicit(&link->header->accepted, memory_order_relaxed);
	const uint64_t finished = atomic_load_explicit(&link->header->finished, memory_order_relaxed);

	if (link->dead)
		return;
	if (link->in_flight == 0) {
		trim_idle(shard, link);
		return;
	}
	if (link->queued > 0 && link->messages == link->watched_messages &&
	    accepted == link->watched_accepted && finished == link->watched_finished &&
	    !weir_link_is_at_rest(link)) {
		stall(link);
		recall_queued(shard, link);
	}
	link->watched_messages = link->messages;
	link->watched_accepted = accepted;
	link->watched_finished = finished;
	check_overdue(shard, link);
	if (link->in_flight > 0)
		weir_timer_arm(&shard->wheel, &link->timer,
			       shard->now_ns +
				       (link->queued > 0 ? STALL_MS : CHECK_MS) * WEIR_NS_PER_MS);
}
