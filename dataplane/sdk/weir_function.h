/* weir_function: all that a native function includes. A shared object with one function:
 *
 *   #include <weir_function.h>
 *
 *   int weir_handle(const struct weir_request *request, struct weir_response *response)
 *   {
 *           weir_response_header(response, "content-type", "text/plain");
 *           return weir_response_write_text(response, "hello\n");
 *   }
 *
 *   cc -O2 -fPIC -shared -I DIR_OF_THIS_HEADER -o hello.so hello.c
 *
 * Return 0 when the answer is complete, negative when it failed (the caller gets 502).
 * Everything here is inline over a table of the worker, so a function links with nothing.
 * A function stays loaded and serves many requests, one at a time; while one of its calls waits in
 * read, write, flush or sleep, others run, so a static variable may change across those. Threads that
 * a function starts must be gone when it returns, and must not use request or response.
 * Views (struct weir_text) point into shared memory, are not NUL-terminated and are valid until
 * weir_handle returns. Waiting operations return -ECANCELED when the client left and -ETIMEDOUT when
 * the deadline passed: return then. */
#ifndef WEIR_FUNCTION_H
#define WEIR_FUNCTION_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_FUNCTION_ABI 2 /* 2: weir_call.h. A worker runs functions of 1, too. */

/* Handlers other than weir_handle need this to be found. */
#define WEIR_FUNCTION_EXPORT __attribute__((visibility("default")))

#define WEIR_LENGTH_UNKNOWN UINT64_MAX

struct weir_text { /* borrowed bytes; `data` is NULL where there is nothing */
	const char *data;
	size_t bytes;
};

enum weir_function_log_level {
	WEIR_FUNCTION_DEBUG,
	WEIR_FUNCTION_INFO,
	WEIR_FUNCTION_WARNING,
	WEIR_FUNCTION_ERROR,
};

struct weir_request;
struct weir_response;
struct weir_call; /* weir_call.h */
struct weir_call_answer;

/* The worker's side. It only grows at its end; members are private, use the functions below. */
struct weir_function_ops {
	struct weir_text (*header)(const struct weir_request *request, const char *name);
	int (*header_at)(const struct weir_request *request, size_t index,
			 struct weir_text *out_name, struct weir_text *out_value);
	struct weir_text (*param)(const struct weir_request *request, const char *name);
	int (*body)(const struct weir_request *request, struct weir_text *out_body);
	ssize_t (*read)(const struct weir_request *request, void *data, size_t bytes);
	int (*sleep_ms)(const struct weir_request *request, uint64_t ms);
	void (*log)(const struct weir_request *request, int level, const char *text);
	int (*status)(struct weir_response *response, unsigned int status);
	int (*field)(struct weir_response *response, struct weir_text name,
		     struct weir_text value);
	int (*length)(struct weir_response *response, uint64_t bytes);
	int (*write)(struct weir_response *response, const void *data, size_t bytes);
	int (*flush)(struct weir_response *response);
	int (*reserve)(struct weir_response *response, void **out_data, size_t *out_bytes);
	int (*commit)(struct weir_response *response, size_t bytes);
	int (*call_start)(const struct weir_request *, const struct weir_call *, unsigned int *);
	int (*call_wait)(const struct weir_request *, unsigned int, struct weir_call_answer *);
	void (*call_free)(const struct weir_request *, struct weir_call_answer *);
};

struct weir_request { /* private, too */
	const struct weir_function_ops *ops;
	void *worker;
	struct weir_text method;
	struct weir_text path;
	struct weir_text query;
	struct weir_text pattern;
	struct weir_text host;
	struct weir_text peer;
	uint64_t body_bytes;
	uint64_t deadline_ns;
	uint64_t activation_high;
	uint64_t activation_low;
	struct weir_text parent;
	unsigned int depth;
};

struct weir_response {
	const struct weir_function_ops *ops;
	void *worker;
};

/* The worker checks this constant before it calls anything. */
extern const uint32_t weir_function_abi;
__attribute__((visibility("default"), weak)) const uint32_t weir_function_abi =
	WEIR_FUNCTION_ABI;

/* Yours to write. */
WEIR_FUNCTION_EXPORT int weir_handle(const struct weir_request *request,
				     struct weir_response *response);

/* ---- the request ---- */

/* "GET", "POST", ... */
static inline struct weir_text weir_request_method(const struct weir_request *request)
{
	return request->method;
}

/* Decoded and normalised: "/img/a b". */
static inline struct weir_text weir_request_path(const struct weir_request *request)
{
	return request->path;
}

/* As sent, without '?'; empty if there is none. */
static inline struct weir_text weir_request_query(const struct weir_request *request)
{
	return request->query;
}

/* The route's pattern: "/img/{id}". */
static inline struct weir_text weir_request_pattern(const struct weir_request *request)
{
	return request->pattern;
}

/* The Host field. */
static inline struct weir_text weir_request_host(const struct weir_request *request)
{
	return request->host;
}

/* The client's address: "127.0.0.1", or "unix". */
static inline struct weir_text weir_request_peer(const struct weir_request *request)
{
	return request->peer;
}

