#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	const char *const value = getenv("WEIR_TEST");

	puts(value != NULL ? value : "unset");
	return 0;
}
