#include "ctrl/dialect/dialect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/model/model_json.h"

bool weir_dialect_may(const struct weir_dialect_call *call, enum weir_role needed, const char *space)
{
	return (call->caller.role == WEIR_ROLE_NOBODY && !call->caller.is_required) ||
	       weir_role_may(call->caller.role, call->caller.space, needed, weir_span_of(space));
}

int weir_dialect_reply_json(struct weir_dialect_call *call, uint16_t status, cJSON *json)
{
	char *const text = json == NULL ? NULL : cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	if (text == NULL)
		return -ENOMEM;
	free(call->reply.text);
	call->reply.status = status;
	call->reply.type = "application/json";
	call->reply.text = text; /* cJSON's allocator is malloc: nobody sets another */
	call->reply.bytes = strlen(text);
	return 0;
}

int weir_dialect_reply_text(struct weir_dialect_call *call, uint16_t status, const char *type, struct weir_span text)
{
	char *const copy = malloc(text.bytes + 1);

	if (copy == NULL)
		return -ENOMEM;
	if (text.bytes > 0)
		memcpy(copy, text.data, text.bytes);
	copy[text.bytes] = '\0';
	free(call->reply.text);
	call->reply.status = status;
	call->reply.type = type;
	call->reply.text = copy;
	call->reply.bytes = text.bytes;
	return 0;
}

int weir_dialect_reply_field(struct weir_dialect_call *call, struct weir_span name, const char *value)
{
	struct weir_dialect_reply *const reply = &call->reply;
	char *const kept = reply->kept + reply->kept_bytes;
	const size_t bytes = strnlen(value, sizeof(reply->kept) - reply->kept_bytes);

	if (reply->field_count == WEIR_DIALECT_FIELDS_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < bytes; i++)
		kept[i] = (unsigned char)value[i] < ' ' || value[i] == 0x7f ? ' ' : value[i];
	reply->kept_bytes += bytes;
	reply->field[reply->field_count++] =
		(struct weir_dialect_field){.name = name, .value = {.data = kept, .bytes = bytes}};
	return 0;
}

/* Leave out commas that stand before a closing bracket; strings are stepped over. */
static size_t commas_drop(char *text, size_t bytes)
{
	size_t used = 0;
	bool is_string = false;

	for (size_t i = 0; i < bytes; i++) {
		size_t next = i + 1;

		if (is_string && text[i] == '\\' && next < bytes) {
			text[used++] = text[i++];
		} else if (text[i] == '"') {
			is_string = !is_string;
		} else if (!is_string && text[i] == ',') {
			while (next < bytes && strchr(" \t\r\n", text[next]) != NULL && text[next] != '\0')
				next++;
			if (next < bytes && (text[next] == '}' || text[next] == ']'))
				continue;
		}
		text[used++] = text[i];
	}
	return used;
}

