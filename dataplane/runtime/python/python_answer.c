#include "dataplane/runtime/python/python_answer.h"

#include <errno.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/runtime/python/python_json.h"

enum { STATUS_MIN = 200, STATUS_MAX = 599 };

#define TYPE_JSON  WEIR_SPAN("application/json")
#define TYPE_TEXT  WEIR_SPAN("text/plain; charset=utf-8")
#define TYPE_BYTES WEIR_SPAN("application/octet-stream")

/* The bytes of a str or bytes object, which `*holder` keeps alive. */
static int text_of(PyObject *object, PyObject **holder, struct weir_span *out_text)
{
	Py_ssize_t bytes = 0;
	const char *data = NULL;

	if (PyUnicode_Check(object)) {
		data = PyUnicode_AsUTF8AndSize(object, &bytes);
		if (data != NULL) {
			*holder = Py_NewRef(object);
			*out_text = (struct weir_span){.data = data, .bytes = (size_t)bytes};
			return 0;
		}
		/* Bytes of the request that were no UTF-8 go back as they came. */
		PyErr_Clear();
		*holder = PyUnicode_AsEncodedString(object, "utf-8", "surrogateescape");
	} else {
		*holder = PyBytes_FromObject(object); /* itself, if it is bytes */
	}
	if (*holder == NULL)
		return -1;
	*out_text = (struct weir_span){.data = PyBytes_AS_STRING(*holder),
				       .bytes = (size_t)PyBytes_GET_SIZE(*holder)};
	return 0;
}

static bool is_bytes(PyObject *object)
{
	return PyBytes_Check(object) || PyByteArray_Check(object) || PyMemoryView_Check(object);
}

static int json_body(PyObject *object, struct weir_python_answer *answer)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *text = weir_python_json_write(object);

	answer->type = TYPE_JSON;
	return text != NULL ? text_of(text, &answer->body, &answer->text) : -1;
}

static int any_body(PyObject *object, struct weir_python_answer *answer)
{
	if (PyUnicode_Check(object))
		answer->type = TYPE_TEXT;
	else if (is_bytes(object))
		answer->type = TYPE_BYTES;
	else
		return json_body(object, answer);
	return text_of(object, &answer->body, &answer->text);
}

static int status_read(PyObject *number, struct weir_python_answer *answer)
{
	const long status = number != NULL ? PyLong_AsLong(number) : STATUS_MIN;

	if (status < STATUS_MIN || status > STATUS_MAX) {
		PyErr_Format(PyExc_ValueError, "status %ld is not within 200 .. 599", status);
		return -1;
	}
	answer->status = (uint32_t)status;
	return 0;
}

static int parts_make(PyObject *status, PyObject *headers, PyObject *body,
		      struct weir_python_answer *answer)
{
	if (status_read(status, answer) != 0)
		return -1;
	if (headers != NULL && headers != Py_None)
		answer->headers = Py_NewRef(headers);
	if (body != NULL && body != Py_None && any_body(body, answer) != 0)
		return -1;
	if (answer->status == 204 || answer->status == 304)
		answer->text.bytes = 0; /* these have no body */
	return 0;
}

int weir_python_answer_make(PyObject *result, struct weir_python_answer *out_answer)
{
	PyObject *status = NULL;
	PyObject *headers = NULL;
	PyObject *body = NULL;
	Py_ssize_t known = 0;

	*out_answer = (struct weir_python_answer){.status = result == Py_None ? 204 : STATUS_MIN};
	if (result == Py_None)
		return 0;
	if (!PyDict_Check(result))
		return any_body(result, out_answer);
	status = PyDict_GetItemString(result, "status");
	headers = PyDict_GetItemString(result, "headers");
	body = PyDict_GetItemString(result, "body");
	known = (status != NULL) + (headers != NULL) + (body != NULL);
	if (known == 0 || known != PyDict_Size(result) || (status == NULL && body == NULL) ||
	    (status != NULL && (!PyLong_Check(status) || PyBool_Check(status))))
		return json_body(result, out_answer);
	return parts_make(status, headers, body, out_answer);
}

