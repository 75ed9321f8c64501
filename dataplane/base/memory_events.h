/* memory_events: what the kernel counts in a control group's memory file: memory.events (v2) or
 * memory.oom_control (v1). Open for reading it tells everybody who has the descriptor; where the group
 * was removed, nothing. */
#ifndef WEIR_DATAPLANE_BASE_MEMORY_EVENTS_H
#define WEIR_DATAPLANE_BASE_MEMORY_EVENTS_H

#include <stdint.h>

/* How many processes of the group the kernel has ended because there was no memory left for it. 0 where
 * that cannot be read, -1 included. */
uint64_t weir_memory_events_kills(int fd);

/* The same, of the file's text. */
uint64_t weir_memory_events_parse(const char *text);

#endif
