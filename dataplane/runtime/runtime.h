/* runtime: the table of callbacks that makes a worker a native, an exec, ... worker. Exactly one
 * runtime is linked into a worker; it sees calls only through struct weir_runtime_call, never a ring.
 *
 *   probe -> open -> load -> invoke ... invoke -> unload -> close
 *                     ^ once per function and version; reset after each invoke
 *
 * Threads: the worker runs one thread of function code at a time, but a call that waits gives its
 * place to others, so invoke() of other calls may run between two operations of one call; load,
 * unload, reset and cancel run between operations too. A runtime needs no lock for that.
 * Peer death: not visible here; waits return -ECANCELED. */
#ifndef WEIR_DATAPLANE_RUNTIME_RUNTIME_H
#define WEIR_DATAPLANE_RUNTIME_RUNTIME_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>

#include "dataplane/abi/head.h"
#include "dataplane/abi/message.h"
#include "dataplane/base/span.h"
#include "dataplane/sandbox/profile.h"

enum {
	WEIR_RUNTIME_REASON_BYTES = 200, /* with the NUL; what people get to read */
	WEIR_RUNTIME_POLL_MAX = 9,
	WEIR_RUNTIME_TARGET_FIELDS_MAX = 32,
	WEIR_RUNTIME_ANSWER_BYTES_MAX = 1 << 20, /* of a called function's answer */
	WEIR_RUNTIME_KEPT_BYTES_MAX = 65536,
};

/* What to load. Spans are NUL-terminated and valid during load() only. */
struct weir_runtime_function {
	uint64_t id;
	uint64_t version;
	uint64_t memory_bytes;
	struct weir_span space; /* namespace */
	struct weir_span name;
	struct weir_span code_path;   /* absolute */
	struct weir_span handler;     /* empty = the runtime's default */
	struct weir_span interpreter; /* empty = none */
	const char *const *environment; /* "NAME=value", ..., NULL; of the function's own */
};

/* A thing that one call at a time may use although calls take turns when they wait: an interpreter, an
 * instance's memory. Zeroed = free; the members are the host's. Calls get it in the order they asked. */
struct weir_runtime_lock {
	struct weir_runtime_call *owner;
	struct weir_runtime_call *first; /* those that wait */
	struct weir_runtime_call *last;
};

/* Where a function's output went. */
enum weir_runtime_stream { WEIR_RUNTIME_STDOUT, WEIR_RUNTIME_STDERR };

struct weir_runtime_call;

struct weir_runtime_field {
	struct weir_span name;
	struct weir_span value;
};

/* A function to call, of the caller's namespace, and what to send it. Spans are the runtime's. */
struct weir_runtime_target {
	struct weir_span name;  /* "NAME" or "NAMESPACE/NAME" */
	struct weir_span path;  /* empty: "/" */
	struct weir_span query; /* without '?' */
	struct weir_span body;  /* at most 1 MiB */
	const struct weir_runtime_field *fields;
	size_t field_count;
	uint8_t method; /* as in a request's head: weir_runtime_method(); 2 is POST */
	bool is_one_way;
};

/* What came of it: the called function's answer, or Weir's own with the reason (404 no such function,
 * 403 another namespace, 429 and 503 too many, 504 late, 508 too deep, ...). One-way: 202 when it was
 * accepted. Views are valid until nested_free() or the end of invoke(). */
struct weir_runtime_answer {
	uint32_t status;
	uint64_t activation_high;
	uint64_t activation_low;
	const struct weir_response_head *head; /* checked; its fields: weir_runtime_answer_field() */
	struct weir_span body;
	void *memory; /* the host's */
};

/* A request as a runtime sees it, and what it may do with it. Never blocks, except wait(); -EAGAIN
 * means wait() and try again; -ECANCELED means that nobody wants the answer: return soon. */
