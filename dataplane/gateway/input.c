#include "dataplane/gateway/input.h"

#include "dataplane/abi/head.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/gateway/activation.h"
#include "dataplane/gateway/ask.h"
#include "dataplane/gateway/caller.h"
#include "dataplane/gateway/dispatch.h"
#include "dataplane/gateway/output.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/gateway/timing.h"
#include "dataplane/http/http_chunked.h"
#include "dataplane/http/http_path.h"

static_assert((int)WEIR_HTTP_GET == 0 && (int)WEIR_HTTP_OPTIONS == 6,
	      "snapshot targets use these numbers");

/* One request under consideration: bytes at `head`, its head parsed in shard->parser. */
struct candidate {
	const char *head;
	size_t bytes;        /* that are here, head included */
	struct weir_span body;
	size_t used;         /* bytes that the request takes up, once it is whole */
	bool stream;         /* the body comes later */
	struct weir_span path;
	enum weir_http_failure failure;
	struct weir_caller caller;
	struct weir_span detail; /* of a failure; empty: there is none */
	uint64_t waited_ns;  /* since its first byte, if it did not come at once */
	struct weir_route_match match; /* parameters and what follows are not initialised */
	struct weir_schedule_resources ask; /* of a head with resource fields */
};

void weir_input_consume(struct weir_shard *shard, struct weir_connection *connection, uint32_t bytes)
{
	struct weir_block *block = connection->in_first;

	WEIR_ASSERT(block && bytes <= weir_block_used(block));
	block->start += bytes;
	if (block->start < block->end)
		return;
	connection->in_first = block->next;
	if (!block->next)
		connection->in_last = NULL;
	weir_block_give(&shard->blocks, block);
}

void weir_input_append_block(struct weir_connection *connection, struct weir_block *block)
{
	*(connection->in_last ? &connection->in_last->next : &connection->in_first) = block;
	connection->in_last = block;
}

bool weir_input_keep(struct weir_shard *shard, struct weir_connection *connection, const char *data,
		     size_t bytes)
{
	while (bytes > 0) {
		struct weir_block *block = connection->in_last;
		size_t part;

		if (!block || weir_block_room(block) == 0) {
			block = weir_block_take_input(&shard->blocks,
						      block ? WEIR_CHUNK_LARGE_BYTES : bytes);
			if (!block)
				return false;
			weir_input_append_block(connection, block);
		}
		part = weir_block_room(block) < bytes ? weir_block_room(block) : bytes;
		memcpy(block->data + block->end, data, part);
		block->end += (uint32_t)part;
		data += part;
		bytes -= part;
	}
	return true;
}

/* Make at least `bytes` of the kept input contiguous in the first block, if they are here.
 * False: no block left. */
static bool pull_up(struct weir_shard *shard, struct weir_connection *connection, size_t bytes)
{
	struct weir_block *first = connection->in_first;

	if (!first || weir_block_used(first) >= bytes || !first->next)
		return true;
	if (first->capacity - first->start < bytes) {
		struct weir_block *large =
			weir_block_take_input(&shard->blocks, WEIR_CHUNK_LARGE_BYTES);

		if (!large)
			return false;
		large->end = (uint32_t)weir_block_used(first);
		memcpy(large->data, first->data + first->start, large->end);
		large->next = first->next;
		connection->in_first = large;
		weir_block_give(&shard->blocks, first);
		first = large;
	}
	while (first->next && weir_block_room(first) > 0) {
		struct weir_block *second = first->next;
		size_t part = weir_block_used(second);

		if (part > weir_block_room(first))
			part = weir_block_room(first);
		memcpy(first->data + first->end, second->data + second->start, part);
		first->end += (uint32_t)part;
		second->start += (uint32_t)part;
		if (second->start < second->end)
			break;
		first->next = second->next;
		if (!second->next)
			connection->in_last = first;
		weir_block_give(&shard->blocks, second);
	}
	return true;
}

