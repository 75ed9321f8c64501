/* size: 625 lines, because everything here shares struct run, the life of one call. */
#include "dataplane/worker/invoke.h"
#include "dataplane/worker/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/base/log.h"
#include "dataplane/worker/capture.h"
#include "dataplane/worker/crash.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/nested.h"

/* An answer waits for the batch's end no longer than this for a function that starts before. */
#define PUBLISH_DELAY_NS_MAX UINT64_C(20000)

/* One call: what the runtime sees, and what stands behind it. */
struct run {
	struct weir_runtime_call base; /* first: the runtime's pointer is ours */
	struct weir_port_call *call;
	struct weir_host *host;
	struct weir_host_thread *thread;
	struct weir_function *function;
	bool has_waited;
	bool is_inside;  /* the runtime's invoke() */
	bool is_watched; /* it can be interrupted */
	uint32_t locks;  /* that it has */
	struct weir_nested *nested; /* NULL until it calls another function */
	struct weir_print print;
};

static struct run *run_of(struct weir_runtime_call *base)
{
	return (struct run *)(void *)base;
}

/* A moving average that new values enter with an eighth; the first one as it is. */
static uint64_t average(uint64_t old, uint64_t value)
{
	if (old == 0)
		return value != 0 ? value : 1;
	return old - old / 8 + value / 8 != 0 ? old - old / 8 + value / 8 : 1;
}

/* ---- time ---- */

/* Forget the mark and the calls since: what happened since was not only they. */
static void mark_drop(struct weir_host *host)
{
	struct weir_invoke *const invoke = weir_host_context(host);

	invoke->mark_ns = 0;
	invoke->mark_calls = 0;
}

static void service_add(struct weir_host *host, struct weir_function *function, uint64_t service_ns)
{
	struct weir_invoke *const invoke = weir_host_context(host);

	function->service_ns = average(function->service_ns, service_ns);
	invoke->service_ns = average(invoke->service_ns, service_ns);
	weir_port_service(weir_host_port(host), invoke->service_ns);
}

/* Share the time since the mark among the calls since, and set the mark to now. Returns a call's share. */
static uint64_t mark_move(struct weir_host *host)
{
	struct weir_invoke *const invoke = weir_host_context(host);
	const uint64_t now_ns = weir_clock_now_ns();
	uint64_t share_ns = 0;

	if (invoke->mark_calls != 0) {
		share_ns = (now_ns - invoke->mark_ns) / invoke->mark_calls;
		service_add(host, invoke->mark_function, share_ns);
	}
	invoke->mark_ns = now_ns;
	invoke->mark_calls = 0;
	return share_ns;
}

/* When this call starts. */
static uint64_t call_begin(struct weir_host *host, const struct weir_port_call *call)
{
	struct weir_invoke *const invoke = weir_host_context(host);

	if (invoke->mark_ns == 0 ||
	    (invoke->mark_calls != 0 && invoke->mark_function->id != call->function_id))
		(void)mark_move(host);
	return invoke->mark_ns;
}

/* The function of a call returned. How long it ran, waiting included; of short calls that share a look at
 * the clock the average. */
static uint64_t call_end(struct run *run, uint64_t start_ns)
{
	struct weir_invoke *const invoke = weir_host_context(run->host);
	const uint64_t known_ns = run->function->service_ns;

	if (run->has_waited) {
		const uint64_t ran_ns = weir_clock_now_ns() - start_ns;

		mark_drop(
			run->host); /* it comes from other threads, whose turns were between */
		service_add(run->host, run->function, ran_ns - weir_host_thread_waited_ns(run->thread));
		return ran_ns;
	}
	invoke->mark_function = run->function;
	invoke->mark_calls++;
	if (known_ns == 0 || known_ns > WEIR_INVOKE_SHORT_NS ||
	    invoke->mark_calls == WEIR_INVOKE_STRETCH)
		return mark_move(run->host);
	return known_ns;
}

static void paused(struct weir_host *host)
{
	const struct weir_invoke *const invoke = weir_host_context(host);

	if (invoke->mark_calls != 0)
		(void)mark_move(host);
	mark_drop(host);
}

/* ---- what a call may do ---- */

