/* load_answer: cuts a stream of bytes into HTTP/1.1 answers by Content-Length and checks each:
 * status 200 and the same length, head and body, as the first answer of the run; where the request
 * had a body, the same length and the same bytes as that.
 *
 *   bytes -> | head ... blank line | body (Content-Length) | head ... | ...
 *              an incomplete head waits in `carry`; a body is counted, and
 *              compared with `echo` where it must be that, and not kept
 *
 * The first answer fixes the shape. A later one that has the same Content-Length line and the blank
 * line at the same places is accepted without being parsed again: at 3 million answers a second the
 * generator would otherwise measure itself.
 * Owner: the generator, one struct per connection, one shape for all. Threads: one.
 * Peer death: a half answer is dropped by weir_load_answer_reset(). */
#ifndef WEIR_BENCH_LOAD_ANSWER_H
#define WEIR_BENCH_LOAD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_LOAD_CARRY_BYTES 8192 /* longest head accepted */

struct weir_load_shape {
	uint32_t head_bytes;    /* with its blank line; 0 until the first answer */
	uint32_t length_offset; /* where the Content-Length line starts */
	uint32_t length_bytes;  /* of that line with its end */
	uint64_t body_bytes;
	bool refusals; /* 429 and 503 are counted as refused, not as errors */
	uint64_t
		echo_bytes; /* of every request's body, which must come back; 0: none has one */
	char length_line[64];
};

struct weir_load_counts {
	uint64_t answers;   /* complete, right or wrong */
	uint64_t status;    /* not 200 */
	uint64_t refused;   /* of these, where that is looked at, 429 and 503: counted here instead */
	uint64_t length;    /* another length than the first, or than its request's body */
	uint64_t content;   /* other bytes than its request's body */
	uint64_t malformed; /* no status line, no length, or bytes nobody asked for */
};

struct weir_load_answer {
	uint64_t body_left; /* of the answer whose head was read */
	uint32_t expected;  /* answers still due on this connection */
	uint32_t carry_bytes;
	uint16_t status; /* of the last head; */
	bool retry_after; /* whether it had this field */
	bool in_body;
	bool differs;     /* the body under way is not `echo` */
	const char *echo; /* the body of the request under way; NULL: any body will do */
	char *carry; /* WEIR_LOAD_CARRY_BYTES; apart, so that the hot fields of many share cache lines */
};

/* Prepare `answer` for a new connection. 0 or -ENOMEM; `carry` lives until the program ends. */
int weir_load_answer_open(struct weir_load_answer *answer);

/* Take `bytes` bytes from the server. Returns how many answers they completed and adds what was
 * wrong to `counts`; or -EBADMSG where the stream cannot be followed any further (counted), which
 * includes a wrong head for a request with a body, of which some may not be sent yet. */
int weir_load_answer_take(struct weir_load_answer *answer, struct weir_load_shape *shape,
			  const char *data, size_t bytes, struct weir_load_counts *counts);

/* Forget a half-read answer and what was due: the connection is a new one. */
void weir_load_answer_reset(struct weir_load_answer *answer);

#endif
