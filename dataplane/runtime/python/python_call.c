#include "dataplane/runtime/python/python_call.h"

#include <errno.h>
#include <stdio.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/runtime/python/python_request.h"

/* What is more readable in Python than here. */
static const char source[] =
	"class Reply:\n"
	"    __slots__ = ('status', 'headers', 'body', 'activation')\n"
	"    def __init__(self, status, headers, body, activation):\n"
	"        self.status, self.headers = status, headers\n"
	"        self.body, self.activation = body, activation\n"
	"    @property\n"
	"    def text(self):\n"
	"        return self.body.decode('utf-8', 'replace')\n"
	"    def json(self):\n"
	"        import json\n"
	"        return json.loads(self.body)\n"
	"    def __repr__(self):\n"
	"        return f'<weir.Reply {self.status}, {len(self.body)} bytes>'\n"
	"def call(name, body=None, *, method=None, path='/', query='', content_type=None, one_way=False):\n"
	"    if method is None:\n"
	"        method = 'GET' if body is None else 'POST'\n"
	"    if body is None:\n"
	"        body = b''\n"
	"    elif isinstance(body, str):\n"
	"        body, content_type = body.encode(), content_type or 'text/plain; charset=utf-8'\n"
	"    elif not isinstance(body, (bytes, bytearray, memoryview)):\n"
	"        import json\n"
	"        body, content_type = json.dumps(body).encode(), content_type or 'application/json'\n"
	"    return Reply(*_call(name, body, method, path, query, content_type, one_way))\n";

/* The number of a method; negative and an exception. */
static int method_find(const char *name)
{
	const int number = weir_runtime_method_find(weir_span_of(name));

	if (number < 0)
		PyErr_Format(PyExc_ValueError, "'%s' is no method that Weir knows", name);
	return number;
}

/* The exception of an error of struct weir_runtime_call_ops. */
static void raise_result(int result)
{
	switch (result) {
	case -ETIMEDOUT:
		PyErr_SetString(weir_python_timeout, "the function had not finished at its deadline");
		break;
	case -ECANCELED:
		PyErr_SetString(PyExc_ConnectionResetError, "the client is gone");
		break;
	case -EMSGSIZE:
		PyErr_SetString(PyExc_ValueError, "a body of more than 1 MiB");
		break;
	case -E2BIG:
		PyErr_SetString(PyExc_ValueError, "name, path, query and content type have more than 3 KiB");
		break;
	case -EINVAL:
		PyErr_SetString(PyExc_ValueError, "the function's name is empty");
		break;
	case -EPIPE:
		PyErr_SetString(PyExc_ConnectionAbortedError, "the answer broke off");
		break;
	case -ENOMEM:
		(void)PyErr_NoMemory();
		break;
	default:
		PyErr_SetString(PyExc_BlockingIOError, "no memory for another call now; try again later");
	}
}

/* Fields by lower-case name; repeated ones as a client would join them. */
static PyObject *headers_make(const struct weir_runtime_answer *answer)
{
	const char *const base = (const char *)answer->head;
	const struct weir_head_field *const rows = (const void *)(answer->head + 1);
	WEIR_CLEANUP(weir_python_drop) PyObject *headers = PyDict_New();
	PyObject *made = NULL;

	for (uint16_t i = 0; headers != NULL && i < answer->head->field_count; i++) {
		WEIR_CLEANUP(weir_python_drop) PyObject *raw = weir_python_latin1((struct weir_span){
			.data = base + rows[i].name.offset, .bytes = rows[i].name.bytes});
		WEIR_CLEANUP(weir_python_drop) PyObject *name =
			raw != NULL ? PyObject_CallMethod(raw, "lower", NULL) : NULL;
		WEIR_CLEANUP(weir_python_drop) PyObject *value = weir_python_latin1((struct weir_span){
			.data = base + rows[i].value.offset, .bytes = rows[i].value.bytes});

		if (name == NULL || value == NULL ||
		    weir_python_request_join(headers, name, value, ", ") != 0)
			return NULL;
	}
	made = headers;
	headers = NULL;
	return made;
}

static PyObject *reply_make(const struct weir_runtime_answer *answer)
{
	char activation[40];
	PyObject *const headers = headers_make(answer);

	if (headers == NULL)
		return NULL;
	(void)snprintf(activation, sizeof(activation), "%016llx%016llx",
		       (unsigned long long)answer->activation_high,
		       (unsigned long long)answer->activation_low);
	return Py_BuildValue("INy#s", answer->status, headers, answer->body.data,
			     (Py_ssize_t)answer->body.bytes, activation);
}

/* Without Python's lock: another call, perhaps the called function itself, may need it. */
static int call_wait(struct weir_runtime_call *call, const struct weir_runtime_target *target,
		     struct weir_runtime_answer *out_answer)
{
	uint32_t nested = 0;
	int result = 0;

	weir_python_call_set(NULL);
	weir_python_leave();
	result = call->ops->nested_start(call, target, &nested);
	if (result == 0)
		result = weir_runtime_nested_wait(call, nested, out_answer);
	weir_python_enter();
	weir_python_call_set(call);
	return result;
}

static PyObject *call_function(PyObject *self, PyObject *arguments)
{
	struct weir_runtime_call *const call = weir_python_call_own();
	struct weir_runtime_field field = {.name = WEIR_SPAN("content-type")};
	struct weir_runtime_target target = {.fields = &field};
	struct weir_runtime_answer answer;
	const char *name = NULL, *method = NULL, *path = NULL, *query = NULL, *content_type = NULL;
	int one_way = 0, number = 0, result = 0;
	Py_buffer body;
	PyObject *reply = NULL;

	(void)self;
	if (!PyArg_ParseTuple(arguments, "sy*sssz|p", &name, &body, &method, &path, &query, &content_type,
			      &one_way))
		return NULL;
	number = method_find(method);
	if (call == NULL)
		PyErr_SetString(PyExc_RuntimeError,
				"weir.call() works on the thread of a call, while it runs");
	if (call != NULL && number >= 0) {
		target.name = weir_span_of(name);
		target.path = weir_span_of(path);
		target.query = weir_span_of(query);
		target.body = (struct weir_span){.data = body.buf, .bytes = (size_t)body.len};
		field.value = weir_span_of(content_type != NULL ? content_type : "");
		target.field_count = content_type != NULL ? 1 : 0;
		target.method = (uint8_t)number;
		target.is_one_way = one_way != 0;
		result = call_wait(call, &target, &answer);
		if (result == 0) {
			reply = reply_make(&answer);
			call->ops->nested_free(call, &answer);
		} else {
			raise_result(result);
		}
	}
	PyBuffer_Release(&body);
	return reply;
}

int weir_python_call_open(PyObject *module)
{
	static PyMethodDef method = {"_call", call_function, METH_VARARGS, NULL};
	PyObject *const names = PyModule_GetDict(module); /* borrowed */
	WEIR_CLEANUP(weir_python_drop) PyObject *function = PyCFunction_New(&method, NULL);
	WEIR_CLEANUP(weir_python_drop) PyObject *done = NULL;

	if (function == NULL || PyDict_SetItemString(names, "_call", function) != 0 ||
	    PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) != 0)
		return -1;
	done = PyRun_String(source, Py_file_input, names, names);
	return done != NULL ? 0 : -1;
}
