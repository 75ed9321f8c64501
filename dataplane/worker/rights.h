/* rights: what a worker gives up before it loads anybody's code. Main thread, before threads. */
#ifndef WEIR_DATAPLANE_WORKER_RIGHTS_H
#define WEIR_DATAPLANE_WORKER_RIGHTS_H

/* No new privileges through exec, no capabilities, no core dumps. 0 or -errno. */
int weir_rights_drop(void);

#endif
