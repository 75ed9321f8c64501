/* sandbox: what stands between a function and the machine, around the worker's process.
 *
 *   supervisor   weir_sandbox_probe(): which layers does this machine give? Said once, then a plan
 *                start of a worker with the plan
 *   worker       weir_sandbox_enter(), after exec and before it opens its runtime:
 *                  limits -> no capabilities, no new privileges -> Landlock -> seccomp
 *                its runtime, its functions
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
};

enum {
	WEIR_SANDBOX_LAYERS_ALL = WEIR_SANDBOX_SECCOMP | WEIR_SANDBOX_LANDLOCK,
	WEIR_SANDBOX_REASON_BYTES = 200,
	WEIR_SANDBOX_PLAN_BYTES = 96, /* its text, as an argument of the worker's program */
};

#define WEIR_SANDBOX_ARGUMENT "--sandbox=" /* what a plan's text begins with */

struct weir_sandbox_plan {
	uint32_t layers; /* enum weir_sandbox_layer; 0 = the sandbox is off */
};

/* What this machine gives to this process, tried in a child: *out_plan with the layers that work, and
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

/* "seccomp", ...: a layer for people; NULL behind the last. */
const char *weir_sandbox_layer_name(uint32_t index);

#endif
