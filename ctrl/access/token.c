#include "ctrl/access/token.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_json.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/key_file.h"

enum {
	KEY_BYTES = 32,
	MAC_BYTES = 32,
	CLAIMS_BYTES_MAX = 512,
	LEVELS_MAX = 2,
	VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
};

/* {"alg":"HS256","typ":"JWT"} and the dot. */
#define HEAD_ENCODED "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."

struct weir_token_key {
	unsigned char bytes[KEY_BYTES];
};

int weir_token_key_open(const char *data, struct weir_token_key **out_key)
{
	struct weir_token_key *key = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*key));
	int code = 0;

	if (key == NULL)
		return -ENOMEM;
	code = weir_key_file_open(data, "token.key", true, key->bytes, sizeof(key->bytes));
	if (code != 0) {
		weir_token_key_close(key);
		return code;
	}
	*out_key = key;
	return 0;
}

void weir_token_key_close(struct weir_token_key *key)
{
	sodium_free(key); /* clears it; accepts NULL */
}

static int sign(const struct weir_token_key *key, const char *text, size_t bytes, unsigned char out[MAC_BYTES])
{
	size_t written = 0;

	/* EVP_MAC in one call. */
	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->bytes, sizeof(key->bytes), (const unsigned char *)text,
			 bytes, out, MAC_BYTES, &written) != NULL &&
			       written == MAC_BYTES
		       ? 0
		       : -ENOMEM;
}

/* The claims as JSON; NULL without memory. cJSON_free() it. */
static char *claims_text(const struct weir_model_user *user, int64_t now_s)
{
	cJSON *const json = cJSON_CreateObject();
	char *text = NULL;

	if (cJSON_AddStringToObject(json, "id", user->uuid) != NULL &&
	    cJSON_AddStringToObject(json, "username", user->name) != NULL &&
	    cJSON_AddStringToObject(json, "iss", WEIR_TOKEN_ISSUER) != NULL &&
	    cJSON_AddStringToObject(json, "key", WEIR_TOKEN_KEY) != NULL &&
	    cJSON_AddNumberToObject(json, "iat", (double)now_s) != NULL &&
	    cJSON_AddNumberToObject(json, "exp", (double)(now_s + WEIR_TOKEN_LIFE_S)) != NULL)
		text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

/* Append `between`, and base64url without padding. */
static void encode(char token[WEIR_TOKEN_BYTES_MAX], const char *between, const void *data, size_t bytes)
{
	const size_t used = strlen(token) + strlen(between);

	WEIR_ASSERT(used + sodium_base64_encoded_len(bytes, VARIANT) <= WEIR_TOKEN_BYTES_MAX);
	memcpy(token + used - strlen(between), between, strlen(between) + 1);
	(void)sodium_bin2base64(token + used, WEIR_TOKEN_BYTES_MAX - used, data, bytes, VARIANT);
}

int weir_token_issue(const struct weir_token_key *key, const struct weir_model_user *user, int64_t now_s,
		     char out_token[WEIR_TOKEN_BYTES_MAX])
{
	char *const claims = claims_text(user, now_s);
	char token[WEIR_TOKEN_BYTES_MAX] = HEAD_ENCODED;
	unsigned char mac[MAC_BYTES];
	int code = 0;

	if (claims == NULL)
		return -ENOMEM;
	WEIR_ASSERT(strlen(claims) < CLAIMS_BYTES_MAX); /* names are short */
	encode(token, "", claims, strlen(claims));
	cJSON_free(claims);
	code = sign(key, token, strlen(token), mac);
	if (code != 0)
		return code;
	encode(token, ".", mac, sizeof(mac));
	memcpy(out_token, token, sizeof(token));
	return 0;
}

/* Decode text[0 .. bytes-1], all of it. False: it is no base64url, or longer than `max`. */
static bool decode(const char *text, size_t bytes, void *out, size_t max, size_t *out_bytes)
{
	return sodium_base642bin(out, max, text, bytes, NULL, out_bytes, NULL, VARIANT) == 0;
}

static bool text_read(const cJSON *json, const char *name, char *out, size_t max)
{
	const char *const text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));

	return text != NULL && snprintf(out, max, "%s", text) < (int)max;
}

