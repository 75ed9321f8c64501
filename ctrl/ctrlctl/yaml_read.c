#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "ctrl/ctrlctl/yaml.h"
#include "ctrl/model/model_number.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum { MARKS_FIRST = 256 };

/* A mapping or list that is open. */
struct level {
	cJSON *json;
	char *name; /* of a mapping: the value that comes is this one's; NULL: a name comes */
	size_t names;
};

struct reading {
	struct weir_ctl_yaml *yaml;
	struct weir_ctl_yaml_error *error;
	struct level level[WEIR_CTL_YAML_DEPTH_MAX];
	size_t depth;
	size_t documents;
};

static int wrong(struct reading *reading, const yaml_mark_t *mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int wrong(struct reading *reading, const yaml_mark_t *mark, const char *format, ...)
{
	va_list arguments;

	reading->error->line = mark->line + 1;
	reading->error->column = mark->column + 1;
	va_start(arguments, format);
	(void)vsnprintf(reading->error->reason, sizeof(reading->error->reason), format, arguments); /* cut is fine */
	va_end(arguments);
	return -EINVAL;
}

/* Somebody's text in a sentence. */
static const char *quote(const char *text, char out[64])
{
	(void)snprintf(out, 64, "%.48s%s", text, strlen(text) > 48 ? "..." : ""); /* fits */
	for (char *at = out; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	}
	return out;
}

/* Scalars */

/* "-12.5e3" as JSON has it. */
static bool is_number(const char *text)
{
	const char *at = text + (text[0] == '-');
	size_t digits = strspn(at, "0123456789");

	if (digits == 0 || (digits > 1 && at[0] == '0'))
		return false;
	at += digits;
	if (*at == '.') {
		digits = strspn(at + 1, "0123456789");
		if (digits == 0)
			return false;
		at += 1 + digits;
	}
	if (*at == 'e' || *at == 'E') {
		at += 1 + (at[1] == '+' || at[1] == '-');
		digits = strspn(at, "0123456789");
		if (digits == 0)
			return false;
		at += digits;
	}
	return *at == '\0';
}

static int number_read(struct reading *reading, const yaml_event_t *event, const char *text, cJSON **out_json)
{
	const double number = strtod(text, NULL);
	char shown[64];

	if (isinf(number))
		return wrong(reading, &event->start_mark, "the number %s is too large; put it in quotes if it is text",
			     quote(text, shown));
	*out_json = weir_model_number_is_long(text, strlen(text)) ? cJSON_CreateRaw(text) : cJSON_CreateNumber(number);
	return 0;
}

static int scalar_read(struct reading *reading, const yaml_event_t *event, cJSON **out_json)
{
	const char *text = (const char *)event->data.scalar.value;
	const bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (strlen(text) != event->data.scalar.length)
		return wrong(reading, &event->start_mark, "text must not hold the character \\0");
	if (is_plain && is_number(text))
		return number_read(reading, event, text, out_json);
	if (is_plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		*out_json = cJSON_CreateBool(text[0] == 't');
	else if (is_plain && (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
		*out_json = cJSON_CreateNull();
	else
		*out_json = cJSON_CreateString(text);
	return 0;
}

/* Structure */

static void mark_add(struct reading *reading, const cJSON *value, const yaml_mark_t *mark)
{
	struct weir_ctl_yaml *yaml = reading->yaml;

	if (yaml->mark_count == yaml->mark_room) {
		yaml->mark_room = yaml->mark_room == 0 ? MARKS_FIRST : 2 * yaml->mark_room;
		yaml->marks = reallocarray(yaml->marks, yaml->mark_room, sizeof(*yaml->marks));
		WEIR_ASSERT(yaml->marks != NULL); /* a command line that has no memory left cannot go on */
	}
	yaml->marks[yaml->mark_count++] = (struct weir_ctl_yaml_mark){
		.value = value, .line = mark->line + 1, .column = mark->column + 1};
}

/* A value takes its place. It passes over. */
static int value_add(struct reading *reading, const yaml_event_t *event, cJSON *json)
{
	struct level *level = reading->depth == 0 ? NULL : &reading->level[reading->depth - 1];
	bool added = true;

	WEIR_ASSERT(json != NULL);
	if (reading->yaml->mark_count == WEIR_CTL_YAML_VALUES_MAX) {
		cJSON_Delete(json);
		return wrong(reading, &event->start_mark, "the document has more than %d values",
			     WEIR_CTL_YAML_VALUES_MAX);
	}
	mark_add(reading, json, &event->start_mark);
	if (level == NULL)
		reading->yaml->json = json;
	else if (level->name == NULL)
		added = cJSON_AddItemToArray(level->json, json);
	else
		added = cJSON_AddItemToObject(level->json, level->name, json);
	WEIR_ASSERT(added);
	if (level != NULL)
		free(level->name);
	if (level != NULL)
		level->name = NULL;
	return 0;
}

static int name_read(struct reading *reading, const yaml_event_t *event, struct level *level)
{
	const char *text = (const char *)event->data.scalar.value;
	char shown[64];

	if (strlen(text) != event->data.scalar.length)
		return wrong(reading, &event->start_mark, "a name must not hold the character \\0");
	if (cJSON_GetObjectItemCaseSensitive(level->json, text) != NULL)
		return wrong(reading, &event->start_mark, "'%s' is given twice", quote(text, shown));
	if (++level->names > WEIR_CTL_YAML_NAMES_MAX)
		return wrong(reading, &event->start_mark, "there are more than %d names in one mapping",
			     WEIR_CTL_YAML_NAMES_MAX);
	level->name = strdup(text);
	WEIR_ASSERT(level->name != NULL);
	return 0;
}

static int open_level(struct reading *reading, const yaml_event_t *event, cJSON *json)
{
	int code = 0;

	if (reading->depth == WEIR_CTL_YAML_DEPTH_MAX) {
		cJSON_Delete(json);
		return wrong(reading, &event->start_mark, "there are more than %d levels within each other",
			     WEIR_CTL_YAML_DEPTH_MAX);
	}
	code = value_add(reading, event, json);
	if (code == 0)
		reading->level[reading->depth++] = (struct level){.json = json};
	return code;
}

/* Anchors, aliases and tags make of a small text a large or another document. */
static int plain_check(struct reading *reading, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		return wrong(reading, &event->start_mark, "aliases (*NAME) are not taken; write the value itself");
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor != NULL)
		return wrong(reading, &event->start_mark, "anchors (&NAME) are not taken; write the value itself");
	if (tag != NULL)
		return wrong(reading, &event->start_mark, "tags (!NAME) are not taken; put text in quotes");
	return 0;
}

static int value_read(struct reading *reading, const yaml_event_t *event)
{
	struct level *level = reading->depth == 0 ? NULL : &reading->level[reading->depth - 1];
	const bool wants_name = level != NULL && cJSON_IsObject(level->json) && level->name == NULL;
	cJSON *json = NULL;
	int code = plain_check(reading, event);

	if (code != 0)
		return code;
	if (wants_name && event->type == YAML_SCALAR_EVENT)
		return name_read(reading, event, level);
	if (wants_name)
		return wrong(reading, &event->start_mark, "a name must be text, not a list or a mapping");
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return open_level(reading, event, cJSON_CreateArray());
	if (event->type == YAML_MAPPING_START_EVENT)
		return open_level(reading, event, cJSON_CreateObject());
	code = scalar_read(reading, event, &json);
	return code == 0 ? value_add(reading, event, json) : code;
}

static int event_take(struct reading *reading, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return reading->documents++ == 0 ? 0
						 : wrong(reading, &event->start_mark,
							 "a second document begins here; one file is one document");
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		reading->depth--;
		return 0;
	case YAML_ALIAS_EVENT:
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return value_read(reading, event);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

/* What the parser itself says. Of bytes that are no text it knows the offset only. */
static int parser_wrong(struct reading *reading, const yaml_parser_t *parser, const char *text)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_READER_ERROR) {
		memset(&mark, 0, sizeof(mark));
		for (size_t i = 0; i < parser->problem_offset; i++) {
			mark.line += text[i] == '\n';
			mark.column = text[i] == '\n' ? 0 : mark.column + 1;
		}
	}
	return wrong(reading, &mark, "%s%s%s", parser->problem == NULL ? "there is not enough memory" : parser->problem,
		     parser->context == NULL ? "" : " ", parser->context == NULL ? "" : parser->context);
}

static int parse(struct reading *reading, const char *text, yaml_parser_t *parser)
{
	bool is_over = false;
	int code = 0;

	while (code == 0 && !is_over) {
		yaml_event_t event;

		if (yaml_parser_parse(parser, &event) == 0)
			return parser_wrong(reading, parser, text);
		is_over = event.type == YAML_STREAM_END_EVENT;
		code = event_take(reading, &event);
		yaml_event_delete(&event);
	}
	return code;
}

int weir_ctl_yaml_read(const char *text, size_t bytes, struct weir_ctl_yaml *yaml,
		       struct weir_ctl_yaml_error *error)
{
	struct reading reading = {.yaml = yaml, .error = error};
	static const yaml_mark_t start = {.line = 0};
	yaml_parser_t parser;
	int code = 0;

	if (bytes > WEIR_CTL_YAML_BYTES_MAX)
		return wrong(&reading, &start, "the document is longer than %d MiB", WEIR_CTL_YAML_BYTES_MAX >> 20);
	code = yaml_parser_initialize(&parser) == 0 ? -ENOMEM : 0;
	WEIR_ASSERT(code == 0); /* a command line that has no memory left cannot go on */
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	code = parse(&reading, text, &parser);
	yaml_parser_delete(&parser);
	for (size_t i = 0; i < WEIR_CTL_YAML_DEPTH_MAX; i++)
		free(reading.level[i].name);
	return code;
}

void weir_ctl_yaml_release(struct weir_ctl_yaml *yaml)
{
	cJSON_Delete(yaml->json);
	free(yaml->marks);
	memset(yaml, 0, sizeof(*yaml));
}

/* Places */

static const struct weir_ctl_yaml_mark *mark_find(const struct weir_ctl_yaml *yaml, const cJSON *value)
{
	for (size_t i = 0; i < yaml->mark_count; i++) {
		if (yaml->marks[i].value == value)
			return &yaml->marks[i];
	}
	return NULL;
}

/* The member whose name the text begins with, the longest such: names may hold dots. */
static const cJSON *member_find(const cJSON *object, const char **at)
{
	const cJSON *found = NULL;
	const cJSON *item = NULL;
	size_t longest = 0;

	if (!cJSON_IsObject(object)) /* a list's values have no names */
		return NULL;
	cJSON_ArrayForEach(item, object)
	{
		const size_t bytes = strlen(item->string);

		if (bytes < longest || strncmp(item->string, *at, bytes) != 0 || bytes == 0 ||
		    ((*at)[bytes] != '\0' && (*at)[bytes] != '.' && (*at)[bytes] != '['))
			continue;
		found = item;
		longest = bytes;
	}
	*at += longest;
	return found;
}

const struct weir_ctl_yaml_mark *weir_ctl_yaml_place(const struct weir_ctl_yaml *yaml, const char *place)
{
	const cJSON *value = yaml->json;

	while (*place != '\0') {
		const cJSON *next = NULL;
		char *end = NULL;

		if (*place == '[') {
			const unsigned long index = strtoul(place + 1, &end, 10);

			next = cJSON_IsArray(value) && index <= INT32_MAX ? cJSON_GetArrayItem(value, (int)index) : NULL;
			place = *end == ']' ? end + 1 : "";
		} else {
			place += *place == '.';
			next = member_find(value, &place);
		}
		if (next == NULL)
			break;
		value = next;
	}
	return mark_find(yaml, value);
}
