#include "ctrl/model/model_number.h"

#include <errno.h>
#include <string.h>

/* Where a walk over all values stands: the next one of each open level. */
struct walk {
	cJSON *next[WEIR_MODEL_NUMBER_LEVELS_MAX];
	size_t depth;
};

bool weir_model_number_is_long(const char *text, size_t bytes)
{
	size_t digits = 0;

	for (size_t i = 0; i < bytes && text[i] != 'e' && text[i] != 'E'; i++) {
		if (text[i] >= '0' && text[i] <= '9' && (digits > 0 || text[i] != '0'))
			digits++;
	}
	return digits > WEIR_MODEL_NUMBER_DIGITS_MAX;
}

/* The next number in the order of the text; NULL behind the last. */
static cJSON *number_next(struct walk *walk)
{
	while (walk->depth > 0) {
		cJSON *json = walk->next[walk->depth - 1];

		if (json == NULL) {
			walk->depth--;
			continue;
		}
		walk->next[walk->depth - 1] = json->next;
		if (cJSON_IsNumber(json))
			return json;
		if (json->child != NULL && walk->depth == WEIR_MODEL_NUMBER_LEVELS_MAX)
			return NULL;
		if (json->child != NULL)
			walk->next[walk->depth++] = json->child;
	}
	return NULL;
}

/* The bytes of a string at text[0], its quotes among them. */
static size_t string_bytes(const char *text, size_t bytes)
{
	size_t i = 1;

	while (i < bytes && text[i] != '"')
		i += text[i] == '\\' ? 2 : 1;
	return i + 1;
}

static size_t number_bytes(const char *text, size_t bytes)
{
	size_t i = 0;

	while (i < bytes && strchr("+-.0123456789eE", text[i]) != NULL && text[i] != '\0')
		i++;
	return i;
}

static int number_take(struct walk *walk, const char *text, size_t bytes)
{
	cJSON *json = number_next(walk);
	char *copy = NULL;

	if (json == NULL)
		return -EBADMSG;
	if (!weir_model_number_is_long(text, bytes))
		return 0;
	copy = strndup(text, bytes);
	if (copy == NULL)
		return -ENOMEM;
	json->type = cJSON_Raw;
	json->valuestring = copy;
	return 0;
}

int weir_model_numbers_keep(cJSON *json, const char *text, size_t bytes)
{
	struct walk walk = {.next = {json->child}, .depth = 1};
	int code = 0;

	for (size_t i = 0; code == 0 && i < bytes;) {
		size_t used = 1;

		if (text[i] == '"') {
			used = string_bytes(text + i, bytes - i);
		} else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
			used = number_bytes(text + i, bytes - i);
			code = number_take(&walk, text + i, used);
		}
		i += used;
	}
	return code;
}
