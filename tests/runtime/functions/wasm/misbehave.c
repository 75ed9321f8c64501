/* ?do=block|body|log: see functions/native/misbehave.c. There are no files, so no disk to fill. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weir_wasm.h"

enum { PIECE_BYTES = 1 << 16, LOG_LINES = 200000 };

static char piece[PIECE_BYTES];

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text query = weir_request_query(request);
	int result = 0;

	if (query.bytes == 7 && memcmp(query.data, "do=body", 7) == 0) {
		while (result == 0)
			result = weir_response_write(response, piece, sizeof(piece));
		return result;
	}
	if (query.bytes == 6 && memcmp(query.data, "do=log", 6) == 0) {
		for (int i = 0; i < LOG_LINES; i++)
			printf("line %d of a function that talks too much\n", i);
		return weir_response_write_text(response, "logged\n");
	}
	sleep(600);
	return -1;
}
