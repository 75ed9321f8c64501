#include "dataplane/runtime/php/php_call.h"

#include <errno.h>
#include <stdio.h>

void weir_php_call_open(struct weir_php_call *running, const struct weir_php_instance *instance,
			struct weir_runtime_call *base)
{
	running->base = base;
	running->instance = instance;
	running->body = NULL;
	running->body_taken = 0;
	running->output = NULL;
	running->output_bytes = 0;
	running->output_capacity = 0;
	running->output_total = 0;
	running->fatal_total = 0;
	running->error_bytes = 0;
	running->error_total = 0;
	running->send_result = 0;
	running->status = 200;
	running->is_handler = false;
	running->is_fatal = false;
	running->is_streaming = false;
	running->has_environment = false;
	atomic_init(&running->is_interrupted, false);
}

void weir_php_call_close(struct weir_php_call *running)
{
	if (running->body != NULL)
		zend_string_release(running->body);
	if (running->has_environment)
		weir_exec_environment_close(&running->environment);
	free(running->output);
}

void weir_php_call_blame(struct weir_php_call *running, const char *text)
{
	static const char uncaught[] = "Uncaught ";
	char *const reason = running->base->abort_reason;
	size_t bytes = strcspn(text, "\n");

	if (running->is_fatal)
		return;
	running->is_fatal = true;
	/* "Uncaught Exception: boom in /srv/a.php:3": where is the log's to say, not the caller's to know. */
	if (strncmp(text, uncaught, sizeof(uncaught) - 1) == 0) {
		for (size_t i = bytes; i > sizeof(uncaught); i--) {
			if (strncmp(text + i - 1, " in /", 5) == 0) {
				bytes = i - 1;
				break;
			}
		}
	}
	if (bytes >= WEIR_RUNTIME_REASON_BYTES)
		bytes = WEIR_RUNTIME_REASON_BYTES - 1;
	memcpy(reason, text, bytes);
	reason[bytes] = '\0';
}

/* ---- the request's body ---- */

static bool is_body_refused(struct weir_php_call *running, size_t bytes)
{
	if (bytes <= running->instance->memory_bytes)
		return false;
	(void)snprintf(running->base->abort_reason, WEIR_RUNTIME_REASON_BYTES,
		       "the request's body is larger than the function's memory of %llu bytes",
		       (unsigned long long)running->instance->memory_bytes);
	return true;
}

/* Room for `bytes` of body; those that are there stay. PHP's own allocation would end the process where
 * there is no memory. */
static int body_reserve(struct weir_php_call *running, size_t bytes, size_t *capacity)
{
	size_t wanted = *capacity == 0 ? bytes : 2 * *capacity;
	zend_string *body = NULL;

	if (is_body_refused(running, bytes))
		return -EFBIG;
	if (bytes <= *capacity)
		return 0;
	if (wanted < bytes)
		wanted = bytes;
	body = realloc(running->body, _ZSTR_STRUCT_SIZE(wanted));
	if (body == NULL)
		return -ENOMEM;
	GC_SET_REFCOUNT(body, 1);
	GC_TYPE_INFO(body) = GC_STRING | (IS_STR_PERSISTENT << GC_FLAGS_SHIFT);
	ZSTR_H(body) = 0;
	ZSTR_LEN(body) = 0;
	running->body = body;
	*capacity = wanted;
	return 0;
}

static int body_append(struct weir_php_call *running, struct weir_span piece, size_t *bytes,
		       size_t *capacity)
{
	const int result = body_reserve(running, *bytes + piece.bytes, capacity);

	if (result != 0)
		return result;
	memcpy(ZSTR_VAL(running->body) + *bytes, piece.data, piece.bytes);
	*bytes += piece.bytes;
	running->base->ops->body_consume(running->base, piece.bytes);
	return 0;
}

int weir_php_call_gather(struct weir_php_call *running)
{
	struct weir_runtime_call *const base = running->base;
	const uint64_t announced = base->head->content_length;
	size_t bytes = 0;
	size_t capacity = 0;
	int result = 0;

	if (announced != WEIR_HEAD_LENGTH_UNKNOWN && announced != 0)
		result = body_reserve(running, announced, &capacity);
	while (result == 0) {
		struct weir_span piece = {0};
		const int peeked = base->ops->body_peek(base, &piece);

		if (peeked == 0)
			break;
		if (peeked == 1)
			result = body_append(running, piece, &bytes, &capacity);
		else if (peeked == -EAGAIN)
			result = base->ops->wait(base, NULL, 0, base->deadline_ns);
		else
			result = peeked;
	}
	if (result == 0 && running->body != NULL) {
		ZSTR_LEN(running->body) = bytes;
		ZSTR_VAL(running->body)[bytes] = '\0';
	}
	return result;
}

char **weir_php_call_environment(struct weir_php_call *running)
{
	if (!running->has_environment) {
		running->has_environment = true;
		if (weir_exec_environment_open(&running->environment, running->instance->name, NULL,
					       running->base) != 0) {
			weir_exec_environment_close(&running->environment);
			running->has_environment = false;
			return NULL;
		}
	}
	return running->environment.variable;
}
