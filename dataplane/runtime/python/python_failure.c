#include "dataplane/runtime/python/python_failure.h"

#include <errno.h>
#include <stdio.h>

#include <frameobject.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/runtime/python/python_memory.h"

enum { TEXT_BYTES_MAX = 512, PLACE_BYTES_MAX = 80 };

struct failure {
	PyObject *value;
	PyObject *type;      /* the value's own, borrowed */
	PyObject *traceback; /* NULL = it has none */
};

void weir_python_failure_line(struct weir_span text, char out_line[WEIR_RUNTIME_REASON_BYTES])
{
	size_t bytes = text.bytes;

	if (bytes > WEIR_RUNTIME_REASON_BYTES - 1) {
		bytes = WEIR_RUNTIME_REASON_BYTES - 1;
		while (bytes != 0 && ((uint8_t)text.data[bytes] & 0xc0) == 0x80)
			bytes--; /* in the middle of a character */
	}
	for (size_t i = 0; i < bytes; i++)
		out_line[i] = (uint8_t)text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : text.data[i];
	out_line[bytes] = '\0';
}

/* The file's name without its directories. */
static const char *name_of(const char *path)
{
	const char *const slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool is_below(const char *path, const char *directory)
{
	const size_t bytes = strlen(directory);

	return strncmp(path, directory, bytes) == 0 && path[bytes] == '/';
}

/* "throw.py:3" of the innermost frame in a file of the function; empty if there is none. */
static void place_of_frames(PyObject *traceback, const char *directory, char out_place[PLACE_BYTES_MAX])
{
	PyTracebackObject *entry = (PyTracebackObject *)(void *)traceback;

	for (; entry != NULL; entry = entry->tb_next) {
		PyCodeObject *const code = PyFrame_GetCode(entry->tb_frame);
		const char *const path = PyUnicode_AsUTF8(code->co_filename);
		int line = entry->tb_lineno;

		if (line <= 0) /* worked out only when somebody asks */
			line = PyCode_Addr2Line(code, entry->tb_lasti);
		if (path == NULL)
			PyErr_Clear();
		else if (is_below(path, directory))
			(void)snprintf(out_place, PLACE_BYTES_MAX, "%s:%d", name_of(path), line);
		Py_DECREF(code);
	}
}

/* Of a syntax error, which no frame has reached. */
static void place_of_syntax(PyObject *value, char out_place[PLACE_BYTES_MAX])
{
	WEIR_CLEANUP(weir_python_drop) PyObject *file = PyObject_GetAttrString(value, "filename");
	WEIR_CLEANUP(weir_python_drop) PyObject *line = PyObject_GetAttrString(value, "lineno");

	if (file != NULL && line != NULL && PyUnicode_Check(file) && PyLong_Check(line))
		(void)snprintf(out_place, PLACE_BYTES_MAX, "%s:%ld", name_of(PyUnicode_AsUTF8(file)),
			       PyLong_AsLong(line));
	PyErr_Clear();
}

/* What str() says of it; a syntax error's message without its place. */
static PyObject *message_of(const struct failure *failure)
{
	PyObject *text = NULL;

	if (PyErr_GivenExceptionMatches(failure->type, PyExc_SyntaxError))
		text = PyObject_GetAttrString(failure->value, "msg");
	if (text == NULL || !PyUnicode_Check(text)) {
		PyErr_Clear();
		Py_XDECREF(text);
		text = PyObject_Str(failure->value);
	}
	return text;
}

static void reason_write(const struct failure *failure, const char *directory, char *out_reason)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *message = message_of(failure);
	const char *const text = message != NULL ? PyUnicode_AsUTF8(message) : NULL;
	const char *const type = ((PyTypeObject *)(void *)failure->type)->tp_name;
	char place[PLACE_BYTES_MAX] = "";
	char line[TEXT_BYTES_MAX];

	PyErr_Clear();
	if (PyErr_GivenExceptionMatches(failure->type, PyExc_SyntaxError))
		place_of_syntax(failure->value, place);
	if (place[0] == '\0')
		place_of_frames(failure->traceback, directory, place);
	(void)snprintf(line, sizeof(line), "%s%s%.300s%s%s%s", type,
		       text == NULL || text[0] == '\0' ? "" : ": ", text == NULL ? "" : text,
		       place[0] == '\0' ? "" : " (", place, place[0] == '\0' ? "" : ")");
	weir_python_failure_line(weir_span_of(line), out_reason);
}

static int failure_classify(const struct failure *failure, const char *directory, char *out_reason)
{
	const bool was_refused = weir_python_memory_was_refused();

	if (PyErr_GivenExceptionMatches(failure->type, weir_python_timeout)) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "the function had not finished at its deadline");
		return -ETIMEDOUT;
	}
	if (PyErr_GivenExceptionMatches(failure->type, PyExc_SystemExit)) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "the function exited (sys.exit)");
		return -ECHILD;
	}
	reason_write(failure, directory, out_reason);
	/* Frames that there is no memory for are a SystemError (3.11). */
	if (PyErr_GivenExceptionMatches(failure->type, PyExc_SystemError) && was_refused)
		return -ENOMEM;
	return PyErr_GivenExceptionMatches(failure->type, PyExc_MemoryError) ? -ENOMEM : -EIO;
}

/* To sys.stderr, as the interpreter itself would; of a sys.exit() there is nothing to tell. */
static void traceback_print(const struct failure *failure)
{
	PyErr_Display(failure->type, failure->value, failure->traceback);
	PyErr_Clear();
}

/* The exception that is set, as an object. */
static PyObject *exception_take(void)
{
#if PY_VERSION_HEX >= 0x030C0000
	return PyErr_GetRaisedException();
#else
	PyObject *type = NULL;
	PyObject *value = NULL;
	PyObject *traceback = NULL;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);
	if (traceback != NULL)
		(void)PyException_SetTraceback(value, traceback); /* fails for what is none */
	Py_XDECREF(traceback);
	Py_XDECREF(type);
	return value;
#endif
}

int weir_python_failure_take(const char *directory, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct failure failure = {0};
	int result = 0;

	weir_python_memory_reserve(true);
	failure.value = exception_take();
	failure.type = (PyObject *)(void *)Py_TYPE(failure.value);
	failure.traceback = PyException_GetTraceback(failure.value);
	result = failure_classify(&failure, directory, out_reason);
	if (result != -ECHILD)
		traceback_print(&failure);
	Py_XDECREF(failure.traceback);
	Py_DECREF(failure.value);
	weir_python_memory_reserve(false);
	return result;
}
