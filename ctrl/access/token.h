/* token: what a user has instead of a password after a login: a JSON web token, signed with HMAC-SHA256 by a key
 * of this instance, DATA/token.key (mode 0600, made at the first use).
 *
 *   base64url({"alg":"HS256","typ":"JWT"}) . base64url({id, username, iss, key, iat, exp}) . base64url(HMAC)
 *
 * There is one algorithm: a head of other bytes than the one above is refused before anything is computed, and
 * nothing of the claims is read before the signature, compared in constant time, was found right.
 * Owns: the key, in memory that is locked and cleared. Threads: any, one at a time. */
#ifndef WEIR_CTRL_ACCESS_TOKEN_H
#define WEIR_CTRL_ACCESS_TOKEN_H

#include <stdint.h>

#include "ctrl/model/model_user.h"

#define WEIR_TOKEN_ISSUER "faas-app"
#define WEIR_TOKEN_KEY    "faas-app-key"

enum {
	WEIR_TOKEN_BYTES_MAX = 1024, /* the NUL included */
	WEIR_TOKEN_LIFE_S = 72 * 3600,
	WEIR_TOKEN_SKEW_S = 60, /* that another's clock may be ahead */
};

struct weir_token_key;

/* What a token says. */
struct weir_token_claims {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char uuid[WEIR_MODEL_UUID_BYTES];
	int64_t issued_s;
	int64_t expires_s;
};

/* Read the key in the data directory; where there is none, make it. 0, -EBADMSG, -EACCES (others may read it),
 * -ENOMEM, or -errno. NULL is accepted by close. */
int weir_token_key_open(const char *data, struct weir_token_key **out_key);
void weir_token_key_close(struct weir_token_key *key);

/* A token with these names, from `now_s` (since 1970) for WEIR_TOKEN_LIFE_S. 0 or -ENOMEM. */
int weir_token_issue(const struct weir_token_key *key, const struct weir_model_user *user, int64_t now_s,
		     char out_token[WEIR_TOKEN_BYTES_MAX]);

/* Is it one of ours, and in force? 0 and *out_claims; -EACCES and *out_reason, constant, as the end of a sentence
 * that begins "the token"; -ENOMEM. Whether there still is such a user is the caller's to ask. */
int weir_token_check(const struct weir_token_key *key, const char *token, int64_t now_s,
		     struct weir_token_claims *out_claims, const char **out_reason);

#endif
