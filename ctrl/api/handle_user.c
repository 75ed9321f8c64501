#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/access/password.h"
#include "ctrl/api/call.h"
#include "ctrl/store/store_user.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"

/* A call that waits for its password. */
struct waiting {
	struct weir_hasher *hasher;
	uint64_t job; /* 0: it is through */
	int result;
	bool is_known; /* login: there is such a user */
	struct weir_model_user user;
};

static void waiting_release(void *state)
{
	struct waiting *const waiting = state;

	if (waiting->job != 0)
		weir_hasher_drop(waiting->hasher, waiting->job);
	explicit_bzero(waiting, sizeof(*waiting));
	free(waiting);
}

static void user_add_members(cJSON *json, const struct weir_model_user *user)
{
	(void)cJSON_AddStringToObject(json, "name", user->name); /* without memory: members lack */
	(void)cJSON_AddStringToObject(json, "uuid", user->uuid);
	(void)cJSON_AddStringToObject(json, "role", weir_model_role_name(user->role));
	(void)cJSON_AddNumberToObject(json, "created", (double)user->created_s);
}

enum weir_api_result weir_api_user_list(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_store_users_release) struct weir_store_users users = {.user = NULL};
	struct weir_store_error error = {{0}};
	const int code = weir_store_users_load(call->owner->store, &users, &error);
	cJSON *list = NULL;

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(call->answer, "users");
	for (size_t i = 0; i < users.count; i++) {
		cJSON *const json = cJSON_CreateObject();

		user_add_members(json, &users.user[i]);
		(void)cJSON_AddItemToArray(list, json);
	}
	call->status = 200;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_user_remove(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	const int code = weir_store_user_remove(call->owner->store, call->param[0], &error);

	return code != 0 ? weir_api_refuse_store(call, code, &error) : weir_api_committed(call, 200);
}

/* Too many attempts: 429 and when the next may be made. */
static enum weir_api_result slow_down(struct weir_api_call *call, uint32_t wait_ms)
{
	char sentence[96];
	const uint32_t wait_s = (wait_ms + 999) / 1000;

	(void)snprintf(sentence, sizeof(sentence), "too many passwords were tried; try again in %u s", wait_s); /* fits */
	(void)weir_api_refuse(call, 429, "too_many_attempts", NULL, sentence);
	(void)cJSON_AddNumberToObject(call->answer, "retry_after_s", wait_s); /* or it lacks */
	return WEIR_API_DONE;
}

/* "password" of the body; NULL: the answer is set. */
static const char *password_read(struct weir_api_call *call)
{
	const char *const password = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->body, "password"));
	struct weir_model_error wrong = {.field = "password", .reason = ""};

	if (password == NULL || password[0] == '\0')
		(void)snprintf(wrong.reason, sizeof(wrong.reason), "is missing or empty");
	else if (strlen(password) > WEIR_MODEL_PASSWORD_BYTES_MAX)
		(void)snprintf(wrong.reason, sizeof(wrong.reason), "has more than %d bytes", WEIR_MODEL_PASSWORD_BYTES_MAX);
	if (wrong.reason[0] == '\0')
		return password;
	(void)weir_api_refuse_field(call, &wrong);
	return NULL;
}

/* Give the password to the hasher; `hash` as there. The call waits for it from now on. */
static enum weir_api_result job_begin(struct weir_api_call *call, const struct waiting *prepared, const char *password,
				      const char *hash)
{
	struct waiting *const waiting = malloc(sizeof(*waiting));
	int code = -ENOMEM;

	if (waiting != NULL) {
		*waiting = *prepared;
		waiting->hasher = call->owner->access->hasher;
		code = weir_hasher_begin(waiting->hasher, password, hash, &waiting->job);
	}
	if (code != 0)
		free(waiting);
	if (code == -EBUSY) /* its turn comes */
		return WEIR_API_PENDING;
	if (code != 0)
		return weir_api_refuse(call, 503, "memory", NULL, "there is not enough memory for passwords now");
	call->state = waiting;
	call->state_release = waiting_release;
	return WEIR_API_PENDING;
}

/* Is the password looked at? False: not yet, or the answer is set; *out_result is the handler's. */
static bool job_done(struct weir_api_call *call, char hash[WEIR_MODEL_HASH_BYTES], enum weir_api_result *out_result)
{
	struct waiting *const waiting = call->state;

	if (waiting->job != 0) {
		waiting->result = weir_hasher_ask(waiting->hasher, waiting->job, hash);
		if (waiting->result != -EINPROGRESS)
			waiting->job = 0;
	}
	if (waiting->result == 0 || waiting->result == -EACCES)
		return true;
	*out_result = WEIR_API_PENDING;
	if (waiting->result != -EINPROGRESS)
		*out_result = weir_api_refuse(call, 503, "memory", NULL,
					      "there is not enough memory for passwords now; argon2id takes 64 MiB");
	return false;
}

