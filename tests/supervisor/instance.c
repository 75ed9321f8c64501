#include "tests/supervisor/instance.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

static const uint64_t patience_ns = 60 * WEIR_NS_PER_SECOND;

static const char *bin_directory;
static const char *fake_path;

void instance_programs(const char *bin, const char *fake)
{
	bin_directory = bin;
	fake_path = fake;
}

static void pause_briefly(void)
{
	(void)usleep(5000);
}

/* A port that nobody listens on right now. */
static int port_find(void)
{
	for (int i = 0; i < 200; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET};
		const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		unsigned random = 0;
		int result = 0;

		assert_true(getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random));
		random = 20000 + random % 12000;
		address.sin_port = htons((uint16_t)random);
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		result = bind(fd, (const struct sockaddr *)&address, sizeof(address));
		(void)close(fd);
		if (result == 0)
			return (int)random;
	}
	fail_msg("no free port");
	return 0;
}

static void link_make(const struct instance *instance, const char *name, const char *directory, const char *target)
{
	char from[256];
	char to[4096];

	(void)snprintf(from, sizeof(from), "%s/libexec/%s", instance->home, name);
	(void)snprintf(to, sizeof(to), "%s%s%s", directory, directory[0] == '\0' ? "" : "/", target);
	assert_int_equal(symlink(to, from), 0);
}

void instance_open(struct instance *instance)
{
	static const char *const fakes[] = {"weir-gateway", "weir-ctrld", "weir-worker-native",
					    "weir-worker-exec"};
	char path[256];

	memset(instance, 0, sizeof(*instance));
	(void)snprintf(instance->home, sizeof(instance->home), "/tmp/it-weir-XXXXXX");
	assert_non_null(mkdtemp(instance->home));
	(void)snprintf(instance->data, sizeof(instance->data), "%s/data", instance->home);
	(void)snprintf(path, sizeof(path), "%s/libexec", instance->home);
	assert_int_equal(mkdir(path, 0700), 0);
	link_make(instance, "weir-supervisor", bin_directory, "weir-supervisor");
	for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++)
		link_make(instance, fakes[i], "", fake_path);
	instance->port = port_find();
}

void instance_start(struct instance *instance)
{
	char program[4096];
	char address[64];
	char libexec[128];

	(void)snprintf(program, sizeof(program), "%s/weir-keeper", bin_directory);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", instance->port);
	(void)snprintf(libexec, sizeof(libexec), "%s/libexec", instance->home);
	instance->keeper = fork();
	assert_true(instance->keeper >= 0);
	if (instance->keeper == 0) {
		(void)setenv("WEIR_LIBEXEC", libexec, 1);
		(void)execl(program, program, "--data", instance->data, "--listen", address, "--shards", "2", NULL);
		_exit(127);
	}
}

bool instance_board_read(struct instance *instance)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char text[8] = {'w', 'e', 'i', 'r', 's', 't', 'a', 't'};
	int fd = -1;
	size_t count = 0;
	struct weir_board *board = MAP_FAILED;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/run/supervisor.sock", instance->data);
	if (connect(client, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(client, text, sizeof(text), MSG_NOSIGNAL) == (ssize_t)sizeof(text) &&
	    weir_fd_receive(client, text, sizeof(text), &fd, 1, &count) == (ssize_t)sizeof(text) && count == 1)
		board = mmap(NULL, sizeof(*board), PROT_READ, MAP_SHARED, fd, 0);
	(void)close(client);
	weir_fd_close(&fd);
	if (board == MAP_FAILED)
		return false;
	while (true) {
		const uint64_t change = atomic_load_explicit(&board->change, memory_order_acquire);

		memcpy(&instance->board, board, sizeof(*board));
		atomic_thread_fence(memory_order_acquire);
		if (change % 2 == 0 && atomic_load_explicit(&board->change, memory_order_relaxed) == change)
			break;
	}
	(void)munmap(board, sizeof(*board));
	assert_true(instance->board.magic == WEIR_BOARD_MAGIC);
	for (uint32_t i = 0; i < instance->board.process_count; i++) {
		const pid_t pid = instance->board.process[i].pid;
		bool known = pid == 0;

		for (size_t k = 0; k < instance->seen_count; k++)
			known = known || instance->seen[k] == pid;
		if (!known && instance->seen_count < INSTANCE_SEEN_MAX)
			instance->seen[instance->seen_count++] = pid;
	}
	return true;
}

pid_t instance_pid(const struct instance *instance, enum weir_process_kind kind)
{
	for (uint32_t i = 0; i < instance->board.process_count; i++) {
		if (instance->board.process[i].kind == kind &&
		    instance->board.process[i].state == WEIR_PROCESS_READY)
			return instance->board.process[i].pid;
	}
	return 0;
}

