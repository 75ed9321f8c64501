/* weir_wasm: all that a WebAssembly function in C includes. It has the functions of weir_function.h, so
 * most sources can be built for both:
 *
 *   #include <weir_wasm.h>
 *
 *   int weir_handle(const struct weir_request *request, struct weir_response *response)
 *   {
 *           weir_response_header(response, "content-type", "text/plain");
 *           return weir_response_write_text(response, "hello\n");
 *   }
 *
 *   clang --target=wasm32-wasi -O2 -I DIR_OF_THIS_HEADER -c hello.c -o hello.o
 *   clang --target=wasm32-wasi -mexec-model=reactor hello.o -o hello.wasm
 *
 * A program with a main() needs none of this: its standard input is the request's body, its standard
 * output the answer, CGI's environment variables the request's head. It may use the functions here, too,
 * with weir_request_current() and weir_response_current().
 * Return 0 when the answer is complete, negative when it failed (the caller gets 502).
 * Everything a call leaves in memory is gone after it: each begins with the memory as it was when the
 * module had started. So nothing needs to be freed, and texts (struct weir_text) stay until the end. */
#ifndef WEIR_WASM_H
#define WEIR_WASM_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <weir_wasm_imports.h>

#define WEIR_LENGTH_UNKNOWN UINT64_MAX

enum weir_function_log_level {
	WEIR_FUNCTION_DEBUG,
	WEIR_FUNCTION_INFO,
	WEIR_FUNCTION_WARNING,
	WEIR_FUNCTION_ERROR,
};

/* Of the only call; there is nothing in them. */
struct weir_request {
	int reserved;
};
struct weir_response {
	int reserved;
};

/* Yours to write, unless the module is a program with a main(). */
int weir_handle(const struct weir_request *request, struct weir_response *response)
	__attribute__((weak));

/* The request and the response of the call that runs. */
static inline const struct weir_request *weir_request_current(void)
{
	static const struct weir_request request;

	return &request;
}

/* The request and the response of the call that runs. */
static inline struct weir_response *weir_response_current(void)
{
	static struct weir_response response;

	return &response;
}

/* What the worker calls. A program has no weir_handle, and nobody calls this. */
int weir_wasm_handle(void);
__attribute__((export_name("weir_handle"), weak)) int weir_wasm_handle(void)
{
	if (weir_handle == NULL)
		return -1;
	return weir_handle(weir_request_current(), weir_response_current());
}

/* ---- the request ---- */

/* "GET", "POST", ... */
static inline struct weir_text weir_request_method(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(0);
}

/* Decoded and normalised: "/img/a b". */
static inline struct weir_text weir_request_path(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(1);
}

/* As sent, without '?'; empty if there is none. */
static inline struct weir_text weir_request_query(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(2);
}

/* The route's pattern: "/img/{id}". */
static inline struct weir_text weir_request_pattern(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(3);
}

/* The Host field. */
static inline struct weir_text weir_request_host(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(4);
}

/* The client's address: "127.0.0.1", or "unix". */
static inline struct weir_text weir_request_peer(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(5);
}

/* When the answer is due, ns of CLOCK_MONOTONIC. */
static inline uint64_t weir_request_deadline_ns(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_number(2);
}

/* 32 hex digits and a NUL: the id in x-openwhisk-activation-id. */
static inline void weir_request_activation(const struct weir_request *request,
					   char out_text[33])
{
	(void)request;
	(void)weir_wasm_text(6, out_text, 32);
	out_text[32] = '\0';
}

/* Value of the first field of that name (any case); `data` is NULL if there is none. */
static inline struct weir_text weir_request_header(const struct weir_request *request,
						   const char *name)
{
	struct weir_text text = {NULL, 0};

	(void)request;
	WEIR_WASM_TEXT(text, weir_wasm_header(name, strlen(name), out, bytes));
	return text;
}

/* The index-th field, from 0: 1 = written, 0 = there are no more. */
static inline int weir_request_header_at(const struct weir_request *request, size_t index,
					 struct weir_text *out_name,
					 struct weir_text *out_value)
{
	struct weir_text name = {NULL, 0};
	struct weir_text value = {NULL, 0};

