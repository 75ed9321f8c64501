/* environment: the variables, secrets among them, of the functions of one namespace. Made by ctrld, passed
 * by the supervisor (ENVIRONMENT of control.h) to that namespace's workers only, never in a snapshot,
 * which everybody maps.
 *
 *   | header | rows: one per function that has any | text: "K=V\0K=V\0" ... |
 *
 * A function whose snapshot row has WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT is loaded only with the row of
 * its id and version. Sealed (write, shrink, grow); the reader copies it, then checks the copy. */
#ifndef WEIR_DATAPLANE_ABI_ENVIRONMENT_H
#define WEIR_DATAPLANE_ABI_ENVIRONMENT_H

#include <assert.h>
#include <stdint.h>

#define WEIR_ENVIRONMENT_MAGIC UINT64_C(0x31766e6572696577) /* "weirenv1" */

enum {
	WEIR_ENVIRONMENT_BYTES_MAX = 64 << 20,
	WEIR_ENVIRONMENT_VARIABLES_MAX = 128,     /* of one function */
	WEIR_ENVIRONMENT_TEXT_BYTES_MAX = 131072, /* of one function, names and NULs included */
};

struct weir_environment_header {
	uint64_t magic;
	uint32_t bytes; /* of the whole */
	uint32_t count; /* rows */
	uint64_t reserved;
};
static_assert(sizeof(struct weir_environment_header) == 24, "environment header layout");

struct weir_environment_row {
	uint64_t id; /* of the function, and its version */
	uint64_t version;
	uint32_t offset; /* of its text, from the start */
	uint32_t bytes;  /* of its text, NULs included; it ends with one */
};
static_assert(sizeof(struct weir_environment_row) == 24, "environment row layout");

#endif
