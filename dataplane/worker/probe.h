/* probe: the instance's own question whether a function can be loaded (ctrl/ctrld/trial.h): a request
 * with x-weir-load through the Unix socket. Pure; any thread. */
#ifndef WEIR_DATAPLANE_WORKER_PROBE_H
#define WEIR_DATAPLANE_WORKER_PROBE_H

#include "dataplane/port/port.h"

/* Is this call such a question? From anywhere else the field means nothing. */
bool weir_probe_is(const struct weir_port_call *call);

#endif
