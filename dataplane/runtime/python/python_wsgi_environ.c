#include "dataplane/runtime/python/python_wsgi.h"

#include "dataplane/base/cleanup.h"
#include "dataplane/runtime/python/python_request.h"

enum { NAME_BYTES_MAX = 256 };

enum key {
	REQUEST_METHOD,
	SCRIPT_NAME,
	PATH_INFO,
	QUERY_STRING,
	REQUEST_URI,
	SERVER_NAME,
	SERVER_PORT,
	SERVER_PROTOCOL,
	REMOTE_ADDR,
	CONTENT_TYPE,
	CONTENT_LENGTH,
	INPUT,
	KEYS,
};

static PyObject *keys[KEYS]; /* as long as the process lives, like `constants` */
static PyObject *constants;  /* what is the same for every request */

static int keys_create(void)
{
	static const char *const names[KEYS] = {
		"REQUEST_METHOD", "SCRIPT_NAME",    "PATH_INFO",       "QUERY_STRING",
		"REQUEST_URI",	  "SERVER_NAME",    "SERVER_PORT",     "SERVER_PROTOCOL",
		"REMOTE_ADDR",	  "CONTENT_TYPE",   "CONTENT_LENGTH",  "wsgi.input"};

	for (size_t i = 0; i < KEYS; i++) {
		keys[i] = PyUnicode_InternFromString(names[i]);
		if (keys[i] == NULL)
			return -1;
	}
	return 0;
}

/* Another call may begin while one waits for its client, and there may be other processes. */
static int constants_create(void)
{
	PyObject *const errors = PySys_GetObject("stderr"); /* borrowed */

	if (errors == NULL || keys_create() != 0)
		return -1;
	constants = Py_BuildValue("{s:(ii),s:s,s:O,s:O,s:O,s:O,s:O,s:s}", "wsgi.version", 1, 0,
				  "wsgi.url_scheme", "http", "wsgi.errors", errors,
				  "wsgi.multithread", Py_True, "wsgi.multiprocess", Py_True,
				  "wsgi.run_once", Py_False, "wsgi.input_terminated", Py_True,
				  "SERVER_SOFTWARE", "Weir/" WEIR_VERSION);
	return constants != NULL ? 0 : -1;
}

static int give(PyObject *variables, enum key key, PyObject *value)
{
	const int result = value != NULL ? PyDict_SetItem(variables, keys[key], value) : -1;

	Py_XDECREF(value);
	return result;
}

/* How many bytes of the path the route's pattern stands for literally: as many segments as stand before
 * a trailing star, without their last slash; 0 without a star. */
static size_t mount_bytes(struct weir_span pattern, struct weir_span path)
{
	size_t slashes = 0;
	size_t i = 0;

	if (pattern.bytes < 2 || pattern.data[pattern.bytes - 1] != '*')
		return 0;
	for (i = 0; i < pattern.bytes; i++)
		slashes += pattern.data[i] == '/';
	for (i = 0; i < path.bytes; i++) {
		slashes -= path.data[i] == '/';
		if (slashes == 0)
			return i;
	}
	return 0;
}

static int path_add(PyObject *variables, const struct weir_runtime_call *call)
{
	const struct weir_span path = weir_runtime_span(call, call->head->path);
	const size_t mount = mount_bytes(weir_runtime_span(call, call->head->pattern), path);
	const struct weir_span script = {.data = path.data, .bytes = mount};
	const struct weir_span rest = {.data = path.data + mount, .bytes = path.bytes - mount};

	if (give(variables, SCRIPT_NAME, weir_python_latin1(script)) != 0)
		return -1;
	return give(variables, PATH_INFO, weir_python_latin1(rest));
}

