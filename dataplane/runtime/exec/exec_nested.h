/* exec_nested: a program calls other functions of its namespace while it runs, through descriptor
 * WEIR_CALL_FD of its environment. The command `weir-call` (exec/call_main.c) does it for shells; this
 * is what it speaks:
 *
 *   program                                          worker
 *   socketpair(AF_UNIX, SOCK_STREAM)
 *   sendmsg(WEIR_CALL_FD): one byte, one end  ---->  a connection: one call
 *   name hello\n [method M\n] [path P\n] [query Q\n] [content-type T\n] [one-way\n] \n body
 *   shutdown(SHUT_WR): that was all           ---->  nested_start()
 *                                             <----  status 200\n activation ID\n [content-type T\n] \n body
 *                                                    or error SENTENCE\n \n; then the end
 *
 * Without a method it is GET where there is no body, else POST. As many connections as answers can be
 * awaited are served at once, more wait in the socket. A connection that its program lets go of ends its
 * call; all end with the program.
 * Owns: the worker's end of the socket, connections and what they gather. Threads: the call's. */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_NESTED_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_NESTED_H

#include "dataplane/runtime/runtime.h"

enum {
	WEIR_EXEC_CALLS_MAX = 4, /* at once */
	WEIR_EXEC_CALL_POLL = WEIR_EXEC_CALLS_MAX + 1,
	WEIR_EXEC_CALL_HEAD_BYTES = 512, /* of an answer */
};

struct weir_exec_connection {
	int fd;           /* -1 = there is none */
	bool is_asked;    /* the request is whole */
	bool is_running;  /* `nested` is awaited */
	bool is_answered; /* what is below is being sent */
	bool is_too_long;
	uint32_t nested;
	char *request;
	size_t request_bytes;
	size_t request_capacity;
	char head[WEIR_EXEC_CALL_HEAD_BYTES];
	size_t head_bytes;
	size_t sent; /* of head and body */
	struct weir_runtime_answer answer; /* `memory` is NULL: there is none */
};

struct weir_exec_nested {
	struct weir_runtime_call *call;
	int fd; /* -1 = the program has let go of it */
	struct weir_exec_connection connection[WEIR_EXEC_CALLS_MAX];
};

/* Make the socket; *out_child_fd is the program's end, to be closed here. 0 or -errno. */
int weir_exec_nested_open(struct weir_exec_nested *nested, struct weir_runtime_call *call, int *out_child_fd);
void weir_exec_nested_close(struct weir_exec_nested *nested);

/* What to wait for; -1 where there is nothing. */
void weir_exec_nested_poll(const struct weir_exec_nested *nested, struct pollfd fds[WEIR_EXEC_CALL_POLL]);

/* Go on with everything after a wait for `fds`. May wait. 0, -ECANCELED or -ETIMEDOUT. */
int weir_exec_nested_serve(struct weir_exec_nested *nested, const struct pollfd fds[WEIR_EXEC_CALL_POLL]);

#endif