/* When the answer is due, ns of CLOCK_MONOTONIC. */
static inline uint64_t weir_request_deadline_ns(const struct weir_request *request)
{
	return request->deadline_ns;
}

/* 32 hex digits and a NUL: the id in x-openwhisk-activation-id. */
static inline void weir_request_activation(const struct weir_request *request,
					   char out_text[33])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < 16; i++) {
		out_text[i] = digits[(request->activation_high >> (60 - 4 * i)) & 15];
		out_text[16 + i] = digits[(request->activation_low >> (60 - 4 * i)) & 15];
	}
	out_text[32] = '\0';
}

/* Value of the first field of that name (any case); `data` is NULL if there is none. */
static inline struct weir_text weir_request_header(const struct weir_request *request,
						   const char *name)
{
	return request->ops->header(request, name);
}

/* The index-th field, from 0: 1 = written, 0 = there are no more. */
static inline int weir_request_header_at(const struct weir_request *request, size_t index,
					 struct weir_text *out_name,
					 struct weir_text *out_value)
{
	return request->ops->header_at(request, index, out_name, out_value);
}

/* Value of the pattern's parameter: "id" of "/img/{id}"; `data` is NULL if there is none. */
static inline struct weir_text weir_request_param(const struct weir_request *request,
						  const char *name)
{
	return request->ops->param(request, name);
}

/* Body bytes as announced, or WEIR_LENGTH_UNKNOWN. */
static inline uint64_t weir_request_body_bytes(const struct weir_request *request)
{
	return request->body_bytes;
}

/* The whole body without a copy, if it came with the request (small bodies do): 0, or -EAGAIN: use
 * weir_request_read(). Do not mix the two. */
static inline int weir_request_body(const struct weir_request *request,
				    struct weir_text *out_body)
{
	return request->ops->body(request, out_body);
}

/* Copy the body's next bytes, at most `bytes`. Waits for at least one. Returns how many, 0 at the end,
 * -ECANCELED or -ETIMEDOUT. */
static inline ssize_t weir_request_read(const struct weir_request *request, void *data,
					size_t bytes)
{
	return request->ops->read(request, data, bytes);
}

/* ---- the worker ---- */

/* Let others run for that long. 0, -ECANCELED or -ETIMEDOUT. */
static inline int weir_function_sleep_ms(const struct weir_request *request, uint64_t ms)
{
	return request->ops->sleep_ms(request, ms);
}

/* A line of the function's log (`ctrlctl fn logs`), where what it prints to stdout and stderr is, too. */
static inline void weir_function_log(const struct weir_request *request,
				     enum weir_function_log_level level, const char *text)
{
	request->ops->log(request, (int)level, text);
}

/* ---- the response ---- */

/* 200 .. 599, before the first write or flush; 200 if never set. 0, -EINVAL or -EALREADY. */
static inline int weir_response_status(struct weir_response *response, unsigned int status)
{
	return response->ops->status(response, status);
}

/* Add a field, before the first write or flush; both are copied. Fields that frame the message
 * (Content-Length, Connection, ...) are Weir's own and are dropped. 0, -EINVAL (not a token, or
 * control characters), -ENOSPC (64 fields, 4 KiB) or -EALREADY. */
static inline int weir_response_header(struct weir_response *response, const char *name,
				       const char *value)
{
	const struct weir_text name_text = {name, strlen(name)};
	const struct weir_text value_text = {value, strlen(value)};

	return response->ops->field(response, name_text, value_text);
}

/* The same with a value that has no NUL at its end. */
static inline int weir_response_header_text(struct weir_response *response, const char *name,
					    struct weir_text value)
{
	const struct weir_text name_text = {name, strlen(name)};

	return response->ops->field(response, name_text, value);
}

/* Announce how long the body will be; without it a long answer is sent chunked. 0, -EINVAL or
 * -EALREADY (something was sent). */
static inline int weir_response_length(struct weir_response *response, uint64_t bytes)
{
	return response->ops->length(response, bytes);
}

/* Append to the body. Waits while the client is slower than the function. 0, -ECANCELED, -ETIMEDOUT,
 * -EMSGSIZE (more than announced), -EINVAL (204 and 304 have no body). */
static inline int weir_response_write(struct weir_response *response, const void *data,
				      size_t bytes)
{
	return response->ops->write(response, data, bytes);
}

static inline int weir_response_write_text(struct weir_response *response, const char *text)
{
	return response->ops->write(response, text, strlen(text));
}

/* Send what was written now, as a part that the client sees at once. 0, -ECANCELED or -ETIMEDOUT. */
static inline int weir_response_flush(struct weir_response *response)
{
	return response->ops->flush(response);
}

/* Write in place: *out_data takes up to *out_bytes (at least 1) bytes, then commit what was written.
 * Errors as write; the place is valid until the next operation on the response. */
static inline int weir_response_reserve(struct weir_response *response, void **out_data,
					size_t *out_bytes)
{
	return response->ops->reserve(response, out_data, out_bytes);
}

static inline int weir_response_commit(struct weir_response *response, size_t bytes)
{
	return response->ops->commit(response, bytes);
}

#ifdef __cplusplus
}
#endif

#endif
