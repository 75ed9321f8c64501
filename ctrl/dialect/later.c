#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/dialect.h"
#include "ctrl/model/builtin.h"

/* The fields of `wanted`, what the client asks for, and the id. Returns how many. */
static size_t fields_make(const struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
			  struct weir_dialect_field out[WEIR_DIALECT_FIELDS_MAX])
{
	static const char *const names[] = {"x-weir-priority", "x-weir-delay-ms", "x-weir-retries", "idempotency-key"};
	size_t count = 0;

	out[count++] = (struct weir_dialect_field){WEIR_SPAN("x-weir-activation"), weir_span_of(call->activation)};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct weir_span value = call->ops->field(call, names[i]);

		if (value.bytes > 0)
			out[count++] = (struct weir_dialect_field){weir_span_of(names[i]), value};
	}
	for (size_t i = 0; i < wanted->field_count && count < WEIR_DIALECT_FIELDS_MAX; i++)
		out[count++] = wanted->fields[i];
	return count;
}

/* The id that was given; else the sentence of the refusal. */
static void answer_read(struct weir_dialect_result *result, char out_id[WEIR_DIALECT_ID_BYTES])
{
	cJSON *const json = cJSON_ParseWithLength(result->body.data, result->body.bytes);
	const char *const id = weir_dialect_text(json, "activation");
	const char *const sentence = weir_dialect_text(json, "error");

	out_id[0] = '\0';
	if (result->status == 202 && id != NULL)
		(void)snprintf(out_id, WEIR_DIALECT_ID_BYTES, "%s", id); /* fits */
	else if (result->sentence[0] == '\0')
		(void)snprintf(result->sentence, sizeof(result->sentence), "%s",
			       sentence != NULL ? sentence : "the call could not be kept"); /* cut is fine */
	cJSON_Delete(json);
}

int weir_dialect_later(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
		       struct weir_dialect_result *out_result, char out_id[WEIR_DIALECT_ID_BYTES])
{
	struct weir_dialect_field field[WEIR_DIALECT_FIELDS_MAX];
	char path[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_invocation invocation = {
		.name = WEIR_BUILTIN_QUEUE,
		.path = path,
		.query = wanted->query,
		.body = wanted->body,
		.fields = field,
		.field_count = fields_make(call, wanted, field),
	};
	int code = 0;

	if (strcmp(wanted->space, WEIR_BUILTIN_SPACE) == 0) {
		*out_result = (struct weir_dialect_result){.status = 404, .sentence = "there is no function of this name"};
		return 0;
	}
	if (!weir_dialect_may(call, WEIR_ROLE_INVOKER, wanted->space)) { /* the queue asks nobody who comes from here */
		*out_result = (struct weir_dialect_result){.status = 403, .sentence = "the key is of another namespace"};
		return 0;
	}
	(void)snprintf(path, sizeof(path), "/weir/async/%s/%s", wanted->space, wanted->name); /* fits: names */
	code = call->ops->invoke(call, &invocation, out_result);
	if (code == 0)
		answer_read(out_result, out_id);
	return code;
}

int weir_dialect_later_ask(struct weir_dialect_call *call, const char *id, cJSON **out_told)
{
	struct weir_dialect_result result;
	char path[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_invocation invocation = {.name = WEIR_BUILTIN_QUEUE, .path = path, .is_get = true};
	int code = 0;

	(void)snprintf(path, sizeof(path), "/weir/async/%s", id); /* fits: an id */
	code = call->ops->invoke(call, &invocation, &result);
	*out_told = code == 0 && result.status == 200 ? cJSON_ParseWithLength(result.body.data, result.body.bytes) : NULL;
	return code;
}

bool weir_dialect_later_has_ended(const cJSON *told)
{
	return cJSON_GetObjectItemCaseSensitive(told, "ended") != NULL;
}

char *weir_dialect_later_body(const cJSON *told, size_t *out_bytes)
{
	const char *const text = weir_dialect_text(told, "body");
	const char *const base64 = weir_dialect_text(told, "body_base64");
	const size_t room = text != NULL ? strlen(text) : base64 != NULL ? strlen(base64) : 0;
	char *const body = malloc(room + 1);

	*out_bytes = 0;
	if (body == NULL)
		return NULL;
	if (text != NULL)
		*out_bytes = room, memcpy(body, text, room);
	else if (base64 != NULL)
		(void)sodium_base642bin((unsigned char *)body, room, base64, room, NULL, out_bytes, NULL,
					sodium_base64_VARIANT_ORIGINAL); /* the queue wrote it */
	body[*out_bytes] = '\0';
	return body;
}
