/* run: one call in an instance: what host functions (wasi.c, request.c) know of it.
 * Owns: the environment's text, until its end. Threads: the call's. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_RUN_H
#define WEIR_DATAPLANE_RUNTIME_WASM_RUN_H

#include "dataplane/runtime/exec/exec_answer.h"
#include "dataplane/runtime/runtime.h"
#include "dataplane/runtime/wasm/instance.h"

enum {
	WEIR_WASM_WORDS_BYTES = 120,
	WEIR_WASM_PIECE_BYTES_MAX = 1 << 20, /* what one host function moves */
	WEIR_WASM_FDS = 3,
};

/* What a module may say of the next call that it makes. */
enum weir_wasm_option {
	WEIR_WASM_OPTION_METHOD,
	WEIR_WASM_OPTION_PATH,
	WEIR_WASM_OPTION_QUERY,
	WEIR_WASM_OPTION_TYPE,
	WEIR_WASM_OPTIONS,
};

/* Which way of calling a module has. */
enum weir_wasm_kind {
	WEIR_WASM_COMMAND, /* _start: body on stdin, answer on stdout */
	WEIR_WASM_REACTOR, /* weir_handle, or the handler's name */
	WEIR_WASM_FAASM,   /* run, or _run: faasm.h */
};

struct weir_wasm_run {
	struct weir_runtime_call *call;
	const char *name;               /* namespace/name */
	const char *const *environment; /* the function's own */
	enum weir_wasm_kind kind;
	struct weir_exec_answer *row; /* of a row of the public table: what it wrote; NULL: of others */
	bool is_starting; /* no request yet */
	bool has_nested;  /* `nested` is to be freed */
	bool has_type;    /* content-type was set */
	bool is_answered; /* something was written */
	bool is_closed[WEIR_WASM_FDS];
	struct weir_runtime_answer nested; /* the last one */
	struct weir_span option[WEIR_WASM_OPTIONS]; /* in the module's memory; empty = not set */
	uint32_t exit_code;
	const char *missing; /* the import that it called and nobody has */
	int error;           /* of the answer, when the trap is FAILED */
	char *text;          /* of the environment: "K=V" with NULs between */
	size_t text_bytes;
	uint32_t text_count;
	uint32_t words_bytes;
	char words[WEIR_WASM_WORDS_BYTES]; /* the last line on standard error */
};

/* All of imports.h. */
extern const struct weir_wasm_imports weir_wasm_imports;

static inline struct weir_wasm_run *weir_wasm_run_of(const struct weir_wasm_instance *instance)
{
	return (struct weir_wasm_run *)instance->user;
}

/* Fill run->text; the second time it is there already. 0 or -ENOMEM. */
int weir_wasm_environment(struct weir_wasm_run *run);

/* Append to the answer, at most WEIR_WASM_PIECE_BYTES_MAX bytes; waits for the client. Returns how many,
 * or a negative errno; TIMEOUT, CANCELLED or FAILED then stop the instance. */
int64_t weir_wasm_answer(struct weir_wasm_instance *instance, const void *data, size_t bytes);

/* The body's next bytes, at most WEIR_WASM_PIECE_BYTES_MAX: how many, 0 at its end (and, where it may not
 * wait, when there are none yet). As answer. */
int64_t weir_wasm_body(struct weir_wasm_instance *instance, void *data, size_t bytes,
		       bool may_wait);

/* Wait until `until_ns` (CLOCK_MONOTONIC) while others run: 0, or as answer. */
int weir_wasm_sleep(struct weir_wasm_instance *instance, uint64_t until_ns);

/* To the call's log; the last line of standard error is remembered. */
void weir_wasm_print(struct weir_wasm_run *run, enum weir_runtime_stream stream,
		     struct weir_span text);

#endif
