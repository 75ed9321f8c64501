/* host: the host functions of imports.h, declared from it: weir_wasi_NAME (wasi.c), weir_api_NAME (api.c).
 * Each gets the call's instance and as many cells as its signature has parameters.
 * Owns: nothing. Threads: the call's. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_HOST_H
#define WEIR_DATAPLANE_RUNTIME_WASM_HOST_H

#include "dataplane/runtime/wasm/imports.h"
#include "dataplane/runtime/wasm/run.h"

#define WEIR_WASM_DECLARE_WASI(module, name, signature, function, what) \
	weir_wasm_import weir_wasi_##function;
#define WEIR_WASM_DECLARE_API(module, name, signature, function, what) \
	weir_wasm_import weir_api_##function;
WEIR_WASM_IMPORTS_WASI(WEIR_WASM_DECLARE_WASI)
WEIR_WASM_IMPORTS_WEIR(WEIR_WASM_DECLARE_API)
#undef WEIR_WASM_DECLARE_WASI
#undef WEIR_WASM_DECLARE_API

#endif
