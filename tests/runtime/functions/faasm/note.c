/* Prints its input, which goes to the log. */
#include "faasm.h"

#include <stdio.h>

int exec(struct FaasmMemory *memory)
{
	fprintf(stderr, "noted %s\n", (const char *)memory->input);
	return 0;
}
