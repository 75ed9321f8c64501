#include "ctrl/code/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum {
	NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};
static_assert(WEIR_SECRET_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "what a key has");
static_assert(NONCE_BYTES + TAG_BYTES == WEIR_SECRET_EXTRA_BYTES, "what sealing adds");

struct weir_secret {
	unsigned char key[WEIR_SECRET_KEY_BYTES];
};

/* A new key, whole or not at all: under another name first, never in place of one that is there. */
static int key_make(const char *path)
{
	char fresh[PATH_MAX];
	unsigned char key[sizeof(((struct weir_secret *)NULL)->key)];
	int result = 0;

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
		return -ENAMETOOLONG;
	(void)unlink(fresh); /* left by a process that died in between */
	WEIR_CLEANUP(weir_fd_close) int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -errno;
	randombytes_buf(key, sizeof(key));
	if (write(fd, key, sizeof(key)) != (ssize_t)sizeof(key) || fsync(fd) != 0)
		result = -EIO;
	sodium_memzero(key, sizeof(key));
	if (result == 0 && link(fresh, path) != 0 && errno != EEXIST)
		result = -errno;
	(void)unlink(fresh);
	return result;
}

static int key_read(const char *path, struct weir_secret *secret)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat info;

	if (fd == -1 || fstat(fd, &info) != 0)
		return -errno;
	if ((info.st_mode & 077) != 0)
		return -EACCES;
	return info.st_size == (off_t)sizeof(secret->key) &&
			       read(fd, secret->key, sizeof(secret->key)) ==
				       (ssize_t)sizeof(secret->key)
		       ? 0
		       : -EBADMSG;
}

int weir_secret_open(const char *data, bool make, struct weir_secret **out_secret)
{
	struct weir_secret *secret = NULL;
	char path[PATH_MAX];
	int result = 0;

	if (sodium_init() < 0)
		return -ENOSYS;
	if ((size_t)snprintf(path, sizeof(path), "%s/secret.key", data) >= sizeof(path))
		return -ENAMETOOLONG;
	secret = sodium_malloc(sizeof(*secret)); /* locked where limits allow */
	if (secret == NULL)
		return -ENOMEM;
	result = key_read(path, secret);
	if (result == -ENOENT && make) {
		result = key_make(path);
		if (result == 0)
			result = key_read(path, secret);
	}
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
