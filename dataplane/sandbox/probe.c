/* What this machine gives: a child is born into every namespace and goes through every step; what fails is
 * left out, and another child tries. Where the birth fails, each kind of namespace is tried alone. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/sandbox/layers.h"

enum { SCRATCH_BYTES = 64 << 20 };

struct lack {
	uint32_t layer;
	const char *text;
};

static const struct lack lacks[] = {
	{WEIR_SANDBOX_USER, "a user namespace: functions have the rights of their user on this machine"},
	{WEIR_SANDBOX_MOUNT, "a view of its own: functions may read what their user may"},
	{WEIR_SANDBOX_PID, "a pid namespace: functions see the machine's processes"},
	{WEIR_SANDBOX_NET, "a network namespace: system calls alone keep functions off the network"},
	{WEIR_SANDBOX_IPC, "an ipc namespace: functions see the machine's System V memory"},
	{WEIR_SANDBOX_UTS, "a uts namespace: functions see the machine's name"},
	{WEIR_SANDBOX_OWNER, "users of their own for functions: they run as the user of this instance"},
	{WEIR_SANDBOX_LANDLOCK, "Landlock: functions may write wherever their user may"},
	{WEIR_SANDBOX_SECCOMP, "seccomp: functions may use every system call"},
};

/* What one trial found: 0, or the error and the layer that it is about (0 = the birth). */
struct trial {
	int error;
	uint32_t layer;
};

static const struct weir_sandbox_profile least = {.flags = 0};

static int trial_run(const struct weir_sandbox_plan *plan, struct trial *out_trial)
{
	struct trial trial = {.error = 0};
	int pipe_fds[2];
	int pidfd = -1;
	pid_t pid = 0;
	ssize_t bytes = 0;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -errno;
	pid = weir_sandbox_fork(plan, &pidfd);
	if (pid == 0) {
		trial.layer = WEIR_SANDBOX_USER;
		trial.error = weir_sandbox_born(plan);
		if (trial.error == 0)
			trial.error = weir_sandbox_steps(plan, &least, &trial.layer);
		bytes = write(pipe_fds[1], &trial, sizeof(trial));
		_exit(bytes == (ssize_t)sizeof(trial) ? 0 : 1);
	}
	weir_fd_close(&pipe_fds[1]);
	trial.error = pid;
	if (pid > 0) {
		bytes = read(pipe_fds[0], &trial, sizeof(trial));
		(void)waitpid(pid, NULL, 0); /* ours, and nobody else waits for it */
	}
	weir_fd_close(&pidfd);
	weir_fd_close(&pipe_fds[0]);
	if (pid > 0 && bytes != (ssize_t)sizeof(trial))
		return -EIO; /* it did not survive: there is no telling which layer */
	*out_trial = trial;
	return 0;
}

struct report {
	struct weir_sandbox_plan *plan;
	char *text;
	size_t bytes;
};

/* Go on without `layer`, and without what makes no sense alone. */
static void layer_lose(struct report *report, uint32_t layer, int error)
{
	const size_t used = strlen(report->text);

	report->plan->layers &= ~layer;
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++)
		if (lacks[i].layer == layer)
			(void)snprintf(report->text + used, report->bytes - used, "%s (%s)\n", lacks[i].text,
				       strerror(-error));
	/* /proc of its own processes only can be shown to those that have a pid namespace. */
	if (layer == WEIR_SANDBOX_PID && (report->plan->layers & WEIR_SANDBOX_MOUNT) != 0)
		layer_lose(report, WEIR_SANDBOX_MOUNT, error);
}

static bool birth_works(const struct weir_sandbox_plan *plan, uint32_t layers, int *out_error)
{
	struct weir_sandbox_plan one = *plan;
	int pidfd = -1;
	pid_t pid = 0;

	one.layers = layers;
	pid = weir_sandbox_fork(&one, &pidfd);
	if (pid == 0)
		_exit(0);
	*out_error = pid;
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	weir_fd_close(&pidfd);
	return pid > 0;
}

/* Which namespaces can be had, one by one; an ordinary user's with a user namespace around each. */
static void births_try(struct report *report)
{
	static const uint32_t kinds[] = {WEIR_SANDBOX_USER, WEIR_SANDBOX_MOUNT, WEIR_SANDBOX_PID,
					 WEIR_SANDBOX_NET,  WEIR_SANDBOX_IPC,	WEIR_SANDBOX_UTS};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const uint32_t user = report->plan->layers & WEIR_SANDBOX_USER;
		int error = 0;

		if ((report->plan->layers & kinds[i]) != 0 && !birth_works(report->plan, user | kinds[i], &error))
			layer_lose(report, kinds[i], error);
	}
}

/* An empty network namespace that lives as long as its descriptor. */
static int net_open(int *out_fd)
{
	static const char name[] = "/proc/self/ns/net";
	WEIR_CLEANUP(weir_fd_close) int own = open(name, O_RDONLY | O_CLOEXEC);
	int fd = -1;

	if (own == -1 || unshare(CLONE_NEWNET) != 0)
		return -errno;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (setns(own, CLONE_NEWNET) != 0 || fd == -1) {
		weir_fd_close(&fd);
		return -EIO;
	}
	*out_fd = fd;
	return 0;
}

int weir_sandbox_probe(struct weir_sandbox_plan *out_plan, char *out_lacks, size_t lacks_bytes)
{
	struct weir_sandbox_plan plan = {
		.layers = WEIR_SANDBOX_LAYERS_ALL,
		.is_root = geteuid() == 0,
		.uid = geteuid(),
		.gid = getegid(),
		.scratch_bytes = SCRATCH_BYTES,
	};
	struct report report = {.plan = &plan, .text = out_lacks, .bytes = lacks_bytes};
	struct trial trial = {.error = -1};
	int result = 0;

	out_lacks[0] = '\0';
	if (plan.is_root)
		plan.uid = plan.gid = WEIR_SANDBOX_UID_FIRST;
	else
		layer_lose(&report, WEIR_SANDBOX_OWNER, -EPERM);
	if (plan.is_root) {
		result = net_open(&plan.net_fd);
		if (result != 0)
			layer_lose(&report, WEIR_SANDBOX_NET, result);
	}
	result = 0;
	for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]) && result == 0 && trial.error != 0; i++) {
		result = trial_run(&plan, &trial);
		if (result == 0 && trial.error != 0 && trial.layer == 0)
			births_try(&report);
		else if (result == 0 && trial.error != 0)
			layer_lose(&report, trial.layer, trial.error);
	}
	if (result == 0 && trial.error != 0)
		result = trial.error;
	if (result == 0)
		*out_plan = plan;
	return result;
}
