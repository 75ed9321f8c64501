/* Allocates until it dies: it does not look whether it got what it asked for. */
#include "weir_function.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20 };

static char *_Atomic last; /* else a compiler may see that nobody needs the memory */

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	(void)request;
	(void)response;
	for (;;) {
		char *const piece = malloc(PIECE_BYTES);

		memset(piece, 1, PIECE_BYTES);
		last = piece;
	}
}
