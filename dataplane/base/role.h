/* role: who somebody is to Weir, and the one place that says what that allows: shards, the management API and the
 * dialects all ask here.
 *
 *   nobody      what is open to everybody
 *   invoker     and to call functions of the own namespace, see which there are, and what came of calls
 *   developer   and to make, change and remove functions there, and see their code
 *   admin       everything, in every namespace
 *
 * Pure; any thread. */
#ifndef WEIR_DATAPLANE_BASE_ROLE_H
#define WEIR_DATAPLANE_BASE_ROLE_H

#include "dataplane/base/span.h"

/* Each may what those before it may. */
enum weir_role {
	WEIR_ROLE_NOBODY,
	WEIR_ROLE_INVOKER,
	WEIR_ROLE_DEVELOPER,
	WEIR_ROLE_ADMIN,
	WEIR_ROLES,
};

/* Of the functions in this namespace everybody's are: who may call any may call these. */
#define WEIR_SPACE_SHARED "whisk.system"

/* May who has that role in `own_space` do what `needed` may, in `space`? Empty: in no namespace in particular. */
static inline bool weir_role_may(enum weir_role role, struct weir_span own_space, enum weir_role needed,
				 struct weir_span space)
{
	return role >= needed &&
	       (needed == WEIR_ROLE_NOBODY || role == WEIR_ROLE_ADMIN || space.bytes == 0 ||
		weir_span_equal(own_space, space) ||
		(needed == WEIR_ROLE_INVOKER && weir_span_equal(space, WEIR_SPAN(WEIR_SPACE_SHARED))));
}

#endif
