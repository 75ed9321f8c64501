/* imports: what a WebAssembly module may import, and what it gets. weir-build-wasm checks names and
 * signatures against this table, the worker calls `function`; a module that imports something else is
 * refused when it is built. The number of an import is its place: changing the order changes
 * WEIR_WASM_ABI (module.h).
 *
 *   signature: parameters ':' results; i = i32, I = i64, f = f32, F = f64
 *
 * WASI preview 1, complete. A function has descriptors 0 (its request's body), 1 and 2 (module.h's
 * owner decides: answer or log) and no others, no files, no directories, no sockets. While a module
 * starts (before its first call is served) descriptor 0 is at its end and the request is not there, since
 * what it remembers then, all later calls see. */
#ifndef WEIR_DATAPLANE_RUNTIME_WASM_IMPORTS_H
#define WEIR_DATAPLANE_RUNTIME_WASM_IMPORTS_H

#define WEIR_WASM_WASI "wasi_snapshot_preview1"

/* X(module, name, signature, function, what it does) */
#define WEIR_WASM_IMPORTS_WASI(X)                                                            \
	X(WEIR_WASM_WASI, args_get, "ii:i", args_get, "one argument: the function's name")   \
	X(WEIR_WASM_WASI, args_sizes_get, "ii:i", args_sizes_get, "their count and bytes")   \
	X(WEIR_WASM_WASI, environ_get, "ii:i", environ_get,                                  \
	  "the function's and the request's")                                                \
	X(WEIR_WASM_WASI, environ_sizes_get, "ii:i", environ_sizes_get,                      \
	  "their count and bytes")                                                           \
	X(WEIR_WASM_WASI, clock_res_get, "ii:i", clock_res_get, "1 ns")                      \
	X(WEIR_WASM_WASI, clock_time_get, "iIi:i", clock_time_get,                           \
	  "real, monotonic, CPU time")                                                       \
	X(WEIR_WASM_WASI, fd_advise, "iIIi:i", fd_pipe, "ESPIPE; EBADF")                     \
	X(WEIR_WASM_WASI, fd_allocate, "iII:i", fd_pipe, "ESPIPE; EBADF")                    \
	X(WEIR_WASM_WASI, fd_close, "i:i", fd_close, "0 .. 2; then they are EBADF")          \
	X(WEIR_WASM_WASI, fd_datasync, "i:i", fd_invalid, "EINVAL; EBADF")                   \
	X(WEIR_WASM_WASI, fd_fdstat_get, "ii:i", fd_fdstat_get,                              \
	  "character device, its rights")                                                    \
	X(WEIR_WASM_WASI, fd_fdstat_set_flags, "ii:i", fd_unsupported, "ENOTSUP; EBADF")     \
	X(WEIR_WASM_WASI, fd_fdstat_set_rights, "iII:i", fd_unsupported, "ENOTSUP; EBADF")   \
	X(WEIR_WASM_WASI, fd_filestat_get, "ii:i", fd_filestat_get,                          \
	  "character device, no times")                                                      \
	X(WEIR_WASM_WASI, fd_filestat_set_size, "iI:i", fd_invalid, "EINVAL; EBADF")         \
	X(WEIR_WASM_WASI, fd_filestat_set_times, "iIIi:i", fd_unsupported, "ENOTSUP; EBADF") \
	X(WEIR_WASM_WASI, fd_pread, "iiiIi:i", fd_pipe, "ESPIPE; EBADF")                     \
	X(WEIR_WASM_WASI, fd_prestat_get, "ii:i", fd_none, "EBADF: no directories")          \
	X(WEIR_WASM_WASI, fd_prestat_dir_name, "iii:i", fd_none, "EBADF")                    \
	X(WEIR_WASM_WASI, fd_pwrite, "iiiIi:i", fd_pipe, "ESPIPE; EBADF")                    \
	X(WEIR_WASM_WASI, fd_read, "iiii:i", fd_read,                                        \
	  "0: the body's next bytes; waits for them")                                        \
	X(WEIR_WASM_WASI, fd_readdir, "iiiIi:i", fd_directory, "ENOTDIR; EBADF")             \
	X(WEIR_WASM_WASI, fd_renumber, "ii:i", fd_unsupported, "ENOTSUP; EBADF")             \
	X(WEIR_WASM_WASI, fd_seek, "iIii:i", fd_pipe, "ESPIPE; EBADF")                       \
	X(WEIR_WASM_WASI, fd_sync, "i:i", fd_invalid, "EINVAL; EBADF")                       \
	X(WEIR_WASM_WASI, fd_tell, "ii:i", fd_pipe, "ESPIPE; EBADF")                         \
	X(WEIR_WASM_WASI, fd_write, "iiii:i", fd_write, "1, 2; at most 1 MiB at a time")     \
	X(WEIR_WASM_WASI, path_create_directory, "iii:i", fd_directory, "ENOTDIR; EBADF")    \
	X(WEIR_WASM_WASI, path_filestat_get, "iiiii:i", fd_directory, "ENOTDIR; EBADF")      \
	X(WEIR_WASM_WASI, path_filestat_set_times, "iiiiIIi:i", fd_directory,                \
	  "ENOTDIR; EBADF")                                                                  \
	X(WEIR_WASM_WASI, path_link, "iiiiiii:i", fd_directory, "ENOTDIR; EBADF")            \
	X(WEIR_WASM_WASI, path_open, "iiiiiIIii:i", fd_directory, "ENOTDIR; EBADF")          \
	X(WEIR_WASM_WASI, path_readlink, "iiiiii:i", fd_directory, "ENOTDIR; EBADF")         \
	X(WEIR_WASM_WASI, path_remove_directory, "iii:i", fd_directory, "ENOTDIR; EBADF")    \
	X(WEIR_WASM_WASI, path_rename, "iiiiii:i", fd_directory, "ENOTDIR; EBADF")           \
	X(WEIR_WASM_WASI, path_symlink, "iiiii:i", path_symlink, "ENOTDIR; EBADF")           \
	X(WEIR_WASM_WASI, path_unlink_file, "iii:i", fd_directory, "ENOTDIR; EBADF")         \
	X(WEIR_WASM_WASI, poll_oneoff, "iiii:i", poll_oneoff,                                \
	  "waits for clocks; 0 .. 2 are ready")                                              \
	X(WEIR_WASM_WASI, proc_exit, "i:", proc_exit,                                        \
	  "ends the call: 0 is success in a command")                                        \
	X(WEIR_WASM_WASI, proc_raise, "i:i", proc_raise, "ENOSYS: no signals")               \
	X(WEIR_WASM_WASI, sched_yield, ":i", sched_yield, "nothing: a call has one thread")  \
	X(WEIR_WASM_WASI, random_get, "ii:i", random_get, "from the kernel")                 \
	X(WEIR_WASM_WASI, sock_accept, "iii:i", fd_socket, "ENOTSOCK; EBADF")                \
	X(WEIR_WASM_WASI, sock_recv, "iiiiii:i", fd_socket, "ENOTSOCK; EBADF")               \
	X(WEIR_WASM_WASI, sock_send, "iiiii:i", fd_socket, "ENOTSOCK; EBADF")                \
	X(WEIR_WASM_WASI, sock_shutdown, "ii:i", fd_socket, "ENOTSOCK; EBADF")

