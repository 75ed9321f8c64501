#include "dataplane/runtime/php/php_server.h"

#include <ctype.h>
#include <stdio.h>

#include <SAPI.h>
#include <php_variables.h>

#include "dataplane/base/id.h"

enum { TEXT_BYTES = WEIR_HEAD_REQUEST_BYTES_MAX + 256, NAME_BYTES = 256 };

static char text[TEXT_BYTES]; /* one value while it is registered; the engine is locked */
static void (*import_process)(zval *array);

/* ---- one variable ---- */

/* As php-fpm: through the filter, so that filter_input(INPUT_SERVER, ...) knows it, too. */
static void add(zval *array, const char *name, struct weir_span value)
{
	char *copy = text;
	size_t bytes = value.bytes;

	if (bytes >= sizeof(text))
		return;
	if (bytes != 0)
		memcpy(text, value.data, bytes);
	text[bytes] = '\0';
	if (sapi_module.input_filter(PARSE_SERVER, name, &copy, bytes, &bytes) != 0)
		php_register_variable_safe(name, copy, bytes, array);
}

static void add_text(zval *array, const char *name, const char *value)
{
	add(array, name, weir_span_of(value));
}

static void add_number(zval *array, const char *name, unsigned long long value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%llu", value); /* fits */
	add_text(array, name, digits);
}

/* ---- paths ---- */

static struct weir_span base_name(const char *path)
{
	const char *const slash = strrchr(path, '/');

	return weir_span_of(slash != NULL ? slash + 1 : path);
}

/* How much of `path` a pattern that ends with a star leaves to the script; 0 = the pattern has no star. */
static size_t path_info_bytes(struct weir_span pattern, struct weir_span path)
{
	size_t slashes = 0;
	size_t at = 0;

	if (pattern.bytes < 2 || memcmp(pattern.data + pattern.bytes - 2, "/*", 2) != 0)
		return 0;
	for (size_t i = 0; i < pattern.bytes; i++)
		slashes += pattern.data[i] == '/';
	/* Parameters have one segment each, so the star's part begins at the same slash. */
	for (at = 0; at < path.bytes; at++) {
		if (path.data[at] == '/' && --slashes == 0)
			break;
	}
	return path.bytes - at;
}

static void add_paths(zval *array, const struct weir_php_call *running)
{
	const struct weir_runtime_call *const base = running->base;
	const struct weir_span path = weir_runtime_span(base, base->head->path);
	const size_t rest =
		path_info_bytes(weir_runtime_span(base, base->head->pattern), path);
	const struct weir_span script = base_name(running->instance->path);
	const struct weir_span info = {.data = path.data + path.bytes - rest, .bytes = rest};
	char name[TEXT_BYTES];
	int bytes = 0;

	if (rest == 0) {
		add(array, "SCRIPT_NAME", path);
		add(array, "PHP_SELF", path);
	} else {
		bytes = snprintf(name, sizeof(name), "%.*s/%.*s", (int)(path.bytes - rest), path.data,
				 (int)script.bytes, script.data);
		if (bytes < 0 || (size_t)bytes + rest >= sizeof(name))
			return;
		add_text(array, "SCRIPT_NAME", name);
		memcpy(name + bytes, info.data, rest);
		add(array, "PHP_SELF",
		    (struct weir_span){.data = name, .bytes = (size_t)bytes + rest});
		add(array, "PATH_INFO", info);
	}
	add(array, "DOCUMENT_URI", path);
	add_text(array, "SCRIPT_FILENAME", running->instance->path);
	add_text(array, "DOCUMENT_ROOT", running->instance->directory);
}

/* ---- the rest ---- */

static void add_host(zval *array, struct weir_span authority)
{
	size_t bytes = authority.bytes;

	while (bytes != 0 && isdigit((unsigned char)authority.data[bytes - 1]))
		bytes--;
	if (bytes != 0 && bytes != authority.bytes && authority.data[bytes - 1] == ':') {
		add(array, "SERVER_NAME",
		    (struct weir_span){.data = authority.data, .bytes = bytes - 1});
		add(array, "SERVER_PORT",
		    (struct weir_span){.data = authority.data + bytes,
				       .bytes = authority.bytes - bytes});
	} else {
		add(array, "SERVER_NAME", authority);
		add_text(array, "SERVER_PORT", "80");
	}
}

/* Fields as HTTP_NAME; the last of equal ones counts. */
static void add_fields(zval *array, const struct weir_runtime_call *base)
{
	const struct weir_head_field *const fields = weir_runtime_fields(base);
	char name[NAME_BYTES];

	for (size_t i = 0; i < base->head->field_count; i++) {
		const struct weir_span from = weir_runtime_span(base, fields[i].name);
		size_t bytes = 5;

		/* "Proxy:" would become HTTP_PROXY, which clients take for their own setting (httpoxy). */
		if (from.bytes + 6 > sizeof(name) || weir_span_equal_nocase(from, WEIR_SPAN("proxy")))
			continue;
		memcpy(name, "HTTP_", 5);
		for (size_t k = 0; k < from.bytes; k++)
			name[bytes++] = from.data[k] == '-' ? '_'
							    : (char)toupper((unsigned char)from.data[k]);
		name[bytes] = '\0';
		add(array, name, weir_runtime_span(base, fields[i].value));
	}
}

