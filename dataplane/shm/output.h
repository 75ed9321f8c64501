/* output: building and reading the messages of abi/output.h.
 * Owns: nothing; the caller's memory. Threads: one at a time for each message.
 * Peer death: not visible here. What is read was written by a worker and is checked. */
#ifndef WEIR_DATAPLANE_SHM_OUTPUT_H
#define WEIR_DATAPLANE_SHM_OUTPUT_H

#include <stdbool.h>

#include "dataplane/abi/output.h"
#include "dataplane/base/id.h"
#include "dataplane/base/span.h"

/* A message that is being built. */
struct weir_output_message {
	size_t bytes;
	_Alignas(8) uint8_t data[WEIR_OUTPUT_MESSAGE_BYTES_MAX];
};

/* Begin a message for a call. A longer name than WEIR_OUTPUT_NAME_BYTES_MAX is cut. */
void weir_output_begin(struct weir_output_message *message, struct weir_id activation,
		       struct weir_span name);

/* Append a line of at most WEIR_OUTPUT_TEXT_BYTES_MAX bytes. False: it does not fit any more. */
bool weir_output_append(struct weir_output_message *message, uint64_t time_ns,
			enum weir_output_stream stream, struct weir_span text);

/* Lines in it; and set how many were dropped, before it is sent. */
uint16_t weir_output_entries(const struct weir_output_message *message);
void weir_output_dropped(struct weir_output_message *message, uint64_t dropped);

/* A received message. Spans point into its bytes. */
struct weir_output_reader {
	struct weir_id activation;
	uint64_t dropped;
	struct weir_span name;
	uint16_t entries_left;
	struct weir_span rest;
};

struct weir_output_line {
	uint64_t time_ns;
	enum weir_output_stream stream;
	struct weir_span text;
};

/* Check all of a message. 0, or -EBADMSG: bad magic, sizes, streams, or bytes left over. */
int weir_output_read(const void *data, size_t bytes, struct weir_output_reader *out_reader);

/* The next line of a checked message; false behind the last. */
bool weir_output_next(struct weir_output_reader *reader, struct weir_output_line *out_line);

#endif
