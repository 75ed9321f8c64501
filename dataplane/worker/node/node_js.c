/* weir_node.node: what worker.js and the host (node_host.h) know of each other.
 *
 *   start(dispatch, plan of the sandbox, called) host --> dispatch(id, version, body)
 *   call(id, name, method, path, query, fields, body, isOneWay) -> number, or a negative error
 *                                                host --> called(id, number, error, status, headers,
 *                                                                body, activation); without a number: over
 *   describe(id)                                 what to load: space, name, file, handler, memory, variables
 *   line(id) headers(id) params(id)              the request's head, as texts that are split at NUL
 *   activation(id) remaining(id) isProbe(id)
 *   answer(id, status, type, fields, body)       type: what content-type to add, fields: [name, value, ...]
 *   fail(id, kind, reason)  print(id, stream, text)  leave(status)
 *
 * An id that is over is ignored: a handler may answer after its caller left.
 * Threads: JavaScript's. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dataplane/abi/control.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/base/log.h"
#include "dataplane/sandbox/sandbox.h"
#include "dataplane/worker/attend.h"
#include "dataplane/worker/capture.h"
#include "dataplane/worker/node/node_js.h"
#include "dataplane/worker/node/node_nested.h"
#include "dataplane/worker/node/node_v8.h"
#include "dataplane/worker/node/node_watch.h"
#include "dataplane/worker/reveal.h"

struct weir_host weir_node_host;

static struct {
	napi_env env;
	napi_ref dispatch;
	napi_ref called;
	napi_ref resource;
	napi_async_context context;
	napi_handle_scope handles; /* of the batch, with `scope`; NULL = none is open */
	napi_callback_scope scope;
	uint64_t memory_bytes;
	uint16_t quiet_calls; /* of capture.h */
} js;

/* ---- into JavaScript ---- */

/* V8's heap is full, in the middle of whatever JavaScript does; or the process takes too much outside. */
static void memory_full(void)
{
	char reason[WEIR_PORT_CALL_REASON_BYTES_MAX];
	const int bytes = snprintf(reason, sizeof(reason), "the function ran out of memory (%llu MB)",
				   (unsigned long long)(js.memory_bytes >> 20));

	weir_node_call_fail_all(&weir_node_host, (struct weir_span){.data = reason, .bytes = (size_t)bytes});
	weir_log(WEIR_LOG_WARN, "the function ran out of memory, the worker ends", "function=%s",
		 weir_node_host.function.name);
	_exit(EXIT_FAILURE);
}

/* What handlers of one batch promised runs when the batch ends. */
static void batch_open(void)
{
	napi_value resource = NULL;

	if (js.scope != NULL)
		return;
	check(napi_open_handle_scope(js.env, &js.handles));
	check(napi_get_reference_value(js.env, js.resource, &resource));
	check(napi_open_callback_scope(js.env, resource, js.context, &js.scope));
}

static void batch_close(struct weir_host *of)
{
	bool has_thrown = false;
	napi_value thrown = NULL;

	if (weir_node_watch_is_memory_over())
		memory_full();
	if (js.scope == NULL)
		return;
	weir_node_host_watch_loop(of);
	(void)napi_close_callback_scope(js.env, js.scope); /* what is thrown there is Node's to report */
	(void)weir_node_watch_leave();
	js.scope = NULL;
	if (napi_is_exception_pending(js.env, &has_thrown) == napi_ok && has_thrown)
		(void)napi_get_and_clear_last_exception(js.env, &thrown);
	check(napi_close_handle_scope(js.env, js.handles));
}

/* The body as a Buffer of its own, or undefined without one. */
static napi_value body_of(napi_env env, struct weir_node_slot *slot)
{
	struct weir_span piece = {.data = (const char *)slot->bytes, .bytes = slot->byte_count};
	napi_value value = NULL;

	if (slot->bytes == NULL && weir_port_call_body_peek(slot->call, &piece) != 1)
		return nothing(env);
	/* Without memory JavaScript throws; the call then has no body and its handler is not run. */
	if (napi_create_buffer_copy(env, piece.bytes, piece.data, NULL, &value) != napi_ok)
		value = NULL;
	free(slot->bytes);
	slot->bytes = NULL;
	return value;
}

/* JavaScript threw past dispatch(), which catches all that can be caught. */
static void failed(struct weir_node_slot *slot, bool has_ended)
{
	napi_value thrown = NULL;

	(void)napi_get_and_clear_last_exception(js.env, &thrown);
	if (slot == NULL)
		return;
	if (has_ended)
		weir_node_call_fail(slot, WEIR_ABORT_TIMEOUT,
				    WEIR_SPAN("the function had not finished at its deadline"));
	else
		weir_node_call_fail(slot, WEIR_ABORT_FAILED, WEIR_SPAN("the function could not be called"));
}

