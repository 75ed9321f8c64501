/* Who is let in, by every kind of credentials, of target and of way. */
#include "dataplane/gateway/caller.h"

#include <stdio.h>
#include <string.h>

#include "dataplane/abi/head.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/role.h"
#include "dataplane/gateway/encode.h"
#include "dataplane/http/http_credential.h"
#include "dataplane/shm/head_check.h"
#include "tests/base/base_test.h"

enum { STRANGER, SHOP_INVOKER, SHOP_DEVELOPER, OTHER_INVOKER, EXPIRED, ADMIN, KEYS };

static struct weir_snapshot_key keys[KEYS];
static const char strings[] = "shop\0other\0whisk.system";
static struct weir_snapshot snapshot = {.keys = keys, .key_count = KEYS, .strings = strings};
static struct weir_snapshot_function function;
static struct weir_snapshot_target target;
static char head[1024];
static struct weir_http_parser parser;

static const struct weir_snapshot_string shop = {.offset = 0, .bytes = 4};
static const struct weir_snapshot_string other = {.offset = 5, .bytes = 5};
static const struct weir_snapshot_string shared = {.offset = 11, .bytes = 12};

/* The key of number i; `last` is the last byte of its secret. */
static const char *key_text(int i, uint8_t last)
{
	static char text[WEIR_KEY_TEXT_BYTES + 1];
	uint8_t secret[WEIR_KEY_SECRET_BYTES] = {(uint8_t)i};

	secret[WEIR_KEY_SECRET_BYTES - 1] = last;
	weir_key_id_write((const uint8_t[WEIR_KEY_ID_BYTES]){(uint8_t)i}, text);
	text[WEIR_KEY_ID_TEXT_BYTES] = ':';
	weir_key_secret_write(secret, text + WEIR_KEY_ID_TEXT_BYTES + 1);
	return text;
}

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < KEYS; i++) {
		const uint8_t secret[WEIR_KEY_SECRET_BYTES] = {(uint8_t)i};

		keys[i] = (struct weir_snapshot_key){.id = {(uint8_t)i}, .role = WEIR_ROLE_INVOKER, .space = shop};
		weir_key_digest(secret, keys[i].digest);
	}
	keys[SHOP_DEVELOPER].role = WEIR_ROLE_DEVELOPER;
	keys[OTHER_INVOKER].space = other;
	keys[EXPIRED].expires_s = weir_clock_wall_ns() / WEIR_NS_PER_SECOND - 1;
	keys[SHOP_INVOKER].expires_s = weir_clock_wall_ns() / WEIR_NS_PER_SECOND + 3600;
	keys[ADMIN].role = WEIR_ROLE_ADMIN;
	keys[ADMIN].space = other;
	memset(keys[STRANGER].id, 0xff, sizeof(keys[STRANGER].id)); /* nobody finds it: it is not sorted, and not asked for */
	snapshot.keys = keys + 1;
	snapshot.key_count = KEYS - 1;
	function = (struct weir_snapshot_function){.space = shop};
	target = (struct weir_snapshot_target){.role = WEIR_ROLE_INVOKER};
	return 0;
}

/* What comes of a request with these fields (whole lines). */
static enum weir_http_failure find(const char *fields, bool is_local, struct weir_caller *out_caller)
{
	static const struct weir_http_limits limits = {.target_bytes_max = 100, .head_bytes_max = 1024, .headers_max = 10};
	const struct weir_route_match match = {.target = &target, .function = &function};
	struct weir_span detail = {.data = NULL};
	enum weir_http_failure failure = WEIR_HTTP_OK;

	(void)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	weir_http_parser_reset(&parser, &limits);
	assert_int_equal(weir_http_parser_execute(&parser, head, strlen(head)), WEIR_HTTP_PARSE_HEAD);
	*out_caller = (struct weir_caller){.role = 0};
	if (weir_caller_is_asked(&parser, &target))
		failure = weir_caller_find(&snapshot, &parser, head, &match, is_local, out_caller, &detail);
	assert_true((failure == WEIR_HTTP_OK) == (detail.bytes == 0));
	return failure;
}

