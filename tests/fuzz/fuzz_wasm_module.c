/* A module is taken or refused with a reason; what is taken has plain names only, and the C text made
 * from them stays inside its comments and strings. */
#include "dataplane/runtime/wasm/build_glue.h"
#include "tests/fuzz/fuzz.h"

static void check_name(struct weir_span name)
{
	for (size_t i = 0; i < name.bytes; i++)
		FUZZ_CHECK(strchr("*\"\\\n\r ?", name.data[i]) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *const copy = fuzz_copy(data, bytes);
	struct weir_wasm_check check;
	int result = weir_wasm_check((struct weir_span){.data = copy, .bytes = bytes}, &check);

	if (result == 0)
		result = weir_wasm_glue_check(&check);
	FUZZ_CHECK((result == 0) == (check.reason[0] == '\0'));
	if (result == 0) {
		FILE *const out = fopen("/dev/null", "we");

		FUZZ_CHECK(out != NULL);
		for (uint32_t i = 0; i < check.export_count; i++)
			check_name(check.exports[i].name);
		FUZZ_CHECK(weir_wasm_glue_write(&check, out) == 0);
		FUZZ_CHECK(fclose(out) == 0);
	}
	weir_wasm_check_close(&check);
	free(copy);
	return 0;
}
