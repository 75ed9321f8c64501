#include "dataplane/supervisor/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/abi/runtimes.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/place.h"
#include "dataplane/supervisor/pool.h"
#include "dataplane/supervisor/pool_scale.h"
#include "dataplane/supervisor/records.h"

enum { SNAPSHOT_BYTES_MAX = 1 << 30 };

static struct weir_pool *pool_in(struct weir_pool *pools, size_t count, uint64_t key)
{
	for (size_t i = 0; i < count; i++) {
		if (pools[i].key == key)
			return &pools[i];
	}
	return NULL;
}

struct weir_pool *weir_pool_find(struct weir_supervisor *supervisor, uint64_t key)
{
	return pool_in(supervisor->pool, supervisor->pool_count, key);
}

static uint32_t between(uint32_t value, uint32_t low, uint32_t high)
{
	if (value < low)
		value = low;
	return value > high ? high : value;
}

/* Cut where it does not fit, and nothing else behind it. */
static void name_copy(char *to, size_t size, struct weir_span name)
{
	memset(to, 0, size);
	memcpy(to, name.data, name.bytes < size ? name.bytes : size - 1);
}

static void pool_count(struct weir_pool *pools, const struct weir_snapshot *snapshot,
		       const struct weir_snapshot_function *function)
{
	for (uint32_t i = 0; i < function->spec_count; i++) {
		struct weir_pool *const pool = &pools[snapshot->specs[function->spec_first + i].pool];

		pool->functions++;
		if (weir_runtime_is_pool_per_function(pool->runtime))
			name_copy(pool->function, sizeof(pool->function),
				  weir_snapshot_span(snapshot, function->name));
	}
}

/* The pools of a snapshot; what is known of a pool from before goes on. NULL = no memory. */
static struct weir_pool *pools_build(const struct weir_supervisor *supervisor, const struct weir_snapshot *snapshot)
{
	struct weir_pool *const pools = calloc((size_t)snapshot->pool_count + 1, sizeof(*pools));

	if (pools == NULL)
		return NULL;
	for (uint32_t i = 0; i < snapshot->pool_count; i++) {
		const struct weir_snapshot_pool *const from = &snapshot->pools[i];
		const struct weir_span space = weir_snapshot_span(snapshot, from->space);
		const struct weir_pool *const old = pool_in(supervisor->pool, supervisor->pool_count, from->key);
		struct weir_pool *const pool = &pools[i];

		if (old != NULL)
			*pool = *old;
		else
			pool->asking = WEIR_PLACE_NOBODY;
		pool->key = from->key;
		pool->runtime = from->runtime;
		pool->workers_min = weir_nodes_workers_min(supervisor, from->workers_min, from->workers_max);
		pool->workers_max = from->workers_max;
		pool->functions = 0;
		pool->memory_bytes = from->memory_bytes;
		pool->cpu_millicores = from->cpu_millicores;
		pool->has_spec = (from->flags & WEIR_SNAPSHOT_POOL_SPEC) != 0;
		pool->one_task = (from->flags & WEIR_SNAPSHOT_POOL_ONE_TASK) != 0;
		weir_pool_scale_configure(pool, &from->scale);
		name_copy(pool->space, sizeof(pool->space), space);
		name_copy(pool->function, sizeof(pool->function), WEIR_SPAN(""));
	}
	for (uint32_t i = 0; i < snapshot->function_count; i++)
		pool_count(pools, snapshot, &snapshot->functions[i]);
	for (uint32_t i = 0; i < snapshot->pool_count; i++) {
		struct weir_pool *const pool = &pools[i];

		pool->wanted = pool->functions == 0 ? 0
						    : between(pool->wanted, pool->workers_min, pool->workers_max);
	}
	return pools;
}

int weir_config_adopt(struct weir_supervisor *supervisor, int fd)
{
	WEIR_CLEANUP(weir_fd_close) int own = fd;
	struct weir_snapshot snapshot = {0};
	struct weir_pool *pools = NULL;
	const int result = weir_snapshot_attach(own, &snapshot);

	if (result != 0)
		return result;
	if (snapshot.header->generation <= supervisor->generation) {
		weir_snapshot_detach(&snapshot);
		return -EALREADY;
	}
	/* It would let everybody in where nobody may. ctrld does not make such ones; that of the last run may be one. */
	if (snapshot.header->settings.auth_required == 0 && weir_options_auth_is_forced(&supervisor->options)) {
		weir_snapshot_detach(&snapshot);
		return -EPERM;
	}
	pools = pools_build(supervisor, &snapshot);
	if (pools == NULL) {
		weir_snapshot_detach(&snapshot);
		return -ENOMEM;
	}
	weir_snapshot_detach(&supervisor->snapshot);
	weir_fd_close(&supervisor->snapshot_fd);
	free(supervisor->pool);
	supervisor->snapshot = snapshot;
	supervisor->snapshot_fd = own;
	own = -1;
	supervisor->generation = snapshot.header->generation;
	supervisor->pool = pools;
	supervisor->pool_count = snapshot.pool_count;
	supervisor->rows_changed = true;
	weir_record_snapshot_keep(supervisor);
	return 0;
}

