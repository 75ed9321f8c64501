/* Routing, the snapshot, encoding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/publish/publish.h"
#include "dataplane/gateway/encode.h"
#include "dataplane/route/route.h"
#include "dataplane/shm/head_check.h"

#include "bench/micro.h"

enum {
	ROUNDS = 4096,
	PATH_BYTES_MAX = 64,
	FUNCTIONS = 1000,
	HEAD_BYTES_MAX = 4096,
	ENCODE_ROUNDS = 32
};

static struct weir_snapshot snapshot;
static char path[ROUNDS][PATH_BYTES_MAX]; /* what is asked for, in an order without pattern */
static uint64_t function_id[ROUNDS];
static struct weir_http_parser parser;
static struct weir_route_match match;
static _Alignas(8) char encoded[HEAD_BYTES_MAX];
static struct weir_encode_input input;
static size_t encoded_bytes;

static uint32_t scattered(uint32_t i, uint32_t count)
{
	return (uint32_t)((i * UINT64_C(2654435761)) % count);
}

/* Functions 1 .. function_count, routes /shop/items/I/{id} in turn to each of them. */
static void publish(uint32_t route_count, uint32_t function_count)
{
	struct weir_model_function *functions = calloc(function_count, sizeof(*functions));
	struct weir_model_route *routes = calloc(route_count, sizeof(*routes));
	struct weir_publish_input wanted = {.generation = 1,
					    .settings = weir_publish_settings_default(),
					    .pool_workers_min = 1,
					    .pool_workers_max = 1,
					    .functions = functions,
					    .function_count = function_count,
					    .routes = routes,
					    .route_count = route_count};
	int fd = -1;
	int result;

	if (!functions || !routes)
		weir_micro_fail("no memory for a configuration", 0);
	for (uint32_t i = 0; i < function_count; i++) {
		functions[i] = (struct weir_model_function){.id = i + 1,
							    .version = 1,
							    .space = "default",
							    .runtime = "native",
							    .code_path = "/f.so",
							    .timeout_ms = 1000,
							    .memory_mb = 64,
							    .queue_max = 100};
		(void)snprintf(functions[i].name, sizeof(functions[i].name), "f%u", i);
	}
	for (uint32_t i = 0; i < route_count; i++) {
		routes[i] = (struct weir_model_route){
			.id = i + 1, .function_id = 1 + i % function_count, .space = "default"};
		(void)snprintf(routes[i].name, sizeof(routes[i].name), "f%u",
			       i % function_count);
		(void)snprintf(routes[i].pattern, sizeof(routes[i].pattern),
			       "/shop/items/i%u/{id}", i);
	}
	result = weir_publish_build(&wanted, &fd);
	if (result == 0) {
		weir_snapshot_detach(&snapshot);
		result = weir_snapshot_attach(fd, &snapshot);
		(void)close(fd);
	}
	if (result != 0)
		weir_micro_fail("a configuration cannot be built", result);
	free(functions);
	free(routes);
}

static void route_open(uint32_t count)
{
	publish(count, 1);
	for (uint32_t i = 0; i < ROUNDS; i++)
		(void)snprintf(path[i], sizeof(path[i]), "/shop/items/i%u/%u",
			       scattered(i, count), i);
}

static void route_pass(uint32_t count)
{
	struct weir_route_query query = {
		.authority = {.data = "shop.example.org", .bytes = 16}};

	(void)count;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		query.path = (struct weir_span){.data = path[i], .bytes = strlen(path[i])};
		if (weir_route_match(&snapshot, &query, &match) != WEIR_ROUTE_MATCH)
			weir_micro_fail("a path has no route", 0);
		weir_micro_keep((uintptr_t)match.target);
	}
}

static void snapshot_open(uint32_t count)
{
	publish(count, count);
	for (uint32_t i = 0; i < ROUNDS; i++)
		function_id[i] = 1 + scattered(i, count);
}

/* What a request reads of the snapshot besides its route: the worker finds the function by its id,
 * the gateway reads its row, its pool's row and the settings. */
static void snapshot_pass(uint32_t count)
{
	(void)count;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const struct weir_snapshot_function *function =
			weir_snapshot_function_find(&snapshot, function_id[i]);

		if (!function)
			weir_micro_fail("a function is missing", 0);
		weir_micro_keep(function->queue_max + function->timeout_ns +
				snapshot.pools[function->pool].key +
				snapshot.header->settings.kill_grace_ms);
	}
}

static void encode_open(uint32_t browser)
{
	static const struct weir_http_limits limits = {.target_bytes_max = 8192,
						       .head_bytes_max = 16384,
						       .headers_max = 100,
						       .body_bytes_max = 1 << 20};
	const char *const text = browser ? weir_micro_get_browser : weir_micro_get_minimal;
	const struct weir_route_query query = {
		.path = {.data = "/shop/items/i7/4711", .bytes = 19}};

	publish(10, 1);
	weir_http_parser_reset(&parser, &limits);
	if (weir_http_parser_execute(&parser, text, strlen(text)) != WEIR_HTTP_PARSE_HEAD ||
	    weir_route_match(&snapshot, &query, &match) != WEIR_ROUTE_MATCH)
		weir_micro_fail("a request cannot be prepared", 0);
	input = (struct weir_encode_input){.parser = &parser,
					   .head = text,
					   .path = query.path,
					   .peer = {.data = "127.0.0.1", .bytes = 9},
					   .snapshot = &snapshot,
					   .match = &match};
	encoded_bytes = weir_encode_request(&input, encoded);
	if (encoded_bytes == 0 || encoded_bytes > sizeof(encoded))
		weir_micro_fail("a request cannot be encoded", 0);
}

static void encode_pass(uint32_t browser)
{
	(void)browser;
	for (uint32_t i = 0; i < ENCODE_ROUNDS; i++)
		weir_micro_keep(weir_encode_request(&input, encoded));
}

static void check_pass(uint32_t browser)
{
	(void)browser;
	for (uint32_t i = 0; i < ENCODE_ROUNDS; i++)
		if (weir_head_check_request(encoded, encoded_bytes) != 0)
			weir_micro_fail("a head is not valid", 0);
}

const struct weir_micro weir_micro_route[] = {
	{"route-10", "route: match among 10, one parameter", route_open, route_pass, 10,
	 ROUNDS},
	{"route-1000", "the same among 1,000", route_open, route_pass, 1000, ROUNDS},
	{"route-100000", "the same among 100,000", route_open, route_pass, 100000, ROUNDS},
	{"snapshot-1", "snapshot: function by id of 1, its pool, the settings", snapshot_open,
	 snapshot_pass, 1, ROUNDS},
	{"snapshot-1000", "the same, of 1,000", snapshot_open, snapshot_pass, FUNCTIONS,
	 ROUNDS},
	{"encode-minimal", "encode a request for the worker, Host only", encode_open,
	 encode_pass, 0, ENCODE_ROUNDS},
	{"encode-browser", "the same, 12 fields", encode_open, encode_pass, 1, ENCODE_ROUNDS},
	{"head-check-minimal", "the worker's check of it, Host only", encode_open, check_pass,
	 0, ENCODE_ROUNDS},
	{"head-check-browser", "the same, 12 fields", encode_open, check_pass, 1,
	 ENCODE_ROUNDS},
	{0},
};
