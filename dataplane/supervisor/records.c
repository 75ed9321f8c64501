#include "dataplane/supervisor/records.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/config.h"
#include "dataplane/supervisor/measure.h"
#include "dataplane/supervisor/nodes.h"
#include "dataplane/supervisor/outputs.h"
#include "dataplane/supervisor/pool.h"

enum { RECORD_VERSION = 3 };

/* The blobs of the store. A supervisor that finds another version ends the process it describes. */
struct self_record {
	uint32_t version;
	uint32_t shard_count;
	uint64_t incarnation;
	uint16_t cpu[WEIR_SHARDS_MAX];
};
static_assert(sizeof(struct self_record) <= WEIR_STORE_BLOB_BYTES_MAX, "record fits");

struct process_record {
	uint32_t version;
	uint32_t kind;
	uint32_t state;
	int32_t pid;
	uint64_t id;
	uint64_t started_ns;
	uint32_t stop_sent;
	uint32_t runtime;
	uint64_t pool_key;
	uint64_t accepted_before;
	uint64_t finished_before;
	uint64_t restarts; /* of the place */
	uint64_t memory_bytes; /* workers: their limit */
	uint32_t home;         /* workers: shard */
	uint32_t reserved;
	char space[64];
};
static_assert(sizeof(struct process_record) <= WEIR_STORE_BLOB_BYTES_MAX, "record fits");

struct link_record {
	uint32_t version;
	uint32_t state;
	uint64_t id;
	uint64_t worker_id;
	uint64_t gateway_id;
};

struct output_record {
	uint32_t version;
	uint32_t reserved;
	uint64_t worker_id;
	char space[64];
};

struct listener_record {
	uint32_t version;
	uint32_t local;
	char address[112];
};

static void process_record_fill(const struct weir_process *process, struct process_record *record)
{
	memset(record, 0, sizeof(*record));
	record->version = RECORD_VERSION;
	record->kind = process->kind;
	record->state = process->state;
	record->pid = process->pid;
	record->id = process->id;
	record->started_ns = process->started_ns;
	record->stop_sent = process->stop_sent;
}

/* Descriptors of a process entry: pidfd, control socket if open, shard board if any. */
static void process_send(struct weir_supervisor *supervisor, const char *name,
			 const struct process_record *record, const struct weir_process *process, int extra_fd)
{
	struct weir_store_message message;
	int fds[3] = {process->pidfd};
	size_t count = 1;

	weir_store_message_set(&message, WEIR_STORE_STORE, name, record, sizeof(*record));
	message.pidfd_index = 0;
	if (process->control_fd != -1)
		fds[count++] = process->control_fd;
	if (process->control_fd != -1 && extra_fd != -1)
		fds[count++] = extra_fd;
	weir_supervisor_keep(supervisor, &message, fds, count);
}

void weir_record_process_keep(struct weir_supervisor *supervisor, struct weir_process *process)
{
	const bool gateway = process->kind == WEIR_PROCESS_GATEWAY;
	struct process_record record;

	if (process->pidfd == -1) {
		weir_supervisor_forget(supervisor, gateway ? "gateway" : "ctrld");
		return;
	}
	process_record_fill(process, &record);
	record.restarts = gateway ? supervisor->gateway_restart.restarts : supervisor->ctrld_restart.restarts;
	process_send(supervisor, gateway ? "gateway" : "ctrld", &record, process,
		     gateway ? supervisor->shard_board_fd : -1);
}

static void worker_name(char name[WEIR_STORE_NAME_BYTES], uint64_t id)
{
	(void)snprintf(name, WEIR_STORE_NAME_BYTES, "worker/%llu", (unsigned long long)id);
}

static void link_name(char name[WEIR_STORE_NAME_BYTES], uint64_t id)
{
	(void)snprintf(name, WEIR_STORE_NAME_BYTES, "link/%llu", (unsigned long long)id);
}

static void output_name(char name[WEIR_STORE_NAME_BYTES], uint64_t worker_id)
{
	(void)snprintf(name, WEIR_STORE_NAME_BYTES, "output/%llu", (unsigned long long)worker_id);
}

