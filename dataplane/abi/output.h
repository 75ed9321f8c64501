/* output: messages on the socket that carries what functions print from a worker to ctrld.
 *
 *   | head | name of the function | entry | text | entry | text | ...        one SOCK_SEQPACKET message
 *
 * One message holds lines of one call. The namespace is not in it: the receiver knows from the
 * supervisor whose socket it is, so that a worker can only fill the logs of its own functions.
 * Owner: the supervisor makes the pair for each worker; the keeper holds the receiving end, so what was
 * sent waits there while ctrld is away. When it is full the worker drops lines and counts them.
 * What a call was answered goes the same way, if somebody may ask for it later: a line with how many bytes it has, as
 * decimal text, then the bytes, in lines. Only functions of Weir's own may send that (of any activation).
 * Peer death: the receiver finds the end of the stream behind the last message. */
#ifndef WEIR_DATAPLANE_ABI_OUTPUT_H
#define WEIR_DATAPLANE_ABI_OUTPUT_H

#include <assert.h>
#include <stdint.h>

#define WEIR_OUTPUT_MAGIC UINT32_C(0x6f726577) /* "wero" */

enum {
	WEIR_OUTPUT_MESSAGE_BYTES_MAX = 16384,
	WEIR_OUTPUT_NAME_BYTES_MAX = 192,
	WEIR_OUTPUT_TEXT_BYTES_MAX = 1024, /* of one line */
	WEIR_OUTPUT_ANSWER_BYTES_MAX = 65536,
};

/* Where a line was printed, or the level of a line that the function logged. */
enum weir_output_stream {
	WEIR_OUTPUT_STDOUT,
	WEIR_OUTPUT_STDERR,
	WEIR_OUTPUT_DEBUG,
	WEIR_OUTPUT_INFO,
	WEIR_OUTPUT_WARN,
	WEIR_OUTPUT_ERROR,
	WEIR_OUTPUT_ANSWER, /* not printed: a part of what was answered, see below */
	WEIR_OUTPUT_STREAMS,
};

struct weir_output_head {
	uint32_t magic;
	uint16_t entry_count; /* at least 1 */
	uint16_t name_bytes;  /* of the function, without its namespace */
	uint64_t activation_high;
	uint64_t activation_low;
	uint64_t dropped; /* lines that this worker has dropped since it started */
};
static_assert(sizeof(struct weir_output_head) == 32, "head");

struct weir_output_entry {
	uint64_t time_ns; /* CLOCK_REALTIME; the worker's word */
	uint16_t text_bytes;
	uint8_t stream; /* enum weir_output_stream */
	uint8_t reserved[5];
};
static_assert(sizeof(struct weir_output_entry) == 16, "entry");

#endif
