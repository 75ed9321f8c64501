#include "dataplane/route/route.h"

#include <endian.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/bytes.h"

enum {
	HOST_BYTES_MAX = 253, /* longer names are no host of ours */
	/* Of enum weir_http_method, which this room cannot see; a test holds them together. */
	METHOD_GET = 0,
	METHOD_HEAD = 1,
};

/* A way through the tree that waits for its turn: a parameter edge passed by for a literal one. */
struct branch {
	uint32_t node;
	uint32_t depth;
	uint32_t params; /* bit d: segment d is a parameter's value */
};

/* A target and how the path led to it. */
struct candidate {
	const struct weir_snapshot_target *target; /* NULL: none */
	uint32_t depth;
	uint32_t params;
	bool wildcard;
};

struct walk {
	const struct weir_snapshot *snapshot;
	const struct weir_route_query *query;
	uint32_t steps_left;
	uint32_t segment_count; /* at most WEIR_SNAPSHOT_SEGMENTS_MAX + 1: "too many to end" */
	uint16_t allow;
	struct candidate best; /* of this tree */
	/* Segment i is path[start[i] .. start[i + 1] - 2]: between two slashes. */
	uint32_t start[WEIR_SNAPSHOT_SEGMENTS_MAX + 2];
};

static_assert(WEIR_SNAPSHOT_SEGMENTS_MAX <= 32, "a candidate's parameters are a 32-bit set");

/* Bit 8i+7: byte i of the eight at `text` is a slash. */
static uint64_t slashes_of(const char *text)
{
	const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	word = le64toh(word) ^ UINT64_C(0x2f2f2f2f2f2f2f2f); /* a slash is a byte of zero now */
	return ~(((word & low) + low) | word | low);
}

/* A segment ends before path[at]. False: that was one more than any pattern has. */
static inline bool segment_add(struct walk *walk, size_t at)
{
	walk->start[++walk->segment_count] = (uint32_t)at + 1;
	return walk->segment_count <= WEIR_SNAPSHOT_SEGMENTS_MAX;
}

/* Cut the path at its slashes, as far as any pattern can reach. */
static void walk_cut(struct walk *walk)
{
	const struct weir_span path = walk->query->path;
	size_t at = 1;

	walk->start[0] = 1;
	walk->segment_count = 0;
	while (at < path.bytes && path.bytes >= 8) {
		/* The last eight reach back to what was seen. */
		const size_t block = path.bytes - at >= 8 ? at : path.bytes - 8;

		for (uint64_t left = slashes_of(path.data + block) >> 8 * (at - block); left != 0;
		     left &= left - 1) {
			if (!segment_add(walk, at + (size_t)__builtin_ctzll(left) / 8))
				return;
		}
		at = block + 8;
	}
	for (; at < path.bytes; at++) {
		if (path.data[at] == '/' && !segment_add(walk, at))
			return;
	}
	(void)segment_add(walk, at); /* whatever it says: the path ends here */
}

static struct weir_span segment_at(const struct walk *walk, uint32_t depth)
{
	return (struct weir_span){
		.data = walk->query->path.data + walk->start[depth],
		.bytes = walk->start[depth + 1] - 1 - walk->start[depth],
	};
}

/* The child that a literal segment leads to, or WEIR_SNAPSHOT_NONE. */
static uint32_t literal_child(const struct weir_snapshot *snapshot, uint32_t parent,
			      struct weir_span segment)
{
	/* An empty segment goes by the name "/": the byte before it. */
	const struct weir_span name =
		segment.bytes > 0 ? segment
				  : (struct weir_span){.data = segment.data - 1, .bytes = 1};
	const uint32_t hash =
		(uint32_t)weir_snapshot_edge_hash(snapshot->header->hash_seed, parent, name);
	uint32_t place = hash & snapshot->edge_mask;

	/* Ends at an empty cell: the attach check saw that the table is at most half full. */
	for (;;) {
		const struct weir_snapshot_edge *edge = &snapshot->edges[place];

		if (edge->child == WEIR_SNAPSHOT_NONE)
			return WEIR_SNAPSHOT_NONE;
		if (edge->hash == hash && edge->parent == parent &&
		    edge->segment.bytes == name.bytes &&
		    weir_bytes_equal(snapshot->strings + edge->segment.offset, name.data,
				     name.bytes))
			return edge->child;
		place = (place + 1) & snapshot->edge_mask;
	}
}

/* Does the path go on with the node's label? Then the branch stands behind it. */
static bool follow_label(const struct walk *walk, const struct weir_snapshot_node *node,
			 struct branch *at)
{
	const struct weir_span label = weir_snapshot_span(walk->snapshot, node->label);
	const uint32_t end = at->depth + node->label_segments;

	if (node->label_segments > walk->segment_count - at->depth ||
	    end > WEIR_SNAPSHOT_SEGMENTS_MAX)
		return false;
	/* As many segments and the same bytes: the slashes stand at the same places. */
	if (walk->start[end] - 1 - walk->start[at->depth] != label.bytes ||
	    !weir_bytes_equal(walk->query->path.data + walk->start[at->depth], label.data,
			      label.bytes))
		return false;
	at->depth = end;
	return true;
}

