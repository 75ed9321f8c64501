#include "dataplane/supervisor/pool.h"

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/schedule/schedule.h"
#include "dataplane/shm/load.h"
#include "dataplane/supervisor/board.h"
#include "dataplane/supervisor/link.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/pool_room.h"
#include "dataplane/supervisor/pool_scale.h"
#include "dataplane/supervisor/records.h"
#include "dataplane/supervisor/spawn.h"

enum { STARTS_PER_TURN_MAX = 4, MILLICORES = 1000 };

static const uint64_t raise_ns = 10 * WEIR_NS_PER_MS;
static const uint64_t use_span_max_ns = 200 * WEIR_NS_PER_MS;
/* The longest that a call may take, and be late: the gateway ends it before. */
static const uint64_t drain_ns = 4500 * WEIR_NS_PER_SECOND;
static const uint64_t patience_ns = 5 * WEIR_NS_PER_SECOND;

bool weir_worker_is_staying(const struct weir_worker *worker)
{
	return worker->process.pid != 0 &&
	       (worker->process.state == WEIR_PROCESS_STARTING || worker->process.state == WEIR_PROCESS_READY);
}

struct weir_worker *weir_worker_find(struct weir_supervisor *supervisor, uint64_t id)
{
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		if (supervisor->worker[i].process.pid != 0 && supervisor->worker[i].process.id == id)
			return &supervisor->worker[i];
	}
	return NULL;
}

uint32_t weir_pool_workers(const struct weir_supervisor *supervisor, uint64_t key)
{
	uint32_t count = 0;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		if (supervisor->worker[i].pool_key == key && weir_worker_is_staying(&supervisor->worker[i]))
			count++;
	}
	return count;
}

static bool is_starting(const struct weir_supervisor *supervisor, uint64_t key)
{
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		const struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->pool_key == key && worker->process.pid != 0 &&
		    worker->process.state == WEIR_PROCESS_STARTING)
			return true;
	}
	return false;
}

/* What a worker did since *before was noted, added to *use. */
static void use_add(const struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t now_ns,
		    struct weir_schedule_use *noted, struct weir_schedule_use *use)
{
	struct weir_board_process counts = {0};
	struct weir_load_sample load;
	const struct weir_schedule_use before = *noted;

	if (worker->load_slot >= WEIR_LOAD_SLOTS ||
	    !weir_load_read(supervisor->load, worker->load_slot, worker->process.id, now_ns, &load))
		return;
	if (load.at_ns - worker->process.started_ns == before.span_ns)
		return; /* not sampled since (clocks): calls and CPU time are of the same span */
	weir_board_worker_counts(supervisor, worker, &counts);
	*noted = (struct weir_schedule_use){.span_ns = load.at_ns - worker->process.started_ns,
					    .on_cpu_ns = load.count[WEIR_LOAD_ON_CPU_NS],
					    .run_queue_ns = load.count[WEIR_LOAD_RUN_QUEUE_NS],
					    .finished = counts.finished};
	/* The first look only notes; and a total may be less by the moment between clock and reading. */
	if (before.span_ns == 0 || noted->on_cpu_ns < before.on_cpu_ns)
		return;
	use->span_ns += noted->span_ns - before.span_ns;
	use->on_cpu_ns += noted->on_cpu_ns - before.on_cpu_ns;
	use->run_queue_ns += noted->run_queue_ns - before.run_queue_ns;
	use->finished += noted->finished - before.finished;
	use->busy_ns += (noted->finished - before.finished) * counts.service_ns;
}

struct weir_schedule_use weir_pool_use(struct weir_supervisor *supervisor, uint64_t key, enum weir_pool_asker asker,
				       uint64_t now_ns)
{
	struct weir_schedule_use use = {0};

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->pool_key == key && weir_worker_is_staying(worker))
			use_add(supervisor, worker, now_ns, &worker->use[asker], &use);
	}
	return use;
}

bool weir_pool_has_quota(const struct weir_supervisor *supervisor, const struct weir_pool *pool)
{
	const uint64_t wanted = (uint64_t)(weir_pool_workers(supervisor, pool->key) + 1) * pool->cpu_millicores;

	return pool->cpu_millicores != 0 && wanted <= supervisor->nodes.allowed_count * MILLICORES;
}

/* Looked at anew once in a span that tells something; where samples are rare (clocks), the last word
 * stands until there are new ones. The first demand in a while only begins a span. In a minute of overload there
 * is a span now and then that says otherwise than all others, so two in a row have to. */
static bool lacks_cpu(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns)
{
	const uint64_t span_ns = now_ns - pool->use_ns;
	const bool lacked = pool->lacked_cpu;
	struct weir_schedule_use use;

	if (span_ns < raise_ns)
		return pool->lacks_cpu;
	use = weir_pool_use(supervisor, pool->key, WEIR_POOL_ASKER_DEMAND, now_ns);
	if (span_ns > use_span_max_ns) {
		pool->lacks_cpu = true;
		pool->lacked_cpu = false;
	} else if (use.span_ns > 0) {
		pool->lacked_cpu = weir_schedule_lacks_cpu(&use);
		pool->lacks_cpu = pool->lacked_cpu || lacked;
	}
	pool->use_ns = now_ns;
	return pool->lacks_cpu;
}

