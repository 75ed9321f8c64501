#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctrl/publish/publish_plan.h"
#include "dataplane/abi/head.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

static_assert((int)WEIR_MODEL_SEGMENTS_MAX == (int)WEIR_SNAPSHOT_SEGMENTS_MAX,
	      "one limit, two rooms");
static_assert((int)WEIR_MODEL_PARAMS_MAX == (int)WEIR_HEAD_PARAMS_MAX, "one limit, two rooms");

static const char local_host[] = "function.weir"; /* the model refuses it in anybody's route */

enum { METHOD_BITS = 16, TARGETS_MAX = METHOD_BITS + 1 /* of one node: each method, and ANY */ };

/* A child whose subtree is complete, waiting for its parent to be. */
struct child {
	uint32_t node;
	struct weir_snapshot_string segment; /* that leads to it, a piece of a pattern */
};

/* A node of the way to the route that was entered last: it may still get children. */
struct open {
	struct weir_snapshot_string segment; /* that leads here; of the first route that came by */
	bool by_param;
	struct weir_snapshot_node node; /* literal_count and label come when it is closed */
	size_t children_first;          /* in tree.children */
};

/* One host's tree while it grows. Routes come in the order of the list, so what left the way to the
 * newest one is complete, and all is written once, from the leaves to the root. */
struct tree {
	struct weir_publish_plan *plan;
	struct weir_publish_rows children; /* struct child: of the open nodes, the deepest last */
	uint32_t depth;                    /* of the deepest open node */
	struct open open[WEIR_SNAPSHOT_SEGMENTS_MAX + 1];
};

static struct weir_snapshot_node *node_at(struct weir_publish_plan *plan, uint32_t node)
{
	return (struct weir_snapshot_node *)plan->nodes.data + node;
}

static void open_begin(struct tree *tree, uint32_t depth)
{
	tree->depth = depth;
	tree->open[depth] = (struct open){
		.node = {.param_child = WEIR_SNAPSHOT_NONE},
		.children_first = tree->children.count,
	};
}

/* Edges of a node that has its index; their children are forgotten. */
static int add_edges(struct tree *tree, uint32_t parent, size_t children_first)
{
	const struct child *children = tree->children.data;
	int result = 0;

	for (size_t i = children_first; result == 0 && i < tree->children.count; i++)
		result = weir_publish_edges_add(&tree->plan->edges, &tree->plan->strings, parent,
						children[i].node, children[i].segment);
	tree->children.count = children_first;
	return result;
}

/* A node with one literal edge and nothing else becomes the beginning of its child's label. The
 * child's segment and label are pieces of one pattern: the first route that came by made both. */
static void join(struct weir_publish_plan *plan, const struct child *child)
{
	struct weir_snapshot_node *node = node_at(plan, child->node);
	const struct weir_snapshot_string label = node->label;

	node->label = child->segment;
	if (node->label_segments > 0) {
		WEIR_ASSERT(label.offset == child->segment.offset + child->segment.bytes + 1);
		node->label.bytes += 1 + label.bytes;
	}
	node->label_segments++;
}

/* The deepest open node gets no more children: write it. */
static int close_deepest(struct tree *tree, uint32_t *out_node)
{
	const struct open *open = &tree->open[tree->depth];
	const size_t literal_count = tree->children.count - open->children_first;
	uint32_t index = 0;

	if (literal_count == 1 && open->node.routes_count == 0 &&
	    open->node.wildcard_count == 0 && open->node.param_child == WEIR_SNAPSHOT_NONE) {
		const struct child *only =
			(const struct child *)tree->children.data + open->children_first;

		index = only->node;
		join(tree->plan, only);
		tree->children.count--;
		*out_node = index;
		return 0;
	}
	int result = weir_publish_rows_add(&tree->plan->nodes, sizeof(open->node), &index);

	if (result == 0)
		result = add_edges(tree, index, open->children_first);
	if (result != 0)
		return result;
	*node_at(tree->plan, index) = open->node;
	node_at(tree->plan, index)->literal_count = (uint32_t)literal_count;
	*out_node = index;
	return 0;
}

