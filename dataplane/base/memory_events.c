#include "dataplane/base/memory_events.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES_MAX = 512 };

uint64_t weir_memory_events_parse(const char *text)
{
	static const char name[] = "oom_kill "; /* not "oom_kill_disable" */

	while (text != NULL && *text != '\0') {
		if (strncmp(text, name, sizeof(name) - 1) == 0)
			return strtoull(text + sizeof(name) - 1, NULL, 10);
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return 0;
}

uint64_t weir_memory_events_kills(int fd)
{
	char text[TEXT_BYTES_MAX];
	const ssize_t bytes = fd == -1 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (bytes <= 0)
		return 0;
	text[bytes] = '\0';
	return weir_memory_events_parse(text);
}
