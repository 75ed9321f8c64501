/* whole: requests and answers in one piece, for functions that are Weir's own: a body is gathered before it is
 * looked at, an answer is sent from one place.
 * Owns: what is gathered, until it is freed. Threads: as runtime.h says. Peer death: -ECANCELED. */
#ifndef WEIR_DATAPLANE_RUNTIME_WHOLE_H
#define WEIR_DATAPLANE_RUNTIME_WHOLE_H

#include "dataplane/runtime/runtime.h"

enum { WEIR_WHOLE_BODIES_BYTES_MAX = 128 << 20 /* of all requests in a worker */ };

struct weir_whole_body {
	char *data;
	size_t bytes;
	size_t room;
};

/* All of the request's body, at most `bytes_max` of it. 0; -EMSGSIZE (there is more), -ENOBUFS (others' bodies fill
 * the worker), -ENOMEM, -ECANCELED, -ETIMEDOUT. Free it in any case. */
int weir_whole_body_read(struct weir_runtime_call *call, struct weir_whole_body *body, size_t bytes_max);
void weir_whole_body_free(struct weir_whole_body *body);

struct weir_whole_answer {
	uint32_t status;
	struct weir_span type; /* content-type; empty: none is sent */
	struct weir_span body;
	const struct weir_runtime_field *fields;
	size_t field_count;
};

/* Send it. 0, or the errors of the call's operations. */
int weir_whole_answer_send(struct weir_runtime_call *call, const struct weir_whole_answer *answer);

#endif
