/* JSON of others, first byte: how many levels it may have. Whatever it holds, it is refused with a field
 * and a reason, or written in a form that stays as it is when it is read again, that cJSON takes, and whose
 * members can be walked over; and as a function's parameters it passes the model's own check. */
#include <cjson/cJSON.h>

#include "ctrl/model/model_details.h"
#include "ctrl/model/model_json.h"
#include "tests/fuzz/fuzz.h"

static void check_refusal(const struct weir_model_error *error)
{
	FUZZ_CHECK(strnlen(error->field, sizeof(error->field)) < sizeof(error->field));
	FUZZ_CHECK(strnlen(error->reason, sizeof(error->reason)) < sizeof(error->reason));
	FUZZ_CHECK(error->field[0] != '\0' && error->reason[0] != '\0');
	for (const char *at = error->field; *at != '\0'; at++)
		FUZZ_CHECK(*at >= ' ' && *at <= '~');
}

/* How many members or elements a walk meets, all of them within the text. */
static size_t walk_count(struct weir_span text)
{
	struct weir_model_json_walk walk = weir_model_json_walk(text);
	struct weir_span name;
	struct weir_span value;
	struct weir_span found;
	size_t count = 0;

	while (weir_model_json_next(&walk, &name, &value)) {
		FUZZ_CHECK(value.bytes > 0 && value.data >= text.data &&
			   value.data + value.bytes < text.data + text.bytes);
		FUZZ_CHECK(!walk.is_object || (name.data > text.data && name.data + name.bytes < value.data));
		count++;
	}
	FUZZ_CHECK(!weir_model_json_next(&walk, &name, &value));
	FUZZ_CHECK(!weir_model_json_member(text, "no member of this name", &found));
	return count;
}

static void check_canonical(struct weir_span text, size_t levels)
{
	char *again = fuzz_copy(text.data, text.bytes + 1); /* with its NUL */
	struct weir_model_error error;
	size_t bytes = 0;
	cJSON *json = cJSON_ParseWithLength(text.data, text.bytes);

	FUZZ_CHECK(weir_model_json_canonicalize((struct weir_span){again, text.bytes}, "v", levels, again, &bytes,
						&error) == 0);
	FUZZ_CHECK(bytes == text.bytes && memcmp(again, text.data, bytes) == 0 && strlen(again) == bytes);
	FUZZ_CHECK(json != NULL);
	if (cJSON_IsObject(json) || cJSON_IsArray(json))
		FUZZ_CHECK(walk_count(text) == (size_t)cJSON_GetArraySize(json));
	else
		FUZZ_CHECK(walk_count(text) == 0);
	cJSON_Delete(json);
	free(again);
}

static void check_parameters(struct weir_span text)
{
	struct weir_model_details details = {.parameters = NULL};
	struct weir_model_error error = {{0}, {0}};

	if (weir_model_parameters_read(&details, text, &error) != 0) {
		check_refusal(&error);
		FUZZ_CHECK(strncmp(error.field, "parameters", strlen("parameters")) == 0);
		FUZZ_CHECK(details.parameters == NULL);
	} else {
		FUZZ_CHECK(weir_model_details_check(&details, &error) == 0);
	}
	weir_model_details_release(&details);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const size_t levels = bytes == 0 ? 1 : data[0] % WEIR_MODEL_JSON_LEVELS_MAX + 1;
	const size_t text_bytes = bytes == 0 ? 0 : bytes - 1;
	char *text = fuzz_copy(data + (bytes == 0 ? 0 : 1), text_bytes);
	char *out = malloc(text_bytes + 1);
	struct weir_model_error error;
	size_t out_bytes = 0;

	FUZZ_CHECK(out != NULL);
	if (weir_model_json_canonicalize((struct weir_span){text, text_bytes}, "v", levels, out, &out_bytes, &error) != 0)
		check_refusal(&error);
	else
		check_canonical((struct weir_span){out, out_bytes}, levels);
	check_parameters((struct weir_span){text, text_bytes});
	free(out);
	free(text);
	return 0;
}
