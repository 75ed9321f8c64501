#include "ctrl/access/password.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

static_assert(WEIR_MODEL_HASH_BYTES == crypto_pwhash_argon2id_STRBYTES, "what libsodium writes fits");

int weir_password_hash(const char *password, char out_hash[WEIR_MODEL_HASH_BYTES])
{
	if (sodium_init() < 0)
		return -ENOMEM;
	return crypto_pwhash_argon2id_str(out_hash, password, strlen(password),
					  crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE,
					  crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE) == 0
		       ? 0
		       : -ENOMEM;
}

int weir_password_check(const char *password, const char *hash)
{
	if (sodium_init() < 0)
		return -ENOMEM;
	errno = 0;
	if (crypto_pwhash_argon2id_str_verify(hash, password, strlen(password)) == 0)
		return 0;
	return errno == ENOMEM ? -ENOMEM : -EACCES;
}

const char *weir_password_hash_of_nobody(void)
{
	/* Sound in form, with today's limits; salt and hash are zeros. */
	return "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}
