/* php_call: one call on its way through PHP, as the parts of this runtime share it.
 *
 *   gather body -> lock -> engine_begin -> script: echo --> output | flush() --> client
 *                                                  stderr -> log    -> engine_end -> unlock -> send
 *
 * Owns: body, output and environment, until weir_php_call_close().
 * Threads: the call's; only while the engine is locked may PHP see it. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_CALL_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_CALL_H

#include <php.h>

#include <stdatomic.h>

#include "dataplane/runtime/exec/exec_answer.h"
#include "dataplane/runtime/exec/exec_environment.h"
#include "dataplane/runtime/runtime.h"

enum {
	/* As much of an answer is kept until the script has ended; what is longer is sent as it comes, and
	 * the script waits for its client. */
	WEIR_PHP_OUTPUT_BYTES_MAX = 8 << 20,
	WEIR_PHP_LIMIT_BYTES = 24,       /* a memory limit as text */
};

struct weir_php_instance {
	char *path;
	char *directory;
	char *name;         /* namespace/name */
	char *handler;      /* NULL = a script */
	char **environment; /* "NAME=value", ..., NULL */
	int directory_fd;   /* -1 = none */
	bool is_row;        /* of the public table: answers as `php FILE` did (exec/exec_answer.h) */
	bool has_stdio;     /* its file names STDIN, STDOUT or STDERR */
	uint64_t memory_bytes;
	char memory_limit[WEIR_PHP_LIMIT_BYTES];
};

struct weir_php_call {
	struct weir_runtime_call *base;
	const struct weir_php_instance *instance;
	zend_string *body; /* not of PHP's heap; NULL = empty */
	size_t body_taken; /* by PHP's readers of posted data */
	char *output;
	size_t output_bytes;
	size_t output_capacity;
	uint64_t output_total; /* sent or kept */
	uint64_t fatal_total;  /* what had been printed when the fatal error came */
	char error[WEIR_EXEC_SHOWN_BYTES_MAX]; /* the beginning of standard error */
	size_t error_bytes;
	uint64_t error_total;
	int send_result;   /* what ended the sending: 0, -ECANCELED, ... */
	uint32_t status;   /* of the answer */
	bool is_handler;   /* what is printed is no answer but goes to the log */
	bool is_fatal;     /* base->abort_reason says why */
	bool is_streaming; /* the head was sent */
	bool has_environment;
	_Atomic bool is_interrupted; /* the deadline passed while PHP ran; set in a signal handler */
	struct weir_exec_environment environment;
};

/* Did the deadline pass while PHP ran? */
static inline bool weir_php_call_is_interrupted(const struct weir_php_call *running)
{
	return atomic_load_explicit(&running->is_interrupted, memory_order_relaxed);
}

/* A call without anything yet. */
void weir_php_call_open(struct weir_php_call *running, const struct weir_php_instance *instance,
			struct weir_runtime_call *base);
void weir_php_call_close(struct weir_php_call *running);

/* Wait for the whole body. 0, -ECANCELED, -ETIMEDOUT, -ENOMEM, or -EFBIG: longer than the function's
 * memory; the last two with a reason. */
int weir_php_call_gather(struct weir_php_call *running);

/* The function failed because of `text`, or of its first line; the first reason stays. */
void weir_php_call_blame(struct weir_php_call *running, const char *text);

/* "NAME=value" of the variables that tell a script about its call (exec/exec_environment.h); NULL
 * where there is no memory. */
char **weir_php_call_environment(struct weir_php_call *running);

#endif
