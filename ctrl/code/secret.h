/* secret: values that are kept encrypted: XChaCha20-Poly1305 with a key of this instance, DATA/secret.key
 * (mode 0600, made at the first use). A sealed value opens only with the label it was sealed with
 * (which function, which variable), so that rows of the database cannot be swapped.
 * Owns: the key, in memory that is locked and cleared. Threads: any, one at a time; sealing: several. */
#ifndef WEIR_CTRL_CODE_SECRET_H
#define WEIR_CTRL_CODE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WEIR_SECRET_EXTRA_BYTES = 40, /* that a sealed value is longer than the value */
	WEIR_SECRET_KEY_BYTES = 32,
};

struct weir_secret;

/* Read the key; where there is none, make it if `make` says so. 0, -ENOENT, -EBADMSG (the file is no key),
 * -EACCES (others may read it), or -errno. */
int weir_secret_open(const char *data, bool make, struct weir_secret **out_secret);
void weir_secret_close(struct weir_secret *secret);

/* The key itself, for a backup that shall have it; and a key that came with one: 0 or -ENOMEM. */
const uint8_t *weir_secret_key(const struct weir_secret *secret);
int weir_secret_import(const uint8_t key[WEIR_SECRET_KEY_BYTES], struct weir_secret **out_secret);

/* The label of a function's variable: returns out. */
enum { WEIR_SECRET_LABEL_BYTES = 512 };
const char *weir_secret_label(const char *space, const char *function, const char *variable,
			      char out[WEIR_SECRET_LABEL_BYTES]);

/* Seal `bytes` bytes to out[0 .. bytes + WEIR_SECRET_EXTRA_BYTES - 1]. Cannot fail. */
void weir_secret_seal(const struct weir_secret *secret, const char *label, const void *value,
		      size_t bytes, uint8_t *out);

/* Open what was sealed; the value gets bytes - WEIR_SECRET_EXTRA_BYTES. 0, or -EBADMSG: another key or
 * label, or damaged. */
int weir_secret_unseal(const struct weir_secret *secret, const char *label, const void *sealed,
		       size_t bytes, void *out);

#endif
