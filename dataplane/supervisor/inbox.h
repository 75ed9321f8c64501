/* inbox: messages from the other processes. One is taken out of its socket only after it was handled:
 * a supervisor that is killed in between leaves it to the next one, so each handler must bear to see a
 * message twice. Who breaks the contract of abi/control.h is killed. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_INBOX_H
#define WEIR_DATAPLANE_SUPERVISOR_INBOX_H

#include "dataplane/supervisor/supervisor.h"

/* Handle what a process sent, a bounded number of messages. */
void weir_inbox_gateway(struct weir_supervisor *supervisor);
void weir_inbox_ctrld(struct weir_supervisor *supervisor);
void weir_inbox_worker(struct weir_supervisor *supervisor, struct weir_worker *worker);

#endif