static void add_params(zval *array, const struct weir_runtime_call *base)
{
	const struct weir_head_field *const params =
		weir_runtime_fields(base) + base->head->field_count;
	char name[NAME_BYTES];

	for (size_t i = 0; i < base->head->param_count; i++) {
		const struct weir_span from = weir_runtime_span(base, params[i].name);

		if (from.bytes + sizeof("WEIR_PARAM_") > sizeof(name))
			continue;
		(void)snprintf(name, sizeof(name), "WEIR_PARAM_%.*s", (int)from.bytes,
			       from.data); /* fits */
		add(array, name, weir_runtime_span(base, params[i].value));
	}
}

static void add_own(zval *array, const struct weir_php_call *running)
{
	char activation[32];

	weir_id_format((struct weir_id){.high = running->base->activation_high,
					.low = running->base->activation_low},
		       activation);
	add_text(array, "WEIR_FUNCTION", running->instance->name);
	add(array, "WEIR_ACTIVATION_ID",
	    (struct weir_span){.data = activation, .bytes = sizeof(activation)});
	add(array, "WEIR_PARENT_ID", weir_runtime_span(running->base, running->base->head->parent));
	add_params(array, running->base);
}

void weir_php_server_register(zval *array)
{
	const struct weir_php_call *const running = SG(server_context);
	const struct weir_runtime_call *base = NULL;

	if (running == NULL)
		return;
	base = running->base;
	import_process(array); /* the function's own variables */
	add_fields(array, base);
	add(array, "REQUEST_METHOD", weir_runtime_method(base));
	add(array, "REQUEST_URI", weir_runtime_span(base, base->head->target));
	add(array, "QUERY_STRING", weir_runtime_span(base, base->head->query));
	add_text(array, "CONTENT_TYPE",
		 SG(request_info).content_type != NULL ? SG(request_info).content_type : "");
	if (running->body != NULL)
		add_number(array, "CONTENT_LENGTH", ZSTR_LEN(running->body));
	else
		add_text(array, "CONTENT_LENGTH", "");
	add_paths(array, running);
	add_text(array, "SERVER_PROTOCOL", base->head->minor == 0 ? "HTTP/1.0" : "HTTP/1.1");
	add_text(array, "GATEWAY_INTERFACE", "CGI/1.1");
	add_text(array, "SERVER_SOFTWARE", "weir/" WEIR_VERSION);
	add_text(array, "REQUEST_SCHEME", "http");
	add_text(array, "REDIRECT_STATUS", "200");
	add(array, "REMOTE_ADDR", weir_runtime_span(base, base->head->peer));
	add_host(array, weir_runtime_span(base, base->head->authority));
	add_own(array, running);
}

/* ---- functions that php-fpm's scripts have ---- */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(headers_arguments, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

static PHP_FUNCTION(getallheaders)
{
	const struct weir_php_call *const running = SG(server_context);
	const struct weir_head_field *fields = NULL;

	ZEND_PARSE_PARAMETERS_NONE();
	array_init(return_value);
	if (running == NULL)
		return;
	fields = weir_runtime_fields(running->base);
	for (size_t i = 0; i < running->base->head->field_count; i++) {
		const struct weir_span name = weir_runtime_span(running->base, fields[i].name);
		const struct weir_span value = weir_runtime_span(running->base, fields[i].value);

		add_assoc_stringl_ex(return_value, name.data, name.bytes, value.data, value.bytes);
	}
}

const zend_function_entry weir_php_server_functions[] = {
	PHP_FE(getallheaders, headers_arguments)
	PHP_FALIAS(apache_request_headers, getallheaders, headers_arguments)
	PHP_FE_END
};

/* ---- the environment ---- */

static void import(zval *array)
{
	struct weir_php_call *const running = SG(server_context);
	char **variable = running != NULL ? weir_php_call_environment(running) : NULL;

	import_process(array);
	for (; variable != NULL && *variable != NULL; variable++) {
		char name[NAME_BYTES];
		const size_t bytes = strcspn(*variable, "=");

		if (bytes >= sizeof(name) || strncmp(*variable, "WEIR_", 5) != 0)
			continue; /* PATH and LANG are the process's */
		memcpy(name, *variable, bytes);
		name[bytes] = '\0';
		php_register_variable(name, *variable + bytes + 1, array);
	}
}

void weir_php_server_open(void)
{
	import_process = php_import_environment_variables;
	php_import_environment_variables = import;
}

char *weir_php_server_getenv(const char *name, size_t name_bytes)
{
	struct weir_php_call *const running = SG(server_context);
	char **variable = NULL;

	if (running == NULL || name_bytes < 5 || strncmp(name, "WEIR_", 5) != 0)
		return NULL; /* the process's environment is the function's */
	variable = weir_php_call_environment(running);
	for (; variable != NULL && *variable != NULL; variable++) {
		if (strncmp(*variable, name, name_bytes) == 0 && (*variable)[name_bytes] == '=')
			return *variable + name_bytes + 1;
	}
	return NULL;
}
