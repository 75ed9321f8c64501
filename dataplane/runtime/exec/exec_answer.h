/* exec_answer: what a program wrote becomes an HTTP answer, by the C seed's contract.
 *
 *   exit 0, output      { or [ first: the output as it is    else {"result":"<output, escaped>"}
 *   else                500 {"error":"Function failed","exit_code":N,"output_bytes":N,
 *                            "output":"<first 200 bytes of output and standard error, escaped>"}
 *
 * Up to WEIR_EXEC_OUTPUT_BYTES_MAX of output is kept until the exit code is known; a longer output
 * is sent as it comes, and a failure then cuts the answer.
 * Owns: its buffer, from open to close. Threads: the call's. May wait for the client. */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_ANSWER_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_ANSWER_H

#include "dataplane/runtime/runtime.h"

enum {
	WEIR_EXEC_OUTPUT_BYTES_MAX = 1 << 20,
	WEIR_EXEC_SHOWN_BYTES_MAX = 200,
};

struct weir_exec_answer {
	struct weir_runtime_call *call;
	char *output;
	size_t output_bytes;
	size_t output_capacity;
	uint64_t output_total;
	char error[WEIR_EXEC_SHOWN_BYTES_MAX]; /* the beginning of standard error; all of it is printed */
	size_t error_bytes;
	uint64_t error_total;
	bool is_begun; /* the head went out */
	bool is_wrapped;
};

/* 0 or -ENOMEM. */
int weir_exec_answer_open(struct weir_exec_answer *answer, struct weir_runtime_call *call);
void weir_exec_answer_close(struct weir_exec_answer *answer);

/* Read what is in the pipe `fd`. 1 = read something, 0 = it ended, -EAGAIN = empty, -ENOMEM, or what
 * sending an overlong output returned. */
int weir_exec_answer_read_output(struct weir_exec_answer *answer, int fd);
int weir_exec_answer_read_error(struct weir_exec_answer *answer, int fd);

/* The same for what is here already; errors are only kept, not printed. 0, or as reading. */
int weir_exec_answer_add_output(struct weir_exec_answer *answer, const void *data, size_t bytes);
void weir_exec_answer_add_error(struct weir_exec_answer *answer, const void *data, size_t bytes);

/* The program ended. 0 = answered; or what waiting returned; -EIO = it failed after its answer had
 * begun. */
int weir_exec_answer_finish(struct weir_exec_answer *answer, int exit_code);

#endif
