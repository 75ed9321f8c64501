#include "ctrl/code/secret.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/key_file.h"

enum {
	NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};
static_assert(WEIR_SECRET_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "what a key has");
static_assert(NONCE_BYTES + TAG_BYTES == WEIR_SECRET_EXTRA_BYTES, "what sealing adds");

struct weir_secret {
	unsigned char key[WEIR_SECRET_KEY_BYTES];
};

int weir_secret_open(const char *data, bool make, struct weir_secret **out_secret)
{
	struct weir_secret *secret = NULL;
	int result = 0;

	if (sodium_init() < 0)
		return -ENOSYS;
	secret = sodium_malloc(sizeof(*secret)); /* locked where limits allow */
	if (secret == NULL)
		return -ENOMEM;
	result = weir_key_file_open(data, "secret.key", make, secret->key, sizeof(secret->key));
	if (result != 0) {
		weir_secret_close(secret);
		return result;
	}
	*out_secret = secret;
	return 0;
}

void weir_secret_close(struct weir_secret *secret)
{
	sodium_free(secret); /* clears it; accepts NULL */
}

const uint8_t *weir_secret_key(const struct weir_secret *secret)
{
	return secret->key;
}

int weir_secret_import(const uint8_t key[WEIR_SECRET_KEY_BYTES], struct weir_secret **out_secret)
{
	struct weir_secret *secret = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*secret));

	if (secret == NULL)
		return -ENOMEM;
	memcpy(secret->key, key, sizeof(secret->key));
	*out_secret = secret;
	return 0;
}

const char *weir_secret_label(const char *space, const char *function, const char *variable,
			      char out[WEIR_SECRET_LABEL_BYTES])
{
	(void)snprintf(out, WEIR_SECRET_LABEL_BYTES, "%s/%s %s", space, function, variable); /* names are short */
	return out;
}

void weir_secret_seal(const struct weir_secret *secret, const char *label, const void *value,
		      size_t bytes, uint8_t *out)
{
	unsigned long long sealed_bytes = 0;

	randombytes_buf(out, NONCE_BYTES);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
		out + NONCE_BYTES, &sealed_bytes, value, bytes, (const unsigned char *)label,
		strlen(label), NULL, out, secret->key); /* cannot fail */
	WEIR_ASSERT(sealed_bytes == bytes + TAG_BYTES);
}

int weir_secret_unseal(const struct weir_secret *secret, const char *label, const void *sealed,
		       size_t bytes, void *out)
{
	const unsigned char *from = sealed;

	if (bytes < WEIR_SECRET_EXTRA_BYTES)
		return -EBADMSG;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, from + NONCE_BYTES,
							  bytes - NONCE_BYTES,
							  (const unsigned char *)label, strlen(label),
							  from, secret->key) == 0
		       ? 0
		       : -EBADMSG;
}
