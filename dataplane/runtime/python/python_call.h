/* python_call: weir.call(), with which a function calls another of its namespace.
 *
 *   weir.call(name, body=None, *, method, path, query, content_type, one_way)
 *     -> Reply: status, headers (lower-case names), body, text, json(), activation
 *
 * While it waits Python's lock is free and other calls of the function run.
 * Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_CALL_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_CALL_H

#include "dataplane/runtime/python/python.h"

/* Put it into the module `weir`. 0, or an exception: -1. */
int weir_python_call_open(PyObject *module);

#endif
