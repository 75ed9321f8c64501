/* pages: on which NUMA nodes the pages of links lie, as the kernel says: not where they were put.
 *
 *   each link: is the page there? (mincore) --> map it by reading a byte --> which node? (move_pages)
 *
 * Only pages that somebody has touched are read, so that looking makes none. The supervisor may: it has every
 * link mapped, read-only, and asks about its own mapping. At most WEIR_PAGES_LOOKED_MAX pages at a time, some
 * 10 ms of work; the rest is counted as left out. Threads: the supervisor's one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_PAGES_H
#define WEIR_DATAPLANE_SUPERVISOR_PAGES_H

#include "dataplane/supervisor/supervisor.h"

enum { WEIR_PAGES_LOOKED_MAX = 16384 };

/* Look, unless that was done a moment ago; what is found stands in supervisor->pages and with each worker,
 * and comes to the board with the rows. */
void weir_pages_look(struct weir_supervisor *supervisor, uint64_t now_ns);

/* Write what was found to the board; between the two changes of its number. */
void weir_pages_show(const struct weir_supervisor *supervisor, struct weir_board *board);

#endif
