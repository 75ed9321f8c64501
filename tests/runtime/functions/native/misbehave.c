/* ?do=block|disk|body|log: what a function may do to those around it, tried. disk answers "ERRNO BYTES",
 * the errno that ended its writing and how far it came. The same stands in misbehave.* of other runtimes. */
#include "weir_function.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 16, LOG_LINES = 200000, BLOCK_SECONDS = 600 };

static char piece[PIECE_BYTES];

static int disk(struct weir_response *response)
{
	const char path[] = "/tmp/full";
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	long long bytes = 0;
	ssize_t written = 0;
	int error = 0;
	char text[64];

	while (fd != -1 && (written = write(fd, piece, sizeof(piece))) > 0)
		bytes += written;
	error = errno;
	(void)close(fd);
	(void)unlink(path);
	(void)snprintf(text, sizeof(text), "%d %lld", error, bytes);
	return weir_response_write_text(response, text);
}

static int body(struct weir_response *response)
{
	int result = 0;

	while (result == 0)
		result = weir_response_write(response, piece, sizeof(piece));
	return result;
}

static int print(struct weir_response *response)
{
	for (int i = 0; i < LOG_LINES; i++)
		printf("line %d of a function that talks too much\n", i);
	return weir_response_write_text(response, "logged\n");
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text query = weir_request_query(request);
	char what[16];

	(void)snprintf(what, sizeof(what), "%.*s", (int)query.bytes, query.data);
	memset(piece, 'x', sizeof(piece));
	if (strcmp(what, "do=disk") == 0)
		return disk(response);
	if (strcmp(what, "do=body") == 0)
		return body(response);
	if (strcmp(what, "do=log") == 0)
		return print(response);
	(void)sleep(BLOCK_SECONDS);
	return -1;
}
