/* python_json: Python objects as JSON text and back, with the standard library's own C parts but without
 * importing its json package, which takes longer than the rest of a small function's start.
 * Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_JSON_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_JSON_H

#include "dataplane/runtime/python/python.h"

/* The text (a str) of an object; NULL and TypeError or ValueError for what JSON cannot say. */
PyObject *weir_python_json_write(PyObject *value);

/* The object that the bytes (or str) mean; NULL and ValueError (json.JSONDecodeError). */
PyObject *weir_python_json_read(PyObject *text);

#endif
