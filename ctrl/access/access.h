/* access: what an instance has to tell who somebody is: the thread for passwords, the count of attempts, the key of
 * tokens. The users themselves are the store's (store_user.h).
 * Owns: all three. Threads: one. Blocks in weir_access_close() until a password under way was looked at. */
#ifndef WEIR_CTRL_ACCESS_ACCESS_H
#define WEIR_CTRL_ACCESS_ACCESS_H

#include "ctrl/access/hasher.h"
#include "ctrl/access/throttle.h"
#include "ctrl/access/token.h"

struct weir_access {
	const char *data; /* the caller's: directory of token.key */
	struct weir_hasher *hasher;
	struct weir_throttle *throttle;
	struct weir_token_key *key; /* NULL: not needed yet */
};

/* 0, or -errno. The closed one is zeroed, and may be closed again. */
int weir_access_open(const char *data, struct weir_access *out_access);
void weir_access_close(struct weir_access *access);

/* The key of tokens, made at the first use. 0, or -errno as weir_token_key_open(): its sentence says what to do. */
int weir_access_key(struct weir_access *access, const struct weir_token_key **out_key, const char **out_sentence);

/* A new user's uuid: version 4, from the kernel's random bytes. 0 or -EIO. */
int weir_access_uuid_make(char out_uuid[WEIR_MODEL_UUID_BYTES]);

#endif
