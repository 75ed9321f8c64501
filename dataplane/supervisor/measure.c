#include "dataplane/supervisor/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/load.h"
#include "dataplane/supervisor/clocks.h"

static bool is_probed(const struct weir_supervisor *supervisor)
{
	return supervisor->probe.board != NULL;
}

/* The memfd, or what keeps board and programs. */
static void load_keep(struct weir_supervisor *supervisor)
{
	struct weir_store_message message;

	weir_store_message_set(&message, WEIR_STORE_STORE, "load", NULL, 0);
	if (is_probed(supervisor)) {
		weir_supervisor_keep(supervisor, &message, supervisor->probe.fd, supervisor->probe.fd_count);
	} else {
		weir_supervisor_keep(supervisor, &message, &supervisor->load_fd, 1);
	}
}

static int clocks_open(struct weir_supervisor *supervisor, const char *why)
{
	const int result = weir_load_create(&supervisor->load_fd, &supervisor->load);

	if (result == 0)
		(void)snprintf(supervisor->load->why, sizeof(supervisor->load->why), "%s", why);
	return result;
}

int weir_measure_open(struct weir_supervisor *supervisor)
{
	char why[WEIR_LOAD_WHY_BYTES_MAX] = "--probes off";
	int result = 0;

	if (supervisor->load != NULL)
		return 0;
	if (supervisor->options.probes && weir_probe_open(&supervisor->probe, why) == 0) {
		supervisor->load = supervisor->probe.board;
		supervisor->load_fd = supervisor->probe.fd[0];
		(void)snprintf(supervisor->load->why, sizeof(supervisor->load->why), "%s", why);
	} else {
		result = clocks_open(supervisor, why);
	}
	if (result != 0)
		return result;
	atomic_store_explicit(&supervisor->load->period_ns,
			      (is_probed(supervisor) ? WEIR_MEASURE_RSS_PERIOD_MS : WEIR_MEASURE_PERIOD_MS) *
				      WEIR_NS_PER_MS,
			      memory_order_relaxed);
	load_keep(supervisor);
	return 0;
}

bool weir_measure_adopt(struct weir_supervisor *supervisor, int *fds, size_t fd_count)
{
	if (supervisor->load != NULL || fd_count == 0)
		return false;
	if (fd_count == 1) {
		if (weir_load_attach_writable(fds[0], &supervisor->load) != 0)
			return false;
		supervisor->load_fd = fds[0];
	} else {
		if (weir_probe_adopt(&supervisor->probe, fds, fd_count) != 0)
			return false;
		supervisor->load = supervisor->probe.board;
		supervisor->load_fd = supervisor->probe.fd[0];
	}
	for (size_t i = 0; i < fd_count; i++)
		fds[i] = -1;
	return true;
}

static struct weir_worker *worker_of_slot(struct weir_supervisor *supervisor, uint64_t worker_id)
{
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid != 0 && worker->process.id == worker_id)
			return worker;
	}
	return NULL;
}

static void slot_release(struct weir_supervisor *supervisor, uint32_t slot)
{
	if (is_probed(supervisor))
		weir_probe_untrack(&supervisor->probe, slot);
	weir_load_release(supervisor->load, slot);
}

void weir_measure_taken_over(struct weir_supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->worker_places; i++)
		supervisor->worker[i].load_slot = WEIR_LOAD_SLOTS;
	for (uint32_t i = 0; i < WEIR_LOAD_SLOTS; i++) {
		const uint64_t id = atomic_load_explicit(&supervisor->load->slot[i].worker_id, memory_order_relaxed);
		struct weir_worker *const worker = id == 0 ? NULL : worker_of_slot(supervisor, id);

		if (worker != NULL)
			worker->load_slot = i;
		else if (id != 0)
			slot_release(supervisor, i);
	}
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];

		/* The last supervisor started it and died before it told anybody else. */
		if (worker->process.pid != 0 && worker->load_slot == WEIR_LOAD_SLOTS)
			weir_measure_worker_started(supervisor, worker);
	}
}

void weir_measure_worker_started(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	const uint64_t now_ns = weir_clock_now_ns();
	const int slot = weir_load_claim(supervisor->load, worker->process.id, supervisor->load_from, now_ns);

	worker->load_slot = WEIR_LOAD_SLOTS;
	if (slot < 0)
		return; /* the board has more slots than there may be workers: one less is measured */
	worker->load_slot = (uint32_t)slot;
	worker->load_cpu_ns = UINT64_MAX; /* its first sample is whole */
	worker->load_children = 0;
	supervisor->load_from = (uint32_t)slot + 1;
	/* Where its set is full, clocks measure it. */
	if (is_probed(supervisor))
		(void)weir_probe_track(&supervisor->probe, (uint32_t)slot, (uint32_t)worker->process.pid);
	supervisor->load_ns = 0;
}

