/* The view: what a worker sees instead of the machine's files.
 *
 *   /            a small file system in memory, only for this worker
 *   /usr /lib…   the machine's, read-only: programs and libraries
 *   /etc         a few files that libraries read, and what the profile names
 *   /dev         null, zero, full, random, urandom
 *   /proc        of its own processes only
 *   /tmp         scratch: in memory, plan->scratch_bytes, gone with the worker
 *   functions    appear where they lie on the machine, when they are loaded (reveal.h)
 *
 * Everything is opened in the old root, then put into the new one, then the old one is let go. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/sandbox/layers.h"

enum { SHOWN_MAX = 96 };

/* Where the new root is put together; whatever lies there is not part of any view. */
static const char staging[] = "/tmp";

static const char *const common_paths[] = {
	"/usr",		       "/bin",		  "/sbin",     "/lib",
	"/lib32",	       "/lib64",	  "/libx32",   "/etc/ld.so.cache",
	"/etc/alternatives",   "/etc/localtime",  "/etc/timezone", "/etc/ssl/openssl.cnf",
	"/etc/ssl/certs",      "/etc/mime.types", "/dev/null", "/dev/zero",
	"/dev/full",	       "/dev/random",	  "/dev/urandom", NULL,
};

struct shown {
	const char *path;
	int tree_fd;	       /* a detached copy of the mount; -1 = a symbolic link */
	struct stat status;
	char target[PATH_MAX]; /* of the link */
};

static struct shown shown[SHOWN_MAX]; /* too large for a stack */

/* Read-only, and no devices but those named one by one. */
static int tree_close_up(int tree_fd, const char *path)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
			    (strncmp(path, "/dev/", 5) == 0 ? 0 : MOUNT_ATTR_NODEV),
		.propagation = MS_PRIVATE,
	};

	return mount_setattr(tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) == 0
		       ? 0
		       : -errno;
}

/* Open one path of the old root. 1, 0 = it is not there, or -errno. */
static int path_open(const char *path, struct shown *out)
{
	ssize_t bytes = 0;
	int result = 0;

	out->path = path;
	out->tree_fd = -1;
	if (lstat(path, &out->status) != 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	if (S_ISLNK(out->status.st_mode)) {
		bytes = readlink(path, out->target, sizeof(out->target) - 1);
		out->target[bytes < 0 ? 0 : bytes] = '\0';
		return bytes < 0 ? -errno : 1;
	}
	out->tree_fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (out->tree_fd == -1)
		return -errno;
	result = tree_close_up(out->tree_fd, path);
	if (result != 0)
		weir_fd_close(&out->tree_fd);
	return result == 0 ? 1 : result;
}

static int paths_open(const char *const *paths, size_t *count)
{
	for (; paths != NULL && *paths != NULL; paths++) {
		int result = -E2BIG;

		if (*count < SHOWN_MAX)
			result = path_open(*paths, &shown[*count]);
		if (result < 0)
			return result;
		*count += (size_t)result;
	}
	return 0;
}

/* Create the directories above `path`, which is absolute in the new root, the current directory. */
static int parents_create(const char *path)
{
	char text[PATH_MAX];
	char *slash = NULL;

	(void)snprintf(text, sizeof(text), "%s", path + 1);
	for (slash = strchr(text, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(text, 0755) != 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int file_create(const char *path)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);

	return fd == -1 ? -errno : 0;
}

static int path_show(const struct shown *what)
{
	const char *const target = what->path + 1;
	const bool is_directory = S_ISDIR(what->status.st_mode);
	struct stat there;
	int result = 0;

	if (lstat(target, &there) == 0 && there.st_dev == what->status.st_dev && there.st_ino == what->status.st_ino)
		return 0; /* part of something that is shown already */
	result = parents_create(what->path);
	if (result != 0)
		return result;
	if (what->tree_fd == -1)
		return symlink(what->target, target) == 0 || errno == EEXIST ? 0 : -errno;
	if (is_directory && mkdir(target, 0755) != 0 && errno != EEXIST)
		return -errno;
	if (!is_directory)
		result = file_create(target);
	if (result != 0)
		return result;
	return move_mount(what->tree_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : -errno;
}

/* A new file system in memory, or of processes, mounted at `target`. */
static int mount_new(const char *kind, const char *target, unsigned long flags, const char *options)
{
	return mount(kind, target, kind, flags, options) == 0 ? 0 : -errno;
}

static int own_parts_mount(const struct weir_sandbox_plan *plan)
{
	static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
					       {"/proc/self/fd/0", "dev/stdin"},
					       {"/proc/self/fd/1", "dev/stdout"},
					       {"/proc/self/fd/2", "dev/stderr"}};
	char options[64];
	int result = 0;

	if (mkdir("proc", 0555) != 0 || mkdir("tmp", 0755) != 0 || mkdir("dev", 0755) != 0)
		return -errno;
	(void)snprintf(options, sizeof(options), "mode=1777,size=%llu,nr_inodes=16384",
		       (unsigned long long)plan->scratch_bytes);
	result = mount_new("tmpfs", "tmp", MS_NOSUID | MS_NODEV, options);
	/* Only processes, not the machine's figures and knobs; a kernel before 5.8 shows those too. */
	if (result == 0)
		result = mount_new("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid");
	if (result == -EINVAL)
		result = mount_new("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]) && result == 0; i++)
		if (symlink(links[i][0], links[i][1]) != 0)
			result = -errno;
	return result;
}

/* The new root becomes the root, and the old one goes. The current directory is the new root. */
static int root_turn(void)
{
	if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return -errno;
	return 0;
}

int weir_sandbox_view_enter(const struct weir_sandbox_plan *plan, const struct weir_sandbox_profile *profile)
{
	size_t count = 0;
	int result = 0;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -errno;
	result = paths_open(common_paths, &count);
	if (result == 0)
		result = paths_open(profile->paths, &count);
	if (result == 0)
		result = mount_new("tmpfs", staging, MS_NOSUID | MS_NODEV, "mode=0755,size=1m,nr_inodes=65536");
	if (result == 0 && chdir(staging) != 0)
		result = -errno;
	if (result == 0)
		result = own_parts_mount(plan);
	for (size_t i = 0; i < count && result == 0; i++)
		result = path_show(&shown[i]);
	for (size_t i = 0; i < count; i++)
		weir_fd_close(&shown[i].tree_fd);
	return result == 0 ? root_turn() : result;
}
