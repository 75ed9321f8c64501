/* recorder: takes the records of calls out of the shards' rings (abi/activation.h) into the activation store,
 * on a thread of its own, so that the disk never delays the API and the rings never wait for it.
 *
 *   supervisor --ACTIVATIONS--> main thread --open--> rings --rounds--> keep or skip --> activation_store
 *
 * A round: sleep until there is a record, wait 50 ms for more (or until a ring is half full), take all, begin,
 * keep what the rates allow, commit, trim. Calls that went wrong have a rate of their own, and so have asynchronous
 * ones and those that OpenWhisk's clients make, who look for each: a flood of others hides none of them. What is skipped is counted, and so is what the rings lost.
 * Names of functions come from the newest snapshot; one that is gone from it is "#ID".
 * Lost when ctrld is killed: the round that was not committed. Owns: the thread, the mappings, the store.
 * Threads: all functions here: ctrld's main thread. */
#ifndef WEIR_CTRL_CTRLD_RECORDER_H
#define WEIR_CTRL_CTRLD_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/store/activation_store.h"

struct weir_recorder;

/* Since ctrld started. */
struct weir_recorder_status {
	uint64_t seen;    /* records taken out of the rings */
	uint64_t kept;
	uint64_t skipped; /* over the rates */
	uint64_t failed;  /* that the store could not take */
	uint64_t lost;    /* in the rings, since the instance started */
	char problem[1024]; /* why none is kept at the moment; empty: fine */
};

struct weir_recorder_limits {
	uint32_t kept_per_s;   /* calls that went well; at most, on average */
	uint32_t full_per_s;   /* of these, asynchronous ones and those of OpenWhisk's clients */
	uint32_t failed_per_s; /* calls that did not go well */
	uint64_t rows_max;
	uint64_t keep_s;
};

/* Start for the data directory. 0, -ENOMEM or -errno. */
int weir_recorder_create(const char *data, const struct weir_recorder_limits *limits,
			 struct weir_recorder **out_recorder);

/* Take what is in the rings once more, then stop. NULL is accepted. */
void weir_recorder_destroy(struct weir_recorder *recorder);

/* The rings and their bell: both are taken over. Once; more are closed. */
void weir_recorder_open(struct weir_recorder *recorder, int activations_fd, int bell_fd);

/* Names come from this snapshot from now on; the descriptor is copied. */
void weir_recorder_snapshot(struct weir_recorder *recorder, int snapshot_fd);

/* How much is kept, and for how long. */
void weir_recorder_limits(struct weir_recorder *recorder, const struct weir_recorder_limits *limits);

/* What is in the rings now is committed once `mark` is reached. */
uint64_t weir_recorder_mark(struct weir_recorder *recorder);
bool weir_recorder_reached(struct weir_recorder *recorder, uint64_t mark);

/* As of the last round. */
void weir_recorder_status_get(struct weir_recorder *recorder, struct weir_recorder_status *out_status);

#endif