/* Of the targets at one place in the tree, the one for the request's method; notes all methods. */
static const struct weir_snapshot_target *choose_among(struct walk *walk, uint32_t first,
						       uint32_t count)
{
	const struct weir_snapshot_target *any = NULL;
	const struct weir_snapshot_target *get = NULL;

	for (uint32_t i = 0; i < count; i++) {
		const struct weir_snapshot_target *target = &walk->snapshot->targets[first + i];

		if ((target->flags & WEIR_SNAPSHOT_TARGET_LOCAL) != 0 && !walk->query->local)
			continue;
		if (target->method == walk->query->method)
			return target;
		if (target->method == WEIR_SNAPSHOT_METHOD_ANY) {
			any = any != NULL ? any : target;
			continue;
		}
		walk->allow |= (uint16_t)(1U << target->method);
		if (target->method == METHOD_GET)
			get = get != NULL ? get : target;
	}
	if (any != NULL)
		return any;
	return walk->query->method == METHOD_HEAD ? get : NULL;
}

/* The same, quick where there is but one and it will do. */
static inline const struct weir_snapshot_target *choose(struct walk *walk, uint32_t first,
							uint32_t count)
{
	const struct weir_snapshot_target *only = &walk->snapshot->targets[first];

	if (count == 1 && (only->flags & WEIR_SNAPSHOT_TARGET_LOCAL) == 0 &&
	    (only->method == WEIR_SNAPSHOT_METHOD_ANY || only->method == walk->query->method))
		return only;
	return choose_among(walk, first, count);
}

/* The path ends at this node. True if that settles the tree. */
static bool visit_end(struct walk *walk, const struct branch *at)
{
	const struct weir_snapshot_node *node = &walk->snapshot->nodes[at->node];
	const struct weir_snapshot_target *target =
		choose(walk, node->routes_first, node->routes_count);

	if (target == NULL)
		return false;
	walk->best =
		(struct candidate){.target = target, .depth = at->depth, .params = at->params};
	return true;
}

/* The path goes on below this node: a star here would take the rest. */
static void visit_wildcard(struct walk *walk, const struct branch *at)
{
	const struct weir_snapshot_node *node = &walk->snapshot->nodes[at->node];

	if (node->wildcard_count == 0)
		return;
	const struct weir_snapshot_target *target =
		choose(walk, node->wildcard_first, node->wildcard_count);

	/* Nodes are visited in the order of preference, so only a longer prefix beats what is there. */
	if (target == NULL || (walk->best.target != NULL && walk->best.depth >= at->depth))
		return;
	walk->best = (struct candidate){
		.target = target, .depth = at->depth, .params = at->params, .wildcard = true};
}

/* Behind the node's label: what the path does here. The child that a literal leads to, or NONE. */
static uint32_t visit(struct walk *walk, const struct weir_snapshot_node *node,
		      const struct branch *at, struct branch *out_param, bool *out_settled)
{
	if (at->depth == walk->segment_count) {
		*out_settled = node->routes_count > 0 && visit_end(walk, at);
		return WEIR_SNAPSHOT_NONE;
	}
	const struct weir_span segment = segment_at(walk, at->depth);

	visit_wildcard(walk, at);
	if (at->depth >= WEIR_SNAPSHOT_SEGMENTS_MAX)
		return WEIR_SNAPSHOT_NONE;
	if (node->param_child != WEIR_SNAPSHOT_NONE && segment.bytes > 0)
		*out_param = (struct branch){
			.node = node->param_child,
			.depth = at->depth + 1,
			.params = at->params | UINT32_C(1) << at->depth,
		};
	return node->literal_count > 0 ? literal_child(walk->snapshot, at->node, segment)
				       : WEIR_SNAPSHOT_NONE;
}

/* Depth first, literal before parameter. Each tree node is reached at most once. */
static void walk_tree(struct walk *walk, uint32_t root)
{
	/* Below each node on the way at most one parameter edge waits. */
	struct branch stack[WEIR_SNAPSHOT_SEGMENTS_MAX + 1];
	uint32_t waiting = 0;
	struct branch at = {.node = root};

	for (; walk->steps_left > 0; walk->steps_left--) {
		const struct weir_snapshot_node *node = &walk->snapshot->nodes[at.node];
		struct branch param = {.node = WEIR_SNAPSHOT_NONE};
		uint32_t child = WEIR_SNAPSHOT_NONE;
		bool settled = false;

		if (node->label_segments == 0 || follow_label(walk, node, &at))
			child = visit(walk, node, &at, &param, &settled);
		if (settled)
			return;
		if (param.node != WEIR_SNAPSHOT_NONE)
			stack[waiting++] = param;
		if (child != WEIR_SNAPSHOT_NONE) {
			at.node = child;
			at.depth++;
		} else if (waiting > 0) {
			at = stack[--waiting];
		} else {
			return;
		}
	}
}

