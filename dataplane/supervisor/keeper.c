#include "dataplane/supervisor/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"
#include "dataplane/base/program_path.h"
#include "dataplane/supervisor/cgroup.h"
#include "dataplane/supervisor/program.h"
#include "dataplane/supervisor/store_table.h"

enum {
	LOCK_TRIES_MAX = 16,
	CHILDREN_TEXT_BYTES = 65536,
	STOP_ROUNDS_MAX = 100,
};

static const uint64_t stop_ns = 10 * WEIR_NS_PER_SECOND; /* the supervisor's own stages take 6 s */
static const uint64_t last_grace_ns = 1 * WEIR_NS_PER_SECOND;
static const uint64_t restart_delay_ns_min = 10 * WEIR_NS_PER_MS;
static const uint64_t restart_delay_ns_max = WEIR_NS_PER_SECOND;

struct keeper {
	struct weir_store_table table;
	char program[PATH_MAX];
	char *const *argv;
	int signal_fd;
	int socket_fd;       /* ours of the store's two ends; -1 = no supervisor */
	int supervisor_pidfd;
	pid_t supervisor;    /* 0 = none */
	uint64_t started_ns;
	uint64_t delay_ns;   /* of the next restart */
	uint64_t start_ns;   /* when to start a supervisor; only while there is none */
	uint64_t stop_by_ns; /* 0 = not stopping */
	size_t handed;       /* entries handed to this supervisor */
	bool handing;
	bool finished;
	int exit_code;
};

static struct keeper keeper; /* one per process; too large for a stack */

/* True if `fd` still is the file that `path` names: another keeper may have removed it meanwhile. */
static bool is_same_file(int fd, const char *path)
{
	struct stat held;
	struct stat named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
	       held.st_ino == named.st_ino;
}

static long holder_read(int fd)
{
	char text[32] = {0};
	const ssize_t bytes = pread(fd, text, sizeof(text) - 1, 0);

	return bytes > 0 ? strtol(text, NULL, 10) : 0;
}

int weir_keeper_lock(const char *data, int *out_fd, long *out_holder)
{
	char path[PATH_MAX + sizeof("/run/lock")];

	(void)snprintf(path, sizeof(path), "%s/run/lock", data);
	for (int i = 0; i < LOCK_TRIES_MAX; i++) {
		WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		if (fd == -1)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			const int result = -errno;

			*out_holder = holder_read(fd);
			return result;
		}
		if (!is_same_file(fd, path))
			continue;
		if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
			return -errno;
		*out_fd = fd;
		fd = -1;
		return 0;
	}
	return -EAGAIN;
}

static void supervisor_start(void)
{
	int sockets[2] = {-1, -1};
	int result = 0;

	/* The next delay is decided now: a supervisor that lives resets it when it dies. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		result = -errno;
	/* Only our end: each end has its own flags, and the supervisor's sends may wait. */
	if (result == 0 && fcntl(sockets[0], F_SETFL, O_NONBLOCK) != 0)
		result = -errno;
	if (result == 0)
		result = weir_program_start(keeper.program, keeper.argv, sockets[1], true, &keeper.supervisor,
					    &keeper.supervisor_pidfd);
	weir_fd_close(&sockets[1]);
	keeper.started_ns = weir_clock_now_ns();
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "cannot start the supervisor", "program=%s error=\"%s\"", keeper.program,
			 strerror(-result));
		weir_fd_close(&sockets[0]);
		keeper.supervisor = 0;
		keeper.start_ns = keeper.started_ns + restart_delay_ns_max;
		return;
	}
	keeper.socket_fd = sockets[0];
	keeper.handed = 0;
	keeper.handing = true;
	weir_log(WEIR_LOG_INFO, "supervisor started", "pid=%d entries=%zu", (int)keeper.supervisor,
		 keeper.table.count);
}

/* Hand over entries until the socket is full or all are there. */
static void entries_hand_over(void)
{
	struct weir_store_message done;

	while (keeper.handed < keeper.table.count) {
		const struct weir_store_entry *const entry = keeper.table.entry[keeper.handed];
		const int result =
			weir_store_send(keeper.socket_fd, &entry->message, entry->fds, entry->fd_count);

		if (result == -EAGAIN || result == -ETOOMANYREFS)
			return;
		if (result != 0) /* it died: its end tells us */
			break;
		keeper.handed++;
	}
	weir_store_message_set(&done, WEIR_STORE_DONE, "", NULL, 0);
	if (weir_store_send(keeper.socket_fd, &done, NULL, 0) != -EAGAIN)
		keeper.handing = false;
}

