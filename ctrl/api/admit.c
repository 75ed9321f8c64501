#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/api/call.h"
#include "ctrl/api/setting.h"
#include "ctrl/store/store_key.h"
#include "ctrl/store/store_user.h"
#include "dataplane/base/clock.h"

static_assert((int)WEIR_MODEL_DIGEST_BYTES == (int)WEIR_KEY_DIGEST_BYTES &&
		      (int)WEIR_MODEL_UUID_BYTES == (int)WEIR_KEY_ID_TEXT_BYTES + 1,
	      "one key, two rooms");

enum weir_role weir_api_access_role(enum weir_api_access access)
{
	switch (access) {
	case WEIR_API_ANYBODY:
		return WEIR_ROLE_NOBODY;
	case WEIR_API_CALLS:
	case WEIR_API_CALLS_THERE:
		return WEIR_ROLE_INVOKER;
	case WEIR_API_MAKES:
	case WEIR_API_MAKES_THERE:
	case WEIR_API_MAKES_NAMED:
	case WEIR_API_MAKES_DEFAULT:
		return WEIR_ROLE_DEVELOPER;
	case WEIR_API_UNSAID:
	case WEIR_API_MANAGES:
		break;
	}
	return WEIR_ROLE_ADMIN;
}

/* The namespace that is asked for; "": none in particular. */
static const char *space_asked(const struct weir_api_call *call)
{
	const char *named = NULL;

	switch (call->access) {
	case WEIR_API_CALLS_THERE:
	case WEIR_API_MAKES_THERE:
		return call->param[0];
	case WEIR_API_MAKES_NAMED:
		named = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->body, "namespace"));
		return named == NULL ? "default" : named;
	case WEIR_API_MAKES_DEFAULT:
		return "default";
	case WEIR_API_UNSAID:
	case WEIR_API_ANYBODY:
	case WEIR_API_CALLS:
	case WEIR_API_MAKES:
	case WEIR_API_MANAGES:
		break;
	}
	return "";
}

void weir_api_caller_read(struct weir_api_caller *caller, struct weir_span authorization)
{
	struct weir_http_credential *const credential = &caller->credential;

	weir_http_credential_read(authorization, credential);
	if (credential->kind != WEIR_HTTP_CREDENTIAL_TOKEN)
		return;
	if (credential->token.bytes >= sizeof(caller->token))
		credential->kind = WEIR_HTTP_CREDENTIAL_OTHER;
	else
		(void)snprintf(caller->token, sizeof(caller->token), "%.*s", (int)credential->token.bytes,
			       credential->token.data); /* fits */
	credential->token = (struct weir_span){.data = NULL}; /* the head goes */
}

bool weir_api_sees(const struct weir_api_call *call, const char *space)
{
	return call->caller.space[0] == '\0' || strcmp(call->caller.space, space) == 0;
}

const char *weir_api_space_of(const struct weir_api_call *call)
{
	return call->caller.space[0] == '\0' ? NULL : call->caller.space;
}

bool weir_api_sees_function(const struct weir_api_call *call, const char *function)
{
	const size_t bytes = strlen(call->caller.space);

	return bytes == 0 || (strncmp(function, call->caller.space, bytes) == 0 && function[bytes] == '/');
}

int weir_api_auth_is_required(const struct weir_api_owner *owner, bool *out_is_required, struct weir_store_error *error)
{
	struct weir_setting_values values;
	const int code = owner->is_auth_required ? 0 : weir_setting_load(owner->store, &values, error);

	if (code == 0)
		*out_is_required = owner->is_auth_required || values.data.auth_required != 0;
	return code;
}

static bool refuse(struct weir_api_call *call, uint16_t status, const char *sentence, enum weir_api_result *out_result)
{
	*out_result = weir_api_refuse(call, status, status == 401 ? "unauthorized" : "forbidden", NULL, sentence);
	return false;
}

