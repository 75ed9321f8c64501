/* link: calls and chunks between one shard and one worker, checked by spin in every order.
 *
 * In it: binding, recall (at any time, the record used again at once), clients that leave, answers
 * in parts that the kernel sends from the chunk, the worker killed between any two steps (a second
 * one takes its place on a fresh link), the gateway killed between any two steps, and both sides
 * going to sleep as doorbell.h says.
 * Left out: several shards (they share only the bell), credits, time.
 * Shown: no request runs twice, no chunk has two owners, the kernel never sends from a chunk that
 * was given away, each request is answered at most once, and exactly once if the gateway lives;
 * nobody sleeps for ever (spin reports that as an invalid end state). */

#define REQUESTS  2
#define RECORDS   2
#define CHUNKS    2
#define SEQUENCES 6 /* 1 .. 5: two bindings, one after a recall, two after a death */
#define RING_CELLS 4
#define NONE      9

mtype = { FREE, QUEUED, RUNNING, RECALLED };
mtype = { HEAD, CANCEL, PART, END };
mtype = { WAITING, BOUND, CLOSED };

/* Shared memory: the records' words, the rings, the sleep words. */
byte word_sequence[RECORDS];
mtype word_state[RECORDS] = FREE;
chan to_worker = [RING_CELLS] of { mtype, byte, byte, byte }; /* kind, record, sequence, chunk */
chan to_shard = [RING_CELLS] of { mtype, byte, byte, byte };
bit bell;       /* 1: the worker sleeps or is about to */
bit sleeping;   /* 1: the shard sleeps or is about to */
bit event;      /* the shard's eventfd */

/* The shard's private tables. */
byte call_sequence[RECORDS]; /* 0: free */
byte call_request[RECORDS];
byte call_chunk[RECORDS];
bit call_sending[RECORDS];   /* a kernel operation is outstanding */
bit call_returned[RECORDS];  /* finished or given up; kept only because of the kernel */
byte owner[CHUNKS];          /* sequence of the call that holds the chunk; 0: free */
mtype request_state[REQUESTS] = WAITING;

/* The kernel: sends, processes. */
chan submitted = [2] of { byte, byte, byte }; /* record, chunk, sequence */
chan completed = [2] of { byte };
bit kernel_holds[CHUNKS];
bit worker_killed;
bit worker_dead;  /* the pidfd fired */
bit gateway_killed;
bit gateway_dead; /* the worker's sockets closed */
bit stop;

/* Ghosts: what the assertions speak of. */
byte runs[REQUESTS];
byte answers[REQUESTS];
byte request_of[SEQUENCES];
byte sequence_last;

inline answer(request)
{
	answers[request]++;
	assert(answers[request] == 1);
	request_state[request] = CLOSED
}

/* ---- Worker ---- */

inline shard_ring()
{
	if
	:: sleeping -> event = 1
	:: else
	fi
}

inline worker_run()
{
	atomic {
		runs[request_of[sequence]]++;
		assert(runs[request_of[sequence]] == 1);
		assert(owner[chunk] == sequence && !kernel_holds[chunk])
	}
	/* The answer is being written. */
	assert(owner[chunk] == sequence && !kernel_holds[chunk]);
	if
	:: to_shard!PART, record, sequence, chunk;
	   shard_ring()
	:: skip /* it fails before it says anything */
	fi;
	to_shard!END, record, sequence, NONE;
	shard_ring()
}

inline worker_take()
{
	to_worker?kind, record, sequence, chunk;
	if
	:: kind == HEAD ->
	   accepted = false;
	   d_step { /* compare-and-swap */
		if
		:: word_sequence[record] == sequence && word_state[record] == QUEUED ->
		   word_state[record] = RUNNING;
		   accepted = true
		:: else
		fi
	   }
	   if
	   :: accepted -> worker_run()
	   :: else
	   fi
	:: else
	fi;
	d_step { kind = 0; record = 0; sequence = 0; chunk = 0; accepted = 0 } /* fewer states */
}

inline worker_sleep()
{
	bell = 1;
	if
	:: nempty(to_worker) -> skip
	:: empty(to_worker) -> (bell == 0 || gateway_dead) /* futex wait */
	fi;
	bell = 0
}