/* Apply what the supervisor sent, up to its end. */
static void entries_receive(void)
{
	struct weir_store_message message;
	int fds[WEIR_FD_PASS_MAX];
	size_t fd_count = 0;

	while (keeper.socket_fd != -1) {
		const int received = weir_store_receive(keeper.socket_fd, &message, fds, &fd_count);
		int result = 0;

		if (received == -EAGAIN)
			return;
		if (received == -EBADMSG) {
			weir_log(WEIR_LOG_ERROR, "malformed store message", "action=ignored");
			continue;
		}
		if (received <= 0) {
			weir_fd_close(&keeper.socket_fd);
			return;
		}
		result = weir_store_table_apply(&keeper.table, &message, fds, fd_count);
		if (result != 0) {
			weir_log(WEIR_LOG_ERROR, "cannot keep an entry", "name=%s error=\"%s\"", message.name,
				 strerror(-result));
			weir_fd_close_all(fds, fd_count);
		}
	}
}

static void supervisor_ended(int status)
{
	const uint64_t now_ns = weir_clock_now_ns();
	const bool exited = WIFEXITED(status);
	const int code = exited ? WEXITSTATUS(status) : WTERMSIG(status);

	entries_receive(); /* what it said before it died counts */
	weir_fd_close(&keeper.socket_fd);
	weir_fd_close(&keeper.supervisor_pidfd);
	keeper.supervisor = 0;
	if (keeper.stop_by_ns != 0 || (exited && code == WEIR_SUPERVISOR_EXIT_DONE)) {
		keeper.finished = true;
		return;
	}
	if (exited && code == WEIR_SUPERVISOR_EXIT_FATAL) {
		keeper.finished = true;
		keeper.exit_code = 1;
		return;
	}
	if (now_ns - keeper.started_ns > restart_delay_ns_max)
		keeper.delay_ns = 0;
	keeper.start_ns = now_ns + keeper.delay_ns;
	keeper.delay_ns = keeper.delay_ns == 0 ? restart_delay_ns_min : keeper.delay_ns * 2;
	if (keeper.delay_ns > restart_delay_ns_max)
		keeper.delay_ns = restart_delay_ns_max;
	weir_log(WEIR_LOG_WARN, "supervisor died", "%s=%d restart_in_ms=%llu", exited ? "status" : "signal", code,
		 (unsigned long long)((keeper.start_ns - now_ns) / WEIR_NS_PER_MS));
}

/* Reap every child that has ended. False when there are no children at all. */
static bool children_reap(void)
{
	int status = 0;
	pid_t pid = 0;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == keeper.supervisor)
			supervisor_ended(status);
		else
			weir_log(WEIR_LOG_INFO, "process ended", "pid=%d %s=%d", (int)pid,
				 WIFEXITED(status) ? "status" : "signal",
				 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
	return pid != -1;
}

static void signals_read(void)
{
	struct signalfd_siginfo info;

	while (read(keeper.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (keeper.stop_by_ns != 0) /* asked twice: do not wait any longer */
			keeper.stop_by_ns = weir_clock_now_ns();
		else
			keeper.stop_by_ns = weir_clock_now_ns() + stop_ns;
		weir_log(WEIR_LOG_INFO, "stopping", "signal=%u", info.ssi_signo);
		if (keeper.supervisor != 0)
			(void)kill(keeper.supervisor, SIGTERM); /* our child: it can't be another process */
		else
			keeper.finished = true;
	}
	(void)children_reap();
}

/* Milliseconds until something is due; -1 = nothing is. */
static int wait_ms(uint64_t now_ns)
{
	uint64_t due_ns = UINT64_MAX;

	if (keeper.stop_by_ns != 0)
		due_ns = keeper.stop_by_ns;
	else if (keeper.supervisor == 0)
		due_ns = keeper.start_ns;
	if (due_ns == UINT64_MAX)
		return -1;
	return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS);
}