/* What the head asks for of the worker that will run it; if it can't have that, why: in shard->scratch. */
static __attribute__((noinline)) void read_ask(struct weir_shard *shard, struct candidate *candidate)
{
	const struct weir_http_parser *parser = &shard->parser;
	enum weir_http_failure failure = WEIR_HTTP_OK;
	struct weir_ask ask = {0};

	static_assert(sizeof(shard->scratch) >= WEIR_ASK_REASON_BYTES, "the reason waits there until it is kept");
	for (uint16_t i = 0; i < parser->header_count && failure == WEIR_HTTP_OK; i++)
		failure = weir_ask_field(&ask, weir_http_slice_span(candidate->head, parser->headers[i].name),
					 weir_http_slice_span(candidate->head, parser->headers[i].value), shard->scratch);
	if (failure == WEIR_HTTP_OK)
		failure = weir_ask_match(&ask, &shard->config->snapshot, candidate->match.function, shard->scratch);
	candidate->failure = failure;
	if (failure != WEIR_HTTP_OK)
		candidate->detail = weir_span_of(shard->scratch);
	candidate->ask = ask.resources;
}

/* Who calls may do so: can it run? */
static void route_matched(struct weir_shard *shard, struct candidate *candidate)
{
	if (candidate->match.function->runtime == WEIR_RUNTIME_MISSING) {
		candidate->failure = WEIR_HTTP_RUNTIME_MISSING;
		candidate->detail = weir_snapshot_span(&shard->config->snapshot, candidate->match.function->reason);
	} else if (shard->parser.resource_fields > 0) {
		read_ask(shard, candidate);
	}
}

static void route(struct weir_shard *shard, struct weir_connection *connection,
		  struct candidate *candidate)
{
	const struct weir_http_parser *parser = &shard->parser;
	const struct weir_span raw = weir_http_slice_span(candidate->head, parser->path);
	struct weir_route_query query = {
		.authority = weir_http_slice_span(candidate->head, parser->authority),
		.method = (uint8_t)parser->method,
		.local = connection->local,
	};

	if (weir_http_path_normalize(raw, shard->path, &candidate->path) != 0) {
		candidate->failure = WEIR_HTTP_BAD_PATH;
		return;
	}
	query.path = candidate->path;
	switch (weir_route_match(&shard->config->snapshot, &query, &candidate->match)) {
	case WEIR_ROUTE_MATCH:
		if (weir_caller_is_asked(parser, candidate->match.target))
			candidate->failure = weir_caller_find(&shard->config->snapshot, parser, candidate->head, &candidate->match,
							      connection->local, &candidate->caller, &candidate->detail);
		if (candidate->failure == WEIR_HTTP_OK)
			route_matched(shard, candidate);
		break;
	case WEIR_ROUTE_NONE:
		candidate->failure = WEIR_HTTP_NO_ROUTE;
		break;
	case WEIR_ROUTE_METHOD:
		candidate->failure = WEIR_HTTP_METHOD_NOT_ALLOWED;
		break;
	}
}

/* Tell a client that waits for it to go on with its small body; only when nothing stands before. */
static void interim_continue(struct weir_shard *shard, struct weir_connection *connection)
{
	if (connection->continue_sent || connection->exchanges.first)
		return;
	if (!weir_output_continue(shard, connection)) {
		weir_connection_abort(shard, connection);
		return;
	}
	connection->continue_sent = true;
	weir_connection_mark(shard, connection);
}

/* Since when a head, or its small body, is under way that did not come at once. */
static uint64_t phase_ns(const struct weir_shard *shard, const struct weir_connection *connection)
{
	const struct weir_settings *settings = shard->config->settings;
	const uint64_t timeout_ms = connection->phase == WEIR_PHASE_HEAD ? settings->head_timeout_ms
									 : settings->body_idle_ms;
	const uint64_t left_ns = connection->phase_deadline_ns - shard->now_ns;

	if (connection->phase != WEIR_PHASE_HEAD && connection->phase != WEIR_PHASE_BODY)
		return 0;
	return left_ns < timeout_ms * WEIR_NS_PER_MS ? timeout_ms * WEIR_NS_PER_MS - left_ns : 0;
}

static void enter_phase(struct weir_shard *shard, struct weir_connection *connection,
			enum weir_phase phase, uint32_t timeout_ms)
{
	if (connection->phase == phase)
		return;
	connection->head_units = weir_activation_units(phase_ns(shard, connection));
	connection->phase = (uint8_t)phase;
	connection->phase_deadline_ns = shard->now_ns + timeout_ms * WEIR_NS_PER_MS;
	weir_connection_watch(shard, connection, connection->phase_deadline_ns);
}

