/* gateway: the control thread: maps, checks and prefaults what the supervisor sends, watches the
 * workers' pidfds, and hands shards pointers. It never touches a request.
 *
 *   supervisor <-- control socket --> control thread <-- mailboxes --> shards
 *
 * A link's objects are freed when every shard let go and echoed the burial (mailbox order makes
 * sure that no letter about it is left). A snapshot is freed when every shard uses a newer one.
 * Death: the process is restarted by the supervisor with the same listening sockets. */
#ifndef WEIR_DATAPLANE_GATEWAY_GATEWAY_H
#define WEIR_DATAPLANE_GATEWAY_GATEWAY_H

#include <poll.h>

#include "dataplane/gateway/shard.h"
#include "dataplane/shm/control.h"

enum {
	WEIR_GATEWAY_CONFIGS_MAX = 4, /* snapshots alive at once; then only the newest waits */
	/* Messages owed to a supervisor that does not read: ready, gone and kill of each link, an
	 * acknowledgement of each snapshot, one demand of each pool. */
	WEIR_GATEWAY_OWED_MAX = 3 * WEIR_GATEWAY_LINKS_MAX + WEIR_GATEWAY_CONFIGS_MAX +
				WEIR_GATEWAY_POOLS_MAX + 64,
};

struct weir_gateway_link {
	struct weir_segment segment;
	int pid_fd;
	int memory_fd; /* what its control group counts; -1 = it has none */
	int event_fd[WEIR_SHARDS_MAX];
	struct weir_shard_link *part[WEIR_SHARDS_MAX];
	uint32_t opened_count;
	uint32_t gone_count;
	uint32_t buried_count;
	bool refused; /* a shard had no room for it */
	bool dead;
	bool is_out_of_memory; /* that is what it died of */
	struct weir_room room; /* of the worker, as far as it is given away */
};

struct weir_gateway {
	int control_fd;
	struct weir_board *board;
	const struct weir_load_board *load; /* what workers use, as measured; NULL = not known */
	struct weir_shard_board *shard_board;
	struct weir_activations *activations; /* where records of calls go; NULL = nowhere */
	int activations_bell_fd;             /* for the gateway's life */
	uint32_t shard_count;
	uint16_t memory_node[WEIR_SHARDS_MAX]; /* of each shard, or WEIR_CONTROL_NODE_ANY */
	struct weir_shard *shard[WEIR_SHARDS_MAX];
	pthread_t thread[WEIR_SHARDS_MAX];
	struct weir_mailbox outbox;
	struct weir_gateway_link *link[WEIR_GATEWAY_LINKS_MAX];
	uint32_t link_count;
	uint32_t config_count;
	struct weir_config *newest; /* delivered */
	int pending_snapshot_fd;    /* newest that waits for an old one to go, or -1 */
	uint32_t stopped_count;
	uint32_t owed_head; /* free-running; the socket was full when they were sent */
	uint32_t owed_tail;
	struct weir_control owed[WEIR_GATEWAY_OWED_MAX];
	bool stopping;
};

/* Serve until the supervisor says STOP (0) or goes away for good (0), or start-up fails (-errno,
 * logged). `control_fd` is the control socket. */
int weir_gateway_run(int control_fd);

/* Tell the supervisor something; kept and sent later while its socket is full. */
void weir_gateway_tell(struct weir_gateway *gateway, const struct weir_control *control);

/* What the control thread allocates between the two is for that shard, and lies on its node. */
void weir_gateway_memory_enter(const struct weir_gateway *gateway, uint32_t shard);
void weir_gateway_memory_leave(const struct weir_gateway *gateway);

/* Links: an opened one, a shard's letter about one, the supervisor's close, a fired pidfd. */
void weir_gateway_link_open(struct weir_gateway *gateway, const struct weir_control *control,
			    struct weir_control_fds *fds);
void weir_gateway_link_letter(struct weir_gateway *gateway, const struct weir_letter *letter);
void weir_gateway_link_close(struct weir_gateway *gateway, uint64_t link_id);
void weir_gateway_link_died(struct weir_gateway *gateway, struct weir_gateway_link *link);

#endif
