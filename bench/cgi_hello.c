/* cgi_hello: the CGI program behind fcgiwrap: started for every request, it prints the body that
 * the environment gives it (BENCH_BODY) and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	const char *body = getenv("BENCH_BODY");

	if (body == NULL)
		body = "{\"result\":\"hello\"}";
	printf("Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
	       body);
	return fflush(stdout) == 0 ? 0 : 1;
}