void weir_measure_worker_ended(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	if (worker->load_slot < WEIR_LOAD_SLOTS)
		slot_release(supervisor, worker->load_slot);
	worker->load_slot = WEIR_LOAD_SLOTS;
}

/* Counts only grow: threads that end take theirs with them. */
static void counts_keep_growing(const struct weir_load_slot *slot, uint64_t *counts)
{
	for (size_t i = 0; i < WEIR_LOAD_COUNT; i++) {
		const uint64_t before = atomic_load_explicit(&slot->clock[i], memory_order_relaxed);

		if (counts[i] < before)
			counts[i] = before;
	}
}

static void raise(uint64_t *count, uint64_t other)
{
	if (*count < other)
		*count = other;
}

/* The worker's control group has counted those of its processes, too, that ended and that nobody waited for. */
static void groups_add(const struct weir_supervisor *supervisor, uint64_t worker_id, uint64_t *counts)
{
	struct weir_cgroup_counts group;

	weir_cgroup_count(&supervisor->groups, worker_id, &group);
	raise(&counts[WEIR_LOAD_ON_CPU_NS], group.cpu_ns);
	raise(&counts[WEIR_LOAD_FAULTS_MAJOR], group.faults_major);
	if (group.faults > group.faults_major)
		raise(&counts[WEIR_LOAD_FAULTS_MINOR], group.faults - group.faults_major);
}

/* True: by clocks. */
static bool sample(struct weir_supervisor *supervisor, struct weir_worker *worker, uint64_t now_ns)
{
	struct weir_load_slot *const slot = &supervisor->load->slot[worker->load_slot];
	const pid_t pid = worker->process.pid;
	uint64_t counts[WEIR_LOAD_COUNT];
	uint64_t cpu_ns = 0;

	if (atomic_load_explicit(&slot->tag, memory_order_relaxed) != 0) {
		weir_load_publish(supervisor->load, worker->load_slot, NULL, weir_clocks_rss_bytes(pid), now_ns);
		return false;
	}
	cpu_ns = weir_clocks_cpu_ns(pid);
	if (cpu_ns == worker->load_cpu_ns && worker->load_children == 0) {
		/* It did nothing: only the sample's age changes. */
		weir_load_publish(supervisor->load, worker->load_slot, NULL,
				  atomic_load_explicit(&slot->rss_bytes, memory_order_relaxed), now_ns);
		return true;
	}
	worker->load_cpu_ns = cpu_ns;
	worker->load_children = weir_clocks_read(pid, counts);
	groups_add(supervisor, worker->process.id, counts);
	counts_keep_growing(slot, counts);
	weir_load_publish(supervisor->load, worker->load_slot, counts, weir_clocks_rss_bytes(pid), now_ns);
	return true;
}

void weir_measure_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	uint64_t period_ns = atomic_load_explicit(&supervisor->load->period_ns, memory_order_relaxed);
	bool is_any = false;

	if (supervisor->load_ns > now_ns) {
		weir_supervisor_due(supervisor, supervisor->load_ns);
		return;
	}
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid == 0 || worker->load_slot >= WEIR_LOAD_SLOTS)
			continue;
		is_any = true;
		if (sample(supervisor, worker, now_ns)) /* perhaps only some, that had no place among the probed */
			period_ns = WEIR_MEASURE_PERIOD_MS * WEIR_NS_PER_MS;
	}
	supervisor->load_ns = now_ns + period_ns;
	if (is_any)
		weir_supervisor_due(supervisor, supervisor->load_ns);
}

void weir_measure_row(const struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t now_ns,
		      struct weir_board_process *row)
{
	struct weir_load_sample seen;

	if (worker->load_slot >= WEIR_LOAD_SLOTS ||
	    !weir_load_read(supervisor->load, worker->load_slot, worker->process.id, now_ns, &seen))
		return;
	row->load_source = seen.source;
	row->load_at_ns = seen.at_ns;
	row->rss_at_ns = seen.rss_at_ns;
	row->rss_bytes = seen.rss_bytes;
	memcpy(row->load, seen.count, sizeof(seen.count));
}

void weir_measure_say(const struct weir_supervisor *supervisor, struct weir_board *board)
{
	const struct weir_load_board *const load = supervisor->load;
	const char *const why = load->why;

	board->load_source = load->source;
	board->load_period_ns = atomic_load_explicit(&load->period_ns, memory_order_relaxed);
	if (is_probed(supervisor)) {
		(void)snprintf(board->load, sizeof(board->load), "eBPF probes in the kernel: %s", why);
	} else {
		(void)snprintf(board->load, sizeof(board->load), "process clocks, /proc and control groups; no eBPF probes: %s", why);
	}
}
