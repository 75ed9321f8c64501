/* GET /ping: the smallest program. What it prints is the answer; an exit status other than 0 is a 502. */
#include <stdio.h>

int main(void)
{
	puts("pong");
	return 0;
}