void weir_record_worker_keep(struct weir_supervisor *supervisor, struct weir_worker *worker)
{
	char name[WEIR_STORE_NAME_BYTES];
	struct process_record record;
	const struct weir_pool *const pool = weir_pool_find(supervisor, worker->pool_key);

	process_record_fill(&worker->process, &record);
	record.runtime = worker->runtime;
	record.pool_key = worker->pool_key;
	record.accepted_before = worker->accepted_before;
	record.finished_before = worker->finished_before;
	record.memory_bytes = worker->limits.memory_bytes;
	record.home = worker->home;
	record.restarts = pool == NULL ? 0 : pool->restart.restarts;
	memcpy(record.space, worker->space, sizeof(record.space));
	worker_name(name, worker->process.id);
	process_send(supervisor, name, &record, &worker->process, -1);
}

void weir_record_worker_forget(struct weir_supervisor *supervisor, const struct weir_worker *worker)
{
	char name[WEIR_STORE_NAME_BYTES];

	worker_name(name, worker->process.id);
	weir_supervisor_forget(supervisor, name);
}

void weir_record_link_keep(struct weir_supervisor *supervisor, struct weir_link *link)
{
	char name[WEIR_STORE_NAME_BYTES];
	struct weir_store_message message;
	const struct link_record record = {.version = RECORD_VERSION,
					   .state = link->state,
					   .id = link->id,
					   .worker_id = link->worker_id,
					   .gateway_id = link->gateway_id};

	link_name(name, link->id);
	weir_store_message_set(&message, WEIR_STORE_STORE, name, &record, sizeof(record));
	weir_supervisor_keep(supervisor, &message, &link->segment_fd, 1);
}

void weir_record_link_forget(struct weir_supervisor *supervisor, const struct weir_link *link)
{
	char name[WEIR_STORE_NAME_BYTES];

	link_name(name, link->id);
	weir_supervisor_forget(supervisor, name);
}

void weir_record_output_keep(struct weir_supervisor *supervisor, const struct weir_output *output)
{
	char name[WEIR_STORE_NAME_BYTES];
	struct weir_store_message message;
	struct output_record record = {.version = RECORD_VERSION, .worker_id = output->worker_id};

	memcpy(record.space, output->space, sizeof(record.space));
	output_name(name, output->worker_id);
	weir_store_message_set(&message, WEIR_STORE_STORE, name, &record, sizeof(record));
	weir_supervisor_keep(supervisor, &message, &output->fd, 1);
}

void weir_record_output_forget(struct weir_supervisor *supervisor, const struct weir_output *output)
{
	char name[WEIR_STORE_NAME_BYTES];

	output_name(name, output->worker_id);
	weir_supervisor_forget(supervisor, name);
}

void weir_record_snapshot_keep(struct weir_supervisor *supervisor)
{
	struct weir_store_message message;

	weir_store_message_set(&message, WEIR_STORE_STORE, "snapshot", NULL, 0);
	weir_supervisor_keep(supervisor, &message, &supervisor->snapshot_fd, 1);
}

/* One entry on its way into the supervisor; descriptors that are taken become -1. */
struct entry {
	struct weir_store_message message;
	int fds[WEIR_FD_PASS_MAX];
	size_t fd_count;
};

static int fd_take(struct entry *entry, size_t index)
{
	const int fd = index < entry->fd_count ? entry->fds[index] : -1;

	if (fd != -1)
		entry->fds[index] = -1;
	return fd;
}

static bool blob_take(const struct entry *entry, void *record, size_t bytes)
{
	uint32_t version = 0;

	if (entry->message.blob_bytes != bytes)
		return false;
	memcpy(&version, entry->message.blob, sizeof(version));
	memcpy(record, entry->message.blob, bytes);
	return version == RECORD_VERSION;
}

static void process_restore(struct entry *entry, const struct process_record *record,
			    struct weir_process *process)
{
	process->kind = record->kind;
	process->state = record->state;
	process->pid = record->pid;
	process->id = record->id;
	process->started_ns = record->started_ns;
	process->stop_sent = record->stop_sent != 0;
	process->pidfd = fd_take(entry, 0);
	process->control_fd = fd_take(entry, 1);
	process->child = false; /* the keeper's now */
}

static bool gateway_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct process_record record;

	if (!blob_take(entry, &record, sizeof(record)) || record.kind != WEIR_PROCESS_GATEWAY)
		return false;
	process_restore(entry, &record, &supervisor->gateway);
	supervisor->shard_board_fd = fd_take(entry, 2);
	supervisor->gateway_restart.restarts = record.restarts;
	return true;
}

