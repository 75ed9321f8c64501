#include "dataplane/gateway/activation.h"

#include "dataplane/gateway/nested.h"
#include "dataplane/shm/load.h"

static_assert((int)WEIR_ACTIVATION_UNIT_SHIFT == (int)WEIR_MESSAGE_RUN_SHIFT, "units of run are the same");

void weir_activation_usage(struct weir_shard *shard, struct weir_shard_link *link)
{
	struct weir_link_usage *usage = &link->usage;
	const struct weir_load_slot *slot;

	usage->at_ns = shard->now_ns;
	usage->finished = atomic_load_explicit(&link->header->finished, memory_order_relaxed);
	usage->is_known = false;
	if (!shard->load || link->load_slot < 0)
		return;
	slot = &shard->load->slot[link->load_slot];
	if (atomic_load_explicit(&slot->source, memory_order_relaxed) != WEIR_LOAD_SOURCE_PROBES ||
	    atomic_load_explicit(&slot->worker_id, memory_order_relaxed) != link->worker_id)
		return;
	usage->on_cpu_ns = weir_load_on_cpu_ns(
		atomic_load_explicit(&slot->probe[WEIR_LOAD_ON_CPU_NS], memory_order_relaxed), slot->epoch_ns,
		shard->now_ns);
	usage->is_known = true;
}

/* The time that a worker had it, in two parts. What the worker says of its own is believed up to all of it. */
static void fill_run(const struct weir_exchange_stages *stages, uint64_t now_ns, struct weir_activation *record)
{
	const uint64_t returned_ns = stages->returned_ns != 0 ? stages->returned_ns : now_ns;
	const uint64_t had_ns = returned_ns - stages->bound_ns;
	const bool is_told = stages->returned_ns != 0 && stages->run_units != UINT32_MAX;
	const uint64_t told_ns = is_told ? weir_activation_ns(stages->run_units) : had_ns;

	record->queue_units = weir_activation_units(stages->bound_ns - stages->arrived_ns);
	record->run_ns = told_ns < had_ns ? told_ns : had_ns;
	record->dispatch_units = weir_activation_units(had_ns - record->run_ns);
	record->reply_units = weir_activation_units(now_ns - returned_ns);
}

bool weir_activation_is_whole(const struct weir_exchange *exchange)
{
	if (exchange->failure != WEIR_HTTP_OK)
		return true; /* Weir's own answer is one piece */
	return exchange->answer_ended && exchange->piece_count == 0 && !exchange->stages.is_cut &&
	       (exchange->framing != WEIR_FRAMING_LENGTH || exchange->answer_left == 0);
}

static uint8_t flags_of(const struct weir_exchange *exchange, bool is_whole)
{
	return (uint8_t)((exchange->cold_since_ns != 0 ? WEIR_ACTIVATION_COLD : 0) |
			 (exchange->connection->special & WEIR_CONNECTION_NESTED ? WEIR_ACTIVATION_NESTED : 0) |
			 (is_whole ? 0 : WEIR_ACTIVATION_CUT) |
			 (exchange->stages.is_cpu_known ? WEIR_ACTIVATION_CPU_KNOWN : 0));
}

void weir_activation_leave(struct weir_shard *shard, const struct weir_exchange *exchange, bool is_whole)
{
	const struct weir_exchange_stages *stages = &exchange->stages;
	struct weir_activation *record;

	if (stages->arrived_ns == 0)
		return;
	record = weir_activation_put(&shard->activations);
	if (!record)
		return;
	*record = (struct weir_activation){
		.id_high = exchange->activation.high,
		.id_low = exchange->activation.low,
		.function_id = exchange->function_id,
		.route_id = stages->route_id,
		.worker_id = stages->worker_id,
		.arrived_ns = stages->arrived_ns,
		.total_ns = shard->now_ns - stages->arrived_ns + weir_activation_ns(stages->parse_units),
		.answer_bytes = stages->answer_bytes,
		.request_bytes = stages->request_bytes,
		.parse_units = stages->parse_units,
		.cpu_units = stages->cpu_units,
		.version = stages->version,
		.status = stages->status,
		.failure = exchange->failure,
		.flags = flags_of(exchange, is_whole),
	};
	if (record->flags & WEIR_ACTIVATION_NESTED) {
		record->parent_high = weir_nested_of(exchange->connection)->parent.high;
		record->parent_low = weir_nested_of(exchange->connection)->parent.low;
		record->caller_id = weir_nested_of(exchange->connection)->caller_id;
	}
	if (stages->bound_ns == 0)
		record->queue_units = weir_activation_units(shard->now_ns - stages->arrived_ns);
	else
		fill_run(stages, shard->now_ns, record);
}

void weir_activation_dropped(struct weir_shard *shard, struct weir_nested *nested)
{
	struct weir_activation *record = weir_activation_put(&shard->activations);

	if (!record)
		return;
	*record = (struct weir_activation){
		.id_high = nested->exchange.activation.high,
		.id_low = nested->exchange.activation.low,
		.parent_high = nested->parent.high,
		.parent_low = nested->parent.low,
		.function_id = nested->function_id,
		.caller_id = nested->caller_id,
		.arrived_ns = shard->now_ns,
		.request_bytes = nested->body_bytes,
		.flags = WEIR_ACTIVATION_NESTED | WEIR_ACTIVATION_CUT,
	};
}
