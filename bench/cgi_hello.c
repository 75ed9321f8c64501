/* cgi_hello: a program that is started for every request, prints its answer and ends. Behind fcgiwrap the
 * environment gives it the body (BENCH_BODY) and it prints a CGI head; as a function of Weir's runtime
 * `exec`, which makes the head itself, it prints the body alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	const char *const body = getenv("BENCH_BODY");

	if (body == NULL)
		printf("{\"message\":\"Hello, world!\"}");
	else
		printf("Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		       strlen(body), body);
	return fflush(stdout) == 0 ? 0 : 1;
}