/* ---- add ---- */

static bool is_new(const struct weir_api_call *call)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "new"));
}

static enum weir_api_result user_commit(struct weir_api_call *call)
{
	const struct waiting *const waiting = call->state;
	struct weir_store_error error = {{0}};
	const int code = weir_store_user_add(call->owner->store, &waiting->user, is_new(call), &error);

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = cJSON_CreateObject();
	user_add_members(call->answer, &waiting->user);
	return weir_api_committed(call, 201);
}

/* Where calls need a key, strangers do not make themselves somebody. False: the answer is set. */
static bool may_register(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	bool is_required = true;
	int code = 0;

	if (call->caller.role == WEIR_ROLE_ADMIN)
		return true;
	code = weir_api_auth_is_required(call->owner, &is_required, &error);
	if (code != 0)
		(void)weir_api_refuse_store(call, code, &error);
	else if (is_required)
		(void)weir_api_refuse(call, 403, "forbidden", NULL,
				      "nobody registers by himself where `auth` is required: an administrator adds users, "
				      "`ctrlctl user add NAME`");
	return code == 0 && !is_required;
}

/* The user that the body describes, without a hash. False: the answer is set. */
static bool user_read(struct weir_api_call *call, struct weir_model_user *user)
{
	char role[16] = "developer";
	struct weir_model_error wrong;

	memset(user, 0, sizeof(*user));
	if (!weir_api_body_text(call, "name", user->name, sizeof(user->name)) ||
	    !weir_api_body_text(call, "role", role, sizeof(role)))
		return false;
	if (weir_model_user_name_check(user->name, &wrong) != 0 ||
	    weir_model_role_parse(role, &user->role, &wrong) != 0) {
		(void)weir_api_refuse_field(call, &wrong);
		return false;
	}
	if (call->caller.role != WEIR_ROLE_ADMIN && (user->role == WEIR_ROLE_ADMIN || !is_new(call))) {
		(void)weir_api_refuse(call, 403, "forbidden", "role",
				      "who registers gets a namespace that nobody has, and is no administrator; others are added "
				      "by an administrator");
		return false;
	}
	if (!may_register(call))
		return false;
	user->created_s = (int64_t)time(NULL);
	if (weir_access_uuid_make(user->uuid) == 0)
		return true;
	(void)weir_api_refuse(call, 503, "random", NULL, "the kernel gives no random bytes");
	return false;
}

/* Before half a CPU's moment goes into a password: is the name free? The commit asks again. */
static enum weir_api_result user_add_begin(struct weir_api_call *call)
{
	struct waiting waiting = {.job = 0};
	struct weir_model_user there;
	struct weir_store_error error = {{0}};
	const char *password = NULL;
	uint32_t wait_ms = 0;
	int code = 0;

	if (!user_read(call, &waiting.user) || (password = password_read(call)) == NULL)
		return WEIR_API_DONE;
	code = weir_store_user_find(call->owner->store, waiting.user.name, &there, &error);
	if (code == 0) {
		(void)snprintf(error.text, sizeof(error.text), "there is a user %s already", there.name); /* fits */
		code = -EEXIST;
	}
	if (code != -ENOENT)
		return weir_api_refuse_store(call, code, &error);
	if (!call->is_rerun)
		wait_ms = weir_throttle_take(call->owner->access->throttle, NULL, weir_clock_now_ns());
	return wait_ms != 0 ? slow_down(call, wait_ms) : job_begin(call, &waiting, password, NULL);
}

enum weir_api_result weir_api_user_add(struct weir_api_call *call)
{
	struct waiting *const waiting = call->state;
	enum weir_api_result result = WEIR_API_DONE;

	if (waiting == NULL)
		return user_add_begin(call);
	return job_done(call, waiting->user.hash, &result) ? user_commit(call) : result;
}

/* ---- login ---- */

/* The key of tokens; NULL: the answer is set. */
static const struct weir_token_key *key_need(struct weir_api_call *call)
{
	const struct weir_token_key *key = NULL;
	const char *sentence = NULL;

	if (weir_access_key(call->owner->access, &key, &sentence) != 0)
		(void)weir_api_refuse(call, 503, "token_key", NULL, sentence);
	return key;
}

