/* build_check: reads a WebAssembly module's outer structure and refuses what Weir does not take, before
 * any other program sees it. wasm2c 1.0.32 pastes names of imports and exports into C comments, so a name
 * may only have letters, digits and _ . : $ / - (and so never ends a comment).
 *
 *   magic | section: id, bytes, content | ...   known sections once and in order; custom ones are left out
 *
 * What the sections' insides mean is for wasm-validate to check; imports, exports and their types are
 * read here, because the code that joins module and worker is made from them.
 * Owns: nothing outside struct weir_wasm_check; names point into the module's bytes. Threads: any. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_BUILD_CHECK_H
#define WEIR_DATAPLANE_RUNTIME_WASM_BUILD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/span.h"
#include "dataplane/runtime/wasm/module.h"

enum {
	WEIR_WASM_MODULE_BYTES_MAX = 32 << 20,
	WEIR_WASM_NAME_BYTES_MAX = 256,
	WEIR_WASM_TYPES_MAX = 16384,
	WEIR_WASM_IMPORTS_MAX = 1024,
	WEIR_WASM_FUNCTIONS_MAX = 131072,
	WEIR_WASM_SEGMENTS_MAX = 16384, /* of data or elements, and globals */
	WEIR_WASM_REASON_BYTES = 512,
	WEIR_WASM_SECTIONS = 13,
};

enum weir_wasm_extern {
	WEIR_WASM_EXTERN_FUNCTION,
	WEIR_WASM_EXTERN_TABLE,
	WEIR_WASM_EXTERN_MEMORY,
	WEIR_WASM_EXTERN_GLOBAL,
};

/* Kinds of values as characters: i I f F, r = funcref, x = externref. */
struct weir_wasm_type {
	uint16_t params;
	uint16_t results;
	char kind[]; /* params, then results */
};

struct weir_wasm_import {
	struct weir_span module;
	struct weir_span name;
	enum weir_wasm_extern external;
	uint32_t type; /* of a function */
	char value;    /* of a global or a table's elements */
	bool is_mutable;
	uint32_t count; /* a memory's pages, a table's elements */
	uint32_t count_max;
};

struct weir_wasm_exported {
	struct weir_span name;
	enum weir_wasm_extern external;
	uint32_t index;
};

struct weir_wasm_check {
	struct weir_span section[WEIR_WASM_SECTIONS]; /* header included; empty = not there */
	struct weir_wasm_type **types;
	uint32_t type_count;
	struct weir_wasm_import *imports;
	uint32_t import_count;
	uint32_t *function_types; /* imported ones first */
	uint32_t function_count;
	struct weir_wasm_exported *exports;
	uint32_t export_count;
	uint32_t memory_count; /* imported ones included */
	char reason[WEIR_WASM_REASON_BYTES];
};

/* Read a module; it must stay while `check` is used. 0; -EINVAL: refused, see reason; -ENOMEM. */
int weir_wasm_check(struct weir_span module, struct weir_wasm_check *check);
void weir_wasm_check_close(struct weir_wasm_check *check);

/* Type of function `index`; NULL if there is none. */
const struct weir_wasm_type *weir_wasm_check_function(const struct weir_wasm_check *check,
						      uint32_t index);

#endif
