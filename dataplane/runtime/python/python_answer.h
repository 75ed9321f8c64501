/* python_answer: what a function returned as an HTTP answer.
 *
 *   str -> text/plain; charset=utf-8          bytes -> application/octet-stream
 *   {"status": 404, "headers": {...}, "body": ...}     each may be left out; what else it has, or a status
 *                                                      that is no number, makes it an ordinary object
 *   None -> 204, nothing
 *   anything else that JSON can say -> application/json
 *
 * Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_ANSWER_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_ANSWER_H

#include "dataplane/runtime/python/python.h"

struct weir_python_answer {
	uint32_t status;
	struct weir_span type;   /* content type unless the headers have one */
	PyObject *headers;       /* NULL = none */
	PyObject *body;          /* bytes or str that holds `text`; NULL = none */
	struct weir_span text;   /* of the body */
};

/* 0, or an exception: -1. Close it in either case. */
int weir_python_answer_make(PyObject *result, struct weir_python_answer *out_answer);

/* The same for what main(params) returned: an object; with "error" it is a 502, with "statusCode" what a
 * web action returns. */
int weir_python_answer_make_main(PyObject *result, struct weir_python_answer *out_answer);

/* Status, fields and length. 0, or an exception: -1. */
int weir_python_answer_head(struct weir_runtime_call *call, const struct weir_python_answer *answer);

/* One field; the value is str, bytes or int. 0, or an exception: -1. */
int weir_python_answer_field(struct weir_runtime_call *call, PyObject *name, PyObject *value);

/* Drop the references; an answer of zeros has none. */
void weir_python_answer_close(struct weir_python_answer *answer);

#endif
