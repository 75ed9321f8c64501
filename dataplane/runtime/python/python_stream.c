#include "dataplane/runtime/python/python_stream.h"

#include "dataplane/runtime/python/python.h"

#include <stdio.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"

/* The worker takes what arrives there and knows whose it is. */
static void print_outside(enum weir_runtime_stream number, struct weir_span text)
{
	const int fd = number == WEIR_RUNTIME_STDERR ? STDERR_FILENO : STDOUT_FILENO;

	while (text.bytes != 0) {
		const ssize_t written = write(fd, text.data, text.bytes);

		if (written <= 0)
			return; /* nobody reads it */
		text.data += written;
		text.bytes -= (size_t)written;
	}
}

static PyObject *text_write(enum weir_runtime_stream number, PyObject *data)
{
	struct weir_runtime_call *const call = weir_python_call();
	struct weir_span text;
	Py_buffer view;

	if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) != 0)
		return NULL;
	text = (struct weir_span){.data = view.buf, .bytes = (size_t)view.len};
	if (call != NULL)
		call->ops->print(call, number, text);
	else
		print_outside(number, text);
	PyBuffer_Release(&view);
	return PyLong_FromSize_t(text.bytes);
}

static PyObject *write_out(PyObject *self, PyObject *data)
{
	(void)self;
	return text_write(WEIR_RUNTIME_STDOUT, data);
}

static PyObject *write_error(PyObject *self, PyObject *data)
{
	(void)self;
	return text_write(WEIR_RUNTIME_STDERR, data);
}

static PyObject *is_writable(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	Py_RETURN_TRUE;
}

static PyMethodDef out_methods[] = {{"write", write_out, METH_O, NULL},
				    {"writable", is_writable, METH_NOARGS, NULL},
				    {NULL, NULL, 0, NULL}};
static PyMethodDef error_methods[] = {{"write", write_error, METH_O, NULL},
				      {"writable", is_writable, METH_NOARGS, NULL},
				      {NULL, NULL, 0, NULL}};

/* A raw stream of Python's io with these methods; everything else is inherited. */
static PyObject *raw_create(PyObject *io, PyMethodDef *methods)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *base = PyObject_GetAttrString(io, "_RawIOBase");
	WEIR_CLEANUP(weir_python_drop) PyObject *type = NULL;
	PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
	PyType_Spec spec = {
		.name = "weir.Output", .flags = Py_TPFLAGS_DEFAULT, .slots = slots};

	if (base == NULL)
		return NULL;
	type = PyType_FromSpecWithBases(&spec, base);
	return type != NULL ? PyObject_CallNoArgs(type) : NULL;
}

/* Text on top of it that keeps nothing back. */
static PyObject *text_create(PyObject *io, PyMethodDef *methods)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *raw = raw_create(io, methods);
	WEIR_CLEANUP(weir_python_drop) PyObject *type = PyObject_GetAttrString(io, "TextIOWrapper");
	WEIR_CLEANUP(weir_python_drop) PyObject *arguments = NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *options = NULL;

	if (raw == NULL || type == NULL)
		return NULL;
	arguments = Py_BuildValue("(O)", raw);
	options = Py_BuildValue("{s:s,s:s,s:s,s:O}", "encoding", "utf-8", "errors",
				"backslashreplace", "newline", "\n", "write_through", Py_True);
	return arguments != NULL && options != NULL ? PyObject_Call(type, arguments, options) : NULL;
}

static int stream_open(PyObject *io, const char *name, PyMethodDef *methods)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *text = text_create(io, methods);
	char original[16];

	if (text == NULL)
		return -1;
	(void)snprintf(original, sizeof(original), "__%s__", name); /* fits */
	return PySys_SetObject(name, text) == 0 && PySys_SetObject(original, text) == 0 ? 0 : -1;
}

int weir_python_stream_open(void)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *io = PyImport_ImportModule("_io");

	if (io == NULL || stream_open(io, "stdout", out_methods) != 0)
		return -1;
	return stream_open(io, "stderr", error_methods);
}
