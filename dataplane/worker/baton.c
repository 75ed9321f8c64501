#include "dataplane/worker/baton.h"

#include "dataplane/base/clock.h"
#include "dataplane/shm/doorbell.h"

void weir_baton_give(struct weir_baton *baton)
{
	/* ORDER worker_baton seq_cst: publishes what was done under the baton, before the look at the
	 * thread's bell in the one order of all seq_cst operations. */
	atomic_store_explicit(&baton->is_mine, true, memory_order_seq_cst);
	(void)weir_bell_ring(&baton->bell); /* false: it did not sleep yet and sees the baton */
}

bool weir_baton_wait(struct weir_baton *baton, uint64_t until_ns)
{
	for (;;) {
		_Atomic uint32_t *const bell = &baton->bell;
		uint64_t timeout_ns = 0;

		weir_bell_announce(bell);
		/* ORDER worker_baton seq_cst: after the announcement; sees what its last holder did. */
		if (atomic_load_explicit(&baton->is_mine, memory_order_seq_cst))
			break;
		if (until_ns != WEIR_BATON_FOREVER) {
			const uint64_t now_ns = weir_clock_now_ns();

			if (now_ns >= until_ns)
				return false;
			timeout_ns = until_ns - now_ns;
		}
		(void)weir_bell_wait(&bell, 1, timeout_ns); /* whatever ended it: look again */
	}
	weir_bell_cancel(&baton->bell);
	atomic_store_explicit(&baton->is_mine, false, memory_order_relaxed);
	return true;
}
