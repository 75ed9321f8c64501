#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/store/log_store.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"

enum {
	LINES_DEFAULT = 100,
	ANSWER_BYTES_MAX = 65536, /* abi/output.h */
	ESCAPE_BYTES = 4, /* of one byte: \xNN */
};

/* How many bytes the sound UTF-8 character at `text` has; 0 if there is none. */
static size_t character_bytes(const uint8_t *text, size_t bytes)
{
	const size_t wanted = text[0] < 0x80                        ? 1
			      : text[0] >= 0xc2 && text[0] <= 0xdf ? 2
			      : text[0] >= 0xe0 && text[0] <= 0xef ? 3
			      : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
								     : 0;

	if (wanted == 0 || wanted > bytes)
		return 0;
	for (size_t i = 1; i < wanted; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and what is beyond Unicode. */
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return wanted;
}

/* Does this character go out as it is? Controls do not, but for the tab: terminals act upon them. */
static bool is_plain(const uint8_t *text, size_t bytes)
{
	if (bytes == 1)
		return (text[0] >= 0x20 && text[0] != 0x7f) || text[0] == '\t';
	return bytes != 0 && !(text[0] == 0xc2 && text[1] < 0xa0);
}

/* Any bytes as text that is fit for JSON and terminals: what is not is \xNN. From malloc; NULL without
 * memory. */
static char *text_escape(struct weir_span text)
{
	static const char digits[] = "0123456789abcdef";
	char *const out = malloc(text.bytes * ESCAPE_BYTES + 1);
	size_t used = 0;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < text.bytes;) {
		const uint8_t *const at = (const uint8_t *)text.data + i;
		size_t bytes = character_bytes(at, text.bytes - i);

		if (is_plain(at, bytes)) {
			memcpy(out + used, at, bytes);
			used += bytes;
		} else {
			bytes = 1;
			out[used++] = '\\';
			out[used++] = 'x';
			out[used++] = digits[at[0] >> 4];
			out[used++] = digits[at[0] & 15];
		}
		i += bytes;
	}
	out[used] = '\0';
	return out;
}

static void text_add(cJSON *json, const char *name, struct weir_span text)
{
	char *const escaped = text_escape(text);

	(void)cJSON_AddStringToObject(json, name, escaped == NULL ? "" : escaped);
	free(escaped);
}

static void line_visit(void *context, const struct weir_log_line *line)
{
	static const char *const streams[] = {"stdout", "stderr", "debug", "info", "warn", "error"};
	const bool is_known = line->stream < sizeof(streams) / sizeof(streams[0]);
	const struct weir_id activation = {.high = line->activation_high,
					   .low = line->activation_low};
	cJSON *const json = cJSON_CreateObject();
	char id[33] = {0};

	weir_id_format(activation, id);
	(void)cJSON_AddNumberToObject(json, "id", (double)line->id); /* or members lack */
	weir_api_time_add(json, "time", line->time_ns);
	(void)cJSON_AddStringToObject(json, "stream", is_known ? streams[line->stream] : "?");
	text_add(json, "text", line->text);
	text_add(json, "function", line->function);
	(void)cJSON_AddStringToObject(
		json, "activation", activation.high == 0 && activation.low == 0 ? "" : id);
	(void)cJSON_AddItemToArray(context, json);
}

static bool filter_read(struct weir_api_call *call, struct weir_log_filter *filter)
{
	struct weir_api_page page = {.limit = LINES_DEFAULT};

	if (!weir_api_page_read(call, &page, WEIR_LOG_STORE_LINES_MAX))
		return false;
	filter->after_id = page.after;
	filter->since_ns = page.since_ns;
	filter->newest = page.newest;
	filter->lines_max = page.limit;
	return true;
}

/* The answer: {"lines":[...]}, empty where there are none. */
static enum weir_api_result lines_answer(struct weir_api_call *call,
					 const struct weir_log_filter *filter)
{
	struct weir_store_error error = {{0}};
	cJSON *const answer = cJSON_CreateObject();
	cJSON *const lines = cJSON_AddArrayToObject(answer, "lines");
	const int code =
		weir_log_store_read(call->owner->data, filter, line_visit, lines, &error);

	if (code != 0 && code != -ENOENT) {
		cJSON_Delete(answer);
		return weir_api_refuse_store(call, code, &error);
	}
	cJSON_Delete(call->answer);
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}

static bool lines_are_none(const struct weir_api_call *call)
{
	return call->status == 200 &&
	       cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(call->answer, "lines")) == 0;
}

/* Leave what the caller may see. */
static void lines_limit(struct weir_api_call *call)
{
	cJSON *const lines = cJSON_GetObjectItemCaseSensitive(call->answer, "lines");
	cJSON *line = lines == NULL ? NULL : lines->child;

	while (line != NULL) {
		cJSON *const next = line->next;
		const char *const function = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "function"));

		if (!weir_api_sees_function(call, function == NULL ? "" : function))
			cJSON_Delete(cJSON_DetachItemViaPointer(lines, line));
		line = next;
	}
}

enum weir_api_result weir_api_activation_logs(struct weir_api_call *call)
{
	struct weir_log_filter filter = {0};
	enum weir_api_result result = WEIR_API_DONE;

