/* exec_child: one child process with three pipes, in its own process group, killed with its parent.
 *
 *   parent  in_fd --> 0  child  1 --> out_fd   2 --> error_fd     exit --> pid_fd (readable)
 *
 * Owns: descriptors and process from start to close. Threads: the one that started it, which must
 * live longer than the child: the kernel kills a child when the *thread* that made it ends. */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_CHILD_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_CHILD_H

#include <sys/types.h>

struct weir_exec_child {
	pid_t pid; /* 0 = none, or reaped */
	int pid_fd;
	int in_fd; /* non-blocking, as the others; -1 = closed */
	int out_fd;
	int error_fd;
	int exit_code; /* valid once reaped: 0 .. 255, or 128 + signal */
};

/* What to start. argv[0] is an absolute path; argv and environment end with NULL; `directory` becomes
 * the working directory. */
struct weir_exec_program {
	char *const *argv;
	char *const *environment;
	const char *directory;
	int call_fd; /* stays the caller's; the program has it as WEIR_EXEC_CALL_FD */
};

enum { WEIR_EXEC_CALL_FD = 20 }; /* beyond those that shell scripts have for themselves */


/* Start it. 0, or -errno: of the pipes, or of execve in the child (-ENOENT, -EACCES, -ENOEXEC, ...). */
int weir_exec_child_start(struct weir_exec_child *child,
			  const struct weir_exec_program *program);

/* Kill the child's whole process group. Nothing if it was reaped. */
void weir_exec_child_kill(const struct weir_exec_child *child);

/* The child ended or was killed: end what it left behind in its group and set exit_code. */
void weir_exec_child_reap(struct weir_exec_child *child);

/* Kill, reap, close what is still there. */
void weir_exec_child_close(struct weir_exec_child *child);

#endif
