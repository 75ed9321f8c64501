/* python: what every file of the Python runtime includes first: Python's own header, and the interpreter
 * that this process has.
 *
 *   open: configure, start (nothing of site, user or environment)     close: never; the process ends
 *   enter -> Python runs on this thread -> leave        Python's lock (GIL) is held in between only
 *
 * Python has a notion of a main thread: signals, and so deadlines, reach only that one, wherever it waits
 * or loops. Calls run on whichever thread has the worker's baton, so entering makes that thread the main
 * one. A call that waits for its client leaves and enters again (weir_python_wait).
 * Threads: the baton's holder. Threads that functions start run when nobody holds Python's lock. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "dataplane/runtime/runtime.h"

#define WEIR_PYTHON_VERSION Py_STRINGIFY(PY_MAJOR_VERSION) "." Py_STRINGIFY(PY_MINOR_VERSION)

/* Start Python. 0 or a reason for people. */
int weir_python_open(char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* Any thread with the baton. enter() may block for as long as a thread of the function's keeps the lock,
 * as a rule 5 ms at most. */
void weir_python_enter(void);
void weir_python_leave(void);

/* While Python's lock is held: the call whose deadline and output count; NULL = none. */
void weir_python_call_set(struct weir_runtime_call *call);
struct weir_runtime_call *weir_python_call(void);
/* The same, NULL on a thread that the function started: that has no right to the call. */
struct weir_runtime_call *weir_python_call_own(void);

/* Wait without Python's lock; other calls run meanwhile. 0, or the exception that says why not: -1. */
int weir_python_wait(struct weir_runtime_call *call);

/* The call is over its deadline; async-signal-safe. */
void weir_python_interrupt(void);

/* weir.Timeout: raised in a call at its deadline. A BaseException: `except Exception` lets it pass. */
extern PyObject *weir_python_timeout;

/* A string of a request: its bytes as they are (PEP 3333), or UTF-8 with what is none of it kept
 * as surrogates. */
static inline PyObject *weir_python_latin1(struct weir_span text)
{
	return PyUnicode_DecodeLatin1(text.data, (Py_ssize_t)text.bytes, NULL);
}

static inline PyObject *weir_python_utf8(struct weir_span text)
{
	return PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.bytes, "surrogateescape");
}

/* dict[name] = value, which is given away; -1 if it is NULL or there is no memory. */
static inline int weir_python_dict_give(PyObject *dict, const char *name, PyObject *value)
{
	const int result = value != NULL ? PyDict_SetItemString(dict, name, value) : -1;

	Py_XDECREF(value);
	return result;
}

/* For WEIR_CLEANUP: a reference that the block owns. */
static inline void weir_python_drop(PyObject **object)
{
	Py_XDECREF(*object);
}

#endif