struct weir_runtime_call_ops {
	/* Next bytes of the body: 1 = *out_piece, 0 = ended, -EAGAIN, -ECANCELED. */
	int (*body_peek)(struct weir_runtime_call *call, struct weir_span *out_piece);
	void (*body_consume)(struct weir_runtime_call *call, size_t bytes);
	/* 0, -EINVAL, -EALREADY (the head was sent), -ENOSPC, -ECANCELED. */
	int (*status)(struct weir_runtime_call *call, uint32_t status);
	int (*field)(struct weir_runtime_call *call, struct weir_span name,
		     struct weir_span value);
	int (*length)(struct weir_runtime_call *call, uint64_t bytes);
	/* Where the answer's next bytes go, then how many of them were written. */
	int (*room)(struct weir_runtime_call *call, uint8_t **out_data, size_t *out_bytes);
	int (*commit)(struct weir_runtime_call *call, size_t bytes);
	/* Both at once, for bytes that lie elsewhere: *out_bytes of `bytes` (at least 1) were taken. */
	int (*append)(struct weir_runtime_call *call, const void *data, size_t bytes,
		      size_t *out_bytes);
	/* Send what is committed now, at least the head. 0, -EAGAIN, -ECANCELED. */
	int (*flush)(struct weir_runtime_call *call);
	/* Wait (others run meanwhile) until something may have changed for this call, one of `count`
	 * (0 .. WEIR_RUNTIME_POLL_MAX) descriptors is ready, or `until_ns` (CLOCK_MONOTONIC; the
	 * deadline if that is sooner) has passed. 0, -ETIMEDOUT, -ECANCELED. */
	int (*wait)(struct weir_runtime_call *call, struct pollfd *fds, size_t count,
		    uint64_t until_ns);
	/* One line of the function's own log: level is 0 debug, 1 info, 2 warning, 3 error. */
	void (*log)(struct weir_runtime_call *call, int level, struct weir_span text);
	/* What the function printed, any bytes in pieces of any size: its lines go to its log. What it
	 * writes to descriptors 1 and 2 gets there by itself. Not from a signal handler. */
	void (*print)(struct weir_runtime_call *call, enum weir_runtime_stream stream,
		      struct weir_span text);
	/* What the call of that activation was answered, any bytes (WEIR_RUNTIME_KEPT_BYTES_MAX at most), for who asks for
	 * it later. Of Weir's own functions only: what others send is refused where it arrives. */
	void (*keep)(struct weir_runtime_call *call, uint64_t activation_high, uint64_t activation_low,
		     struct weir_span text);
	/* Have `lock` alone, perhaps after waiting as wait() does; then let others have it. A call
	 * gives back what it has before invoke() returns. While one that has a lock waits the worker
	 * starts no other call, and what is queued there goes to other workers: so nobody it waits for
	 * can wait for the lock. 0, -ETIMEDOUT, -ECANCELED. */
	int (*lock)(struct weir_runtime_call *call, struct weir_runtime_lock *lock);
	void (*unlock)(struct weir_runtime_call *call, struct weir_runtime_lock *lock);
	/* Call another function; may wait as wait() does while the request is handed over. A runtime
	 * whose calls share a lock gives it back before if it can, see lock().
	 * 0 and *out_nested, -EBUSY (four are awaited already), -EINVAL (no name, too many fields),
	 * -E2BIG (name, path, query and fields over 3 KiB), -EMSGSIZE (body), -ENOBUFS (no memory at
	 * the gateway now), -ETIMEDOUT, -ECANCELED. */
	int (*nested_start)(struct weir_runtime_call *call,
			    const struct weir_runtime_target *target, uint32_t *out_nested);
	/* Its whole answer: 0, -EAGAIN, -EPIPE (it broke off), -EMSGSIZE (over
	 * WEIR_RUNTIME_ANSWER_BYTES_MAX), -ENOMEM, -ECANCELED. Then *nested is over. */
	int (*nested_answer)(struct weir_runtime_call *call, uint32_t nested,
			     struct weir_runtime_answer *out_answer);
	/* Nobody waits for that answer any more: the function is cancelled. */
	void (*nested_drop)(struct weir_runtime_call *call, uint32_t nested);
	void (*nested_free)(struct weir_runtime_call *call, struct weir_runtime_answer *answer);
	/* How many programs that this worker started the kernel has ended because the worker's memory
	 * was used up; 0 where nobody counts. */
	uint64_t (*memory_kills)(struct weir_runtime_call *call);
};