/* Are there as many values as a worker can hold for each of its calls? In canonical form. */
static bool has_too_many_values(const char *text, size_t bytes)
{
	size_t count = 0;
	bool is_string = false;

	for (size_t i = 0; i < bytes; i++) {
		if (is_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			is_string = !is_string;
		else
			count += !is_string && (text[i] == ',' || text[i] == '[' || text[i] == '{');
	}
	return count > WEIR_DIALECT_JSON_VALUES_MAX;
}

static cJSON *object_parse(char *text, size_t bytes, const char *what, char sentence[WEIR_DIALECT_SENTENCE_BYTES])
{
	struct weir_model_error wrong = {.reason = "cannot be read: not enough memory"};
	size_t canonical_bytes = 0;
	cJSON *json = NULL;

	if (bytes == 0)
		return cJSON_CreateObject();
	(void)snprintf(wrong.field, sizeof(wrong.field), "%s", what); /* fits */
	if (weir_model_json_canonicalize((struct weir_span){.data = text, .bytes = bytes}, what,
					 WEIR_DIALECT_JSON_DEPTH_MAX, text, &canonical_bytes, &wrong) == 0) {
		if (has_too_many_values(text, canonical_bytes))
			(void)snprintf(wrong.reason, sizeof(wrong.reason), "has more than %d values",
				       WEIR_DIALECT_JSON_VALUES_MAX);
		else
			json = cJSON_ParseWithLength(text, canonical_bytes);
	}
	if (cJSON_IsObject(json))
		return json;
	(void)snprintf(sentence, WEIR_DIALECT_SENTENCE_BYTES, "%s %s", wrong.field,
		       json != NULL ? "must be a JSON object" : wrong.reason); /* cut is fine */
	cJSON_Delete(json);
	return NULL;
}

cJSON *weir_dialect_json(struct weir_span from, const char *what, bool is_lenient,
			 char sentence[WEIR_DIALECT_SENTENCE_BYTES])
{
	char *const text = malloc(from.bytes + 1);
	size_t bytes = from.bytes;
	cJSON *json = NULL;

	if (text == NULL) {
		(void)snprintf(sentence, WEIR_DIALECT_SENTENCE_BYTES, "not enough memory for the %s", what);
		return NULL;
	}
	if (bytes > 0)
		memcpy(text, from.data, bytes);
	if (is_lenient)
		bytes = commas_drop(text, bytes);
	json = object_parse(text, bytes, what, sentence);
	free(text);
	return json;
}

cJSON *weir_dialect_body(const struct weir_dialect_call *call, bool is_lenient,
			 char sentence[WEIR_DIALECT_SENTENCE_BYTES])
{
	return weir_dialect_json(call->body, "body", is_lenient, sentence);
}

const char *weir_dialect_text(const cJSON *json, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static bool is_plain(unsigned char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       (byte != '\0' && strchr("-._~", byte) != NULL);
}

static bool target_put(char out[WEIR_DIALECT_TARGET_BYTES], size_t *used, const char *text, bool is_encoded)
{
	for (; *text != '\0'; text++) {
		const unsigned char byte = (unsigned char)*text;
		const bool is_as_it_is = !is_encoded || is_plain(byte);

		if (*used + 4 > WEIR_DIALECT_TARGET_BYTES)
			return false;
		*used += (size_t)snprintf(out + *used, 4, is_as_it_is ? "%c" : "%%%02X", byte);
	}
	return true;
}

bool weir_dialect_target(char out[WEIR_DIALECT_TARGET_BYTES], const char *format, const char *const *parts)
{
	size_t used = 0;

	out[0] = '\0';
	for (const char *at = format; *at != '\0'; at++) {
		const char one[2] = {*at, '\0'};
		const bool is_part = at[0] == '%' && at[1] == 's';

		if (!target_put(out, &used, is_part ? *parts : one, is_part))
			return false;
		parts += is_part;
		at += is_part;
	}
	return true;
}

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Percent-decode; NULs have no place in it. */
static bool decode(struct weir_span text, char *out, size_t max)
{
	size_t used = 0;

	for (size_t i = 0; i < text.bytes; i++) {
		int byte = (unsigned char)text.data[i] == '+' ? ' ' : (unsigned char)text.data[i];

		if (byte == '%') {
			const int high = i + 2 < text.bytes ? hex_digit(text.data[i + 1]) : -1;
			const int low = high < 0 ? -1 : hex_digit(text.data[i + 2]);

			byte = low < 0 ? 0 : high * 16 + low;
			i += 2;
		}
		if (byte == 0 || used + 1 >= max)
			return false;
		out[used++] = (char)byte;
	}
	out[used] = '\0';
	return true;
}

bool weir_dialect_query(const struct weir_dialect_call *call, const char *name, char *out, size_t max)
{
	const size_t name_bytes = strlen(name);
	struct weir_span rest = call->query;

	while (rest.bytes > 0) {
		const char *const end = memchr(rest.data, '&', rest.bytes);
		const size_t bytes = end == NULL ? rest.bytes : (size_t)(end - rest.data);
		const struct weir_span value = {.data = rest.data + name_bytes + 1, .bytes = bytes - name_bytes - 1};

		if (bytes > name_bytes && memcmp(rest.data, name, name_bytes) == 0 && rest.data[name_bytes] == '=')
			return decode(value, out, max);
		rest.data += end == NULL ? bytes : bytes + 1;
		rest.bytes -= end == NULL ? bytes : bytes + 1;
	}
	return false;
}

bool weir_dialect_name(struct weir_span span, char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	if (span.bytes == 0 || span.bytes > WEIR_MODEL_NAME_BYTES_MAX)
		return false;
	memcpy(out, span.data, span.bytes);
	out[span.bytes] = '\0';
	return true;
}

bool weir_dialect_named(struct weir_span text, const char *space, struct weir_dialect_named *out_named)
{
	const size_t none = text.bytes;
	size_t slash = 0; /* where it is, and what stands for it */
	size_t slash_bytes = 1;

	while (slash < none && text.data[slash] != '/' && text.data[slash] != '%')
		slash++;
	if (slash < none && text.data[slash] == '%') {
		slash_bytes = 3;
		if (none - slash < slash_bytes || strncasecmp(text.data + slash, "%2f", slash_bytes) != 0)
			return false;
	}
	if (slash == none)
		return weir_dialect_name(weir_span_of(space), out_named->space) && weir_dialect_name(text, out_named->name);
	return weir_dialect_name((struct weir_span){.data = text.data, .bytes = slash}, out_named->space) &&
	       weir_dialect_name((struct weir_span){.data = text.data + slash + slash_bytes,
						    .bytes = none - slash - slash_bytes},
				 out_named->name);
}

const char *weir_dialect_sentence(const struct weir_dialect_verdict *verdict)
{
	const char *const sentence = weir_dialect_text(verdict->json, "error");

	return sentence != NULL ? sentence : "weir-ctrld gave no reason; see the instance's log";
}

void weir_dialect_verdict_release(struct weir_dialect_verdict *verdict)
{
	cJSON_Delete(verdict->json);
	free(verdict->text);
	*verdict = (struct weir_dialect_verdict){.json = NULL};
}