/* Everything of one namespace, or of all for an administrator. */
static void caller_set(struct weir_api_call *call, enum weir_role role, const char *space, const char *what,
		       const char *name)
{
	call->caller.role = role;
	if (role != WEIR_ROLE_ADMIN)
		(void)snprintf(call->caller.space, sizeof(call->caller.space), "%s", space); /* fits */
	(void)snprintf(call->author.who, sizeof(call->author.who), "%s %.55s", what, name); /* cut is fine */
}

static bool key_admit(struct weir_api_call *call, enum weir_api_result *out_result)
{
	struct weir_store_error error = {{0}};
	struct weir_model_key key;
	char id[WEIR_KEY_ID_TEXT_BYTES + 1];
	int code = 0;

	weir_key_id_write(call->caller.credential.id, id);
	code = weir_store_key_find(call->owner->store, id, &key, &error);
	if (code != 0 && code != -ENOENT) {
		*out_result = weir_api_refuse_store(call, code, &error);
		return false;
	}
	if (code == -ENOENT || !weir_key_digest_equal(key.digest, call->caller.credential.digest))
		return refuse(call, 401, "there is no such key", out_result);
	if (key.expires_s != 0 && weir_clock_wall_ns() / WEIR_NS_PER_SECOND >= (uint64_t)key.expires_s)
		return refuse(call, 401, "the key has expired", out_result);
	caller_set(call, key.role, key.space, "key", key.name);
	return true;
}

static bool token_admit(struct weir_api_call *call, enum weir_api_result *out_result)
{
	struct weir_model_user user;
	int64_t expires_s = 0;

	if (!weir_api_token_user(call, call->caller.token, &user, &expires_s, out_result))
		return false;
	caller_set(call, user.role, user.name, "user", user.name);
	return true;
}

/* Nobody in particular: whoever has the local socket is an administrator; behind a dialect everybody who is let in
 * makes functions as they like while that is open. */
static bool nobody_admit(struct weir_api_call *call, enum weir_api_result *out_result)
{
	struct weir_store_error error = {{0}};
	bool is_required = true;
	int code = 0;

	if (call->door == WEIR_API_DOOR_LOCAL) {
		call->caller.role = WEIR_ROLE_ADMIN;
		return true;
	}
	code = weir_api_auth_is_required(call->owner, &is_required, &error);
	if (code != 0) {
		*out_result = weir_api_refuse_store(call, code, &error);
		return false;
	}
	call->caller.role = is_required ? WEIR_ROLE_NOBODY : WEIR_ROLE_DEVELOPER;
	return true;
}

static bool caller_find(struct weir_api_call *call, enum weir_api_result *out_result)
{
	switch (call->caller.credential.kind) {
	case WEIR_HTTP_CREDENTIAL_KEY:
		return key_admit(call, out_result);
	case WEIR_HTTP_CREDENTIAL_TOKEN:
		return token_admit(call, out_result);
	case WEIR_HTTP_CREDENTIAL_OTHER: /* dialects send on what clients of other systems say */
		return call->door == WEIR_API_DOOR_DIALECT
			       ? nobody_admit(call, out_result)
			       : refuse(call, 401, "Authorization has neither a key nor a token", out_result);
	case WEIR_HTTP_CREDENTIAL_NONE:
		break;
	}
	return nobody_admit(call, out_result);
}

bool weir_api_admit(struct weir_api_call *call, enum weir_api_result *out_result)
{
	const enum weir_role wanted = weir_api_access_role(call->access);
	const char *space = NULL;

	if (call->caller.is_admitted)
		return true;
	if (!caller_find(call, out_result))
		return false;
	space = space_asked(call);
	/* Who is bound to no namespace may do it in any. */
	call->caller.is_admitted = weir_role_may(call->caller.role, weir_span_of(call->caller.space), wanted,
						 weir_api_sees(call, space) ? WEIR_SPAN("") : weir_span_of(space));
	if (call->caller.is_admitted)
		return true;
	if (call->caller.role == WEIR_ROLE_NOBODY)
		return refuse(call, 401, "who asks must be somebody: a key is needed, `ctrlctl key add` makes one", out_result);
	return refuse(call, 403,
		      call->caller.role < wanted ? "the role of who asks is too small for this"
						 : "this is of another namespace than who asks",
		      out_result);
}
