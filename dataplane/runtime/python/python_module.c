#include "dataplane/runtime/python/python_module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/python/python_failure.h"

#define FILE_BYTES_MAX (INT64_C(16) << 20)

static void reason_set(char *out_reason, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void reason_set(char *out_reason, const char *format, ...)
{
	char text[WEIR_RUNTIME_REASON_BYTES * 2];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments); /* cut where too long */
	va_end(arguments);
	weir_python_failure_line(weir_span_of(text), out_reason);
}

/* ---- where it lies ---- */

/* out = "directory/name", if that file is there. */
static bool file_in(const char *directory, const char *name, char out[PATH_MAX])
{
	const int bytes = snprintf(out, PATH_MAX, "%s/%s", directory, name);

	return bytes > 0 && bytes < PATH_MAX && access(out, R_OK) == 0;
}

static int place_find(struct weir_python_module *module, const char *path, char *out_reason)
{
	static const char *const names[] = {"app.py", "main.py", "handler.py", "__main__.py",
					    "function.py"};
	struct stat status;
	size_t i = 0;

	if (stat(path, &status) != 0) {
		const int error = errno;

		reason_set(out_reason, "cannot open the module '%s': %s", path, strerror(error));
		return -error;
	}
	(void)snprintf(module->directory, PATH_MAX, "%s", path); /* a path that stat() took fits */
	if (!S_ISDIR(status.st_mode)) {
		char *const slash = strrchr(module->directory, '/');

		(void)snprintf(module->file, PATH_MAX, "%s", path);
		if (slash != NULL)
			*slash = '\0';
		return 0;
	}
	while (i < sizeof(names) / sizeof(names[0]) && !file_in(path, names[i], module->file))
		i++;
	if (i < sizeof(names) / sizeof(names[0]))
		return 0;
	reason_set(out_reason,
		   "the directory '%s' has neither app.py nor main.py, handler.py, __main__.py or "
		   "function.py", path);
	return -ENOENT;
}

/* ---- sys.path, os.environ, builtins ---- */

static int path_add(PyObject *list, const char *format, const char *directory)
{
	char path[PATH_MAX];
	int bytes = 0;
	int result = 0;
	PyObject *text = NULL;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	bytes = snprintf(path, sizeof(path), format, directory);
#pragma GCC diagnostic pop
	if (bytes < 0 || bytes >= (int)sizeof(path) || access(path, F_OK) != 0)
		return 0;
	text = PyUnicode_DecodeFSDefault(path);
	result = text != NULL ? PyList_Append(list, text) : -1;
	Py_XDECREF(text);
	return result;
}

static int path_set(const char *directory)
{
	static const char *const own[] = {"%s", "%s/site-packages",
					  "%s/.venv/lib/python" WEIR_PYTHON_VERSION "/site-packages"};
	static const char *const installed[] = {"%s/local/lib/python" WEIR_PYTHON_VERSION "/dist-packages",
						"%s/lib/python3/dist-packages",
						"%s/lib/python" WEIR_PYTHON_VERSION "/site-packages"};
	static PyObject *standard; /* as it was before the first function */
	WEIR_CLEANUP(weir_python_drop) PyObject *list = PyList_New(0);
	int result = list != NULL ? 0 : -1;

	if (standard == NULL)
		standard = PySequence_List(PySys_GetObject("path"));
	for (size_t i = 0; result == 0 && i < sizeof(own) / sizeof(own[0]); i++)
		result = path_add(list, own[i], directory);
	if (result != 0 || standard == NULL ||
	    PyList_SetSlice(list, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, standard) != 0)
		return -1;
	for (size_t i = 0; result == 0 && i < sizeof(installed) / sizeof(installed[0]); i++)
		result = path_add(list, installed[i], WEIR_PYTHON_PREFIX);
	return result == 0 ? PySys_SetObject("path", list) : -1;
}

static int variable_set(PyObject *environment, const char *name, struct weir_span value)
{
	PyObject *const text = weir_python_utf8(value);
	const int result = text != NULL ? PyMapping_SetItemString(environment, name, text) : -1;

	Py_XDECREF(text);
	return result;
}

/* "NAME=value" of the function's own. */
static int variable_add(PyObject *environment, const char *text)
{
	const char *const equals = strchr(text, '=');
	char name[256];

	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof(name))
		return 0;
	memcpy(name, text, (size_t)(equals - text));
	name[equals - text] = '\0';
	return variable_set(environment, name, weir_span_of(equals + 1));
}

