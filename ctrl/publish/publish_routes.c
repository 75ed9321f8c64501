#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctrl/publish/publish_plan.h"
#include "dataplane/abi/head.h"
#include "dataplane/base/cleanup.h"

static_assert((int)WEIR_MODEL_SEGMENTS_MAX == (int)WEIR_SNAPSHOT_SEGMENTS_MAX,
	      "one limit, two rooms");
static_assert((int)WEIR_MODEL_PARAMS_MAX == (int)WEIR_HEAD_PARAMS_MAX, "one limit, two rooms");

static const char local_host[] = "function.weir"; /* the model refuses it in anybody's route */

enum { NO_ROUTE = UINT32_MAX, METHOD_BITS = 16 };

/* A target that has not found its place in the table yet. */
struct pending {
	struct weir_snapshot_target target;
	uint32_t node;
	uint32_t order; /* of two with the same node and method the earlier one stays */
	uint32_t route; /* index into the input, or NO_ROUTE */
	bool wildcard;
};

/* Where a pattern ends in the tree, and its parameters. */
struct place {
	uint32_t node;
	uint32_t params_first;
	uint16_t param_count;
	bool wildcard;
};

static struct weir_snapshot_node *node_at(struct weir_publish_plan *plan, uint32_t node)
{
	return (struct weir_snapshot_node *)plan->nodes.data + node;
}

static int add_node(struct weir_publish_plan *plan, uint32_t *out_node)
{
	const int result = weir_publish_rows_add(&plan->nodes,
						 sizeof(struct weir_snapshot_node), out_node);

	if (result == 0)
		node_at(plan, *out_node)->param_child = WEIR_SNAPSHOT_NONE;
	return result;
}

static int enter_literal(struct weir_publish_plan *plan, struct weir_span segment,
			 uint32_t *node)
{
	/* An empty segment has the edge "/", which no other segment can have (route.h). */
	const struct weir_span text = segment.bytes > 0 ? segment : WEIR_SPAN("/");
	struct weir_snapshot_string interned;
	struct weir_snapshot_edge *edge = NULL;
	int result = weir_publish_strings_intern(&plan->strings, text, &interned);

	if (result == 0)
		result = weir_publish_edges_at(&plan->edges, *node, text, interned, &edge);
	if (result != 0)
		return result;
	if (edge->child == WEIR_SNAPSHOT_NONE) {
		result = add_node(plan, &edge->child);
		if (result != 0)
			return result;
		node_at(plan, *node)->literal_count++;
	}
	*node = edge->child;
	return 0;
}

static int enter_param(struct weir_publish_plan *plan, struct weir_span segment,
		       struct place *place)
{
	const struct weir_span name = {.data = segment.data + 1, .bytes = segment.bytes - 2};
	struct weir_snapshot_string interned;
	uint32_t param = 0;
	uint32_t child = node_at(plan, place->node)->param_child;
	int result = weir_publish_strings_intern(&plan->strings, name, &interned);

	if (result == 0)
		result = weir_publish_rows_add(&plan->params, sizeof(interned), &param);
	if (result == 0 && child == WEIR_SNAPSHOT_NONE)
		result = add_node(plan, &child);
	if (result != 0)
		return result;
	((struct weir_snapshot_string *)plan->params.data)[param] = interned;
	if (place->param_count++ == 0)
		place->params_first = param;
	node_at(plan, place->node)->param_child = child;
	place->node = child;
	return 0;
}

/* Follow a checked pattern from `root`, adding what is missing. */
static int enter_pattern(struct weir_publish_plan *plan, uint32_t root, const char *pattern,
			 struct place *out_place)
{
	const char *end = pattern + strlen(pattern);
	struct place place = {.node = root};
	int result = 0;