struct weir_runtime_call {
	const struct weir_runtime_call_ops *ops;
	const struct weir_request_head *head; /* checked; valid while the call runs */
	uint64_t deadline_ns;
	uint64_t activation_high;
	uint64_t activation_low;
	bool is_body_whole; /* the whole body is there: body_peek never returns -EAGAIN */
	void *running;      /* the runtime's own, NULL at the start */
	struct weir_runtime_call *lock_next; /* the host's: who waits for the same lock */
	/* Set by invoke() before it returns an error; FAILED and no text otherwise. */
	enum weir_abort abort_code;
	char abort_reason[WEIR_RUNTIME_REASON_BYTES];
};

struct weir_runtime_ops {
	const char *name; /* "native", "exec" */
	/* What its sandbox allows and shows on top of the least; NULL = nothing. The sandbox is
	 * entered after probe() and before open(). */
	const struct weir_sandbox_profile *sandbox;
	/* Its functions are C, or use C's stdio in this process: what they print there is taken from
	 * them at once, as if they had called print(). */
	bool prints_by_stdio;
	/* Can this machine run it? 0 or -errno and a reason for people. */
	int (*probe)(char out_reason[WEIR_RUNTIME_REASON_BYTES]);
	/* Before the first load. *out_runtime is passed to load and close. */
	int (*open)(void **out_runtime);
	/* Load a function: 0 and *out_instance, or -errno and a reason for people. May block on disk. */
	int (*load)(void *runtime, const struct weir_runtime_function *function,
		    void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES]);
	/* Run one call. 0 = the answer is complete, negative = failed, see abort_code. */
	int (*invoke)(void *instance, struct weir_runtime_call *call);
	/* The call that waits inside invoke() is cancelled: speed up its end. Must not use the call's
	 * operations. NULL where operations that return -ECANCELED are enough. */
	void (*cancel)(void *instance, struct weir_runtime_call *call);
	/* The call's deadline passed while it runs (not while it waits). Runs in a signal handler on the
	 * thread that is inside invoke(), again every 10 ms until invoke() returns: make it return soon.
	 * NULL: then a worker with such a call is killed when the grace is over. */
	void (*interrupt)(void *instance, struct weir_runtime_call *call);
	/* A signal that ends processes came, on this thread and its alternate stack: if a function of this
	 * runtime may cause that (a guard page), leave by siglongjmp, or return true: go on where it came
	 * from. False: it is not its own. NULL: never. */
	bool (*trap)(int number, const siginfo_t *info);
	/* Forget what a call left behind, after it and before the next. NULL: there is nothing. */
	void (*reset)(void *instance);
	/* No call runs in it any more. */
	void (*unload)(void *instance);
	void (*close)(void *runtime);
};

/* The runtime that is linked into this program. */
extern const struct weir_runtime_ops weir_runtime;

/* "GET" and so on: the names of the numbers in a request's head; empty for one out of range. */
static inline struct weir_span weir_runtime_method(const struct weir_runtime_call *call)
{
	static const struct weir_span names[] = {{"GET", 3},	{"HEAD", 4},  {"POST", 4},
						 {"PUT", 3},	{"DELETE", 6}, {"PATCH", 5},
						 {"OPTIONS", 7}};
	const size_t method = call->head->method;

	return method < sizeof(names) / sizeof(names[0]) ? names[method] : WEIR_SPAN("");
}

/* The bytes of a slice of the request's head. */
static inline struct weir_span weir_runtime_span(const struct weir_runtime_call *call,
						 struct weir_head_slice slice)
{
	return (struct weir_span){.data = (const char *)call->head + slice.offset,
				  .bytes = slice.bytes};
}

/* Value of the first field of that name (any case) in an answer; `data` is NULL if there is none. */
struct weir_span weir_runtime_answer_field(const struct weir_runtime_answer *answer,
					   struct weir_span name);

/* The number of a method's name, as a request's head has it; -EINVAL: Weir knows none of that name. */
int weir_runtime_method_find(struct weir_span name);

/* nested_answer(), waiting for it: 0 or its errors, -ETIMEDOUT. Whatever happens, the nested call is
 * over after this. runtime/nested.c, library weir_runtime_nested. */
int weir_runtime_nested_wait(struct weir_runtime_call *call, uint32_t nested,
			     struct weir_runtime_answer *out_answer);

/* The request's fields, followed by its path parameters (name, value). */
static inline const struct weir_head_field *
weir_runtime_fields(const struct weir_runtime_call *call)
{
	return (const struct weir_head_field *)(const void *)(call->head + 1);
}

#endif
