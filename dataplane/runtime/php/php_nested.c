#include "dataplane/runtime/php/php_nested.h"

#include <ctype.h>
#include <errno.h>

#include <SAPI.h>
#include <ext/spl/spl_exceptions.h>
#include <php_main.h>
#include <zend_exceptions.h>

#include "dataplane/base/id.h"
#include "dataplane/runtime/php/php_call.h"
#include "dataplane/runtime/php/php_engine.h"

enum { NAME_BYTES = 256 };

static zend_class_entry *error_class;

/* ---- what goes out ---- */

static struct weir_span span_of(const zend_string *text)
{
	return (struct weir_span){.data = ZSTR_VAL(text), .bytes = ZSTR_LEN(text)};
}

/* An option that is a text; false and a ValueError where it is something else. */
static bool text_option(HashTable *options, const char *name, struct weir_span *out)
{
	const zval *const value = options != NULL ? zend_hash_str_find(options, name, strlen(name)) : NULL;

	if (value == NULL || Z_TYPE_P(value) == IS_NULL)
		return true;
	if (Z_TYPE_P(value) != IS_STRING) {
		zend_value_error("weir_call(): option '%s' must be a string", name);
		return false;
	}
	*out = span_of(Z_STR_P(value));
	return true;
}

/* A misspelt one must not be passed by. */
static bool are_known(HashTable *options)
{
	static const char *const known[] = {"method", "path", "query", "content_type", "one_way"};
	zend_string *name = NULL;

	if (options == NULL)
		return true;
	ZEND_HASH_FOREACH_STR_KEY(options, name)
	{
		size_t i = 0;

		while (i < sizeof(known) / sizeof(known[0]) &&
		       (name == NULL || strcmp(ZSTR_VAL(name), known[i]) != 0))
			i++;
		if (i == sizeof(known) / sizeof(known[0])) {
			zend_value_error("weir_call(): there is no option '%s'", name != NULL ? ZSTR_VAL(name) : "");
			return false;
		}
	}
	ZEND_HASH_FOREACH_END();
	return true;
}

static bool target_fill(struct weir_runtime_target *target, struct weir_runtime_field *type, HashTable *options)
{
	struct weir_span method = target->body.bytes == 0 ? WEIR_SPAN("GET") : WEIR_SPAN("POST");
	zval *const one_way = options != NULL ? zend_hash_str_find(options, "one_way", 7) : NULL;
	int number = 0;

	if (!are_known(options) || !text_option(options, "method", &method) ||
	    !text_option(options, "path", &target->path) || !text_option(options, "query", &target->query) ||
	    !text_option(options, "content_type", &type->value))
		return false;
	number = weir_runtime_method_find(method);
	if (number < 0) {
		zend_value_error("weir_call(): '%s' is no method that Weir knows", method.data);
		return false;
	}
	target->method = (uint8_t)number;
	target->is_one_way = one_way != NULL && zend_is_true(one_way);
	target->fields = type;
	target->field_count = type->value.bytes != 0 ? 1 : 0;
	return true;
}

/* ---- what comes back ---- */

/* Names in lower case; of equal ones the values joined, as RFC 9110 section 5.3 allows. */
static void headers_set(zval *to, const struct weir_runtime_answer *answer)
{
	const char *const base = (const char *)answer->head;
	const struct weir_head_field *const rows = (const void *)(answer->head + 1);
	char name[NAME_BYTES];

	array_init_size(to, answer->head->field_count);
	for (size_t i = 0; i < answer->head->field_count; i++) {
		const size_t bytes = rows[i].name.bytes;
		const char *const value = base + rows[i].value.offset;
		const zval *before = NULL;

		if (bytes >= sizeof(name))
			continue;
		for (size_t k = 0; k < bytes; k++)
			name[k] = (char)tolower((unsigned char)base[rows[i].name.offset + k]);
		before = zend_hash_str_find(Z_ARRVAL_P(to), name, bytes);
		if (before == NULL)
			add_assoc_stringl_ex(to, name, bytes, value, rows[i].value.bytes);
		else
			add_assoc_str_ex(to, name, bytes,
					 strpprintf(0, "%s, %.*s", Z_STRVAL_P(before), (int)rows[i].value.bytes, value));
	}
}

