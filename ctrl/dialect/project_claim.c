#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ctrl/dialect/project.h"
#include "dataplane/base/clock.h"

#define TYPE_TEXT "text/plain; charset=utf-8"

enum { REMEMBERED = 256, REMEMBERED_MS = 2000, TOKEN_BYTES_MAX = 1024, DIGEST_BYTES = 32 };

int weir_project_say(struct weir_dialect_call *call, uint16_t status, const char *sentence, const char *reason)
{
	char text[WEIR_DIALECT_SENTENCE_BYTES + 256];
	int code = 0;

	(void)snprintf(text, sizeof(text), "%s\n", sentence); /* cut is fine */
	code = weir_dialect_reply_text(call, status, TYPE_TEXT, weir_span_of(text));
	if (code == 0 && reason != NULL)
		code = weir_dialect_reply_field(call, WEIR_SPAN("x-weir-error"), reason);
	return code;
}

/* Tokens that were good a moment ago, by digest: asking costs more than a call. */
static struct {
	unsigned char digest[DIGEST_BYTES];
	struct weir_project_person person;
	uint64_t until_ns;  /* then it is asked again */
	uint64_t expires_s; /* then it is good no more; 0: nothing is here */
} tokens[REMEMBERED];

void weir_project_person_read(const struct weir_dialect_verdict *verdict, struct weir_project_person *person)
{
	const char *const name = weir_dialect_text(verdict->json, "name");
	const char *const uuid = weir_dialect_text(verdict->json, "uuid");
	const char *const role = weir_dialect_text(verdict->json, "role");

	(void)snprintf(person->name, sizeof(person->name), "%s", name == NULL ? "" : name); /* fit: the API's */
	(void)snprintf(person->uuid, sizeof(person->uuid), "%s", uuid == NULL ? "" : uuid);
	person->may_make = role != NULL && strcmp(role, "invoker") != 0;
}

/* Ask ctrld whose token it is. 0 with a verdict, or as manage(). */
static int token_ask(struct weir_dialect_call *call, const char *token, struct weir_dialect_verdict *out_verdict)
{
	cJSON *const json = cJSON_CreateObject();
	const struct weir_dialect_order order = {.method = "POST", .target = "/weir/token", .json = json, .is_nobodys = true};
	const int code = cJSON_AddStringToObject(json, "token", token) == NULL ? -ENOMEM
									       : call->ops->manage(call, &order, out_verdict);

	cJSON_Delete(json);
	return code;
}

/* What the answer makes of the claim; `claim` is as it is remembered, GOOD or UNKNOWN. */
static void token_judge(const unsigned char digest[DIGEST_BYTES], const struct weir_dialect_verdict *verdict,
			struct weir_project_claim *claim)
{
	const cJSON *const expires = cJSON_GetObjectItemCaseSensitive(verdict->json, "expires");
	const size_t place = digest[0];

	if (verdict->status != 200 && verdict->status != 401) {
		(void)snprintf(claim->reason, sizeof(claim->reason), "%s", weir_dialect_sentence(verdict)); /* cut is fine */
		return;
	}
	claim->credentials = verdict->status == 200 && cJSON_IsNumber(expires) ? WEIR_PROJECT_GOOD : WEIR_PROJECT_WRONG;
	if (claim->credentials == WEIR_PROJECT_GOOD) {
		weir_project_person_read(verdict, &claim->person);
		memcpy(tokens[place].digest, digest, DIGEST_BYTES);
		tokens[place].person = claim->person;
		tokens[place].until_ns = weir_clock_now_ns() + REMEMBERED_MS * WEIR_NS_PER_MS;
		tokens[place].expires_s = (uint64_t)expires->valuedouble;
		return;
	}
	(void)snprintf(claim->reason, sizeof(claim->reason), "%s", weir_dialect_sentence(verdict)); /* cut is fine */
	if (sodium_memcmp(tokens[place].digest, digest, DIGEST_BYTES) == 0)
		tokens[place].expires_s = 0;
}

static int token_check(struct weir_dialect_call *call, const char *token, bool is_remembered_good, struct weir_project_claim *claim)
{
	const uint64_t now_s = weir_clock_wall_ns() / WEIR_NS_PER_SECOND;
	unsigned char digest[DIGEST_BYTES];
	struct weir_dialect_verdict verdict;
	size_t place = 0;
	int code = 0;

	(void)crypto_generichash(digest, sizeof(digest), (const unsigned char *)token, strlen(token), NULL,
				 0); /* cannot fail with this size */
	place = digest[0];
	claim->credentials = WEIR_PROJECT_UNKNOWN;
	if (tokens[place].expires_s > now_s && sodium_memcmp(tokens[place].digest, digest, sizeof(digest)) == 0) {
		claim->credentials = WEIR_PROJECT_GOOD;
		claim->person = tokens[place].person;
		if (is_remembered_good && weir_clock_now_ns() < tokens[place].until_ns)
			return 0;
	}
	code = token_ask(call, token, &verdict);
	if (code != 0)
		return code;
	token_judge(digest, &verdict, claim);
	weir_dialect_verdict_release(&verdict);
	return 0;
}

int weir_project_claim(struct weir_dialect_call *call, bool is_remembered_good, struct weir_project_claim *claim)
{
	static const char scheme[] = "Bearer ";
	const struct weir_span field = call->ops->field(call, "authorization");
	const size_t scheme_bytes = sizeof(scheme) - 1;
	char token[TOKEN_BYTES_MAX];

	*claim = (struct weir_project_claim){.credentials = WEIR_PROJECT_NONE};
	if (field.bytes == 0)
		return 0;
	if (call->caller.role != WEIR_ROLE_NOBODY) { /* it is a key, and was found good */
		claim->credentials = WEIR_PROJECT_GOOD;
		(void)snprintf(claim->person.name, sizeof(claim->person.name), "%.*s", (int)call->caller.space.bytes,
			       call->caller.space.data); /* fits: a namespace's */
		claim->person.may_make = call->caller.role >= WEIR_ROLE_DEVELOPER;
		return 0;
	}
	claim->credentials = WEIR_PROJECT_OTHER;
	if (field.bytes <= scheme_bytes || field.bytes - scheme_bytes >= sizeof(token) ||
	    strncasecmp(field.data, scheme, scheme_bytes) != 0)
		return 0;
	(void)snprintf(token, sizeof(token), "%.*s", (int)(field.bytes - scheme_bytes), field.data + scheme_bytes); /* fits */
	return token_check(call, token, is_remembered_good, claim);
}

