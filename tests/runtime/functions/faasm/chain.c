/* Three calls of others, after this one has answered. */
#include "faasm.h"

int exec(struct FaasmMemory *memory)
{
	for (uint8_t i = 0; i < 3; i++)
		chainFunction(memory, "note", (const uint8_t[]){(uint8_t)('a' + i), '!'}, 2);
	strcpy((char *)memory->output, "chained");
	return 0;
}
