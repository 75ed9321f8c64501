/* rig_snapshot: a small valid snapshot in a sealed memfd: functions and one pool, no routes. */
#ifndef WEIR_TESTS_WORKER_RIG_SNAPSHOT_H
#define WEIR_TESTS_WORKER_RIG_SNAPSHOT_H

#include "tests/worker/rig.h"

/* Functions sorted by id; returns the descriptor. */
int rig_snapshot_build(const struct rig_function *functions, size_t count, uint64_t generation);

#endif
