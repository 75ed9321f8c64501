/* caller: who calls, and may they?
 *
 *   no Authorization, an open route or the Unix socket ----------> nobody, let in; costs one comparison
 *   no Authorization, a route that wants a key -------------------> 401
 *   a key: unknown, another secret, past its time ----------------> 401   on open routes, too
 *   a key of another namespace, or with too small a role ---------> 403   likewise
 *   a key that fits ----------------------------------------------> its namespace and role go on in the head
 *   anything else, to a function of the user's on an open route --> nobody: the function may know what it is
 *   anything else, to a dialect that asks itself who calls -------> nobody: the dialect decides
 *   anything else ------------------------------------------------> 401
 *
 * Users' tokens are anything else: to check one takes a secret that can make tokens, and whether its user is still
 * there, neither of which belongs here. Dialects and the management API take them.
 * By the snapshot alone: no system call, no allocation; the clock is read where a key has an end.
 * Threads: the owning shard. */
#ifndef WEIR_DATAPLANE_GATEWAY_CALLER_H
#define WEIR_DATAPLANE_GATEWAY_CALLER_H

#include "dataplane/http/http_request.h"
#include "dataplane/route/route.h"

struct weir_caller {
	struct weir_span space; /* in the snapshot; empty: nobody */
	uint8_t role;           /* enum weir_role */
	uint8_t flags;          /* WEIR_HEAD_CALLER_... */
	uint8_t hidden;         /* 1 + index of the field that the function must not see; 0: none */
};

/* Is there anything to find out? */
static inline bool weir_caller_is_asked(const struct weir_http_parser *parser, const struct weir_snapshot_target *target)
{
	return parser->authorization_fields > 0 || (target->flags & WEIR_SNAPSHOT_TARGET_REQUIRED) != 0;
}

/* Find out who calls. `head`: the bytes that were parsed; `is_local`: through the Unix socket. WEIR_HTTP_OK,
 * WEIR_HTTP_UNAUTHORIZED or WEIR_HTTP_FORBIDDEN with *out_detail, constant, for people. */
enum weir_http_failure weir_caller_find(const struct weir_snapshot *snapshot, const struct weir_http_parser *parser,
					const char *head, const struct weir_route_match *match, bool is_local,
					struct weir_caller *out_caller, struct weir_span *out_detail);

#endif
