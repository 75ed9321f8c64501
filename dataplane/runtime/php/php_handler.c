#include "dataplane/runtime/php/php_handler.h"

#include <ctype.h>
#include <stdio.h>

#include <SAPI.h>
#include <ext/json/php_json.h>
#include <ext/standard/html.h>
#include <php_output.h>
#include <php_variables.h>
#include <zend_exceptions.h>
#include <zend_smart_str.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/runtime/php/php_answer.h"
#include "dataplane/runtime/php/php_engine.h"

enum { JSON_DEPTH = 512, REQUEST_MEMBERS = 9, NAME_BYTES = 256 };

static const struct weir_php_instance *resident;
static zend_function *function; /* of the resident one */
static zend_class_entry *request_class;

static const char prelude[] =
	"namespace Weir;\n"
	"final class Request {\n"
	"\tpublic function __construct(public readonly string $method, public readonly string $path,\n"
	"\t\tpublic readonly string $query, public readonly array $headers, public readonly array $params,\n"
	"\t\tpublic readonly string $body, public readonly string $activation, public readonly int $deadline,\n"
	"\t\tpublic readonly string $parent) {}\n"
	"\tpublic function text(): string { return $this->body; }\n"
	"\tpublic function json(): mixed { return json_decode($this->body, true, 512, JSON_THROW_ON_ERROR); }\n"
	"}\n";

/* ---- the request ---- */

static void string_set(zval *to, struct weir_span from)
{
	ZVAL_STRINGL(to, from.data, from.bytes);
}

/* Names in lower case; equal ones joined by commas, as RFC 9110 section 5.3 allows. */
static void headers_set(zval *to, const struct weir_runtime_call *base)
{
	const struct weir_head_field *const fields = weir_runtime_fields(base);
	char name[NAME_BYTES];

	array_init_size(to, base->head->field_count);
	for (size_t i = 0; i < base->head->field_count; i++) {
		const struct weir_span from = weir_runtime_span(base, fields[i].name);
		const struct weir_span value = weir_runtime_span(base, fields[i].value);
		const zval *before = NULL;

		if (from.bytes >= sizeof(name))
			continue;
		for (size_t k = 0; k < from.bytes; k++)
			name[k] = (char)tolower((unsigned char)from.data[k]);
		before = zend_hash_str_find(Z_ARRVAL_P(to), name, from.bytes);
		if (before == NULL)
			add_assoc_stringl_ex(to, name, from.bytes, value.data, value.bytes);
		else
			add_assoc_str_ex(to, name, from.bytes,
					 strpprintf(0, "%s, %.*s", Z_STRVAL_P(before),
						    (int)value.bytes, value.data));
	}
}

static void params_set(zval *to, const struct weir_runtime_call *base)
{
	const struct weir_head_field *const params =
		weir_runtime_fields(base) + base->head->field_count;

	array_init_size(to, base->head->param_count);
	for (size_t i = 0; i < base->head->param_count; i++) {
		const struct weir_span name = weir_runtime_span(base, params[i].name);
		const struct weir_span value = weir_runtime_span(base, params[i].value);

		add_assoc_stringl_ex(to, name.data, name.bytes, value.data, value.bytes);
	}
}

static void body_set(zval *to, const struct weir_php_call *running)
{
	/* Copied: PHP would count it, and keep it, beyond the call. */
	if (running->body != NULL)
		ZVAL_STRINGL(to, ZSTR_VAL(running->body), ZSTR_LEN(running->body));
	else
		ZVAL_EMPTY_STRING(to);
}

