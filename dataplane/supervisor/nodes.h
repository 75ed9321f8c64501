/* nodes: what belongs together on one NUMA node: shards, their ends of links, their workers.
 *
 *   spawn    the supervisor's own CPUs and memory policy are those of the worker's node for the moment of
 *            the fork, so that the child is born with them, and so are all its threads and programs
 *   link     mbind on the memfd before anybody touches it: the header to the worker's node, each pair
 *            to its shard's (shm/segment.h)
 *   connect  the listening sockets of an address are steered (steer.h)
 * With one node, or --numa off, nothing of this is done. What the machine refuses (a container's filter,
 * a kernel without nodes) is left out and said once: workers still get their CPUs, or just a home shard.
 * Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_NODES_H
#define WEIR_DATAPLANE_SUPERVISOR_NODES_H

#include "dataplane/supervisor/place.h"
#include "dataplane/supervisor/supervisor.h"

/* Find out about CPUs and nodes. 0, or -errno with the reason in `problem`. */
int weir_nodes_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Decide where shards run, unless an earlier supervisor did, whatever CPUs there are now. Likewise. */
int weir_nodes_place(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* The CPUs of shards are known: find their nodes. Before there are pools. */
void weir_nodes_settle(struct weir_supervisor *supervisor);

/* True where there is more than one node to care about. */
bool weir_nodes_are_several(const struct weir_supervisor *supervisor);

/* The shards with their nodes, and how many workers each has. */
void weir_nodes_shards(const struct weir_supervisor *supervisor, struct weir_place_shard shards[WEIR_SHARDS_MAX]);

/* The home shard of the pool's next worker. */
uint32_t weir_nodes_home(const struct weir_supervisor *supervisor, const struct weir_pool *pool);

/* May this worker go before others of its pool? */
bool weir_nodes_is_spare(const struct weir_supervisor *supervisor, const struct weir_worker *worker);

/* What is started between the two is born on the node of the shard `home`. */
void weir_nodes_enter(struct weir_supervisor *supervisor, uint32_t home);
void weir_nodes_leave(struct weir_supervisor *supervisor);

/* Where the link of a worker of shard `home` is to lie; false: anywhere. */
bool weir_nodes_homes(const struct weir_supervisor *supervisor, uint32_t home, struct weir_segment_homes *out_homes);

/* Where the shards' own memory is to lie, for the gateway's start. */
void weir_nodes_tell(const struct weir_supervisor *supervisor, struct weir_control *control);

/* How far a worker of shard `home` is from each shard: 0 = on its node, 255 = as far as two nodes can be. */
void weir_nodes_remote(const struct weir_supervisor *supervisor, uint32_t home, uint8_t out_remote[WEIR_SHARDS_MAX]);

/* A pool that is never without a worker has one on each node with shards, if it may have so many. */
uint32_t weir_nodes_workers_min(const struct weir_supervisor *supervisor, uint32_t workers_min,
				uint32_t workers_max);

/* Write nodes and shards to the board. */
void weir_nodes_show(const struct weir_supervisor *supervisor, struct weir_board *board);

/* A line on what cannot be done here, or an empty text. */
void weir_nodes_lack(const struct weir_supervisor *supervisor, char *line, size_t bytes);

#endif
