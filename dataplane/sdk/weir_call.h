/* weir_call: for a native function that calls others of its namespace, by name, without HTTP:
 *
 *   #include <weir_call.h>
 *
 *   struct weir_call_answer answer;
 *   int result = weir_call(request, "hello", "Ada", 3, &answer);
 *
 *   if (result == 0 && answer.status == 200)
 *           ... answer.body ...
 *
 * While a call waits for an answer others run, as with everything that waits (weir_function.h). */
#ifndef WEIR_CALL_H
#define WEIR_CALL_H

#ifndef WEIR_FUNCTION_H
#include <weir_function.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

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

/* What came of it, valid until the calling function returns. */
struct weir_call_answer {
	unsigned int status; /* the called function's, or Weir's own if it could not run: 404 no such
			      * function, 429, 502, 503, 504, 508 a circle; one-way: 202 = will run */
	struct weir_text content_type;
	struct weir_text body;
	char activation[33]; /* of the call; zeros if none was made */
	void *memory;        /* the worker's */
};

/* The activation id of the function that called this one, and how many functions deep this is; empty and
 * 0 if a client did. */
static inline struct weir_text weir_request_parent(const struct weir_request *request)
{
	return request->parent;
}

static inline unsigned int weir_request_depth(const struct weir_request *request)
{
	return request->depth;
}

/* Begin a call; weir_call_wait() has its answer. At most 4 are under way at once and 64 are made by
 * one request; calls are at most 16 deep, and end when this request does: its deadline is theirs.
 * 0, -EINVAL (no name, unknown method), -EMSGSIZE (body), -E2BIG (the rest), -EBUSY (4 are under
 * way), -ENOBUFS (no memory for it now), -ENOMEM, -ECANCELED or -ETIMEDOUT. */
static inline int weir_call_start(const struct weir_request *request, const struct weir_call *call,
				  unsigned int *out_handle)
{
	return request->ops->call_start(request, call, out_handle);
}

/* Wait for the answer. 0, -EPIPE (it broke off), -EMSGSIZE (over 1 MiB), -EINVAL (no such handle),
 * -ENOMEM, -ECANCELED or -ETIMEDOUT. */
static inline int weir_call_wait(const struct weir_request *request, unsigned int handle,
				 struct weir_call_answer *out_answer)
{
	return request->ops->call_wait(request, handle, out_answer);
}

/* Both at once. Errors of both. */
static inline int weir_call_with(const struct weir_request *request, const struct weir_call *call,
				 struct weir_call_answer *out_answer)
{
	unsigned int handle = 0;
	const int result = request->ops->call_start(request, call, &handle);

	return result == 0 ? request->ops->call_wait(request, handle, out_answer) : result;
}

/* POST `body` to the function `name` and wait for its answer. */
static inline int weir_call(const struct weir_request *request, const char *name, const void *body,
			    size_t body_bytes, struct weir_call_answer *out_answer)
{
	struct weir_call call = {0};

	call.name = name;
	call.body = body;
	call.body_bytes = body_bytes;
	return weir_call_with(request, &call, out_answer);
}

/* Have the function `name` run on `body` after this one has answered; if this one fails, it does not
 * run. *out_answer: status 202 and the activation id, or why not. */
static inline int weir_call_one_way(const struct weir_request *request, const char *name,
				    const void *body, size_t body_bytes,
				    struct weir_call_answer *out_answer)
{
	struct weir_call call = {0};

	call.name = name;
	call.body = body;
	call.body_bytes = body_bytes;
	call.one_way = 1;
	return weir_call_with(request, &call, out_answer);
}

/* Give an answer's memory back before the function returns. */
static inline void weir_call_free(const struct weir_request *request,
				  struct weir_call_answer *answer)
{
	request->ops->call_free(request, answer);
}

#ifdef __cplusplus
}
#endif

#endif