static int environment_set(const struct weir_runtime_function *function)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *os = PyImport_ImportModule("os");
	WEIR_CLEANUP(weir_python_drop) PyObject *environment =
		os != NULL ? PyObject_GetAttrString(os, "environ") : NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *cleared =
		environment != NULL ? PyObject_CallMethod(environment, "clear", NULL) : NULL;
	char full[600];
	int result = cleared != NULL ? 0 : -1;

	(void)snprintf(full, sizeof(full), "/%s/%s", function->space.data, function->name.data);
	const struct {
		const char *name;
		struct weir_span value;
	} variables[] = {
		{"PATH", WEIR_SPAN("/usr/local/bin:/usr/bin:/bin")},
		{"LANG", WEIR_SPAN("C.UTF-8")},
		{"WEIR_FUNCTION", weir_span_of(full + 1)},
		{"__OW_ACTION_NAME", weir_span_of(full)},
		{"__OW_NAMESPACE", function->space},
	};
	for (size_t i = 0; result == 0 && i < sizeof(variables) / sizeof(variables[0]); i++)
		result = variable_set(environment, variables[i].name, variables[i].value);
	for (const char *const *own = function->environment; result == 0 && *own != NULL; own++)
		result = variable_add(environment, *own);
	return result;
}

static int builtins_set(void)
{
	PyObject *const leave = PySys_GetObject("exit"); /* borrowed */
	PyObject *const builtins = PyEval_GetBuiltins();

	if (leave == NULL || builtins == NULL || PyDict_SetItemString(builtins, "exit", leave) != 0)
		return -1;
	return PyDict_SetItemString(builtins, "quit", leave);
}

int weir_python_module_open(struct weir_python_module *module,
			    const struct weir_runtime_function *function,
			    char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	const int result = place_find(module, function->code_path.data, out_reason);

	if (result != 0)
		return result;
	if (function->handler.bytes >= sizeof(module->handler)) {
		reason_set(out_reason, "the handler's name is longer than %zu bytes",
			   sizeof(module->handler) - 1);
		return -EINVAL;
	}
	(void)snprintf(module->handler, sizeof(module->handler), "%s", function->handler.data);
	if (chdir(module->directory) != 0) {
		const int error = errno;

		reason_set(out_reason, "cannot enter '%s': %s", module->directory, strerror(error));
		return -error;
	}
	if (path_set(module->directory) == 0 && environment_set(function) == 0 && builtins_set() == 0)
		return 0;
	return weir_python_failure_take(module->directory, out_reason);
}

/* ---- running it ---- */

static PyObject *file_read(const char *path, char *out_reason)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	WEIR_CLEANUP(weir_python_drop) PyObject *bytes = NULL;
	PyObject *result = NULL;
	struct stat status;
	ssize_t got = 0;

	if (fd == -1 || fstat(fd, &status) != 0) {
		reason_set(out_reason, "cannot open the module '%s': %s", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_BYTES_MAX) {
		reason_set(out_reason, "the module '%s' is not a file of at most 16 MiB", path);
		return NULL;
	}
	bytes = PyBytes_FromStringAndSize(NULL, status.st_size);
	if (bytes != NULL)
		got = read(fd, PyBytes_AS_STRING(bytes), (size_t)status.st_size);
	if (bytes == NULL || got != status.st_size) {
		PyErr_Clear();
		reason_set(out_reason, "cannot read the module '%s'", path);
		return NULL;
	}
	result = bytes;
	bytes = NULL;
	return result;
}

/* The file's name without its ending, if that can be a module's name and is none already. */
static PyObject *name_choose(const char *path)
{
	const char *const name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	PyObject *const known = PySys_GetObject("stdlib_module_names"); /* borrowed, as the next */
	PyObject *const loaded = PyImport_GetModuleDict();
	PyObject *const stem = PyUnicode_DecodeUTF8(name, (Py_ssize_t)strcspn(name, "."), "replace");

	if (stem != NULL && PyUnicode_IsIdentifier(stem) == 1 && known != NULL &&
	    PySequence_Contains(known, stem) == 0 && PyDict_Contains(loaded, stem) == 0)
		return stem;
	PyErr_Clear();
	Py_XDECREF(stem);
	return PyUnicode_FromString("weir_function");
}

