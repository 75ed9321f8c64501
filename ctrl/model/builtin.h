/* builtin: the functions and routes that Weir brings itself: one function for each system whose clients it
 * serves (ctrl/dialect), and those for asynchronous calls (ctrl/queued), in a namespace that nobody else can
 * have, and the routes that lead there.
 *
 *   POST /actions/{name}/invoke --> weir.system/vespid, in a worker of runtime `dialect`
 *
 * They stand in no database: every publication gets them. A route here goes before everybody's of the same or
 * of wider reach, and nobody may have one that would take its requests away; those that yield (`/ping`) are
 * there only until somebody has one of the same path. The part before the first parameter says enough:
 * a route belongs to a dialect if no request could tell the two apart, or if the dialect's would lose.
 * Constant data; any thread. */
#ifndef WEIR_CTRL_MODEL_BUILTIN_H
#define WEIR_CTRL_MODEL_BUILTIN_H

#include "ctrl/model/model.h"

#define WEIR_BUILTIN_SPACE "weir.system"
#define WEIR_BUILTIN_QUEUE "queue" /* the function that keeps asynchronous calls (ctrl/queued), */
#define WEIR_BUILTIN_QUEUE_DIRECTORY "queue" /* and where, in the data directory */

/* Ids of these functions and routes, apart from the store's (1 and up), trials' (bit 62) and those of the
 * public table's rows (bit 63). */
#define WEIR_BUILTIN_ID_BIT (UINT64_C(1) << 61)

/* Function and route number i: true, or false behind the last. `data`: the instance's data directory, where
 * a dialect finds the API's socket. */
bool weir_builtin_function(size_t i, const char *data, struct weir_model_function *out_function);
bool weir_builtin_route(size_t i, struct weir_model_route *out_route);

/* The id of one of these functions, by its name, which must be one of them. */
uint64_t weir_builtin_id(const char *name);

/* Let function WEIR_BUILTIN_QUEUE have these limits (ctrl/queue/queue_policy.h), which are its handler; others stay
 * as they are. */
void weir_builtin_queue_settle(struct weir_model_function *function, const char *limits);

/* Do calls of the function leave no record as long as they go well? They are about other calls, which do. */
bool weir_builtin_is_silent(uint64_t function_id);

/* Does the route give way to one of the same path? */
bool weir_builtin_yields(size_t i);

/* May somebody have this route? 0, or -EINVAL with *error (may be NULL), which names the dialect and its route.
 * Routes with a host are everybody's own. */
int weir_builtin_route_check(const struct weir_model_route *route, struct weir_model_error *error);

#endif