/* Close all open nodes below `depth`. */
static int close_below(struct tree *tree, uint32_t depth)
{
	while (tree->depth > depth) {
		const struct open *open = &tree->open[tree->depth];
		uint32_t node = 0;
		uint32_t index = 0;
		int result = close_deepest(tree, &node);

		tree->depth--;
		if (result == 0 && open->by_param) {
			tree->open[tree->depth].node.param_child = node;
		} else if (result == 0) {
			result = weir_publish_rows_add(&tree->children, sizeof(struct child),
						       &index);
			if (result == 0)
				((struct child *)tree->children.data)[index] = (struct child){
					.node = node, .segment = open->segment};
		}
		if (result != 0)
			return result;
	}
	return 0;
}

/* How many segments two keys have in common from the left. */
static uint32_t common_segments(const char *a, const char *b)
{
	uint32_t count = 0;

	for (; *a == *b && *a != '\0'; a++, b++)
		count += *a == WEIR_PUBLISH_KEY_SLASH;
	return count + ((*a == '\0' || *a == WEIR_PUBLISH_KEY_SLASH) &&
			(*b == '\0' || *b == WEIR_PUBLISH_KEY_SLASH));
}

/* Open the nodes of a pattern behind its first `common` segments, which are open; its text stands in
 * the strings at `text`. A star at the end opens nothing. */
static int open_pattern(struct tree *tree, const char *pattern, uint32_t text, uint32_t common,
			bool *out_wildcard)
{
	const char *at = pattern + 1;
	const char *slash = pattern;
	uint32_t depth = 0;
	int result = close_below(tree, common);

	*out_wildcard = false;
	for (; result == 0 && slash != NULL; at = slash != NULL ? slash + 1 : at) {
		slash = strchr(at, '/');
		const size_t bytes = slash != NULL ? (size_t)(slash - at) : strlen(at);

		if (slash == NULL && bytes == 1 && at[0] == '*') {
			*out_wildcard = true;
			return 0;
		}
		if (depth++ < common)
			continue;
		WEIR_ASSERT(depth <= WEIR_SNAPSHOT_SEGMENTS_MAX);
		open_begin(tree, depth);
		tree->open[depth].by_param = at[0] == '{';
		tree->open[depth].segment = (struct weir_snapshot_string){
			.offset = text + (uint32_t)(at - pattern), .bytes = (uint32_t)bytes};
	}
	return result;
}

/* The names of a pattern's parameters. */
static int add_params(struct weir_publish_plan *plan, const char *pattern,
		      struct weir_snapshot_target *target)
{
	for (const char *at = strchr(pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
		const struct weir_span name = {.data = at + 1, .bytes = strcspn(at + 1, "}")};
		struct weir_snapshot_string interned;
		uint32_t param = 0;
		int result = weir_publish_strings_intern(&plan->strings, name, &interned);

		if (result == 0)
			result = weir_publish_rows_add(&plan->params, sizeof(interned), &param);
		if (result != 0)
			return result;
		((struct weir_snapshot_string *)plan->params.data)[param] = interned;
		if (target->param_count++ == 0)
			target->params_first = param;
	}
	return 0;
}

/* Routes with one host and one pattern but for parameters' names, the first of them winning. */
struct group {
	struct weir_publish_entry *first;
	size_t count;
	bool local;
};

/* What it takes to call a route. */
static uint8_t target_flags(const struct weir_publish_plan *plan, const struct group *group,
			    const struct weir_publish_entry *entry)
{
	const bool is_required =
		entry->role != WEIR_ROLE_NOBODY &&
		(entry->auth == WEIR_MODEL_AUTH_REQUIRED ||
		 (entry->auth == WEIR_MODEL_AUTH_AS_SET && plan->input->settings.auth_required != 0));

	if (group->local)
		return WEIR_SNAPSHOT_TARGET_LOCAL;
	return (uint8_t)((is_required ? WEIR_SNAPSHOT_TARGET_REQUIRED : 0) |
			 (entry->is_asking ? WEIR_SNAPSHOT_TARGET_ASKS : 0));
}

/* Fill the targets that this route has first; `taken` has a bit for each method, ANY the last. */
static int add_methods(struct weir_publish_plan *plan, const struct group *group,
		       struct weir_publish_entry *entry, struct weir_snapshot_string pattern,
		       struct weir_snapshot_target targets[TARGETS_MAX], uint32_t *taken)
{
	const uint32_t wanted = entry->methods != 0 ? entry->methods : 1U << METHOD_BITS;
	struct weir_snapshot_target target = {
		.route_id = group->local ? 0 : entry->id,
		.flags = target_flags(plan, group, entry),
		.role = entry->role,
		.timeout_ms = entry->timeout_ms,
		.pattern = pattern,
	};
	uint32_t left = wanted & ~*taken;
	int result = 0;

