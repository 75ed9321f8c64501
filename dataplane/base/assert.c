#include "dataplane/base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/base/log.h"

/* One write, no heap and no stdio lock: the heap may be what is broken. */
void weir_assert_failed(const char *condition, const char *file, int line)
{
	char text[512];
	int bytes = snprintf(text, sizeof(text), "weir: broken invariant: %s at %s:%d\n",
			     condition, file, line);

	if (bytes >= (int)sizeof(text)) {
		bytes = (int)sizeof(text);
		text[sizeof(text) - 1] = '\n';
	}
	if (bytes > 0)
		(void)!write(weir_log_fd(), text, (size_t)bytes); /* aborting anyway */
	abort();
}
