/* node_host: worker/host.h for a worker whose functions have an event loop of their own.
 *
 *   Node's loop --prepare--> turn: mail, events, calls; sleep; turn; ... --> back to Node's loop when it
 *                                                                          has something to do itself
 *   shards --bell--> alarm --> JavaScript's thread <-- alarm <-- watcher of the loop's epoll descriptor
 *
 * One thread takes calls out of the rings and runs JavaScript; it is also the one that sleeps on the
 * bells, so a call for an idle worker costs no other thread and no system call but the bell's. While
 * Node itself waits for something (a socket, a timer), a second thread waits for the loop's descriptor
 * and rings the same alarm. Calls that wait for a promise stay in their slots.
 *
 *   slot   GATHERING --body is here--> RUNNING --answer--> SENDING --all is sent--> free
 *          WAITING (for a snapshot) ---^                cancelled, failed ---------> free
 *
 * Owns: port, slots, snapshot. Mails and reports as in host.h: attend.c runs on a thread of its own.
 * Threads: JavaScript's, but for weir_host_*().
 * Peer death: as in host.h. */
#ifndef WEIR_DATAPLANE_WORKER_NODE_NODE_HOST_H
#define WEIR_DATAPLANE_WORKER_NODE_NODE_HOST_H

#include <semaphore.h>
#include <uv.h>

#include "dataplane/worker/alarm.h"
#include "dataplane/worker/host.h"
#include "dataplane/worker/mailbox.h"
#include "dataplane/worker/print.h"

enum {
	WEIR_NODE_BATCH = 16,  /* calls between two looks at everything else */
	WEIR_NODE_ID_SHIFT = 7, /* an id is a slot's place, and above it how often the slot was used */
	WEIR_NODE_NAME_BYTES = 192,
};
static_assert(WEIR_PORT_CALLS_MAX <= 1 << WEIR_NODE_ID_SHIFT, "an id holds a slot's place");

/* Answers wait for the end of a batch no longer than this before the next handler starts. */
#define WEIR_NODE_PUBLISH_NS UINT64_C(50000)
/* How long JavaScript may run without a break while no call is there that has a deadline. */
#define WEIR_NODE_BACKGROUND_NS UINT64_C(10000000000)

enum weir_node_state { WEIR_NODE_WAITING, WEIR_NODE_GATHERING, WEIR_NODE_RUNNING, WEIR_NODE_SENDING };

struct weir_node_slot {
	struct weir_port_call *call; /* NULL = free */
	struct weir_host *host;
	uint32_t id;
	enum weir_node_state state;
	bool is_parked;
	bool has_event;
	bool is_timed_out; /* JavaScript was ended for it */
	uint8_t *bytes;    /* GATHERING: the body so far; SENDING: the answer */
	size_t byte_count;
	size_t bytes_size; /* GATHERING: allocated */
	size_t bytes_sent;
	struct weir_node_nested *nested; /* calls that it makes (node_nested.h); NULL = none so far */
	struct weir_print print;
};

/* The one function of this worker. */
struct weir_node_function {
	uint64_t id; /* 0 = none seen yet */
	uint64_t version;
	uint64_t generation; /* of the snapshot that it was last compared with */
	char name[WEIR_NODE_NAME_BYTES]; /* "namespace/name" */
};

struct weir_host {
	struct weir_host_hooks hooks;
	void *context;
	struct weir_port port;
	struct weir_alarm alarm;
	struct weir_mailbox mail;
	struct weir_mailbox reports;
	int report_fd;
	struct weir_snapshot snapshot;
	struct weir_variables *variables; /* of this namespace's functions; NULL: none came yet */
	struct weir_host_mail *stop;
	struct weir_host_mail *closing;
	struct weir_node_function function;
	struct weir_node_slot slot[WEIR_PORT_CALLS_MAX];
	bool is_stopping; /* start nothing more */
	bool is_retiring; /* there is a newer version: end when nothing runs */
	bool is_in_turn;
	bool has_events;
	uint64_t service_ns;
	uint64_t logged_ns; /* last line about a failed call */
	uint64_t unlogged;  /* failed calls since */
	uv_loop_t *loop;
	uv_prepare_t prepare;
	uv_idle_t idle; /* active: Node's loop must not sleep itself */
	_Atomic bool is_io_ready; /* the loop's descriptor is readable, and its watcher waits for io_go */
	sem_t io_go;
};

/* Take part in `loop`, whose thread this is. The hooks: run starts an accepted call in JavaScript;
 * paused ends a batch of them (what was promised runs); cancel tells JavaScript that a call which awaits
 * others is over (`running`: its slot); configured is not used.
 * 0 or -errno. */
int weir_node_host_open(struct weir_host *host, uv_loop_t *loop, const struct weir_host_hooks *hooks,
			void *context);

/* The watch (node_watch.h) guards what is not one call's handler. */
void weir_node_host_watch_loop(const struct weir_host *host);

/* ---- node_call.c ---- */

/* A call was accepted: into its slot, and on to JavaScript as soon as its body is here. */
void weir_node_call_start(struct weir_host *host, struct weir_port_call *call);

/* Look after all calls that were woken. */
void weir_node_call_events(struct weir_host *host);

/* The slot of an id; NULL if that call is over. */
struct weir_node_slot *weir_node_call_find(struct weir_host *host, uint32_t id);

/* Its handler returned, and its answer will come. */
void weir_node_call_park(struct weir_node_slot *slot);

/* The answer: status and fields are set, `data` is all of the body. The slot is free after this, or when
 * all was sent. */
void weir_node_call_answer(struct weir_node_slot *slot, const void *data, size_t bytes);

/* The answer is in the port's hands. */
void weir_node_call_finish(struct weir_node_slot *slot);

/* The call failed; the slot is free after this. */
void weir_node_call_fail(struct weir_node_slot *slot, enum weir_abort code, struct weir_span reason);

/* Everything failed for the same reason; then publish: the process is about to end. */
void weir_node_call_fail_all(struct weir_host *host, struct weir_span reason);

/* What a call printed; `slot` NULL: something that no call did. */
void weir_node_call_print(struct weir_host *host, struct weir_node_slot *slot,
			  enum weir_runtime_stream stream, struct weir_span text);

#endif
