/* The runtime `python`: one interpreter in a process of the function's own. Its module is run once and keeps
 * its state from call to call, as a Python server's would.
 *
 *   wait for the body -> run -> send what the client has not taken yet
 *
 * Other calls run while one waits, on threads of their own, but never while one runs: handler(request) and
 * main(params) are not interrupted by others, a WSGI application only where it waits for its client. So
 * a slow client holds nobody up, and nothing needs a lock. */
#include "dataplane/runtime/python/python.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/runtime/python/python_answer.h"
#include "dataplane/runtime/python/python_body.h"
#include "dataplane/runtime/python/python_failure.h"
#include "dataplane/runtime/python/python_memory.h"
#include "dataplane/runtime/python/python_module.h"
#include "dataplane/runtime/python/python_output.h"
#include "dataplane/runtime/python/python_params.h"
#include "dataplane/runtime/python/python_request.h"
#include "dataplane/runtime/python/python_wsgi.h"

struct instance {
	struct weir_python_module module;
	uint64_t memory_bytes;
};

static int python_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	(void)out_reason; /* without its library this program would not have started */
	return 0;
}

static int python_open(void **out_runtime)
{
	char reason[WEIR_RUNTIME_REASON_BYTES] = "";
	const int result = weir_python_open(reason);

	if (result != 0)
		(void)fprintf(stderr, "%s\n", reason); /* the worker itself says only "cannot start" */
	*out_runtime = NULL; /* there is but one interpreter */
	return result;
}

static void python_close(void *runtime)
{
	(void)runtime; /* the process ends, and with it threads that a function may have started */
}

/* ---- load ---- */

/* Memory ran out: say so rather than what Python was doing when it did. */
static void memory_reason(const struct instance *instance, char *out_reason)
{
	char place[WEIR_RUNTIME_REASON_BYTES];
	const char *open = NULL;

	(void)snprintf(place, sizeof(place), "%s", out_reason);
	open = strrchr(place, '(');
	(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
		       "out of memory: the function may use %llu MB%s%.100s",
		       (unsigned long long)(instance->memory_bytes >> 20), open != NULL ? " " : "",
		       open != NULL ? open : "");
}

static int module_load(struct instance *instance, char *out_reason)
{
	const int result = weir_python_module_load(&instance->module, out_reason);

	if (result == -ENOMEM)
		memory_reason(instance, out_reason);
	return result;
}

static void python_unload(void *opaque)
{
	struct instance *const instance = opaque;

	if (instance == NULL)
		return;
	weir_python_enter();
	weir_python_module_unload(&instance->module);
	weir_python_leave();
	free(instance);
}

static int python_load(void *runtime, const struct weir_runtime_function *function,
		       void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct instance *const instance = calloc(1, sizeof(*instance));
	int result = 0;

	(void)runtime;
	if (instance == NULL) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "no memory to load a function");
		return -ENOMEM;
	}
	instance->memory_bytes = function->memory_bytes;
	weir_python_enter();
	weir_python_memory_limit(function->memory_bytes);
	result = weir_python_module_open(&instance->module, function, out_reason);
	if (result == 0)
		result = module_load(instance, out_reason);
	weir_python_leave();
	if (result != 0) {
		python_unload(instance);
		return result;
	}
	*out_instance = instance;
	return 0;
}

/* ---- invoke ---- */

/* One call. */
struct running {
	struct instance *instance;
	struct weir_runtime_call *call;
	PyObject *body; /* NULL: it is whole, and read when somebody asks */
	struct weir_python_output output;
};

/* An exception was raised by the function, or by what it returned. */
static int failure(struct running *running)
{
	return weir_python_failure_take(running->instance->module.directory,
					running->call->abort_reason);
}

/* Head and body of what the function returned; `result` is given away. */
static int answer_send(struct running *running, PyObject *result,
		       int (*make)(PyObject *result, struct weir_python_answer *out_answer))
{
	struct weir_python_answer answer = {0};
	int sent = -1;

	if (result != NULL && make(result, &answer) == 0 &&
	    weir_python_answer_head(running->call, &answer) == 0 &&
	    (answer.body == NULL ||
	     weir_python_output_add(&running->output, answer.body, answer.text) == 0))
		sent = 0;
	if (sent != 0)
		sent = failure(running);
	weir_python_answer_close(&answer);
	Py_XDECREF(result);
	return sent;
}

