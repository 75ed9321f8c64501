/* link: the life of the segments between the gateway and the workers.
 *
 *   OPENING --both ends have it--> OPEN --retire--> DRAINING --LINK_GONE of the gateway--+
 *      |                            |                                                    v
 *      +----------------------------+---gateway died--> CLOSING --LINK_GONE of worker--> released
 *
 * A worker's death releases all its links at once: the gateway has its pidfd and lets go by itself. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_LINK_H
#define WEIR_DATAPLANE_SUPERVISOR_LINK_H

#include "dataplane/supervisor/supervisor.h"

/* Open missing links, move closing ones on. */
void weir_link_turn(struct weir_supervisor *supervisor, uint64_t now_ns);

/* A link of `worker` to the gateway that runs now: opening or open (`draining` false), or one that
 * this gateway still drains (true). NULL if there is none. */
struct weir_link *weir_link_current(struct weir_supervisor *supervisor, const struct weir_worker *worker,
				    bool draining);
struct weir_link *weir_link_find(struct weir_supervisor *supervisor, uint64_t id);

/* Let the gateway drain it. */
void weir_link_drain(struct weir_supervisor *supervisor, struct weir_link *link, uint64_t give_up_ns);

/* LINK_GONE of either end. */
void weir_link_gone(struct weir_supervisor *supervisor, uint64_t id, bool from_gateway);

/* A process died. */
void weir_link_worker_died(struct weir_supervisor *supervisor, struct weir_worker *worker);
void weir_link_gateway_died(struct weir_supervisor *supervisor);

/* The store was taken over: close links whose ends are gone or that were half open. */
void weir_link_taken_over(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Unmap, close and forget. */
void weir_link_release(struct weir_supervisor *supervisor, struct weir_link *link);

#endif
