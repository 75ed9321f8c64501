/* faasm: Faasm's interface of August 2018, for functions that were written for it:
 *
 *   #include <faasm.h>
 *
 *   int exec(struct FaasmMemory *memory)
 *   {
 *           memcpy(memory->output, memory->input, FAASM_INPUT_BYTES);
 *           return 0;
 *   }
 *
 *   clang --target=wasm32-wasi -O2 -I DIR_OF_THIS_HEADER -c echo.c -o echo.o
 *   clang --target=wasm32-wasi -mexec-model=reactor -Wl,--global-base=131072 echo.o -o echo.wasm
 *
 * Input, output and the list of calls lie at fixed places below 75,328: --global-base keeps the
 * program's own data away from them. */
#ifndef WEIR_FAASM_H
#define WEIR_FAASM_H

#include <stdint.h>
#include <string.h>

enum {
	FAASM_INPUT_BYTES = 1024,
	FAASM_OUTPUT_BYTES = 1024,
	FAASM_NAME_BYTES = 32,
	FAASM_CALLS_MAX = 50,
};

struct FaasmMemory {
	uint8_t *input;
	uint8_t *output;
	uint8_t *chainFunctions;
	uint8_t *chainInputs;
	int chainCount;
};

/* Yours to write. */
int exec(struct FaasmMemory *memory);

/* Have function `name` (31 characters) called with `data` (1,024 bytes) after this one has answered. */
static inline void chainFunction(struct FaasmMemory *memory, const char *name,
				 const uint8_t *data, int bytes)
{
	const int at = memory->chainCount;

	if (at == FAASM_CALLS_MAX || bytes < 0 || bytes > FAASM_INPUT_BYTES ||
	    strlen(name) >= FAASM_NAME_BYTES)
		return;
	strcpy((char *)memory->chainFunctions + at * FAASM_NAME_BYTES, name);
	memcpy(memory->chainInputs + at * FAASM_INPUT_BYTES, data, (size_t)bytes);
	memory->chainCount++;
}

int run(uint8_t *input, uint8_t *output, uint8_t *names, uint8_t *inputs);

/* What the worker calls. */
__attribute__((export_name("run"), weak)) int run(uint8_t *input, uint8_t *output,
						  uint8_t *names, uint8_t *inputs)
{
	struct FaasmMemory memory = {input, output, names, inputs, 0};

	return exec(&memory);
}

#endif