static int lower(unsigned char byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

/* Host as sent -> lower case, without port and final dot. Returns its bytes, or 0 if it is none. */
static size_t host_normalize(struct weir_span authority, char out[HOST_BYTES_MAX])
{
	const bool address6 = authority.bytes > 0 && authority.data[0] == '[';
	const char *end = authority.bytes > 0 ? memchr(authority.data, address6 ? ']' : ':',
						       authority.bytes)
					      : NULL;
	size_t bytes = authority.bytes;

	if (end != NULL)
		bytes = (size_t)(end - authority.data) + (address6 ? 1 : 0);
	if (bytes > 0 && authority.data[bytes - 1] == '.')
		bytes--;
	if (bytes > HOST_BYTES_MAX)
		return 0;
	for (size_t i = 0; i < bytes; i++)
		out[i] = (char)lower((unsigned char)authority.data[i]);
	return bytes;
}

/* Root of the tree of the request's host, or WEIR_SNAPSHOT_NONE. Mostly the first byte tells that a
 * host is another one; the whole name is made only when that is equal. */
static uint32_t host_root(const struct weir_snapshot *snapshot, struct weir_span authority)
{
	char name[HOST_BYTES_MAX];
	size_t bytes = 0; /* 0: not made */
	uint32_t first = 0;
	uint32_t end = authority.bytes > 0 ? snapshot->header->hosts.count : 0;

	while (first < end) {
		const uint32_t middle = first + (end - first) / 2;
		const struct weir_span have =
			weir_snapshot_span(snapshot, snapshot->hosts[middle].name);
		int order = have.bytes > 0 ? (unsigned char)have.data[0] -
						     lower((unsigned char)authority.data[0])
					   : -1;

		if (order == 0) {
			bytes = bytes > 0 ? bytes : host_normalize(authority, name);
			if (bytes == 0)
				return WEIR_SNAPSHOT_NONE;
			order = memcmp(have.data, name, have.bytes < bytes ? have.bytes : bytes);
		}
		if (order == 0 && have.bytes == bytes)
			return snapshot->hosts[middle].root;
		if (order < 0 || (order == 0 && have.bytes < bytes))
			first = middle + 1;
		else
			end = middle;
	}
	return WEIR_SNAPSHOT_NONE;
}

static void match_fill(const struct walk *walk, struct weir_route_match *out_match)
{
	const struct candidate *best = &walk->best;
	const struct weir_span path = walk->query->path;
	uint32_t left = best->params;

	out_match->target = best->target;
	out_match->function = &walk->snapshot->functions[best->target->function];
	out_match->allow = 0;
	out_match->param_count = 0;
	out_match->rest = (struct weir_span){.data = path.data + path.bytes, .bytes = 0};
	for (; left != 0 && out_match->param_count < best->target->param_count;
	     left &= left - 1)
		out_match->param[out_match->param_count++] =
			segment_at(walk, (uint32_t)__builtin_ctz(left));
	if (best->wildcard) {
		const uint32_t start = walk->start[best->depth];

		out_match->rest = (struct weir_span){.data = path.data + start,
						     .bytes = path.bytes - start};
	}
}

enum weir_route_result weir_route_match(const struct weir_snapshot *snapshot,
					const struct weir_route_query *query,
					struct weir_route_match *out_match)
{
	struct walk walk;

	if (query->path.bytes == 0 || query->path.data[0] != '/')
		return WEIR_ROUTE_NONE;
	/* Not initialised as a whole: `start` is large and filled as far as it is used. */
	walk.snapshot = snapshot;
	walk.query = query;
	walk.steps_left = WEIR_ROUTE_STEPS_MAX;
	walk.allow = 0;
	walk.best = (struct candidate){.target = NULL};
	walk_cut(&walk);
	uint32_t root = host_root(snapshot, query->authority);

	if (root == WEIR_SNAPSHOT_NONE)
		root = snapshot->header->root;
	for (;;) {
		walk_tree(&walk, root);
		if (walk.best.target != NULL || root == snapshot->header->root)
			break;
		root = snapshot->header->root;
	}
	if (walk.best.target != NULL) {
		match_fill(&walk, out_match);
		return WEIR_ROUTE_MATCH;
	}
	if (walk.allow == 0)
		return WEIR_ROUTE_NONE;
	if ((walk.allow & (1U << METHOD_GET)) != 0)
		walk.allow |= 1U << METHOD_HEAD;
	out_match->target = NULL;
	out_match->function = NULL;
	out_match->param_count = 0;
	out_match->allow = walk.allow;
	return WEIR_ROUTE_METHOD;
}

struct weir_span weir_route_param_name(const struct weir_snapshot *snapshot,
				       const struct weir_snapshot_target *target, uint16_t i)
{
	WEIR_DEBUG_ASSERT(i < target->param_count);
	return weir_snapshot_span(snapshot, snapshot->params[target->params_first + i]);
}
