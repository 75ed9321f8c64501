#include "ctrl/model/model_details.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/model/model_json.h"
#include "ctrl/model/model_text.h"

/* The two texts are alike but for this. */
struct kind {
	const char *field;
	size_t bytes_max;
};

static const struct kind parameters_kind = {"parameters", WEIR_MODEL_PARAMETERS_BYTES_MAX};
static const struct kind annotations_kind = {"annotations", WEIR_MODEL_ANNOTATIONS_BYTES_MAX};

/* A list's elements hold their values one object deeper than an object does. */
enum { LIST_LEVELS = 1 };

void weir_model_details_release(struct weir_model_details *details)
{
	free(details->parameters);
	free(details->annotations);
	memset(details, 0, sizeof(*details));
}

/* Text that is being put together; it is known to fit. */
struct text {
	char *data;
	size_t bytes;
};

static void append(struct text *text, const char *data, size_t bytes)
{
	memcpy(text->data + text->bytes, data, bytes);
	text->bytes += bytes;
}

/* {"key":NAME,"value":VALUE} and nothing else. */
static bool element_read(struct weir_span element, struct weir_span *out_name, struct weir_span *out_value)
{
	struct weir_model_json_walk walk = weir_model_json_walk(element);
	struct weir_span name;
	struct weir_span value;
	size_t count = 0;

	while (walk.is_object && weir_model_json_next(&walk, &name, &value))
		count++;
	return count == 2 && weir_model_json_member(element, "key", out_name) && out_name->data[0] == '"' &&
	       weir_model_json_member(element, "value", out_value);
}

/* [{"key":"a","value":1}] -> {"a":1}, which is shorter. */
static int list_turn(const struct kind *kind, struct weir_span list, struct text *text,
		     struct weir_model_error *error)
{
	struct weir_model_json_walk walk = weir_model_json_walk(list);
	struct weir_span none;
	struct weir_span element;
	struct weir_span name;
	struct weir_span value;

	append(text, "{", 1);
	for (size_t i = 0; weir_model_json_next(&walk, &none, &element); i++) {
		if (!element_read(element, &name, &value))
			return weir_model_fail(error, kind->field,
					       "has a list whose element %zu is not {\"key\": NAME, \"value\": VALUE}", i);
		if (i > 0)
			append(text, ",", 1);
		append(text, name.data, name.bytes);
		append(text, ":", 1);
		append(text, value.data, value.bytes);
	}
	append(text, "}", 1);
	return 0;
}

/* What the canonical form alone does not say. */
static int object_check(const struct kind *kind, struct weir_span object, struct weir_model_error *error)
{
	struct weir_model_json_walk walk = weir_model_json_walk(object);
	struct weir_span name;
	struct weir_span value;

	if (object.data[0] != '{')
		return weir_model_fail(error, kind->field, "must be an object, name to value");
	if (object.bytes > kind->bytes_max)
		return weir_model_fail(error, kind->field, "are %zu bytes as JSON; %zu are allowed", object.bytes,
				       kind->bytes_max);
	while (weir_model_json_next(&walk, &name, &value)) {
		if (name.bytes == 0)
			return weir_model_fail(error, kind->field, "have one whose name is empty");
	}
	return 0;
}

/* The path of what is wrong begins with the member's name. */
static int wrong_tell(const struct kind *kind, const struct weir_model_error *wrong, struct weir_model_error *error)
{
	char path[sizeof(wrong->field) + sizeof("annotations.")];

	if (strcmp(wrong->field, kind->field) == 0)
		(void)snprintf(path, sizeof(path), "%s", kind->field); /* fits, as does the next */
	else
		(void)snprintf(path, sizeof(path), "%s%s%s", kind->field, wrong->field[0] == '[' ? "" : ".", wrong->field);
	return weir_model_fail(error, path, "%s", wrong->reason);
}

/* `from` in canonical form to out->data, which has room for it and may be it. */
static int canonicalize(const struct kind *kind, struct weir_span from, size_t levels_max, struct text *out,
			struct weir_model_error *error)
{
	struct weir_model_error wrong;
	const int code =
		weir_model_json_canonicalize(from, kind->field, levels_max, out->data, &out->bytes, &wrong);

	return code == -EINVAL ? wrong_tell(kind, &wrong, error) : code;
}

/* A list becomes an object. */
static int list_replace(const struct kind *kind, struct text *text, struct weir_model_error *error)
{
	struct text turned = {.data = malloc(text->bytes + 1)};
	int code = -ENOMEM;

	if (turned.data != NULL)
		code = list_turn(kind, (struct weir_span){text->data, text->bytes}, &turned, error);
	free(text->data);
	*text = turned;
	return code;
}

static int object_make(const struct kind *kind, struct weir_span json, struct text *out,
		       struct weir_model_error *error)
{
	int code = canonicalize(kind, json, WEIR_MODEL_JSON_DEPTH_MAX + LIST_LEVELS, out, error);

	if (code == 0 && out->data[0] == '[')
		code = list_replace(kind, out, error);
	/* Once more: a list may name one twice, and an object has fewer levels than a list. */
	if (code == 0)
		code = canonicalize(kind, (struct weir_span){out->data, out->bytes}, WEIR_MODEL_JSON_DEPTH_MAX, out,
				    error);
	return code == 0 ? object_check(kind, (struct weir_span){out->data, out->bytes}, error) : code;
}

static int object_read(const struct kind *kind, struct weir_span json, char **text,
		       struct weir_model_error *error)
{
	struct text object = {.data = malloc(json.bytes + 1)};
	const int code = object.data == NULL ? -ENOMEM : object_make(kind, json, &object, error);

	if (code != 0) {
		free(object.data);
		return code;
	}
	free(*text);
	*text = object.data;
	if (strcmp(object.data, "{}") == 0) {
		free(object.data);
		*text = NULL;
	}
	return 0;
}

int weir_model_parameters_read(struct weir_model_details *details, struct weir_span json,
			       struct weir_model_error *error)
{
	return object_read(&parameters_kind, json, &details->parameters, error);
}

int weir_model_annotations_read(struct weir_model_details *details, struct weir_span json,
				struct weir_model_error *error)
{
	return object_read(&annotations_kind, json, &details->annotations, error);
}

/* Is it what object_read() would make of it? */
static int text_check(const struct kind *kind, const char *text, struct weir_model_error *error)
{
	char *again = NULL;
	const int code = text == NULL ? 0 : object_read(kind, weir_span_of(text), &again, error);
	const bool is_same = text == NULL || (again != NULL && strcmp(again, text) == 0);

	free(again);
	return code != 0 || is_same ? code
				    : weir_model_fail(error, kind->field, "are not in Weir's canonical form of JSON");
}

int weir_model_details_check(const struct weir_model_details *details, struct weir_model_error *error)
{
	const size_t bytes = strnlen(details->description, sizeof(details->description));
	int code = 0;

	if (bytes > WEIR_MODEL_DESCRIPTION_BYTES_MAX)
		return weir_model_fail(error, "description", "is longer than %d bytes",
				       WEIR_MODEL_DESCRIPTION_BYTES_MAX);
	if (!weir_model_text_clean(details->description, bytes))
		return weir_model_fail(error, "description",
				       "must be one line of UTF-8 without control characters");
	code = text_check(&parameters_kind, details->parameters, error);
	return code == 0 ? text_check(&annotations_kind, details->annotations, error) : code;
}
