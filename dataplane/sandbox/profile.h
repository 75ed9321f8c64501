/* profile: what one runtime needs beyond the least, named by its table (runtime.h, `sandbox`).
 *
 *   every runtime   memory, threads, its own files and signals, reading what it can see, writing its
 *                   scratch directory (seccomp.c lists the calls)
 *   flags, calls    what is allowed on top
 *   paths           what is in its view on top (view.c)
 * Constant data; nothing here is the user's to set. */
#ifndef WEIR_DATAPLANE_SANDBOX_PROFILE_H
#define WEIR_DATAPLANE_SANDBOX_PROFILE_H

#include <stdint.h>

enum weir_sandbox_flag {
	/* Starts programs: fork, exec, signals among its own processes. */
	WEIR_SANDBOX_PROGRAMS = 1 << 0,
	/* A function sees its file's directory, not its file alone: it reads its own modules. */
	WEIR_SANDBOX_DIRECTORY = 1 << 1,
	/* Connects to Unix sockets that it sees. */
	WEIR_SANDBOX_CONNECTS = 1 << 2,
	/* Keeps files in a directory that it is shown to write to (reveal.h). Which one is not known when
	 * Landlock is entered, so there the view alone says where it writes. */
	WEIR_SANDBOX_KEEPS = 1 << 3,
};

struct weir_sandbox_profile {
	uint32_t flags;           /* enum weir_sandbox_flag */
	const int *calls;         /* call_count numbers of system calls: SYS_... */
	uint32_t call_count;
	const char *const *paths; /* absolute, missing ones are left out; NULL at the end; NULL = none */
};

#endif