static enum weir_http_failure find_key(int i, struct weir_caller *out_caller)
{
	char field[128];

	(void)snprintf(field, sizeof(field), "Authorization: Bearer %s\r\n", key_text(i, 0));
	return find(field, false, out_caller);
}

static void open_routes_ask_nobody_and_required_ones_everybody(void **state)
{
	struct weir_caller caller;

	(void)state;
	assert_int_equal(find("", false, &caller), WEIR_HTTP_OK);
	assert_int_equal(find("Authorization: Bearer own.of.functions\r\n", false, &caller), WEIR_HTTP_OK);
	assert_int_equal(caller.hidden, 0);
	target.flags = WEIR_SNAPSHOT_TARGET_REQUIRED;
	assert_int_equal(find("", false, &caller), WEIR_HTTP_UNAUTHORIZED);
	assert_int_equal(find("Authorization: Bearer a.b.c\r\n", false, &caller), WEIR_HTTP_UNAUTHORIZED);
	assert_int_equal(find("Authorization: Basic dXVpZDprZXk=\r\n", false, &caller), WEIR_HTTP_UNAUTHORIZED);
	assert_int_equal(find("", true, &caller), WEIR_HTTP_OK); /* the Unix socket */
	assert_int_equal(caller.flags, 0);
}

static void keys_are_checked_on_open_routes_too(void **state)
{
	static const struct {
		int key;
		enum weir_http_failure failure;
	} cases[] = {
		{SHOP_INVOKER, WEIR_HTTP_OK},	    {SHOP_DEVELOPER, WEIR_HTTP_OK},    {ADMIN, WEIR_HTTP_OK},
		{OTHER_INVOKER, WEIR_HTTP_FORBIDDEN}, {EXPIRED, WEIR_HTTP_UNAUTHORIZED}, {STRANGER, WEIR_HTTP_UNAUTHORIZED},
	};

	(void)state;
	for (uint8_t flags = 0; flags <= WEIR_SNAPSHOT_TARGET_REQUIRED; flags += WEIR_SNAPSHOT_TARGET_REQUIRED) {
		target.flags = flags;
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct weir_caller caller;

			assert_int_equal(find_key(cases[i].key, &caller), cases[i].failure);
			if (cases[i].failure == WEIR_HTTP_OK) {
				assert_int_equal(caller.role, keys[cases[i].key].role);
				assert_int_equal(caller.hidden, 2); /* behind Host */
			}
		}
	}
}

static void another_secret_is_no_key(void **state)
{
	struct weir_caller caller;
	char field[256];

	(void)state;
	(void)snprintf(field, sizeof(field), "Authorization: Bearer %s\r\n", key_text(SHOP_INVOKER, 1));
	assert_int_equal(find(field, false, &caller), WEIR_HTTP_UNAUTHORIZED);
}

static void roles_are_steps(void **state)
{
	struct weir_caller caller;

	(void)state;
	target.role = WEIR_ROLE_DEVELOPER;
	assert_int_equal(find_key(SHOP_INVOKER, &caller), WEIR_HTTP_FORBIDDEN);
	assert_int_equal(find_key(SHOP_DEVELOPER, &caller), WEIR_HTTP_OK);
	target.role = WEIR_ROLE_ADMIN;
	assert_int_equal(find_key(SHOP_DEVELOPER, &caller), WEIR_HTTP_FORBIDDEN);
	assert_int_equal(find_key(ADMIN, &caller), WEIR_HTTP_OK);
	target.role = WEIR_ROLE_INVOKER;
	function.space = shared; /* everybody's */
	assert_int_equal(find_key(OTHER_INVOKER, &caller), WEIR_HTTP_OK);
}

