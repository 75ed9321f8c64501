#include "dataplane/supervisor/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dataplane/abi/runtimes.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/pool.h"

#define MIB (UINT64_C(1) << 20)

enum {
	FUNCTION_KEEPS_MIB = 8,
	EXEC_PROGRAMS = 4,    /* of the largest function's memory, at once in one worker */
	PROCESSES = 192,      /* up to 65 threads for calls, the runtime's own, and the functions' */
	PROCESSES_EXEC = 256,
	ENDED_NS = 500 * WEIR_NS_PER_MS,
	AGAIN_NS = 50 * WEIR_NS_PER_MS,
	REASON_BYTES = 400,
};

/* What a runtime uses before any function does: program, libraries' data, threads, heaps at the start. */
static uint64_t own_bytes(uint32_t runtime)
{
	static const uint32_t own_mib[WEIR_RUNTIME_COUNT] = {
		[WEIR_RUNTIME_NATIVE] = 32, [WEIR_RUNTIME_EXEC] = 32, [WEIR_RUNTIME_WASM] = 64,
		[WEIR_RUNTIME_JS] = 64,	    [WEIR_RUNTIME_NODE] = 192, [WEIR_RUNTIME_PHP] = 96,
		[WEIR_RUNTIME_PYTHON] = 64, [WEIR_RUNTIME_DIALECT] = 32, [WEIR_RUNTIME_QUEUE] = 64,
	};

	return (runtime < WEIR_RUNTIME_COUNT ? own_mib[runtime] : 0) * MIB;
}

static bool has(const struct weir_supervisor *supervisor, enum weir_cgroup_kind kind)
{
	return supervisor->groups.tree[kind].path[0] != '\0';
}

int weir_limits_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	weir_cgroups_open(supervisor->options.data, supervisor->incarnation == 1, &supervisor->groups,
			  supervisor->groups_lack, sizeof(supervisor->groups_lack));
	supervisor->groups_ns = weir_clock_now_ns() + ENDED_NS; /* whose the last supervisor did not get to */
	if (supervisor->options.sandbox != WEIR_OPTIONS_SANDBOX_REQUIRED ||
	    (has(supervisor, WEIR_CGROUP_MEMORY) && has(supervisor, WEIR_CGROUP_PROCESSES)))
		return 0;
	(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "--sandbox required, but this machine lacks %.*s",
		       (int)strcspn(supervisor->groups_lack, "\n"), supervisor->groups_lack);
	return -EPERM;
}

/* Private memory: all that resource limits can count. */
static uint64_t private_bytes(const struct weir_pool *pool)
{
	const uint64_t others = pool->functions > 1 ? pool->functions - 1 : 0;
	const uint64_t programs = pool->runtime == WEIR_RUNTIME_EXEC && !pool->has_spec ? EXEC_PROGRAMS : 1;

	return own_bytes(pool->runtime) + pool->memory_bytes * programs + others * FUNCTION_KEEPS_MIB * MIB;
}

void weir_limits_of(const struct weir_supervisor *supervisor, const struct weir_pool *pool,
		    struct weir_cgroup_limits *out_limits)
{
	const bool is_exec = pool->runtime == WEIR_RUNTIME_EXEC;

	*out_limits = (struct weir_cgroup_limits){
		.memory_bytes = private_bytes(pool) + supervisor->sandbox.scratch_bytes +
				weir_link_segment_bytes(supervisor->shard_count),
		.processes = is_exec ? PROCESSES_EXEC : PROCESSES,
		.cpu_millicores = pool->cpu_millicores,
		.cpu_apart = is_exec, /* a hundred busy processes get the time of one */
	};
}

int weir_limits_prepare(struct weir_supervisor *supervisor, struct weir_worker *worker, const struct weir_pool *pool,
			struct weir_sandbox_plan *plan)
{
	weir_limits_of(supervisor, pool, &worker->limits);
	return weir_cgroup_create(&supervisor->groups, worker->process.id, &worker->limits, plan);
}

/* Soft, to be raised when the pool's functions grow. The worker itself may not raise it: seccomp refuses
 * that. Programs of exec may, whose memory is looked at (exec_memory.h); what they may not is `hard`. */
static void resource_limit(const struct weir_worker *worker, enum __rlimit_resource resource, uint64_t value,
			   bool hard)
{
	struct rlimit limit;

	if (prlimit(worker->process.pid, resource, NULL, &limit) != 0)
		return; /* it died: that is seen elsewhere */
	limit.rlim_cur = limit.rlim_max != RLIM_INFINITY && limit.rlim_max < value ? limit.rlim_max : value;
	if (hard)
		limit.rlim_max = limit.rlim_cur;
	if (prlimit(worker->process.pid, resource, &limit, NULL) != 0)
		weir_log(WEIR_LOG_WARN, "cannot limit a worker", "pid=%d error=\"%s\"", (int)worker->process.pid,
			 strerror(errno));
}

#ifdef WEIR_SANITIZED
enum { LIMITS_DATA = false }; /* a sanitizer's shadow is private data, too: nothing would start */
#else
enum { LIMITS_DATA = true };
#endif

/* Processes are counted by user: only those of one that the worker has to itself can be limited. */
static bool is_own_user(const struct weir_supervisor *supervisor)
{
	return (supervisor->sandbox.layers & (WEIR_SANDBOX_OWNER | WEIR_SANDBOX_USER)) != 0;
}

