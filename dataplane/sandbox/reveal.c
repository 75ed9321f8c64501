#include "dataplane/sandbox/reveal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/sandbox/layers.h"

enum { PATIENCE_S = 5 };

/* What is shown. */
struct thing {
	char path[PATH_MAX];
	struct stat status;
	int tree_fd;
	bool is_kept; /* to be written to */
};

/* A user namespace in which number `from` means `to`, for mounts. 0 and *out_fd, or -errno. */
static int id_map_open(uid_t from, gid_t from_group, uid_t to, int *out_fd)
{
	char path[64];
	char text[64];
	int result = 0;
	int pidfd = -1;
	const struct weir_sandbox_plan plan = {.layers = WEIR_SANDBOX_USER};
	const pid_t pid = weir_sandbox_fork(&plan, &pidfd);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		(void)pause(); /* until it is killed below */
		_exit(0);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	(void)snprintf(text, sizeof(text), "%u %u 1\n", from, to);
	result = weir_sandbox_text_write(path, text);
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	(void)snprintf(text, sizeof(text), "%u %u 1\n", from_group, to);
	if (result == 0)
		result = weir_sandbox_text_write(path, text);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	*out_fd = result == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (result == 0 && *out_fd == -1)
		result = -errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	weir_fd_close(&pidfd);
	return result;
}

/* May everybody read it? */
static bool is_open_to_all(const struct thing *thing, const char *file)
{
	const mode_t wanted = S_ISDIR(thing->status.st_mode) ? S_IROTH | S_IXOTH : S_IROTH;
	struct stat status;

	return (thing->status.st_mode & wanted) == wanted && stat(file, &status) == 0 &&
	       (status.st_mode & S_IROTH) != 0;
}

static int tree_open(const struct weir_sandbox_plan *plan, struct thing *thing, const char *file)
{
	struct mount_attr attributes = {
		.attr_set = (thing->is_kept ? 0 : MOUNT_ATTR_RDONLY) | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};

	thing->tree_fd = open_tree(AT_FDCWD, thing->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (thing->tree_fd == -1 ||
	    mount_setattr(thing->tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) != 0)
		return -errno;
	if ((plan->layers & WEIR_SANDBOX_OWNER) == 0 || (!thing->is_kept && is_open_to_all(thing, file)))
		return 0;
	attributes = (struct mount_attr){.attr_set = MOUNT_ATTR_IDMAP};
	WEIR_CLEANUP(weir_fd_close) int map_fd = -1;
	const int result = id_map_open(thing->status.st_uid, thing->status.st_gid, plan->uid, &map_fd);
	if (result != 0)
		return result;
	attributes.userns_fd = (unsigned)map_fd;
	/* A file system that cannot: the function says that it may not use its file. */
	(void)mount_setattr(thing->tree_fd, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
	return 0;
}

/* In the worker's root: the place for it. 1 = it is there already, 0 = made, or -errno. */
static int place_make(const struct thing *thing)
{
	char text[PATH_MAX];
	struct stat status;

	if (stat(thing->path, &status) == 0 && status.st_dev == thing->status.st_dev &&
	    status.st_ino == thing->status.st_ino)
		return 1;
	(void)snprintf(text, sizeof(text), "%s", thing->path);
	for (char *slash = strchr(text + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(text, 0755) != 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (S_ISDIR(thing->status.st_mode))
		return mkdir(text, 0755) == 0 || errno == EEXIST ? 0 : -errno;
	/* Another file was shown here before: it goes, where a function runs it that one keeps it. */
	(void)umount2(text, MNT_DETACH);
	WEIR_CLEANUP(weir_fd_close) int fd = open(text, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
	return fd == -1 ? -errno : 0;
}

/* The helper. It changes its namespaces, so it is good for one thing only. */
static int thing_show(const struct weir_sandbox_plan *plan, int pidfd, struct thing *thing, const char *file)
{
	int result = 0;

	(void)alarm(PATIENCE_S);
	(void)umask(0);
	/* An ordinary user may copy mounts in a mount namespace that belongs to the worker's users. */
	if (!plan->is_root && (setns(pidfd, CLONE_NEWUSER) != 0 || unshare(CLONE_NEWNS) != 0))
		return -errno;
	if (stat(thing->path, &thing->status) != 0)
		return -errno;
	if (thing->is_kept && !S_ISDIR(thing->status.st_mode))
		return -ENOTDIR;
	result = tree_open(plan, thing, file);
	if (result != 0)
		return result;
	if (setns(pidfd, CLONE_NEWNS) != 0)
		return -errno;
	result = place_make(thing);
	if (result != 0)
		return result == 1 ? 0 : result;
	return move_mount(thing->tree_fd, "", AT_FDCWD, thing->path, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

static int helper_run(const struct weir_sandbox_plan *plan, int pidfd, struct thing *thing, const char *file)
{
	/* Born into nothing new, and with one thread: ThreadSanitizer's fork() adds one, and then the
	 * kernel lets nobody change namespaces. */
	const struct weir_sandbox_plan plain = {.layers = 0};
	int pipe_fds[2];
	int result = 0;
	int helper_fd = -1;
	pid_t pid = 0;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return -errno;
	pid = weir_sandbox_fork(&plain, &helper_fd);
	if (pid == 0) {
		(void)signal(SIGALRM, SIG_DFL);
		result = thing_show(plan, pidfd, thing, file);
		_exit(write(pipe_fds[1], &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
	}
	if (pid < 0)
		result = pid;
	weir_fd_close(&pipe_fds[1]);
	if (pid > 0) {
		if (read(pipe_fds[0], &result, sizeof(result)) != (ssize_t)sizeof(result))
			result = -ETIMEDOUT; /* the alarm ended it */
		(void)waitpid(pid, NULL, 0); /* ours, and nobody else waits for it */
	}
	weir_fd_close(&helper_fd);
	weir_fd_close(&pipe_fds[0]);
	return result;
}

/* Is this directory one that a function may have as its own? Not /srv, not /tmp. */
static bool is_own_directory(const char *path)
{
	struct stat status;

	return strchr(path + 1, '/') != NULL && stat(path, &status) == 0 && (status.st_mode & S_IWOTH) == 0;
}

int weir_sandbox_reveal(const struct weir_sandbox_plan *plan, int pidfd, const char *path,
			enum weir_sandbox_reveal how)
{
	struct thing thing = {.tree_fd = -1, .is_kept = how == WEIR_SANDBOX_REVEAL_KEPT};
	struct stat status;
	char *slash = NULL;

	if (path[0] != '/' || strlen(path) >= sizeof(thing.path))
		return -EINVAL;
	(void)snprintf(thing.path, sizeof(thing.path), "%s", path);
	slash = strrchr(thing.path, '/');
	if (how == WEIR_SANDBOX_REVEAL_DIRECTORY && slash != thing.path && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))) {
		*slash = '\0';
		if (!is_own_directory(thing.path))
			*slash = '/';
	}
	return helper_run(plan, pidfd, &thing, path);
}