/* hooks.run: the call has its body. */
static void run(struct weir_host *of, struct weir_host_thread *thread, struct weir_port_call *call)
{
	struct weir_node_slot *slot = call->context;
	struct weir_print *const print = &slot->print; /* stays where it is when the call is over */
	const uint32_t id = slot->id;
	napi_handle_scope handles = NULL;
	napi_value receiver = NULL, dispatch = NULL;
	napi_value values[3];
	napi_status status = napi_generic_failure;
	bool has_ended = false;

	(void)thread;
	batch_open();
	check(napi_open_handle_scope(js.env, &handles));
	check(napi_get_undefined(js.env, &receiver));
	check(napi_get_reference_value(js.env, js.dispatch, &dispatch));
	check(napi_create_uint32(js.env, id, &values[0]));
	check(napi_create_double(js.env, (double)of->function.version, &values[1]));
	values[2] = body_of(js.env, slot);
	weir_node_watch_enter(WEIR_NODE_WATCH_HANDLER, call->deadline_ns);
	weir_capture_enter(print);
	if (values[2] != NULL)
		status = napi_call_function(js.env, receiver, dispatch, 3, values, NULL);
	weir_capture_leave(print, &js.quiet_calls);
	has_ended = weir_node_watch_leave();
	if (has_ended && weir_node_watch_is_memory_over())
		memory_full();
	slot = weir_node_call_find(of, id);
	if (slot == NULL)
		weir_print_end(print); /* its answer is made, but not published yet */
	if (status != napi_ok)
		failed(slot, has_ended);
	else if (slot != NULL && slot->state == WEIR_NODE_RUNNING)
		weir_node_call_park(slot);
	check(napi_close_handle_scope(js.env, handles));
}

/* Call js.called with what is in `values`, for a call of that deadline. */
static void tell(uint64_t deadline_ns, const napi_value *values, size_t count)
{
	napi_value receiver = NULL, called = NULL;

	check(napi_get_undefined(js.env, &receiver));
	check(napi_get_reference_value(js.env, js.called, &called));
	weir_node_watch_enter(WEIR_NODE_WATCH_HANDLER, deadline_ns);
	if (napi_call_function(js.env, receiver, called, count, values, NULL) != napi_ok)
		failed(NULL, false); /* its parent ends at its deadline */
	(void)weir_node_watch_leave();
}

static void answer_values(const struct weir_runtime_answer *answer, napi_value values[4])
{
	const struct weir_head_field *const row = (const void *)(answer->head + 1);
	char text[WEIR_HEAD_RESPONSE_BYTES_MAX + 2 * WEIR_HEAD_RESPONSE_FIELDS_MAX];
	char activation[32];
	size_t bytes = 0;

	for (size_t i = 0; i < answer->head->field_count; i++) {
		const char *const head = (const char *)answer->head;
		const size_t more = (size_t)row[i].name.bytes + row[i].value.bytes + 2;

		if (bytes + more > sizeof(text))
			break; /* rows that share their text: no gateway writes that */
		bytes = text_append(text, bytes,
				    (struct weir_span){head + row[i].name.offset, row[i].name.bytes});
		bytes = text_append(text, bytes,
				    (struct weir_span){head + row[i].value.offset, row[i].value.bytes});
	}
	weir_id_format((struct weir_id){.high = answer->activation_high, .low = answer->activation_low},
		       activation);
	check(napi_create_uint32(js.env, answer->status, &values[0]));
	check(napi_create_string_latin1(js.env, text, bytes, &values[1]));
	if (napi_create_buffer_copy(js.env, answer->body.bytes, answer->body.data, NULL, &values[2]) != napi_ok)
		values[2] = nothing(js.env);
	values[3] = text_of(js.env, activation, sizeof(activation));
}

void weir_node_nested_answered(struct weir_node_slot *slot, uint32_t nested, int result,
			       const struct weir_runtime_answer *answer)
{
	napi_handle_scope handles = NULL;
	napi_value values[7];

	batch_open();
	check(napi_open_handle_scope(js.env, &handles));
	check(napi_create_uint32(js.env, slot->id, &values[0]));
	check(napi_create_uint32(js.env, nested, &values[1]));
	check(napi_create_int32(js.env, result, &values[2]));
	if (result == 0)
		answer_values(answer, values + 3);
	tell(slot->call->deadline_ns, values, result == 0 ? 7 : 3);
	check(napi_close_handle_scope(js.env, handles));
}

/* hooks.cancel: a call that awaits others is over. */
static void cancel(void *running)
{
	const struct weir_node_slot *const slot = running;
	napi_handle_scope handles = NULL;
	napi_value id = NULL;

	batch_open();
	check(napi_open_handle_scope(js.env, &handles));
	check(napi_create_uint32(js.env, slot->id, &id));
	tell(weir_clock_now_ns() + WEIR_NS_PER_SECOND, &id, 1);
	check(napi_close_handle_scope(js.env, handles));
}

/* ---- ends ---- */