static void request_make(zval *to, const struct weir_php_call *running)
{
	const struct weir_runtime_call *const base = running->base;
	const uint64_t now_ns = weir_clock_now_ns();
	const uint64_t left_ns = base->deadline_ns > now_ns ? base->deadline_ns - now_ns : 0;
	zval member[REQUEST_MEMBERS];
	char activation[32];

	weir_id_format(
		(struct weir_id){.high = base->activation_high, .low = base->activation_low},
		activation);
	string_set(&member[0], weir_runtime_method(base));
	string_set(&member[1], weir_runtime_span(base, base->head->path));
	string_set(&member[2], weir_runtime_span(base, base->head->query));
	headers_set(&member[3], base);
	params_set(&member[4], base);
	body_set(&member[5], running);
	ZVAL_STRINGL(&member[6], activation, sizeof(activation));
	ZVAL_LONG(&member[7], (zend_long)(left_ns / WEIR_NS_PER_MS));
	string_set(&member[8], weir_runtime_span(base, base->head->parent));
	object_init_ex(to, request_class);
	zend_call_known_function(request_class->constructor, Z_OBJ_P(to), request_class, NULL,
				 REQUEST_MEMBERS, member, NULL);
	for (size_t i = 0; i < REQUEST_MEMBERS; i++)
		zval_ptr_dtor(&member[i]);
}

/* ---- OpenWhisk's parameters ---- */

static void merge(zval *into, zval *from)
{
	if (Z_TYPE_P(from) == IS_ARRAY)
		zend_hash_merge(Z_ARRVAL_P(into), Z_ARRVAL_P(from), zval_add_ref, true);
	zval_ptr_dtor(from);
}

static void form_parse(zval *into, struct weir_span text)
{
	zval parsed;

	array_init(&parsed);
	sapi_module.treat_data(PARSE_STRING, estrndup(text.data, text.bytes), &parsed);
	merge(into, &parsed);
}

static bool is_form(const struct weir_runtime_call *base)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const struct weir_head_field *const fields = weir_runtime_fields(base);

	for (size_t i = 0; i < base->head->field_count; i++) {
		const struct weir_span value = weir_runtime_span(base, fields[i].value);

		if (weir_span_equal_word(weir_runtime_span(base, fields[i].name),
					 WEIR_SPAN("content-type")))
			return value.bytes >= sizeof(form) - 1 &&
			       strncasecmp(value.data, form, sizeof(form) - 1) == 0;
	}
	return false;
}

static void parameters_make(zval *to, const struct weir_php_call *running)
{
	const struct weir_runtime_call *const base = running->base;
	const zend_string *const body = running->body;
	zval parsed;

	params_set(to, base);
	form_parse(to, weir_runtime_span(base, base->head->query));
	if (body == NULL)
		return;
	if (is_form(base)) {
		form_parse(to, (struct weir_span){.data = ZSTR_VAL(body), .bytes = ZSTR_LEN(body)});
		return;
	}
	ZVAL_NULL(&parsed);
	if (php_json_decode_ex(&parsed, ZSTR_VAL(body), ZSTR_LEN(body), PHP_JSON_OBJECT_AS_ARRAY,
			       JSON_DEPTH) == SUCCESS)
		merge(to, &parsed);
}

/* ---- the answer ---- */

static bool is_utf8(const zend_string *text)
{
	const unsigned char *const data = (const unsigned char *)ZSTR_VAL(text);
	size_t at = 0;

	while (at < ZSTR_LEN(text)) {
		zend_result status = SUCCESS;

		if (data[at] < 0x80)
			at++;
		else
			(void)php_next_utf8_char(data, ZSTR_LEN(text), &at, &status); /* status says it */
		if (status != SUCCESS)
			return false;
	}
	return true;
}

static void type_set(struct weir_php_call *running, const char *type)
{
	weir_php_answer_field(running, WEIR_SPAN("content-type"), weir_span_of(type));
}

static bool json_add(struct weir_php_call *running, zval *value)
{
	smart_str text = {0};
	const bool good = php_json_encode_ex(&text, value,
					     PHP_JSON_UNESCAPED_SLASHES | PHP_JSON_UNESCAPED_UNICODE,
					     JSON_DEPTH) == SUCCESS &&
			  text.s != NULL;

	if (good)
		(void)weir_php_answer_add(running, ZSTR_VAL(text.s), ZSTR_LEN(text.s)); /* finish() says so */
	else if (EG(exception) == NULL)
		weir_php_call_blame(running, "the function returned what cannot be written as JSON");
	smart_str_free(&text);
	return good;
}

