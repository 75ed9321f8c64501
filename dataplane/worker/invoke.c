#include "dataplane/worker/invoke.h"

#include <errno.h>
#include <stdio.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/base/log.h"
#include "dataplane/worker/crash.h"

/* An answer waits for the batch's end no longer than this for a function that starts before. */
#define PUBLISH_DELAY_NS_MAX UINT64_C(20000)

/* One call: what the runtime sees, and what stands behind it. */
struct run {
	struct weir_runtime_call base; /* first: the runtime's pointer is ours */
	struct weir_port_call *call;
	struct weir_host_thread *thread;
	struct weir_function *function;
};

static struct run *run_of(struct weir_runtime_call *base)
{
	return (struct run *)(void *)base;
}

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
	weir_host_wait(run->thread, run->call, fds, count, until_ns);
	return run->call->is_cancelled ? -ECANCELED : 0;
}

static struct weir_id activation_of(const struct run *run)
{
	return (struct weir_id){.high = run->base.activation_high,
				.low = run->base.activation_low};
}

static void call_log(struct weir_runtime_call *base, int level, struct weir_span text)
{
	struct run *const run = run_of(base);
	char activation[32];

	weir_id_format(activation_of(run), activation);
	if (level < WEIR_LOG_DEBUG || level > WEIR_LOG_ERROR)
		level = WEIR_LOG_INFO;
	weir_log((enum weir_log_level)level, "function", "name=%s activation=%.32s text=%.*s",
		 run->function->name, activation,
		 text.bytes > INT16_MAX ? INT16_MAX : (int)text.bytes, text.data);
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
};

/* A moving average that new values enter with an eighth; the first one as it is. */
static uint64_t average(uint64_t old, uint64_t value)
{
	if (old == 0)
		return value != 0 ? value : 1;
	return old - old / 8 + value / 8 != 0 ? old - old / 8 + value / 8 : 1;
}

