#include "dataplane/runtime/php/php_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <SAPI.h>
#include <php_content_types.h>
#include <php_ini.h>
#include <php_main.h>
#include <php_output.h>
#include <php_variables.h>
#include <rfc1867.h>
#include <zend_exceptions.h>
#include <zend_signal.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/runtime/php/php_answer.h"
#include "dataplane/runtime/php/php_nested.h"
#include "dataplane/runtime/php/php_server.h"
#include "dataplane/runtime/php/php_stdio.h"

struct weir_runtime_lock weir_php_engine_lock;

static struct weir_php_call *current;
static char *check_reason; /* where check() wants to know what is wrong; NULL = it does not run */
static void (*error_previous)(int type, zend_string *file, uint32_t line, zend_string *message);

/* A request's texts with a NUL behind them, as PHP wants them. */
static char request_text[WEIR_HEAD_REQUEST_BYTES_MAX + 64];
static size_t request_text_bytes;

/* What php.ini and scripts must not decide: limits are the function's, bodies the gateway's, errors go to the
 * log, and there is nobody to answer for what lies in a folder of sessions that all namespaces share. */
static char settings[] = "max_execution_time=0\n"
			 "max_input_time=-1\n"
			 "post_max_size=0\n"
			 "upload_max_filesize=0\n"
			 "log_errors=1\n"
			 "error_log=\n"
			 "html_errors=0\n"
			 "variables_order=EGPCS\n"
			 "register_argc_argv=0\n"
			 "implicit_flush=0\n"
			 "enable_dl=0\n"
			 "session.auto_start=0\n"
			 "session.save_path=/dev/null\n"
			 /* The stack is that of whichever thread runs the call, so PHP 8.3's measure is wrong. */
			 "zend.max_allowed_stack_size=-1\n";

/* ---- what PHP asks for ---- */

static size_t on_write(const char *data, size_t bytes)
{
	if (current == NULL)
		return bytes;
	if (current->is_handler)
		current->base->ops->print(current->base, WEIR_RUNTIME_STDOUT,
					  (struct weir_span){.data = data, .bytes = bytes});
	else if (!weir_php_answer_add(current, data, bytes))
		php_handle_aborted_connection(); /* ends the script unless it ignores that */
	return bytes;
}

/* flush(). A row's answer depends on its script's end, so it waits for that. */
static void on_flush(void *context)
{
	(void)context;
	if (current == NULL || current->is_handler || current->instance->is_row ||
	    current->output_total == 0)
		return;
	if (!weir_php_answer_flush(current))
		php_handle_aborted_connection();
}

static void field_send(const sapi_header_struct *header)
{
	const char *const end = header->header + header->header_len;
	const char *value = memchr(header->header, ':', header->header_len);
	struct weir_span name = {.data = header->header};

	if (value == NULL)
		return;
	name.bytes = (size_t)(value - header->header);
	do
		value++;
	while (value != end && (*value == ' ' || *value == '\t'));
	if (weir_span_equal_nocase(name, WEIR_SPAN("status")))
		weir_php_answer_status(current, atoi(value)); /* header("Status: 404"), as in CGI */
	else
		weir_php_answer_field(current, name,
				      (struct weir_span){.data = value,
							 .bytes = (size_t)(end - value)});
}

static int on_headers(sapi_headers_struct *headers)
{
	zend_llist_position place = NULL;
	const sapi_header_struct *header = NULL;

	if (current == NULL || current->is_handler || current->instance->is_row)
		return SAPI_HEADER_SENT_SUCCESSFULLY; /* `php FILE` has none */
	weir_php_answer_status(current, headers->http_response_code);
	header = zend_llist_get_first_ex(&headers->headers, &place);
	while (header != NULL) {
		field_send(header);
		header = zend_llist_get_next_ex(&headers->headers, &place);
	}
	return SAPI_HEADER_SENT_SUCCESSFULLY;
}

/* For multipart forms; other bodies are streams from the start (on_activate). */
static size_t on_read(char *data, size_t bytes)
{
	size_t rest = 0;

	if (current == NULL || current->body == NULL)
		return 0;
	rest = ZSTR_LEN(current->body) - current->body_taken;
	if (bytes > rest)
		bytes = rest;
	memcpy(data, ZSTR_VAL(current->body) + current->body_taken, bytes);
	current->body_taken += bytes;
	return bytes;
}

static char *on_cookies(void)
{
	return SG(request_info).cookie_data;
}

static void on_log(const char *message, int level)
{
	(void)level;
	if (current == NULL)
		return;
	weir_php_answer_error(current, message, strlen(message));
	weir_php_answer_error(current, "\n", 1);
}

/* The whole body is in memory: it becomes php://input without PHP copying it, or a temporary file. */
static void body_provide(void)
{
	if (current == NULL || current->body == NULL || SG(request_info).request_body != NULL)
		return;
	SG(request_info).request_body = weir_php_stdio_body(current);
	SG(post_read) = 1;
	SG(read_post_bytes) = (int64_t)ZSTR_LEN(current->body);
}

