/* func_root: the files of WebAssembly functions where Faasm's programs look for them, beside the code store:
 *
 *   deployment of USER/FUNCTION --> ROOT/wasm/USER/FUNCTION/function.wasm, the same bytes
 *
 * Owns: nothing; ROOT is its user's, who may change what lies there: Weir never reads it. Threads: any, one at a
 * time for each function. Blocks on the disk. Peer death: a process that dies half way leaves
 * function.wasm as it was, and function.wasm.new, which the next one replaces. */
#ifndef WEIR_CTRL_CODE_FUNC_ROOT_H
#define WEIR_CTRL_CODE_FUNC_ROOT_H

#include "ctrl/code/code.h"

/* Copy the module at `path` there; folders are made. `user` and `function` are checked names. 0, or -errno with
 * a sentence. */
int weir_func_root_write(const char *root, const char *user, const char *function, const char *path,
			 struct weir_code_error *error);

#endif
