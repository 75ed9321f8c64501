/* The main thread is no public setting of Python's, hence this one internal header; it is there from 3.11
 * to 3.13 at least. */
#define Py_BUILD_CORE 1
#include "dataplane/runtime/python/python.h"

#include <internal/pycore_runtime.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/runtime/python/python_call.h"
#include "dataplane/runtime/python/python_memory.h"
#include "dataplane/runtime/python/python_stream.h"

PyObject *weir_python_timeout;

static PyInterpreterState *interpreter;
static struct weir_runtime_call *current;
static _Thread_local PyThreadState *own_state;

/* Never sent: a number under which Python calls on_deadline() when interrupt() says so. */
static int deadline_signal(void)
{
	return SIGRTMAX - 3;
}

struct weir_runtime_call *weir_python_call(void)
{
	return current;
}

struct weir_runtime_call *weir_python_call_own(void)
{
	return own_state != NULL ? current : NULL;
}

void weir_python_call_set(struct weir_runtime_call *call)
{
	current = call;
}

void weir_python_interrupt(void)
{
	(void)PyErr_SetInterruptEx(deadline_signal()); /* fails for a number that is no signal's */
}

/* It may come when the call that it meant is over. */
static PyObject *on_deadline(PyObject *self, PyObject *arguments)
{
	(void)self;
	(void)arguments;
	if (current == NULL || weir_clock_now_ns() < current->deadline_ns)
		Py_RETURN_NONE;
	PyErr_SetString(weir_python_timeout, "the function had not finished at its deadline");
	return NULL;
}

void weir_python_enter(void)
{
	if (own_state == NULL) {
		weir_python_memory_reserve(true);
		own_state = PyThreadState_New(interpreter);
		weir_python_memory_reserve(false);
		WEIR_ASSERT(own_state != NULL);
	}
	PyEval_RestoreThread(own_state);
	if (_PyRuntime.main_thread != PyThread_get_thread_ident())
		_PyRuntime.main_thread = PyThread_get_thread_ident();
}

void weir_python_leave(void)
{
	(void)PyEval_SaveThread(); /* own_state */
}

int weir_python_wait(struct weir_runtime_call *call)
{
	struct weir_runtime_call *const before = current; /* none while a body is waited for */
	int result = 0;

	current = NULL;
	weir_python_leave();
	result = call->ops->wait(call, NULL, 0, UINT64_MAX);
	weir_python_enter();
	current = before;
	if (result == -ETIMEDOUT)
		PyErr_SetString(weir_python_timeout, "the function had not finished at its deadline");
	else if (result != 0)
		PyErr_SetString(PyExc_ConnectionResetError, "the client is gone");
	return result == 0 ? 0 : -1;
}

/* ---- start ---- */

static int module_open(void)
{
	PyObject *const module = PyImport_AddModule("weir"); /* borrowed */

	weir_python_timeout = PyErr_NewExceptionWithDoc(
		"weir.Timeout", "Raised in a function at its deadline; not an Exception.",
		PyExc_BaseException, NULL);
	if (module == NULL || weir_python_timeout == NULL)
		return -1;
	if (PyModule_AddObjectRef(module, "Timeout", weir_python_timeout) != 0)
		return -1;
	return weir_python_call_open(module);
}

static int signal_open(void)
{
	static PyMethodDef method = {"on_deadline", on_deadline, METH_VARARGS, NULL};
	PyObject *const function = PyCFunction_New(&method, NULL);
	PyObject *const module = PyImport_ImportModule("_signal");
	PyObject *result = NULL;

	if (function != NULL && module != NULL)
		result = PyObject_CallMethod(module, "signal", "iO", deadline_signal(), function);
	Py_XDECREF(function);
	Py_XDECREF(module);
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}

/* Nothing of the machine's, the user's or the environment's settings, and not site.py, which costs as much
 * as all the rest; what it does for a function, python_module.c does. */
static PyStatus config_fill(PyConfig *config)
{
	PyStatus status;

	PyConfig_InitIsolatedConfig(config);
	config->site_import = 0;
	config->install_signal_handlers = 0;
	config->write_bytecode = 0;
	config->pathconfig_warnings = 0;
	/* Otherwise the first python3 in PATH would say where the library lies. */
	status = PyConfig_SetBytesString(config, &config->home, WEIR_PYTHON_PREFIX);
	if (!PyStatus_Exception(status))
		status = PyConfig_SetBytesString(config, &config->program_name,
						 WEIR_PYTHON_PREFIX "/bin/python3");
	return status;
}

static PyStatus interpreter_start(void)
{
	PyPreConfig before;
	PyConfig config;
	PyStatus status;

	PyPreConfig_InitIsolatedConfig(&before);
	before.utf8_mode = 1;
	status = Py_PreInitialize(&before);
	if (PyStatus_Exception(status))
		return status;
	status = config_fill(&config);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	return status;
}

int weir_python_open(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	PyStatus status;

	/* Whoever started the instance may have secrets in his environment. */
	if (clearenv() != 0 || setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1) != 0 ||
	    setenv("LANG", "C.UTF-8", 1) != 0)
		return -ENOMEM;
	weir_python_memory_open();
	status = interpreter_start();
	if (PyStatus_Exception(status)) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "cannot start Python: %s",
			       status.err_msg != NULL ? status.err_msg : "no reason given");
		return -ENOEXEC;
	}
	interpreter = PyInterpreterState_Get();
	own_state = PyThreadState_Get();
	if (module_open() != 0 || signal_open() != 0 || weir_python_stream_open() != 0) {
		PyErr_Print();
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "Python started, but lacks parts of its library");
		return -ENOEXEC;
	}
	weir_python_leave();
	return 0;
}
