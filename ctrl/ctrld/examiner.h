/* examiner: a thorough look at all that is kept (weir.db, faas_meta.db, DATA/code), one at a time, on a
 * thread of its own, so that nobody waits for it but who asked.
 *
 *   begin -> thread: store_examine.h, then each piece of code -> ask: what was found
 *
 * Changes nothing. Owns: the thread and what it found last, until the next one begins. Threads: one calls;
 * the examiner's own reads. Blocks in weir_examiner_destroy() only, until the thread has stopped. */
#ifndef WEIR_CTRL_CTRLD_EXAMINER_H
#define WEIR_CTRL_CTRLD_EXAMINER_H

#include "ctrl/code/code.h"
#include "ctrl/store/store_examine.h"

enum { WEIR_EXAMINATION_FOUND_MAX = 1000 }; /* that are kept */

/* What was looked at, and what is wrong. */
struct weir_examination {
	struct weir_store_examined examined;
	uint64_t codes;       /* pieces of code that versions refer to */
	uint64_t codes_known; /* of those whose sum was noted when they were stored, so that it can be told */
	uint64_t took_ns;
	struct weir_store_bad_row *found;
	size_t found_count; /* of all; the first WEIR_EXAMINATION_FOUND_MAX are kept */
};

struct weir_examiner;

/* Examines the data directory `data`, whose code is `code`. 0 or -ENOMEM. */
int weir_examiner_create(const char *data, const struct weir_code *code, struct weir_examiner **out_examiner);
void weir_examiner_destroy(struct weir_examiner *examiner); /* NULL is accepted */

/* Begin. 0 and *out_id; -EBUSY: another one is under way; or -errno: there can be no thread. */
int weir_examiner_begin(struct weir_examiner *examiner, uint64_t *out_id);

/* How far is it? 0 and *out_examination, the examiner's, until the next one begins; -EINPROGRESS; -ENOENT: it
 * is forgotten. */
int weir_examiner_ask(const struct weir_examiner *examiner, uint64_t id,
		      const struct weir_examination **out_examination);

#endif
