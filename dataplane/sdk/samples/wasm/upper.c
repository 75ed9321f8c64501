/* POST /upper: an ordinary filter. The body comes in on standard input, the answer goes out on standard
 * output; anything that was written for a pipe works like this. */
#include <ctype.h>
#include <stdio.h>

int main(void)
{
	int c = 0;

	while ((c = getchar()) != EOF)
		putchar(toupper(c));
	return 0;
}
