#include "dataplane/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/base/rights.h"
#include "dataplane/sandbox/layers.h"

static const struct weir_sandbox_profile least = {.flags = 0};

const char *weir_sandbox_layer_name(uint32_t index)
{
	static const char *const names[] = {"seccomp", "landlock", "own user", "user", "mount",
					    "pid",     "net",	   "ipc",      "uts"};

	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

void weir_sandbox_plan_format(const struct weir_sandbox_plan *plan, char out_text[WEIR_SANDBOX_PLAN_BYTES])
{
	(void)snprintf(out_text, WEIR_SANDBOX_PLAN_BYTES, WEIR_SANDBOX_ARGUMENT "%x:%x:%u:%u:%u:%llu", plan->layers,
		       plan->entered, plan->is_root, plan->uid, plan->gid, (unsigned long long)plan->scratch_bytes);
}

int weir_sandbox_plan_parse(const char *text, struct weir_sandbox_plan *out_plan)
{
	struct weir_sandbox_plan plan = {0};
	unsigned long long scratch_bytes = 0;
	char rest = 0;

	if (sscanf(text, WEIR_SANDBOX_ARGUMENT "%x:%x:%u:%u:%u:%llu%c", &plan.layers, &plan.entered, &plan.is_root,
		   &plan.uid, &plan.gid, &scratch_bytes, &rest) != 6 ||
	    (plan.layers & ~(uint32_t)WEIR_SANDBOX_LAYERS_ALL) != 0)
		return -EINVAL;
	plan.scratch_bytes = scratch_bytes;
	*out_plan = plan;
	return 0;
}

/* One step of entering: what it does, for people. */
struct step {
	uint32_t layer; /* 0 = always */
	const char *name;
	int (*enter)(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile);
};

static int host_step(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	(void)plan;
	(void)profile;
	return sethostname("weir", 4) == 0 ? 0 : -errno;
}

static int owner_step(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	(void)profile;
	return weir_sandbox_owner_enter(plan->uid);
}

static int user_step(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	(void)profile;
	return plan->is_root ? weir_sandbox_user_enter() : 0; /* others were born into theirs */
}

static int rights_step(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	const int result = weir_rights_drop(0);

	/* Other processes of this user may not look into it, and neither may programs that it starts. */
	(void)profile;
	if (result == 0 && plan->layers != 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
	return result;
}

static int landlock_step(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	/* Without a view /tmp is the machine's: only programs cannot do without. */
	const bool has_scratch = (plan->layers & WEIR_SANDBOX_MOUNT) != 0 ||
				 (profile->flags & WEIR_SANDBOX_PROGRAMS) != 0;

	return weir_sandbox_landlock_enter(profile, has_scratch ? "/tmp" : NULL);
}

static int seccomp_step(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	(void)plan;
	return weir_sandbox_seccomp_enter(profile);
}

static const struct step steps[] = {
	{WEIR_SANDBOX_UTS, "a name of its own", host_step},
	{WEIR_SANDBOX_MOUNT, "its view", weir_sandbox_view_enter},
	{WEIR_SANDBOX_OWNER, "a user of its own", owner_step},
	{WEIR_SANDBOX_USER, "a user namespace", user_step},
	{0, "giving up rights", rights_step},
	{WEIR_SANDBOX_LANDLOCK, "Landlock", landlock_step},
	{WEIR_SANDBOX_SECCOMP, "seccomp", seccomp_step},
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

/* The steps before `last` that the plan has and the process has not done. */
static int steps_run(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
		     size_t last, uint32_t *out_layer)
{
	for (size_t i = 0; i < last; i++) {
		const uint32_t layer = steps[i].layer;
		int result = 0;

		if (layer != 0 && (plan->layers & ~plan->entered & layer) == 0)
			continue;
		result = steps[i].enter(plan, profile == NULL ? &least : profile);
		if (result != 0) {
			*out_layer = layer;
			return result;
		}
	}
	return 0;
}

int weir_sandbox_steps(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
		       uint32_t *out_layer)
{
	return steps_run(plan, profile, STEPS, out_layer);
}

static int told(int result, uint32_t layer, char *out_reason)
{
	for (size_t i = 0; i < STEPS && result != 0; i++)
		if (steps[i].layer == layer)
			(void)snprintf(out_reason, WEIR_SANDBOX_REASON_BYTES, "cannot enter the sandbox: %s: %s",
				       steps[i].name, strerror(-result));
	return result;
}

int weir_sandbox_enter(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
		       char out_reason[WEIR_SANDBOX_REASON_BYTES])
{
	uint32_t layer = 0;
	const int result = steps_run(plan, profile, STEPS, &layer);

	return told(result, layer, out_reason);
}

int weir_sandbox_enter_outer(struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
			     char out_reason[WEIR_SANDBOX_REASON_BYTES])
{
	size_t outer = 0;
	uint32_t layer = 0;
	int result = 0;

	while (steps[outer].layer != 0)
		outer++;
	result = steps_run(plan, profile, outer, &layer);
	for (size_t i = 0; i < outer; i++)
		plan->entered |= plan->layers & steps[i].layer;
	return told(result, layer, out_reason);
}
