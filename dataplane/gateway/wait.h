/* wait: what a shard does between two turns.
 *
 *   messages from a worker? -------------------------------> submit, next turn
 *   handed calls to fast workers a moment ago? -> submit, give them the CPU, look (linger.h)
 *   completions left over, or none of the above answered? -> submit
 *   nothing at all ----------------------------------------> submit and sleep in one system call;
 *                                                            workers must ring (doorbell.h)
 *
 * Threads: the owning shard. Peer death: a worker that dies while the shard waits for it awake costs
 * one linger (WEIR_LINGER_NS); its pidfd ends a sleep by way of the control thread's mailbox. */
#ifndef WEIR_DATAPLANE_GATEWAY_WAIT_H
#define WEIR_DATAPLANE_GATEWAY_WAIT_H

struct weir_shard;

/* Hand the kernel what is queued, and return when there is something to do. */
void weir_wait_for_work(struct weir_shard *shard);

/* At the turn's start, when its completions are taken: were the sends that the sleep relied on
 * really complete? */
void weir_wait_check_sends(struct weir_shard *shard);

#endif
