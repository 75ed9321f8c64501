/* queued: the runtime `queue`, two functions that are Weir's own:
 *
 *   client, dialect --POST /weir/async/NAMESPACE/NAME--> queue   202 once it is on the disk
 *   client, dialect --GET /weir/async/ID---------------> queue   what became of it
 *   queue --one-way--> runner --/take, /renew, /done---> queue
 *                             --the call itself--------> NAMESPACE/NAME
 *
 * `queue` has one worker, which has the database (writer.h); `runner` has as many as it takes. A runner takes call
 * after call until there is none, or its time is up, and is sent for when calls are ready and fewer run than may.
 * Everything that comes to `queue` first does what time brought (weir_queue_sweep()), so that calls which were
 * lost on their way, are due, or are to be tried again go on with whatever comes next; weir-ctrld asks once a
 * second, for the case that nothing does.
 * Threads: as runtime.h says, and the writer. Peer death: a runner that dies leaves a lease that expires. */
#ifndef WEIR_CTRL_QUEUED_QUEUED_H
#define WEIR_CTRL_QUEUED_QUEUED_H

#include "ctrl/queue/queue.h"
#include "ctrl/queued/writer.h"
#include "dataplane/runtime/runtime.h"

/* Function `queue`: answer one request. 0; or -1 with the call's abort reason. */
int weir_queued_door(struct weir_runtime_call *call, struct weir_writer *writer, const struct weir_queue_limits *limits);

/* Function `runner`: run calls. 0. */
int weir_queued_run(struct weir_runtime_call *call);

/* The fields between the two. */
#define WEIR_QUEUED_RUNNER   "x-weir-runner"   /* a runner's number, 16 hex digits */
#define WEIR_QUEUED_CALL     "x-weir-call"     /* "NUMBER ATTEMPT" */
#define WEIR_QUEUED_ID       "x-weir-id"       /* of the call, 32 hex digits */
#define WEIR_QUEUED_FUNCTION "x-weir-function" /* "NAMESPACE/NAME" */
#define WEIR_QUEUED_QUERY    "x-weir-query"
#define WEIR_QUEUED_STATUS   "x-weir-status"
#define WEIR_QUEUED_FAILURE  "x-weir-failure"  /* the word of Weir's error */
#define WEIR_QUEUED_LAST     "x-weir-last"     /* the runner takes no more */

#endif
