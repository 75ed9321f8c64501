#include "dataplane/runtime/python/python_wsgi.h"

#include <errno.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/runtime/python/python_answer.h"
#include "dataplane/runtime/python/python_body.h"
#include "dataplane/runtime/python/python_failure.h"

/* One call: what start_response() and write() refer to, for as long as the application keeps them. */
struct answer {
	PyObject_HEAD
	struct weir_runtime_call *call; /* NULL: it is over */
	struct weir_python_output *output;
	PyObject *status;  /* NULL: start_response() was not called yet */
	PyObject *headers;
	bool is_sent;      /* the head */
	bool is_bodyless;  /* 204 or 304: what the application gives is dropped */
	bool has_length;   /* the application announced how long the body is */
	uint64_t length;
	uint64_t given;    /* bytes of the body so far */
};

/* ---- the head ---- */

/* "404 Not Found" -> 404; 0 for what is no status. */
static uint32_t status_number(PyObject *status)
{
	Py_ssize_t bytes = 0;
	const char *const text = PyUnicode_AsUTF8AndSize(status, &bytes);
	uint32_t number = 0;

	if (text == NULL || bytes < 3 || (bytes > 3 && text[3] != ' '))
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		number = number * 10 + (uint32_t)(text[i] - '0');
	}
	return number;
}

static int status_send(struct answer *answer)
{
	const uint32_t number = status_number(answer->status);

	if (number < 200 || number > 599) {
		PyErr_Format(PyExc_ValueError, "%R is no HTTP status", answer->status);
		return -1;
	}
	answer->is_bodyless = number == 204 || number == 304;
	(void)answer->call->ops->status(answer->call, number); /* the body tells if nobody wants it */
	return 0;
}

/* Content-Length is how Weir frames the body; the rest are fields. */
static int field_send(struct answer *answer, PyObject *name, PyObject *value)
{
	const char *const text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;

	if (text == NULL)
		PyErr_Clear();
	if (text != NULL && weir_span_equal_nocase(weir_span_of(text), WEIR_SPAN("content-length"))) {
		WEIR_CLEANUP(weir_python_drop) PyObject *number = PyNumber_Long(value);

		if (number == NULL)
			return -1;
		answer->length = PyLong_AsUnsignedLongLong(number);
		answer->has_length = true;
		return PyErr_Occurred() != NULL ? -1 : 0;
	}
	return weir_python_answer_field(answer->call, name, value);
}

static int head_send(struct answer *answer)
{
	if (answer->is_sent)
		return 0;
	if (answer->status == NULL) {
		PyErr_SetString(PyExc_RuntimeError,
				"the application did not call start_response");
		return -1;
	}
	if (status_send(answer) != 0)
		return -1;
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(answer->headers); i++) {
		PyObject *const pair = PyList_GET_ITEM(answer->headers, i);

		if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
			PyErr_SetString(PyExc_TypeError, "headers must be (name, value) tuples");
			return -1;
		}
		if (field_send(answer, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) != 0)
			return -1;
	}
	if (answer->has_length && !answer->is_bodyless)
		(void)answer->call->ops->length(answer->call, answer->length);
	answer->is_sent = true;
	return 0;
}

/* ---- the body ---- */

static int result_raise(int result)
{
	if (result == -ECANCELED)
		PyErr_SetString(PyExc_ConnectionResetError, "the client is gone");
	else if (result == -EMSGSIZE)
		PyErr_SetString(PyExc_ValueError, "the body is longer than its Content-Length");
	else
		PyErr_Format(PyExc_OSError, "the answer cannot be sent: %s", strerror(-result));
	return -1;
}

/* Hand over what can be; wait as long as more than KEEP is left. */
static int output_move(struct answer *answer)
{
	int result = weir_python_output_pump(answer->output, answer->call);

	while (result == -EAGAIN && answer->output->waiting_bytes > WEIR_PYTHON_OUTPUT_KEEP) {
		if (weir_python_wait(answer->call) != 0)
			return -1;
		result = weir_python_output_pump(answer->output, answer->call);
	}
	return result == 0 || result == -EAGAIN ? 0 : result_raise(result);
}

