/* layers: the steps of weir_sandbox_enter(), each in a file of its own. All: main thread, no other
 * threads yet; 0 or -errno. */
#ifndef WEIR_DATAPLANE_SANDBOX_LAYERS_H
#define WEIR_DATAPLANE_SANDBOX_LAYERS_H

#include <sys/types.h>

#include "dataplane/sandbox/sandbox.h"

/* Fork into new namespaces: those of the plan's layers that a process must be born into. As fork(): 0 in
 * the child; -errno. In the child, before anything else: weir_sandbox_born(). */
pid_t weir_sandbox_fork(const struct weir_sandbox_plan *plan, int *out_pidfd);

/* The child's part: its users and groups in the new user namespace, and the rights there that
 * weir_sandbox_enter() needs, kept over exec. */
int weir_sandbox_born(const struct weir_sandbox_plan *plan);

/* Write a small file of the kernel's in one go. */
int weir_sandbox_text_write(const char *path, const char *text);

/* A user and group of its own, given by root (plan->uid), and then a user namespace of its own. */
int weir_sandbox_owner_enter(uid_t uid);
int weir_sandbox_user_enter(void);

/* All steps of the plan in order; the layer of the one that failed (0 = giving up rights). */
int weir_sandbox_steps(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
		       uint32_t *out_layer);

/* The view (view.c): a new root directory. */
int weir_sandbox_view_enter(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile);

/* The list of system calls (seccomp.c), for ever and for all children. -EINVAL where the profile names
 * a number that is none. */
int weir_sandbox_seccomp_enter(const struct weir_sandbox_profile *profile);

/* Writing only beneath `scratch` (NULL = nowhere) and to the null devices, unless the profile KEEPS files. -EOPNOTSUPP or -ENOSYS
 * where the kernel has no Landlock. */
int weir_sandbox_landlock_enter(const struct weir_sandbox_profile *profile, const char *scratch);

/* The kernel's Landlock version, 0 = none. */
int weir_sandbox_landlock_version(void);

#endif
