/* A row of the public table, "KEY\nVALUE": whatever it holds, it is refused with a field and a reason,
 * or read into records that pass the model's own checks and survive being written and read again. */
#include "ctrl/model/model.h"
#include "tests/fuzz/fuzz.h"

static void check_refusal(const struct weir_model_error *error)
{
	FUZZ_CHECK(strnlen(error->field, sizeof(error->field)) < sizeof(error->field));
	FUZZ_CHECK(strnlen(error->reason, sizeof(error->reason)) < sizeof(error->reason));
	FUZZ_CHECK(strcmp(error->field, "k") == 0 || strcmp(error->field, "v") == 0 ||
		   strncmp(error->field, "v.", 2) == 0);
	FUZZ_CHECK(error->reason[0] != '\0');
	/* Sentences go to terminals and into JSON as they are. */
	for (const char *at = error->reason; *at != '\0'; at++)
		FUZZ_CHECK(*at >= ' ' && *at <= '~');
}

static void check_round_trip(const char *key, const struct weir_model_function *function)
{
	static char text[WEIR_MODEL_ROW_BYTES_MAX];
	struct weir_model_function again;
	struct weir_model_route route;
	struct weir_model_error error;
	const size_t bytes = weir_model_row_format(function, text, sizeof(text));

	FUZZ_CHECK(bytes > 0 && text[bytes] == '\0');
	char *value = fuzz_copy(text, bytes);

	FUZZ_CHECK(weir_model_row_parse(key, value, bytes, &again, &route, &error) == 0);
	FUZZ_CHECK(strcmp(again.space, function->space) == 0);
	FUZZ_CHECK(strcmp(again.name, function->name) == 0);
	FUZZ_CHECK(strcmp(again.runtime, function->runtime) == 0);
	FUZZ_CHECK(strcmp(again.code_path, function->code_path) == 0);
	FUZZ_CHECK(strcmp(again.handler, function->handler) == 0);
	FUZZ_CHECK(again.timeout_ms == function->timeout_ms);
	FUZZ_CHECK(again.memory_mb == function->memory_mb);
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const uint8_t *newline = bytes > 0 ? memchr(data, '\n', bytes) : NULL;
	const size_t key_bytes = newline != NULL ? (size_t)(newline - data) : bytes;
	const size_t value_bytes = newline != NULL ? bytes - key_bytes - 1 : 0;
	char *key = malloc(key_bytes + 1);
	char *value = fuzz_copy(newline != NULL ? newline + 1 : data, value_bytes);
	struct weir_model_function function;
	struct weir_model_route route;
	struct weir_model_error error;

	FUZZ_CHECK(key != NULL);
	if (key_bytes > 0)
		memcpy(key, data, key_bytes);
	key[key_bytes] = '\0';
	if (weir_model_row_parse(key, value, value_bytes, &function, &route, &error) != 0) {
		check_refusal(&error);
	} else {
		FUZZ_CHECK(weir_model_function_check(&function, &error) == 0);
		FUZZ_CHECK(weir_model_route_check(&route, &error) == 0);
		FUZZ_CHECK(function.from_public_table && route.from_public_table);
		FUZZ_CHECK(strpbrk(route.pattern, "{}*?%") == NULL);
		check_round_trip(key, &function);
	}
	free(key);
	free(value);
	return 0;
}
