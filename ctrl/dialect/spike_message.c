#include "ctrl/dialect/spike_message.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBER_BYTES = 32, MESSAGE_BYTES = WEIR_DIALECT_SENTENCE_BYTES + 256 };

static uint16_t status_of(enum weir_spike_code code)
{
	switch (code) {
	case WEIR_SPIKE_INVALID:
		return 400;
	case WEIR_SPIKE_NOT_FOUND:
		return 404;
	case WEIR_SPIKE_UNIMPLEMENTED:
		return 501;
	case WEIR_SPIKE_UNAVAILABLE:
		return 503;
	case WEIR_SPIKE_UNKNOWN:
		break;
	}
	return 500;
}

int weir_spike_fail(struct weir_dialect_call *call, enum weir_spike_code code, const char *format, ...)
{
	char text[MESSAGE_BYTES];
	cJSON *const json = cJSON_CreateObject();
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments); /* cut is fine */
	va_end(arguments);
	(void)cJSON_AddNumberToObject(json, "code", code); /* or members lack */
	(void)cJSON_AddStringToObject(json, "message", text);
	(void)cJSON_AddArrayToObject(json, "details");
	return weir_dialect_reply_json(call, status_of(code), json);
}

int weir_spike_done(struct weir_dialect_call *call, const char *message)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(json, "code", 0); /* or members lack */
	(void)cJSON_AddStringToObject(json, "message", message);
	return weir_dialect_reply_json(call, 200, json);
}

enum weir_spike_code weir_spike_code_of(uint32_t status)
{
	return status == 503 ? WEIR_SPIKE_UNAVAILABLE : WEIR_SPIKE_UNKNOWN;
}

int weir_spike_refused(struct weir_dialect_call *call, struct weir_dialect_verdict *verdict)
{
	const char *const word = weir_dialect_text(verdict->json, "code");
	const bool is_there = word != NULL && strcmp(word, "exists") == 0;
	const int code = weir_spike_fail(call, weir_spike_code_of(verdict->status), "%s",
					 is_there ? "function has been created" : weir_dialect_sentence(verdict));

	weir_dialect_verdict_release(verdict);
	return code;
}

int weir_spike_ask(struct weir_dialect_call *call, const char *method, const char *format, const char *name,
	       const cJSON *json, struct weir_dialect_verdict *out_verdict)
{
	const char *const parts[] = {WEIR_SPIKE_SPACE, name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = method, .target = target, .json = json};

	return weir_dialect_target(target, format, parts) ? call->ops->manage(call, &order, out_verdict) : -EINVAL;
}

int weir_spike_name_wrong(struct weir_dialect_call *call)
{
	return weir_spike_fail(call, WEIR_SPIKE_UNKNOWN, "function_name must have 1 to %d bytes",
			       WEIR_MODEL_NAME_BYTES_MAX);
}

const cJSON *weir_spike_member(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
	char spelled[MEMBER_BYTES];
	size_t used = 0;

	for (const char *at = name; *at != '\0' && used + 1 < sizeof(spelled); at++) {
		const bool is_inner = at[0] == '_' && at[1] >= 'a' && at[1] <= 'z';

		spelled[used++] = is_inner ? (char)(*++at - 'a' + 'A') : *at;
	}
	spelled[used] = '\0';
	if (item == NULL)
		item = cJSON_GetObjectItemCaseSensitive(json, spelled);
	return cJSON_IsNull(item) ? NULL : item;
}

void weir_spike_wrong(struct weir_spike_reader *reader, const char *name, const char *wanted)
{
	if (reader->wrong[0] == '\0')
		(void)snprintf(reader->wrong, sizeof(reader->wrong), "%s must be %s", name, wanted); /* fits */
}

const char *weir_spike_text(struct weir_spike_reader *reader, const char *name)
{
	const cJSON *const item = weir_spike_member(reader->json, name);

	if (item == NULL)
		return "";
	if (cJSON_IsString(item))
		return item->valuestring;
	weir_spike_wrong(reader, name, "a text");
	return "";
}

/* A number, or one in a text. NaN: it is neither. */
static double number_value(const cJSON *item)
{
	const char *const text = cJSON_GetStringValue(item);
	char *end = NULL;
	double value = (double)NAN;

	if (text == NULL)
		return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
	if (text[0] == '\0' || text[0] == '+' || text[strspn(text, "0123456789+-.eE")] != '\0')
		return (double)NAN;
	value = strtod(text, &end);
	return *end == '\0' ? value : (double)NAN;
}

int32_t weir_spike_number(struct weir_spike_reader *reader, const char *name)
{
	const cJSON *const item = weir_spike_member(reader->json, name);
	const double value = item == NULL ? 0 : number_value(item);

	if (value >= INT32_MIN && value <= INT32_MAX && value == floor(value)) /* NaN is neither */
		return (int32_t)value;
	weir_spike_wrong(reader, name, "a whole number of 32 bits");
	return 0;
}

bool weir_spike_switch(struct weir_spike_reader *reader, const char *name)
{
	const cJSON *const item = weir_spike_member(reader->json, name);

	if (item != NULL && !cJSON_IsBool(item))
		weir_spike_wrong(reader, name, "true or false");
	return cJSON_IsTrue(item);
}