	(void)request;
	WEIR_WASM_TEXT(name, weir_wasm_header_at(index, 0, out, bytes));
	WEIR_WASM_TEXT(value, weir_wasm_header_at(index, 1, out, bytes));
	if (name.data == NULL || value.data == NULL)
		return 0;
	*out_name = name;
	*out_value = value;
	return 1;
}

/* Value of the pattern's parameter: "id" of "/img/{id}"; `data` is NULL if there is none. */
static inline struct weir_text weir_request_param(const struct weir_request *request,
						  const char *name)
{
	struct weir_text text = {NULL, 0};

	(void)request;
	WEIR_WASM_TEXT(text, weir_wasm_param(name, strlen(name), out, bytes));
	return text;
}

/* Body bytes as announced, or WEIR_LENGTH_UNKNOWN. */
static inline uint64_t weir_request_body_bytes(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_number(0);
}

/* Copy the body's next bytes, at most `bytes`. Waits for at least one. How many, 0 at the end. */
static inline ssize_t weir_request_read(const struct weir_request *request, void *data,
					size_t bytes)
{
	(void)request;
	return weir_wasm_read(data, bytes);
}

/* The whole body, however long, as long as memory lasts: 0 or -ENOMEM. */
static inline int weir_request_body(const struct weir_request *request,
				    struct weir_text *out_body)
{
	size_t room = 4096;
	size_t used = 0;
	char *data = malloc(room);

	while (data != NULL) {
		const ssize_t got = weir_request_read(request, data + used, room - used - 1);

		if (got <= 0) {
			data[used] = '\0';
			*out_body = (struct weir_text){data, used};
			return (int)got;
		}
		used += (size_t)got;
		if (room - used < 2048) {
			room *= 2;
			data = realloc(data, room);
		}
	}
	return -ENOMEM;
}

/* ---- the worker ---- */

/* Let others run for that long. */
static inline int weir_function_sleep_ms(const struct weir_request *request, uint64_t ms)
{
	(void)request;
	return weir_wasm_sleep_ms(ms);
}

/* One line in Weir's log, with the function's name and the activation id. */
static inline void weir_function_log(const struct weir_request *request,
				     enum weir_function_log_level level, const char *text)
{
	(void)request;
	weir_wasm_log((int32_t)level, text, strlen(text));
}

/* ---- the response: 0 or a negative errno ---- */

/* 200 .. 599, before the first write or flush; 200 if never set. */
static inline int weir_response_status(struct weir_response *response, unsigned int status)
{
	(void)response;
	return weir_wasm_status(status);
}

/* Add a field, before the first write or flush; both are copied. */
static inline int weir_response_header(struct weir_response *response, const char *name,
				       const char *value)
{
	(void)response;
	return weir_wasm_field(name, strlen(name), value, strlen(value));
}

/* The same with a value that has no NUL at its end. */
static inline int weir_response_header_text(struct weir_response *response, const char *name,
					    struct weir_text value)
{
	(void)response;
	return weir_wasm_field(name, strlen(name), value.data, value.bytes);
}

/* Announce how long the body will be. */
static inline int weir_response_length(struct weir_response *response, uint64_t bytes)
{
	(void)response;
	return weir_wasm_length(bytes);
}

/* Append to the body. Waits while the client is slower than the function. */
static inline int weir_response_write(struct weir_response *response, const void *data,
				      size_t bytes)
{
	const char *from = data;

	(void)response;
	while (bytes != 0) {
		const int32_t taken = weir_wasm_write(from, bytes);

		if (taken < 0)
			return taken;
		from += taken;
		bytes -= (size_t)taken;
	}
	return 0;
}

static inline int weir_response_write_text(struct weir_response *response, const char *text)
{
	return weir_response_write(response, text, strlen(text));
}

/* Send what was written now, as a part that the client sees at once. */
static inline int weir_response_flush(struct weir_response *response)
{
	(void)response;
	return weir_wasm_flush();
}

#endif
