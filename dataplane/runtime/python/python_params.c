#include "dataplane/runtime/python/python_params.h"

#include <stdio.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/runtime/python/python_body.h"
#include "dataplane/runtime/python/python_json.h"
#include "dataplane/runtime/python/python_request.h"

static bool is_form(const struct weir_runtime_call *call)
{
	const struct weir_span type = weir_python_request_field(call, WEIR_SPAN("content-type"));
	const struct weir_span form = WEIR_SPAN("application/x-www-form-urlencoded");

	return type.bytes >= form.bytes && strncasecmp(type.data, form.data, form.bytes) == 0;
}

/* Does the body begin like an object? curl -d says that everything is a form. */
static bool is_object(struct weir_span text)
{
	while (text.bytes != 0 && strchr(" \t\r\n", text.data[0]) != NULL && text.data[0] != '\0') {
		text.data++;
		text.bytes--;
	}
	return text.bytes != 0 && text.data[0] == '{';
}

static int object_merge(PyObject *dict, PyObject *body, bool *out_is_refused)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *object = weir_python_json_read(body);

	if (object != NULL && PyDict_Check(object))
		return PyDict_Update(dict, object);
	*out_is_refused = object != NULL || PyErr_ExceptionMatches(PyExc_ValueError);
	if (object != NULL)
		PyErr_SetString(PyExc_ValueError, "the body must be a JSON object");
	return -1;
}

static int body_merge(struct weir_runtime_call *call, PyObject *dict, PyObject *body,
		      bool *out_is_refused)
{
	const struct weir_span text = {.data = PyBytes_AS_STRING(body),
				       .bytes = (size_t)PyBytes_GET_SIZE(body)};

	if (text.bytes == 0)
		return 0;
	if (is_form(call) && !is_object(text))
		return weir_python_request_pairs(text, dict);
	return object_merge(dict, body, out_is_refused);
}

PyObject *weir_python_params(struct weir_runtime_call *call, PyObject *body, bool *out_is_refused)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *dict = PyDict_New();
	WEIR_CLEANUP(weir_python_drop) PyObject *params = weir_python_request_params(call);
	WEIR_CLEANUP(weir_python_drop) PyObject *own =
		body != NULL ? Py_NewRef(body) : weir_python_body_read(call);
	PyObject *result = NULL;

	*out_is_refused = false;
	if (dict == NULL || params == NULL || own == NULL ||
	    weir_python_request_pairs(weir_runtime_span(call, call->head->query), dict) != 0 ||
	    PyDict_Update(dict, params) != 0 || body_merge(call, dict, own, out_is_refused) != 0)
		return NULL;
	result = dict;
	dict = NULL;
	return result;
}

/* The dict behind os.environ, of bytes. Setting os.environ itself would call setenv(), which never gives
 * back what a variable held before. */
static PyObject *environment_data(void)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *os = PyImport_ImportModule("os");
	WEIR_CLEANUP(weir_python_drop) PyObject *environment =
		os != NULL ? PyObject_GetAttrString(os, "environ") : NULL;

	return environment != NULL ? PyObject_GetAttrString(environment, "_data") : NULL;
}

static int variable_set(PyObject *data, PyObject *name, PyObject *value)
{
	const int result = value != NULL ? PyObject_SetItem(data, name, value) : -1;

	Py_XDECREF(value);
	return result;
}

int weir_python_params_environment(const struct weir_runtime_call *call)
{
	static PyObject *data; /* these three as long as the process lives */
	static PyObject *activation_name;
	static PyObject *deadline_name;
	char activation[32];

	if (data == NULL) {
		activation_name = PyBytes_FromString("__OW_ACTIVATION_ID");
		deadline_name = PyBytes_FromString("__OW_DEADLINE");
		data = environment_data();
	}
	if (data == NULL || activation_name == NULL || deadline_name == NULL)
		return -1;
	weir_id_format((struct weir_id){.high = call->activation_high, .low = call->activation_low},
		       activation);
	if (variable_set(data, activation_name,
			 PyBytes_FromStringAndSize(activation, sizeof(activation))) != 0)
		return -1;
	return variable_set(data, deadline_name,
			    PyBytes_FromFormat("%zu", (size_t)(weir_clock_wall_ns() / WEIR_NS_PER_MS) +
							      weir_python_request_left_ms(call)));
}
