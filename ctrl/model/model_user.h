/* model_user: people and programs that Weir knows by name. A user's namespace has the user's name; a function
 * that somebody made names its owner. And keys, which open one namespace to a program, or with the role of an
 * administrator all; http_credential.h has their form. What a role may do: role.h.
 * Pure; any thread. */
#ifndef WEIR_CTRL_MODEL_MODEL_USER_H
#define WEIR_CTRL_MODEL_MODEL_USER_H

#include "ctrl/model/model.h"
#include "dataplane/base/role.h"

enum {
	WEIR_MODEL_UUID_BYTES = 37,           /* the NUL included */
	WEIR_MODEL_PASSWORD_BYTES_MAX = 1024, /* any bytes but NUL; at least one */
	WEIR_MODEL_DIGEST_BYTES = 32,         /* of a key's secret */
	WEIR_MODEL_HASH_BYTES = 128,          /* of a password, as libsodium writes it, the NUL included */
};

struct weir_model_user {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char uuid[WEIR_MODEL_UUID_BYTES]; /* lower case; never another's, when the name is used again neither */
	enum weir_role role;
	int64_t created_s;                /* since 1970 */
	char hash[WEIR_MODEL_HASH_BYTES]; /* argon2id of the password; shown to nobody */
};

/* A key, without its secret. */
struct weir_model_key {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char id[WEIR_MODEL_UUID_BYTES]; /* public; a UUID as above */
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	enum weir_role role;
	int64_t created_s;
	int64_t expires_s; /* 0: never */
	uint8_t digest[WEIR_MODEL_DIGEST_BYTES];
};

/* A name as of namespaces; those that belong to everybody ("default") and to Weir ("weir.system") are no user's. 0 or
 * -EINVAL with *error (may be NULL). */
int weir_model_user_name_check(const char *name, struct weir_model_error *error);

/* Every field of a record that may come from anywhere: 0 or -EINVAL with *error (may be NULL), which never quotes
 * the hash. */
int weir_model_user_check(const struct weir_model_user *user, struct weir_model_error *error);

/* The same of a key. Its namespace need not have functions yet. */
int weir_model_key_check(const struct weir_model_key *key, struct weir_model_error *error);

/* "admin", "developer", "invoker". Parse: 0 or -EINVAL with *error. */
const char *weir_model_role_name(enum weir_role role);
int weir_model_role_parse(const char *text, enum weir_role *out_role, struct weir_model_error *error);

#endif
