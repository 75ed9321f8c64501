#include "tests/route/route_reference.h"

enum { SEGMENTS_MAX = 64, GET = 0, HEAD = 1 };

struct cut {
	const char *segment[SEGMENTS_MAX];
	size_t bytes[SEGMENTS_MAX];
	size_t count;
};

static struct cut cut(const char *text)
{
	struct cut out = {.count = 0};

	while (*text == '/' && out.count < SEGMENTS_MAX) {
		out.segment[out.count] = text + 1;
		out.bytes[out.count] = strcspn(text + 1, "/");
		text += 1 + out.bytes[out.count++];
	}
	return out;
}

static bool is_star(const struct cut *pattern)
{
	return *pattern->segment[pattern->count - 1] == '*';
}

static bool matches(const struct cut *pattern, const struct cut *path)
{
	const size_t fixed = pattern->count - (is_star(pattern) ? 1 : 0);

	if (is_star(pattern) ? path->count <= fixed : path->count != fixed)
		return false;
	for (size_t i = 0; i < fixed; i++) {
		const bool param = *pattern->segment[i] == '{';
		const bool same =
			pattern->bytes[i] == path->bytes[i] &&
			memcmp(pattern->segment[i], path->segment[i], path->bytes[i]) == 0;

		if (param ? path->bytes[i] == 0 : !same)
			return false;
	}
	return true;
}

/* -1: a is more specific, 1: b is, 0: the same pattern but for names. Both match one path. */
static int compare(const struct cut *a, const struct cut *b)
{
	if (is_star(a) != is_star(b))
		return is_star(a) ? 1 : -1;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	for (size_t i = 0; i < a->count; i++) {
		const bool param_a = *a->segment[i] == '{';
		const bool param_b = *b->segment[i] == '{';

		if (param_a != param_b)
			return param_a ? 1 : -1;
	}
	return 0;
}

/* How well a route's methods serve the request: 0 best, 3 not at all. */
static int method_rank(const struct weir_model_route *route, uint8_t method)
{
	if ((route->methods & (1U << method)) != 0)
		return 0;
	if (route->methods == 0)
		return 1;
	return method == HEAD && (route->methods & (1U << GET)) != 0 ? 2 : 3;
}

/* Between two that serve the request on one pattern. */
static bool is_before(const struct weir_model_route *a, const struct weir_model_route *b,
		      uint8_t method)
{
	if (method_rank(a, method) != method_rank(b, method))
		return method_rank(a, method) < method_rank(b, method);
	if (a->from_public_table != b->from_public_table)
		return b->from_public_table;
	return a->id < b->id;
}

static const struct weir_model_route *best_of_tree(const struct weir_model_route *routes,
						   size_t count, uint8_t method,
						   const char *host, const struct cut *path,
						   uint16_t *allow)
{
	const struct weir_model_route *best = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct cut pattern = cut(routes[i].pattern);

		if (strcmp(routes[i].host, host) != 0 || !matches(&pattern, path))
			continue;
		*allow |= routes[i].methods;
		if (method_rank(&routes[i], method) == 3)
			continue;
		const struct cut best_pattern = cut(best != NULL ? best->pattern : "/");
		const int order = best != NULL ? compare(&pattern, &best_pattern) : -1;

		if (order < 0 || (order == 0 && is_before(&routes[i], best, method)))
			best = &routes[i];
	}
	return best;
}

struct route_reference_answer route_reference_match(const struct weir_model_route *routes,
						    size_t count, uint8_t method,
						    const char *host, const char *path)
{
	const struct cut segments = cut(path);
	uint16_t allow = 0;
	const struct weir_model_route *best = NULL;

	if (host[0] != '\0')
		best = best_of_tree(routes, count, method, host, &segments, &allow);
	if (best == NULL)
		best = best_of_tree(routes, count, method, "", &segments, &allow);
	if (best != NULL)
		return (struct route_reference_answer){.result = WEIR_ROUTE_MATCH,
						       .route = best};
	if (allow == 0)
		return (struct route_reference_answer){.result = WEIR_ROUTE_NONE};
	if ((allow & (1U << GET)) != 0)
		allow |= 1U << HEAD;
	return (struct route_reference_answer){.result = WEIR_ROUTE_METHOD, .allow = allow};
}
