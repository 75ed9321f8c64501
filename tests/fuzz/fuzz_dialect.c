/* A client's body in a dialect: an object or a sentence; what is JSON is the same for a lenient reader, and what
 * a lenient reader takes is JSON when it is printed. */
#include <stdlib.h>

#include "ctrl/dialect/dialect.h"
#include "tests/fuzz/fuzz.h"

static char *read_body(struct weir_span body, bool is_lenient)
{
	const struct weir_dialect_call call = {.body = body};
	char sentence[WEIR_DIALECT_SENTENCE_BYTES] = "";
	cJSON *json = weir_dialect_body(&call, is_lenient, sentence);
	char *text = NULL;

	FUZZ_CHECK((json == NULL) == (sentence[0] != '\0'));
	if (json == NULL)
		return NULL;
	FUZZ_CHECK(cJSON_IsObject(json));
	text = cJSON_PrintUnformatted(json);
	FUZZ_CHECK(text != NULL);
	cJSON_Delete(json);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct weir_span body = {.data = (const char *)data, .bytes = bytes};
	char *strict = read_body(body, false);
	char *lenient = read_body(body, true);

	FUZZ_CHECK(strict == NULL || (lenient != NULL && strcmp(strict, lenient) == 0));
	if (lenient != NULL)
		free(read_body(weir_span_of(lenient), false));
	free(strict);
	free(lenient);
	return 0;
}