static void dialects_get_to_know_who_calls_and_keep_the_field(void **state)
{
	struct weir_caller caller;

	(void)state;
	function.flags = WEIR_SNAPSHOT_FUNCTION_SYSTEM;
	assert_int_equal(find_key(OTHER_INVOKER, &caller), WEIR_HTTP_OK); /* it knows which namespace it is about */
	assert_true(weir_span_equal(caller.space, WEIR_SPAN("other")));
	assert_int_equal(caller.hidden, 0);
	/* Their clients' credentials are not for functions of users: what is none is refused, ... */
	assert_int_equal(find("Authorization: Bearer a.b.c\r\n", false, &caller), WEIR_HTTP_UNAUTHORIZED);
	/* ... but where it takes nothing, or where the dialect looks itself. */
	target.role = WEIR_ROLE_NOBODY;
	assert_int_equal(find("Authorization: Bearer a.b.c\r\n", false, &caller), WEIR_HTTP_OK);
	target.role = WEIR_ROLE_INVOKER;
	target.flags = WEIR_SNAPSHOT_TARGET_ASKS | WEIR_SNAPSHOT_TARGET_REQUIRED;
	assert_int_equal(find("", false, &caller), WEIR_HTTP_OK);
	assert_int_equal(caller.flags, WEIR_HEAD_CALLER_REQUIRED);
	assert_int_equal(caller.role, WEIR_ROLE_NOBODY);
	assert_int_equal(find_key(STRANGER, &caller), WEIR_HTTP_UNAUTHORIZED);
}

static void a_field_that_stands_there_twice_opens_nothing(void **state)
{
	struct weir_caller caller;
	char fields[256];

	(void)state;
	(void)snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\nauthorization: x\r\n", key_text(SHOP_INVOKER, 0));
	target.flags = WEIR_SNAPSHOT_TARGET_REQUIRED;
	assert_int_equal(find(fields, false, &caller), WEIR_HTTP_UNAUTHORIZED);
}

static void a_function_gets_the_field_without_the_key(void **state)
{
	const struct weir_route_match match = {.target = &target, .function = &function};
	struct weir_encode_input input = {.parser = &parser, .head = head, .path = WEIR_SPAN("/"), .snapshot = &snapshot,
					  .match = &match};
	_Alignas(8) char out[4096];
	const struct weir_request_head *encoded = (const void *)out;
	const struct weir_head_field *field = (const void *)(out + sizeof(*encoded));
	size_t bytes = 0;

	(void)state;
	assert_int_equal(find_key(SHOP_DEVELOPER, &input.caller), WEIR_HTTP_OK);
	assert_true(weir_encode_bytes(&input) <= sizeof(out));
	bytes = weir_encode_request(&input, out);
	assert_int_equal(weir_head_check_request(out, bytes), 0);
	assert_int_equal(encoded->field_count, 2);
	assert_int_equal(field[1].value.bytes, 0);
	assert_null(memmem(out, bytes, key_text(SHOP_DEVELOPER, 0) + WEIR_KEY_ID_TEXT_BYTES, WEIR_KEY_SECRET_TEXT_BYTES));
	assert_int_equal(encoded->caller_role, WEIR_ROLE_DEVELOPER);
	assert_memory_equal(out + encoded->caller.offset, "shop", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(open_routes_ask_nobody_and_required_ones_everybody, setup),
		cmocka_unit_test_setup(keys_are_checked_on_open_routes_too, setup),
		cmocka_unit_test_setup(another_secret_is_no_key, setup),
		cmocka_unit_test_setup(roles_are_steps, setup),
		cmocka_unit_test_setup(dialects_get_to_know_who_calls_and_keep_the_field, setup),
		cmocka_unit_test_setup(a_field_that_stands_there_twice_opens_nothing, setup),
		cmocka_unit_test_setup(a_function_gets_the_field_without_the_key, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