static int call_body_peek(struct weir_runtime_call *base, struct weir_span *out_piece)
{
	return weir_port_call_body_peek(run_of(base)->call, out_piece);
}

static void call_body_consume(struct weir_runtime_call *base, size_t bytes)
{
	weir_port_call_body_consume(run_of(base)->call, bytes);
}

static int call_status(struct weir_runtime_call *base, uint32_t status)
{
	return weir_port_call_status(run_of(base)->call, status);
}

static int call_field(struct weir_runtime_call *base, struct weir_span name,
		      struct weir_span value)
{
	return weir_port_call_field(run_of(base)->call, name, value);
}

static int call_length(struct weir_runtime_call *base, uint64_t bytes)
{
	return weir_port_call_length(run_of(base)->call, bytes);
}

static int call_room(struct weir_runtime_call *base, uint8_t **out_data, size_t *out_bytes)
{
	return weir_port_call_room(run_of(base)->call, out_data, out_bytes);
}

static int call_commit(struct weir_runtime_call *base, size_t bytes)
{
	return weir_port_call_commit(run_of(base)->call, bytes);
}

static int call_append(struct weir_runtime_call *base, const void *data, size_t bytes,
		       size_t *out_bytes)
{
	return weir_port_call_append(run_of(base)->call, data, bytes, out_bytes);
}

static int call_flush(struct weir_runtime_call *base)
{
	return weir_port_call_flush(run_of(base)->call);
}

/* The call waits; others run meanwhile. */
static void call_park(struct run *run, struct pollfd *fds, size_t count, uint64_t until_ns)
{
	struct weir_invoke *const invoke = weir_host_context(run->host);

	mark_drop(run->host);
	run->has_waited = true;
	if (run->locks != 0) /* others would only wait for it, and nobody else could take them */
		weir_host_shut(run->host);
	if (run->is_watched)
		weir_watch_leave(&invoke->watch);
	if (run->is_inside)
		weir_capture_leave(&run->print, &run->function->quiet_calls);
	weir_host_wait(run->thread, run->call, fds, count, until_ns);
	if (run->locks != 0)
		weir_host_open(run->host);
	if (run->is_inside)
		weir_capture_enter(&run->print);
	if (run->is_watched)
		weir_watch_enter(&invoke->watch, run, run->call->deadline_ns);
}

static int call_wait(struct weir_runtime_call *base, struct pollfd *fds, size_t count,
		     uint64_t until_ns)
{
	struct run *const run = run_of(base);

	if (run->call->is_cancelled)
		return -ECANCELED;
	if (until_ns > run->call->deadline_ns)
		until_ns = run->call->deadline_ns;
	if (weir_clock_now_ns() >= until_ns)
		return -ETIMEDOUT;
	call_park(run, fds, count, until_ns);
	return run->call->is_cancelled ? -ECANCELED : 0;
}

static struct weir_id activation_of(const struct run *run)
{
	return (struct weir_id){.high = run->base.activation_high, .low = run->base.activation_low};
}

static void call_log(struct weir_runtime_call *base, int level, struct weir_span text)
{
	weir_print_log(&run_of(base)->print, level, text);
}

static void call_print(struct weir_runtime_call *base, enum weir_runtime_stream stream,
		       struct weir_span text)
{
	weir_print_add(&run_of(base)->print, stream, text);
}

static void call_keep(struct weir_runtime_call *base, uint64_t high, uint64_t low, struct weir_span text)
{
	weir_print_keep(&run_of(base)->print, (struct weir_id){.high = high, .low = low}, text);
}

/* ---- locks: who waits for one stands in its list, and is made its owner by who gives it back ---- */

static void lock_append(struct weir_runtime_lock *lock, struct weir_runtime_call *base)
{
	base->lock_next = NULL;
	if (lock->first == NULL)
		lock->first = base;
	else
		lock->last->lock_next = base;
	lock->last = base;
}

static void lock_remove(struct weir_runtime_lock *lock, struct weir_runtime_call *base)
{
	struct weir_runtime_call *before = NULL;

	if (lock->first == base) {
		lock->first = base->lock_next;
		return;
	}
	for (before = lock->first; before->lock_next != base;)
		before = before->lock_next;
	before->lock_next = base->lock_next;
	if (lock->last == base)
		lock->last = before;
}