/* The request and the response, for sdk/weir_wasm.h. A pointer is followed by its bytes; where text
 * comes back, the result is its whole length (at most `bytes` were copied) or -1 = there is none. Others
 * give 0 or a negative errno (WASI's numbers, negated). */
#define WEIR_WASM_IMPORTS_WEIR(X)                                                              \
	X("weir", request_text, "iii:i", request_text, "which, out, bytes: method, path, ...") \
	X("weir", request_header, "iiii:i", request_header, "name, bytes, out, bytes")         \
	X("weir", request_header_at, "iiii:i", request_header_at,                              \
	  "index, 0 name 1 value, out, bytes")                                                 \
	X("weir", request_param, "iiii:i", request_param, "name, bytes, out, bytes")           \
	X("weir", request_number, "i:I", request_number,                                       \
	  "0 body bytes, 1 ms left, 2 deadline ns")                                            \
	X("weir", request_read, "ii:i", request_read, "out, bytes: how many, 0 at the end")    \
	X("weir", sleep_ms, "I:i", sleep_ms, "others run meanwhile")                           \
	X("weir", log, "iii:", log_line, "level, text, bytes")                                 \
	X("weir", response_status, "i:i", response_status, "200 .. 599")                       \
	X("weir", response_header, "iiii:i", response_header, "name, bytes, value, bytes")     \
	X("weir", response_length, "I:i", response_length, "of the body to come")              \
	X("weir", response_write, "ii:i", response_write,                                      \
	  "bytes written, at most 1 MiB at a time")                                            \
	X("weir", response_flush, ":i", response_flush, "send what was written")               \
	X("weir", call, "iiiii:i", call,                                                       \
	  "name, bytes, body, bytes, 1 = one way: the answer's status")                        \
	X("weir", call_body, "ii:i", call_body, "the last answer's body: out, bytes")          \
	X("weir", call_option, "iii:i", call_option,                                           \
	  "of the next call: 0 method 1 path 2 query 3 content-type; text, bytes")             \
	X("weir", call_text, "iii:i", call_text,                                               \
	  "of the last answer: 0 content-type 1 activation id; out, bytes")

#define WEIR_WASM_IMPORTS(X)      \
	WEIR_WASM_IMPORTS_WASI(X) \
	WEIR_WASM_IMPORTS_WEIR(X)

/* What quickjs.wasm of the npm package quickjs-wasi imports besides WASI, in place of module "weir":
 * the host of the runtime `js`. A pointer to a value is one to a JSValue; results of host_call and of the
 * module functions are the caller's to free. */
#define WEIR_WASM_IMPORTS_QUICKJS(X)                                                        \
	X("env", host_call, "iiiii:i", host_call,                                           \
	  "name, bytes, this, count, values: a value, or 0 = it threw")                     \
	X("env", host_interrupt, ":i", host_interrupt, "1 = stop what runs")                \
	X("env", host_promise_rejection, "iii:", host_promise_rejection,                    \
	  "promise, reason, 1 = somebody handles it after all")                             \
	X("env", host_module_normalize, "ii:i", host_module_normalize,                      \
	  "importing file, name: the file's name")                                          \
	X("env", host_module_load, "ii:i", host_module_load, "name, out bytes: its source") \
	X("env", host_get_timezone_offset, "ii:i", host_timezone, "seconds east of UTC")

/* Parameters of the longest signature. */
enum { WEIR_WASM_ARGUMENTS_MAX = 16 };

#endif