/* A body with the type that suits it, unless the function has set one. */
static bool body_add(struct weir_php_call *running, zval *body, bool has_type)
{
	if (Z_TYPE_P(body) != IS_STRING) {
		if (!has_type)
			type_set(running, "application/json");
		return json_add(running, body);
	}
	if (!has_type)
		type_set(running, is_utf8(Z_STR_P(body)) ? "text/plain; charset=utf-8"
							 : "application/octet-stream");
	(void)weir_php_answer_add(running, Z_STRVAL_P(body), Z_STRLEN_P(body)); /* finish() says so */
	return true;
}

/* One header, or several of one name. True if it is the type. */
static bool header_add(struct weir_php_call *running, zend_string *name, zval *value)
{
	const struct weir_span name_span = {.data = ZSTR_VAL(name), .bytes = ZSTR_LEN(name)};
	zval *one = NULL;

	if (Z_TYPE_P(value) == IS_ARRAY) {
		ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(value), one)
		{
			if (Z_TYPE_P(one) != IS_ARRAY)
				(void)header_add(running, name, one);
		}
		ZEND_HASH_FOREACH_END();
	} else {
		zend_string *const text = zval_get_string(value);

		weir_php_answer_field(running, name_span,
				      (struct weir_span){.data = ZSTR_VAL(text),
							 .bytes = ZSTR_LEN(text)});
		zend_string_release(text);
	}
	return weir_span_equal_nocase(name_span, WEIR_SPAN("content-type"));
}

static bool headers_add(struct weir_php_call *running, zval *headers)
{
	zend_string *name = NULL;
	zval *value = NULL;
	bool has_type = false;

	ZEND_HASH_FOREACH_STR_KEY_VAL(Z_ARRVAL_P(headers), name, value)
	{
		if (name != NULL && header_add(running, name, value))
			has_type = true;
	}
	ZEND_HASH_FOREACH_END();
	return has_type;
}

/* An array that is an answer and not data: nothing but status (a number), headers and body, one of the
 * first and the last at least. */
static bool is_response(HashTable *array)
{
	const zval *const status = zend_hash_str_find(array, "status", 6);
	const zval *const headers = zend_hash_str_find(array, "headers", 7);
	const zval *const body = zend_hash_str_find(array, "body", 4);
	const uint32_t known = (uint32_t)(status != NULL) + (uint32_t)(headers != NULL) +
			       (uint32_t)(body != NULL);

	return known == zend_hash_num_elements(array) && (status != NULL || body != NULL) &&
	       (status == NULL || Z_TYPE_P(status) == IS_LONG) &&
	       (headers == NULL || Z_TYPE_P(headers) == IS_ARRAY);
}

static bool response_set(struct weir_php_call *running, HashTable *array)
{
	const zval *const status = zend_hash_str_find(array, "status", 6);
	zval *const headers = zend_hash_str_find(array, "headers", 7);
	zval *const body = zend_hash_str_find(array, "body", 4);
	bool has_type = false;

	if (status != NULL)
		weir_php_answer_status(running, (int)Z_LVAL_P(status));
	if (headers != NULL)
		has_type = headers_add(running, headers);
	return body == NULL || Z_TYPE_P(body) == IS_NULL || body_add(running, body, has_type);
}

/* OpenWhisk's way to fail. */
static bool is_refused(struct weir_php_call *running, HashTable *array)
{
	zval *const error = zend_hash_str_find(array, "error", 5);
	smart_str text = {0};

	if (error == NULL)
		return false;
	if (Z_TYPE_P(error) == IS_STRING)
		weir_php_call_blame(running, Z_STRVAL_P(error));
	else if (php_json_encode_ex(&text, error, 0, JSON_DEPTH) == SUCCESS && text.s != NULL) {
		smart_str_0(&text);
		weir_php_call_blame(running, ZSTR_VAL(text.s));
	} else {
		weir_php_call_blame(running, "the function returned an error");
	}
	smart_str_free(&text);
	return true;
}

