/* GET /attack?do=WHAT&path=PATH&pid=N&at=N: tries something that a function must not do, and answers the
 * errno as a number, 0 where it worked. The same questions stand in attack.* of the other runtimes. */
#define _GNU_SOURCE /* process_vm_readv, unshare */
#include "weir_function.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENT_BYTES = 512 };

struct attack {
	char what[ARGUMENT_BYTES];
	char path[ARGUMENT_BYTES];
	char pid[ARGUMENT_BYTES];
	char at[ARGUMENT_BYTES];
};

/* The value of `name` in the query, as it is. */
static void argument_take(struct weir_text query, const char *name, char out[ARGUMENT_BYTES])
{
	const size_t name_bytes = strlen(name);
	size_t place = 0;

	out[0] = '\0';
	while (place < query.bytes) {
		const char *const piece = query.data + place;
		size_t bytes = 0;

		while (place + bytes < query.bytes && piece[bytes] != '&')
			bytes++;
		if (bytes > name_bytes && strncmp(piece, name, name_bytes) == 0 && piece[name_bytes] == '=')
			(void)snprintf(out, ARGUMENT_BYTES, "%.*s", (int)(bytes - name_bytes - 1),
				       piece + name_bytes + 1);
		place += bytes + 1;
	}
}

/* A descriptor, or -1 and errno: what it tells. */
static int descriptor_tell(int fd)
{
	if (fd == -1)
		return errno;
	(void)close(fd);
	return 0;
}

static int result_tell(long result)
{
	return result == -1 ? errno : 0;
}

static int write_try(const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1)
		return errno;
	(void)close(fd);
	return result_tell(unlink(path));
}

static int fork_try(void)
{
	const pid_t pid = (pid_t)syscall(SYS_fork);

	if (pid == 0)
		_exit(0);
	if (pid == -1)
		return errno;
	return result_tell(waitpid(pid, NULL, 0));
}

/* Another process's memory; only the errno counts. */
static int peek_try(pid_t pid)
{
	char byte = 0;
	struct iovec here = {.iov_base = &byte, .iov_len = 1};
	struct iovec there = {.iov_base = (void *)(uintptr_t)65536, .iov_len = 1};
	const ssize_t bytes = process_vm_readv(pid, &here, 1, &there, 1, 0);

	return bytes == -1 && errno != EFAULT ? errno : 0;
}

/* What another process has mapped at that place: its segment. */
static int segment_try(const char *path, long long at)
{
	char bytes[8];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result = 0;

	if (fd == -1)
		return errno;
	result = pread(fd, bytes, sizeof(bytes), at) == (ssize_t)sizeof(bytes) ? 0 : errno;
	(void)close(fd);
	return result;
}

static int limit_try(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return errno;
	return result_tell(setrlimit(RLIMIT_NOFILE, &limit));
}

static int attack_run(const struct attack *attack)
{
	const pid_t pid = attack->pid[0] == '\0' ? getppid() : (pid_t)strtol(attack->pid, NULL, 10);
	const char *const what = attack->what;

	if (strcmp(what, "read") == 0)
		return descriptor_tell(open(attack->path, O_RDONLY | O_CLOEXEC));
	if (strcmp(what, "write") == 0)
		return write_try(attack->path);
	if (strcmp(what, "segment") == 0)
		return segment_try(attack->path, strtoll(attack->at, NULL, 10));
	if (strcmp(what, "socket") == 0)
		return descriptor_tell(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (strcmp(what, "local") == 0)
		return descriptor_tell(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (strcmp(what, "ptrace") == 0)
		return result_tell(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	if (strcmp(what, "kill") == 0)
		return result_tell(kill(pid, 0));
	if (strcmp(what, "fork") == 0)
		return fork_try();
	if (strcmp(what, "peek") == 0)
		return peek_try(pid);
	if (strcmp(what, "mount") == 0)
		return result_tell(mount("none", "/tmp", "tmpfs", 0, "size=4k"));
	if (strcmp(what, "unshare") == 0)
		return result_tell(unshare(CLONE_NEWUTS));
	if (strcmp(what, "uring") == 0)
		return descriptor_tell((int)syscall(SYS_io_uring_setup, 1, (char[256]){0}));
	if (strcmp(what, "bpf") == 0)
		return result_tell(syscall(SYS_bpf, 0, (char[256]){0}, 128));
	if (strcmp(what, "keys") == 0)
		return result_tell(syscall(SYS_keyctl, 0, -3, 1));
	if (strcmp(what, "limit") == 0)
		return limit_try();
	return -1;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	struct attack attack;
	char text[32];

	argument_take(request->query, "do", attack.what);
	argument_take(request->query, "path", attack.path);
	argument_take(request->query, "pid", attack.pid);
	argument_take(request->query, "at", attack.at);
	(void)snprintf(text, sizeof(text), "%d", attack_run(&attack));
	return weir_response_write_text(response, text);
}
