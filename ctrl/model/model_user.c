#include "ctrl/model/model_user.h"

#include <errno.h>
#include <string.h>

#include "ctrl/model/builtin.h"
#include "ctrl/model/model_text.h"

#define HASH_PREFIX "$argon2id$"

static const char *const roles[WEIR_MODEL_ROLES] = {
	[WEIR_MODEL_INVOKER] = "invoker",
	[WEIR_MODEL_DEVELOPER] = "developer",
	[WEIR_MODEL_ADMIN] = "admin",
};

const char *weir_model_role_name(enum weir_model_role role)
{
	return roles[role];
}

int weir_model_role_parse(const char *text, enum weir_model_role *out_role, struct weir_model_error *error)
{
	for (int i = 0; i < WEIR_MODEL_ROLES; i++) {
		if (strcmp(roles[i], text) == 0) {
			*out_role = (enum weir_model_role)i;
			return 0;
		}
	}
	return weir_model_fail(error, "role", "must be admin, developer or invoker");
}

int weir_model_user_name_check(const char *name, struct weir_model_error *error)
{
	if (weir_model_name_check("name", name, strlen(name), error) != 0)
		return -EINVAL;
	if (strcmp(name, "default") == 0 || strcmp(name, WEIR_BUILTIN_SPACE) == 0)
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

int weir_model_user_check(const struct weir_model_user *user, struct weir_model_error *error)
{
	const size_t hash_bytes = strnlen(user->hash, sizeof(user->hash));

	if (strnlen(user->name, sizeof(user->name)) == sizeof(user->name))
		return weir_model_fail(error, "name", "is longer than %d bytes", WEIR_MODEL_NAME_BYTES_MAX);
	if (weir_model_user_name_check(user->name, error) != 0)
		return -EINVAL;
	if (!uuid_sound(user->uuid))
		return weir_model_fail(error, "uuid", "must be 32 hexadecimal digits in lower case, as 8-4-4-4-12");
	if (user->role < WEIR_MODEL_INVOKER || user->role >= WEIR_MODEL_ROLES)
		return weir_model_fail(error, "role", "must be admin, developer or invoker");
	if (hash_bytes == sizeof(user->hash) || strncmp(user->hash, HASH_PREFIX, strlen(HASH_PREFIX)) != 0 ||
	    !weir_model_text_clean(user->hash, hash_bytes))
		return weir_model_fail(error, "hash", "is none of argon2id");
	return 0;
}
