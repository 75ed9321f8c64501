#include "dataplane/gateway/nested.h"

#include "dataplane/gateway/shard.h"
#include "dataplane/http/http_response.h"

static struct weir_span span_of(const struct weir_request_head *head, struct weir_head_slice slice)
{
	return (struct weir_span){.data = (const char *)head + slice.offset, .bytes = slice.bytes};
}

/* Is this the function "SPACE/NAME"? */
static bool is_named(const struct weir_snapshot *snapshot, uint32_t index, struct weir_span space,
		     struct weir_span name)
{
	const struct weir_snapshot_function *function = &snapshot->functions[index];

	return weir_span_equal(weir_snapshot_span(snapshot, function->name), name) &&
	       weir_span_equal(weir_snapshot_span(snapshot, function->space), space);
}

static uint32_t name_hash(struct weir_span space, struct weir_span name)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	for (size_t i = 0; i < name.bytes; i++)
		hash = (hash ^ (uint8_t)name.data[i]) * 16777619;
	for (size_t i = 0; i < space.bytes; i++)
		hash = (hash ^ (uint8_t)space.data[i]) * 16777619;
	return hash;
}

/* Functions are sorted by id, so that a name costs a look at all of them; where it was found last is
 * remembered and looked at first. Names that do not exist cost their caller's fan-out. */
static const struct weir_snapshot_function *find(struct weir_shard *shard, struct weir_span space,
						 struct weir_span name)
{
	const struct weir_snapshot *snapshot = &shard->config->snapshot;
	uint32_t *cell = &shard->nested_name[name_hash(space, name) & (WEIR_GATEWAY_NESTED_NAMES - 1)];

	if (*cell < snapshot->function_count && is_named(snapshot, *cell, space, name))
		return &snapshot->functions[*cell];
	for (uint32_t i = 0; i < snapshot->function_count; i++) {
		if (!is_named(snapshot, i, space, name))
			continue;
		*cell = i;
		return &snapshot->functions[i];
	}
	return NULL;
}

