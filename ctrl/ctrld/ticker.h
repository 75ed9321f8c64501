/* ticker: the clock of asynchronous calls. Once a second function weir.system/queue is asked how it is, which
 * lets it do what time brings: calls that are delayed, to be tried again, or were lost with a process go on
 * though nothing else comes. Only where there ever was such a call.
 *
 *   turn --GET /weir/async--> run/http.sock          the answer is not read; the connection is closed a second later
 *
 * Without ctrld calls go on with whatever comes next to the queue. Peer death: the next second's business.
 * Threads: ctrld's main one. Never blocks. */
#ifndef WEIR_CTRL_CTRLD_TICKER_H
#define WEIR_CTRL_CTRLD_TICKER_H

#include <stdint.h>

struct weir_ticker {
	int fd; /* of the request under way; -1 none */
	uint64_t due_ns;
};

/* Zeroed and fd -1 before the first. `data`: the instance's directory. */
void weir_ticker_turn(struct weir_ticker *ticker, const char *data, uint64_t now_ns);
void weir_ticker_close(struct weir_ticker *ticker);

#endif