static int call_lock(struct weir_runtime_call *base, struct weir_runtime_lock *lock)
{
	int result = 0;

	WEIR_ASSERT(lock->owner != base);
	if (lock->owner == NULL)
		lock->owner = base;
	else
		lock_append(lock, base);
	while (lock->owner != base && result == 0)
		result = call_wait(base, NULL, 0, UINT64_MAX);
	if (lock->owner == base) { /* in the last moment, too: the caller finds out what happened */
		run_of(base)->locks++;
		return 0;
	}
	lock_remove(lock, base);
	return result;
}

static void call_unlock(struct weir_runtime_call *base, struct weir_runtime_lock *lock)
{
	WEIR_ASSERT(lock->owner == base);
	run_of(base)->locks--;
	lock->owner = lock->first;
	if (lock->owner == NULL)
		return;
	lock->first = lock->owner->lock_next;
	weir_host_thread_wake(run_of(lock->owner)->thread);
}

/* ---- calls to other functions ---- */

static int call_nested_start(struct weir_runtime_call *base,
			     const struct weir_runtime_target *target, uint32_t *out_nested)
{
	struct run *const run = run_of(base);

	if (run->nested == NULL)
		run->nested = calloc(1, sizeof(*run->nested));
	if (run->nested == NULL)
		return -ENOMEM;
	return weir_nested_start(run->nested, base, run->call, target, out_nested);
}

static int call_nested_answer(struct weir_runtime_call *base, uint32_t nested,
			      struct weir_runtime_answer *out_answer)
{
	struct run *const run = run_of(base);

	return run->nested == NULL
		       ? -EINVAL
		       : weir_nested_answer(run->nested, run->call, nested, out_answer);
}

static void call_nested_drop(struct weir_runtime_call *base, uint32_t nested)
{
	struct run *const run = run_of(base);

	if (run->nested != NULL)
		weir_nested_drop(run->nested, run->call, nested);
}

static void call_nested_free(struct weir_runtime_call *base, struct weir_runtime_answer *answer)
{
	struct run *const run = run_of(base);

	if (run->nested != NULL)
		weir_nested_answer_free(run->nested, answer);
}

static const struct weir_runtime_call_ops call_ops = {
	.body_peek = call_body_peek,
	.body_consume = call_body_consume,
	.status = call_status,
	.field = call_field,
	.length = call_length,
	.room = call_room,
	.commit = call_commit,
	.append = call_append,
	.flush = call_flush,
	.wait = call_wait,
	.log = call_log,
	.print = call_print,
	.keep = call_keep,
	.lock = call_lock,
	.unlock = call_unlock,
	.nested_start = call_nested_start,
	.nested_answer = call_nested_answer,
	.nested_drop = call_nested_drop,
	.nested_free = call_nested_free,
	.memory_kills = weir_memory_kills,
};

/* Say that a call failed, at most once a second for each function. */
static void failure_log(struct run *run, const char *reason)
{
	const uint64_t now_ns = weir_clock_now_ns();
	struct weir_function *const function = run->function;
	char activation[32];

	if (function->logged_ns != 0 && now_ns - function->logged_ns < WEIR_NS_PER_SECOND) {
		function->unlogged++;
		return;
	}
	weir_id_format(activation_of(run), activation);
	weir_log(WEIR_LOG_WARN, "call failed",
		 "function=%s activation=%.32s since_last=%llu reason=%s", function->name,
		 activation, (unsigned long long)function->unlogged, reason);
	function->logged_ns = now_ns;
	function->unlogged = 0;
}

/* The function failed: say why, to the caller and in the log. */
static void run_fail(struct run *run, int result)
{
	if (run->call->is_cancelled) {
		weir_port_call_abort(run->call, WEIR_ABORT_CANCELLED, (struct weir_span){0});
		return;
	}
	if (result == -ETIMEDOUT && weir_clock_now_ns() >= run->base.deadline_ns) {
		run->base.abort_code = WEIR_ABORT_TIMEOUT;
		(void)snprintf(run->base.abort_reason, sizeof(run->base.abort_reason),
			       "the function had not finished at its deadline");
	}
	failure_log(run, run->base.abort_reason);
	weir_port_call_abort(run->call, run->base.abort_code,
			     weir_span_of(run->base.abort_reason));
}