static int handler_run(struct running *running)
{
	PyObject *const request = weir_python_request_create(running->call, running->body);
	PyObject *result = NULL;
	int sent = 0;

	if (request != NULL)
		result = PyObject_CallOneArg(running->instance->module.callable, request);
	sent = answer_send(running, result, weir_python_answer_make);
	if (request != NULL)
		weir_python_request_close(request);
	Py_XDECREF(request);
	return sent;
}

/* A body that main(params) cannot take: the caller's mistake. */
static int refuse(struct running *running)
{
	PyErr_Clear();
	return answer_send(running,
			   Py_BuildValue("{s:i,s:{s:s}}", "status", 400, "body", "error",
					 "the body must be a JSON object"),
			   weir_python_answer_make);
}

static int main_run(struct running *running)
{
	bool is_refused = false;
	PyObject *const params = weir_python_params(running->call, running->body, &is_refused);
	PyObject *result = NULL;

	if (is_refused)
		return refuse(running);
	if (params != NULL && weir_python_params_environment(running->call) == 0)
		result = PyObject_CallOneArg(running->instance->module.callable, params);
	Py_XDECREF(params);
	return answer_send(running, result, weir_python_answer_make_main);
}

static int module_run(struct running *running)
{
	const struct weir_python_module *const module = &running->instance->module;

	switch (module->kind) {
	case WEIR_PYTHON_HANDLER:
		return handler_run(running);
	case WEIR_PYTHON_MAIN:
		return main_run(running);
	case WEIR_PYTHON_WSGI:
		return weir_python_wsgi_run(module->callable, running->call, module->directory,
					    &running->output);
	}
	return -EINVAL;
}

/* Python's lock is held. */
static int call_run(struct running *running)
{
	struct instance *const instance = running->instance;
	struct weir_runtime_call *const call = running->call;
	int result = 0;

	weir_python_call_set(call);
	(void)weir_python_memory_was_refused(); /* to earlier calls */
	if (instance->module.callable == NULL) /* memory ran out, so it was dropped */
		result = module_load(instance, call->abort_reason);
	if (result != 0) {
		call->abort_code = WEIR_ABORT_LOAD;
	} else {
		result = module_run(running);
		if (result == -ENOMEM) {
			memory_reason(instance, call->abort_reason);
			weir_python_module_unload(&instance->module);
		}
	}
	weir_python_call_set(NULL);
	return result;
}

/* A body that is still on its way is waited for before the function runs. */
static int body_wait(struct running *running)
{
	struct weir_runtime_call *const call = running->call;
	int result = 0;

	if (call->is_body_whole || running->instance->module.kind == WEIR_PYTHON_WSGI)
		return 0;
	weir_python_enter();
	running->body = weir_python_body_read(call);
	if (running->body == NULL && PyErr_ExceptionMatches(PyExc_ConnectionResetError)) {
		PyErr_Clear();
		result = -ECANCELED;
	} else if (running->body == NULL) {
		result = failure(running);
	}
	weir_python_leave();
	return result;
}

/* Release what holds Python's objects; its lock is held. */
static void running_close(struct running *running)
{
	Py_CLEAR(running->body);
	weir_python_output_close(&running->output);
}

static int python_invoke(void *opaque, struct weir_runtime_call *call)
{
	struct running running = {.instance = opaque, .call = call};
	int result = body_wait(&running);

	if (result == 0) {
		weir_python_enter();
		result = call_run(&running);
		if (result != 0 || weir_python_output_pump(&running.output, call) == 0) {
			running_close(&running);
			weir_python_leave();
			return result;
		}
		weir_python_leave();
		result = weir_python_output_drain(&running.output, call);
	}
	weir_python_enter();
	running_close(&running);
	weir_python_leave();
	return result;
}

static void python_interrupt(void *instance, struct weir_runtime_call *call)
{
	(void)instance;
	(void)call;
	weir_python_interrupt();
}

/* The standard library, what is installed for everybody, and what zoneinfo reads; its own modules. */
static const char *const paths[] = {WEIR_PYTHON_PREFIX "/lib/python" WEIR_PYTHON_VERSION,
				    WEIR_PYTHON_PREFIX "/lib/python3",
				    WEIR_PYTHON_PREFIX "/local/lib/python" WEIR_PYTHON_VERSION,
				    "/usr/share/zoneinfo", NULL};
static const struct weir_sandbox_profile sandbox = {.flags = WEIR_SANDBOX_DIRECTORY, .paths = paths};

const struct weir_runtime_ops weir_runtime = {
	.name = "python",
	.sandbox = &sandbox,
	.probe = python_probe,
	.open = python_open,
	.load = python_load,
	.invoke = python_invoke,
	.interrupt = python_interrupt,
	.unload = python_unload,
	.close = python_close,
};
