/* hasher: passwords are hashed and checked on a thread of their own, one after the other, so that at most one
 * CPU and one time 64 MiB go there, whoever asks how often, and nobody else waits.
 *
 *   begin -> WAITING -> (thread, nice) -> DONE -> ask -> free      drop: free at once, or when the thread is through
 *
 * Passwords are copied, and wiped as soon as they were looked at. The thread begins with the first job.
 * Owns: jobs, thread. Threads: one calls; the hasher's own works. Blocks in weir_hasher_destroy() only, until the
 * job under way has ended. */
#ifndef WEIR_CTRL_ACCESS_HASHER_H
#define WEIR_CTRL_ACCESS_HASHER_H

#include <stdint.h>

#include "ctrl/model/model_user.h"

enum { WEIR_HASHER_JOBS_MAX = 16 };

struct weir_hasher;

/* 0, -ENOMEM or -errno. NULL is accepted by destroy. */
int weir_hasher_create(struct weir_hasher **out_hasher);
void weir_hasher_destroy(struct weir_hasher *hasher);

/* Hash a password, or check it where `hash` is not NULL. 0 and *out_id, never 0; -EBUSY: all places are taken, try
 * again in a moment; -EINVAL: it is too long; or -errno: there can be no thread. */
int weir_hasher_begin(struct weir_hasher *hasher, const char *password, const char *hash, uint64_t *out_id);

/* How is it? -EINPROGRESS; then, once: 0 and the hash, made or as it was given, -EACCES (it is another password) or
 * -ENOMEM. -ENOENT: there is no such job. */
int weir_hasher_ask(struct weir_hasher *hasher, uint64_t id, char out_hash[WEIR_MODEL_HASH_BYTES]);

/* Nobody asks any more. Ids of jobs that are gone are accepted. */
void weir_hasher_drop(struct weir_hasher *hasher, uint64_t id);

#endif
