/* rounds: a thread beside ctrld's main one that works in rounds, and who waits for one.
 *
 *   main thread: mark() --wake--> thread: wait, begin(), [work], end() ---> main thread: reached(mark)
 *
 * What the two share besides is kept under the same lock; it is held briefly and never while the thread works.
 * A mark is the number of the first round that begins after it was asked for: when that has ended, all that
 * was there at the time of asking has been worked on.
 * Owns: the thread, the eventfd, the lock. Threads: as the sections say. */
#ifndef WEIR_CTRL_CTRLD_ROUNDS_H
#define WEIR_CTRL_CTRLD_ROUNDS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What a round is for. */
enum weir_round {
	WEIR_ROUND_PLAIN,
	WEIR_ROUND_ASKED, /* somebody waits for its end */
	WEIR_ROUND_LAST,
};

struct weir_rounds {
	pthread_t thread;
	pthread_mutex_t lock;
	int wake_fd; /* readable: the thread is to look */
	/* Locked. */
	uint64_t asked; /* the highest mark given out */
	uint64_t started;
	uint64_t ended;
	bool is_stopping;
};

/* ---- the main thread ---- */

/* Make lock and eventfd; then let the thread run. Signals stay the caller's. 0 or -errno. close() is for
 * rounds without a thread, after a failure too; stop() ends with a last round, joins and closes. */
int weir_rounds_open(struct weir_rounds *rounds);
int weir_rounds_start(struct weir_rounds *rounds, void *(*run)(void *argument), void *argument);
void weir_rounds_close(struct weir_rounds *rounds);
void weir_rounds_stop(struct weir_rounds *rounds);

/* There is something to look at; and a round of one's own. */
void weir_rounds_wake(const struct weir_rounds *rounds);
uint64_t weir_rounds_mark(struct weir_rounds *rounds);
bool weir_rounds_reached(struct weir_rounds *rounds, uint64_t mark);

/* ---- either ---- */

/* What both sides share changes between these two. */
void weir_rounds_lock(struct weir_rounds *rounds);
void weir_rounds_unlock(struct weir_rounds *rounds);

/* ---- the thread ---- */

/* Does somebody wait for the next round, or for the end? */
bool weir_rounds_is_asked(struct weir_rounds *rounds);

/* Begin and end a round; locked, so that what is shared changes hands in the same breath. */
enum weir_round weir_rounds_begin(struct weir_rounds *rounds);
void weir_rounds_end(struct weir_rounds *rounds);

/* ---- eventfds ---- */

/* Make it readable, and take that back; neither blocks, and an error is none: it rang, or was silent. */
void weir_rounds_ring(int fd);
void weir_rounds_silence(int fd);

#endif
