/* rehouse: who waits while the configuration changes.
 *
 *   request waits in the pool of 500 m --fn deploy --spec cpu=1000...--> waits in the pool of 1000 m
 *                                                                  `---> no spec holds it: 503
 *
 * A function that is deployed with other specs, or for another runtime, has other pools from then on, and
 * the workers of the old ones may go: what waits for them would wait until its deadline. Looked at once a
 * configuration and pool, only where something waits. Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_REHOUSE_H
#define WEIR_DATAPLANE_GATEWAY_REHOUSE_H

#include "dataplane/gateway/link.h"

/* Who waits in this pool goes where its function's calls run now, or learns why they do not. Sets
 * pool->rehoused_count. */
void weir_rehouse_pool(struct weir_shard *shard, struct weir_shard_pool *pool);

#endif
