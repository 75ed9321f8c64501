/* A message of a worker with what functions printed: refused, or lines that lie within its bytes and
 * account for all of them. */
#include "dataplane/shm/output.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char *const copy = fuzz_copy(data, bytes);
	struct weir_output_reader reader;
	struct weir_output_line line;
	size_t used = sizeof(struct weir_output_head);

	if (weir_output_read(copy, bytes, &reader) == 0) {
		FUZZ_CHECK(reader.entries_left > 0);
		FUZZ_CHECK(reader.name.bytes <= WEIR_OUTPUT_NAME_BYTES_MAX);
		used += reader.name.bytes;
		while (weir_output_next(&reader, &line)) {
			FUZZ_CHECK(line.stream < WEIR_OUTPUT_STREAMS);
			FUZZ_CHECK(line.text.bytes <= WEIR_OUTPUT_TEXT_BYTES_MAX);
			FUZZ_CHECK(line.text.data >= copy &&
				   line.text.data + line.text.bytes <= copy + bytes);
			used += sizeof(struct weir_output_entry) + line.text.bytes;
		}
		FUZZ_CHECK(reader.entries_left == 0 && used == bytes);
	}
	free(copy);
	return 0;
}