void weir_limits_started(const struct weir_supervisor *supervisor, const struct weir_worker *worker)
{
	const struct weir_pool *pool = NULL;

	for (size_t i = 0; i < supervisor->pool_count; i++)
		if (supervisor->pool[i].key == worker->pool_key)
			pool = &supervisor->pool[i];
	if (pool == NULL)
		return;
	if (LIMITS_DATA && !has(supervisor, WEIR_CGROUP_MEMORY))
		resource_limit(worker, RLIMIT_DATA, private_bytes(pool), false);
	if (!has(supervisor, WEIR_CGROUP_PROCESSES) && is_own_user(supervisor))
		resource_limit(worker, RLIMIT_NPROC, worker->limits.processes, true);
}

void weir_limits_ended(struct weir_supervisor *supervisor, const struct weir_worker *worker)
{
	struct weir_ended_group *oldest = &supervisor->ended[0];

	for (size_t i = 1; i < WEIR_SUPERVISOR_ENDED_MAX; i++)
		if (supervisor->ended[i].until_ns < oldest->until_ns)
			oldest = &supervisor->ended[i];
	oldest->worker_id = worker->process.id;
	oldest->until_ns = weir_clock_now_ns() + ENDED_NS;
	if (supervisor->groups_ns == 0)
		supervisor->groups_ns = oldest->until_ns;
	weir_supervisor_due(supervisor, supervisor->groups_ns);
}

static bool is_kept(void *context, uint64_t id)
{
	const struct weir_supervisor *const supervisor = context;

	for (size_t i = 0; i < supervisor->worker_places; i++)
		if (supervisor->worker[i].process.pid != 0 && supervisor->worker[i].process.id == id)
			return true;
	for (size_t i = 0; i < WEIR_SUPERVISOR_ENDED_MAX; i++)
		if (supervisor->ended[i].worker_id == id)
			return true;
	return false;
}

/* Forget those whose time has come. When the next one's does; 0 = there is none. */
static uint64_t ended_forget(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	uint64_t next_ns = 0;

	for (size_t i = 0; i < WEIR_SUPERVISOR_ENDED_MAX; i++) {
		struct weir_ended_group *const ended = &supervisor->ended[i];

		if (ended->worker_id == 0)
			continue;
		if (ended->until_ns <= now_ns)
			memset(ended, 0, sizeof(*ended));
		else if (next_ns == 0 || ended->until_ns < next_ns)
			next_ns = ended->until_ns;
	}
	return next_ns;
}

static bool is_same(const struct weir_cgroup_limits *a, const struct weir_cgroup_limits *b)
{
	return a->memory_bytes == b->memory_bytes && a->processes == b->processes &&
	       a->cpu_millicores == b->cpu_millicores && a->cpu_apart == b->cpu_apart;
}

/* The pools or settings changed: nobody loses memory that it was given. */
static void worker_adjust(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	const struct weir_pool *const pool = weir_pool_find(supervisor, worker->pool_key);
	struct weir_cgroup_limits wanted;
	int result = 0;

	if (worker->process.pid == 0 || pool == NULL || pool->functions == 0)
		return;
	weir_limits_of(supervisor, pool, &wanted);
	if (wanted.memory_bytes < worker->limits.memory_bytes)
		wanted.memory_bytes = worker->limits.memory_bytes;
	if (is_same(&wanted, &worker->limits))
		return;
	result = weir_cgroup_limit(&supervisor->groups, worker->process.id, &wanted);
	if (result != 0 && result != -EBUSY)
		weir_log(WEIR_LOG_WARN, "cannot change a worker's limits", "worker=%llu error=\"%s\"",
			 (unsigned long long)worker->process.id, strerror(-result));
	worker->limits = wanted;
	weir_limits_started(supervisor, worker);
}

void weir_limits_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	if (supervisor->limits_generation != supervisor->generation) {
		supervisor->limits_generation = supervisor->generation;
		for (size_t i = 0; i < supervisor->worker_places; i++)
			worker_adjust(supervisor, &supervisor->worker[i]);
	}
	if (supervisor->groups_ns == 0)
		return;
	if (supervisor->groups_ns <= now_ns) {
		supervisor->groups_ns = ended_forget(supervisor, now_ns);
		if (weir_cgroups_sweep(&supervisor->groups, is_kept, supervisor) > 0)
			supervisor->groups_ns = now_ns + AGAIN_NS;
	}
	if (supervisor->groups_ns != 0)
		weir_supervisor_due(supervisor, supervisor->groups_ns);
}

void weir_limits_say(const struct weir_supervisor *supervisor)
{
	char text[REASON_BYTES] = "";

	for (unsigned kind = 0; kind < WEIR_CGROUP_KINDS; kind++) {
		const size_t used = strlen(text);

		if (has(supervisor, kind))
			(void)snprintf(text + used, sizeof(text) - used, "%s%s (cgroup v%d)", used == 0 ? "" : ", ",
				       weir_cgroup_name(kind), supervisor->groups.tree[kind].is_unified ? 2 : 1);
	}
	weir_log(WEIR_LOG_INFO, "limits of workers", "by=\"%s\"", text[0] == '\0' ? "resource limits" : text);
}
