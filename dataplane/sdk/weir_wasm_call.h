/* weir_wasm_call: a WebAssembly function calls others of its namespace, by name, as native ones do with
 * weir_call.h:
 *
 *   struct weir_call_answer answer;
 *   int result = weir_call(request, "hello", "Ada", 3, &answer);
 *
 *   if (result == 0 && answer.status == 200)
 *           ... answer.body ...
 *
 * Owns: answers lie in memory that stays until the call ends. While one waits for an answer others run. */
#ifndef WEIR_WASM_CALL_H
#define WEIR_WASM_CALL_H

#include <weir_wasm.h>

/* What to send to another function; zero members mean what stands in brackets. */
struct weir_call {
	const char *name;         /* "hello"; functions of one's own namespace only */
	const char *method;       /* ["POST"] */
	const char *path;         /* ["/"] */
	const char *query;        /* [none] without '?' */
	const char *content_type; /* [none] */
	const void *body;         /* [none] */
	size_t body_bytes;        /* at most 1 MiB */
	int one_way;              /* not 0: runs after this function has answered, nobody waits */
};

/* What came of it. */
struct weir_call_answer {
	unsigned int status; /* the called function's, or Weir's own if it could not run: 404 no such
			      * function, 429, 502, 503, 504, 508 a circle; one-way: 202 = will run */
	struct weir_text content_type;
	struct weir_text body;
	char activation[33]; /* of the call; zeros if none was made */
};

/* The activation id of the function that called this one; empty if a client did. */
static inline struct weir_text weir_request_parent(const struct weir_request *request)
{
	(void)request;
	return weir_wasm_text_of(7);
}

/* An option of the next call, if there is one. */
static inline void weir_wasm_call_set(int32_t which, const char *text)
{
	if (text != NULL)
		(void)weir_wasm_call_option(which, text, strlen(text));
}

/* Call and wait. 0, or a negative errno: -EINVAL (no name, unknown method), -EMSGSIZE (body, or an answer
 * over 1 MiB), -E2BIG (the rest), -ENOBUFS (no memory for it now), -EPIPE (the answer broke off). */
static inline int weir_call_with(const struct weir_request *request, const struct weir_call *call,
				 struct weir_call_answer *out_answer)
{
	struct weir_call_answer answer = {0};
	const char *const name = call->name != NULL ? call->name : "";
	int32_t status = 0;

	(void)request;
	weir_wasm_call_set(0, call->method);
	weir_wasm_call_set(1, call->path);
	weir_wasm_call_set(2, call->query);
	weir_wasm_call_set(3, call->content_type);
	status = weir_wasm_call(name, strlen(name), call->body, call->body_bytes, call->one_way);
	if (status < 0)
		return status;
	answer.status = (unsigned int)status;
	WEIR_WASM_TEXT(answer.content_type, weir_wasm_call_text(0, out, bytes));
	WEIR_WASM_TEXT(answer.body, weir_wasm_call_body(out, bytes));
	(void)weir_wasm_call_text(1, answer.activation, sizeof(answer.activation) - 1);
	*out_answer = answer;
	return 0;
}

/* POST `body` to the function `name` and wait for its answer. */
static inline int weir_call(const struct weir_request *request, const char *name, const void *body,
			    size_t body_bytes, struct weir_call_answer *out_answer)
{
	const struct weir_call call = {.name = name, .body = body, .body_bytes = body_bytes};

	return weir_call_with(request, &call, out_answer);
}

/* Have the function `name` run on `body` after this one has answered; if this one fails, it does not
 * run. *out_answer: status 202 and the activation id, or why not. */
static inline int weir_call_one_way(const struct weir_request *request, const char *name,
				    const void *body, size_t body_bytes,
				    struct weir_call_answer *out_answer)
{
	const struct weir_call call = {
		.name = name, .body = body, .body_bytes = body_bytes, .one_way = 1};

	return weir_call_with(request, &call, out_answer);
}

#endif
