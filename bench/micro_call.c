/* A whole call without HTTP, both sides on one thread: what it costs in instructions and warm cache. */
#include <stdbool.h>
#include <stddef.h>

#include "bench/handoff.h"
#include "bench/micro.h"

enum { ROUNDS = 16 };

static void call_open(uint32_t batch)
{
	static bool is_open;

	(void)batch;
	if (is_open)
		return;
	weir_handoff_open();
	weir_handoff_gateway_begin();
	weir_handoff_worker_begin();
	is_open = true;
}

static void call_pass(uint32_t batch)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		weir_handoff_submit(batch);
		do {
			(void)weir_handoff_serve();
		} while (!weir_handoff_poll());
	}
}

const struct weir_micro weir_micro_call[] = {
	{"call-1", "whole call: bind, worker's side, answer taken; one at a time", call_open,
	 call_pass, 1, ROUNDS},
	{"call-16", "the same, 16 a batch", call_open, call_pass, 16, 16 * ROUNDS},
	{0},
};