/* Say that a call failed, at most once a second for each function. */
static void failure_log(struct run *run, const char *reason, uint64_t now_ns)
{
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
static void run_fail(struct run *run, int result, uint64_t now_ns)
{
	if (run->call->is_cancelled) {
		weir_port_call_abort(run->call, WEIR_ABORT_CANCELLED, (struct weir_span){0});
		return;
	}
	if (result == -ETIMEDOUT && now_ns >= run->base.deadline_ns) {
		run->base.abort_code = WEIR_ABORT_TIMEOUT;
		(void)snprintf(run->base.abort_reason, sizeof(run->base.abort_reason),
			       "the function had not finished at its deadline");
	}
	failure_log(run, run->base.abort_reason, now_ns);
	weir_port_call_abort(run->call, run->base.abort_code,
			     weir_span_of(run->base.abort_reason));
}

/* The function says that its answer is complete. The call is the port's after this. */
static void run_finish(struct run *run, uint64_t now_ns)
{
	const bool is_refused = run->call->refused != 0;

	if (!weir_port_call_finish(run->call))
		failure_log(run, "the answer is shorter than announced, or had no memory",
			    now_ns);
	else if (is_refused)
		failure_log(run, "a status, field or length that the function set was refused",
			    now_ns);
}

static void run_invoke(struct weir_host *host, struct run *run, uint64_t start_ns)
{
	struct weir_invoke *const invoke = weir_host_context(host);
	struct weir_port_call *const call = run->call;
	uint64_t end_ns = 0;
	uint64_t service_ns = 0;
	int result = 0;

	run->function->used_ns = start_ns;
	weir_host_thread_set_running(run->thread, run);
	weir_crash_enter(run->function->name, call->activation_high, call->activation_low);
	result = weir_runtime.invoke(run->function->instance, &run->base);
	weir_crash_leave();
	weir_host_thread_set_running(run->thread, NULL);
	end_ns = weir_clock_now_ns();
	service_ns = end_ns - start_ns - weir_host_thread_waited_ns(run->thread);
	run->function->service_ns = average(run->function->service_ns, service_ns);
	invoke->service_ns = average(invoke->service_ns, service_ns);
	weir_port_service(weir_host_port(host), invoke->service_ns);
	if (result < 0)
		run_fail(run, result, end_ns);
	else
		run_finish(run, end_ns);
	if (invoke->unpublished_ns == 0)
		invoke->unpublished_ns = end_ns;
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
	if (function->service_ns != 0 && function->service_ns < PUBLISH_DELAY_NS_MAX &&
	    now_ns - invoke->unpublished_ns < PUBLISH_DELAY_NS_MAX)
		return;
	weir_port_publish(port);
	invoke->unpublished_ns = 0;
}

/* Wait until the snapshot that routed the call is here: true, or false after a while. */
static bool snapshot_wait(struct weir_host *host, struct weir_host_thread *thread,
			  struct weir_port_call *call, uint64_t start_ns)
{
	const struct weir_snapshot *const snapshot = weir_host_snapshot(host);
	uint64_t until_ns = start_ns + WEIR_INVOKE_SNAPSHOT_WAIT_NS;

	if (until_ns > call->deadline_ns)
		until_ns = call->deadline_ns;
	while (snapshot->header == NULL || snapshot->header->generation < call->generation) {
		if (call->is_cancelled || weir_clock_now_ns() >= until_ns)
			return false;
		weir_host_wait(thread, call, NULL, 0, until_ns);
	}
	return true;
}

static void load_failed(struct weir_invoke *invoke, struct weir_port_call *call,
			enum weir_abort code, const char *reason)
{
	const uint64_t now_ns = weir_clock_now_ns();

	if (invoke->load_logged_ns == 0 ||
	    now_ns - invoke->load_logged_ns >= WEIR_NS_PER_SECOND) {
		weir_log(WEIR_LOG_WARN, "load failed", "function_id=%llu reason=%s",
			 (unsigned long long)call->function_id, reason);
		invoke->load_logged_ns = now_ns;
	}
	weir_port_call_abort(call, code, weir_span_of(reason));
}

static void run_call(struct weir_host *host, struct weir_host_thread *thread,
		     struct weir_port_call *call)
{
	struct weir_invoke *const invoke = weir_host_context(host);
	const uint64_t start_ns = weir_clock_now_ns();
	struct run run = {.call = call, .thread = thread};
	int result = 0;

	weir_host_thread_reset_waited(thread);
	if (start_ns >= call->deadline_ns) {
		weir_port_call_abort(call, WEIR_ABORT_TIMEOUT,
				     WEIR_SPAN("the deadline passed before a worker was free"));
		return;
	}
	if (!snapshot_wait(host, thread, call, start_ns)) {
		weir_port_call_abort(
			call, WEIR_ABORT_UNKNOWN,
			WEIR_SPAN("the worker has not received the newest configuration"));
		return;
	}
	result = weir_functions_claim(&invoke->functions, weir_host_snapshot(host),
				      call->function_id, &run.function, run.base.abort_reason);
	if (result != 0) {
		load_failed(invoke, call,
			    result == -ESRCH ? WEIR_ABORT_UNKNOWN : WEIR_ABORT_LOAD,
			    run.base.abort_reason);
		return;
	}
	publish_before(host, run.function, start_ns);
	run.base.ops = &call_ops;
	run.base.head = call->head;
	run.base.deadline_ns = call->deadline_ns;
	run.base.activation_high = call->activation_high;
	run.base.activation_low = call->activation_low;
	run.base.is_body_whole = call->is_body_complete;
	run.base.abort_code = WEIR_ABORT_FAILED;
	run_invoke(host, &run, start_ns);
	weir_functions_release(&invoke->functions, run.function);
}

static void run_cancel(void *running)
{
	struct run *const run = running;

	if (weir_runtime.cancel != NULL)
		weir_runtime.cancel(run->function->instance, &run->base);
}

static void configured(struct weir_host *host)
{
	struct weir_invoke *const invoke = weir_host_context(host);

	weir_functions_configured(&invoke->functions, weir_host_snapshot(host));
}

const struct weir_host_hooks weir_invoke_hooks = {
	.run = run_call,
	.cancel = run_cancel,
	.configured = configured,
};
