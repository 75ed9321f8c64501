/* weir-build RUNTIME NAME: what stands around weir-build-RUNTIME. Started by weir-supervisor with the
 * input's folder as descriptor 3, the output's as 4, and the log as standard output and error.
 *
 *   no rights, no network where the kernel lets us, limits  -->  weir-build-RUNTIME IN/NAME OUT/artifact
 *
 * The build ends with the supervisor. It gets PATH, TMPDIR (the output's folder) and LC_ALL only. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/program_path.h"
#include "dataplane/base/rights.h"

enum {
	FD_INPUT = 3,
	FD_OUTPUT = 4,
	EXIT_MACHINE = 3, /* as the builders say it */
	CPU_SECONDS = 300,
};

#define MEMORY_BYTES (UINT64_C(3) << 30) /* of each process's address space */
#define FILE_BYTES   (UINT64_C(256) << 20)

static int fail(const char *what)
{
	(void)fprintf(stderr, "weir-build: %s: %s\n", what, strerror(errno));
	return EXIT_MACHINE;
}

static bool limit_set(__rlimit_resource_t resource, uint64_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		return false;
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) == 0;
}

static bool file_write(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const bool done = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd != -1)
		(void)close(fd);
	return done;
}

/* A network of its own, in which there is nothing. With a user namespace where that needs rights. */
static void network_leave(void)
{
	char map[64];
	const unsigned uid = geteuid();
	const unsigned gid = getegid();

	if (unshare(CLONE_NEWNET) == 0)
		return;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		(void)fprintf(stderr, "weir-build: note: this machine gives a build no network of its "
				      "own (%s)\n",
			      strerror(errno));
		return;
	}
	/* The same user inside; without a map the build would be nobody, which is fine too. */
	(void)file_write("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
	(void)file_write("/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
	(void)file_write("/proc/self/gid_map", map);
}

/* The folder behind a descriptor. */
static bool folder_path(int fd, char out_path[PATH_MAX])
{
	char link[64];
	ssize_t bytes = 0;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, out_path, PATH_MAX - 1);
	if (bytes <= 0)
		return false;
	out_path[bytes] = '\0';
	return out_path[0] == '/';
}

int main(int argc, char **argv)
{
	char input[PATH_MAX];
	char output[PATH_MAX];
	char program[PATH_MAX];
	char name[64];
	char in[PATH_MAX + NAME_MAX + 2];
	char out[PATH_MAX + 16];
	char temporary[PATH_MAX + 16];
	char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	char language[] = "LC_ALL=C";
	char *const environment[] = {path, language, temporary, NULL};
	char *const arguments[] = {name, in, out, NULL};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* 0 always for a valid signal */
	if (argc != 3) {
		(void)fprintf(stderr, "usage: weir-build RUNTIME NAME; started by weir-supervisor\n");
		return 2;
	}
	if (!folder_path(FD_INPUT, input) || !folder_path(FD_OUTPUT, output) ||
	    fchdir(FD_OUTPUT) != 0)
		return fail("no folders to work with");
	(void)snprintf(name, sizeof(name), "weir-build-%.32s", argv[1]);
	(void)snprintf(in, sizeof(in), "%s/%.255s", input, argv[2]);
	(void)snprintf(out, sizeof(out), "%s/artifact", output);
	(void)snprintf(temporary, sizeof(temporary), "TMPDIR=%s", output);
	errno = -weir_program_path_find(name, program);
	if (errno != 0)
		return fail("there is no builder for this runtime here");
	network_leave();
	errno = -weir_rights_drop(0);
	if (errno != 0)
		return fail("cannot give up rights");
	if (!limit_set(RLIMIT_CPU, CPU_SECONDS) || !limit_set(RLIMIT_FSIZE, FILE_BYTES))
		return fail("cannot set limits");
#ifndef WEIR_SANITIZED
	if (!limit_set(RLIMIT_AS, MEMORY_BYTES))
		return fail("cannot limit memory");
#endif
	(void)syscall(SYS_close_range, 3U, ~0U, 0U); /* an old kernel: they stay open, and are harmless */
	(void)execve(program, arguments, environment);
	return fail("cannot start the builder");
}
