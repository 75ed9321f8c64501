/* route_reference: the matcher as its documentation reads, without a tree: every route is tried, the
 * ones that match are ranked, the best wins. Slow and plain; for comparison only. */
#ifndef WEIR_TESTS_ROUTE_ROUTE_REFERENCE_H
#define WEIR_TESTS_ROUTE_ROUTE_REFERENCE_H

#include "ctrl/model/model.h"
#include "dataplane/route/route.h"

struct route_reference_answer {
	enum weir_route_result result;
	const struct weir_model_route *route; /* MATCH */
	uint16_t allow;                       /* METHOD */
};

/* `host` is the request's, already in lower case and without port. */
struct route_reference_answer route_reference_match(const struct weir_model_route *routes,
						    size_t count, uint8_t method,
						    const char *host, const char *path);

#endif