	entry->shadowed = left != wanted;
	result = weir_publish_plan_function_index(plan, entry->function_id, &target.function);
	if (result == 0 && left != 0)
		result = add_params(plan, entry->pattern, &target);
	*taken |= left;
	for (; result == 0 && left != 0; left &= left - 1) {
		const uint32_t method = (uint32_t)__builtin_ctz(left);

		target.method = method == METHOD_BITS ? WEIR_SNAPSHOT_METHOD_ANY : (uint8_t)method;
		targets[method] = target;
	}
	return result;
}

/* The targets of a group, its own methods before ANY, at the deepest open node. */
static int add_targets(struct tree *tree, const struct group *group,
		       struct weir_snapshot_string pattern, bool wildcard)
{
	struct weir_publish_plan *plan = tree->plan;
	struct weir_snapshot_node *node = &tree->open[tree->depth].node;
	struct weir_snapshot_target targets[TARGETS_MAX];
	uint32_t taken = 0;
	uint32_t index = 0;
	uint16_t count = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < group->count; i++) {
		struct weir_publish_entry *entry = &group->first[i];

		if (i > 0 && strcmp(entry->pattern, entry[-1].pattern) != 0)
			result = weir_publish_strings_append(
				&plan->strings, weir_span_of(entry->pattern), &pattern);
		if (result == 0)
			result = add_methods(plan, group, entry, pattern, targets, &taken);
	}
	for (; result == 0 && taken != 0; taken &= taken - 1, count++) {
		result = weir_publish_rows_add(&plan->targets, sizeof(targets[0]), &index);
		if (result == 0)
			((struct weir_snapshot_target *)plan->targets.data)[index] =
				targets[__builtin_ctz(taken)];
	}
	*(wildcard ? &node->wildcard_first : &node->routes_first) = index + 1 - count;
	*(wildcard ? &node->wildcard_count : &node->routes_count) = count;
	return result;
}

static int add_group(struct tree *tree, const struct group *group, const char *key_before)
{
	const char *pattern = group->first->pattern;
	struct weir_snapshot_string text;
	bool wildcard = false;
	int result = weir_publish_strings_append(&tree->plan->strings, weir_span_of(pattern),
						 &text);

	if (result == 0)
		result = open_pattern(tree, pattern, text.offset,
				      key_before == NULL
					      ? 0
					      : common_segments(key_before, group->first->key),
				      &wildcard);
	return result == 0 ? add_targets(tree, group, text, wildcard) : result;
}

/* The tree of the entries from `first` on that have its host. *out_end: behind them. */
static int add_tree(struct weir_publish_plan *plan, struct weir_publish_list *list,
		    size_t first, bool local, size_t *out_end, uint32_t *out_root)
{
	struct tree tree = {.plan = plan};
	const char *key_before = NULL;
	const char *host = list->entry[first].host;
	size_t at = first;
	int result = 0;

	open_begin(&tree, 0);
	while (result == 0 && at < list->count && strcmp(list->entry[at].host, host) == 0) {
		struct group group = {.first = &list->entry[at], .local = local};

		do {
			group.count++;
			at++;
		} while (at < list->count && strcmp(list->entry[at].key, group.first->key) == 0 &&
			 strcmp(list->entry[at].host, host) == 0);
		result = add_group(&tree, &group, key_before);
		key_before = group.first->key;
	}
	if (result == 0)
		result = close_below(&tree, 0);
	if (result == 0)
		result = close_deepest(&tree, out_root);
	weir_publish_rows_free(&tree.children);
	*out_end = at;
	return result;
}

