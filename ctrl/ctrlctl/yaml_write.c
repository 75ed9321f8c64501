#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "ctrl/ctrlctl/yaml.h"

/* A mapping or list that is being written: what comes next in it. */
struct level {
	const cJSON *next;
	bool is_object;
};

struct writing {
	yaml_emitter_t emitter;
	struct level level[WEIR_CTL_YAML_DEPTH_MAX];
	size_t depth;
};

static bool emit(struct writing *writing, yaml_event_t *event)
{
	return yaml_emitter_emit(&writing->emitter, event) != 0; /* releases the event either way */
}

/* Would some reader of YAML take the plain text for something else? */
static bool looks_typed(const char *text)
{
	static const char *const words[] = {"y",    "n",     "yes",  "no", "on", "off",
					    "true", "false", "null", "~",  "=",	 "<<"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(words[i], text) == 0)
			return true;
	}
	return text[0] == '\0' ||
	       (strchr("0123456789+-.", text[0]) != NULL &&
		text[strspn(text, "0123456789abcdefABCDEFxXoOnNiI+-._:,")] == '\0');
}

static bool text_write(struct writing *writing, const char *text, bool is_typed)
{
	const bool has_controls = text[strcspn(text, "\n\r\t\f\v\b\a\033")] != '\0';
	yaml_event_t event;

	return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text),
					    is_typed || !looks_typed(text), 1,
					    has_controls ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE) != 0 &&
	       emit(writing, &event);
}

static bool scalar_write(struct writing *writing, const cJSON *json)
{
	char *text = NULL;
	bool written = false;

	if (cJSON_IsString(json))
		return text_write(writing, json->valuestring, false);
	text = cJSON_PrintUnformatted(json);
	written = text != NULL && text_write(writing, text, true);
	cJSON_free(text);
	return written;
}

static bool begin(struct writing *writing, const cJSON *json)
{
	const bool is_object = cJSON_IsObject(json);
	/* Nothing in it: {} or [] on the same line. */
	const bool is_empty = json->child == NULL;
	yaml_event_t event;
	int made = 0;

	if (writing->depth == WEIR_CTL_YAML_DEPTH_MAX)
		return false;
	writing->level[writing->depth++] = (struct level){.next = json->child, .is_object = is_object};
	if (is_object)
		made = yaml_mapping_start_event_initialize(
			&event, NULL, NULL, 1, is_empty ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE);
	else
		made = yaml_sequence_start_event_initialize(
			&event, NULL, NULL, 1, is_empty ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE);
	return made != 0 && emit(writing, &event);
}

static bool end(struct writing *writing)
{
	yaml_event_t event;
	const bool is_object = writing->level[--writing->depth].is_object;

	return (is_object ? yaml_mapping_end_event_initialize(&event) : yaml_sequence_end_event_initialize(&event)) != 0 &&
	       emit(writing, &event);
}

static bool value_write(struct writing *writing, const cJSON *json)
{
	return cJSON_IsObject(json) || cJSON_IsArray(json) ? begin(writing, json) : scalar_write(writing, json);
}

/* All values, the innermost open level first. */
static bool values_write(struct writing *writing, const cJSON *json)
{
	bool written = value_write(writing, json);

	while (written && writing->depth > 0) {
		struct level *level = &writing->level[writing->depth - 1];
		const cJSON *item = level->next;

		if (item == NULL) {
			written = end(writing);
			continue;
		}
		level->next = item->next;
		written = (!level->is_object || text_write(writing, item->string, false)) && value_write(writing, item);
	}
	return written;
}

static int output(void *context, unsigned char *data, size_t bytes)
{
	return fwrite(data, 1, bytes, context) == bytes;
}

static bool document_write(struct writing *writing, const cJSON *json)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) != 0 && emit(writing, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) != 0 && emit(writing, &event) &&
	       values_write(writing, json) && yaml_document_end_event_initialize(&event, 1) != 0 &&
	       emit(writing, &event) && yaml_stream_end_event_initialize(&event) != 0 && emit(writing, &event);
}

char *weir_ctl_yaml_write(const cJSON *json)
{
	struct writing writing = {.depth = 0};
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);
	bool written = false;

	if (file == NULL)
		return NULL;
	if (yaml_emitter_initialize(&writing.emitter) != 0) {
		yaml_emitter_set_output(&writing.emitter, output, file);
		yaml_emitter_set_unicode(&writing.emitter, 1);
		yaml_emitter_set_width(&writing.emitter, -1);
		written = document_write(&writing, json);
		yaml_emitter_delete(&writing.emitter);
	}
	written = fclose(file) == 0 && written;
	if (written)
		return text;
	free(text);
	return NULL;
}
