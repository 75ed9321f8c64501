/* build_text: the texts that weir-build-wasm carries in itself, to write them beside the generated code.
 * Owns: nothing; they live as long as the program. Threads: any. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_BUILD_TEXT_H
#define WEIR_DATAPLANE_RUNTIME_WASM_BUILD_TEXT_H

#include "dataplane/base/span.h"

/* module.h. */
struct weir_span weir_wasm_text_module(void);
/* artifact.h, which is written as wasm-rt.h. */
struct weir_span weir_wasm_text_artifact(void);

#endif