/* "host:port", "[::1]:port" or "host". */
static int server_add(PyObject *variables, struct weir_span authority)
{
	size_t colon = authority.bytes;

	while (colon != 0 && authority.data[colon - 1] >= '0' && authority.data[colon - 1] <= '9')
		colon--;
	const bool has_port = colon != 0 && authority.data[colon - 1] == ':';
	const struct weir_span port = {.data = authority.data + colon,
				       .bytes = authority.bytes - colon};

	if (has_port)
		authority.bytes = colon - 1;
	if (give(variables, SERVER_NAME,
		 weir_python_latin1(authority.bytes != 0 ? authority : WEIR_SPAN("localhost"))) != 0)
		return -1;
	return give(variables, SERVER_PORT,
		    weir_python_latin1(has_port && port.bytes != 0 ? port : WEIR_SPAN("80")));
}

static int request_add(PyObject *variables, const struct weir_runtime_call *call, PyObject *input)
{
	const struct weir_request_head *const head = call->head;

	if (give(variables, REQUEST_METHOD, weir_python_latin1(weir_runtime_method(call))) != 0 ||
	    give(variables, QUERY_STRING, weir_python_latin1(weir_runtime_span(call, head->query))) != 0 ||
	    give(variables, REQUEST_URI, weir_python_latin1(weir_runtime_span(call, head->target))) != 0 ||
	    give(variables, REMOTE_ADDR, weir_python_latin1(weir_runtime_span(call, head->peer))) != 0 ||
	    give(variables, SERVER_PROTOCOL,
		 PyUnicode_FromString(head->minor == 0 ? "HTTP/1.0" : "HTTP/1.1")) != 0 ||
	    path_add(variables, call) != 0 ||
	    server_add(variables, weir_runtime_span(call, head->authority)) != 0)
		return -1;
	return give(variables, INPUT, Py_NewRef(input));
}

/* "HTTP_X_NAME" of "x-name"; NULL without an exception for a field that must not become a variable:
 * an underscore would make it look like another one, and HTTP_PROXY is a setting of many programs. */
static PyObject *variable_name(struct weir_span name)
{
	char text[NAME_BYTES_MAX + 5] = "HTTP_";

	if (name.bytes > NAME_BYTES_MAX || memchr(name.data, '_', name.bytes) != NULL ||
	    weir_span_equal_nocase(name, WEIR_SPAN("proxy")))
		return NULL;
	for (size_t i = 0; i < name.bytes; i++) {
		const char c = name.data[i];

		text[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
	}
	return PyUnicode_DecodeLatin1(text, (Py_ssize_t)name.bytes + 5, NULL);
}

static int field_add(PyObject *variables, struct weir_span name, struct weir_span value)
{
	WEIR_CLEANUP(weir_python_drop) PyObject *variable = NULL;
	WEIR_CLEANUP(weir_python_drop) PyObject *text = weir_python_latin1(value);

	if (text == NULL)
		return -1;
	if (weir_span_equal_nocase(name, WEIR_SPAN("content-type")))
		return PyDict_SetItem(variables, keys[CONTENT_TYPE], text);
	if (weir_span_equal_nocase(name, WEIR_SPAN("content-length")))
		return PyDict_SetItem(variables, keys[CONTENT_LENGTH], text);
	variable = variable_name(name);
	if (variable == NULL)
		return PyErr_Occurred() != NULL ? -1 : 0;
	return weir_python_request_join(
		variables, variable, text,
		weir_span_equal_nocase(name, WEIR_SPAN("cookie")) ? "; " : ",");
}

PyObject *weir_python_wsgi_environ(struct weir_runtime_call *call, PyObject *input)
{
	const struct weir_head_field *const fields = weir_runtime_fields(call);
	PyObject *variables = NULL;
	int result = constants == NULL ? constants_create() : 0;

	if (result == 0)
		variables = PyDict_Copy(constants);
	if (variables == NULL)
		return NULL;
	result = request_add(variables, call, input);
	for (size_t i = 0; result == 0 && i < call->head->field_count; i++)
		result = field_add(variables, weir_runtime_span(call, fields[i].name),
				   weir_runtime_span(call, fields[i].value));
	if (result == 0)
		return variables;
	Py_DECREF(variables);
	return NULL;
}
