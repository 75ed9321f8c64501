/* place: which CPUs get shards, and which shard a worker belongs to.
 *
 *   node 0: CPUs 0-3        node 1: CPUs 4-7
 *     shard 0 on CPU 0        shard 2 on CPU 4       four shards: nodes take turns, and no CPU has two
 *     shard 1 on CPU 1        shard 3 on CPU 5
 *     worker, home 0          worker, home 2         a pool's workers: evenly over nodes, then over shards
 *
 * A worker's home shard is on its node; where there is one node only, this is all that a home means.
 * Pure functions; any thread. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_PLACE_H
#define WEIR_DATAPLANE_SUPERVISOR_PLACE_H

#include "bpf/steer.h"
#include "dataplane/base/numa.h"
#include "dataplane/supervisor/options.h"

/* Decide how many shards run and on which CPUs: out_cpus[0 .. return-1]. `allowed` is what the process may
 * use (weir_cpu_list). Chosen CPUs come in the order of their nodes, those of --cpus in the order given.
 * More than one shard to a CPU there is only where --shards asks for it. Returns 1 .. WEIR_SHARDS_MAX, or
 * -EINVAL with the reason in `problem`. */
int weir_place_shards(const struct weir_options *options, const struct weir_numa *numa, const uint16_t *allowed,
		      size_t allowed_count, uint16_t out_cpus[WEIR_SHARDS_MAX],
		      char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Where workers are, and whose. */
struct weir_place_shard {
	uint8_t node;   /* index */
	uint32_t mine;  /* workers of the pool that is to get one */
	uint32_t all;   /* workers of all pools */
};

enum { WEIR_PLACE_NOBODY = 0xffff };

/* The home of the pool's next worker: the shard with the fewest of its workers on the node with the
 * fewest. Among equals: the shard that asked (`asking`, or WEIR_PLACE_NOBODY) and its node, then fewest
 * workers of all, then the first. `count` is 1 .. WEIR_SHARDS_MAX. */
uint32_t weir_place_home(const struct weir_place_shard *shards, uint32_t count, uint32_t asking);

/* May the pool give up a worker of shard `home`, if it has to give up one? Not the last of its node while
 * another node has several. */
bool weir_place_is_spare(const struct weir_place_shard *shards, uint32_t count, uint32_t home);

/* On how many nodes there are shards. */
uint32_t weir_place_nodes(const struct weir_place_shard *shards, uint32_t count);

/* How far two nodes are from each other: 0 = they are the same, 255 = no two of this machine are farther. */
uint8_t weir_place_remote(const struct weir_numa *numa, uint32_t one, uint32_t other);

/* Where connections go that a CPU receives: to the shards of its node, or, where there are none, to those
 * of the nearest node that has some. */
void weir_place_steer(const struct weir_numa *numa, const struct weir_place_shard *shards, uint32_t count,
		      struct weir_steer_plan *out_plan);

#endif
