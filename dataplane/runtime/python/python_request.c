#include "dataplane/runtime/python/python_request.h"

#include <stdlib.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/runtime/python/python_body.h"
#include "dataplane/runtime/python/python_json.h"
#include "dataplane/runtime/python/python_query.h"

enum { NAME_BYTES_MAX = 256 };

enum member { METHOD, PATH, QUERY, HEADERS, PARAMS, ARGS, BODY, TEXT, ACTIVATION, PARENT, MEMBERS };

struct request {
	PyObject_HEAD
	struct weir_runtime_call *call; /* NULL: it is over */
	PyObject *member[MEMBERS];      /* NULL: nobody has asked yet */
};

static struct request *request_of(PyObject *self)
{
	return (struct request *)(void *)self;
}

uint64_t weir_python_request_left_ms(const struct weir_runtime_call *call)
{
	const uint64_t now_ns = weir_clock_now_ns();

	return call->deadline_ns > now_ns ? (call->deadline_ns - now_ns) / WEIR_NS_PER_MS : 0;
}

struct weir_span weir_python_request_field(const struct weir_runtime_call *call,
					   struct weir_span name)
{
	const struct weir_head_field *const fields = weir_runtime_fields(call);

	for (size_t i = 0; i < call->head->field_count; i++) {
		if (weir_span_equal_nocase(weir_runtime_span(call, fields[i].name), name))
			return weir_runtime_span(call, fields[i].value);
	}
	return WEIR_SPAN("");
}

PyObject *weir_python_request_activation(const struct weir_runtime_call *call)
{
	char text[32];

	weir_id_format((struct weir_id){.high = call->activation_high, .low = call->activation_low},
		       text);
	return PyUnicode_FromStringAndSize(text, sizeof(text));
}

int weir_python_request_join(PyObject *dict, PyObject *name, PyObject *value, const char *comma)
{
	PyObject *const before = PyDict_GetItemWithError(dict, name); /* borrowed */
	WEIR_CLEANUP(weir_python_drop) PyObject *joined = NULL;

	if (before == NULL)
		return PyErr_Occurred() != NULL ? -1 : PyDict_SetItem(dict, name, value);
	joined = PyUnicode_FromFormat("%U%s%U", before, comma, value);
	return joined != NULL ? PyDict_SetItem(dict, name, joined) : -1;
}

/* Several fields of one name are a list (RFC 9110 section 5.3), but for cookies (RFC 6265). */
static int field_add(PyObject *dict, PyObject *name, PyObject *value)
{
	const bool is_cookie = PyUnicode_CompareWithASCIIString(name, "cookie") == 0;

	return weir_python_request_join(dict, name, value, is_cookie ? "; " : ", ");
}

static PyObject *name_lower(struct weir_span name)
{
	char lower[NAME_BYTES_MAX];

	if (name.bytes > sizeof(lower))
		return weir_python_latin1(name); /* nobody looks for it */
	for (size_t i = 0; i < name.bytes; i++) {
		const char c = name.data[i];

		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	return PyUnicode_DecodeLatin1(lower, (Py_ssize_t)name.bytes, NULL);
}

PyObject *weir_python_request_headers(struct weir_runtime_call *call)
{
	const struct weir_head_field *const fields = weir_runtime_fields(call);
	PyObject *const dict = PyDict_New();

	for (size_t i = 0; dict != NULL && i < call->head->field_count; i++) {
		WEIR_CLEANUP(weir_python_drop) PyObject *name =
			name_lower(weir_runtime_span(call, fields[i].name));
		WEIR_CLEANUP(weir_python_drop) PyObject *value =
			weir_python_latin1(weir_runtime_span(call, fields[i].value));

		if (name == NULL || value == NULL || field_add(dict, name, value) != 0) {
			Py_DECREF(dict);
			return NULL;
		}
	}
	return dict;
}

static int pair_add(PyObject *dict, PyObject *name, PyObject *value)
{
	const int result = name != NULL && value != NULL ? PyDict_SetItem(dict, name, value) : -1;

	Py_XDECREF(name);
	Py_XDECREF(value);
	return result;
}

PyObject *weir_python_request_params(struct weir_runtime_call *call)
{
	const struct weir_head_field *const params =
		weir_runtime_fields(call) + call->head->field_count;
	PyObject *const dict = PyDict_New();

	for (size_t i = 0; dict != NULL && i < call->head->param_count; i++) {
		if (pair_add(dict, weir_python_utf8(weir_runtime_span(call, params[i].name)),
			     weir_python_utf8(weir_runtime_span(call, params[i].value))) != 0) {
			Py_DECREF(dict);
			return NULL;
		}
	}
	return dict;
}

static PyObject *decoded(struct weir_span text, char *room)
{
	const size_t bytes = weir_python_query_decode(text, room);

	return weir_python_utf8((struct weir_span){.data = room, .bytes = bytes});
}

int weir_python_request_pairs(struct weir_span text, PyObject *dict)
{
	WEIR_CLEANUP(weir_free) char *room = text.bytes != 0 ? malloc(text.bytes) : NULL;
	struct weir_span name;
	struct weir_span value;
	int result = 0;

	if (text.bytes != 0 && room == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	while (result == 0 && weir_python_query_next(&text, &name, &value))
		result = pair_add(dict, decoded(name, room), decoded(value, room));
	return result;
}

static PyObject *args_create(struct weir_runtime_call *call)
{
	PyObject *const dict = PyDict_New();

	if (dict == NULL ||
	    weir_python_request_pairs(weir_runtime_span(call, call->head->query), dict) == 0)
		return dict;
	Py_DECREF(dict);
	return NULL;
}

/* ---- the object ---- */

static PyObject *member_get(struct request *request, enum member member);

static PyObject *text_create(struct request *request)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *body = member_get(request, BODY);

	if (body == NULL)
		return NULL;
	return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), "replace");
}