static bool ctrld_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct process_record record;

	if (!blob_take(entry, &record, sizeof(record)) || record.kind != WEIR_PROCESS_CTRLD)
		return false;
	process_restore(entry, &record, &supervisor->ctrld);
	supervisor->ctrld_restart.restarts = record.restarts;
	return true;
}

static bool worker_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct process_record record;
	struct weir_worker *worker = NULL;
	struct weir_pool *pool = NULL;

	if (!blob_take(entry, &record, sizeof(record)) || record.kind != WEIR_PROCESS_WORKER ||
	    record.home >= supervisor->shard_count ||
	    supervisor->worker_places == WEIR_SUPERVISOR_WORKERS_MAX)
		return false;
	worker = &supervisor->worker[supervisor->worker_places++];
	process_restore(entry, &record, &worker->process);
	worker->runtime = record.runtime;
	worker->home = record.home;
	worker->pool_key = record.pool_key;
	worker->accepted_before = record.accepted_before;
	worker->finished_before = record.finished_before;
	worker->limits.memory_bytes = record.memory_bytes;
	worker->busy_ns = weir_clock_now_ns();
	memcpy(worker->space, record.space, sizeof(worker->space));
	worker->space[sizeof(worker->space) - 1] = '\0';
	pool = weir_pool_find(supervisor, record.pool_key); /* the snapshot was stored before any worker */
	if (pool != NULL && pool->restart.restarts < record.restarts)
		pool->restart.restarts = record.restarts;
	return true;
}

static bool link_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct link_record record;
	struct weir_link *link = NULL;

	if (!blob_take(entry, &record, sizeof(record)) || entry->fd_count != 1 ||
	    supervisor->link_places == WEIR_SUPERVISOR_LINKS_MAX)
		return false;
	link = &supervisor->link[supervisor->link_places];
	if (weir_segment_attach_readonly(entry->fds[0], &link->segment) != 0)
		return false;
	supervisor->link_places++;
	link->id = record.id;
	link->worker_id = record.worker_id;
	link->gateway_id = record.gateway_id;
	link->state = record.state;
	link->segment_fd = fd_take(entry, 0);
	for (size_t i = 0; i < WEIR_SHARDS_MAX; i++)
		link->event_fd[i] = -1;
	return true;
}

static bool output_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct output_record record;
	struct weir_output *output = NULL;

	if (!blob_take(entry, &record, sizeof(record)) || record.worker_id == 0 || entry->fd_count != 1)
		return false;
	record.space[sizeof(record.space) - 1] = '\0';
	output = weir_outputs_place(supervisor);
	if (output == NULL)
		return false;
	output->worker_id = record.worker_id;
	memcpy(output->space, record.space, sizeof(output->space));
	output->fd = fd_take(entry, 0);
	return true;
}

static bool listener_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct listener_record record;
	struct weir_listener *listener = NULL;

	if (!blob_take(entry, &record, sizeof(record)) || supervisor->listener_count == WEIR_SUPERVISOR_LISTEN_MAX ||
	    entry->fd_count != (record.local != 0 ? 1 : supervisor->shard_count))
		return false;
	listener = &supervisor->listener[supervisor->listener_count++];
	listener->local = record.local != 0;
	memcpy(listener->address, record.address, sizeof(listener->address));
	listener->address[sizeof(listener->address) - 1] = '\0';
	for (size_t i = 0; i < entry->fd_count; i++)
		listener->fd[i] = fd_take(entry, i);
	return true;
}

/* Shards and their CPUs stay what the first supervisor decided: sockets and segments are made for
 * them, whatever CPUs this one may use. The first entry of all. */
static bool self_restore(struct weir_supervisor *supervisor, const struct entry *entry)
{
	struct self_record record;

	if (!blob_take(entry, &record, sizeof(record)) || record.shard_count == 0 ||
	    record.shard_count > WEIR_SHARDS_MAX)
		return false;
	supervisor->incarnation = record.incarnation;
	supervisor->shard_count = record.shard_count;
	memcpy(supervisor->cpu, record.cpu, sizeof(supervisor->cpu));
	weir_nodes_settle(supervisor); /* pools, which are restored behind this, go by them */
	return true;
}

static bool environment_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	char space[sizeof(supervisor->environment[0].space)];

	if (entry->message.blob_bytes != sizeof(space) ||
	    memchr(entry->message.blob, 0, sizeof(space)) == NULL)
		return false;
	memcpy(space, entry->message.blob, sizeof(space));
	return weir_config_environment_restore(supervisor, space, fd_take(entry, 0));
}

