/* rights: what a process gives up that needs none: the gateway, and a worker before it loads
 * anybody's code. Main thread, before other threads. */
#ifndef WEIR_DATAPLANE_BASE_RIGHTS_H
#define WEIR_DATAPLANE_BASE_RIGHTS_H

#include <stdint.h>

/* No new privileges through exec, no core dumps, and of the capabilities that it has at most those of
 * `kept` (1 << CAP_..., below 32; mostly 0). Capabilities are each thread's own. 0 or -errno. */
int weir_rights_drop(uint32_t kept);

#endif