static bool text_is(const cJSON *json, const char *name, const char *wanted)
{
	const char *const text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));

	return text != NULL && strcmp(text, wanted) == 0;
}

/* Seconds since 1970, within what a double holds exactly; -1: there are none. */
static int64_t seconds_read(const cJSON *json, const char *name)
{
	const cJSON *const item = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 9007199254740992.0
		       ? (int64_t)item->valuedouble
		       : -1;
}

static const char *claims_check(const cJSON *json, int64_t now_s, struct weir_token_claims *claims)
{
	claims->issued_s = seconds_read(json, "iat");
	claims->expires_s = seconds_read(json, "exp");
	if (!text_is(json, "iss", WEIR_TOKEN_ISSUER) || !text_is(json, "key", WEIR_TOKEN_KEY) ||
	    !text_read(json, "username", claims->name, sizeof(claims->name)) ||
	    !text_read(json, "id", claims->uuid, sizeof(claims->uuid)) || claims->issued_s == -1 ||
	    claims->expires_s == -1)
		return "lacks claims of this system's";
	if (claims->issued_s > now_s + WEIR_TOKEN_SKEW_S)
		return "is not valid yet";
	if (claims->expires_s <= now_s)
		return "is expired";
	return claims->expires_s - claims->issued_s <= WEIR_TOKEN_LIFE_S ? NULL : "is for longer than any of this system's";
}

/* What is wrong with the claims, or NULL. Somebody had the key, which need not be this Weir. */
static const char *claims_read(char *text, size_t bytes, int64_t now_s, struct weir_token_claims *claims)
{
	cJSON *json = NULL;
	const char *reason = "has claims that are no JSON object";

	if (weir_model_json_canonicalize((struct weir_span){.data = text, .bytes = bytes}, "claims", LEVELS_MAX, text,
					 &bytes, NULL) == 0)
		json = cJSON_ParseWithLength(text, bytes);
	if (cJSON_IsObject(json))
		reason = claims_check(json, now_s, claims);
	cJSON_Delete(json);
	return reason;
}

/* 0: `token`, whose last dot stands at `dot`, was signed by us; -EACCES or -ENOMEM. */
static int signature_check(const struct weir_token_key *key, const char *token, const char *dot)
{
	unsigned char theirs[MAC_BYTES];
	unsigned char ours[MAC_BYTES];
	size_t bytes = 0;
	int code = 0;

	if (!decode(dot + 1, strlen(dot + 1), theirs, sizeof(theirs), &bytes) || bytes != MAC_BYTES)
		return -EACCES;
	code = sign(key, token, (size_t)(dot - token), ours);
	if (code != 0)
		return code;
	return sodium_memcmp(ours, theirs, MAC_BYTES) == 0 ? 0 : -EACCES;
}

int weir_token_check(const struct weir_token_key *key, const char *token, int64_t now_s,
		     struct weir_token_claims *out_claims, const char **out_reason)
{
	static const size_t head_bytes = sizeof(HEAD_ENCODED) - 1;
	struct weir_token_claims claims = {.name = ""};
	char text[CLAIMS_BYTES_MAX + 1];
	const char *dot = NULL;
	size_t bytes = 0;
	int code = 0;

	*out_reason = "is none of this system's";
	if (strnlen(token, WEIR_TOKEN_BYTES_MAX) == WEIR_TOKEN_BYTES_MAX || strncmp(token, HEAD_ENCODED, head_bytes) != 0)
		return -EACCES;
	dot = strchr(token + head_bytes, '.');
	if (dot == NULL)
		return -EACCES;
	*out_reason = "has a signature that is not ours";
	code = signature_check(key, token, dot);
	if (code != 0)
		return code;
	*out_reason = "has claims that are no JSON object";
	if (!decode(token + head_bytes, (size_t)(dot - token) - head_bytes, text, CLAIMS_BYTES_MAX, &bytes))
		return -EACCES;
	*out_reason = claims_read(text, bytes, now_s, &claims);
	if (*out_reason != NULL)
		return -EACCES;
	*out_claims = claims;
	return 0;
}
