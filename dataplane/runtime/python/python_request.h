/* python_request: what handler(request) gets: an object whose parts are made when somebody asks for them.
 *
 *   method path query    str               headers   dict, lower-case names; repeated ones joined by ", "
 *   params args          dict: of the route, of the query string (the last value of a name)
 *   body text            bytes, str        json()    the object that the body means
 *   activation           32 hex digits     deadline  milliseconds left
 *
 * What was not asked for while the call ran is not there after it.
 * Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_REQUEST_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_REQUEST_H

#include "dataplane/runtime/python/python.h"

/* A new request; `body` (bytes) is kept too, NULL = it is read when somebody asks. */
PyObject *weir_python_request_create(struct weir_runtime_call *call, PyObject *body);

/* The call ends. */
void weir_python_request_close(PyObject *request);

/* New dictionaries: the fields of the head; the route's parameters; name=value pairs added to `dict`. */
PyObject *weir_python_request_headers(struct weir_runtime_call *call);
PyObject *weir_python_request_params(struct weir_runtime_call *call);
int weir_python_request_pairs(struct weir_span text, PyObject *dict);

/* dict[name] = value, or what is there, a comma and value. 0, or an exception: -1. */
int weir_python_request_join(PyObject *dict, PyObject *name, PyObject *value, const char *comma);

/* Value of the field `name` (lower case); empty if there is none. */
struct weir_span weir_python_request_field(const struct weir_runtime_call *call,
					   struct weir_span name);

/* The activation's id, a str. */
PyObject *weir_python_request_activation(const struct weir_runtime_call *call);

/* Milliseconds until the deadline, at least 0. */
uint64_t weir_python_request_left_ms(const struct weir_runtime_call *call);

#endif