static bool entry_restore(struct weir_supervisor *supervisor, struct entry *entry)
{
	const char *const name = entry->message.name;

	if (strcmp(name, "self") == 0)
		return self_restore(supervisor, entry);
	if (strcmp(name, "board") == 0)
		return (supervisor->board_fd = fd_take(entry, 0)) != -1;
	if (strcmp(name, "activations") == 0) {
		for (size_t i = 0; i < 3; i++)
			supervisor->activations_fd[i] = fd_take(entry, i);
		return supervisor->activations_fd[2] != -1;
	}
	if (strcmp(name, "load") == 0)
		return weir_measure_adopt(supervisor, entry->fds, entry->fd_count);
	if (strcmp(name, "status") == 0)
		return (supervisor->status_fd = fd_take(entry, 0)) != -1;
	if (strcmp(name, "snapshot") == 0)
		return weir_config_adopt(supervisor, fd_take(entry, 0)) == 0;
	if (strncmp(name, "environment/", 12) == 0)
		return environment_restore(supervisor, entry);
	if (strncmp(name, "listen/", 7) == 0)
		return listener_restore(supervisor, entry);
	if (strcmp(name, "gateway") == 0)
		return gateway_restore(supervisor, entry);
	if (strcmp(name, "ctrld") == 0)
		return ctrld_restore(supervisor, entry);
	if (strncmp(name, "worker/", 7) == 0)
		return worker_restore(supervisor, entry);
	if (strncmp(name, "link/", 5) == 0)
		return link_restore(supervisor, entry);
	if (strncmp(name, "output/", 7) == 0)
		return output_restore(supervisor, entry);
	return false;
}

/* An entry that makes no sense: nobody may go on who is not watched. */
static void entry_refuse(struct weir_supervisor *supervisor, struct entry *entry)
{
	struct weir_process process = {.pidfd = -1};

	weir_log(WEIR_LOG_ERROR, "unusable entry in the store", "name=%s action=drop", entry->message.name);
	if (entry->message.pidfd_index >= 0) {
		process.pidfd = entry->fds[entry->message.pidfd_index];
		weir_process_kill(&process);
	}
	weir_supervisor_forget(supervisor, entry->message.name);
}

void weir_record_listener_keep(struct weir_supervisor *supervisor, size_t index)
{
	const struct weir_listener *const listener = &supervisor->listener[index];
	char name[WEIR_STORE_NAME_BYTES];
	struct weir_store_message message;
	struct listener_record record = {.version = RECORD_VERSION, .local = listener->local};

	(void)snprintf(name, sizeof(name), "listen/%zu", index);
	(void)snprintf(record.address, sizeof(record.address), "%s", listener->address);
	weir_store_message_set(&message, WEIR_STORE_STORE, name, &record, sizeof(record));
	weir_supervisor_keep(supervisor, &message, listener->fd, listener->local ? 1 : supervisor->shard_count);
}

int weir_record_take_over(struct weir_supervisor *supervisor)
{
	size_t entries = 0;

	while (true) {
		static struct entry entry;
		const int received =
			weir_store_receive(supervisor->store_fd, &entry.message, entry.fds, &entry.fd_count);

		if (received == 0 || (received < 0 && received != -EBADMSG))
			return received == 0 ? -EPIPE : received;
		if (received == -EBADMSG)
			continue;
		if (entry.message.kind == WEIR_STORE_DONE)
			break;
		if (!entry_restore(supervisor, &entry))
			entry_refuse(supervisor, &entry);
		weir_fd_close_all(entry.fds, entry.fd_count);
		entries++;
	}
	supervisor->incarnation++;
	if (entries > 0)
		weir_log(WEIR_LOG_INFO, "took over", "incarnation=%llu workers=%zu links=%zu generation=%llu",
			 (unsigned long long)supervisor->incarnation, supervisor->worker_places,
			 supervisor->link_places, (unsigned long long)supervisor->generation);
	return 0;
}

void weir_record_self_keep(struct weir_supervisor *supervisor)
{
	struct weir_store_message message;
	struct self_record self = {.version = RECORD_VERSION,
				   .incarnation = supervisor->incarnation,
				   .shard_count = supervisor->shard_count};

	memcpy(self.cpu, supervisor->cpu, sizeof(self.cpu));
	weir_store_message_set(&message, WEIR_STORE_STORE, "self", &self, sizeof(self));
	weir_supervisor_keep(supervisor, &message, NULL, 0);
}
