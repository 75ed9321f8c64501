#include "dataplane/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
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
	static const char *const names[] = {"seccomp", "landlock"};

	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

void weir_sandbox_plan_format(const struct weir_sandbox_plan *plan, char out_text[WEIR_SANDBOX_PLAN_BYTES])
{
	(void)snprintf(out_text, WEIR_SANDBOX_PLAN_BYTES, WEIR_SANDBOX_ARGUMENT "%x", plan->layers);
}

int weir_sandbox_plan_parse(const char *text, struct weir_sandbox_plan *out_plan)
{
	struct weir_sandbox_plan plan = {0};
	char rest = 0;

	if (sscanf(text, WEIR_SANDBOX_ARGUMENT "%x%c", &plan.layers, &rest) != 1 ||
	    (plan.layers & ~(uint32_t)WEIR_SANDBOX_LAYERS_ALL) != 0)
		return -EINVAL;
	*out_plan = plan;
	return 0;
}

static int failed(char *out_reason, const char *what, int result)
{
	(void)snprintf(out_reason, WEIR_SANDBOX_REASON_BYTES, "cannot enter the sandbox: %s: %s", what,
		       strerror(-result));
	return result;
}

int weir_sandbox_enter(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile,
		       char out_reason[WEIR_SANDBOX_REASON_BYTES])
{
	int result = 0;

	if (profile == NULL)
		profile = &least;
	result = weir_rights_drop();
	if (result != 0)
		return failed(out_reason, "giving up rights", result);
	/* Other processes of this user may not look into it, and neither may the programs that it starts. */
	if (plan->layers != 0 && (profile->flags & WEIR_SANDBOX_OWN_PROC) == 0 &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return failed(out_reason, "closing its memory to others", -errno);
	if ((plan->layers & WEIR_SANDBOX_LANDLOCK) != 0)
		result = weir_sandbox_landlock_enter(
			profile, (profile->flags & WEIR_SANDBOX_PROGRAMS) != 0 ? "/tmp" : NULL);
	if (result != 0)
		return failed(out_reason, "Landlock", result);
	if ((plan->layers & WEIR_SANDBOX_SECCOMP) != 0)
		result = weir_sandbox_seccomp_enter(profile);
	return result == 0 ? 0 : failed(out_reason, "seccomp", result);
}

/* ---- what this machine gives ---- */

struct trial {
	struct weir_sandbox_plan plan;
	char lacks[1024];
};

static void lack_add(struct trial *trial, const char *text, int result)
{
	const size_t used = strlen(trial->lacks);

	(void)snprintf(trial->lacks + used, sizeof(trial->lacks) - used, "%s (%s)\n", text, strerror(-result));
}

/* In a child that is good for nothing else afterwards. */
static void layers_try(struct trial *trial)
{
	int result = weir_rights_drop();

	if (result == 0)
		result = weir_sandbox_landlock_enter(&least, NULL);
	if (result == 0)
		trial->plan.layers |= WEIR_SANDBOX_LANDLOCK;
	else
		lack_add(trial, "Landlock: functions may write wherever their user may", result);
	result = weir_sandbox_seccomp_enter(&least);
	if (result == 0)
		trial->plan.layers |= WEIR_SANDBOX_SECCOMP;
	else
		lack_add(trial, "seccomp: functions may use every system call", result);
}

int weir_sandbox_probe(struct weir_sandbox_plan *out_plan, char *out_lacks, size_t lacks_bytes)
{
	struct trial trial = {.plan = {0}};
	int pipe_fds[2];
	ssize_t bytes = 0;
	pid_t pid = 0;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		layers_try(&trial);
		bytes = write(pipe_fds[1], &trial, sizeof(trial));
		_exit(bytes == (ssize_t)sizeof(trial) ? 0 : 1);
	}
	if (pid == -1)
		bytes = -errno;
	weir_fd_close(&pipe_fds[1]);
	if (pid > 0) {
		bytes = read(pipe_fds[0], &trial, sizeof(trial));
		(void)waitpid(pid, NULL, 0); /* ours, and nobody else waits yet */
	}
	weir_fd_close(&pipe_fds[0]);
	if (bytes != (ssize_t)sizeof(trial))
		return bytes < 0 ? (int)bytes : -EIO;
	*out_plan = trial.plan;
	(void)snprintf(out_lacks, lacks_bytes, "%s", trial.lacks);
	return 0;
}