static enum weir_api_result login_answer(struct weir_api_call *call)
{
	const struct waiting *const waiting = call->state;
	const struct weir_token_key *const key = key_need(call);
	const int64_t now_s = (int64_t)(weir_clock_wall_ns() / WEIR_NS_PER_SECOND);
	char token[WEIR_TOKEN_BYTES_MAX];

	if (key == NULL)
		return WEIR_API_DONE;
	if (weir_token_issue(key, &waiting->user, now_s, token) != 0)
		return weir_api_refuse(call, 503, "memory", NULL, "there is not enough memory for a token");
	weir_throttle_give(call->owner->access->throttle, waiting->user.name, weir_clock_now_ns());
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "token", token); /* without memory: members lack */
	(void)cJSON_AddNumberToObject(call->answer, "expires", (double)(now_s + WEIR_TOKEN_LIFE_S));
	call->status = 200;
	return WEIR_API_DONE;
}

/* Names that nobody has take as long, and count as much. */
static enum weir_api_result login_begin(struct weir_api_call *call)
{
	struct waiting waiting = {.job = 0};
	struct weir_store_error error = {{0}};
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1] = "";
	const char *password = NULL;
	uint32_t wait_ms = 0;
	int code = 0;

	if (!weir_api_body_text(call, "name", name, sizeof(name)) || (password = password_read(call)) == NULL)
		return WEIR_API_DONE;
	code = weir_store_user_find(call->owner->store, name, &waiting.user, &error);
	if (code != 0 && code != -ENOENT)
		return weir_api_refuse_store(call, code, &error);
	waiting.is_known = code == 0;
	if (!call->is_rerun)
		wait_ms = weir_throttle_take(call->owner->access->throttle, name, weir_clock_now_ns());
	if (wait_ms != 0)
		return slow_down(call, wait_ms);
	return job_begin(call, &waiting, password, code == 0 ? waiting.user.hash : weir_password_hash_of_nobody());
}

enum weir_api_result weir_api_login(struct weir_api_call *call)
{
	const struct waiting *const waiting = call->state;
	char hash[WEIR_MODEL_HASH_BYTES];
	enum weir_api_result result = WEIR_API_DONE;

	if (waiting == NULL)
		return login_begin(call);
	if (!job_done(call, hash, &result))
		return result;
	if (waiting->result != 0 || !waiting->is_known)
		return weir_api_refuse(call, 401, "credentials", NULL, "there is no such user, or the password is another");
	return login_answer(call);
}

/* ---- tokens ---- */

static enum weir_api_result token_refuse(struct weir_api_call *call, const char *reason)
{
	char sentence[128];

	(void)snprintf(sentence, sizeof(sentence), "the token %s", reason); /* fits */
	return weir_api_refuse(call, 401, "token", NULL, sentence);
}

bool weir_api_token_user(struct weir_api_call *call, const char *token, struct weir_model_user *out_user,
			 int64_t *out_expires_s, enum weir_api_result *out_result)
{
	const int64_t now_s = (int64_t)(weir_clock_wall_ns() / WEIR_NS_PER_SECOND);
	const struct weir_token_key *const key = key_need(call);
	struct weir_token_claims claims;
	struct weir_store_error error = {{0}};
	const char *reason = NULL;
	int code = 0;

	*out_result = WEIR_API_DONE;
	if (key == NULL)
		return false;
	code = weir_token_check(key, token, now_s, &claims, &reason);
	if (code == 0) {
		code = weir_store_user_find(call->owner->store, claims.name, out_user, &error);
		if (code == -ENOENT || (code == 0 && strcmp(out_user->uuid, claims.uuid) != 0))
			*out_result = token_refuse(call, "is of a user who is gone");
		else if (code != 0)
			*out_result = weir_api_refuse_store(call, code, &error);
		*out_expires_s = claims.expires_s;
		return call->answer == NULL;
	}
	*out_result = code == -EACCES ? token_refuse(call, reason)
				      : weir_api_refuse(call, 503, "memory", NULL, "there is not enough memory to check a token");
	return false;
}

enum weir_api_result weir_api_token_check(struct weir_api_call *call)
{
	const char *const token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->body, "token"));
	enum weir_api_result result = WEIR_API_DONE;
	struct weir_model_user user;
	int64_t expires_s = 0;

	if (!weir_api_token_user(call, token == NULL ? "" : token, &user, &expires_s, &result))
		return result;
	call->answer = cJSON_CreateObject();
	user_add_members(call->answer, &user);
	(void)cJSON_AddNumberToObject(call->answer, "expires", (double)expires_s); /* or it lacks */
	call->status = 200;
	return WEIR_API_DONE;
}
