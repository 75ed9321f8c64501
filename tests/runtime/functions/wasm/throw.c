/* What a program says last before it aborts is what its caller is told. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	fprintf(stderr, "something before\nboom\n");
	abort();
}
