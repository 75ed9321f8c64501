#include "dataplane/http/http_credential.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(WEIR_KEY_DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256");

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool is_dash_place(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

bool weir_key_id_read(struct weir_span text, uint8_t out_id[WEIR_KEY_ID_BYTES])
{
	size_t used = 0;

	if (text.bytes != WEIR_KEY_ID_TEXT_BYTES)
		return false;
	for (size_t at = 0; at < WEIR_KEY_ID_TEXT_BYTES; at += 2, used++) {
		if (is_dash_place(at) && text.data[at++] != '-')
			return false;
		const int high = hex_digit(text.data[at]);
		const int low = hex_digit(text.data[at + 1]);

		if (high < 0 || low < 0)
			return false;
		out_id[used] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void weir_key_id_write(const uint8_t id[WEIR_KEY_ID_BYTES], char out_text[WEIR_KEY_ID_TEXT_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < WEIR_KEY_ID_BYTES; i++) {
		if (is_dash_place(at))
			out_text[at++] = '-';
		out_text[at++] = digits[id[i] >> 4];
		out_text[at++] = digits[id[i] & 15];
	}
	out_text[at] = '\0';
}

void weir_key_secret_write(const uint8_t secret[WEIR_KEY_SECRET_BYTES], char out_text[WEIR_KEY_SECRET_TEXT_BYTES + 1])
{
	(void)sodium_bin2base64(out_text, WEIR_KEY_SECRET_TEXT_BYTES + 1, secret, WEIR_KEY_SECRET_BYTES,
				sodium_base64_VARIANT_URLSAFE_NO_PADDING); /* aborts where it does not fit */
}

void weir_key_digest(const uint8_t secret[WEIR_KEY_SECRET_BYTES], uint8_t out_digest[WEIR_KEY_DIGEST_BYTES])
{
	(void)crypto_hash_sha256(out_digest, secret, WEIR_KEY_SECRET_BYTES); /* cannot fail */
}

bool weir_key_digest_equal(const uint8_t a[WEIR_KEY_DIGEST_BYTES], const uint8_t b[WEIR_KEY_DIGEST_BYTES])
{
	return sodium_memcmp(a, b, WEIR_KEY_DIGEST_BYTES) == 0;
}

/* A key's text. False: it has not its form. */
static bool key_read(struct weir_span text, struct weir_http_credential *out)
{
	const struct weir_span id = {.data = text.data, .bytes = WEIR_KEY_ID_TEXT_BYTES};
	uint8_t secret[WEIR_KEY_SECRET_BYTES];
	size_t bytes = 0;
	bool is_sound = false;

	if (text.bytes != WEIR_KEY_TEXT_BYTES || text.data[WEIR_KEY_ID_TEXT_BYTES] != ':' ||
	    !weir_key_id_read(id, out->id))
		return false;
	is_sound = sodium_base642bin(secret, sizeof(secret), text.data + WEIR_KEY_ID_TEXT_BYTES + 1,
				     WEIR_KEY_SECRET_TEXT_BYTES, NULL, &bytes, NULL,
				     sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
		   bytes == sizeof(secret);
	if (is_sound)
		weir_key_digest(secret, out->digest);
	sodium_memzero(secret, sizeof(secret));
	return is_sound;
}

static bool basic_read(struct weir_span pair, struct weir_http_credential *out)
{
	char text[WEIR_KEY_TEXT_BYTES];
	size_t bytes = 0;
	const bool is_key = sodium_base642bin((unsigned char *)text, sizeof(text), pair.data, pair.bytes, NULL, &bytes,
					      NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
			    key_read((struct weir_span){.data = text, .bytes = bytes}, out);

	sodium_memzero(text, sizeof(text));
	return is_key;
}

/* The rest of a field that begins with the scheme and blanks. */
static bool scheme_is(struct weir_span field, struct weir_span scheme, struct weir_span *out_rest)
{
	const struct weir_span begin = {.data = field.data, .bytes = scheme.bytes};
	size_t at = scheme.bytes;

	if (field.bytes <= scheme.bytes || !weir_span_equal_nocase(begin, scheme) || field.data[at] != ' ')
		return false;
	while (at < field.bytes && field.data[at] == ' ')
		at++;
	*out_rest = (struct weir_span){.data = field.data + at, .bytes = field.bytes - at};
	return true;
}

static size_t dots_count(struct weir_span text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.bytes; i++)
		count += text.data[i] == '.';
	return count;
}

void weir_http_credential_read(struct weir_span field, struct weir_http_credential *out_credential)
{
	struct weir_span rest;

	*out_credential = (struct weir_http_credential){
		.kind = field.bytes == 0 ? WEIR_HTTP_CREDENTIAL_NONE : WEIR_HTTP_CREDENTIAL_OTHER};
	if (scheme_is(field, WEIR_SPAN("Bearer"), &rest)) {
		if (key_read(rest, out_credential)) {
			out_credential->kind = WEIR_HTTP_CREDENTIAL_KEY;
		} else if (dots_count(rest) == 2) {
			out_credential->kind = WEIR_HTTP_CREDENTIAL_TOKEN;
			out_credential->token = rest;
		}
	} else if (scheme_is(field, WEIR_SPAN("Basic"), &rest) && basic_read(rest, out_credential)) {
		out_credential->kind = WEIR_HTTP_CREDENTIAL_KEY;
	}
}