/* process.exit(): the calls that run get an answer first. */
static napi_value leave(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	int32_t status = 0;

	(void)napi_get_value_int32(env, arguments.value[0], &status);
	weir_node_call_fail_all(&weir_node_host, WEIR_SPAN("the function exited"));
	weir_log(WEIR_LOG_WARN, "the function exited, the worker ends", "function=%s status=%d",
		 weir_node_host.function.name, status);
	_exit(status & 0xff);
}

/* limit(bytes): of the heap, and of memory outside of it. */
static napi_value limit(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	double bytes = 0;

	if (napi_get_value_double(env, arguments.value[0], &bytes) == napi_ok && bytes >= 1) {
		js.memory_bytes = (uint64_t)bytes;
		(void)weir_node_v8_limit(js.memory_bytes, memory_full); /* without: Node's own limit */
		weir_node_watch_limit(js.memory_bytes);
	}
	return nothing(env);
}

/* ---- the beginning ---- */

static const struct weir_host_hooks hooks = {.run = run, .cancel = cancel, .paused = batch_close};

static void *attend_main(void *argument)
{
	(void)argument;
	if (weir_attend_run(WEIR_CONTROL_FD, &weir_node_host) != 0) {
		weir_log(WEIR_LOG_ERROR, "the control socket is unusable", "runtime=node");
		_exit(EXIT_FAILURE);
	}
	_exit(EXIT_SUCCESS); /* stopped: nothing runs any more */
}

static int attend_start(void)
{
	const int flags = fcntl(WEIR_CONTROL_FD, F_GETFL);
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	int error = 0;

	if (flags == -1 || fcntl(WEIR_CONTROL_FD, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(WEIR_CONTROL_FD, F_SETFL, flags | O_NONBLOCK) != 0)
		return -errno;
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&id, &attributes, attend_main, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}

/* Before there is a function. Threads that V8 has already only compile and collect for this one. */
static void sandbox_enter(napi_env env, napi_value text)
{
	static const struct weir_sandbox_profile profile = {.flags = WEIR_SANDBOX_DIRECTORY};
	struct weir_sandbox_plan plan = {.layers = 0}; /* nobody says: none, as in tests of the worker alone */
	char plan_text[WEIR_SANDBOX_PLAN_BYTES];
	char reason[WEIR_SANDBOX_REASON_BYTES] = "its plan cannot be read";
	napi_valuetype type = napi_undefined;
	int result = 0;

	check(napi_typeof(env, text, &type));
	if (type == napi_string)
		result = weir_sandbox_plan_parse(text_get(env, text, plan_text, sizeof(plan_text)).data, &plan);
	if (result == 0)
		result = weir_sandbox_enter(&plan, &profile, reason);
	if (result == 0 && (plan.layers & WEIR_SANDBOX_MOUNT) != 0)
		weir_reveal_open(WEIR_CONTROL_FD, true);
	if (result == 0)
		return;
	weir_log(WEIR_LOG_ERROR, "cannot enter the sandbox", "runtime=node error=\"%s\"", reason);
	_exit(EXIT_FAILURE);
}

static int open_all(napi_env env, napi_value dispatch, napi_value called)
{
	napi_value resource = NULL;
	uv_loop_t *loop = NULL;
	int result = 0;

	js.env = env;
	check(napi_create_reference(env, dispatch, 1, &js.dispatch));
	check(napi_create_reference(env, called, 1, &js.called));
	check(napi_create_object(env, &resource));
	check(napi_create_reference(env, resource, 1, &js.resource));
	check(napi_async_init(env, resource, text_of(env, "weir", NAPI_AUTO_LENGTH), &js.context));
	check(napi_get_uv_event_loop(env, &loop));
	weir_node_v8_open();
	result = weir_node_host_open(&weir_node_host, loop, &hooks, NULL);
	return result == 0 ? attend_start() : result;
}

static napi_value start(napi_env env, napi_callback_info info)
{
	const struct arguments arguments = arguments_get(env, info);
	int result = 0;

	weir_log_open("worker");
	if (weir_capture_open(false) != 0) /* past process.stdout; what comes behind an await is nobody's call's */
		weir_log(WEIR_LOG_ERROR, "cannot take standard output and error over", "runtime=node");
	/* A terminal's Ctrl-C goes to the whole group: the supervisor decides when workers end. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	sandbox_enter(env, arguments.value[1]);
	(void)prctl(PR_SET_NAME, "weir-worker/node", 0, 0, 0); /* cut to 15 bytes; only ps shows it */
	result = open_all(env, arguments.value[0], arguments.value[2]);
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "cannot start", "runtime=node error=%s", strerror(-result));
		_exit(EXIT_FAILURE);
	}
	return nothing(env);
}

/* What Node looks for in an addon. */
NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	static const struct weir_node_row functions[] = {
		{"start", start}, {"leave", leave}, {"limit", limit}};

	weir_node_rows_define(env, exports, functions, sizeof(functions) / sizeof(functions[0]));
	weir_node_exchange_define(env, exports);
	return exports;
}
