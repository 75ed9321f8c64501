/* layers: the steps of weir_sandbox_enter(), each in a file of its own. All: main thread, no other
 * threads yet; 0 or -errno. */
#ifndef WEIR_DATAPLANE_SANDBOX_LAYERS_H
#define WEIR_DATAPLANE_SANDBOX_LAYERS_H

#include "dataplane/sandbox/sandbox.h"

/* The list of system calls (seccomp.c), for ever and for all children. -EINVAL where the profile names
 * a number that is none. */
int weir_sandbox_seccomp_enter(const struct weir_sandbox_profile *profile);

/* Writing only beneath `scratch` (NULL = nowhere) and to the null devices. -EOPNOTSUPP or -ENOSYS
 * where the kernel has no Landlock. */
int weir_sandbox_landlock_enter(const struct weir_sandbox_profile *profile, const char *scratch);

/* The kernel's Landlock version, 0 = none. */
int weir_sandbox_landlock_version(void);

#endif
