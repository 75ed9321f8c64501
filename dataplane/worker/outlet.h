/* outlet: the worker's end of the socket on which the lines that functions print go to ctrld.
 *
 *   line --> message of one call (16 KiB) --full, end of the call, 1 ms, 10 ms of silence--> socket
 *                                        full socket: dropped, counted, and said once there is room
 *
 * Without a socket (a worker that nobody collects from) lines go to Weir's own log, as its events.
 * Nothing here waits. What is in the message when the process is killed (SIGKILL, _exit) is lost: at most
 * what was printed in its last WEIR_OUTLET_TICK_MS. A crash sends it first: weir_outlet_rescue().
 * Owns: nothing of its callers; the socket lives as long as the process. One in a process.
 * Threads: any, between lock and unlock. One thread (capture.h) flushes, and sleeps while nothing waits.
 * Peer death: sending fails, lines are dropped and counted. */
#ifndef WEIR_DATAPLANE_WORKER_OUTLET_H
#define WEIR_DATAPLANE_WORKER_OUTLET_H

#include "dataplane/shm/output.h"

enum {
	WEIR_OUTLET_TICK_MS = 10, /* how often somebody must call weir_outlet_flush() */
};

/* Until weir_outlet_connect() lines go to Weir's log. The descriptor that becomes readable when a line waits and the one
 * who flushes said that he sleeps. 0 or -errno. */
int weir_outlet_open(int *out_bell_fd);

/* Send to `socket_fd` from now on. 0 or -errno. */
int weir_outlet_connect(int socket_fd);

/* For what is marked "Locked." below; held for a moment only. */
void weir_outlet_lock(void);
/* The other half. */
void weir_outlet_unlock(void);

/* A line of a call of `function` ("namespace/name", NUL-terminated), at most
 * WEIR_OUTPUT_TEXT_BYTES_MAX bytes. Locked. */
void weir_outlet_line(const char *function, struct weir_id activation,
		      enum weir_output_stream stream, struct weir_span text);

/* Send what waits. Locked. */
void weir_outlet_flush(void);

/* Does something wait? Any thread. */
bool weir_outlet_is_dirty(void);

/* The one who flushes goes to sleep, or woke up. False: something waits, he must not. */
bool weir_outlet_sleep(void);
void weir_outlet_awake(void);

/* In a crash: send what waits, then `text` as one more line. Only system calls; does not lock. */
void weir_outlet_rescue(const char *function, struct weir_id activation,
			enum weir_output_stream stream, struct weir_span text);

#endif