static int on_activate(void)
{
	const struct weir_php_call *const running = current;

	if (running == NULL)
		return SUCCESS;
	SG(request_info).proto_num = 1000 + running->base->head->minor;
	if (SG(request_info).post_entry == NULL ||
	    SG(request_info).post_entry->post_handler != rfc1867_post_handler)
		body_provide();
	return SUCCESS;
}

static int on_start(sapi_module_struct *module)
{
	return php_module_startup(module, &weir_php_nested_module);
}

/* The name is one that the opcode cache knows, and that of what scripts are used to. */
static sapi_module_struct module = {
	.name = (char *)(uintptr_t) "fpm-fcgi",
	.pretty_name = (char *)(uintptr_t) "Weir",
	.startup = on_start,
	.shutdown = php_module_shutdown_wrapper,
	.activate = on_activate,
	.ub_write = on_write,
	.flush = on_flush,
	.getenv = weir_php_server_getenv,
	.sapi_error = php_error,
	.send_headers = on_headers,
	.read_post = on_read,
	.read_cookies = on_cookies,
	.register_server_variables = weir_php_server_register,
	.log_message = on_log,
	.php_ini_ignore_cwd = 1,
	.additional_functions = weir_php_server_functions,
};

/* How much was printed, whether it has left PHP's buffers or not. */
static uint64_t printed_total(void)
{
	uint64_t total = current->output_total;

	for (int i = 0; i < OG(handlers).top; i++) {
		const php_output_handler *const handler =
			((php_output_handler **)OG(handlers).elements)[i];

		total += handler->buffer.used;
	}
	return total;
}

static void on_error(int type, zend_string *file, const uint32_t line, zend_string *message)
{
	if (current != NULL && (type & E_FATAL_ERRORS) != 0 && !current->is_fatal) {
		weir_php_call_blame(current, ZSTR_VAL(message));
		current->fatal_total = printed_total();
	}
	if (check_reason != NULL && (type & E_FATAL_ERRORS) != 0 && check_reason[0] == '\0')
		(void)snprintf(check_reason, WEIR_RUNTIME_REASON_BYTES, "%.150s on line %u",
			       ZSTR_VAL(message), line); /* fits */
	error_previous(type, file, line, message);
}

/* ---- start ---- */

/* Scripts may read the limit but not lift it. */
static void limit_fix(void)
{
	zend_ini_entry *const entry =
		zend_hash_str_find_ptr(EG(ini_directives), "memory_limit", sizeof("memory_limit") - 1);

	if (entry != NULL)
		entry->modifiable = PHP_INI_SYSTEM;
}

/* Posted data that is no multipart form: on_activate provides it. */
static void post_read(void)
{
	body_provide();
}

static int post_readers_set(void)
{
	static const sapi_post_entry form = {
		.content_type = (char *)(uintptr_t)DEFAULT_POST_CONTENT_TYPE,
		.content_type_len = sizeof(DEFAULT_POST_CONTENT_TYPE) - 1,
		.post_reader = post_read,
		.post_handler = php_std_post_handler,
	};

	sapi_unregister_post_entry(&form);
	if (sapi_register_post_entry(&form) != SUCCESS ||
	    sapi_register_default_post_reader(post_read) != SUCCESS)
		return -EIO;
	return 0;
}

int weir_php_engine_open(void)
{
	int result = 0;

	zend_signal_startup();
	sapi_startup(&module);
	module.ini_entries = settings; /* which that call forgets */
	if (module.startup(&module) == FAILURE)
		return -EIO;
#ifdef ZEND_SIGNALS
	SIGG(reset) = 0; /* signals are the worker's, not each request's */
#endif
	SG(options) |= SAPI_OPTION_NO_CHDIR;
	limit_fix();
	error_previous = zend_error_cb;
	zend_error_cb = on_error;
	weir_php_server_open();
	result = weir_php_stdio_open();
	return result == 0 ? post_readers_set() : result;
}

void weir_php_engine_close(void)
{
	php_module_shutdown();
	sapi_shutdown();
}

/* ---- one request ---- */

static char *text_keep(struct weir_span text)
{
	char *const place = request_text + request_text_bytes;

	if (text.bytes + 1 > sizeof(request_text) - request_text_bytes)
		return request_text; /* only a head whose slices overlap is that long: an empty text */
	if (text.bytes != 0)
		memcpy(place, text.data, text.bytes);
	place[text.bytes] = '\0';
	request_text_bytes += text.bytes + 1;
	return place;
}

static void fields_read(const struct weir_runtime_call *base)
{
	const struct weir_head_field *const fields = weir_runtime_fields(base);
	const char *authorization = NULL;

	for (size_t i = 0; i < base->head->field_count; i++) {
		const struct weir_span name = weir_runtime_span(base, fields[i].name);
		const struct weir_span value = weir_runtime_span(base, fields[i].value);

		if (weir_span_equal_word(name, WEIR_SPAN("content-type")))
			SG(request_info).content_type = text_keep(value);
		else if (weir_span_equal_word(name, WEIR_SPAN("cookie")))
			SG(request_info).cookie_data = text_keep(value);
		else if (weir_span_equal_word(name, WEIR_SPAN("authorization")))
			authorization = text_keep(value);
	}
	(void)php_handle_auth_data(authorization); /* no kind that PHP knows: nothing is set */
}

