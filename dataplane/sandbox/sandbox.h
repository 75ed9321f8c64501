/* sandbox: what stands between a function and the machine, around the worker's process.
 *
 *   supervisor   weir_sandbox_probe(): which layers does this machine give? Said once, then a plan
 *                weir_sandbox_start(): a worker is born into new namespaces
 *   worker       weir_sandbox_enter(), after exec and before it opens its runtime:
 *                  view -> user of its own -> no capabilities, no new privileges -> Landlock -> seccomp
 *                its runtime, its functions
 *   supervisor   weir_sandbox_reveal(): a function is loaded, its file appears in the worker's view
 *
 * A layer that the machine lacks is left out of the plan, and said; a layer of the plan that cannot be
 * entered ends the worker. Nothing is ever left out in silence.
 *
 *   layer      what it refuses                                                  errno of a refusal
 *   SECCOMP    every system call that is not listed (seccomp.c): sockets,       EPERM
 *              ptrace, other processes' signals, new processes (but for
 *              WEIR_SANDBOX_PROGRAMS), mounts, io_uring, bpf, keys, ...
 *   LANDLOCK   writing outside the scratch directory; where the kernel can:     EACCES
 *              TCP, abstract sockets, signals to processes outside              EACCES, EPERM
 *   MOUNT      seeing any file but those of the view (view.c)                   ENOENT, EROFS
 *   PID        seeing, naming or signalling any process but its own             ESRCH
 *   NET        every network, and abstract sockets of others                    (none to reach)
 *   IPC, UTS   System V memory and queues of others; the machine's name
 *   OWNER      what its user may: each worker has a number of its own (root     EACCES, EPERM
 *              gives it; an ordinary user's workers stay that user)
 *   USER       having any right outside, whatever it may become inside
 *
 * Owner: a process enters once and never leaves. Threads: main thread, before there are others; where
 * there are some already (Node's own), seccomp holds for them too, Landlock for those to come. */
#ifndef WEIR_DATAPLANE_SANDBOX_SANDBOX_H
#define WEIR_DATAPLANE_SANDBOX_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/sandbox/profile.h"

enum weir_sandbox_layer {
	WEIR_SANDBOX_SECCOMP = 1 << 0,
	WEIR_SANDBOX_LANDLOCK = 1 << 1,
	WEIR_SANDBOX_OWNER = 1 << 2,
	WEIR_SANDBOX_USER = 1 << 3,
	WEIR_SANDBOX_MOUNT = 1 << 4,
	WEIR_SANDBOX_PID = 1 << 5,
	WEIR_SANDBOX_NET = 1 << 6,
	WEIR_SANDBOX_IPC = 1 << 7,
	WEIR_SANDBOX_UTS = 1 << 8,
};

enum {
	WEIR_SANDBOX_LAYERS_ALL = (1 << 9) - 1,
	WEIR_SANDBOX_UID_FIRST = 1600000000, /* root's workers are these users and the UIDS behind them */
	WEIR_SANDBOX_UIDS = 65536,
	WEIR_SANDBOX_REASON_BYTES = 200,
	WEIR_SANDBOX_PLAN_BYTES = 96, /* its text, as an argument of the worker's program */
};

#define WEIR_SANDBOX_ARGUMENT "--sandbox=" /* what a plan's text begins with */

struct weir_sandbox_plan {
	uint32_t layers;  /* enum weir_sandbox_layer; 0 = the sandbox is off */
	uint32_t entered; /* those of them that this process is in already */
	uint32_t is_root; /* the supervisor is, so the worker is born as root */
	uint32_t uid;     /* whom it becomes (OWNER), or is */
	uint32_t gid;
	uint64_t scratch_bytes;
	/* Not part of its text: root's workers share one network namespace in which there is nothing, since
	 * making one takes longer than everything else together; 0 = each makes its own. */
	int net_fd;
	/* Nor these: the control groups that it is born into, 0 = none: v2's directory, and the file of each
	 * of v1's trees that takes whoever writes there. */
	int group_fd;
	int tasks_fd[3];
};

/* What this machine gives to this process, tried in children: *out_plan with the layers that work, and
 * in `out_lacks` one sentence for each that does not ("" where all do). 0 or -errno of the child. */
int weir_sandbox_probe(struct weir_sandbox_plan *out_plan, char *out_lacks, size_t lacks_bytes);

/* A plan as an argument (with WEIR_SANDBOX_ARGUMENT), and back: 0 or -EINVAL. */
void weir_sandbox_plan_format(const struct weir_sandbox_plan *plan,
			      char out_text[WEIR_SANDBOX_PLAN_BYTES]);
int weir_sandbox_plan_parse(const char *text, struct weir_sandbox_plan *out_plan);

/* Enter it. No profile is the least one. 0, or -errno with what failed in `out_reason`: then the
 * process must end, it is neither in nor out. Without any layer: rights are given up all the same. */
int weir_sandbox_enter(const struct weir_sandbox_plan *plan,
		       const struct weir_sandbox_profile *profile,
		       char out_reason[WEIR_SANDBOX_REASON_BYTES]);

/* For a program that becomes another one (Node) with threads: the layers that only a process without
 * can enter. Then plan->entered has them, and the plan goes on with exec:
 * weir_sandbox_enter() does the rest. */
int weir_sandbox_enter_outer(struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
			     char out_reason[WEIR_SANDBOX_REASON_BYTES]);

/* "seccomp", ...: a layer for people; NULL behind the last. */
const char *weir_sandbox_layer_name(uint32_t index);

#endif