/* The function says that its answer is complete. The call is the port's after this. */
static void run_finish(struct run *run)
{
	const bool is_refused = run->call->refused != 0;

	if (!weir_port_call_finish(run->call))
		failure_log(run, "the answer is shorter than announced, or had no memory");
	else if (is_refused)
		failure_log(run, "a status, field or length that the function set was refused");
}

/* It is loaded: that is all that was asked. */
static void run_finish_empty(struct run *run)
{
	run->function->used_ns = weir_clock_now_ns();
	(void)weir_port_call_status(run->call, 204); /* refused: then the answer is another one */
	run_finish(run);
}

static void run_invoke(struct run *run, uint64_t start_ns)
{
	struct weir_invoke *const invoke = weir_host_context(run->host);
	struct weir_port_call *const call = run->call;
	int result = 0;

	run->function->used_ns = start_ns;
	weir_host_thread_set_running(run->thread, run);
	weir_crash_enter(run->function->name, call->activation_high, call->activation_low);
	weir_print_open(&run->print, run->function->name, activation_of(run));
	weir_capture_enter(&run->print);
	run->is_inside = true;
	if (weir_runtime.interrupt != NULL) {
		run->is_watched = true;
		weir_watch_enter(&invoke->watch, run, call->deadline_ns);
	}
	result = weir_runtime.invoke(run->function->instance, &run->base);
	if (run->is_watched)
		weir_watch_leave(&invoke->watch);
	run->is_watched = false;
	run->is_inside = false;
	weir_crash_leave();
	if (run->nested != NULL) {
		weir_nested_end(run->nested);
		free(run->nested);
	}
	weir_capture_leave(&run->print, &run->function->quiet_calls);
	weir_print_end(&run->print); /* before its answer: who has that finds the lines */
	weir_host_thread_set_running(run->thread, NULL);
	weir_port_call_ran(call, call_end(run, start_ns));
	if (result < 0)
		run_fail(run, result);
	else
		run_finish(run);
}

/* Answers already made must not wait for a function that takes long. */
static void publish_before(struct weir_host *host, const struct weir_function *function,
			   uint64_t now_ns)
{
	struct weir_invoke *const invoke = weir_host_context(host);
	struct weir_port *const port = weir_host_port(host);

	if (!weir_port_is_dirty(port)) {
		invoke->unpublished_ns = 0;
		return;
	}
	if (invoke->unpublished_ns == 0)
		invoke->unpublished_ns = now_ns; /* by the call that just ended */
	if (function->service_ns != 0 && function->service_ns < PUBLISH_DELAY_NS_MAX &&
	    now_ns - invoke->unpublished_ns < PUBLISH_DELAY_NS_MAX)
		return;
	weir_port_publish(port);
	invoke->unpublished_ns = 0;
}

/* How long a call waits for what is on its way to the worker. */
static uint64_t patience_ends(const struct weir_port_call *call, uint64_t start_ns)
{
	const uint64_t until_ns = start_ns + WEIR_INVOKE_SNAPSHOT_WAIT_NS;

	return until_ns < call->deadline_ns ? until_ns : call->deadline_ns;
}

/* Wait until the snapshot that routed the call is here: true, or false after a while. */
static bool snapshot_wait(struct run *run, uint64_t start_ns)
{
	const struct weir_snapshot *const snapshot = weir_host_snapshot(run->host);
	const struct weir_port_call *const call = run->call;
	const uint64_t until_ns = patience_ends(call, start_ns);

	while (snapshot->header == NULL || snapshot->header->generation < call->generation) {
		if (call->is_cancelled || weir_clock_now_ns() >= until_ns)
			return false;
		call_park(run, NULL, 0, until_ns);
	}
	return true;
}

/* The function, loaded; after a while at most if its variables are still on their way. */
static int function_claim(struct run *run, uint64_t start_ns)
{
	struct weir_invoke *const invoke = weir_host_context(run->host);
	struct weir_port_call *const call = run->call;
	const uint64_t until_ns = patience_ends(call, start_ns);

	for (;;) {
		const int result = weir_functions_claim(&invoke->functions, weir_host_snapshot(run->host),
					      call->function_id, &run->function, run->base.abort_reason);
		if (result != -EAGAIN || call->is_cancelled || weir_clock_now_ns() >= until_ns)
			return result;
		call_park(run, NULL, 0, until_ns);
	}
}