	for (const char *at = pattern + 1; result == 0 && at <= end;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		const char *stop = slash != NULL ? slash : end;
		const struct weir_span segment = {.data = at, .bytes = (size_t)(stop - at)};

		if (segment.bytes > 0 && at[0] == '{')
			result = enter_param(plan, segment, &place);
		else if (stop == end && weir_span_equal(segment, WEIR_SPAN("*")))
			place.wildcard = true;
		else
			result = enter_literal(plan, segment, &place.node);
		at = stop + 1;
	}
	if (result == 0)
		*out_place = place;
	return result;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int add_host(struct weir_publish_plan *plan, const char *name)
{
	struct weir_snapshot_host host = {.root = 0};
	uint32_t index = 0;
	int result =
		weir_publish_strings_intern(&plan->strings, weir_span_of(name), &host.name);

	if (result == 0)
		result = add_node(plan, &host.root);
	if (result == 0)
		result = weir_publish_rows_add(&plan->hosts, sizeof(host), &index);
	if (result == 0)
		((struct weir_snapshot_host *)plan->hosts.data)[index] = host;
	return result;
}

/* One row and one root for each different host, sorted. strcmp order is the table's order: memcmp,
 * then length. */
static int add_hosts(struct weir_publish_plan *plan)
{
	const struct weir_publish_input *input = plan->input;
	WEIR_CLEANUP(weir_free)
	const char **names = calloc(input->route_count + 1, sizeof(*names));
	size_t count = 0;
	int result = 0;

	if (names == NULL)
		return -ENOMEM;
	if (input->function_count > 0)
		names[count++] = local_host;
	for (size_t i = 0; i < input->route_count; i++) {
		if (input->routes[i].host[0] != '\0')
			names[count++] = input->routes[i].host;
	}
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; result == 0 && i < count; i++) {
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			result = add_host(plan, names[i]);
	}
	return result;
}

/* Root of a host's tree; every host of the input has one. */
static uint32_t root_of(const struct weir_publish_plan *plan, const char *name)
{
	const struct weir_snapshot_host *hosts = plan->hosts.data;
	size_t first = 0;
	size_t end = plan->hosts.count;

	if (name[0] == '\0')
		return plan->root;
	while (first + 1 < end) {
		const size_t middle = first + (end - first) / 2;

		if (strcmp(plan->strings.text + hosts[middle].name.offset, name) <= 0)
			first = middle;
		else
			end = middle;
	}
	return hosts[first].root;
}

static int add_pending(struct weir_publish_rows *list, const struct pending *pending)
{
	uint32_t index = 0;
	const int result = weir_publish_rows_add(list, sizeof(*pending), &index);

	if (result != 0)
		return result;
	struct pending *row = (struct pending *)list->data + index;

	*row = *pending;
	row->order = index;
	return 0;
}

/* A target for each method of the route. */
static int add_route(struct weir_publish_plan *plan, struct weir_publish_rows *list,
		     uint32_t index)
{
	const struct weir_model_route *route = &plan->input->routes[index];
	struct pending pending = {.route = index};
	struct place place;

	if (weir_model_route_check(route, NULL) != 0)
		return -EINVAL;
	int result = weir_publish_plan_function_index(plan, route->function_id,
						      &pending.target.function);

	if (result == 0)
		result =
			enter_pattern(plan, root_of(plan, route->host), route->pattern, &place);
	if (result == 0)
		result = weir_publish_strings_intern(
			&plan->strings, weir_span_of(route->pattern), &pending.target.pattern);
	if (result != 0)
		return result;
	pending.node = place.node;
	pending.wildcard = place.wildcard;
	pending.target.route_id = route->id;
	pending.target.param_count = place.param_count;
	pending.target.params_first = place.params_first;
	pending.target.timeout_ms = route->timeout_ms;
	pending.target.method = WEIR_SNAPSHOT_METHOD_ANY;
	if (route->methods == 0)
		return add_pending(list, &pending);
	for (uint8_t method = 0; result == 0 && method < METHOD_BITS; method++) {
		pending.target.method = method;
		if ((route->methods & (1U << method)) != 0)
			result = add_pending(list, &pending);
	}
	return result;
}

/* The way to a function by its name: /NAMESPACE/NAME and all below it, on the Unix socket only. */
static int add_local(struct weir_publish_plan *plan, struct weir_publish_rows *list,
		     uint32_t function, bool wildcard)
{
	const struct weir_model_function *from = plan->sorted[function];
	char pattern[2 * sizeof(from->name) + 8];
	struct pending pending = {
		.route = NO_ROUTE,
		.wildcard = wildcard,
		.target = {.function = function,
			   .method = WEIR_SNAPSHOT_METHOD_ANY,
			   .flags = WEIR_SNAPSHOT_TARGET_LOCAL},
	};
	struct place place;

	(void)snprintf(pattern, sizeof(pattern), "/%s/%s%s", from->space, from->name,
		       wildcard ? "/*" : ""); /* fits */
	int result = enter_pattern(plan, root_of(plan, local_host), pattern, &place);

	if (result == 0)
		result = weir_publish_strings_intern(&plan->strings, weir_span_of(pattern),
						     &pending.target.pattern);
	if (result != 0)
		return result;
	pending.node = place.node;
	return add_pending(list, &pending);
}

