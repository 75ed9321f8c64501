#include "dataplane/supervisor/pool_room.h"

#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/load.h"
#include "dataplane/supervisor/link.h"
#include "dataplane/supervisor/pool.h"

static const uint64_t idle_ns = WEIR_NS_PER_SECOND;
static const uint64_t log_again_ns = 10 * WEIR_NS_PER_SECOND;
static const uint64_t again_ns = 200 * WEIR_NS_PER_MS;
static const uint64_t reserve_first = UINT64_C(32) << 20;

/* Of this machine, as far as control groups leave it to us. */
static uint64_t memory_of_machine(const struct weir_supervisor *supervisor)
{
	const uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t quota = supervisor->quota.memory_bytes;

	return quota != 0 && quota < bytes ? quota : bytes;
}

static uint64_t shared_max(const struct weir_supervisor *supervisor)
{
	const uint64_t set = supervisor->snapshot.header->settings.shared_memory_bytes_max;

	return set != 0 ? set : memory_of_machine(supervisor) / 4;
}

static uint64_t resident_max(const struct weir_supervisor *supervisor)
{
	const uint64_t set = supervisor->snapshot.header->settings.resident_bytes_max;

	return set != 0 ? set : memory_of_machine(supervisor) / 4 * 3;
}

/* 0: not measured yet. Of `exec` what its programs use counts, too, where its control group tells. */
static uint64_t resident(const struct weir_supervisor *supervisor, const struct weir_worker *worker)
{
	const struct weir_load_board *const load = supervisor->load;
	uint64_t own = 0;
	uint64_t all = 0;

	if (worker->load_slot < WEIR_LOAD_SLOTS)
		own = atomic_load_explicit(&load->slot[worker->load_slot].rss_bytes, memory_order_relaxed);
	if (worker->runtime == WEIR_RUNTIME_EXEC)
		all = weir_cgroup_memory(&supervisor->groups, worker->process.id);
	return all > own ? all : own;
}

/* What a worker of that pool is taken to need. */
static uint64_t reserve(const struct weir_supervisor *supervisor, uint64_t pool_key)
{
	uint64_t most = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid != 0 && worker->pool_key == pool_key && resident(supervisor, worker) > most)
			most = resident(supervisor, worker);
	}
	return most != 0 ? most : reserve_first;
}

static uint64_t resident_all(const struct weir_supervisor *supervisor)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];
		const uint64_t own = worker->process.pid == 0 ? 0 : resident(supervisor, worker);

		if (worker->process.pid != 0)
			bytes += own != 0 ? own : reserve(supervisor, worker->pool_key);
	}
	return bytes;
}

bool weir_pool_room(struct weir_supervisor *supervisor, const struct weir_pool *pool)
{
	const uint32_t set = supervisor->snapshot.header->settings.workers_max;
	const uint64_t segment_bytes = weir_link_segment_bytes(supervisor->shard_count);
	uint32_t workers = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++)
		workers += supervisor->worker[i].process.pid != 0;
	if (workers >= WEIR_SUPERVISOR_WORKERS_MAX || (set != 0 && workers >= set) ||
	    (workers + 1) * segment_bytes > shared_max(supervisor))
		return false;
	return resident_all(supervisor) + reserve(supervisor, pool->key) <= resident_max(supervisor);
}

/* When the pool last did something: the busiest of its workers tells. */
static uint64_t used_ns(const struct weir_supervisor *supervisor, const struct weir_pool *pool)
{
	uint64_t used = pool->used_ns;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid != 0 && worker->pool_key == pool->key && worker->busy_ns > used)
			used = worker->busy_ns;
	}
	return used;
}

void weir_pool_room_make(struct weir_supervisor *supervisor, const struct weir_pool *pool, uint64_t now_ns)
{
	struct weir_pool *oldest = NULL;
	uint64_t oldest_ns = 0;

	weir_supervisor_due(supervisor, now_ns + again_ns);
	if (now_ns - supervisor->room_made_ns < again_ns)
		return; /* whoever gave up a worker then needs a moment to be without it */
	if (now_ns - supervisor->refused_ns > log_again_ns) {
		weir_log(WEIR_LOG_WARN, "no room for another worker",
			 "namespace=%s workers_max=%u shared_max=%llu resident=%llu resident_max=%llu", pool->space,
			 supervisor->snapshot.header->settings.workers_max, (unsigned long long)shared_max(supervisor),
			 (unsigned long long)resident_all(supervisor), (unsigned long long)resident_max(supervisor));
		supervisor->refused_ns = now_ns;
	}
	weir_pool_busy_note(supervisor, now_ns);
	for (size_t i = 0; i < supervisor->pool_count; i++) {
		struct weir_pool *const other = &supervisor->pool[i];
		const uint64_t used = used_ns(supervisor, other);

		if (other == pool || weir_pool_workers(supervisor, other->key) <= other->workers_min ||
		    weir_pool_idlest(supervisor, other->key, now_ns, idle_ns) == NULL)
			continue;
		if (oldest == NULL || used < oldest_ns) {
			oldest = other;
			oldest_ns = used;
		}
	}
	if (oldest != NULL) {
		weir_pool_retire(supervisor, weir_pool_idlest(supervisor, oldest->key, now_ns, idle_ns),
				 "another pool needs the room");
		if (oldest->wanted > oldest->workers_min)
			oldest->wanted--;
		supervisor->room_made_ns = now_ns;
	}
}