void weir_pool_demand(struct weir_supervisor *supervisor, const struct weir_control *control, uint64_t now_ns)
{
	const uint64_t key = control->demand.pool_key;
	struct weir_pool *const pool = weir_pool_find(supervisor, key);
	uint32_t current = 0;

	if (pool == NULL || pool->functions == 0 || now_ns - pool->raised_ns < raise_ns)
		return;
	pool->asking = control->demand.shard;
	current = weir_pool_workers(supervisor, key);
	if (current < pool->wanted || is_starting(supervisor, key))
		return; /* one is on its way: see first whether it is enough */
	if (control->demand.urgent == 0 && !weir_pool_has_quota(supervisor, pool) &&
	    lacks_cpu(supervisor, pool, now_ns))
		return;
	pool->wanted = weir_schedule_workers_wanted(current, control->demand.waiting, pool->workers_min,
						    pool->workers_max);
	if (pool->wanted > current) {
		pool->raised_ns = now_ns;
		supervisor->rows_changed = true;
	}
}

static void starts_add(struct weir_board_starts *starts, uint64_t took_ns)
{
	starts->count++;
	starts->sum_ns += took_ns;
	starts->last_ns = took_ns;
	if (took_ns > starts->max_ns)
		starts->max_ns = took_ns;
}

void weir_pool_started(struct weir_supervisor *supervisor, const struct weir_worker *worker, uint64_t took_ns)
{
	struct weir_pool *const pool = weir_pool_find(supervisor, worker->pool_key);

	if (pool != NULL)
		starts_add(&pool->starts, took_ns);
}

void weir_pool_cold(struct weir_supervisor *supervisor, const struct weir_control *control)
{
	struct weir_worker *const worker = weir_worker_find(supervisor, control->cold_start.worker_id);
	struct weir_pool *const pool = worker == NULL ? NULL : weir_pool_find(supervisor, worker->pool_key);

	/* One that served another gateway was not started for this call. */
	if (pool == NULL || worker->is_cold_noted || worker->finished_before > 0)
		return;
	worker->is_cold_noted = true;
	starts_add(&pool->cold, control->cold_start.took_ns);
	supervisor->rows_changed = true;
}

void weir_pool_retire(struct weir_supervisor *supervisor, struct weir_worker *worker, const char *reason)
{
	weir_log(WEIR_LOG_INFO, "worker retires", "worker=%llu pid=%d reason=\"%s\"",
		 (unsigned long long)worker->process.id, (int)worker->process.pid, reason);
	worker->process.state = WEIR_PROCESS_DRAINING;
	worker->process.kill_at_ns = 0;
	weir_record_worker_keep(supervisor, worker);
	supervisor->rows_changed = true;
}

struct weir_worker *weir_pool_idlest(struct weir_supervisor *supervisor, uint64_t key, uint64_t now_ns,
				     uint64_t least_ns)
{
	struct weir_worker *found = NULL;

	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->pool_key == key && weir_worker_is_staying(worker) && now_ns - worker->busy_ns >= least_ns &&
		    (found == NULL || worker->busy_ns < found->busy_ns) && weir_nodes_is_spare(supervisor, worker))
			found = worker;
	}
	return found;
}

void weir_pool_busy_note(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];
		struct weir_board_process counts = {0};

		if (worker->process.pid == 0)
			continue;
		weir_board_worker_counts(supervisor, worker, &counts);
		if (counts.accepted != worker->accepted_seen || counts.accepted != counts.finished) {
			worker->accepted_seen = counts.accepted;
			worker->busy_ns = now_ns;
		}
	}
}

static void pool_fill(struct weir_supervisor *supervisor, struct weir_pool *pool, uint64_t now_ns)
{
	uint32_t has = weir_pool_workers(supervisor, pool->key);

	for (int starts = 0; has < pool->wanted; starts++) {
		if (pool->restart.next_ns > now_ns) {
			weir_supervisor_due(supervisor, pool->restart.next_ns);
			return;
		}
		if (!weir_pool_room(supervisor, pool)) {
			weir_pool_room_make(supervisor, pool, now_ns);
			/* Demand has to ask again; what is below the minimum is tried again. */
			pool->wanted = has > pool->workers_min ? has : pool->workers_min;
			return;
		}
		if (starts == STARTS_PER_TURN_MAX || !weir_spawn_worker(supervisor, pool, now_ns)) {
			weir_supervisor_due(supervisor, now_ns + WEIR_NS_PER_MS);
			return;
		}
		has++;
	}
	for (; has > pool->wanted; has--) {
		struct weir_worker *const worker = weir_pool_idlest(supervisor, pool->key, now_ns, 0);

		if (worker == NULL)
			break;
		weir_pool_retire(supervisor, worker, "the pool needs fewer");
	}
}

/* A retiring worker: first the gateway lets go of its link, then it is told to stop. */
static void retiring_turn(struct weir_supervisor *supervisor, struct weir_worker *worker, uint64_t now_ns)
{
	struct weir_link *const link = weir_link_current(supervisor, worker, false);

	if (link != NULL)
		weir_link_drain(supervisor, link, now_ns + drain_ns);
	else if (weir_link_current(supervisor, worker, true) == NULL)
		weir_spawn_stop(supervisor, &worker->process, now_ns, patience_ns);
}

void weir_pool_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];
		const struct weir_pool *const pool = weir_pool_find(supervisor, worker->pool_key);

		if (weir_worker_is_staying(worker) && (pool == NULL || pool->functions == 0))
			weir_pool_retire(supervisor, worker, "no function needs it");
	}
	weir_pool_scale_turn(supervisor, now_ns);
	for (size_t i = 0; i < supervisor->pool_count; i++)
		pool_fill(supervisor, &supervisor->pool[i], now_ns);
	for (size_t i = 0; i < supervisor->worker_places; i++) {
		struct weir_worker *const worker = &supervisor->worker[i];

		if (worker->process.pid != 0 && worker->process.state == WEIR_PROCESS_DRAINING)
			retiring_turn(supervisor, worker, now_ns);
	}
}