static bool has_control(struct weir_span text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		if ((uint8_t)text.data[i] < 0x20 || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

/* Would a client's request with these parts have come this far? */
static bool is_sound(const struct weir_request_head *head)
{
	const struct weir_head_field *field = (const void *)(head + 1);
	const struct weir_span path = span_of(head, head->path);

	if (head->method >= WEIR_HTTP_METHOD_COUNT || head->param_count > 0)
		return false;
	if (path.bytes == 0 || path.data[0] != '/' || has_control(path) ||
	    has_control(span_of(head, head->query)))
		return false;
	for (uint16_t i = 0; i < head->field_count; i++) { /* those that frame a message are Weir's */
		if (weir_http_field_check(span_of(head, field[i].name), span_of(head, field[i].value)) !=
		    WEIR_HTTP_FIELD_KEEP)
			return false;
	}
	return true;
}

enum weir_http_failure weir_nested_head_resolve(struct weir_shard *shard,
						const struct weir_request_head *head,
						uint64_t caller_id,
						const struct weir_snapshot_function **out_function)
{
	const struct weir_snapshot *snapshot = &shard->config->snapshot;
	const struct weir_snapshot_function *caller = weir_snapshot_function_find(snapshot, caller_id);
	struct weir_span name = span_of(head, head->target), space;
	const char *slash = name.bytes > 0 ? memchr(name.data, '/', name.bytes) : NULL;

	if (!is_sound(head))
		return WEIR_HTTP_CALL_MALFORMED;
	if (!caller) /* it was removed while it ran: there is no namespace any more */
		return WEIR_HTTP_CALL_UNKNOWN;
	space = weir_snapshot_span(snapshot, caller->space);
	if (slash) {
		const struct weir_span named = {.data = name.data, .bytes = (size_t)(slash - name.data)};

		if (!weir_span_equal(named, space) && (caller->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) == 0)
			return WEIR_HTTP_CALL_FOREIGN;
		space = named;
		name = (struct weir_span){.data = slash + 1, .bytes = name.bytes - named.bytes - 1};
	}
	*out_function = find(shard, space, name);
	if (!*out_function || (((*out_function)->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) != 0 &&
			       (slash || (caller->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) == 0)))
		return WEIR_HTTP_CALL_UNKNOWN;
	return (*out_function)->runtime == WEIR_RUNTIME_MISSING ? WEIR_HTTP_RUNTIME_MISSING : WEIR_HTTP_OK;
}

static bool hex_read(const char *text, uint64_t *out_number)
{
	*out_number = 0;
	for (int i = 0; i < 16; i++) {
		const char byte = text[i];
		const bool is_letter = byte >= 'a' && byte <= 'f';

		if (!is_letter && (byte < '0' || byte > '9'))
			return false;
		*out_number = *out_number << 4 | (uint64_t)(is_letter ? byte - 'a' + 10 : byte - '0');
	}
	return true;
}

/* The id that a call shall have (x-weir-activation, 32 hex digits), or zero. */
static struct weir_id activation_read(const struct weir_request_head *head)
{
	const struct weir_head_field *field = (const void *)(head + 1);

	for (uint16_t i = 0; i < head->field_count; i++) {
		const struct weir_span value = span_of(head, field[i].value);
		struct weir_id id;

		if (weir_span_equal_nocase(span_of(head, field[i].name), WEIR_SPAN("x-weir-activation")) &&
		    value.bytes == 32 && hex_read(value.data, &id.high) && hex_read(value.data + 16, &id.low))
			return id;
	}
	return (struct weir_id){0};
}

enum weir_http_failure weir_nested_head_count(struct weir_shard *shard, struct weir_nested *nested,
					      const struct weir_request_head *head,
					      const struct weir_snapshot_function *function)
{
	struct weir_shard_call *call = &nested->parent_link->call[nested->parent_call];
	const struct weir_snapshot_function *caller =
		weir_snapshot_function_find(&shard->config->snapshot, call->function_id);
	const bool is_system = caller && (caller->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) != 0;
	const uint8_t depth = call->exchange->connection->depth;

	nested->chosen = is_system ? activation_read(head) : (struct weir_id){0};
	nested->connection.depth = depth;
	if (!function || (function->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) == 0)
		nested->connection.depth++;
	if (!is_system && call->nested_made == WEIR_NESTED_CALLS_MAX)
		return WEIR_HTTP_CALL_FAN_OUT;
	call->nested_made += !is_system;
	return nested->connection.depth > WEIR_NESTED_DEPTH_MAX ? WEIR_HTTP_CALL_DEPTH : WEIR_HTTP_OK;
}

enum weir_http_failure weir_nested_head_ask(const struct weir_request_head *head,
					    const struct weir_snapshot *snapshot,
					    const struct weir_snapshot_function *function,
					    struct weir_schedule_resources *out_ask,
					    char reason[WEIR_ASK_REASON_BYTES])
{
	const struct weir_head_field *field = (const void *)(head + 1);
	enum weir_http_failure failure = WEIR_HTTP_OK;
	struct weir_ask ask = {0};

	for (uint16_t i = 0; i < head->field_count && failure == WEIR_HTTP_OK; i++)
		failure = weir_ask_field(&ask, span_of(head, field[i].name), span_of(head, field[i].value), reason);
	if (failure == WEIR_HTTP_OK)
		failure = weir_ask_match(&ask, snapshot, function, reason);
	if (failure == WEIR_HTTP_OK)
		*out_ask = ask.resources;
	return failure;
}

/* Copy a text behind what is written and return its slice. */
static struct weir_head_slice put(char *out, size_t *at, struct weir_span text)
{
	const struct weir_head_slice slice = {.offset = (uint16_t)*at, .bytes = (uint16_t)text.bytes};

	if (text.bytes > 0)
		memcpy(out + *at, text.data, text.bytes);
	*at += text.bytes;
	return slice;
}

/* The caller's head with what a function may not choose replaced; added texts follow its own. */
size_t weir_nested_head_encode(const struct weir_request_head *head, struct weir_id parent,
			       uint16_t depth, char *out)
{
	struct weir_request_head *encoded = (void *)out;
	char activation[33] = {0};
	size_t at = head->bytes;

	memcpy(out, head, head->bytes);
	weir_id_format(parent, activation);
	encoded->minor = 1;
	encoded->depth = depth;
	encoded->target = put(out, &at, span_of(head, head->path));
	if (head->query.bytes > 0) {
		(void)put(out, &at, WEIR_SPAN("?"));
		(void)put(out, &at, span_of(head, head->query));
		encoded->target.bytes = (uint16_t)(at - encoded->target.offset);
	}
	encoded->authority = put(out, &at, WEIR_SPAN("localhost"));
	encoded->peer = put(out, &at, WEIR_SPAN("function"));
	encoded->pattern = put(out, &at, span_of(head, head->path));
	encoded->parent = put(out, &at, (struct weir_span){.data = activation, .bytes = 32});
	encoded->bytes = (uint32_t)at;
	return at;
}

void weir_nested_head_length(char *encoded, uint64_t body_bytes)
{
	struct weir_request_head *head = (void *)encoded;

	head->content_length = body_bytes;
}
