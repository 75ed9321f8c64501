/* board: a checked private copy of the instance's live numbers (dataplane/abi/board.h), fetched from
 * the supervisor. Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_BOARD_H
#define WEIR_CTRL_CTRLCTL_BOARD_H

#include "ctrl/ctrlctl/ctl.h"
#include "dataplane/abi/board.h"

/* Fetch. WEIR_CTL_OK and *out_board (free()); WEIR_CTL_UNREACHABLE (nobody listens, or no answer);
 * WEIR_CTL_FAILED (what came makes no sense). Says why unless `quiet`. */
enum weir_ctl_exit weir_ctl_board_fetch(const struct weir_ctl_call *call, bool quiet,
					struct weir_board **out_board);

/* The same, with the pages of links just looked up: where they lie. */
enum weir_ctl_exit weir_ctl_board_fetch_pages(const struct weir_ctl_call *call, struct weir_board **out_board);

/* Names of runtimes; "unknown" for others. */
const char *weir_ctl_board_runtime(uint32_t runtime);

/* The name of a worker's pool, and of a pool, as `ctrlctl pool` knows them; return out. */
enum { WEIR_CTL_POOL_BYTES = 192 };
const char *weir_ctl_board_pool(const struct weir_board_process *worker, char out[WEIR_CTL_POOL_BYTES]);
const char *weir_ctl_board_pool_name(const struct weir_board_pool *pool, char out[WEIR_CTL_POOL_BYTES]);

/* Requests that wait for a pool's workers, over all shards. */
uint64_t weir_ctl_board_waiting(const struct weir_board *board, uint64_t pool_key);

/* Sum of one metric over all shards. */
uint64_t weir_ctl_board_sum(const struct weir_board *board, size_t metric);

#endif
