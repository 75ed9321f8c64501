/* demand: when a shard asks the supervisor for another worker of a pool: a DEMAND message (abi/control.h).
 *
 *   no worker of it can ever run what waits ------------------------> at once, urgent
 *   a queue lasted a while, and the functions' own time is why -----> now
 *   it lasted long, whatever the reason ----------------------------> now
 *
 * Rare, and not repeated within a few milliseconds. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_DEMAND_H
#define WEIR_DATAPLANE_GATEWAY_DEMAND_H

#include "dataplane/gateway/link.h"

/* Calls wait in the pool: ask for another worker, if that would help. */
void weir_demand(struct weir_shard *shard, struct weir_shard_pool *pool);

#endif
