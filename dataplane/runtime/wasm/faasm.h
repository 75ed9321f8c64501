/* faasm: the ABI of Faasm's first version (August 2018). A module exports run (or _run), whose four
 * arguments are fixed places in its memory:
 *
 *   20480 input, 1,024 bytes | 21504 output, 1,024 | 22528 names of functions to call, 50 * 32
 *   | 24128 their inputs, 50 * 1,024
 *
 * The output ends at its last byte that is not zero; what run returns means nothing. Functions named in
 * the list are called after it, one way, in their order, up to the first empty name.
 * A longer request, or a module whose memory ends before 75,328, is an error of the function's.
 * Owns: nothing. Threads: the call's; may wait. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_FAASM_H
#define WEIR_DATAPLANE_RUNTIME_WASM_FAASM_H

#include "dataplane/runtime/wasm/run.h"

/* What run gets as its arguments. */
extern const uint64_t weir_wasm_faasm_arguments[4];

/* Put the request's body in its place. 0, -EIO (then the call's reason is set) or what waiting gave. */
int weir_wasm_faasm_before(struct weir_wasm_instance *instance);

/* Send the output and call what was named. As before(). */
int weir_wasm_faasm_after(struct weir_wasm_instance *instance);

#endif
