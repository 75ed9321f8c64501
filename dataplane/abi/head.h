/* head: request and response heads as they stand at the start of a HEAD message's chunk.
 *
 *   0                       sizeof     + 8 * field_count   + 8 * param_count      bytes
 *   | weir_request_head     | fields   | params            | text ...              | body ...
 *   | weir_response_head    | fields                       | text ...              | body ...
 *
 * Slices are offsets from the head's first byte. The reader copies what it uses and checks it:
 * weir_head_check_request() / weir_head_check_response() of shm/head_check.h. */
#ifndef WEIR_DATAPLANE_ABI_HEAD_H
#define WEIR_DATAPLANE_ABI_HEAD_H

#include <assert.h>
#include <stdint.h>

#define WEIR_HEAD_LENGTH_UNKNOWN UINT64_MAX

enum {
	WEIR_HEAD_REQUEST_BYTES_MAX = 49152, /* parsed head of 16 KiB, tables, path, parameters */
	WEIR_HEAD_RESPONSE_BYTES_MAX = 16384,
	WEIR_HEAD_FIELDS_MAX = 100,
	WEIR_HEAD_RESPONSE_FIELDS_MAX = 64,
	WEIR_HEAD_PARAMS_MAX = 16,
	WEIR_HEAD_CALLER_REQUIRED = 1, /* who is nobody may do nothing */
};

struct weir_head_slice {
	uint16_t offset;
	uint16_t bytes;
};

struct weir_head_field {
	struct weir_head_slice name;
	struct weir_head_slice value;
};
static_assert(sizeof(struct weir_head_field) == 8, "field layout");

struct weir_request_head {
	uint32_t bytes;          /* of the whole head: the body starts here */
	uint8_t method;          /* enum weir_http_method */
	uint8_t minor;           /* HTTP/1.x */
	uint16_t field_count;
	uint16_t param_count;
	uint16_t depth;          /* 0: a client's request; else called by a function, that many deep */
	struct weir_head_slice path;      /* decoded, normalised */
	uint64_t content_length; /* body bytes, or WEIR_HEAD_LENGTH_UNKNOWN (chunked) */
	struct weir_head_slice query;     /* undecoded, without '?' */
	struct weir_head_slice authority; /* Host */
	struct weir_head_slice target;    /* as sent */
	struct weir_head_slice peer;      /* client address as text, "127.0.0.1", "unix" or "function" */
	struct weir_head_slice pattern;   /* the route's pattern */
	struct weir_head_slice parent;    /* activation id of the caller, 32 hex digits; empty: a client */
	struct weir_head_slice caller;    /* namespace of who calls; empty: nobody */
	uint8_t caller_role;     /* enum weir_role */
	uint8_t caller_flags;    /* WEIR_HEAD_CALLER_... */
	uint16_t reserved;       /* zero */
};
static_assert(sizeof(struct weir_request_head) == 56, "request head layout");

struct weir_response_head {
	uint32_t bytes;          /* of the whole head */
	uint16_t status;         /* 200 .. 599 */
	uint16_t field_count;
	uint64_t content_length; /* body bytes to come, or WEIR_HEAD_LENGTH_UNKNOWN */
};
static_assert(sizeof(struct weir_response_head) == 16, "response head layout");

#endif
