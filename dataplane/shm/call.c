#include "dataplane/shm/call.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/fault.h"

enum { STATE_BITS = 8, STATE_MASK = (1 << STATE_BITS) - 1 };

static uint64_t word_of(uint64_t sequence, enum weir_call_state state)
{
	return sequence << STATE_BITS | (uint64_t)state;
}

void weir_call_queue(struct weir_link_call *call, uint64_t sequence)
{
	WEIR_DEBUG_ASSERT(sequence != 0 && sequence >> (64 - STATE_BITS) == 0);
	/* ORDER call_queue release: the record's fields are written before the worker may accept. */
	atomic_store_explicit(&call->state, word_of(sequence, WEIR_CALL_QUEUED), memory_order_release);
}

bool weir_call_accept(struct weir_link_call *call, uint64_t sequence)
{
	uint64_t expected = word_of(sequence, WEIR_CALL_QUEUED);
	bool accepted = false;

	WEIR_FAULT(call_accept_before);
	/* ORDER call_queue acquire: the fields of the call that we now run. */
	accepted = atomic_compare_exchange_strong_explicit(&call->state, &expected,
							   word_of(sequence, WEIR_CALL_RUNNING),
							   memory_order_acquire, memory_order_relaxed);
	WEIR_FAULT(call_accept_after);
	return accepted;
}

bool weir_call_recall(struct weir_link_call *call, uint64_t sequence)
{
	uint64_t expected = word_of(sequence, WEIR_CALL_QUEUED);

	/* Relaxed: success means that the worker wrote nothing that we could have to see. */
	return atomic_compare_exchange_strong_explicit(&call->state, &expected,
						       word_of(sequence, WEIR_CALL_RECALLED),
						       memory_order_relaxed, memory_order_relaxed);
}

void weir_call_release(struct weir_link_call *call, uint64_t sequence)
{
	/* Relaxed: nobody acts on FREE but the shard itself; what the worker wrote came by the ring. */
	atomic_store_explicit(&call->state, word_of(sequence, WEIR_CALL_FREE), memory_order_relaxed);
}

enum weir_call_state weir_call_peek(const struct weir_link_call *call, uint64_t *out_sequence)
{
	const uint64_t word = atomic_load_explicit(&call->state, memory_order_relaxed);

	*out_sequence = word >> STATE_BITS;
	return (enum weir_call_state)(word & STATE_MASK);
}