/* Weir's own functions before rows of the public table, so that of two with one name they stay. */
static int add_locals(struct weir_publish_plan *plan, struct weir_publish_rows *list)
{
	int result = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; result == 0 && i < plan->functions.count; i++) {
			if (plan->sorted[i]->from_public_table != (pass == 1))
				continue;
			result = add_local(plan, list, i, false);
			if (result == 0)
				result = add_local(plan, list, i, true);
		}
	}
	return result;
}

/* Own routes before the public table's, then by id, then as given. */
static int compare_routes(const void *left, const void *right)
{
	const struct weir_model_route *a = *(const struct weir_model_route *const *)left;
	const struct weir_model_route *b = *(const struct weir_model_route *const *)right;

	if (a->from_public_table != b->from_public_table)
		return a->from_public_table ? 1 : -1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a > b) - (a < b); /* two of one array */
}

static int add_routes(struct weir_publish_plan *plan, struct weir_publish_rows *list)
{
	const struct weir_publish_input *input = plan->input;
	WEIR_CLEANUP(weir_free)
	const struct weir_model_route **sorted =
		calloc(input->route_count + 1, sizeof(*sorted));
	int result = 0;

	if (sorted == NULL)
		return -ENOMEM;
	if (input->route_count >= NO_ROUTE)
		return -E2BIG;
	for (size_t i = 0; i < input->route_count; i++)
		sorted[i] = &input->routes[i];
	qsort(sorted, input->route_count, sizeof(*sorted), compare_routes);
	for (size_t i = 0; result == 0 && i < input->route_count; i++)
		result = add_route(plan, list, (uint32_t)(sorted[i] - input->routes));
	return result;
}

/* ANY has the greatest number, so a node's own methods come before it. */
static int compare_pending(const void *left, const void *right)
{
	const struct pending *a = left;
	const struct pending *b = right;

	if (a->node != b->node)
		return a->node < b->node ? -1 : 1;
	if (a->wildcard != b->wildcard)
		return a->wildcard ? 1 : -1;
	if (a->target.method != b->target.method)
		return a->target.method < b->target.method ? -1 : 1;
	return (a->order > b->order) - (a->order < b->order);
}

static bool pending_conflicts(const struct pending *a, const struct pending *b)
{
	return a->node == b->node && a->wildcard == b->wildcard &&
	       a->target.method == b->target.method;
}

/* Give each target its place; what comes second with the same node and method is left out. */
static int place_targets(struct weir_publish_plan *plan, struct weir_publish_rows *list)
{
	struct pending *pending = list->data;

	if (list->count == 0)
		return 0;
	qsort(pending, list->count, sizeof(*pending), compare_pending);
	for (size_t i = 0; i < list->count; i++) {
		uint32_t index = 0;

		if (i > 0 && pending_conflicts(&pending[i], &pending[i - 1])) {
			if (pending[i].route != NO_ROUTE && plan->input->out_shadowed != NULL)
				plan->input->out_shadowed[pending[i].route] = true;
			continue;
		}
		const int result =
			weir_publish_rows_add(&plan->targets, sizeof(pending->target), &index);

		if (result != 0)
			return result;
		((struct weir_snapshot_target *)plan->targets.data)[index] = pending[i].target;
		struct weir_snapshot_node *node = node_at(plan, pending[i].node);
		uint32_t *first =
			pending[i].wildcard ? &node->wildcard_first : &node->routes_first;
		uint32_t *count =
			pending[i].wildcard ? &node->wildcard_count : &node->routes_count;

		if ((*count)++ == 0)
			*first = index;
	}
	return 0;
}

int weir_publish_plan_routes(struct weir_publish_plan *plan)
{
	struct weir_publish_rows list = {.data = NULL};
	int result = add_node(plan, &plan->root);

	if (plan->input->out_shadowed != NULL && plan->input->route_count > 0)
		memset(plan->input->out_shadowed, 0, plan->input->route_count * sizeof(bool));
	if (result == 0)
		result = add_hosts(plan);
	if (result == 0)
		result = add_routes(plan, &list);
	if (result == 0)
		result = add_locals(plan, &list);
	if (result == 0)
		result = place_targets(plan, &list);
	weir_publish_rows_free(&list);
	return result;
}
