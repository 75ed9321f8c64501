#include "dataplane/http/http_credential.h"

#include <stdio.h>

#include "tests/http/http_test.h"

#define ID     "8d0f6c1e-2b3a-4c5d-8e9f-0a1b2c3d4e5f"
#define SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" /* bytes 0 to 31 */
#define KEY    ID ":" SECRET

static const uint8_t id[WEIR_KEY_ID_BYTES] = {0x8d, 0x0f, 0x6c, 0x1e, 0x2b, 0x3a, 0x4c, 0x5d,
					      0x8e, 0x9f, 0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f};
/* SHA-256 of bytes 0 to 31, as sha256sum says it. */
static const char digest_hex[] = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";

static enum weir_http_credential_kind read(const char *field, struct weir_http_credential *out)
{
	weir_http_credential_read(weir_span_of(field), out);
	return out->kind;
}

static void a_key_is_read_from_bearer_and_from_basic(void **state)
{
	static const char *const fields[] = {
		"Bearer " KEY, "bearer   " KEY,
		/* base64 of the same */
		"Basic OGQwZjZjMWUtMmIzYS00YzVkLThlOWYtMGExYjJjM2Q0ZTVmOkFBRUNBd1FGQmdjSUNRb0xEQTBPRHhBUkVoTVVGUllYR0JrYUd4d2RIaDg=",
	};
	char text[2 * WEIR_KEY_DIGEST_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct weir_http_credential credential;

		assert_int_equal(read(fields[i], &credential), WEIR_HTTP_CREDENTIAL_KEY);
		assert_memory_equal(credential.id, id, sizeof(id));
		for (size_t j = 0; j < WEIR_KEY_DIGEST_BYTES; j++)
			(void)snprintf(text + 2 * j, 3, "%02x", credential.digest[j]);
		assert_string_equal(text, digest_hex);
	}
}

static void what_has_not_the_form_of_a_key_is_none(void **state)
{
	static const struct {
		const char *field;
		enum weir_http_credential_kind kind;
	} cases[] = {
		{"", WEIR_HTTP_CREDENTIAL_NONE},
		{"Bearer", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer ", WEIR_HTTP_CREDENTIAL_OTHER},
		{KEY, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer" KEY, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Digest " KEY, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Basic " KEY, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer " KEY "A", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer " ID "." SECRET, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer 8d0f6c1e+2b3a-4c5d-8e9f-0a1b2c3d4e5f:" SECRET, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer 8d0f6c1e-2b3a-4c5d-8e9f-0a1b2c3d4e5g:" SECRET, WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer " ID ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer " ID ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Basic dXVpZDprZXk=", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Basic !!!!", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer a.b.c", WEIR_HTTP_CREDENTIAL_TOKEN},
		{"Bearer a.b", WEIR_HTTP_CREDENTIAL_OTHER},
		{"Bearer a.b.c.d", WEIR_HTTP_CREDENTIAL_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weir_http_credential credential;

		if (read(cases[i].field, &credential) != cases[i].kind)
			fail_msg("'%s': kind %d", cases[i].field, credential.kind);
	}
}

static void a_token_is_what_stands_behind_the_scheme(void **state)
{
	struct weir_http_credential credential;

	(void)state;
	assert_int_equal(read("Bearer  head.claims.mark", &credential), WEIR_HTTP_CREDENTIAL_TOKEN);
	assert_true(weir_span_equal(credential.token, WEIR_SPAN("head.claims.mark")));
}

static void ids_and_secrets_are_written_as_they_are_read(void **state)
{
	uint8_t secret[WEIR_KEY_SECRET_BYTES];
	uint8_t digest[WEIR_KEY_DIGEST_BYTES];
	uint8_t again[WEIR_KEY_ID_BYTES];
	char text[WEIR_KEY_SECRET_TEXT_BYTES + 1];
	char id_text[WEIR_KEY_ID_TEXT_BYTES + 1];
	struct weir_http_credential credential;

	(void)state;
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	weir_key_secret_write(secret, text);
	assert_string_equal(text, SECRET);
	weir_key_id_write(id, id_text);
	assert_string_equal(id_text, ID);
	assert_true(weir_key_id_read(WEIR_SPAN("8D0F6C1E-2B3A-4C5D-8E9F-0A1B2C3D4E5F"), again));
	assert_memory_equal(again, id, sizeof(id));
	weir_key_digest(secret, digest);
	assert_int_equal(read("Bearer " KEY, &credential), WEIR_HTTP_CREDENTIAL_KEY);
	assert_true(weir_key_digest_equal(digest, credential.digest));
	digest[31] ^= 1;
	assert_false(weir_key_digest_equal(digest, credential.digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_read_from_bearer_and_from_basic),
		cmocka_unit_test(what_has_not_the_form_of_a_key_is_none),
		cmocka_unit_test(a_token_is_what_stands_behind_the_scheme),
		cmocka_unit_test(ids_and_secrets_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
