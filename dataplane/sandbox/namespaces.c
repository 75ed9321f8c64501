/* Namespaces and who one is in them.
 *
 *   root      is born with a mount, pid, net, ipc and uts namespace; builds its view; becomes a user of
 *             its own; then enters a user namespace, in which nothing is its own but itself
 *   a user    is born with a user namespace too, where it has the rights to build its view; it stays
 *             the same user outside, and gives the rights up */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/sandbox/layers.h"

static uint64_t flags_of(const struct weir_sandbox_plan *plan)
{
	const uint32_t layers = plan->layers;

	return ((layers & WEIR_SANDBOX_USER) != 0 && !plan->is_root ? CLONE_NEWUSER : 0U) |
	       ((layers & WEIR_SANDBOX_MOUNT) != 0 ? CLONE_NEWNS : 0U) |
	       ((layers & WEIR_SANDBOX_PID) != 0 ? CLONE_NEWPID : 0U) |
	       ((layers & WEIR_SANDBOX_NET) != 0 && plan->net_fd == 0 ? CLONE_NEWNET : 0U) |
	       ((layers & WEIR_SANDBOX_IPC) != 0 ? CLONE_NEWIPC : 0U) |
	       ((layers & WEIR_SANDBOX_UTS) != 0 ? CLONE_NEWUTS : 0U);
}

pid_t weir_sandbox_fork(const struct weir_sandbox_plan *plan, int *out_pidfd)
{
	int pidfd = -1;
	struct clone_args arguments = {
		.flags = flags_of(plan) | CLONE_PIDFD | (plan->group_fd != 0 ? (uint64_t)CLONE_INTO_CGROUP : 0U),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (unsigned)plan->group_fd,
	};
	const long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));

	if (pid == -1)
		return -errno;
	if (pid > 0)
		*out_pidfd = pidfd;
	return (pid_t)pid;
}

int weir_sandbox_text_write(const char *path, const char *text)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

/* In a new user namespace: one is whom one was, and nobody else is anybody. */
static int ids_map(uid_t uid, gid_t gid)
{
	char text[64];
	int result = weir_sandbox_text_write("/proc/self/setgroups", "deny");

	(void)snprintf(text, sizeof(text), "%u %u 1\n", uid, uid);
	if (result == 0)
		result = weir_sandbox_text_write("/proc/self/uid_map", text);
	(void)snprintf(text, sizeof(text), "%u %u 1\n", gid, gid);
	if (result == 0)
		result = weir_sandbox_text_write("/proc/self/gid_map", text);
	return result;
}

/* Keep the right to mount over exec. */
static int rights_keep(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) != 0)
		return -errno;
	data[0].inheritable |= UINT32_C(1) << CAP_SYS_ADMIN;
	if (syscall(SYS_capset, &header, data) != 0)
		return -errno;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0) == 0 ? 0 : -errno;
}

int weir_sandbox_born(const struct weir_sandbox_plan *plan)
{
	int result = 0;

	if (plan->net_fd != 0 && setns(plan->net_fd, CLONE_NEWNET) != 0)
		return -errno;
	if (plan->is_root || (plan->layers & WEIR_SANDBOX_USER) == 0)
		return 0;
	result = ids_map(plan->uid, plan->gid);
	return result == 0 ? rights_keep() : result;
}

int weir_sandbox_owner_enter(uid_t uid)
{
	if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
		return -errno;
	return 0;
}

int weir_sandbox_user_enter(void)
{
	const uid_t uid = geteuid(); /* in the new namespace nobody has a number yet */
	const gid_t gid = getegid();

	/* Its own maps are root's files as long as it may not be looked into. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || unshare(CLONE_NEWUSER) != 0)
		return -errno;
	return ids_map(uid, gid);
}
