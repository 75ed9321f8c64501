/* http_credential: what a request's Authorization says, and the form of Weir's keys.
 *
 *   KEY     "8d0f...-....-....-....-............:mJ3x...43 characters"     public id ':' secret
 *            36 characters, a UUID                base64url of 256 random bits, without padding
 *   Bearer KEY, or Basic base64(KEY): the id is the user's name there, the secret the password
 *
 * A key is kept as its id and the SHA-256 of its secret. A plain hash is right here: nobody can search through 256
 * random bits, so nothing is won by a slow hash or a salt, which passwords need; and for the same reason nobody
 * counts attempts at keys. The id is looked up as it is; digests are compared in constant time.
 * No system calls, no allocation. Pure; any thread. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_CREDENTIAL_H
#define WEIR_DATAPLANE_HTTP_HTTP_CREDENTIAL_H

#include "dataplane/base/span.h"

enum {
	WEIR_KEY_ID_BYTES = 16,
	WEIR_KEY_ID_TEXT_BYTES = 36, /* without a NUL; likewise below */
	WEIR_KEY_SECRET_BYTES = 32,
	WEIR_KEY_SECRET_TEXT_BYTES = 43,
	WEIR_KEY_TEXT_BYTES = WEIR_KEY_ID_TEXT_BYTES + 1 + WEIR_KEY_SECRET_TEXT_BYTES,
	WEIR_KEY_DIGEST_BYTES = 32,
};

enum weir_http_credential_kind {
	WEIR_HTTP_CREDENTIAL_NONE,  /* no field, or an empty one */
	WEIR_HTTP_CREDENTIAL_KEY,   /* it has a key's form; whether there is such a key is the caller's to find out */
	WEIR_HTTP_CREDENTIAL_TOKEN, /* Bearer, of three parts: a JSON web token */
	WEIR_HTTP_CREDENTIAL_OTHER,
};

struct weir_http_credential {
	enum weir_http_credential_kind kind;
	uint8_t id[WEIR_KEY_ID_BYTES]; /* of a KEY; likewise below */
	uint8_t digest[WEIR_KEY_DIGEST_BYTES];
	struct weir_span token; /* of a TOKEN: within the field */
};

/* Read the value of an Authorization field. The secret's bytes do not stay behind. */
void weir_http_credential_read(struct weir_span field, struct weir_http_credential *out_credential);

/* "8d0f...": 36 characters as 8-4-4-4-12 hexadecimal digits in either case -> 16 bytes. False: it is none. */
bool weir_key_id_read(struct weir_span text, uint8_t out_id[WEIR_KEY_ID_BYTES]);

/* The id as people see it, in lower case, with a NUL. */
void weir_key_id_write(const uint8_t id[WEIR_KEY_ID_BYTES], char out_text[WEIR_KEY_ID_TEXT_BYTES + 1]);

/* A secret's text, of WEIR_KEY_SECRET_TEXT_BYTES, and what is kept of it. */
void weir_key_secret_write(const uint8_t secret[WEIR_KEY_SECRET_BYTES], char out_text[WEIR_KEY_SECRET_TEXT_BYTES + 1]);
void weir_key_digest(const uint8_t secret[WEIR_KEY_SECRET_BYTES], uint8_t out_digest[WEIR_KEY_DIGEST_BYTES]);

/* Compare in constant time. */
bool weir_key_digest_equal(const uint8_t a[WEIR_KEY_DIGEST_BYTES], const uint8_t b[WEIR_KEY_DIGEST_BYTES]);

#endif
