/* python_wsgi: a WSGI application's call (PEP 3333).
 *
 *   environ -> application(environ, start_response) -> pieces -> answer; close()
 *                                        write() --------^
 *
 * The head goes out with the first byte of the body. A route "/app/..." with a star at its end mounts the
 * application: SCRIPT_NAME is what the star does not stand for, PATH_INFO the rest.
 * Python's lock is held; waiting gives it away. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_WSGI_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_WSGI_H

#include "dataplane/runtime/python/python_output.h"

/* Run a call. 0: the head is out or in *output are the last bytes to send; else what
 * weir_python_failure_take() makes of the exception. `directory`: as there. */
int weir_python_wsgi_run(PyObject *application, struct weir_runtime_call *call,
			 const char *directory, struct weir_python_output *output);

/* A new environ; wsgi.input is `input`. NULL and an exception. */
PyObject *weir_python_wsgi_environ(struct weir_runtime_call *call, PyObject *input);

#endif