proctype worker()
{
	mtype kind;
	byte record, sequence, chunk;
	bit accepted;

	{
		do
		:: nempty(to_worker) -> worker_take()
		:: len(to_worker) == 0 && (stop || gateway_dead) -> break
		:: len(to_worker) == 0 && !stop && !gateway_dead -> worker_sleep()
		od
	} unless { worker_killed };
	worker_dead = 1
}

/* ---- Kernel ---- */

active proctype kernel()
{
	byte record, chunk, sequence;

end:	do
	:: submitted?record, chunk, sequence ->
	   assert(owner[chunk] == sequence); /* it reads the bytes now, ... */
	   atomic {
		assert(owner[chunk] == sequence); /* ... or as late as this */
		kernel_holds[chunk] = 0;
		completed!record;
		record = 0;
		chunk = 0;
		sequence = 0
	   }
	od
}

/* ---- Shard ---- */

inline worker_wake()
{
	if
	:: bell -> bell = 0
	:: else
	fi
}

/* The record and its chunk are the shard's again; the request's fate is decided by the caller. */
inline call_free(r)
{
	owner[call_chunk[r]] = 0;
	word_state[r] = FREE;
	call_sequence[r] = 0;
	call_request[r] = 0;
	call_chunk[r] = 0;
	call_returned[r] = 0
}

inline call_end(r)
{
	if
	:: request_state[call_request[r]] == BOUND -> answer(call_request[r])
	:: else /* the client left */
	fi;
	if
	:: call_sending[r] -> call_returned[r] = 1
	:: else -> call_free(r)
	fi
}

inline shard_bind(q, r, c)
{
	d_step {
		assert(owner[c] == 0 && !kernel_holds[c]);
		sequence_last++;
		owner[c] = sequence_last;
		call_sequence[r] = sequence_last;
		call_request[r] = q;
		call_chunk[r] = c;
		request_of[sequence_last] = q;
		request_state[q] = BOUND;
		word_sequence[r] = sequence_last;
		word_state[r] = QUEUED
	}
	to_worker!HEAD, r, call_sequence[r], c;
	worker_wake()
}

/* Compare-and-swap QUEUED -> RECALLED, then everything is back at once. */
inline shard_recall(r)
{
	d_step {
		recalled = false;
		if
		:: word_sequence[r] == call_sequence[r] && word_state[r] == QUEUED ->
		   word_state[r] = RECALLED;
		   recalled = true
		:: else
		fi
	}
	if
	:: recalled ->
	   d_step {
		if
		:: request_state[call_request[r]] == BOUND -> request_state[call_request[r]] = WAITING
		:: else
		fi;
		call_free(r)
	   }
	:: else
	fi
}

inline shard_cancel(r)
{
	answer(call_request[r]); /* a closed connection counts as its answer */
	if
	:: nfull(to_worker) ->
	   to_worker!CANCEL, r, call_sequence[r], NONE;
	   worker_wake()
	:: full(to_worker)
	fi
}

inline shard_take()
{
	to_shard?kind, record, sequence, chunk;
	assert(call_sequence[record] == sequence && !call_returned[record]);
	if
	:: kind == PART ->
	   d_step {
		assert(owner[chunk] == sequence && !kernel_holds[chunk]);
		kernel_holds[chunk] = 1;
		call_sending[record] = 1
	   }
	   submitted!record, chunk, sequence
	:: kind == END -> d_step { call_end(record) }
	fi;
	d_step { kind = 0; record = 0; sequence = 0; chunk = 0 }
}

inline shard_complete()
{
	d_step {
		completed?record;
		call_sending[record] = 0;
		if
		:: call_returned[record] -> call_free(record)
		:: else
		fi;
		record = 0
	}
}

/* The worker is dead: what it had not started goes elsewhere, the rest is answered 502. Its
 * messages on the ring came before its death and are taken first. */
