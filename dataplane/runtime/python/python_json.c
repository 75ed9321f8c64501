#include "dataplane/runtime/python/python_json.h"

#include "dataplane/base/cleanup.h"

static PyObject *encoder; /* _json.make_encoder(...), as long as the process lives */
static PyObject *loads;   /* json.loads, once somebody needs it */

static PyObject *refuse(PyObject *self, PyObject *value)
{
	(void)self;
	return PyErr_Format(PyExc_TypeError, "Object of type %.100s is not JSON serializable",
			    Py_TYPE(value)->tp_name);
}

/* make_encoder(markers, default, encoder, indent, key_separator, item_separator, sort_keys, skipkeys,
 * allow_nan): as json.JSONEncoder(ensure_ascii=False, allow_nan=False) makes it for each text. */
static PyObject *encoder_create(void)
{
	static PyMethodDef method = {"default", refuse, METH_O, NULL};
	WEIR_CLEANUP(weir_python_drop) PyObject *module = PyImport_ImportModule("_json");
	WEIR_CLEANUP(weir_python_drop) PyObject *fallback = PyCFunction_New(&method, NULL);
	WEIR_CLEANUP(weir_python_drop) PyObject *make = NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *quote = NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *markers = PyDict_New();

	if (module == NULL || fallback == NULL || markers == NULL)
		return NULL;
	make = PyObject_GetAttrString(module, "make_encoder");
	quote = PyObject_GetAttrString(module, "encode_basestring");
	if (make == NULL || quote == NULL)
		return NULL;
	return PyObject_CallFunction(make, "OOOOssOOO", markers, fallback, quote, Py_None, ":", ",",
				     Py_False, Py_False, Py_False);
}

PyObject *weir_python_json_write(PyObject *value)
{
	static PyObject *empty;
	static PyObject *zero;
	PyObject *arguments[2] = {value, NULL};
	WEIR_CLEANUP(weir_python_drop) PyObject *pieces = NULL;

	if (encoder == NULL) {
		empty = PyUnicode_FromString("");
		zero = PyLong_FromLong(0);
		encoder = encoder_create();
	}
	if (encoder == NULL || empty == NULL || zero == NULL)
		return NULL;
	arguments[1] = zero; /* the indentation's level */
	pieces = PyObject_Vectorcall(encoder, arguments, 2, NULL);
	return pieces != NULL ? PyUnicode_Join(empty, pieces) : NULL;
}

PyObject *weir_python_json_read(PyObject *text)
{
	if (loads == NULL) {
		WEIR_CLEANUP(weir_python_drop) PyObject *module = PyImport_ImportModule("json");

		loads = module != NULL ? PyObject_GetAttrString(module, "loads") : NULL;
	}
	return loads != NULL ? PyObject_CallOneArg(loads, text) : NULL;
}