static void answer_set(zval *to, const struct weir_runtime_answer *answer)
{
	char activation[32];
	zval headers;

	weir_id_format((struct weir_id){.high = answer->activation_high, .low = answer->activation_low},
		       activation);
	headers_set(&headers, answer);
	array_init_size(to, 4);
	add_assoc_long(to, "status", answer->status);
	add_assoc_zval(to, "headers", &headers);
	add_assoc_stringl(to, "body", answer->body.data, answer->body.bytes);
	add_assoc_stringl(to, "activation", activation, sizeof(activation));
}

/* The exception of an error of struct weir_runtime_call_ops. */
static void error_throw(int result)
{
	switch (result) {
	case -EINVAL:
		zend_value_error("weir_call(): the function's name is empty");
		break;
	case -E2BIG:
		zend_value_error("weir_call(): name, path, query and content type have more than 3 KiB");
		break;
	case -EMSGSIZE:
		zend_value_error("weir_call(): a body of more than 1 MiB");
		break;
	case -EPIPE:
		zend_throw_exception(error_class, "the answer broke off", 0);
		break;
	default:
		zend_throw_exception(error_class, "no memory for another call now; try again later", 0);
	}
}

/* Nobody waits for this script any more, or its time is over: it ends as it would while it runs. */
static void script_end(struct weir_php_call *running, int result)
{
	if (result == -ETIMEDOUT) {
		weir_php_engine_interrupt(running->base);
		return; /* the engine looks when this function has returned */
	}
	running->send_result = result;
	php_handle_aborted_connection();
}

/* ---- the function ---- */

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(call_arguments, 0, 1, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, body, IS_STRING, 0, "''")
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, options, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

static PHP_FUNCTION(weir_call)
{
	struct weir_php_call *const running = SG(server_context);
	struct weir_runtime_call *const base = running != NULL ? running->base : NULL;
	struct weir_runtime_field type = {.name = WEIR_SPAN("content-type")};
	struct weir_runtime_target target = {.is_one_way = false};
	struct weir_runtime_answer answer;
	zend_string *name = NULL, *body = NULL;
	HashTable *options = NULL;
	uint32_t nested = 0;
	int result = 0;

	ZEND_PARSE_PARAMETERS_START(1, 3)
	Z_PARAM_STR(name)
	Z_PARAM_OPTIONAL
	Z_PARAM_STR(body)
	Z_PARAM_ARRAY_HT(options)
	ZEND_PARSE_PARAMETERS_END();
	if (base == NULL) {
		zend_throw_exception(error_class, "weir_call() works while a call runs", 0);
		RETURN_THROWS();
	}
	target.name = span_of(name);
	if (body != NULL)
		target.body = span_of(body);
	if (!target_fill(&target, &type, options))
		RETURN_THROWS();
	result = base->ops->nested_start(base, &target, &nested);
	if (result == 0)
		result = weir_runtime_nested_wait(base, nested, &answer);
	if (result == 0) {
		answer_set(return_value, &answer);
		base->ops->nested_free(base, &answer);
	} else if (result == -ETIMEDOUT || result == -ECANCELED) {
		array_init(return_value);
		script_end(running, result);
	} else {
		error_throw(result);
	}
}

static const zend_function_entry functions[] = {PHP_FE(weir_call, call_arguments) PHP_FE_END};

static PHP_MINIT_FUNCTION(weir)
{
	zend_class_entry entry;

	(void)type;
	(void)module_number;
	INIT_NS_CLASS_ENTRY(entry, "Weir", "CallError", NULL);
	error_class = zend_register_internal_class_ex(&entry, spl_ce_RuntimeException);
	return error_class != NULL ? SUCCESS : FAILURE;
}

/* After SPL, whose exception it extends. */
static const zend_module_dep needed[] = {ZEND_MOD_REQUIRED("spl") ZEND_MOD_END};

zend_module_entry weir_php_nested_module = {
	STANDARD_MODULE_HEADER_EX, NULL, needed, "weir", functions, PHP_MINIT(weir), NULL, NULL, NULL, NULL, WEIR_VERSION,
	STANDARD_MODULE_PROPERTIES};
