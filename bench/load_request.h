/* load_request: the bytes that the generator sends, built once before the first is sent.
 *
 *   heads   | path 0 | path 1 | ... | path N-1 | path 0 | ... |     a batch is one run of them,
 *             each a whole request without body                     and does not wrap around
 *   body    | pseudo-random bytes, body_bytes + BODY_SHIFTS * 64 |  one request's body is a window
 *             ^ shift 0      ^ shift 1 ...                          of it, the next begins elsewhere
 *
 * With --paths N the "%u" in the path is one of 0 .. N-1, in an order that no cache can guess from
 * the table that a server made of them: each batch begins PATH_STEP after the one before. Bodies of
 * successive requests differ, so that an answer that brings an earlier one is noticed.
 * Owner: the program; the bytes live until it ends. Threads: one. Peer death: no peers. */
#ifndef WEIR_BENCH_LOAD_REQUEST_H
#define WEIR_BENCH_LOAD_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "bench/load_options.h"

struct weir_load_requests {
	char *heads;
	uint32_t *head_at; /* where each begins, and where the last ends */
	char *body;
	uint32_t paths;
	uint32_t pipeline;
	uint32_t path_next;
	uint32_t body_bytes;
	uint32_t shift_next;
};

struct weir_load_batch {
	const char *head; /* `pipeline` requests, or the head of one that has a body */
	uint32_t head_bytes;
	const char *body; /* NULL where requests have none */
};

/* Build everything that `options` ask for. 0, -E2BIG (path too long), -ENOMEM. */
int weir_load_requests_build(const struct weir_load_options *options,
			     struct weir_load_requests *out_requests);

/* What to send next. */
struct weir_load_batch weir_load_requests_next(struct weir_load_requests *requests);

#endif
