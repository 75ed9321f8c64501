/* publish_plan: a snapshot's tables before they are laid out. Private to ctrl/publish.
 *
 *   functions, specs,
 *   pools               publish_plan.c     sorted by id; one pool per (namespace, runtime, spec) or (function, spec)
 *   hosts, nodes, edges publish_routes.c   one tree per host, made from the sorted list in one pass
 *   keys                publish_keys.c     sorted by id
 *   targets             publish_routes.c   those of a node stand together, its own methods before ANY
 *   memfd               publish.c
 * Owns its tables; the input is borrowed. One thread. */
#ifndef WEIR_CTRL_PUBLISH_PUBLISH_PLAN_H
#define WEIR_CTRL_PUBLISH_PUBLISH_PLAN_H

#include "ctrl/publish/publish.h"
#include "ctrl/publish/publish_list.h"
#include "ctrl/publish/publish_rows.h"

struct weir_publish_plan {
	const struct weir_publish_input *input;
	uint32_t root;                             /* node of the tree without host */
	const struct weir_model_function **sorted; /* input's, by id: beside `functions` */
	struct weir_publish_rows functions;        /* struct weir_snapshot_function */
	struct weir_publish_rows specs;            /* struct weir_snapshot_spec; a function's stand together */
	struct weir_publish_rows pools;            /* struct weir_snapshot_pool */
	struct weir_publish_rows nodes;            /* struct weir_snapshot_node */
	struct weir_publish_rows hosts;            /* struct weir_snapshot_host */
	struct weir_publish_rows targets;          /* struct weir_snapshot_target */
	struct weir_publish_rows params;           /* struct weir_snapshot_string */
	struct weir_publish_rows keys;             /* struct weir_snapshot_key */
	struct weir_publish_edges edges;
	struct weir_publish_strings strings;
};

/* Fill functions, specs and pools. 0, -EINVAL (a record that the model refuses), -EEXIST (two functions with
 * one id), -E2BIG, -ENOMEM. */
int weir_publish_plan_functions(struct weir_publish_plan *plan);

/* Index of a function by id: 0 and *out_index, or -ENOENT. After weir_publish_plan_functions(). */
int weir_publish_plan_function_index(const struct weir_publish_plan *plan, uint64_t id,
				     uint32_t *out_index);

/* Fill hosts, nodes, edges, targets and params from the list, which is settled, and its entries'
 * `shadowed`. After functions. 0, -ENOENT, -E2BIG, -ENOMEM. */
int weir_publish_plan_routes(struct weir_publish_plan *plan, struct weir_publish_list *list);

/* Fill keys, sorted by id. 0, -EINVAL (a record that the model refuses), -EEXIST (two keys with one id), -E2BIG,
 * -ENOMEM. */
int weir_publish_plan_keys(struct weir_publish_plan *plan);

/* Free the tables; accepts a zeroed plan. */
void weir_publish_plan_free(struct weir_publish_plan *plan);

#endif