/* Find the body of a parsed head. False: a small body is still under way. */
static bool find_body(struct weir_shard *shard, struct weir_connection *connection,
		      struct candidate *candidate)
{
	const struct weir_http_parser *parser = &shard->parser;
	const size_t here = candidate->bytes - parser->head_bytes;
	struct weir_http_chunked decoder;
	size_t consumed = 0, produced = 0;

	candidate->used = parser->head_bytes;
	switch (parser->body) {
	case WEIR_HTTP_BODY_NONE:
		return true;
	case WEIR_HTTP_BODY_LENGTH:
		candidate->stream = parser->content_length > WEIR_GATEWAY_BODY_SMALL_MAX;
		if (candidate->stream)
			return true;
		if (here < parser->content_length) {
			connection->need_bytes = parser->head_bytes + (uint32_t)parser->content_length;
			return false;
		}
		candidate->body.data = candidate->head + parser->head_bytes;
		candidate->body.bytes = (size_t)parser->content_length;
		candidate->used += candidate->body.bytes;
		return true;
	case WEIR_HTTP_BODY_CHUNKED:
		candidate->stream = true;
		if (here == 0 || here > WEIR_GATEWAY_BODY_SMALL_MAX)
			return true;
		weir_http_chunked_start(&decoder, parser);
		if (weir_http_chunked_decode(&decoder, candidate->head + parser->head_bytes, here,
					     shard->body, &consumed, &produced) !=
		    WEIR_HTTP_CHUNKED_DONE)
			return true; /* more to come, or broken: the streaming way finds out */
		candidate->stream = false;
		candidate->body = (struct weir_span){.data = shard->body, .bytes = produced};
		candidate->used += consumed;
		return true;
	}
	return true;
}

/* Fields that do not depend on the outcome. NULL: the table is full, the connection is aborted. */
static struct weir_exchange *create(struct weir_shard *shard, struct weir_connection *connection)
{
	const struct weir_http_parser *parser = &shard->parser;
	struct weir_exchange *exchange = weir_exchange_create(shard, connection);

	if (!exchange) {
		weir_connection_abort(shard, connection);
		return NULL;
	}
	exchange->minor = parser->minor;
	exchange->head_request = parser->method == WEIR_HTTP_HEAD;
	exchange->keep_alive = parser->keep_alive;
	if (!parser->keep_alive) /* nothing behind this request is read */
		connection->close_after = true;
	weir_shard_count(shard, WEIR_METRIC_requests, 1);
	return exchange;
}

static void begin_stream(struct weir_shard *shard, struct weir_connection *connection,
			 struct weir_exchange *exchange)
{
	const struct weir_http_parser *parser = &shard->parser;

	exchange->stream = true;
	exchange->chunked = parser->body == WEIR_HTTP_BODY_CHUNKED;
	exchange->body_left = exchange->chunked ? 1 : parser->content_length;
	exchange->expect_continue = parser->expect_continue;
	connection->phase = WEIR_PHASE_STREAM;
	connection->phase_deadline_ns = 0; /* the function's deadline holds */
	connection->streaming = exchange;
	weir_connection_receive_stop(shard, connection);
	if (!exchange->chunked)
		return;
	exchange->decoder = weir_block_take(&shard->blocks, sizeof(struct weir_http_chunked));
	if (!exchange->decoder) {
		weir_exchange_fail(shard, exchange, WEIR_HTTP_NO_MEMORY, (struct weir_span){0});
		return;
	}
	weir_http_chunked_start((void *)exchange->decoder->data, parser);
}

static void fail_early(struct weir_shard *shard, struct weir_connection *connection,
		       struct weir_exchange *exchange, const struct candidate *candidate)
{
	exchange->allow = candidate->match.allow;
	exchange->refused_body = candidate->stream;
	if (candidate->stream) /* its body is not read: nothing after it can be */
		connection->close_after = true;
	weir_exchange_fail(shard, exchange, candidate->failure, candidate->detail);
}

