/* A function that prints what its query says, in every way that C has. It answers "done\n", or not at
 * all where it ends the process. */
#include "weir_function.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MUCH_BYTES = 10 << 20 };

static int is_query(const struct weir_request *request, const char *text)
{
	const struct weir_text query = weir_request_query(request);

	return query.bytes == strlen(text) && memcmp(query.data, text, query.bytes) == 0;
}

static void stdio_print(void)
{
	(void)printf("to stdout\n");
	(void)fprintf(stderr, "to stderr\n");
	(void)printf("no newline");
}

/* Past the C library. */
static void raw_print(const char *out, const char *error)
{
	(void)!write(STDOUT_FILENO, out, strlen(out));
	(void)!write(STDERR_FILENO, error, strlen(error));
}

static void much_print(void)
{
	for (int i = 0; i * 64 < MUCH_BYTES; i++)
		(void)printf("line %06d of what is far too much to be kept by anybody.......\n", i);
}

static void much_write(void)
{
	static char page[4096];

	memset(page, 'x', sizeof(page));
	page[sizeof(page) - 1] = '\n';
	for (int i = 0; i * 4096 < MUCH_BYTES; i++)
		(void)!write(STDOUT_FILENO, page, sizeof(page));
}

/* Prints, then never returns. */
static void end_print(const struct weir_request *request)
{
	(void)printf("the last words\n");
	raw_print("", "and some past stdio\n");
	(void)printf("without an end");
	if (is_query(request, "crash"))
		abort();
	if (is_query(request, "exit"))
		exit(3);
	for (volatile int forever = 1; forever != 0;)
		continue;
}

static void log_print(const struct weir_request *request)
{
	weir_function_log(request, WEIR_FUNCTION_INFO, "fine");
	weir_function_log(request, WEIR_FUNCTION_ERROR, "not\nfine");
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	static const char bytes[] = "nul \0 escape \033[31m not UTF-8 \xff\xfe \xc3\xa4 tab \t.\n";

	if (is_query(request, "stdio"))
		stdio_print();
	if (is_query(request, "raw"))
		raw_print("raw out\n", "raw error\n");
	if (is_query(request, "bytes"))
		(void)fwrite(bytes, 1, sizeof(bytes) - 1, stdout);
	if (is_query(request, "much"))
		much_print();
	if (is_query(request, "muchraw"))
		much_write();
	if (is_query(request, "log"))
		log_print(request);
	if (is_query(request, "wait")) {
		(void)printf("before\n");
		(void)weir_function_sleep_ms(request, 30);
		raw_print("between\n", "");
		(void)weir_function_sleep_ms(request, 30);
		(void)printf("after\n");
	}
	if (is_query(request, "crash") || is_query(request, "exit") || is_query(request, "hang"))
		end_print(request);
	return weir_response_write_text(response, "done\n");
}
