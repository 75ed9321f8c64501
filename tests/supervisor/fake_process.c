/* fake_process: stands in for the gateway, ctrld and the workers, so that the supervisor is tested
 * alone. Which one it is says the name it was started by. It keeps the contract of abi/control.h and
 * nothing more; a test tells it what to do by one line over its TCP port (gateway) or a signal.
 *
 *   gateway  answers each connection with "PID LINKS GENERATION\n" after a line:
 *            "status", "demand KEY WAITING", "kill WORKER", "refuse" (its next link)
 *   ctrld    publishes generation 1 once it runs; SIGUSR1 publishes the next one, SIGUSR2 garbage;
 *            writes the newest acknowledged generation to DATA/acked
 *   worker   SIGUSR1: ignores STOP and LINK_CLOSE from now on */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/shm/control.h"
#include "dataplane/shm/segment.h"
#include "dataplane/shm/shard_board.h"
#include "tests/shm/snapshot_sample.h"

enum { LINKS_MAX = 16, LISTEN_FIRST = 2 + LINKS_MAX, POLLED_MAX = LISTEN_FIRST + 16, LINE_BYTES_MAX = 128 };

/* Control socket, signals, a pidfd per link, listening sockets. */
static struct pollfd polled[POLLED_MAX] = {{.fd = WEIR_CONTROL_FD, .events = POLLIN}};
static nfds_t polled_count = LISTEN_FIRST;
static struct weir_control opened[LINKS_MAX]; /* LINK_OPEN of each */
static uint32_t shard_count;
static uint32_t links;
static uint64_t generation;
static bool refuse;
static bool stubborn;
static char data[4096];

static void answer(uint32_t kind, const struct weir_control *to)
{
	struct weir_control control = *to;

	control.kind = kind;
	if (weir_control_send(WEIR_CONTROL_FD, &control, NULL, 0) != 0)
		exit(3);
}

static void link_answer(uint32_t kind, const struct weir_control *open)
{
	struct weir_control control = {0};

	control.link.link_id = open->link_open.link_id;
	control.link.worker_id = open->link_open.worker_id;
	answer(kind, &control);
}

static size_t place_free(void)
{
	for (size_t i = 0; i < LINKS_MAX; i++) {
		if (opened[i].link_open.link_id == 0)
			return i;
	}
	exit(9);
}

static void link_open(const struct weir_control *control, struct weir_control_fds *fds)
{
	const size_t place = place_free();

	if (refuse) {
		refuse = false;
		link_answer(WEIR_CONTROL_LINK_GONE, control);
		return;
	}
	opened[place] = *control;
	polled[2 + place].fd = fds->fd[1];
	fds->fd[1] = -1;
	links++;
	link_answer(WEIR_CONTROL_LINK_READY, control);
}

/* Asked to, or because the worker died. */
static void link_let_go(size_t place)
{
	link_answer(WEIR_CONTROL_LINK_GONE, &opened[place]);
	(void)close(polled[2 + place].fd);
	polled[2 + place].fd = -1;
	memset(&opened[place], 0, sizeof(opened[place]));
	links--;
}

static void gateway_start(const struct weir_control *control)
{
	const struct weir_control ready = {.kind = WEIR_CONTROL_READY};
	struct weir_shard_board *board = NULL;
	int fd = -1;

	shard_count = control->gateway_start.shard_count;
	if (weir_shard_board_create(&fd, &board) != 0 ||
	    weir_control_send(WEIR_CONTROL_FD, &ready, &fd, 1) != 0)
		exit(3);
	(void)close(fd);
}

