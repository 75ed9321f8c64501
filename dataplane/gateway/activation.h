/* activation: notes what becomes of each call while it goes through the gateway, and leaves a record of it
 * (abi/activation.h) for ctrld when its exchange ends.
 *
 *   routed --begin--> handed to a worker --bound--> its last message --returned--> exchange ends --leave--> ring
 *
 * Costs no look at a clock: the turn's time serves. A full ring loses records, which are counted; nobody waits.
 * Requests that never named a function (no route, not HTTP) leave none. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_ACTIVATION_H
#define WEIR_DATAPLANE_GATEWAY_ACTIVATION_H

#include "dataplane/gateway/shard.h"
#include "dataplane/shm/activation.h"

/* What the worker has used and finished so far, as of this turn. */
void weir_activation_usage(struct weir_shard *shard, struct weir_shard_link *link);

/* The request is whole, and for this function; `waited_ns` went by since its first byte. */
static inline void weir_activation_begin(const struct weir_shard *shard, struct weir_exchange *exchange,
					 const struct weir_snapshot_function *function, uint64_t waited_ns)
{
	exchange->stages.arrived_ns = shard->now_ns;
	exchange->stages.parse_units = weir_activation_units(waited_ns);
	exchange->stages.version = (uint32_t)function->version;
}

/* It goes to this worker. */
static inline void weir_activation_bound(struct weir_shard *shard, struct weir_shard_link *link,
					 struct weir_exchange *exchange)
{
	struct weir_exchange_stages *stages = &exchange->stages;

	if (link->usage.at_ns != shard->now_ns)
		weir_activation_usage(shard, link);
	stages->bound_ns = shard->now_ns;
	stages->returned_ns = 0;
	stages->worker_id = link->worker_id;
	stages->usage = link->usage;
}

/* The worker's last message about it came. */
static inline void weir_activation_returned(struct weir_shard *shard, struct weir_shard_link *link,
					    struct weir_exchange *exchange, const struct weir_message *message)
{
	struct weir_exchange_stages *stages = &exchange->stages;
	uint64_t finished, used_ns;

	if (link->usage.at_ns != shard->now_ns)
		weir_activation_usage(shard, link);
	finished = link->usage.finished - stages->usage.finished;
	/* Samples are of the begin of turns, and time that was stolen leaves them late: it may seem to go back. */
	used_ns = link->usage.on_cpu_ns > stages->usage.on_cpu_ns ? link->usage.on_cpu_ns - stages->usage.on_cpu_ns : 0;
	stages->returned_ns = shard->now_ns;
	stages->run_units = message->grant;
	stages->is_cpu_known = link->usage.is_known && stages->usage.is_known;
	stages->cpu_units = stages->is_cpu_known ? weir_activation_units(used_ns / (finished > 1 ? finished : 1)) : 0;
}

/* More of a body whose length was not announced. */
static inline void weir_activation_received(struct weir_exchange *exchange, size_t bytes)
{
	const uint64_t sum = (uint64_t)exchange->stages.request_bytes + bytes;

	exchange->stages.request_bytes = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* It is taken back before it began. */
static inline void weir_activation_unbound(struct weir_exchange *exchange)
{
	exchange->stages.bound_ns = 0;
	exchange->stages.worker_id = 0;
}

/* Does its answer end as it should? Asked before its call is given up. */
bool weir_activation_is_whole(const struct weir_exchange *exchange);


/* Its exchange ends: write the record. */
void weir_activation_leave(struct weir_shard *shard, const struct weir_exchange *exchange, bool is_whole);

/* A one-way call that was accepted will never run. */
void weir_activation_dropped(struct weir_shard *shard, struct weir_nested *nested);

#endif
