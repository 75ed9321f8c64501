#include "ctrl/dialectd/failure.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/http/http_failure.h"

enum { FAILURE_BYTES_MAX = 4096 /* of an error of Weir's */ };

static const char *text_of(const cJSON *json, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

/* The word of one of Weir's own errors, or NULL. */
static const char *word_find(const char *code)
{
	for (int i = WEIR_HTTP_OK + 1; code != NULL && i < WEIR_HTTP_FAILURE_COUNT; i++) {
		const char *const word = weir_http_failure_row((enum weir_http_failure)i)->code;

		if (strcmp(word, code) == 0)
			return word;
	}
	return NULL;
}

const char *weir_failure_read(uint32_t status, struct weir_span body, char *out_sentence, size_t max)
{
	cJSON *json = NULL;
	const char *sentence = NULL;
	const char *word = NULL;

	if (status < 400 || body.bytes > FAILURE_BYTES_MAX)
		return NULL;
	json = cJSON_ParseWithLength(body.data, body.bytes);
	sentence = text_of(json, "error");
	if (sentence != NULL && text_of(json, "part") != NULL)
		word = word_find(text_of(json, "code"));
	if (word != NULL)
		(void)snprintf(out_sentence, max, "%s", sentence); /* cut is fine */
	cJSON_Delete(json);
	return word;
}
