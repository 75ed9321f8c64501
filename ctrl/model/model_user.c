#include "ctrl/model/model_user.h"

#include <errno.h>
#include <string.h>

#include "ctrl/model/builtin.h"
#include "ctrl/model/model_text.h"
#include "dataplane/base/role.h"

#define HASH_PREFIX "$argon2id$"
#define ROLE_REASON "must be admin, developer or invoker"
#define UUID_REASON "must be 32 hexadecimal digits in lower case, as 8-4-4-4-12"

static const char *const roles[WEIR_ROLES] = {
	[WEIR_ROLE_NOBODY] = "nobody",
	[WEIR_ROLE_INVOKER] = "invoker",
	[WEIR_ROLE_DEVELOPER] = "developer",
	[WEIR_ROLE_ADMIN] = "admin",
};

const char *weir_model_role_name(enum weir_role role)
{
	return roles[role];
}

int weir_model_role_parse(const char *text, enum weir_role *out_role, struct weir_model_error *error)
{
	for (int i = WEIR_ROLE_INVOKER; i < WEIR_ROLES; i++) {
		if (strcmp(roles[i], text) == 0) {
			*out_role = (enum weir_role)i;
			return 0;
		}
	}
	return weir_model_fail(error, "role", ROLE_REASON);
}

int weir_model_user_name_check(const char *name, struct weir_model_error *error)
{
	if (weir_model_name_check("name", name, strlen(name), error) != 0)
		return -EINVAL;
	if (strcmp(name, "default") == 0 || strcmp(name, WEIR_BUILTIN_SPACE) == 0 || strcmp(name, WEIR_SPACE_SHARED) == 0)
		return weir_model_fail(error, "name", "is a namespace that no user has; choose another one");
	return 0;
}

/* 8-4-4-4-12 hex digits in lower case. */
static bool uuid_sound(const char *uuid)
{
	for (size_t i = 0; i < WEIR_MODEL_UUID_BYTES - 1; i++) {
		const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (uuid[i] == '\0' || (is_dash ? uuid[i] != '-' : strchr("0123456789abcdef", uuid[i]) == NULL))
			return false;
	}
	return uuid[WEIR_MODEL_UUID_BYTES - 1] == '\0';
}

static bool role_sound(enum weir_role role)
{
	return role >= WEIR_ROLE_INVOKER && role < WEIR_ROLES;
}

int weir_model_user_check(const struct weir_model_user *user, struct weir_model_error *error)
{
	const size_t hash_bytes = strnlen(user->hash, sizeof(user->hash));

	if (strnlen(user->name, sizeof(user->name)) == sizeof(user->name))
		return weir_model_fail(error, "name", "is longer than %d bytes", WEIR_MODEL_NAME_BYTES_MAX);
	if (weir_model_user_name_check(user->name, error) != 0)
		return -EINVAL;
	if (!uuid_sound(user->uuid))
		return weir_model_fail(error, "uuid", UUID_REASON);
	if (!role_sound(user->role))
		return weir_model_fail(error, "role", ROLE_REASON);
	if (hash_bytes == sizeof(user->hash) || strncmp(user->hash, HASH_PREFIX, strlen(HASH_PREFIX)) != 0 ||
	    !weir_model_text_clean(user->hash, hash_bytes))
		return weir_model_fail(error, "hash", "is none of argon2id");
	return 0;
}

int weir_model_key_check(const struct weir_model_key *key, struct weir_model_error *error)
{
	if (strnlen(key->name, sizeof(key->name)) == sizeof(key->name) ||
	    strnlen(key->space, sizeof(key->space)) == sizeof(key->space))
		return weir_model_fail(error, "name", "is longer than %d bytes", WEIR_MODEL_NAME_BYTES_MAX);
	if (weir_model_name_check("name", key->name, strlen(key->name), error) != 0 ||
	    weir_model_space_check(key->space, error) != 0)
		return -EINVAL;
	if (strcmp(key->space, WEIR_BUILTIN_SPACE) == 0)
		return weir_model_fail(error, "namespace", "is Weir's own; choose another one");
	if (!uuid_sound(key->id))
		return weir_model_fail(error, "id", UUID_REASON);
	if (!role_sound(key->role))
		return weir_model_fail(error, "role", ROLE_REASON);
	if (key->expires_s < 0)
		return weir_model_fail(error, "expires", "is before 1970");
	return 0;
}
