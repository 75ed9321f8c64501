/* js_file: the files of a function: its own, and those of the folder around it. No part of a path is a link or
 * "..", so that none leads elsewhere; the sandbox says the same again.
 * Owns: nothing. Threads: any; blocks on disk. */
#ifndef WEIR_DATAPLANE_RUNTIME_JS_JS_FILE_H
#define WEIR_DATAPLANE_RUNTIME_JS_JS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/runtime/js/js_call.h"

enum { WEIR_JS_PATH_BYTES_MAX = 1024, WEIR_JS_FILE_BYTES_MAX = 16 << 20 };

/* Its bytes, or -ENOENT: there is none, or it is too large. `path` is relative to the folder. */
int64_t weir_js_file_bytes(const struct weir_js_function *function, const char *path);

/* Its first `bytes` bytes: how many they were, or -errno. */
int64_t weir_js_file_read(const struct weir_js_function *function, const char *path, void *out,
			  size_t bytes);

#endif