static void gateway_message(const struct weir_control *control, struct weir_control_fds *fds)
{
	struct weir_control ack = {0};

	switch ((int)control->kind) { /* those that come to this role */
	case WEIR_CONTROL_GATEWAY_START:
		gateway_start(control);
		break;
	case WEIR_CONTROL_LISTEN:
		for (size_t i = 0; i < fds->count && polled_count < POLLED_MAX; i++) {
			polled[polled_count++] = (struct pollfd){.fd = fds->fd[i], .events = POLLIN};
			fds->fd[i] = -1;
		}
		break;
	case WEIR_CONTROL_LINK_OPEN:
		link_open(control, fds);
		break;
	case WEIR_CONTROL_LINK_CLOSE:
		for (size_t i = 0; i < LINKS_MAX; i++) {
			if (opened[i].link_open.link_id == control->link.link_id)
				link_let_go(i);
		}
		break;
	case WEIR_CONTROL_SNAPSHOT:
		if (control->snapshot.generation <= generation)
			break; /* as the real one: a duplicate is not acknowledged again */
		generation = control->snapshot.generation;
		ack.snapshot_ack.generation = generation;
		ack.snapshot_ack.shards_acked = shard_count;
		ack.snapshot_ack.shards_total = shard_count;
		answer(WEIR_CONTROL_SNAPSHOT_ACK, &ack);
		break;
	case WEIR_CONTROL_STOP:
		exit(0);
	default:
		break;
	}
}

static void worker_message(const struct weir_control *control, const struct weir_control_fds *fds)
{
	struct weir_segment segment;
	const struct weir_control ready = {.kind = WEIR_CONTROL_READY};

	switch ((int)control->kind) { /* those that come to this role */
	case WEIR_CONTROL_SNAPSHOT:
		if (generation == 0)
			answer(WEIR_CONTROL_READY, &ready);
		generation = control->snapshot.generation;
		break;
	case WEIR_CONTROL_LINK_OPEN:
		if (weir_segment_attach(fds->fd[0], &segment) != 0)
			exit(4);
		weir_segment_detach(&segment);
		links++;
		break;
	case WEIR_CONTROL_LINK_CLOSE:
		if (stubborn)
			break;
		links--;
		answer(WEIR_CONTROL_LINK_GONE, control);
		break;
	case WEIR_CONTROL_STOP:
		if (!stubborn)
			exit(0);
		break;
	default:
		break;
	}
}

/* Pools: key 0 is native with 1 to 2 workers, key 1 exec with 1; from generation 3 on key 1 is gone.
 * The instance may have 2 workers in generation 2, any number else. */