static void request_fill(const struct weir_php_call *running)
{
	static char *arguments[2];
	const struct weir_php_instance *const instance = running->instance;
	const struct weir_runtime_call *const base = running->base;
	const struct weir_span method = weir_runtime_method(base);

	request_text[0] = '\0';
	request_text_bytes = 1;
	SG(request_info) = (sapi_request_info){0};
	SG(request_info).request_method = method.data;
	SG(request_info).query_string = text_keep(weir_runtime_span(base, base->head->query));
	SG(request_info).request_uri = text_keep(weir_runtime_span(base, base->head->target));
	SG(request_info).path_translated = instance->path;
	SG(request_info).content_length =
		running->body != NULL ? (zend_long)ZSTR_LEN(running->body) : 0;
	fields_read(base);
	PG(register_argc_argv) = instance->is_row; /* $argv, as `php FILE` has it */
	if (instance->is_row) {
		arguments[0] = instance->path;
		SG(request_info).argc = 1;
		SG(request_info).argv = arguments;
	}
	SG(sapi_headers).http_response_code = 200;
}

void weir_php_engine_attach(struct weir_php_call *running)
{
	SG(server_context) = running;
	current = running;
	zend_atomic_bool_store(&EG(timed_out), false);
	zend_atomic_bool_store(&EG(vm_interrupt), false);
}

static void limit_set(const char *value)
{
	zend_string *const name = zend_string_init("memory_limit", sizeof("memory_limit") - 1, 0);

	(void)zend_alter_ini_entry_chars(name, value, strlen(value), PHP_INI_SYSTEM,
					 PHP_INI_STAGE_ACTIVATE); /* too small for PHP itself: its minimum */
	zend_string_release(name);
}

int weir_php_engine_begin(struct weir_php_call *running)
{
	const struct weir_php_instance *const instance = running->instance;

	WEIR_ASSERT(running == current);
	environ = instance->environment; /* of a function only what is its own */
	if (instance->directory_fd != -1)
		(void)fchdir(instance->directory_fd); /* it went away: relative paths fail in the script */
	EG(timeout_seconds) = 0;
	EG(exit_status) = 0;
	request_fill(running);
	if (php_request_startup() == FAILURE) {
		weir_php_call_blame(running, "PHP could not start the request");
		php_request_shutdown(NULL);
		return -EIO;
	}
	limit_set(instance->memory_limit);
	if (instance->has_stdio || instance->is_row) {
		zend_first_try
		{
			weir_php_stdio_define();
		}
		zend_end_try();
	}
	return 0;
}

void weir_php_engine_resume(struct weir_php_call *running)
{
	WEIR_ASSERT(running == current);
	running->is_handler = true;
	environ = running->instance->environment;
	if (running->instance->directory_fd != -1)
		(void)fchdir(running->instance->directory_fd); /* as in begin() */
	EG(timeout_seconds) = 0;
	EG(exit_status) = 0;
	PG(connection_status) = PHP_CONNECTION_NORMAL;
}

int weir_php_engine_check(const struct weir_php_instance *instance,
			  char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	static int result; /* not on the stack, because of the long jumps of fatal errors */
	static zend_file_handle file;

	result = 0;
	WEIR_ASSERT(current == NULL && weir_php_engine_lock.owner == NULL);
	environ = instance->environment;
	SG(request_info) = (sapi_request_info){.path_translated = instance->path};
	if (php_request_startup() == FAILURE)
		return 0; /* a call will say why */
	out_reason[0] = '\0';
	check_reason = out_reason;
	zend_stream_init_filename(&file, instance->path);
	file.primary_script = 1;
	zend_first_try
	{
		if (php_lint_script(&file) == FAILURE)
			result = -EINVAL;
	}
	zend_end_try();
	zend_destroy_file_handle(&file);
	php_request_shutdown(NULL);
	check_reason = NULL;
	return out_reason[0] != '\0' ? -EINVAL : result;
}

bool weir_php_engine_script(const struct weir_php_instance *instance, int *out_exit_code)
{
	static zend_file_handle file; /* not on the stack, because of the long jumps of fatal errors */
	static bool good;

	good = false;
	zend_stream_init_filename(&file, instance->path);
	file.primary_script = 1;
	zend_first_try
	{
		good = php_execute_script(&file);
	}
	zend_end_try();
	zend_destroy_file_handle(&file);
	*out_exit_code = EG(exit_status);
	return good;
}

void weir_php_engine_end(void)
{
	php_request_shutdown(NULL);
}

void weir_php_engine_interrupt(const struct weir_runtime_call *call)
{
	struct weir_php_call *const running = current;

	if (running == NULL || running->base != call)
		return;
	atomic_store_explicit(&running->is_interrupted, true, memory_order_relaxed);
	zend_atomic_bool_store(&EG(timed_out), true);
	zend_atomic_bool_store(&EG(vm_interrupt), true);
}
