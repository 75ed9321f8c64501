/* GET /sleep/{ms}, or ?ms=: an ordinary sleep. The worker runs other calls meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(void)
{
	const char *text = getenv("WEIR_PARAM_ms");
	const char *const query = getenv("QUERY_STRING");
	long ms = 0;

	if (text == NULL && query != NULL && strncmp(query, "ms=", 3) == 0)
		text = query + 3;
	if (text != NULL)
		ms = strtol(text, NULL, 10);
	if (ms > 0)
		nanosleep(
			&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000},
			NULL);
	printf("slept %ld ms\n", ms);
	return 0;
}
