/* port_private: what port.c and port_call.c know of each other. */
#ifndef WEIR_DATAPLANE_PORT_PORT_PRIVATE_H
#define WEIR_DATAPLANE_PORT_PORT_PRIVATE_H

#include "dataplane/port/port.h"

/* Push a message of this call to its shard; index and sequence are filled in. False if the ring is
 * full, which a shard that plays by the rules can't cause. */
bool weir_port_push(struct weir_port_call *call, struct weir_message message);

/* The call ended: count it, forget it. */
void weir_port_release(struct weir_port_call *call);

/* A HEAD was accepted: make *call of it. 0, or -EBADMSG (chunk, sizes or head make no sense). */
int weir_port_call_start(struct weir_port_call *call, const struct weir_message *head);

/* DATA, CREDIT or CANCEL for this call. False if it makes no sense. */
bool weir_port_call_take(struct weir_port_call *call, const struct weir_message *message);

/* CALL for this call. False if it makes no sense. */
bool weir_port_nested_take(struct weir_port_call *call, const struct weir_message *message);

#endif
