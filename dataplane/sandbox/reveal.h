/* reveal: a function's file appears in a worker's view, at the place where it lies on the machine.
 *
 *   supervisor --fork--> helper: copy of the mount of the file or directory, read-only
 *                                enter the worker's mount namespace, create the place, put it there
 *
 * Where the worker's own user (OWNER) could not read it because only its owner may, the copy shows it as
 * the worker's (an idmapped mount, Linux 5.12): so far functions were run by whoever runs Weir.
 * A directory may be shown to be written to: what the worker makes there belongs to the directory's owner.
 * Idempotent. Blocks for about a millisecond; a file system that hangs is given up after some seconds. */
#ifndef WEIR_DATAPLANE_SANDBOX_REVEAL_H
#define WEIR_DATAPLANE_SANDBOX_REVEAL_H

#include <stdbool.h>

#include "dataplane/sandbox/sandbox.h"

enum weir_sandbox_reveal {
	WEIR_SANDBOX_REVEAL_FILE,
	WEIR_SANDBOX_REVEAL_DIRECTORY, /* everything in a file's directory, unless that is at the top of the file system
					* or everybody's */
	WEIR_SANDBOX_REVEAL_KEPT,      /* a directory, to be written to */
};

/* Show `path` (absolute), a file or a directory, in the view of the process `pidfd`. 0, -ENOENT, -EACCES,
 * -EINVAL (not absolute, too long), -ENOTDIR (KEPT), -ETIMEDOUT, else -errno. */
int weir_sandbox_reveal(const struct weir_sandbox_plan *plan, int pidfd, const char *path,
			enum weir_sandbox_reveal how);

#endif