/* Copy a file into a new memfd and seal it as a snapshot must be. 0 or -errno. */
static int file_to_memfd(int file, size_t bytes, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int fd = memfd_create("weir-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	off_t offset = 0;

	if (fd == -1)
		return -errno;
	while ((size_t)offset < bytes) {
		const ssize_t copied = sendfile(fd, file, &offset, bytes - (size_t)offset);

		if (copied == -1 && errno == EINTR)
			continue;
		if (copied == -1)
			return -errno;
		if (copied == 0)
			return -EBADMSG; /* shorter than it was a moment ago */
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -errno;
	*out_fd = fd;
	fd = -1;
	return 0;
}

static int file_load(struct weir_supervisor *supervisor, const char *path)
{
	WEIR_CLEANUP(weir_fd_close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;
	int fd = -1;
	int result = 0;

	if (file == -1 || fstat(file, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size <= 0 || status.st_size > SNAPSHOT_BYTES_MAX)
		return -EBADMSG;
	result = file_to_memfd(file, (size_t)status.st_size, &fd);
	return result != 0 ? result : weir_config_adopt(supervisor, fd);
}

void weir_config_load(struct weir_supervisor *supervisor)
{
	char path[PATH_MAX + sizeof("/snapshot.weir")];
	int result = 0;

	(void)snprintf(path, sizeof(path), "%s/snapshot.weir", supervisor->options.data);
	result = file_load(supervisor, path);
	if (result == 0)
		weir_log(WEIR_LOG_INFO, "snapshot of the last run loaded", "generation=%llu",
			 (unsigned long long)supervisor->generation);
	else if (result != -ENOENT)
		weir_log(WEIR_LOG_WARN, "snapshot of the last run is unusable",
			 "path=%s error=\"%s\" action=\"wait for ctrld\"", path, strerror(-result));
}

static void snapshot_send(struct weir_supervisor *supervisor, struct weir_process *process)
{
	struct weir_control control = {.kind = WEIR_CONTROL_SNAPSHOT};

	if (process->control_fd == -1 || process->stop_sent || process->generation_sent == supervisor->generation)
		return;
	control.snapshot.generation = supervisor->generation;
	if (weir_supervisor_send(supervisor, process, &control, &supervisor->snapshot_fd, 1))
		process->generation_sent = supervisor->generation;
}

static struct weir_space *space_find(struct weir_supervisor *supervisor, const char *space)
{
	for (size_t i = 0; i < supervisor->environment_count; i++) {
		if (strcmp(supervisor->environment[i].space, space) == 0)
			return &supervisor->environment[i];
	}
	return NULL;
}

bool weir_config_environment_restore(struct weir_supervisor *supervisor, const char *space, int fd)
{
	struct weir_space *place = space_find(supervisor, space);

	if (place == NULL) {
		if (supervisor->environment_count == WEIR_SUPERVISOR_SPACES_MAX || fd == -1) {
			weir_fd_close(&fd);
			return false;
		}
		place = &supervisor->environment[supervisor->environment_count++];
		(void)snprintf(place->space, sizeof(place->space), "%s", space); /* checked */
		place->fd = -1;
	}
	weir_fd_close(&place->fd);
	place->fd = fd;
	place->number = weir_supervisor_id_next(supervisor);
	return true;
}

void weir_config_environment_adopt(struct weir_supervisor *supervisor,
				   const struct weir_control *control, struct weir_control_fds *fds)
{
	const char *space = control->environment.space;
	struct weir_store_message message;
	const struct weir_space *place = NULL;
	char name[WEIR_STORE_NAME_BYTES];
	int fd = fds->count == 1 ? fds->fd[0] : -1;

	if (fd == -1 || strnlen(space, sizeof(control->environment.space)) ==
				sizeof(control->environment.space)) {
		weir_log(WEIR_LOG_ERROR, "variables of functions refused", "reason=\"malformed\"");
		return;
	}
	fds->fd[0] = -1;
	if (!weir_config_environment_restore(supervisor, space, fd)) {
		weir_log(WEIR_LOG_ERROR, "variables of functions refused", "namespace=%s namespaces_max=%d",
			 space, WEIR_SUPERVISOR_SPACES_MAX);
		return;
	}
	place = space_find(supervisor, space);
	(void)snprintf(name, sizeof(name), "environment/%zu",
		       (size_t)(place - supervisor->environment)); /* fits */
	weir_store_message_set(&message, WEIR_STORE_STORE, name, place->space, sizeof(place->space));
	weir_supervisor_keep(supervisor, &message, &place->fd, 1);
	weir_supervisor_due(supervisor, 0);
}

/* True if the worker has its namespace's variables, or there are none. */
static bool environment_send(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	const struct weir_space *place = space_find(supervisor, worker->space);
	struct weir_control control = {.kind = WEIR_CONTROL_ENVIRONMENT};

	if (place == NULL || worker->environment_sent == place->number ||
	    worker->process.control_fd == -1 || worker->process.stop_sent)
		return true;
	memcpy(control.environment.space, place->space, sizeof(control.environment.space));
	if (!weir_supervisor_send(supervisor, &worker->process, &control, &place->fd, 1))
		return false;
	worker->environment_sent = place->number;
	return true;
}

void weir_config_ack_forward(struct weir_supervisor *supervisor)
{
	if (supervisor->ack_waits && supervisor->ctrld.control_fd != -1 &&
	    weir_supervisor_send(supervisor, &supervisor->ctrld, &supervisor->ack, NULL, 0))
		supervisor->ack_waits = false;
}

void weir_config_spread(struct weir_supervisor *supervisor)
{
	if (supervisor->snapshot_fd != -1) {
		/* Workers first: a call may reach them as soon as the gateway has it, and would wait. */
		for (size_t i = 0; i < supervisor->worker_places; i++) {
			if (supervisor->worker[i].process.pid != 0 &&
			    environment_send(supervisor, &supervisor->worker[i]))
				snapshot_send(supervisor, &supervisor->worker[i].process);
		}
		snapshot_send(supervisor, &supervisor->gateway);
	}
	weir_config_ack_forward(supervisor);
}
