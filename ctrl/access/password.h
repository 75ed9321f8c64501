/* password: argon2id, as libsodium does it with its limits for interactive use: 64 MiB, two passes, some 50 ms
 * of one CPU. So both calls are for a thread of their own (hasher.h). What a hash was made with stands in it,
 * so that other limits may come.
 * Threads: any. Owns: nothing. */
#ifndef WEIR_CTRL_ACCESS_PASSWORD_H
#define WEIR_CTRL_ACCESS_PASSWORD_H

#include "ctrl/model/model_user.h"

/* The hash of a password of up to WEIR_MODEL_PASSWORD_BYTES_MAX bytes, with a fresh salt. 0 or -ENOMEM. */
int weir_password_hash(const char *password, char out_hash[WEIR_MODEL_HASH_BYTES]);

/* Is it the password of that hash? 0, -EACCES (no, or the hash is none) or -ENOMEM. Takes as long either way. */
int weir_password_check(const char *password, const char *hash);

/* A hash that no password has, for names that nobody has: a check takes as long as any. */
const char *weir_password_hash_of_nobody(void);

#endif