	if (!weir_api_activation_parse(call, call->param[0], &filter.activation_high, &filter.activation_low) ||
	    !filter_read(call, &filter))
		return WEIR_API_DONE;
	if (!weir_api_is_kept(call, WEIR_API_OUTPUT))
		return WEIR_API_RETRY;
	result = lines_answer(call, &filter);
	if (result == WEIR_API_DONE && call->status == 200)
		lines_limit(call);
	if (result == WEIR_API_DONE && filter.after_id == 0 && lines_are_none(call))
		return weir_api_refuse(call, 404, "not_found", NULL,
				       "nothing is kept of this activation: the id is unknown, the "
				       "call printed nothing, or its lines were too old to keep");
	return result;
}

/* The parts of an answer, put together. */
struct answer {
	size_t bytes;	 /* that it has; 0: they are not known yet */
	size_t used;	 /* that are here */
	bool is_spoiled; /* it is none, or parts were dropped */
	char text[ANSWER_BYTES_MAX + 1];
};

static void answer_visit(void *context, const struct weir_log_line *line)
{
	struct answer *const answer = context;
	char length[24] = "";

	if (answer->bytes == 0) {
		if (line->text.bytes < sizeof(length))
			memcpy(length, line->text.data, line->text.bytes);
		answer->bytes = strtoull(length, NULL, 10);
		answer->is_spoiled = answer->bytes == 0 || answer->bytes > ANSWER_BYTES_MAX;
	} else if (!answer->is_spoiled && line->text.bytes <= answer->bytes - answer->used) {
		memcpy(answer->text + answer->used, line->text.data, line->text.bytes);
		answer->used += line->text.bytes;
	} else {
		answer->is_spoiled = true;
	}
}

/* Its JSON; NULL: there is none. *out_code is that of the store. */
static cJSON *answer_read(const struct weir_api_call *call, const struct weir_log_filter *filter, int *out_code,
			  struct weir_store_error *error)
{
	struct answer *const answer = calloc(1, sizeof(*answer));
	cJSON *json = NULL;

	(void)snprintf(error->text, sizeof(error->text), "there is no memory for the answer");
	*out_code = answer == NULL ? -ENOMEM
				   : weir_log_store_read(call->owner->data, filter, answer_visit, answer, error);
	if (*out_code == 0 && !answer->is_spoiled && answer->bytes != 0 && answer->used == answer->bytes)
		json = cJSON_ParseWithLength(answer->text, answer->bytes);
	free(answer);
	return json;
}

/* Who is bound to a namespace sees answers that say that they are of it: "ns", or "ns/package". */
static bool answer_is_seen(const struct weir_api_call *call, const cJSON *answer)
{
	const char *const space = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "namespace"));

	return weir_api_space_of(call) == NULL ||
	       (space != NULL && (weir_api_sees(call, space) || weir_api_sees_function(call, space)));
}

enum weir_api_result weir_api_activation_answer(struct weir_api_call *call)
{
	struct weir_log_filter filter = {.answers = true, .lines_max = WEIR_LOG_STORE_LINES_MAX};
	struct weir_store_error error = {{0}};
	cJSON *json = NULL;
	int code = 0;

	if (!weir_api_activation_parse(call, call->param[0], &filter.activation_high, &filter.activation_low))
		return WEIR_API_DONE;
	if (!weir_api_is_kept(call, WEIR_API_OUTPUT))
		return WEIR_API_RETRY;
	json = answer_read(call, &filter, &code, &error);
	if (code != 0 && code != -ENOENT)
		return weir_api_refuse_store(call, code, &error);
	if (!answer_is_seen(call, json)) {
		cJSON_Delete(json);
		json = NULL;
	}
	if (json == NULL)
		return weir_api_refuse(call, 404, "not_found", NULL,
				       "no answer is kept of this activation: the id is unknown, it was not called by a "
				       "client whose answers are kept, its answer was too large, or it is too old");
	cJSON_Delete(call->answer);
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "activation", call->param[0]); /* or members lack */
	(void)cJSON_AddItemToObject(call->answer, "answer", json);
	call->status = 200;
	return WEIR_API_DONE;
}

/* Is there such a function now? */
static bool function_exists(const struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_model_function function;

	for (size_t i = 0; i < call->owner->rows->count; i++) {
		const struct weir_public_row *const row = &call->owner->rows->rows[i];

		if (strcmp(row->function.space, call->param[0]) == 0 &&
		    strcmp(row->function.name, call->param[1]) == 0)
			return true;
	}
	return weir_store_function_find(call->owner->store, call->param[0], call->param[1],
					&function, &error) != -ENOENT;
}

enum weir_api_result weir_api_function_logs(struct weir_api_call *call)
{
	char function[sizeof(call->param) + 2];
	struct weir_log_filter filter = {.function = function};
	enum weir_api_result result = WEIR_API_DONE;

	(void)snprintf(function, sizeof(function), "%s/%s", call->param[0],
		       call->param[1]); /* fits */
	if (!filter_read(call, &filter))
		return WEIR_API_DONE;
	if (!weir_api_is_kept(call, WEIR_API_OUTPUT))
		return WEIR_API_RETRY;
	result = lines_answer(call, &filter);
	if (result == WEIR_API_DONE && lines_are_none(call) && !function_exists(call))
		return weir_api_refuse(call, 404, "not_found", NULL,
				       "there is no function of this name, and nothing is kept of "
				       "an earlier one");
	return result;
}
