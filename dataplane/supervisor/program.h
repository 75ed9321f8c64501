/* program: starting a program of ours: what it inherits: standard output and
 * error, descriptor 3, /dev/null as input, default signals, nothing else. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_PROGRAM_H
#define WEIR_DATAPLANE_SUPERVISOR_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Start `path` with `argv` (NULL-terminated, argv[0] included); `fd3` becomes its descriptor 3. With
 * `own_session` it also gets a session of its own, so that no terminal's Ctrl-C reaches it; otherwise
 * a process group of its own. 0, *out_pid and *out_pidfd (the caller's), or -errno. */
int weir_program_start(const char *path, char *const *argv, int fd3, bool own_session, pid_t *out_pid,
		       int *out_pidfd);

/* The same for a one-shot program: `fds` (three) become its descriptors 3 and 4, and its standard output
 * and error. A process group of its own. */
int weir_program_start_build(const char *path, char *const *argv, const int fds[3], pid_t *out_pid,
			     int *out_pidfd);

/* Raise the soft limit on descriptors to the hard one. Returns the limit that holds now. */
unsigned long weir_program_descriptors_raise(void);

#endif
