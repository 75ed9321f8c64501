/* rights: what a process gives up that needs none: the gateway, and a worker before it loads
 * anybody's code. Main thread, before other threads. */
#ifndef WEIR_DATAPLANE_BASE_RIGHTS_H
#define WEIR_DATAPLANE_BASE_RIGHTS_H

/* No new privileges through exec, no capabilities, no core dumps. 0 or -errno. */
int weir_rights_drop(void);

#endif