static PyObject *member_create(struct request *request, enum member member)
{
	struct weir_runtime_call *const call = request->call;

	switch (member) {
	case METHOD:
		return weir_python_latin1(weir_runtime_method(call));
	case PATH:
		return weir_python_utf8(weir_runtime_span(call, call->head->path));
	case QUERY:
		return weir_python_utf8(weir_runtime_span(call, call->head->query));
	case HEADERS:
		return weir_python_request_headers(call);
	case PARAMS:
		return weir_python_request_params(call);
	case ARGS:
		return args_create(call);
	case BODY:
		return weir_python_body_read(call);
	case TEXT:
		return text_create(request);
	case ACTIVATION:
		return weir_python_request_activation(call);
	case PARENT:
		return weir_python_latin1(weir_runtime_span(call, call->head->parent));
	case MEMBERS:
		break;
	}
	return NULL;
}

static PyObject *member_get(struct request *request, enum member member)
{
	if (request->member[member] == NULL) {
		if (request->call == NULL) {
			PyErr_SetString(PyExc_RuntimeError, "the request is over");
			return NULL;
		}
		request->member[member] = member_create(request, member);
	}
	return Py_XNewRef(request->member[member]);
}

static PyObject *member_read(PyObject *self, void *closure)
{
	return member_get(request_of(self), (enum member)(uintptr_t)closure);
}

static PyObject *deadline_get(PyObject *self, void *closure)
{
	const struct request *const request = request_of(self);

	(void)closure;
	if (request->call == NULL)
		return PyLong_FromLong(0);
	return PyLong_FromUnsignedLongLong(weir_python_request_left_ms(request->call));
}

static PyObject *json_read(PyObject *self, PyObject *unused)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *body = member_get(request_of(self), BODY);

	(void)unused;
	return body != NULL ? weir_python_json_read(body) : NULL;
}

static void request_free(PyObject *self)
{
	PyTypeObject *const type = Py_TYPE(self);

	for (size_t i = 0; i < MEMBERS; i++)
		Py_XDECREF(request_of(self)->member[i]);
	type->tp_free(self);
	Py_DECREF(type);
}

#define MEMBER(name, number, text) {name, member_read, NULL, text, (void *)(uintptr_t)(number)}

static PyGetSetDef members[] = {
	MEMBER("method", METHOD, "GET and so on"),
	MEMBER("path", PATH, "decoded, without the query"),
	MEMBER("query", QUERY, "what stands behind '?', as it was sent"),
	MEMBER("headers", HEADERS, "dict, lower-case names"),
	MEMBER("params", PARAMS, "dict of the route's parameters"),
	MEMBER("args", ARGS, "dict of the query's parameters"),
	MEMBER("body", BODY, "bytes"),
	MEMBER("text", TEXT, "the body as str"),
	MEMBER("activation", ACTIVATION, "the activation's id"),
	MEMBER("parent", PARENT, "of the function that called this one; empty if a client did"),
	{"deadline", deadline_get, NULL, "milliseconds left", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef methods[] = {{"json", json_read, METH_NOARGS, "the body, parsed"},
				{NULL, NULL, 0, NULL}};

PyObject *weir_python_request_create(struct weir_runtime_call *call, PyObject *body)
{
	static PyTypeObject *type;
	static PyType_Slot slots[] = {{Py_tp_methods, methods},
				      {Py_tp_getset, members},
				      {Py_tp_dealloc, request_free},
				      {0, NULL}};
	static PyType_Spec spec = {.name = "weir.Request",
				   .basicsize = sizeof(struct request),
				   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
				   .slots = slots};
	struct request *request = NULL;

	if (type == NULL)
		type = (PyTypeObject *)(void *)PyType_FromSpec(&spec);
	if (type != NULL)
		request = PyObject_New(struct request, type);
	if (request == NULL)
		return NULL;
	request->call = call;
	memset(request->member, 0, sizeof(request->member));
	request->member[BODY] = Py_XNewRef(body);
	return (PyObject *)request;
}

void weir_python_request_close(PyObject *request)
{
	request_of(request)->call = NULL;
}