/* A piece must not wait for the next one (PEP 3333); after the last one there is nothing to wait for. */
static void output_flush(struct answer *answer)
{
	if (answer->output->waiting_bytes == 0 &&
	    !(answer->has_length && answer->given >= answer->length))
		(void)answer->call->ops->flush(answer->call); /* -EAGAIN: it goes with the next one */
}

static int piece_add(struct answer *answer, PyObject *piece)
{
	struct weir_span text;

	if (!PyBytes_Check(piece)) {
		PyErr_Format(PyExc_TypeError, "the application gave %.100s where it must give bytes",
			     Py_TYPE(piece)->tp_name);
		return -1;
	}
	text = (struct weir_span){.data = PyBytes_AS_STRING(piece),
				  .bytes = (size_t)PyBytes_GET_SIZE(piece)};
	if (text.bytes == 0)
		return 0;
	if (head_send(answer) != 0)
		return -1;
	answer->given += text.bytes;
	return answer->is_bodyless ? 0 : weir_python_output_add(answer->output, piece, text);
}

/* ---- what the application calls ---- */

static PyObject *write_piece(PyObject *self, PyObject *piece)
{
	struct answer *const answer = (struct answer *)(void *)self;

	if (answer->call == NULL) {
		PyErr_SetString(PyExc_RuntimeError, "the request is over");
		return NULL;
	}
	if (piece_add(answer, piece) != 0 || output_move(answer) != 0)
		return NULL;
	output_flush(answer);
	Py_RETURN_NONE;
}

/* After an error, with sys.exc_info(): another head, or the exception again if the first one is out. */
static int error_allow(const struct answer *answer, PyObject *information)
{
	if (information == Py_None) {
		if (answer->status == NULL)
			return 0;
		PyErr_SetString(PyExc_AssertionError, "start_response was called twice");
		return -1;
	}
	if (!answer->is_sent)
		return 0;
	if (PyTuple_Check(information) && PyTuple_GET_SIZE(information) == 3 &&
	    PyExceptionClass_Check(PyTuple_GET_ITEM(information, 0)))
		PyErr_SetObject(PyTuple_GET_ITEM(information, 0), PyTuple_GET_ITEM(information, 1));
	else
		PyErr_SetString(PyExc_TypeError, "exc_info is not what sys.exc_info() returns");
	return -1;
}

static PyObject *start_response(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
	static PyMethodDef write = {"write", write_piece, METH_O, NULL};
	struct answer *const answer = (struct answer *)(void *)self;

	if (count < 2 || count > 3 || !PyUnicode_Check(arguments[0]) || !PyList_Check(arguments[1])) {
		PyErr_SetString(PyExc_TypeError,
				"start_response takes a status (str), headers (list) and exc_info");
		return NULL;
	}
	if (answer->call == NULL) {
		PyErr_SetString(PyExc_RuntimeError, "the request is over");
		return NULL;
	}
	if (error_allow(answer, count == 3 ? arguments[2] : Py_None) != 0)
		return NULL;
	Py_XSETREF(answer->status, Py_NewRef(arguments[0]));
	Py_XSETREF(answer->headers, Py_NewRef(arguments[1]));
	return PyCFunction_New(&write, self);
}

static void answer_free(PyObject *self)
{
	PyTypeObject *const type = Py_TYPE(self);

	Py_XDECREF(((struct answer *)(void *)self)->status);
	Py_XDECREF(((struct answer *)(void *)self)->headers);
	type->tp_free(self);
	Py_DECREF(type);
}

static struct answer *answer_create(struct weir_runtime_call *call,
				    struct weir_python_output *output)
{
	static PyTypeObject *type;
	static PyType_Slot slots[] = {{Py_tp_dealloc, answer_free}, {0, NULL}};
	static PyType_Spec spec = {.name = "weir.Answer",
				   .basicsize = sizeof(struct answer),
				   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
				   .slots = slots};
	struct answer *answer = NULL;

	if (type == NULL)
		type = (PyTypeObject *)(void *)PyType_FromSpec(&spec);
	if (type != NULL)
		answer = PyObject_New(struct answer, type);
	if (answer == NULL)
		return NULL;
	answer->call = call;
	answer->output = output;
	answer->status = NULL;
	answer->headers = NULL;
	answer->is_sent = false;
	answer->is_bodyless = false;
	answer->has_length = false;
	answer->length = 0;
	answer->given = 0;
	return answer;
}