inline shard_bury()
{
	do
	:: nempty(to_shard) -> shard_take()
	:: empty(to_shard) -> break
	od;
	record = 0;
	do
	:: record < RECORDS && call_sequence[record] != 0 && !call_returned[record] ->
	   shard_recall(record);
	   if
	   :: !recalled -> d_step { call_end(record) }
	   :: else
	   fi;
	   record++
	:: record < RECORDS && (call_sequence[record] == 0 || call_returned[record]) -> record++
	:: record == RECORDS -> break
	od;
	record = 0;
	do /* records that the kernel keeps go with the old link; a new one begins without calls */
	:: call_sending[0] || call_sending[1] -> shard_complete()
	:: !call_sending[0] && !call_sending[1] -> break
	od;
	atomic { /* a fresh link */
		do
		:: nempty(to_worker) -> to_worker?kind, record, sequence, chunk
		:: empty(to_worker) -> break
		od;
		bell = 0;
		event = 0;
		sleeping = 0;
		worker_dead = 0;
		worker_killed = 0;
		run worker()
	}
}

inline shard_sleep()
{
	sleeping = 1;
	if
	:: nempty(to_shard) -> skip
	:: empty(to_shard) -> (event || len(completed) > 0 || worker_dead) /* io_uring wait */
	fi;
	sleeping = 0;
	event = 0
}

#define ALL_CLOSED (request_state[0] == CLOSED && request_state[1] == CLOSED)
#define ALL_FREE   (call_sequence[0] == 0 && call_sequence[1] == 0)
#define CAN_BIND(q, r, c) \
	(request_state[q] == WAITING && call_sequence[r] == 0 && owner[c] == 0 && \
	 len(to_worker) < RING_CELLS && !worker_dead)
#define CAN_BIND_ANY \
	(CAN_BIND(0, 0, 0) || CAN_BIND(0, 0, 1) || CAN_BIND(0, 1, 0) || CAN_BIND(0, 1, 1) || \
	 CAN_BIND(1, 0, 0) || CAN_BIND(1, 0, 1) || CAN_BIND(1, 1, 0) || CAN_BIND(1, 1, 1))
#define OPEN(r)   (call_sequence[r] != 0 && !call_returned[r])
/* One recall, one client that leaves (of request 0): more only multiply the states. */
#define CAN_CANCEL(r) \
	(OPEN(r) && call_request[r] == 0 && request_state[0] == BOUND)

active proctype shard()
{
	mtype kind;
	byte record, sequence, chunk;
	bit recalled, recall_tried;

	run worker();
	{
		do
		:: CAN_BIND(0, 0, 0) -> shard_bind(0, 0, 0)
		:: CAN_BIND(0, 0, 1) && sequence_last != 0 -> shard_bind(0, 0, 1)
		:: CAN_BIND(0, 1, 0) && call_sequence[0] != 0 -> shard_bind(0, 1, 0)
		:: CAN_BIND(0, 1, 1) && call_sequence[0] != 0 -> shard_bind(0, 1, 1)
		:: CAN_BIND(1, 0, 0) && request_state[0] != WAITING -> shard_bind(1, 0, 0)
		:: CAN_BIND(1, 0, 1) && request_state[0] != WAITING -> shard_bind(1, 0, 1)
		:: CAN_BIND(1, 1, 0) && request_state[0] != WAITING && call_sequence[0] != 0 ->
		   shard_bind(1, 1, 0)
		:: CAN_BIND(1, 1, 1) && request_state[0] != WAITING && call_sequence[0] != 0 ->
		   shard_bind(1, 1, 1)
		:: OPEN(0) && !recall_tried -> recall_tried = 1; shard_recall(0)
		:: OPEN(1) && !recall_tried -> recall_tried = 1; shard_recall(1)
		:: CAN_CANCEL(0) -> shard_cancel(0)
		:: CAN_CANCEL(1) -> shard_cancel(1)
		:: len(to_shard) > 0 && !worker_dead -> shard_take()
		:: nempty(completed) -> shard_complete()
		:: worker_dead -> shard_bury()
		:: ALL_CLOSED && ALL_FREE && !worker_dead -> break
		:: !CAN_BIND_ANY && len(to_shard) == 0 && len(completed) == 0 && !worker_dead &&
		   !(ALL_CLOSED && ALL_FREE) -> shard_sleep()
		od;
		assert(answers[0] == 1 && answers[1] == 1);
		assert(owner[0] == 0 && owner[1] == 0 && len(completed) == 0 && len(submitted) == 0);
		stop = 1;
		worker_wake()
	} unless { gateway_killed };
	gateway_dead = 1
}

active proctype killer()
{
	if
	:: worker_killed = 1
	:: gateway_killed = 1
	:: skip
	fi
}