size_t instance_workers(const struct instance *instance, uint64_t pool_key, pid_t out_pids[8])
{
	size_t count = 0;

	for (uint32_t i = 0; i < instance->board.process_count; i++) {
		const struct weir_board_process *const row = &instance->board.process[i];

		if (row->kind != WEIR_PROCESS_WORKER || row->pool_key != pool_key ||
		    row->state != WEIR_PROCESS_READY)
			continue;
		if (out_pids != NULL && count < 8)
			out_pids[count] = row->pid;
		count++;
	}
	return count;
}

bool instance_say(struct instance *instance, const char *line, long *out_pid, unsigned *out_links,
		  unsigned long *out_generation)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)instance->port)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[128] = {0};
	bool said = false;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	said = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       send(fd, line, strlen(line), MSG_NOSIGNAL) > 0 && recv(fd, text, sizeof(text) - 1, 0) > 0 &&
	       sscanf(text, "%ld %u %lu", out_pid, out_links, out_generation) == 3;
	(void)close(fd);
	return said;
}

void instance_wait_until(struct instance *instance, bool (*condition)(struct instance *, const void *),
			 const void *context, const char *what)
{
	const uint64_t until_ns = weir_clock_now_ns() + patience_ns;

	while (!instance_board_read(instance) || !condition(instance, context)) {
		if (weir_clock_now_ns() > until_ns)
			fail_msg("waited in vain until %s", what);
		pause_briefly();
	}
}

struct expected {
	size_t native;
	size_t exec;
};

static bool is_ready(struct instance *instance, const void *context)
{
	const struct expected *const expected = context;
	long pid = 0;
	unsigned links = 0;
	unsigned long generation = 0;

	return instance_pid(instance, WEIR_PROCESS_GATEWAY) != 0 &&
	       instance_pid(instance, WEIR_PROCESS_CTRLD) != 0 &&
	       instance_workers(instance, 0, NULL) == expected->native &&
	       instance_workers(instance, 1, NULL) == expected->exec &&
	       instance->board.segments == expected->native + expected->exec &&
	       instance->board.generation > 0 && instance_say(instance, "status", &pid, &links, &generation) &&
	       links == expected->native + expected->exec && generation == instance->board.generation &&
	       pid == instance_pid(instance, WEIR_PROCESS_GATEWAY);
}

void instance_wait_ready(struct instance *instance, size_t native, size_t exec)
{
	const struct expected expected = {.native = native, .exec = exec};

	instance_wait_until(instance, is_ready, &expected, "everything is ready and linked");
}

int instance_wait(struct instance *instance)
{
	int status = -1;

	assert_int_equal(waitpid(instance->keeper, &status, 0), instance->keeper);
	instance->keeper = 0;
	return status;
}

/* A process that runs: there, and no zombie that its new parent has not asked for yet. */
static bool is_running(pid_t pid)
{
	char path[64];
	char text[512] = {0};
	const char *state = NULL;
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fread(text, 1, sizeof(text) - 1, file) > 0)
		state = strrchr(text, ')');
	(void)fclose(file);
	return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

static bool socket_is_left(const struct instance *instance)
{
	char path[160];
	const struct dirent *found = NULL;
	struct stat status;
	bool left = false;
	DIR *directory = NULL;

	(void)snprintf(path, sizeof(path), "%s/run", instance->data);
	directory = opendir(path);
	if (directory == NULL)
		return false;
	while ((found = readdir(directory)) != NULL)
		left = left || (fstatat(dirfd(directory), found->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
				!S_ISDIR(status.st_mode));
	(void)closedir(directory);
	return left;
}

void instance_check_nothing_left(struct instance *instance)
{
	const uint64_t until_ns = weir_clock_now_ns() + patience_ns;

	for (size_t i = 0; i < instance->seen_count; i++) {
		while (is_running(instance->seen[i])) {
			if (weir_clock_now_ns() > until_ns)
				fail_msg("process %d is left", (int)instance->seen[i]);
			pause_briefly();
		}
	}
	if (socket_is_left(instance))
		fail_msg("a socket or lock is left in %s/run", instance->data);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status;
	(void)kind;
	(void)at;
	return remove(path);
}

void instance_close(struct instance *instance)
{
	if (instance->keeper != 0) {
		(void)kill(instance->keeper, SIGTERM);
		assert_int_equal(instance_wait(instance), 0);
	}
	instance_check_nothing_left(instance);
	assert_int_equal(nftw(instance->home, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
