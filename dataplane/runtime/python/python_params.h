/* python_params: the dict that main(params) gets, by OpenWhisk's rules: parameters of the query, over these
 * those of the route, over these the members of the JSON object that the body is. A form (x-www-form-
 * urlencoded) counts like such an object. Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_PARAMS_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_PARAMS_H

#include "dataplane/runtime/python/python.h"

/* A new dict. NULL and an exception; *out_is_refused says that the body is neither: a 400. `body` is
 * bytes, or NULL: it is read. */
PyObject *weir_python_params(struct weir_runtime_call *call, PyObject *body, bool *out_is_refused);

/* __OW_ACTIVATION_ID and __OW_DEADLINE in os.environ. 0, or an exception: -1. */
int weir_python_params_environment(const struct weir_runtime_call *call);

#endif
