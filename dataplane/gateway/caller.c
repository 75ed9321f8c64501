#include "dataplane/gateway/caller.h"

#include "dataplane/abi/head.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/role.h"
#include "dataplane/http/http_credential.h"

static_assert(sizeof(((struct weir_snapshot_key *)0)->id) == WEIR_KEY_ID_BYTES &&
		      sizeof(((struct weir_snapshot_key *)0)->digest) == WEIR_KEY_DIGEST_BYTES,
	      "a key in the snapshot is one");
static_assert(WEIR_HTTP_HEADERS_MAX < UINT8_MAX, "the place of a field fits weir_caller.hidden");

/* The place of the first Authorization field. */
static uint16_t field_find(const struct weir_http_parser *parser, const char *head)
{
	uint16_t i = 0;

	while (!weir_span_equal_nocase(weir_http_slice_span(head, parser->headers[i].name), WEIR_SPAN("authorization")))
		i++; /* there is one: the parser counted it */
	return i;
}

static enum weir_http_failure key_check(const struct weir_snapshot *snapshot, const struct weir_http_credential *credential,
					const struct weir_route_match *match, struct weir_caller *out_caller,
					struct weir_span *out_detail)
{
	const struct weir_snapshot_key *const key = weir_snapshot_key_find(snapshot, credential->id);
	const bool is_system = (match->function->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) != 0;

	if (key == NULL || !weir_key_digest_equal(key->digest, credential->digest)) {
		*out_detail = WEIR_SPAN("There is no such key; `ctrlctl key list` shows those that there are");
		return WEIR_HTTP_UNAUTHORIZED;
	}
	if (key->expires_s != 0 && weir_clock_wall_ns() / WEIR_NS_PER_SECOND >= key->expires_s) {
		*out_detail = WEIR_SPAN("The key has expired; `ctrlctl key add` makes a new one");
		return WEIR_HTTP_UNAUTHORIZED;
	}
	out_caller->space = weir_snapshot_span(snapshot, key->space);
	out_caller->role = (uint8_t)key->role;
	/* Weir's own functions are in nobody's namespace: they know which one a request is about. */
	if (weir_role_may(key->role, out_caller->space, match->target->role,
			  is_system ? WEIR_SPAN("") : weir_snapshot_span(snapshot, match->function->space)))
		return WEIR_HTTP_OK;
	*out_detail = key->role < match->target->role
			      ? WEIR_SPAN("The role of the key is too small for this")
			      : WEIR_SPAN("The key is of another namespace than the function");
	return WEIR_HTTP_FORBIDDEN;
}

enum weir_http_failure weir_caller_find(const struct weir_snapshot *snapshot, const struct weir_http_parser *parser,
					const char *head, const struct weir_route_match *match, bool is_local,
					struct weir_caller *out_caller, struct weir_span *out_detail)
{
	const uint32_t flags = match->target->flags;
	const bool is_system = (match->function->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) != 0;
	const bool is_required = (flags & WEIR_SNAPSHOT_TARGET_REQUIRED) != 0 && !is_local;
	struct weir_http_credential credential = {.kind = WEIR_HTTP_CREDENTIAL_NONE};
	uint16_t field = 0;

	out_caller->flags = is_required ? WEIR_HEAD_CALLER_REQUIRED : 0;
	if (parser->authorization_fields > 0) {
		field = field_find(parser, head);
		weir_http_credential_read(weir_http_slice_span(head, parser->headers[field].value), &credential);
	}
	if (parser->authorization_fields > 1 && (is_system || is_required)) {
		*out_detail = WEIR_SPAN("Authorization stands there more than once");
		return WEIR_HTTP_UNAUTHORIZED;
	}
	if (credential.kind == WEIR_HTTP_CREDENTIAL_KEY) {
		/* A function must not get hold of its callers' keys; dialects show them to the management API. */
		out_caller->hidden = is_system ? 0 : (uint8_t)(field + 1);
		return key_check(snapshot, &credential, match, out_caller, out_detail);
	}
	if ((flags & WEIR_SNAPSHOT_TARGET_ASKS) != 0)
		return WEIR_HTTP_OK;
	if (!is_required && (credential.kind == WEIR_HTTP_CREDENTIAL_NONE || !is_system || is_local ||
			     match->target->role == WEIR_ROLE_NOBODY))
		return WEIR_HTTP_OK;
	*out_detail = credential.kind == WEIR_HTTP_CREDENTIAL_NONE
			      ? WEIR_SPAN("A key is needed: `ctrlctl key add` makes one; send it as Authorization: Bearer KEY, "
					  "or as user and password of Basic")
		      : credential.kind == WEIR_HTTP_CREDENTIAL_TOKEN
			      ? WEIR_SPAN("Tokens of users are good for /auth, /registry and /publisher; here a key is needed: "
					  "Authorization: Bearer KEY")
			      : WEIR_SPAN("Authorization has no key: send Bearer KEY, or Basic with its id and its secret");
	return WEIR_HTTP_UNAUTHORIZED;
}
