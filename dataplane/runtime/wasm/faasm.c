#include "dataplane/runtime/wasm/faasm.h"

#include <errno.h>
#include <stdio.h>

#include "dataplane/runtime/wasm/nested.h"

enum {
	INPUT = 20480,
	OUTPUT = 21504,
	NAMES = 22528,
	INPUTS = 24128,
	END = 75328,
	PIECE_BYTES = 1024,
	NAME_BYTES = 32,
	CALLS_MAX = 50,
};

const uint64_t weir_wasm_faasm_arguments[4] = {INPUT, OUTPUT, NAMES, INPUTS};

static int fail(struct weir_wasm_run *run, const char *reason)
{
	(void)snprintf(run->call->abort_reason, WEIR_RUNTIME_REASON_BYTES, "%s", reason);
	return -EIO;
}

int weir_wasm_faasm_before(struct weir_wasm_instance *instance)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);
	uint8_t *const memory = weir_wasm_at(instance, 0, END);
	uint8_t more = 0;
	size_t used = 0;
	int64_t got = 1;

	if (memory == NULL)
		return fail(run, "the module's memory ends before Faasm's places at 75,328");
	memset(memory + INPUT, 0, END - INPUT);
	while (got > 0 && used < PIECE_BYTES) {
		got = weir_wasm_body(instance, memory + INPUT + used, PIECE_BYTES - used, true);
		if (got > 0)
			used += (size_t)got;
	}
	if (got > 0)
		got = weir_wasm_body(instance, &more, 1, true);
	if (got < 0)
		return (int)got;
	if (got > 0)
		return fail(run, "a Faasm function takes at most 1,024 bytes of input");
	return 0;
}

/* Bytes up to the last that is not zero. */
static size_t trimmed(const uint8_t *data)
{
	size_t bytes = PIECE_BYTES;

	while (bytes != 0 && data[bytes - 1] == 0)
		bytes--;
	return bytes;
}

static int chain(struct weir_wasm_run *run, const uint8_t *memory)
{
	for (size_t i = 0; i < CALLS_MAX; i++) {
		const char *const name = (const char *)memory + NAMES + i * NAME_BYTES;
		const uint8_t *const input = memory + INPUTS + i * PIECE_BYTES;
		struct weir_runtime_answer answer = {0};
		int result = 0;

		if (name[0] == '\0')
			break;
		result = weir_wasm_nested(
			run->call,
			&(const struct weir_runtime_target){
				.name = {.data = name, .bytes = strnlen(name, NAME_BYTES)},
				.body = {.data = (const char *)input, .bytes = trimmed(input)},
				.method = WEIR_WASM_POST,
				.is_one_way = true},
			&answer);
		if (result == -ETIMEDOUT || result == -ECANCELED)
			return result;
		/* As in 2018 the answer does not depend on it; but somebody should know. */
		if (result != 0 || answer.status != 202) {
			char text[128];
			const int bytes =
				snprintf(text, sizeof(text),
					 "the chained call of '%.32s' was refused: %d", name,
					 result != 0 ? result : (int)answer.status);

			run->call->ops->log(
				run->call, 2,
				(struct weir_span){.data = text, .bytes = (size_t)bytes});
		}
		if (result == 0)
			run->call->ops->nested_free(run->call, &answer);
	}
	return 0;
}

int weir_wasm_faasm_after(struct weir_wasm_instance *instance)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);
	const uint8_t *const memory = weir_wasm_at(instance, 0, END);
	int64_t sent = 0;

	if (memory == NULL)
		return fail(run, "the module's memory ends before Faasm's places at 75,328");
	(void)run->call->ops->field(run->call, WEIR_SPAN("content-type"),
				    WEIR_SPAN("application/octet-stream"));
	sent = weir_wasm_answer(instance, memory + OUTPUT, trimmed(memory + OUTPUT));
	if (sent < 0)
		return (int)sent;
	return chain(run, memory);
}
