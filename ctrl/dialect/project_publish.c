#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/project.h"
#include "dataplane/base/clock.h"

enum { REMEMBERED = 256, REMEMBERED_MS = 2000 };

/* What is to be called. */
struct wanted {
	const char *name;
	struct weir_span argument;
};

/* Which namespace alone had a function of that name a moment ago. */
static struct {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* "": nothing is here */
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	uint64_t until_ns; /* then it is asked again */
} spaces[REMEMBERED];

static size_t place_of(const char *name)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619;
	return hash % REMEMBERED;
}

static int fail(struct weir_dialect_call *call, const char *what, const char *sentence)
{
	char text[WEIR_DIALECT_SENTENCE_BYTES + 64];

	(void)snprintf(text, sizeof(text), "Error %s: %s", what, sentence); /* fits */
	return weir_project_say(call, 500, text, NULL);
}

/* It ran and failed, or could not run. */
static int failed(struct weir_dialect_call *call, const struct weir_dialect_result *result)
{
	char text[WEIR_DIALECT_SENTENCE_BYTES];

	if (result->failure == NULL) {
		(void)snprintf(text, sizeof(text), "%.*s", result->body.bytes < 256 ? (int)result->body.bytes : 256,
			       result->body.data); /* fits */
		return fail(call, "submission worker", text);
	}
	if (strcmp(result->failure, "function_timeout") == 0 || strcmp(result->failure, "queue_timeout") == 0)
		return fail(call, "submission worker nats", "timeout");
	return fail(call, "submission worker", result->sentence);
}

/* Call it there; *out_is_missing: there is none, and no reply is made. */
static int call_there(struct weir_dialect_call *call, const char *space, const struct wanted *wanted, bool *out_is_missing)
{
	const struct weir_dialect_invocation invocation = {.space = space, .name = wanted->name, .body = wanted->argument};
	struct weir_dialect_result result;
	const int code = call->ops->invoke(call, &invocation, &result);

	*out_is_missing = code == 0 && result.failure != NULL && strcmp(result.failure, "call_unknown") == 0;
	if (code == -EMSGSIZE)
		return fail(call, "submission worker", "arguments and outputs have at most 1 MiB");
	if (code != 0 || *out_is_missing)
		return code;
	if (result.failure != NULL || result.status >= 400)
		return failed(call, &result);
	return weir_dialect_reply_text(call, 200, "application/json", result.body);
}

/* The only namespace of the list that has a function of this name, or "". */
static void space_pick(const cJSON *functions, const char *name, char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	const cJSON *function = NULL;
	size_t count = 0;

	out[0] = '\0';
	cJSON_ArrayForEach(function, functions)
	{
		const char *const their_name = weir_dialect_text(function, "name");
		const char *const space = weir_dialect_text(function, "namespace");

		/* A row of the public table may be there beside the function that it was made of. */
		if (their_name == NULL || space == NULL || strcmp(their_name, name) != 0 || strcmp(space, out) == 0)
			continue;
		if (count++ == 0)
			(void)snprintf(out, WEIR_MODEL_NAME_BYTES_MAX + 1, "%s", space); /* fits: the API's */
	}
	if (count != 1)
		out[0] = '\0';
}

/* Where is the only function of this name? "": nowhere, or in several places. 0, -EAGAIN (nobody is there who could
 * tell), or as manage(). */
static int space_find(struct weir_dialect_call *call, const char *name, char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	const struct weir_dialect_order order = {.method = "GET", .target = "/weir/functions", .is_nobodys = true};
	const size_t place = place_of(name);
	const bool is_known = strcmp(spaces[place].name, name) == 0;
	struct weir_dialect_verdict verdict;
	int code = 0;

	(void)snprintf(out, WEIR_MODEL_NAME_BYTES_MAX + 1, "%s", is_known ? spaces[place].space : ""); /* fits */
	if (is_known && weir_clock_now_ns() < spaces[place].until_ns)
		return 0;
	code = call->ops->manage(call, &order, &verdict);
	if (code != 0)
		return code;
	if (verdict.status != 200) {
		weir_dialect_verdict_release(&verdict);
		return is_known ? 0 : -EAGAIN;
	}
	space_pick(cJSON_GetObjectItemCaseSensitive(verdict.json, "functions"), name, out);
	weir_dialect_verdict_release(&verdict);
	(void)snprintf(spaces[place].name, sizeof(spaces[place].name), "%s", out[0] == '\0' ? "" : name); /* fits */
	(void)snprintf(spaces[place].space, sizeof(spaces[place].space), "%s", out);
	spaces[place].until_ns = weir_clock_now_ns() + REMEMBERED_MS * WEIR_NS_PER_MS;
	return 0;
}

