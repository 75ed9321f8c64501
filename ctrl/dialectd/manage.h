/* manage: a request of a dialect's to the management API, over the Unix socket that this worker is shown. It
 * waits as the call does, so that others run meanwhile.
 * Threads: the one that runs the call. Peer death: a socket that nobody answers on, or an answer that breaks
 * off, is a 503 with a sentence. Owns: nothing beyond the request. */
#ifndef WEIR_CTRL_DIALECTD_MANAGE_H
#define WEIR_CTRL_DIALECTD_MANAGE_H

#include "ctrl/dialect/dialect.h"
#include "dataplane/runtime/runtime.h"

/* `from`: whose adapter it is; the client's address goes with it, for history. `authorization`: as the client sent it; empty: the order is nobody's. 0 and a verdict; -ECANCELED, -ETIMEDOUT (the call's deadline), -ENOMEM. */
int weir_manage_ask(struct weir_runtime_call *call, const char *socket_path, const struct weir_dialect_order *order,
		    const char *from, struct weir_span authorization, struct weir_dialect_verdict *out_verdict);

#endif