/* Run the source in a new module; NULL and an exception. */
static PyObject *source_run(const char *path, PyObject *source)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *file = PyUnicode_DecodeFSDefault(path);
	WEIR_CLEANUP(weir_python_drop) PyObject *name = name_choose(path);
	WEIR_CLEANUP(weir_python_drop) PyObject *code = NULL;

	if (file == NULL || name == NULL)
		return NULL;
	if (strlen(PyBytes_AS_STRING(source)) != (size_t)PyBytes_GET_SIZE(source)) {
		PyErr_SetString(PyExc_SyntaxError, "source code has a null byte");
		return NULL;
	}
	code = Py_CompileStringObject(PyBytes_AS_STRING(source), file, Py_file_input, NULL, -1);
	return code != NULL ? PyImport_ExecCodeModuleObject(name, code, file, NULL) : NULL;
}

/* ---- its handler ---- */

static const struct {
	const char *name;
	enum weir_python_kind kind;
} names[] = {
	{"handler", WEIR_PYTHON_HANDLER},
	{"main", WEIR_PYTHON_MAIN},
	{"application", WEIR_PYTHON_WSGI},
	{"app", WEIR_PYTHON_WSGI},
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* The module's callable of that name; NULL without an exception if there is none. */
static PyObject *callable_get(PyObject *module, const char *name)
{
	PyObject *const object = PyObject_GetAttrString(module, name);

	if (object != NULL && PyCallable_Check(object))
		return object;
	PyErr_Clear();
	Py_XDECREF(object);
	return NULL;
}

/* How to call what the function names: by its name, or said before it ("wsgi:blog"), or because
 * it is an object that frameworks make. */
static enum weir_python_kind kind_of(PyObject *callable, const char *name, bool is_wsgi)
{
	if (is_wsgi || PyObject_HasAttrString(callable, "wsgi_app"))
		return WEIR_PYTHON_WSGI;
	for (size_t i = 0; i < NAMES; i++) {
		if (strcmp(names[i].name, name) == 0)
			return names[i].kind;
	}
	return WEIR_PYTHON_HANDLER;
}

static int handler_find(struct weir_python_module *module, char *out_reason)
{
	const bool is_wsgi = strncmp(module->handler, "wsgi:", 5) == 0;
	const char *const name = module->handler + (is_wsgi ? 5 : 0);

	if (name[0] != '\0') {
		module->callable = callable_get(module->module, name);
		if (module->callable != NULL) {
			module->kind = kind_of(module->callable, name, is_wsgi);
			return 0;
		}
		reason_set(out_reason, "the module '%s' has no function '%s'", module->file, name);
		return -ENOENT;
	}
	for (size_t i = 0; i < NAMES; i++) {
		module->callable = callable_get(module->module, names[i].name);
		module->kind = names[i].kind;
		if (module->callable != NULL)
			return 0;
	}
	reason_set(out_reason, "the module '%s' has no handler(request), main(params) or WSGI application",
		   module->file);
	return -ENOENT;
}

int weir_python_module_load(struct weir_python_module *module,
			    char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	WEIR_CLEANUP(weir_python_drop) PyObject *source = file_read(module->file, out_reason);
	int result = 0;

	if (source == NULL)
		return -ENOENT;
	module->module = source_run(module->file, source);
	result = module->module == NULL ? weir_python_failure_take(module->directory, out_reason)
					: handler_find(module, out_reason);
	if (result != 0)
		weir_python_module_unload(module);
	return result;
}

/* Did the module come from a file below `directory`? */
static bool is_from(PyObject *module, const char *directory)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *file = PyObject_GetAttrString(module, "__file__");
	const char *const path = file != NULL && PyUnicode_Check(file) ? PyUnicode_AsUTF8(file) : NULL;
	const size_t bytes = strlen(directory);

	PyErr_Clear();
	return path != NULL && bytes != 0 && strncmp(path, directory, bytes) == 0 && path[bytes] == '/';
}

void weir_python_module_unload(struct weir_python_module *module)
{
	PyObject *const loaded = PyImport_GetModuleDict(); /* borrowed */
	WEIR_CLEANUP(weir_python_drop) PyObject *pairs = PyDict_Items(loaded);

	for (Py_ssize_t i = 0; pairs != NULL && i < PyList_GET_SIZE(pairs); i++) {
		PyObject *const pair = PyList_GET_ITEM(pairs, i);

		if (is_from(PyTuple_GET_ITEM(pair, 1), module->directory))
			(void)PyDict_DelItem(loaded, PyTuple_GET_ITEM(pair, 0));
	}
	Py_CLEAR(pairs);
	Py_CLEAR(module->callable);
	Py_CLEAR(module->module);
	PyErr_Clear();
	(void)PyGC_Collect();
}
