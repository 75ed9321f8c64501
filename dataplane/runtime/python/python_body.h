/* python_body: the request's body: all of it as bytes, or as a file that reads what has come (wsgi.input).
 *
 *   whole, in one piece -> bytes at once          anything else -> waited for, piece by piece
 * Python's lock is held; waiting gives it away. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_BODY_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_BODY_H

#include "dataplane/runtime/python/python.h"

/* Everything, as bytes. NULL and an exception: weir.Timeout, ConnectionResetError, MemoryError. */
PyObject *weir_python_body_read(struct weir_runtime_call *call);

/* A binary file over the body for environ["wsgi.input"]. *out_source is what weir_python_body_close()
 * wants; NULL where there is nothing to close. */
PyObject *weir_python_body_file(struct weir_runtime_call *call, PyObject **out_source);

/* The call ends: its body can no longer be read, whoever kept the file. */
void weir_python_body_close(PyObject *source);

#endif
