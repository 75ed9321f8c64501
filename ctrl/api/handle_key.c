#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ctrl/api/call.h"
#include "ctrl/store/store_key.h"
#include "dataplane/base/cleanup.h"

enum { LIFE_S_MAX = 10 * 366 * 86400 };

static void key_add_members(cJSON *json, const struct weir_model_key *key)
{
	(void)cJSON_AddStringToObject(json, "name", key->name); /* without memory: members lack */
	(void)cJSON_AddStringToObject(json, "id", key->id);
	(void)cJSON_AddStringToObject(json, "namespace", key->space);
	(void)cJSON_AddStringToObject(json, "role", weir_model_role_name(key->role));
	(void)cJSON_AddNumberToObject(json, "created", (double)key->created_s);
	if (key->expires_s == 0)
		(void)cJSON_AddNullToObject(json, "expires");
	else
		(void)cJSON_AddNumberToObject(json, "expires", (double)key->expires_s);
}

enum weir_api_result weir_api_key_list(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_store_keys_release) struct weir_store_keys keys = {.key = NULL};
	struct weir_store_error error = {{0}};
	const int code = weir_store_keys_load(call->owner->store, &keys, &error);
	cJSON *list = NULL;

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(call->answer, "keys");
	for (size_t i = 0; i < keys.count; i++) {
		cJSON *const json = cJSON_CreateObject();

		key_add_members(json, &keys.key[i]);
		(void)cJSON_AddItemToArray(list, json);
	}
	call->status = 200;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_key_remove(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	const int code = weir_store_key_remove(call->owner->store, call->param[0], &error);

	return code != 0 ? weir_api_refuse_store(call, code, &error) : weir_api_committed(call, 200);
}

/* The key that the body describes, without id and digest. False: the answer is set. */
static bool key_read(struct weir_api_call *call, struct weir_model_key *key)
{
	char role[16] = "developer";
	uint32_t life_s = 0;
	struct weir_model_error wrong = {.field = "life_s"};

	*key = (struct weir_model_key){.space = "default", .created_s = (int64_t)time(NULL)};
	if (!weir_api_body_text(call, "name", key->name, sizeof(key->name)) ||
	    !weir_api_body_text(call, "namespace", key->space, sizeof(key->space)) ||
	    !weir_api_body_text(call, "role", role, sizeof(role)) || !weir_api_body_number(call, "life_s", &life_s))
		return false;
	if (life_s > LIFE_S_MAX) {
		(void)snprintf(wrong.reason, sizeof(wrong.reason), "must be at most %d; leave it out for a key without an end",
			       LIFE_S_MAX);
		(void)weir_api_refuse_field(call, &wrong);
		return false;
	}
	key->expires_s = life_s == 0 ? 0 : key->created_s + life_s;
	if (weir_model_role_parse(role, &key->role, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

/* Its id and its secret: 256 bits of the kernel's. 0 or -EIO. */
static int secret_make(struct weir_model_key *key, char text[WEIR_KEY_TEXT_BYTES + 1])
{
	uint8_t secret[WEIR_KEY_SECRET_BYTES];

	if (weir_access_uuid_make(key->id) != 0 || getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		return -EIO;
	weir_key_digest(secret, key->digest);
	(void)snprintf(text, WEIR_KEY_TEXT_BYTES + 1, "%s:", key->id); /* fits */
	weir_key_secret_write(secret, text + strlen(text));
	explicit_bzero(secret, sizeof(secret));
	return 0;
}

enum weir_api_result weir_api_key_add(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_model_error wrong;
	struct weir_model_key key;
	char text[WEIR_KEY_TEXT_BYTES + 1];
	int code = 0;

	if (!key_read(call, &key))
		return WEIR_API_DONE;
	if (secret_make(&key, text) != 0)
		return weir_api_refuse(call, 503, "random", NULL, "the kernel gives no random bytes");
	if (weir_model_key_check(&key, &wrong) != 0)
		return weir_api_refuse_field(call, &wrong);
	code = weir_store_key_add(call->owner->store, &key, &error);
	if (code == 0) {
		call->answer = cJSON_CreateObject();
		key_add_members(call->answer, &key);
		(void)cJSON_AddStringToObject(call->answer, "key", text); /* nobody can tell it again */
	}
	explicit_bzero(text, sizeof(text));
	return code != 0 ? weir_api_refuse_store(call, code, &error) : weir_api_committed(call, 201);
}