/* Bytes of the body, for the record: announced, or here already. */
static uint32_t body_bytes_known(const struct weir_http_parser *parser, const struct candidate *candidate)
{
	const uint64_t bytes = candidate->stream && parser->body == WEIR_HTTP_BODY_LENGTH ? parser->content_length
											  : candidate->body.bytes;

	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

static void submit(struct weir_shard *shard, struct weir_connection *connection,
		   struct candidate *candidate)
{
	struct weir_exchange *exchange = create(shard, connection);
	const struct weir_snapshot_target *target = candidate->match.target;
	const struct weir_snapshot_function *function = candidate->match.function;
	struct weir_encode_input input = {
		.parser = &shard->parser,
		.head = candidate->head,
		.path = candidate->path,
		.peer = {.data = connection->peer, .bytes = connection->peer_bytes},
		.caller = candidate->caller,
		.snapshot = &shard->config->snapshot,
		.match = &candidate->match,
		.content_length = candidate->body.bytes,
	};

	if (!exchange)
		return;
	if (function) {
		exchange->function_id = function->id;
		weir_activation_begin(shard, exchange, function, candidate->waited_ns);
		exchange->stages.route_id = target->route_id;
		exchange->stages.request_bytes = body_bytes_known(&shard->parser, candidate);
	}
	if (candidate->failure != WEIR_HTTP_OK) {
		fail_early(shard, connection, exchange, candidate);
		return;
	}
	if (shard->parser.resource_fields > 0)
		exchange->ask = candidate->ask;
	exchange->generation = shard->config->snapshot.header->generation;
	exchange->deadline_ns =
		shard->now_ns +
		(target->timeout_ms ? target->timeout_ms * WEIR_NS_PER_MS : function->timeout_ns);
	weir_connection_watch(shard, connection, exchange->deadline_ns);
	if (connection->local)
		weir_timing_begin(exchange, &shard->parser, candidate->head);
	if (candidate->stream) {
		begin_stream(shard, connection, exchange);
		input.content_length = exchange->chunked ? WEIR_HEAD_LENGTH_UNKNOWN
							 : shard->parser.content_length;
	}
	if (exchange->failure == WEIR_HTTP_OK)
		weir_dispatch_submit(shard, exchange, &input, candidate->body);
}

/* Answer a head that can't be parsed or kept, and read no more. */
static void refuse(struct weir_shard *shard, struct weir_connection *connection,
		   enum weir_http_failure failure)
{
	struct weir_exchange *exchange;

	connection->close_after = true;
	exchange = create(shard, connection);
	if (!exchange)
		return;
	exchange->minor = 1;
	exchange->keep_alive = false;
	weir_exchange_fail(shard, exchange, failure, (struct weir_span){0});
}

/* Parse, going on where an earlier part of this head ended. The common case, a whole head in one
 * piece, uses the shard's parser and keeps nothing. */
static enum weir_http_parse parse_head(struct weir_shard *shard, struct weir_connection *connection,
				       const char *data, size_t bytes)
{
	struct weir_block *kept = connection->head_parser;
	enum weir_http_parse result;

	static_assert(sizeof(shard->parser) <= WEIR_BLOCK_SMALL_BYTES - sizeof(struct weir_block),
		      "a parser fits a small block");
	if (kept)
		memcpy(&shard->parser, kept->data, sizeof(shard->parser));
	else
		weir_http_parser_reset(&shard->parser, &shard->config->http_limits);
	result = weir_http_parser_execute(&shard->parser, data, bytes);
	if (result == WEIR_HTTP_PARSE_MORE) {
		/* While many heads are under way this one is parsed again from its start. */
		if (!kept && shard->blocks.used < WEIR_BLOCKS_SMALL / 4)
			connection->head_parser = kept =
				weir_block_take_input(&shard->blocks, sizeof(shard->parser));
		if (kept)
			memcpy(kept->data, &shard->parser, sizeof(shard->parser));
	} else if (kept) {
		weir_block_give(&shard->blocks, kept);
		connection->head_parser = NULL;
	}
	return result;
}

/* Look for one request at data[0 .. bytes-1]. Returns the bytes it took, 0 if it is not whole. */
static size_t parse_one(struct weir_shard *shard, struct weir_connection *connection, const char *data,
			size_t bytes)
{
	const struct weir_settings *settings = shard->config->settings;
	struct candidate candidate;

	memset(&candidate, 0, offsetof(struct candidate, match.param));
	candidate.head = data;
	candidate.bytes = bytes;
	switch (parse_head(shard, connection, data, bytes)) {
	case WEIR_HTTP_PARSE_MORE:
		connection->need_bytes = (uint32_t)bytes + 1;
		enter_phase(shard, connection, WEIR_PHASE_HEAD, settings->head_timeout_ms);
		return 0;
	case WEIR_HTTP_PARSE_FAILED:
		refuse(shard, connection, shard->parser.failure);
		return bytes;
	case WEIR_HTTP_PARSE_HEAD:
		break;
	}
	route(shard, connection, &candidate);
	if (!find_body(shard, connection, &candidate)) {
		if (candidate.failure != WEIR_HTTP_OK && shard->parser.expect_continue) {
			candidate.stream = true; /* refuse before the body is sent */
			submit(shard, connection, &candidate);
			return bytes;
		}
		enter_phase(shard, connection, WEIR_PHASE_BODY, settings->body_idle_ms);
		if (shard->parser.expect_continue)
			interim_continue(shard, connection);
		return 0;
	}
	connection->need_bytes = 0;
	connection->continue_sent = false;
	candidate.waited_ns = phase_ns(shard, connection) +
			      (connection->phase == WEIR_PHASE_BODY ? weir_activation_ns(connection->head_units) : 0);
	connection->phase = WEIR_PHASE_IDLE;
	connection->phase_deadline_ns = 0;
	submit(shard, connection, &candidate);
	return candidate.used;
}

/* May the next request be looked for? */
static bool takes_requests(struct weir_shard *shard, struct weir_connection *connection)
{
	if (connection->closing || connection->close_after || connection->streaming ||
	    connection->phase == WEIR_PHASE_LINGER)
		return false;
	if (connection->exchange_count >= shard->config->settings->pipeline_max) {
		connection->paused = true;
		weir_connection_receive_stop(shard, connection);
		return false;
	}
	return true;
}

static size_t parse_all(struct weir_shard *shard, struct weir_connection *connection, const char *data,
			size_t bytes)
{
	size_t used = 0;

	while (used < bytes && bytes - used >= connection->need_bytes &&
	       takes_requests(shard, connection)) {
		const size_t taken = parse_one(shard, connection, data + used, bytes - used);

		if (taken == 0)
			break;
		used += taken;
	}
	return used;
}

void weir_input_bytes(struct weir_shard *shard, struct weir_connection *connection, const char *data,
		      size_t bytes)
{
	size_t used = 0;

	if (connection->closing || (connection->close_after && !connection->streaming))
		return; /* nothing after a refused request is read */
	if (!connection->in_first && !connection->streaming)
		used = parse_all(shard, connection, data, bytes);
	if (used == bytes || connection->closing || (connection->close_after && !connection->streaming))
		return;
	if (!weir_input_keep(shard, connection, data + used, bytes - used)) {
		if (connection->streaming)
			weir_exchange_fail(shard, connection->streaming, WEIR_HTTP_NO_MEMORY,
					   (struct weir_span){0});
		else
			refuse(shard, connection, WEIR_HTTP_NO_MEMORY);
		return;
	}
	if (used == 0)
		weir_connection_mark(shard, connection); /* parsed at the turn's end */
}

bool weir_input_resume(struct weir_shard *shard, struct weir_connection *connection)
{
	bool any = false;

	while (connection->in_first && takes_requests(shard, connection)) {
		struct weir_block *block;
		const size_t want = connection->need_bytes > weir_block_used(connection->in_first)
					    ? connection->need_bytes
					    : weir_block_used(connection->in_first) + 1;
		size_t used;

		if (!pull_up(shard, connection, want)) {
			weir_connection_abort(shard, connection);
			return any;
		}
		block = connection->in_first;
		used = parse_all(shard, connection, block->data + block->start, weir_block_used(block));
		if (used == 0 || connection->closing)
			break;
		weir_input_consume(shard, connection, (uint32_t)used);
		any = true;
	}
	return any;
}