static void turn(void)
{
	struct pollfd polled[2] = {{.fd = keeper.signal_fd, .events = POLLIN},
				   {.fd = keeper.socket_fd, .events = POLLIN}};
	const uint64_t now_ns = weir_clock_now_ns();

	if (keeper.supervisor == 0 && keeper.stop_by_ns == 0 && keeper.start_ns <= now_ns) {
		supervisor_start();
		polled[1].fd = keeper.socket_fd;
	}
	if (keeper.stop_by_ns != 0 && keeper.stop_by_ns <= now_ns) {
		weir_log(WEIR_LOG_WARN, "the supervisor takes too long to stop", "action=kill");
		keeper.finished = true;
		return;
	}
	if (keeper.handing)
		polled[1].events |= POLLOUT;
	if (poll(polled, 2, wait_ms(now_ns)) <= 0)
		return;
	if ((polled[1].revents & POLLOUT) != 0)
		entries_hand_over();
	if ((polled[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		entries_receive();
	if ((polled[0].revents & POLLIN) != 0)
		signals_read();
}

/* Kill every child of this process: as subreaper, whatever is left of the instance is one. */
static void children_kill(void)
{
	char path[64];
	FILE *file = NULL;
	long pid = 0;

	(void)weir_store_table_kill(&keeper.table);
	if (keeper.supervisor != 0)
		(void)kill(keeper.supervisor, SIGKILL);
	(void)snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long)getpid());
	file = fopen(path, "re");
	if (file == NULL)
		return; /* a kernel without this list: the table's pidfds are all there is */
	while (fscanf(file, "%ld", &pid) == 1)
		(void)kill((pid_t)pid, SIGKILL); /* our child, not reaped yet: the number is its own */
	(void)fclose(file);
}

/* The supervisor has ended: close what tells the others to live, give them a moment, kill the rest. */
static void everything_end(void)
{
	const uint64_t kill_at_ns = weir_clock_now_ns() + (keeper.supervisor == 0 ? last_grace_ns : 0);
	struct pollfd polled = {.fd = keeper.signal_fd, .events = POLLIN};
	struct signalfd_siginfo info;

	for (size_t i = 0; i < keeper.table.count; i++) {
		struct weir_store_entry *const entry = keeper.table.entry[i];

		for (size_t k = 0; k < entry->fd_count; k++) {
			if ((int32_t)k != entry->message.pidfd_index)
				weir_fd_close(&entry->fds[k]);
		}
	}
	for (int round = 0; children_reap() && round < STOP_ROUNDS_MAX; round++) {
		if (weir_clock_now_ns() >= kill_at_ns)
			children_kill();
		(void)poll(&polled, 1, 50);
		while (read(keeper.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			continue;
	}
	weir_store_table_close(&keeper.table);
}

/* Remove the sockets of a directory, and then itself if `whole` and it is empty. */
static void sockets_remove(int parent_fd, const char *name, bool whole)
{
	const int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *const directory = fd == -1 ? NULL : fdopendir(fd);
	const struct dirent *found = NULL;
	struct stat status;

	if (directory == NULL) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((found = readdir(directory)) != NULL) {
		if (fstatat(fd, found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(status.st_mode))
			(void)unlinkat(fd, found->d_name, 0);
	}
	if (whole)
		(void)unlinkat(parent_fd, name, AT_REMOVEDIR); /* somebody's file in it: it stays */
	(void)closedir(directory);
}

/* Remove what a killed process could not remove itself: sockets, and the directory that dialects are shown. The
 * lock file goes last. */
static void run_directory_clean(const char *data)
{
	char path[PATH_MAX + sizeof("/run")];
	WEIR_CLEANUP(weir_fd_close) int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/run", data);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	sockets_remove(fd, "dialect", true);
	sockets_remove(fd, ".", false);
	(void)unlinkat(fd, "lock", 0);
}

static int signals_open(void)
{
	sigset_t watched;

	(void)sigemptyset(&watched);
	(void)sigaddset(&watched, SIGINT);
	(void)sigaddset(&watched, SIGTERM);
	(void)sigaddset(&watched, SIGHUP);
	(void)sigaddset(&watched, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &watched, NULL) != 0)
		return -errno;
	keeper.signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	return keeper.signal_fd == -1 ? -errno : 0;
}

int weir_keeper_run(const struct weir_options *options, int argc, char *const *argv)
{
	WEIR_CLEANUP(weir_free) char **arguments = calloc((size_t)argc + 1, sizeof(*arguments));
	int result = weir_program_path_find("weir-supervisor", keeper.program);

	if (arguments == NULL || result != 0) {
		(void)fprintf(stderr, "error: cannot find weir-supervisor beside weir-keeper: %s\n",
			      strerror(arguments == NULL ? ENOMEM : -result));
		return 1;
	}
	arguments[0] = keeper.program;
	for (int i = 1; i < argc; i++)
		arguments[i] = argv[i];
	keeper.argv = arguments;
	keeper.socket_fd = -1;
	keeper.supervisor_pidfd = -1;
	result = signals_open();
	if (result == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		result = -errno;
	if (result != 0) {
		(void)fprintf(stderr, "error: cannot watch processes: %s\n", strerror(-result));
		return 1;
	}
	while (!keeper.finished)
		turn();
	everything_end();
	weir_cgroups_close(options->data);
	run_directory_clean(options->data);
	weir_log(WEIR_LOG_INFO, "stopped", "status=%d", keeper.exit_code);
	return keeper.exit_code;
}
