/* build_glue: writes the C text that joins what wasm2c generated with the worker: each import becomes a
 * call of the host's, each exported function a row of the table in module.h.
 * Owns: nothing. Threads: any. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_BUILD_GLUE_H
#define WEIR_DATAPLANE_RUNTIME_WASM_BUILD_GLUE_H

#include <stdio.h>

#include "dataplane/runtime/wasm/build_check.h"

/* The name that wasm2c is given for every module, and its code's file. */
#define WEIR_WASM_GLUE_MODULE "m"
#define WEIR_WASM_GLUE_CODE   "m.c"

/* Which table of imports.h modules are joined to: "weir" (the default) or "quickjs", each after WASI's. Before
 * anything else; false: there is no such table. */
bool weir_wasm_glue_imports(const char *name);

/* May the module's imports be what they are? 0, or -EINVAL and check->reason. */
int weir_wasm_glue_check(struct weir_wasm_check *check);

/* Write the text for a module whose imports may be. 0 or -EIO. */
int weir_wasm_glue_write(const struct weir_wasm_check *check, FILE *out);

#endif
