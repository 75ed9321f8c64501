/* module: what a built module (weir-build-wasm's .so) and the worker know of each other.
 *
 *   worker   dlopen -> weir_wasm_module -> bind(host) -> instantiate(instance, owner) -> export's call
 *   module   host->trap, grow, ... and host->call(owner, number of the import, arguments)
 *
 * All that a function of the module's does outside its memory goes through struct weir_wasm_host, so the
 * object needs nothing but libc's memcpy and libm. Values are 64-bit cells: an i32 is zero-extended, an
 * f32 its bits zero-extended, an f64 its bits.
 * This file is also written beside the code that wasm2c generates, so it includes nothing of ours.
 * Owns: nothing. Threads: a host's functions use the thread's running instance. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_MODULE_H
#define WEIR_DATAPLANE_RUNTIME_WASM_MODULE_H

#include <stdint.h>

/* Grows whenever anything here, the imports' numbers or the compiler's flags change. */
#define WEIR_WASM_ABI 1

enum {
	WEIR_WASM_PAGE_BYTES = 65536,
	WEIR_WASM_PAGES_MAX = 65535, /* 65,536 pages do not fit in bytes' 32 bits */
	WEIR_WASM_EXPORTS_MAX = 4096,
	WEIR_WASM_VALUES_MAX = 256, /* parameters or results of a function */
};

/* A linear memory, laid out as wasm2c 1.0.32 expects it. */
struct weir_wasm_memory {
	uint8_t *data;
	uint32_t pages;
	uint32_t pages_max;
	uint32_t bytes;
};

/* A table of function or external references; also wasm2c's layout. */
struct weir_wasm_table {
	void *data;
	uint32_t count_max;
	uint32_t count;
};

/* Why a module stops; the first nine are wasm2c's. */
enum weir_wasm_trap {
	WEIR_WASM_TRAP_NONE,
	WEIR_WASM_TRAP_BOUNDS,
	WEIR_WASM_TRAP_OVERFLOW,
	WEIR_WASM_TRAP_DIVISION,
	WEIR_WASM_TRAP_CONVERSION,
	WEIR_WASM_TRAP_UNREACHABLE,
	WEIR_WASM_TRAP_INDIRECT,
	WEIR_WASM_TRAP_EXCEPTION,
	WEIR_WASM_TRAP_STACK,
	WEIR_WASM_TRAP_LIMIT,     /* more memory at the start than the function may have */
	WEIR_WASM_TRAP_EXIT,      /* proc_exit */
	WEIR_WASM_TRAP_TIMEOUT,   /* the deadline passed */
	WEIR_WASM_TRAP_CANCELLED, /* nobody wants the answer */
	WEIR_WASM_TRAP_FAILED,    /* the answer could not be written */
	WEIR_WASM_TRAP_IMPORT,    /* an import that nobody offers */
};

struct weir_wasm_host {
	void (*trap)(uint32_t trap) __attribute__((noreturn));
	/* A number for the signature, the same for the same one; `kinds`: parameters, then results. */
	uint32_t (*type)(uint32_t params, uint32_t results, const uint8_t *kinds);
	void (*memory_allocate)(struct weir_wasm_memory *memory, uint32_t pages,
				uint32_t pages_max);
	uint32_t (*memory_grow)(struct weir_wasm_memory *memory, uint32_t pages);
	void (*table_allocate)(struct weir_wasm_table *table, uint32_t count,
			       uint32_t count_max, uint32_t element_bytes);
	uint32_t (*table_grow)(struct weir_wasm_table *table, uint32_t count,
			       const void *element, uint32_t element_bytes);
	/* Call import `number` of imports.h. */
	uint64_t (*call)(void *owner, uint32_t number, const uint64_t *arguments);
	/* Call an import that is none; `name` is "module.name". */
	void (*missing)(void *owner, const char *name) __attribute__((noreturn));
	/* The memory and the table that an old Faasm module imports. */
	struct weir_wasm_memory *(*memory_import)(void *owner, uint32_t pages,
						  uint32_t pages_max);
	struct weir_wasm_table *(*table_import)(void *owner, uint32_t count, uint32_t count_max,
						uint32_t element_bytes);
};

/* A function that the module offers; `signature` is "iIfF:i": i32, i64, f32, f64. */
struct weir_wasm_export {
	const char *name;
	const char *signature;
	void (*call)(void *instance, const uint64_t *arguments, uint64_t *out_results);
};

/* The object's only symbol is one of these, weir_wasm_module. */
struct weir_wasm_module {
	uint32_t abi;
	uint32_t instance_bytes;
	uint32_t export_count;
	uint32_t reserved;
	const struct weir_wasm_export *exports;
	/* Once, before anything else. */
	void (*bind)(const struct weir_wasm_host *host);
	/* Fill zeroed `instance`; runs the module's start function. `owner` comes back in host->call. */
	void (*instantiate)(void *instance, void *owner);
};

#endif
