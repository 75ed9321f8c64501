/* build_run: runs one of the programs that a build needs, with limits, and keeps what it says.
 * A program gets PATH, TMPDIR and LC_ALL and nothing else of the environment, /dev/null to read, and its
 * output goes to a file of the working directory.
 * Owns: nothing. Threads: any. Peer death: a program that dies is an answer like others. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_BUILD_RUN_H
#define WEIR_DATAPLANE_RUNTIME_WASM_BUILD_RUN_H

#include <stdint.h>

#define WEIR_WASM_PATH "/usr/local/bin:/usr/bin:/bin"

struct weir_wasm_limits {
	uint64_t cpu_seconds;
	uint64_t memory_bytes; /* address space */
	uint64_t file_bytes;   /* of each file it writes */
};

enum weir_wasm_ran {
	WEIR_WASM_RAN_WELL,
	WEIR_WASM_RAN_BADLY, /* it refused its input, or broke over it */
	WEIR_WASM_RAN_OUT,   /* of time, memory or file size */
	WEIR_WASM_RAN_NOT,   /* it is not there, or could not be started */
};

/* Run `arguments` (NULL at the end; the first is looked for in WEIR_WASM_PATH) in `directory`. What it
 * prints goes to the file `said` there; out_text gets its first lines, or why it was not run. */
enum weir_wasm_ran weir_wasm_run(const char *const *arguments, const char *directory,
				 const struct weir_wasm_limits *limits, char *out_text,
				 uint32_t text_bytes);

#endif
