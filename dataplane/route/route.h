/* route: (method, host, path) -> target, over a snapshot. Pure: no allocation, no I/O, any thread.
 *
 * Order: the tree of the request's host, then the tree without host. Within a tree, by position
 * from the left: a literal segment beats '{parameter}', and a pattern that ends beats every '/ *';
 * among those the longest prefix wins. The first candidate in that order that has the request's
 * method is the match: its own, else ANY, else for HEAD also GET. If candidates matched the path but
 * none the method, the answer is 405 with the union of their methods (HEAD wherever GET is).
 *
 * Segments are what stands between slashes: "/" has one, empty; "/a/" has "a" and an empty one, and
 * is another path than "/a". '{parameter}' takes no empty segment. '/a/ *' takes "/a/" (rest "")
 * and all below it, but not "/a". In the snapshot's edges an empty segment is written "/", which no
 * other segment can be.
 *
 * Cost: one hash look-up where routes part on the straight way and one comparison of bytes between
 * two such places, whatever the number of routes; each parameter edge passed by may cost another way
 * (WEIR_ROUTE_STEPS_MAX bounds the sum). */
#ifndef WEIR_DATAPLANE_ROUTE_ROUTE_H
#define WEIR_DATAPLANE_ROUTE_ROUTE_H

#include "dataplane/abi/head.h"
#include "dataplane/shm/snapshot.h"

struct weir_route_query {
	struct weir_span path;      /* normalised: http_path.h */
	struct weir_span authority; /* Host as sent, or empty; port and case are ignored */
	uint8_t method;             /* enum weir_http_method */
	bool local;                 /* came through the Unix socket */
};

enum weir_route_result {
	WEIR_ROUTE_MATCH,
	WEIR_ROUTE_NONE,
	WEIR_ROUTE_METHOD, /* see allow */
};

struct weir_route_match {
	const struct weir_snapshot_target *target;
	const struct weir_snapshot_function *function;
	uint16_t param_count;
	uint16_t allow; /* WEIR_ROUTE_METHOD: bit 1 << enum weir_http_method */
	struct weir_span param[WEIR_HEAD_PARAMS_MAX]; /* values, borrowed from the path */
	struct weir_span rest; /* of a '/ *' pattern: what the star stood for; else empty */
};

/* Match one request. The tree walk is bounded: at most WEIR_ROUTE_STEPS_MAX nodes are visited, then
 * the best candidate so far counts (only reachable with hundreds of overlapping parameter routes). */
enum { WEIR_ROUTE_STEPS_MAX = 4096 };
enum weir_route_result weir_route_match(const struct weir_snapshot *snapshot,
					const struct weir_route_query *query,
					struct weir_route_match *out_match);

/* Name of the i-th parameter of a target (i < target->param_count). */
struct weir_span weir_route_param_name(const struct weir_snapshot *snapshot,
				       const struct weir_snapshot_target *target, uint16_t i);

#endif
