/* weir_wasm_imports: what weir_wasm.h stands on, for itself: the functions that the worker offers to
 * WebAssembly modules as module "weir". Texts are copied to where the caller says; the result is the whole
 * length, or -1 = there is none. Others give 0 or more, or a negative errno.
 * Owns: texts lie in malloc'd memory, which is gone when the call ends. */
#ifndef WEIR_WASM_IMPORTS_H
#define WEIR_WASM_IMPORTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Borrowed bytes; `data` is NULL where there is nothing. */
struct weir_text {
	const char *data;
	size_t bytes;
};

/* The worker's side: dataplane/runtime/wasm/imports.h. */
#define WEIR_WASM_IMPORT(name) __attribute__((import_module("weir"), import_name(#name)))
/* A text of the request by number: its length, or -1. */
WEIR_WASM_IMPORT(request_text) int32_t weir_wasm_text(int32_t which, void *out, size_t bytes);
/* The first field of that name: its length, or -1. */
WEIR_WASM_IMPORT(request_header)
int32_t weir_wasm_header(const void *name, size_t name_bytes, void *out, size_t bytes);
/* Name or value of the index-th field: its length, or -1. */
WEIR_WASM_IMPORT(request_header_at)
int32_t weir_wasm_header_at(size_t index, int32_t is_value, void *out, size_t bytes);
/* A parameter of the route: its length, or -1. */
WEIR_WASM_IMPORT(request_param)
int32_t weir_wasm_param(const void *name, size_t name_bytes, void *out, size_t bytes);
/* 0 body bytes, 1 ms left, 2 deadline in ns. */
WEIR_WASM_IMPORT(request_number) uint64_t weir_wasm_number(int32_t which);
/* The body's next bytes: how many, 0 at its end. */
WEIR_WASM_IMPORT(request_read) int32_t weir_wasm_read(void *out, size_t bytes);
/* Let others run. */
WEIR_WASM_IMPORT(sleep_ms) int32_t weir_wasm_sleep_ms(uint64_t ms);
/* A line of the log. */
WEIR_WASM_IMPORT(log) void weir_wasm_log(int32_t level, const void *text, size_t bytes);
/* 200 .. 599. */
WEIR_WASM_IMPORT(response_status) int32_t weir_wasm_status(uint32_t status);
/* A field of the response. */
WEIR_WASM_IMPORT(response_header)
int32_t weir_wasm_field(const void *name, size_t name_bytes, const void *value, size_t bytes);
/* Of the body to come. */
WEIR_WASM_IMPORT(response_length) int32_t weir_wasm_length(uint64_t bytes);
/* How many bytes were taken. */
WEIR_WASM_IMPORT(response_write) int32_t weir_wasm_write(const void *data, size_t bytes);
/* Send what was written. */
WEIR_WASM_IMPORT(response_flush) int32_t weir_wasm_flush(void);
/* The status of another function's answer. */
WEIR_WASM_IMPORT(call)
int32_t weir_wasm_call(const void *name, size_t name_bytes, const void *body, size_t bytes,
		       int32_t is_one_way);
/* The body of that answer: its length. */
WEIR_WASM_IMPORT(call_body) int32_t weir_wasm_call_body(void *out, size_t bytes);
/* Of the next call: 0 its method, 1 path, 2 query, 3 content-type. */
WEIR_WASM_IMPORT(call_option)
int32_t weir_wasm_call_option(int32_t which, const void *text, size_t bytes);
/* Of the last answer: 0 its content-type, 1 its activation id: the length, or -1. */
WEIR_WASM_IMPORT(call_text) int32_t weir_wasm_call_text(int32_t which, void *out, size_t bytes);

/* The worker copies a text of the length it names to malloc'd memory; call(out, bytes) asks for it. */
#define WEIR_WASM_TEXT(text, call)                       \
	do {                                             \
		char *out = NULL;                        \
		size_t bytes = 0;                        \
		int32_t length = (call);                 \
                                                         \
		if (length < 0)                          \
			break;                           \
		bytes = (size_t)length;                  \
		out = malloc(bytes + 1);                 \
		if (out == NULL)                         \
			break;                           \
		(void)(call);                            \
		out[bytes] = '\0';                       \
		(text) = (struct weir_text){out, bytes}; \
	} while (0)

/* A text of the request by number, in memory that stays until the call ends. */
static inline struct weir_text weir_wasm_text_of(int32_t which)
{
	struct weir_text text = {NULL, 0};

	WEIR_WASM_TEXT(text, weir_wasm_text(which, out, bytes));
	return text;
}

#endif