static bool answer_set(struct weir_php_call *running, zval *answer, bool is_main)
{
	if (Z_TYPE_P(answer) == IS_NULL) {
		weir_php_answer_status(running, 204);
		return true;
	}
	if (Z_TYPE_P(answer) == IS_ARRAY) {
		if (is_main && is_refused(running, Z_ARRVAL_P(answer)))
			return false;
		if (!is_main && is_response(Z_ARRVAL_P(answer)))
			return response_set(running, Z_ARRVAL_P(answer));
	}
	return body_add(running, answer, false);
}

/* ---- loading ---- */

static bool function_find(struct weir_php_call *running)
{
	const char *const name = running->instance->handler;
	zend_string *const lower = zend_string_tolower(zend_string_init(name, strlen(name), 0));
	char reason[WEIR_RUNTIME_REASON_BYTES];

	function = zend_hash_find_ptr(EG(function_table), lower);
	zend_string_release(lower);
	if (function != NULL)
		return true;
	(void)snprintf(reason, sizeof(reason), "the file defines no function '%.127s'", name); /* fits */
	weir_php_call_blame(running, reason);
	return false;
}

static bool class_define(void)
{
	zend_string *const name = zend_string_init("Weir\\Request", 12, 0);
	static bool good; /* not on the stack, because of the long jumps of fatal errors */

	good = false;
	zend_first_try
	{
		good = zend_eval_stringl(prelude, sizeof(prelude) - 1, NULL, "Weir\\Request") == SUCCESS;
		request_class = zend_lookup_class(name);
	}
	zend_end_try();
	zend_string_release(name);
	return good && request_class != NULL;
}

static bool load(struct weir_php_call *running)
{
	int exit_code = 0;

	running->is_handler = true;
	if (weir_php_engine_begin(running) != 0)
		return false;
	resident = running->instance;
	php_output_end_all(); /* what is printed goes to the log at once, and not to its next caller's */
	if (!class_define() || !weir_php_engine_script(running->instance, &exit_code) ||
	    running->is_fatal) {
		weir_php_call_blame(running, "the file could not be loaded; the log says more");
		return false;
	}
	return function_find(running);
}

void weir_php_handler_end(void)
{
	if (resident == NULL)
		return;
	resident = NULL;
	weir_php_engine_end();
}

void weir_php_handler_forget(const struct weir_php_instance *instance)
{
	if (resident != instance)
		return;
	weir_php_engine_attach(NULL);
	weir_php_handler_end();
}

/* ---- calls ---- */

static bool call(struct weir_php_call *running)
{
	const bool is_main = strcmp(running->instance->handler, "main") == 0;
	zval argument;
	zval answer;
	bool good = false;

	ZVAL_UNDEF(&answer);
	if (is_main)
		parameters_make(&argument, running);
	else
		request_make(&argument, running);
	zend_call_known_function(function, NULL, NULL, &answer, 1, &argument, NULL);
	zval_ptr_dtor(&argument);
	if (Z_TYPE(answer) != IS_UNDEF)
		good = answer_set(running, &answer, is_main);
	zval_ptr_dtor(&answer);
	if (EG(exception) != NULL)
		zend_throw_exception_internal(NULL); /* of a destructor, a JsonSerializable: told as others */
	return good;
}

/* Call it. False: it did not return, and what stayed must end. */
static bool call_guarded(struct weir_php_call *running, bool *out_good)
{
	static bool returned; /* not on the stack, as in class_define() */

	returned = false;
	zend_first_try
	{
		*out_good = call(running);
		returned = true;
	}
	zend_end_try();
	return returned;
}

bool weir_php_handler_run(struct weir_php_call *running)
{
	static bool good; /* written between long jumps, too */
	bool stays = true;

	good = false;
	if (resident != running->instance) {
		weir_php_engine_attach(NULL);
		weir_php_handler_end();
		weir_php_engine_attach(running);
		stays = load(running);
	} else {
		weir_php_engine_resume(running);
	}
	if (stays)
		stays = call_guarded(running, &good);
	if (!stays || weir_php_call_is_interrupted(running)) {
		weir_php_call_blame(running, "the function exited");
		weir_php_handler_end();
		return false;
	}
	return good;
}
