/* pools: how many workers each pool has, and what starting them took, from the board. Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_POOLS_H
#define WEIR_CTRL_CTRLCTL_POOLS_H

#include <cjson/cJSON.h>

#include "ctrl/ctrlctl/board.h"

/* A list of all pools, the caller's. */
cJSON *weir_ctl_pools_json(const struct weir_board *board);

/* The same for people: pools that have workers, want some, or had some. */
void weir_ctl_pools_print(const cJSON *pools);

/* Add to each object of the list `pools` (of `fn get`) what the board has of the pool of its name. */
void weir_ctl_pools_join(cJSON *pools, const struct weir_board *board);

/* "2 ready; 5 starts of 12 ms; 3 cold starts of 25 ms (longest 40 ms)" */
void weir_ctl_pools_format(const cJSON *pool, char *out, size_t max);

#endif
