/* /touch?FIRST&COUNT: are these pages as they were at the start ("clean", else "dirty")? Then writes to them.
 * With a third number the last of them is written by random_get. */
#include <stdio.h>
#include <unistd.h>

#include "weir_wasm.h"

enum { PAGES = 128, PAGE_BYTES = 4096 };

static unsigned char zeros[PAGES * PAGE_BYTES];
static unsigned char ones[4 * PAGE_BYTES] = {1, [PAGE_BYTES] = 1, [2 * PAGE_BYTES] = 1, [3 * PAGE_BYTES] = 1};

static int touch(unsigned char *page, unsigned char expected)
{
	const int is_dirty = *page != expected;

	*page = 77;
	return is_dirty;
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text query = weir_request_query(request);
	unsigned int first = 0, count = 0, is_random = 0;
	int dirty = 0;

	(void)sscanf(query.data, "%u&%u&%u", &first, &count, &is_random);
	for (unsigned int i = first; i < first + count && i < PAGES; i++)
		dirty += touch(zeros + i * PAGE_BYTES, 0);
	for (unsigned int i = 0; i < count && i < 4; i++)
		dirty += touch(ones + i * PAGE_BYTES, 1);
	if (is_random != 0 && getentropy(zeros + (first + count - 1) * PAGE_BYTES, 256) != 0)
		return weir_response_write_text(response, "no random");
	return weir_response_write_text(response, dirty ? "dirty" : "clean");
}
