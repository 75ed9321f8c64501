/* Who calls: what finding that out costs a request, by its Authorization and the snapshot's keys. */
#include <stdio.h>
#include <string.h>

#include "dataplane/base/role.h"
#include "dataplane/gateway/caller.h"
#include "dataplane/http/http_credential.h"

#include "bench/micro.h"

enum { ROUNDS = 32, KEYS = 1000, HEAD_BYTES_MAX = 512 };

static const struct weir_http_limits limits = {.target_bytes_max = 8192, .head_bytes_max = 16384, .headers_max = 100};
static const char strings[] = "shop";
static struct weir_snapshot_key keys[KEYS];
static const struct weir_snapshot snapshot = {.keys = keys, .key_count = KEYS, .strings = strings};
static const struct weir_snapshot_function function = {.space = {.offset = 0, .bytes = 4}};
static struct weir_snapshot_target target = {.role = WEIR_ROLE_INVOKER};
static const struct weir_route_match match = {.target = &target, .function = &function};
static char head[HEAD_BYTES_MAX];
static struct weir_http_parser parser;

/* A request with no field, or with the key in the middle of the table. */
static void open_head(uint32_t has_key)
{
	const uint8_t secret[WEIR_KEY_SECRET_BYTES] = {7};
	char key[WEIR_KEY_TEXT_BYTES + 1] = "";

	for (uint32_t i = 0; i < KEYS; i++) {
		keys[i] = (struct weir_snapshot_key){.id = {(uint8_t)(i >> 8), (uint8_t)i}, .role = WEIR_ROLE_INVOKER,
						     .space = function.space};
		weir_key_digest(secret, keys[i].digest);
	}
	weir_key_id_write(keys[KEYS / 2 + 1].id, key);
	key[WEIR_KEY_ID_TEXT_BYTES] = ':';
	weir_key_secret_write(secret, key + WEIR_KEY_ID_TEXT_BYTES + 1);
	(void)snprintf(head, sizeof(head), "GET /hello HTTP/1.1\r\nHost: a\r\n%s%s%s\r\n",
		       has_key != 0 ? "Authorization: Bearer " : "", has_key != 0 ? key : "", has_key != 0 ? "\r\n" : ""); /* fits */
	target.flags = has_key != 0 ? WEIR_SNAPSHOT_TARGET_REQUIRED : 0;
	weir_http_parser_reset(&parser, &limits);
	if (weir_http_parser_execute(&parser, head, strlen(head)) != WEIR_HTTP_PARSE_HEAD)
		weir_micro_fail("a request is not valid", 0);
}

static void find_pass(uint32_t has_key)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct weir_caller caller = {.role = WEIR_ROLE_NOBODY};
		struct weir_span detail = {.data = NULL};

		if (weir_caller_is_asked(&parser, &target) &&
		    weir_caller_find(&snapshot, &parser, head, &match, false, &caller, &detail) != WEIR_HTTP_OK)
			weir_micro_fail("the key is not taken", 0);
		if (caller.role != (has_key != 0 ? WEIR_ROLE_INVOKER : WEIR_ROLE_NOBODY))
			weir_micro_fail("the caller is another", 0);
		weir_micro_keep(caller.role);
	}
}

const struct weir_micro weir_micro_caller[] = {
	{"caller-nobody", "who calls an open route, without Authorization", open_head, find_pass, 0, ROUNDS},
	{"caller-key", "the same, with a key, of 1,000 that there are", open_head, find_pass, 1, ROUNDS},
	{0},
};
