/* A program's output is text in UTF-8 where it says nothing else. */
#include <stdio.h>

int main(void)
{
	puts("grüße, 世界 🎉");
	return 0;
}