/* ---- one call ---- */

/* A list or tuple says by itself how long the body is; everything goes out at once. */
static int pieces_send(struct answer *answer, PyObject *pieces)
{
	const bool is_first = !answer->is_sent;

	for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(pieces); i++) {
		if (piece_add(answer, PySequence_Fast_GET_ITEM(pieces, i)) != 0)
			return -1;
	}
	if (is_first && answer->is_sent && !answer->has_length && !answer->is_bodyless)
		(void)answer->call->ops->length(answer->call, answer->given);
	return output_move(answer);
}

static int iterable_send(struct answer *answer, PyObject *iterable)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *iterator = PyObject_GetIter(iterable);
	PyObject *piece = NULL;

	if (iterator == NULL)
		return -1;
	while ((piece = PyIter_Next(iterator)) != NULL) {
		int result = piece_add(answer, piece);

		Py_DECREF(piece);
		if (result == 0)
			result = output_move(answer);
		if (result != 0)
			return -1;
		if (answer->is_sent)
			output_flush(answer);
	}
	return PyErr_Occurred() != NULL ? -1 : 0;
}

/* An answer without a body: its head, and a length of nothing unless the application knows better
 * (for HEAD it says what GET would have). */
static int end(struct answer *answer)
{
	if (answer->is_sent)
		return 0;
	if (head_send(answer) != 0)
		return -1;
	if (!answer->has_length && !answer->is_bodyless)
		(void)answer->call->ops->length(answer->call, 0);
	return 0;
}

static int result_send(struct answer *answer, PyObject *result)
{
	const int sent = PyList_CheckExact(result) || PyTuple_CheckExact(result)
				 ? pieces_send(answer, result)
				 : iterable_send(answer, result);

	return sent == 0 ? end(answer) : -1;
}

/* Whatever happened before: the application may hold things until then. */
static void result_close(PyObject *result, const char *directory)
{
	char unused[WEIR_RUNTIME_REASON_BYTES];
	PyObject *done = NULL;

	if (PyList_CheckExact(result) || PyTuple_CheckExact(result) ||
	    !PyObject_HasAttrString(result, "close"))
		return;
	done = PyObject_CallMethod(result, "close", NULL);
	if (done == NULL)
		(void)weir_python_failure_take(directory, unused); /* for the log only */
	Py_XDECREF(done);
}

static int application_run(PyObject *application, struct answer *answer, PyObject *variables,
			   const char *directory)
{
	static PyMethodDef start = {"start_response", (PyCFunction)(void (*)(void))start_response,
				    METH_FASTCALL, NULL};
	WEIR_CLEANUP(weir_python_drop)
	PyObject *function = PyCFunction_New(&start, (PyObject *)answer);
	WEIR_CLEANUP(weir_python_drop) PyObject *result = NULL;
	PyObject *arguments[2] = {variables, function};
	int failure = 0;

	if (variables != NULL && function != NULL)
		result = PyObject_Vectorcall(application, arguments, 2, NULL);
	if (result == NULL || result_send(answer, result) != 0)
		failure = weir_python_failure_take(directory, answer->call->abort_reason);
	if (result != NULL)
		result_close(result, directory);
	return failure;
}

int weir_python_wsgi_run(PyObject *application, struct weir_runtime_call *call,
			 const char *directory, struct weir_python_output *output)
{
	PyObject *source = NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *input = weir_python_body_file(call, &source);
	WEIR_CLEANUP(weir_python_drop)
	PyObject *variables = input != NULL ? weir_python_wsgi_environ(call, input) : NULL;
	struct answer *const answer = variables != NULL ? answer_create(call, output) : NULL;
	int result = 0;

	if (answer == NULL) {
		result = weir_python_failure_take(directory, call->abort_reason);
	} else {
		result = application_run(application, answer, variables, directory);
		answer->call = NULL;
		Py_DECREF(answer);
	}
	weir_python_body_close(source);
	return result;
}
