/* Takes memory until there is no more, and then goes on as if there were. */
#include <stdlib.h>

int main(void)
{
	for (;;) {
		volatile char *const block = malloc(1 << 20);

		if (block == NULL)
			abort();
		for (size_t i = 0; i < 1 << 20; i += 4096)
			block[i] = 1;
	}
}