static void publish(uint64_t next)
{
	static struct snapshot_sample sample;
	struct weir_control control = {.kind = WEIR_CONTROL_SNAPSHOT};
	int fd = memfd_create("sample", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	sample_build(&sample);
	sample.header.generation = next;
	sample.pools[1].workers_max = 1;
	sample.pools[0].scale = sample.pools[1].scale =
		(struct weir_autoscale_rule){.step_ms = 1000, .samples = 10, .threshold = 800};
	sample.header.settings.workers_max = next == 2 ? 2 : 0;
	if (next >= 3) {
		sample.functions[1].pool = 0;
		sample.functions[1].runtime = WEIR_RUNTIME_NATIVE;
		sample.functions[1].spec_first = 0;
	}
	sample_checksum(&sample);
	if (fd == -1 || write(fd, &sample, sizeof(sample)) != (ssize_t)sizeof(sample) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		exit(5);
	control.snapshot.generation = next;
	if (weir_control_send(WEIR_CONTROL_FD, &control, &fd, 1) != 0)
		exit(3);
	(void)close(fd);
}

static void publish_garbage(void)
{
	struct weir_control control = {.kind = WEIR_CONTROL_SNAPSHOT};
	int fd = -1;

	control.snapshot.generation = generation + 1;
	if (weir_fd_create_shared("garbage", 4096, &fd) != 0 ||
	    weir_control_send(WEIR_CONTROL_FD, &control, &fd, 1) != 0)
		exit(3);
	(void)close(fd);
}

static void ctrld_message(const struct weir_control *control)
{
	const struct weir_control ready = {.kind = WEIR_CONTROL_READY};
	char path[4200];
	char temporary[4300];
	FILE *file = NULL;

	if (control->kind == WEIR_CONTROL_CTRLD_START) {
		generation = control->snapshot.generation;
		answer(WEIR_CONTROL_READY, &ready);
		if (generation == 0)
			publish(++generation);
	} else if (control->kind == WEIR_CONTROL_SNAPSHOT_ACK) {
		(void)snprintf(path, sizeof(path), "%s/acked", data);
		(void)snprintf(temporary, sizeof(temporary), "%s.new", path);
		file = fopen(temporary, "we");
		if (file == NULL)
			exit(6);
		(void)fprintf(file, "%lu\n", (unsigned long)control->snapshot_ack.generation);
		(void)fclose(file);
		(void)rename(temporary, path);
	} else if (control->kind == WEIR_CONTROL_STOP) {
		exit(0);
	}
}

/* One line over HTTP's port. */
static void line_obey(int listening_fd)
{
	char line[LINE_BYTES_MAX] = {0};
	struct weir_control control = {0};
	unsigned long long number = 0;
	const int fd = accept(listening_fd, NULL, NULL);

	if (fd == -1 || read(fd, line, sizeof(line) - 1) <= 0) {
		(void)close(fd);
		return;
	}
	if (sscanf(line, "demand %llu %u", &number, &control.demand.waiting) == 2) {
		control.demand.pool_key = number;
		control.demand.urgent = 1; /* said once, where a gateway says it again and again */
		answer(WEIR_CONTROL_DEMAND, &control);
	} else if (sscanf(line, "kill %llu", &number) == 1) {
		control.worker_kill.worker_id = number;
		(void)strcpy(control.worker_kill.reason, "the test said so");
		answer(WEIR_CONTROL_WORKER_KILL, &control);
	} else if (strncmp(line, "refuse", 6) == 0) {
		refuse = true;
	}
	(void)dprintf(fd, "%ld %u %lu\n", (long)getpid(), links, (unsigned long)generation);
	(void)close(fd);
}

static void signal_obey(char role)
{
	struct signalfd_siginfo info;

	if (read(polled[1].fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (role == 'w')
		stubborn = true;
	else if (role == 'c' && info.ssi_signo == SIGUSR1)
		publish(++generation);
	else if (role == 'c')
		publish_garbage();
}

static void messages_obey(char role)
{
	struct weir_control control;
	struct weir_control_fds fds;
	const int result = weir_control_receive(WEIR_CONTROL_FD, &control, &fds);

	if (result == 0)
		exit(0); /* nobody is left who could tell us anything */
	if (result != 1)
		exit(7);
	if (role == 'g')
		gateway_message(&control, &fds);
	else if (role == 'w')
		worker_message(&control, &fds);
	else
		ctrld_message(&control);
	weir_fd_close_all(fds.fd, fds.count);
}

int main(int argc, char **argv)
{
	const char *const slash = strrchr(argv[0], '/');
	const char *const name = slash == NULL ? argv[0] : slash + 1;
	const char role = strncmp(name, "weir-gateway", 12) == 0 ? 'g' : strncmp(name, "weir-worker", 11) == 0 ? 'w' : 'c';
	sigset_t signals;

	if (argc == 3)
		(void)snprintf(data, sizeof(data), "%s", argv[2]);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGUSR1);
	(void)sigaddset(&signals, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	for (nfds_t i = 1; i < LISTEN_FIRST; i++)
		polled[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	polled[1].fd = signalfd(-1, &signals, SFD_CLOEXEC);
	while (poll(polled, polled_count, -1) > 0) {
		for (nfds_t i = 2; i < polled_count; i++) {
			if (polled[i].revents == 0)
				continue;
			if (i < LISTEN_FIRST)
				link_let_go(i - 2);
			else
				line_obey(polled[i].fd);
		}
		if (polled[1].revents != 0)
			signal_obey(role);
		if (polled[0].revents != 0)
			messages_obey(role);
	}
	return 8;
}