/* By name alone; *out_is_missing as above. */
static int call_anywhere(struct weir_dialect_call *call, const struct wanted *wanted, bool *out_is_missing)
{
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	const int code = space_find(call, wanted->name, space);

	*out_is_missing = code == 0 && space[0] == '\0';
	if (code == -EAGAIN)
		return weir_project_say(call, 503, "weir-ctrld is away and cannot be asked where this function is; try again",
					NULL);
	return code != 0 || *out_is_missing ? code : call_there(call, space, wanted, out_is_missing);
}

static int call_function(struct weir_dialect_call *call, const struct weir_project_claim *claim, const struct wanted *wanted)
{
	bool is_missing = true;
	int code = 0;

	if (claim->credentials == WEIR_PROJECT_GOOD && call->caller.is_required && call->caller.role == WEIR_ROLE_NOBODY) {
		call->caller.role = WEIR_ROLE_INVOKER; /* the token says so, which the gateway does not know */
		call->caller.space = weir_span_of(claim->person.name);
	}
	if (claim->credentials == WEIR_PROJECT_GOOD)
		code = call_there(call, claim->person.name, wanted, &is_missing);
	if (code == 0 && is_missing && !call->caller.is_required && call->caller.role == WEIR_ROLE_NOBODY)
		code = call_anywhere(call, wanted, &is_missing);
	if (code != 0 || !is_missing)
		return code;
	return claim->credentials == WEIR_PROJECT_GOOD
		       ? fail(call, "retrieve function", "Function not found")
		       : weir_project_say(call, 401, "Unauthorized", "without a token the name must be of one function alone");
}

/* False: name or argument are no texts. No argument is an empty one. */
static bool wanted_read(const cJSON *body, struct wanted *wanted)
{
	const cJSON *const argument = cJSON_GetObjectItemCaseSensitive(body, "argument");

	wanted->name = weir_dialect_text(body, "name");
	wanted->argument = cJSON_IsString(argument) ? weir_span_of(argument->valuestring) : WEIR_SPAN("");
	return wanted->name != NULL && strlen(wanted->name) <= WEIR_MODEL_NAME_BYTES_MAX &&
	       (argument == NULL || cJSON_IsString(argument));
}

int weir_project_publish(struct weir_dialect_call *call)
{
	char sentence[WEIR_DIALECT_SENTENCE_BYTES] = "name and argument must be texts: {\"name\":\"echo\",\"argument\":\"hello\"}";
	struct weir_project_claim claim;
	int code = weir_project_claim(call, true, &claim);
	cJSON *body = NULL;
	struct wanted wanted;

	if (code != 0)
		return code;
	if (claim.credentials == WEIR_PROJECT_WRONG || claim.credentials == WEIR_PROJECT_OTHER)
		return weir_project_say(call, 401, "Unauthorized", claim.reason[0] == '\0' ? NULL : claim.reason);
	if (claim.credentials == WEIR_PROJECT_UNKNOWN)
		return weir_project_say(call, 503, claim.reason, NULL);
	if (claim.credentials == WEIR_PROJECT_NONE && call->caller.is_required)
		return weir_project_say(call, 401, "Unauthorized", "a token is needed: Authorization: Bearer TOKEN");
	body = weir_dialect_body(call, true, sentence);
	code = wanted_read(body, &wanted) ? call_function(call, &claim, &wanted)
					  : weir_project_say(call, 400, "Invalid request body", sentence);
	cJSON_Delete(body);
	return code;
}
