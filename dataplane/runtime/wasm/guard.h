/* guard: knows which pages of a memory are written without asking the kernel after each call, where calls
 * write the same few again and again.
 *
 *   | read-only | own: writable | read-only | own | read-only |
 *       a write: SIGSEGV -> the page joins `own` and becomes writable -> the write happens
 *
 * begin() when `own` has been complete for a while, end() when it does not stay so: more pages than are
 * remembered, or a pause, after which all of them are given back. Asking (getrusage, behind a system call
 * filter) costs 0.3 us, a quarter of what the worker does for a small function.
 * A system call that writes to a guarded page fails with EFAULT instead of a signal: host functions hand
 * none to the kernel for writing (random_get goes through a buffer).
 * Owns: which instances are guarded. Threads: the worker's baton holder; take() in a signal handler there. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_GUARD_H
#define WEIR_DATAPLANE_RUNTIME_WASM_GUARD_H

#include "dataplane/runtime/wasm/instance.h"

/* Guard the memory that reset() restores; instance->own is complete. False: its pages lie too scattered, or
 * enough instances are guarded: nothing changed. */
bool weir_wasm_guard_begin(struct weir_wasm_instance *instance);

/* All of it may be written again; nothing happens where it is not guarded. */
void weir_wasm_guard_end(struct weir_wasm_instance *instance);

/* Signal handler, in which others are blocked: was `address` written, and guarded? Then it may be now. */
bool weir_wasm_guard_take(uintptr_t address);

#endif