static void load_failed(struct run *run, int result)
{
	struct weir_invoke *const invoke = weir_host_context(run->host);
	const uint64_t now_ns = weir_clock_now_ns();

	mark_drop(run->host); /* it may have taken long */
	if (invoke->load_logged_ns == 0 ||
	    now_ns - invoke->load_logged_ns >= WEIR_NS_PER_SECOND) {
		weir_log(WEIR_LOG_WARN, "load failed", "function_id=%llu reason=%s",
			 (unsigned long long)run->call->function_id, run->base.abort_reason);
		invoke->load_logged_ns = now_ns;
	}
	weir_port_call_abort(run->call, result == -ESRCH ? WEIR_ABORT_UNKNOWN : WEIR_ABORT_LOAD,
			     weir_span_of(run->base.abort_reason));
}

/* What is known of a call before its function is. Field by field: the text needs no zeros, which
 * would be most of the cost. */
static void run_open(struct run *run, struct weir_host *host, struct weir_host_thread *thread,
		     struct weir_port_call *call)
{
	run->base.ops = &call_ops;
	run->base.head = call->head;
	run->base.deadline_ns = call->deadline_ns;
	run->base.activation_high = call->activation_high;
	run->base.activation_low = call->activation_low;
	run->base.running = NULL;
	run->base.abort_code = WEIR_ABORT_FAILED;
	run->base.abort_reason[0] = '\0';
	run->call = call;
	run->host = host;
	run->thread = thread;
	run->function = NULL;
	run->has_waited = false;
	run->is_inside = false;
	run->is_watched = false;
	run->locks = 0;
	run->nested = NULL;
	weir_host_thread_reset_waited(thread);
}

static void run_call(struct weir_host *host, struct weir_host_thread *thread,
		     struct weir_port_call *call)
{
	struct weir_invoke *const invoke = weir_host_context(host);
	const uint64_t start_ns = call_begin(host, call);
	struct run run;
	int result = 0;

	run_open(&run, host, thread, call);
	if (start_ns >= call->deadline_ns) {
		weir_port_call_abort(call, WEIR_ABORT_TIMEOUT,
				     WEIR_SPAN("the deadline passed before a worker was free"));
		return;
	}
	if (!snapshot_wait(&run, start_ns)) {
		weir_port_call_abort(
			call, WEIR_ABORT_UNKNOWN,
			WEIR_SPAN("the worker has not received the newest configuration"));
		return;
	}
	result = function_claim(&run, start_ns);
	if (result != 0) {
		load_failed(&run, result);
		return;
	}
	publish_before(host, run.function, start_ns);
	run.base.is_body_whole = call->is_body_complete; /* more may have come meanwhile */
	if (run.function->used_ns == 0 && weir_probe_is(call)) /* the first call since it was loaded */
		run_finish_empty(&run);
	else
		run_invoke(&run, start_ns);
	weir_functions_release(&invoke->functions, run.function);
}

static void run_cancel(void *running)
{
	struct run *const run = running;

	if (weir_runtime.cancel != NULL)
		weir_runtime.cancel(run->function->instance, &run->base);
}

/* In a signal handler, on the thread that runs it. */
static void run_interrupt(void *running)
{
	struct run *const run = running;

	weir_runtime.interrupt(run->function->instance, &run->base);
}

int weir_invoke_open(struct weir_invoke *invoke)
{
	int result = weir_functions_open(&invoke->functions);

	if (result == 0 && weir_runtime.interrupt != NULL)
		result = weir_watch_open(&invoke->watch, run_interrupt);
	return result;
}

static struct weir_variables *environment(struct weir_host *host, struct weir_variables *variables)
{
	struct weir_invoke *const invoke = weir_host_context(host);

	return weir_functions_variables(&invoke->functions, variables);
}

static void configured(struct weir_host *host)
{
	struct weir_invoke *const invoke = weir_host_context(host);

	weir_functions_configured(&invoke->functions, weir_host_snapshot(host));
}

const struct weir_host_hooks weir_invoke_hooks = {
	.run = run_call,
	.cancel = run_cancel,
	.paused = paused,
	.environment = environment,
	.configured = configured,
};
