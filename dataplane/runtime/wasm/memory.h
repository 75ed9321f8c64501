/* memory: an instance's linear memory and tables: made, grown, kept, put back (instance.h has the drawing).
 *
 * A page that differs from what was kept is one of the process's own (pages.h). Where that can't be asked
 * all pages are given back, which is right too, and slower.
 * Owns: the mappings and the tables' elements. Threads: the worker's baton holder. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_MEMORY_H
#define WEIR_DATAPLANE_RUNTIME_WASM_MEMORY_H

#include "dataplane/runtime/wasm/instance.h"

/* The module's memory at its start; false: more than the function may have, or no address space. */
bool weir_wasm_memory_allocate(struct weir_wasm_instance *instance, uint32_t pages,
			       uint32_t pages_max);

/* memory.grow: the count before, or UINT32_MAX. */
uint32_t weir_wasm_memory_grow(struct weir_wasm_instance *instance, uint32_t pages);

/* Is `address` one that the module's code can reach? */
bool weir_wasm_memory_has(const struct weir_wasm_instance *instance, uintptr_t address);

/* Memory and tables as they are now are the ones that reset restores. 0 or -errno. */
int weir_wasm_memory_keep(struct weir_wasm_instance *instance);
void weir_wasm_memory_reset(struct weir_wasm_instance *instance);

/* weir_wasm_instance_share(), _bind() and _settle(), without the state. */
int weir_wasm_memory_share(struct weir_wasm_instance *instance,
			   const struct weir_wasm_instance *base);
int weir_wasm_memory_bind(struct weir_wasm_instance *instance,
			  const struct weir_wasm_layer *layer, uint32_t pages_limit);
int weir_wasm_memory_settle(struct weir_wasm_instance *instance);

/* After the state was restored, of which tables are members. */
void weir_wasm_tables_reset(struct weir_wasm_instance *instance);

/* Memory and tables back to the system. */
void weir_wasm_memory_free(struct weir_wasm_instance *instance);

/* A table at the module's start; false: too many, too large, no memory. */
bool weir_wasm_table_allocate(struct weir_wasm_instance *instance,
			      struct weir_wasm_table *table, uint32_t count, uint32_t count_max,
			      uint32_t element_bytes);

/* table.grow: the count before, or UINT32_MAX. */
uint32_t weir_wasm_table_grow(struct weir_wasm_instance *instance,
			      struct weir_wasm_table *table, uint32_t count,
			      const void *element);

#endif