int weir_python_answer_make_main(PyObject *result, struct weir_python_answer *out_answer)
{
	PyObject *status = NULL;

	*out_answer = (struct weir_python_answer){.status = STATUS_MIN};
	if (!PyDict_Check(result) && !PyList_Check(result)) {
		PyErr_Format(PyExc_TypeError, "main returned %.100s; it must be a dict",
			     Py_TYPE(result)->tp_name);
		return -1;
	}
	if (PyDict_Check(result)) {
		status = PyDict_GetItemString(result, "statusCode");
		if (PyDict_GetItemString(result, "error") != NULL)
			out_answer->status = 502;
	}
	if (status != NULL && PyLong_Check(status))
		return parts_make(status, PyDict_GetItemString(result, "headers"),
				  PyDict_GetItemString(result, "body"), out_answer);
	return json_body(result, out_answer);
}

/* ---- sending ---- */

/* The text of a field's name or value: latin-1 (RFC 9110 section 5.5), numbers as digits. */
static int field_text(PyObject *object, PyObject **holder, struct weir_span *out_text)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *number = NULL;

	if (PyLong_Check(object)) {
		number = PyObject_Str(object);
		object = number;
	}
	if (object == NULL)
		return -1;
	if (PyUnicode_Check(object) && PyUnicode_IS_ASCII(object))
		return text_of(object, holder, out_text);
	*holder = PyUnicode_Check(object) ? PyUnicode_AsLatin1String(object)
					  : PyBytes_FromObject(object);
	if (*holder == NULL)
		return -1;
	*out_text = (struct weir_span){.data = PyBytes_AS_STRING(*holder),
				       .bytes = (size_t)PyBytes_GET_SIZE(*holder)};
	return 0;
}

int weir_python_answer_field(struct weir_runtime_call *call, PyObject *name, PyObject *value)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *name_holder = NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *value_holder = NULL;
	struct weir_span name_text;
	struct weir_span value_text;
	int result = 0;

	if (field_text(name, &name_holder, &name_text) != 0 ||
	    field_text(value, &value_holder, &value_text) != 0)
		return -1;
	result = call->ops->field(call, name_text, value_text);
	if (result == 0 || result == -ECANCELED) /* nobody wants it: the body's turn to find out */
		return 0;
	PyErr_Format(PyExc_ValueError,
		     result == -ENOSPC ? "the header %R is one too many, or too long"
				       : "the header %R has a name or value that HTTP does not allow",
		     name);
	return -1;
}

/* A value, or a list of values: the field several times. */
static int field_add(struct weir_runtime_call *call, PyObject *name, PyObject *value)
{
	if (!PyList_Check(value) && !PyTuple_Check(value))
		return weir_python_answer_field(call, name, value);
	for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(value); i++) {
		if (weir_python_answer_field(call, name, PySequence_Fast_GET_ITEM(value, i)) != 0)
			return -1;
	}
	return 0;
}

static bool is_type(PyObject *name)
{
	const char *const text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;

	if (text == NULL)
		PyErr_Clear(); /* it is refused as a name soon enough */
	return text != NULL && weir_span_equal_nocase(weir_span_of(text), WEIR_SPAN("content-type"));
}

static int fields_add(struct weir_runtime_call *call, PyObject *headers, bool *out_has_type)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *pairs = NULL;

	if (!PyDict_Check(headers)) {
		PyErr_Format(PyExc_TypeError, "headers are %.100s, not a dict",
			     Py_TYPE(headers)->tp_name);
		return -1;
	}
	pairs = PyDict_Items(headers);
	for (Py_ssize_t i = 0; pairs != NULL && i < PyList_GET_SIZE(pairs); i++) {
		PyObject *const pair = PyList_GET_ITEM(pairs, i);

		*out_has_type = *out_has_type || is_type(PyTuple_GET_ITEM(pair, 0));
		if (field_add(call, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) != 0)
			return -1;
	}
	return pairs != NULL ? 0 : -1;
}

int weir_python_answer_head(struct weir_runtime_call *call, const struct weir_python_answer *answer)
{
	bool has_type = answer->body == NULL;

	/* What these refuse now would be refused again by append(), which says why. */
	if (answer->status != STATUS_MIN)
		(void)call->ops->status(call, answer->status);
	if (answer->headers != NULL && fields_add(call, answer->headers, &has_type) != 0)
		return -1;
	if (!has_type)
		(void)call->ops->field(call, WEIR_SPAN("content-type"), answer->type);
	if (answer->status != 204 && answer->status != 304)
		(void)call->ops->length(call, answer->text.bytes);
	return 0;
}

void weir_python_answer_close(struct weir_python_answer *answer)
{
	Py_CLEAR(answer->headers);
	Py_CLEAR(answer->body);
}