static int add_host(struct weir_publish_plan *plan, const char *name, uint32_t root)
{
	struct weir_snapshot_host host = {.root = root};
	uint32_t index = 0;
	int result =
		weir_publish_strings_intern(&plan->strings, weir_span_of(name), &host.name);

	if (result == 0)
		result = weir_publish_rows_add(&plan->hosts, sizeof(host), &index);
	if (result == 0)
		((struct weir_snapshot_host *)plan->hosts.data)[index] = host;
	return result;
}

/* The ways to a function by its name: /NAMESPACE/NAME and all below it, on the Unix socket only. */
static int list_local(struct weir_publish_list *locals,
		      const struct weir_model_function *function)
{
	const struct weir_publish_entry entry = {
		.id = function->id,
		.function_id = function->id,
		.rank = function->from_public_table ? WEIR_PUBLISH_PUBLIC : WEIR_PUBLISH_STORE,
		.role = WEIR_ROLE_INVOKER,
	};
	char pattern[2 * sizeof(function->name) + 8];
	int result = 0;

	(void)snprintf(pattern, sizeof(pattern), "/%s/%s", function->space,
		       function->name); /* fits */
	result = weir_publish_list_add_entry(locals, local_host, pattern, &entry);
	if (result != 0)
		return result;
	(void)snprintf(pattern, sizeof(pattern), "/%s/%s/*", function->space,
		       function->name); /* fits */
	return weir_publish_list_add_entry(locals, local_host, pattern, &entry);
}

static int add_locals(struct weir_publish_plan *plan)
{
	WEIR_CLEANUP(weir_publish_list_release) struct weir_publish_list locals = {.count = 0};
	size_t end = 0;
	uint32_t root = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < plan->functions.count; i++) {
		if (!plan->sorted[i]->is_builtin)
			result = list_local(&locals, plan->sorted[i]);
	}
	if (result == 0)
		result = weir_publish_list_settle(&locals);
	if (result != 0 || locals.count == 0)
		return result;
	result = add_tree(plan, &locals, 0, true, &end, &root);
	return result == 0 ? add_host(plan, local_host, root) : result;
}

/* Routes without host come first in the list; without any, their tree is one empty node. */
static int add_root(struct weir_publish_plan *plan, struct weir_publish_list *list, size_t *at)
{
	if (list->count > 0 && list->entry[0].host[0] == '\0')
		return add_tree(plan, list, 0, false, at, &plan->root);
	const int result = weir_publish_rows_add(&plan->nodes, sizeof(struct weir_snapshot_node),
						 &plan->root);

	if (result == 0)
		node_at(plan, plan->root)->param_child = WEIR_SNAPSHOT_NONE;
	return result;
}

int weir_publish_plan_routes(struct weir_publish_plan *plan, struct weir_publish_list *list)
{
	bool locals_due = true;
	size_t at = 0;
	int result = weir_publish_list_settle(list);

	if (result == 0)
		result = add_root(plan, list, &at);
	/* Hosts come sorted, in strcmp order: memcmp, then length. */
	while (result == 0 && at < list->count) {
		const char *host = list->entry[at].host;
		uint32_t root = 0;

		if (locals_due && strcmp(host, local_host) > 0) {
			locals_due = false;
			result = add_locals(plan);
		}
		if (result == 0)
			result = add_tree(plan, list, at, false, &at, &root);
		if (result == 0)
			result = add_host(plan, host, root);
	}
	return result == 0 && locals_due ? add_locals(plan) : result;
}
