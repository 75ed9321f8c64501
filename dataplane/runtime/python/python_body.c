#include "dataplane/runtime/python/python_body.h"

#include <errno.h>

#include "dataplane/base/cleanup.h"

/* What grows starts with this and doubles. */
#define FIRST_BYTES 65536

/* The next piece: 1, 0 at the end, -1 and an exception. */
static int piece_wait(struct weir_runtime_call *call, struct weir_span *out_piece)
{
	int result = call->ops->body_peek(call, out_piece);

	while (result == -EAGAIN) {
		if (weir_python_wait(call) != 0)
			return -1;
		result = call->ops->body_peek(call, out_piece);
	}
	if (result == -ECANCELED)
		PyErr_SetString(PyExc_ConnectionResetError, "the client is gone");
	return result < 0 ? -1 : result;
}

/* Make room for `more` bytes behind the first `used`; -1 and no object if there is no memory. */
static int bytes_reserve(PyObject **bytes, size_t used, size_t more)
{
	size_t size = (size_t)PyBytes_GET_SIZE(*bytes);

	if (size - used >= more)
		return 0;
	size *= 2;
	if (size < used + more)
		size = used + more;
	return _PyBytes_Resize(bytes, (Py_ssize_t)size);
}

static PyObject *pieces_read(struct weir_runtime_call *call, size_t first_bytes)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *bytes =
		PyBytes_FromStringAndSize(NULL, (Py_ssize_t)first_bytes);
	PyObject *whole = NULL;
	size_t used = 0;
	int result = 1;

	while (bytes != NULL && result == 1) {
		struct weir_span piece = {0};

		result = piece_wait(call, &piece);
		if (result != 1)
			break;
		if (bytes_reserve(&bytes, used, piece.bytes) != 0)
			return NULL;
		memcpy(PyBytes_AS_STRING(bytes) + used, piece.data, piece.bytes);
		used += piece.bytes;
		call->ops->body_consume(call, piece.bytes);
	}
	if (bytes == NULL || result < 0)
		return NULL;
	if ((size_t)PyBytes_GET_SIZE(bytes) != used && _PyBytes_Resize(&bytes, (Py_ssize_t)used) != 0)
		return NULL;
	whole = bytes;
	bytes = NULL;
	return whole;
}

PyObject *weir_python_body_read(struct weir_runtime_call *call)
{
	const uint64_t length = call->head->content_length;
	struct weir_span piece = {0};
	int result = 0;

	if (length == 0)
		return PyBytes_FromStringAndSize("", 0);
	result = piece_wait(call, &piece);
	if (result < 0)
		return NULL;
	if (result == 1 && piece.bytes == length) {
		PyObject *const bytes = PyBytes_FromStringAndSize(piece.data, (Py_ssize_t)piece.bytes);

		if (bytes != NULL)
			call->ops->body_consume(call, piece.bytes);
		return bytes;
	}
	return pieces_read(call, length == WEIR_HEAD_LENGTH_UNKNOWN ? FIRST_BYTES : (size_t)length);
}

/* ---- as a file: a raw stream of Python's io, which its BufferedReader reads from ---- */

struct source {
	PyObject_HEAD
	struct weir_runtime_call *call; /* NULL: it is over */
};

static Py_ssize_t source_read(struct source *source, char *data, size_t size)
{
	struct weir_span piece = {0};
	int result = 0;

	if (source->call == NULL) {
		PyErr_SetString(PyExc_ValueError, "the request whose body this was is over");
		return -1;
	}
	result = piece_wait(source->call, &piece);
	if (result <= 0)
		return result;
	if (piece.bytes > size)
		piece.bytes = size;
	memcpy(data, piece.data, piece.bytes);
	source->call->ops->body_consume(source->call, piece.bytes);
	return (Py_ssize_t)piece.bytes;
}

static PyObject *source_readinto(PyObject *self, PyObject *target)
{
	Py_ssize_t bytes = 0;
	Py_buffer view;

	if (PyObject_GetBuffer(target, &view, PyBUF_WRITABLE) != 0)
		return NULL;
	bytes = source_read((struct source *)(void *)self, view.buf, (size_t)view.len);
	PyBuffer_Release(&view);
	return bytes >= 0 ? PyLong_FromSsize_t(bytes) : NULL;
}

static PyObject *answer_true(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	Py_RETURN_TRUE;
}

static PyObject *answer_false(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	Py_RETURN_FALSE;
}

static PyObject *answer_nothing(PyObject *self, PyObject *unused)
{
	(void)self;
	(void)unused;
	Py_RETURN_NONE;
}

/* io.BufferedReader asks for these only; a base class would be asked more slowly. */
static PyMethodDef source_methods[] = {{"readinto", source_readinto, METH_O, NULL},
				       {"readable", answer_true, METH_NOARGS, NULL},
				       {"writable", answer_false, METH_NOARGS, NULL},
				       {"seekable", answer_false, METH_NOARGS, NULL},
				       {"flush", answer_nothing, METH_NOARGS, NULL},
				       {"close", answer_nothing, METH_NOARGS, NULL},
				       {NULL, NULL, 0, NULL}};

static PyObject *closed_get(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(((struct source *)(void *)self)->call == NULL);
}

static PyGetSetDef source_members[] = {{"closed", closed_get, NULL, NULL, NULL},
				       {NULL, NULL, NULL, NULL, NULL}};

static void source_free(PyObject *self)
{
	PyTypeObject *const type = Py_TYPE(self);

	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *source_create(struct weir_runtime_call *call)
{
	static PyTypeObject *type;
	static PyType_Slot slots[] = {{Py_tp_methods, source_methods},
				      {Py_tp_getset, source_members},
				      {Py_tp_dealloc, source_free},
				      {0, NULL}};
	static PyType_Spec spec = {.name = "weir.Input",
				   .basicsize = sizeof(struct source),
				   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
				   .slots = slots};
	struct source *source = NULL;

	if (type == NULL)
		type = (PyTypeObject *)(void *)PyType_FromSpec(&spec);
	if (type != NULL)
		source = PyObject_New(struct source, type);
	if (source != NULL)
		source->call = call;
	return (PyObject *)source;
}

static PyObject *reader_create(const char *name, PyObject *argument, int size)
{
	static PyObject *io;

	if (io == NULL)
		io = PyImport_ImportModule("_io");
	if (io == NULL)
		return NULL;
	return size == 0 ? PyObject_CallMethod(io, name, "O", argument)
			 : PyObject_CallMethod(io, name, "Oi", argument, size);
}

PyObject *weir_python_body_file(struct weir_runtime_call *call, PyObject **out_source)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *bytes = NULL;

	*out_source = NULL;
	if (call->is_body_whole) {
		bytes = weir_python_body_read(call);
		return bytes != NULL ? reader_create("BytesIO", bytes, 0) : NULL;
	}
	*out_source = source_create(call);
	return *out_source != NULL ? reader_create("BufferedReader", *out_source, FIRST_BYTES) : NULL;
}

void weir_python_body_close(PyObject *source)
{
	if (source == NULL)
		return;
	((struct source *)(void *)source)->call = NULL;
	Py_DECREF(source);
}
