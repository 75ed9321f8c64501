/* project: FaaS Project's API (its auth, registry and publisher services behind one address).
 *
 *   POST /auth/register, /auth/login {"username","password"}; GET /auth/validate     a user of Weir's, a token for 72 h
 *   POST /registry/register, PUT /registry/update {"name","description","payload"}   function NAME of the user's
 *   GET /registry/retrieve, DELETE /registry/delete {"name"}, GET /registry/list     namespace, with image `payload`
 *   POST /publisher/publish {"name","argument"}      calls it: the argument is the body, the answer its bare output
 *
 * Bodies are JSON on every method, whatever their content type, and a comma too many is stepped over. Errors are
 * texts of a line; what they do not say stands in the field x-weir-error. The registry wants a token and shows a
 * user's own functions only. Who publishes with a token calls the functions of that user's namespace and, as those
 * who send none, each other one whose name only one namespace has; where nobody is let in without a key or a token,
 * or with a key, the own namespace's alone. A token that is sent is checked; while weir-ctrld is away what was known
 * of it, and of names, goes on being true. One of Weir's keys does in its place, with its namespace as the user. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/dialect/project.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define PAYLOAD_UNSOUND "Invalid request payload"
#define BODY_UNSOUND "Invalid request body"

/* The API said no, in a way that has no word of its own here. Releases the verdict. */
static int refused(struct weir_dialect_call *call, struct weir_dialect_verdict *verdict, const char *unsound)
{
	const bool is_unsound = verdict->status == 400 || verdict->status == 422;
	const cJSON *const wait = cJSON_GetObjectItemCaseSensitive(verdict->json, "retry_after_s");
	char text[32];
	int code = is_unsound ? weir_project_say(call, 400, unsound, weir_dialect_sentence(verdict))
			      : weir_project_say(call, verdict->status, weir_dialect_sentence(verdict), NULL);

	if (code == 0 && cJSON_IsNumber(wait)) {
		(void)snprintf(text, sizeof(text), "%.0f", wait->valuedouble); /* fits: the API's number */
		code = weir_dialect_reply_field(call, WEIR_SPAN("retry-after"), text);
	}
	weir_dialect_verdict_release(verdict);
	return code;
}

/* Is the name taken? */
static bool is_there(const struct weir_dialect_verdict *verdict)
{
	const char *const word = weir_dialect_text(verdict->json, "code");

	return verdict->status == 409 && word != NULL && strcmp(word, "exists") == 0;
}

static int unauthorized(struct weir_dialect_call *call, const char *reason)
{
	return weir_project_say(call, 401, "Unauthorized", reason);
}

/* ---- auth ---- */

/* {"name","password"} to the API, for {"username","password"}; NULL: the reply is made, *out_code is serve()'s. */
static cJSON *credentials_json(struct weir_dialect_call *call, int *out_code)
{
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	cJSON *const body = weir_dialect_body(call, true, sentence);
	const char *const name = weir_dialect_text(body, "username");
	const char *const password = weir_dialect_text(body, "password");
	cJSON *json = NULL;

	if (body == NULL || name == NULL || password == NULL) {
		*out_code = weir_project_say(call, 400, PAYLOAD_UNSOUND,
				body == NULL ? sentence : "username and password must be texts: {\"username\":\"user\",\"password\":\"...\"}");
	} else {
		json = cJSON_CreateObject();
		*out_code = -ENOMEM;
		if (cJSON_AddStringToObject(json, "name", name) == NULL ||
		    cJSON_AddStringToObject(json, "password", password) == NULL) {
			cJSON_Delete(json);
			json = NULL;
		}
	}
	cJSON_Delete(body);
	return json;
}

static int user_register(struct weir_dialect_call *call)
{
	struct weir_dialect_order order = {.method = "POST", .target = "/weir/users", .is_nobodys = true};
	struct weir_dialect_verdict verdict;
	char text[WEIR_DIALECT_SENTENCE_BYTES];
	int code = 0;
	cJSON *const json = credentials_json(call, &code);

	if (json == NULL)
		return code;
	order.json = json;
	/* Whoever comes gets a namespace of their own, never one that somebody's functions are in. */
	code = cJSON_AddTrueToObject(json, "new") == NULL ? -ENOMEM : call->ops->manage(call, &order, &verdict);
	cJSON_Delete(json);
	if (code != 0)
		return code;
	if (verdict.status >= 300 && !is_there(&verdict))
		return refused(call, &verdict, PAYLOAD_UNSOUND);
	if (verdict.status >= 300) {
		code = weir_project_say(call, 409, "Username already taken", weir_dialect_sentence(&verdict));
	} else {
		struct weir_project_person person;

		weir_project_person_read(&verdict, &person);
		(void)snprintf(text, sizeof(text), "User %s (ID: %s) registered successfully: %.0f", person.name, person.uuid,
			       cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(verdict.json, "generation"))); /* fits */
		code = weir_project_say(call, 200, text, NULL);
	}
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int user_login(struct weir_dialect_call *call)
{
	struct weir_dialect_order order = {.method = "POST", .target = "/weir/login", .is_nobodys = true};
	struct weir_dialect_verdict verdict;
	const char *token = NULL;
	int code = 0;
	cJSON *json = credentials_json(call, &code);

	if (json == NULL)
		return code;
	order.json = json;
	code = call->ops->manage(call, &order, &verdict);
	cJSON_Delete(json);
	if (code != 0)
		return code;
	if (verdict.status >= 300 && verdict.status != 401)
		return refused(call, &verdict, PAYLOAD_UNSOUND);
	token = weir_dialect_text(verdict.json, "token");
	if (verdict.status == 401) {
		code = weir_project_say(call, 401, "Invalid credentials", NULL);
	} else {
		json = cJSON_CreateObject();
		(void)cJSON_AddStringToObject(json, "token", token == NULL ? "" : token); /* or it lacks */
		code = weir_dialect_reply_json(call, 200, json);
	}
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int user_validate(struct weir_dialect_call *call)
{
	char text[2 * WEIR_DIALECT_SENTENCE_BYTES];
	struct weir_project_claim claim;
	const int code = weir_project_claim(call, false, &claim);

	if (code != 0)
		return code;
	switch (claim.credentials) {
	case WEIR_PROJECT_WRONG:
		(void)snprintf(text, sizeof(text), "Invalid token: %s", claim.reason); /* fits */
		return weir_project_say(call, 401, text, NULL);
	case WEIR_PROJECT_GOOD:
		(void)snprintf(text, sizeof(text), "Token is valid. Username: %s, ID: %s", claim.person.name,
			       claim.person.uuid); /* fits */
		return weir_project_say(call, 200, text, NULL);
	case WEIR_PROJECT_UNKNOWN:
		return weir_project_say(call, 503, claim.reason, NULL);
	case WEIR_PROJECT_NONE:
	case WEIR_PROJECT_OTHER:
		break;
	}
	return weir_project_say(call, 401, "Missing or invalid token", NULL);
}

/* ---- registry ---- */

/* What every request to the registry has. */
struct request {
	struct weir_project_person person;
	cJSON *body;
	const char *name; /* NULL: none, or no text */
};

/* The record of a function, as the API tells of it. */
static cJSON *record_json(const struct weir_project_person *person, const cJSON *function)
{
	static const struct {
		const char *theirs;
		const char *ours;
	} members[] = {{"name", "name"}, {"description", "description"}, {"payload", "image"}};
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "uuid", person->uuid); /* or members lack */
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *const text = weir_dialect_text(function, members[i].ours);

		(void)cJSON_AddStringToObject(json, members[i].theirs, text == NULL ? "" : text);
	}
	return json;
}

static bool is_theirs(const struct weir_project_person *person, const cJSON *function)
{
	const char *const space = weir_dialect_text(function, "namespace");
	const char *const owner = weir_dialect_text(function, "owner");

	return space != NULL && owner != NULL && strcmp(space, person->name) == 0 && strcmp(owner, person->name) == 0;
}

/* A request about one function of the user's. 0 with a verdict; 404 where the function is another's. Or as manage(). */
static int function_ask(struct weir_dialect_call *call, const struct weir_project_person *person, const char *name,
			struct weir_dialect_verdict *out_verdict)
{
	const char *const parts[] = {person->name, name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};
	int code = 0;

	*out_verdict = (struct weir_dialect_verdict){.status = 404};
	if (!weir_dialect_target(target, "/weir/functions/%s/%s", parts))
		return 0;
	code = call->ops->manage(call, &order, out_verdict);
	if (code == 0 && out_verdict->status == 200 && !is_theirs(person, out_verdict->json))
		out_verdict->status = 404;
	return code;
}

/* The function as the body describes it, for the API. NULL without memory. */
static cJSON *function_json(const struct request *request)
{
	const char *const description = weir_dialect_text(request->body, "description");
	cJSON *const json = cJSON_CreateObject();

	if (cJSON_AddStringToObject(json, "image", weir_dialect_text(request->body, "payload")) != NULL &&
	    cJSON_AddStringToObject(json, "description", description == NULL ? "" : description) != NULL)
		return json;
	cJSON_Delete(json);
	return NULL;
}

/* The change went to the API as `order`: the record as it is now, or what was wrong. */
static int function_put(struct weir_dialect_call *call, const struct request *request,
			const struct weir_dialect_order *order, uint16_t status)
{
	struct weir_dialect_verdict verdict;
	int code = call->ops->manage(call, order, &verdict);

	if (code != 0)
		return code;
	if (is_there(&verdict)) {
		code = weir_project_say(call, 409, "Function already exists", weir_dialect_sentence(&verdict));
		weir_dialect_verdict_release(&verdict);
		return code;
	}
	if (verdict.status >= 300)
		return refused(call, &verdict, BODY_UNSOUND);
	weir_dialect_verdict_release(&verdict);
	code = function_ask(call, &request->person, request->name, &verdict);
	if (code == 0 && verdict.status == 200)
		code = weir_dialect_reply_json(call, status, record_json(&request->person, verdict.json));
	else if (code == 0)
		code = weir_project_say(call, verdict.status, weir_dialect_sentence(&verdict), NULL);
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int function_register(struct weir_dialect_call *call, const struct request *request)
{
	cJSON *const json = function_json(request);
	const struct weir_dialect_order order = {.method = "POST", .target = "/weir/functions", .json = json};
	int code = -ENOMEM;

	if (cJSON_AddStringToObject(json, "namespace", request->person.name) != NULL &&
	    cJSON_AddStringToObject(json, "name", request->name) != NULL &&
	    cJSON_AddStringToObject(json, "owner", request->person.name) != NULL)
		code = function_put(call, request, &order, 201);
	cJSON_Delete(json);
	return code;
}

static int function_missing(struct weir_dialect_call *call)
{
	return weir_project_say(call, 404, "Function not found", NULL);
}

static int function_retrieve(struct weir_dialect_call *call, const struct request *request)
{
	struct weir_dialect_verdict verdict;
	int code = function_ask(call, &request->person, request->name, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200 && verdict.status != 404)
		return refused(call, &verdict, BODY_UNSOUND);
	code = verdict.status == 404
		       ? function_missing(call)
		       : weir_dialect_reply_json(call, 200, record_json(&request->person, verdict.json));
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int function_update(struct weir_dialect_call *call, const struct request *request)
{
	const char *const parts[] = {request->person.name, request->name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	cJSON *json = NULL;
	struct weir_dialect_order order = {.method = "POST", .target = target};
	struct weir_dialect_verdict verdict;
	bool is_missing = false;
	int code = function_ask(call, &request->person, request->name, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200 && verdict.status != 404)
		return refused(call, &verdict, BODY_UNSOUND);
	is_missing = verdict.status == 404;
	weir_dialect_verdict_release(&verdict);
	if (is_missing || !weir_dialect_target(target, "/weir/functions/%s/%s/deploy", parts))
		return function_missing(call);
	json = function_json(request);
	order.json = json;
	code = json == NULL ? -ENOMEM : function_put(call, request, &order, 200);
	cJSON_Delete(json);
	return code;
}

/* 204, also where there is none. */
static int function_delete(struct weir_dialect_call *call, const struct request *request)
{
	const char *const parts[] = {request->person.name, request->name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "DELETE", .target = target};
	struct weir_dialect_verdict verdict;
	int code = function_ask(call, &request->person, request->name, &verdict);

	if (code == 0 && verdict.status == 200 && weir_dialect_target(target, "/weir/functions/%s/%s", parts)) {
		weir_dialect_verdict_release(&verdict);
		code = call->ops->manage(call, &order, &verdict);
	}
	if (code != 0)
		return code;
	if (verdict.status >= 300 && verdict.status != 404)
		return refused(call, &verdict, BODY_UNSOUND);
	weir_dialect_verdict_release(&verdict);
	return weir_dialect_reply_text(call, 204, TYPE_TEXT, WEIR_SPAN(""));
}

/* One of the list, with what only asking for it tells; one that is gone meanwhile is left out. */
static int record_add(struct weir_dialect_call *call, const struct weir_project_person *person, const char *name, cJSON *list)
{
	struct weir_dialect_verdict verdict;
	int code = function_ask(call, person, name, &verdict);

	if (code == 0 && verdict.status == 200 && !cJSON_AddItemToArray(list, record_json(person, verdict.json)))
		code = -ENOMEM;
	weir_dialect_verdict_release(&verdict);
	return code;
}

static int function_list(struct weir_dialect_call *call, const struct request *request)
{
	const struct weir_dialect_order order = {.method = "GET", .target = "/weir/functions"};
	struct weir_dialect_verdict verdict;
	const cJSON *function = NULL;
	cJSON *list = NULL;
	int code = call->ops->manage(call, &order, &verdict);

	if (code != 0)
		return code;
	if (verdict.status != 200)
		return refused(call, &verdict, BODY_UNSOUND);
	list = cJSON_CreateArray();
	cJSON_ArrayForEach(function, cJSON_GetObjectItemCaseSensitive(verdict.json, "functions"))
	{
		const char *const name = weir_dialect_text(function, "name");

		if (code == 0 && name != NULL && is_theirs(&request->person, function))
			code = record_add(call, &request->person, name, list);
	}
	weir_dialect_verdict_release(&verdict);
	if (code == 0)
		return weir_dialect_reply_json(call, 200, list);
	cJSON_Delete(list);
	return code;
}

struct verb {
	const char *path;
	int (*run)(struct weir_dialect_call *call, const struct request *request);
	bool has_name;
	bool has_payload;
	bool is_change;
};

static const struct verb verbs[] = {
	{"/registry/register", function_register, true, true, true},
	{"/registry/update", function_update, true, true, true},
	{"/registry/delete", function_delete, true, false, true},
	{"/registry/retrieve", function_retrieve, true, false, false},
	{"/registry/list", function_list, false, false, false},
};

/* What is wrong with the body, or NULL. */
static const char *request_check(const struct verb *verb, const struct request *request)
{
	const cJSON *const description = cJSON_GetObjectItemCaseSensitive(request->body, "description");
	const cJSON *const uuid = cJSON_GetObjectItemCaseSensitive(request->body, "uuid");

	if (verb->has_name && (request->name == NULL || request->name[0] == '\0'))
		return "name must be a text";
	if (verb->has_payload && weir_dialect_text(request->body, "payload") == NULL)
		return "payload must be a text: the image's reference";
	return (description != NULL && !cJSON_IsString(description)) || (uuid != NULL && !cJSON_IsString(uuid))
		       ? "description and uuid are texts"
		       : NULL;
}

/* Who it is, is known. */
static int verb_serve(struct weir_dialect_call *call, const struct verb *verb, struct request *request)
{
	const char *const wrong = request_check(verb, request);
	const char *const uuid = weir_dialect_text(request->body, "uuid");

	if (verb->is_change && !request->person.may_make)
		return weir_project_say(call, 403, "Forbidden", "this user may only call functions");
	if (wrong != NULL)
		return weir_project_say(call, 400, BODY_UNSOUND, wrong);
	if (uuid != NULL && uuid[0] != '\0' && strcmp(uuid, request->person.uuid) != 0)
		return unauthorized(call, "uuid is another's than the token");
	return verb->run(call, request);
}

static int registry_serve(struct weir_dialect_call *call, const struct verb *verb)
{
	char sentence[WEIR_DIALECT_SENTENCE_BYTES];
	struct request request = {.body = NULL};
	struct weir_project_claim claim;
	int code = weir_project_claim(call, false, &claim);

	if (code != 0)
		return code;
	if (claim.credentials == WEIR_PROJECT_UNKNOWN)
		return weir_project_say(call, 503, claim.reason, NULL);
	if (claim.credentials != WEIR_PROJECT_GOOD)
		return unauthorized(call, claim.credentials == WEIR_PROJECT_WRONG ? claim.reason : "a token is needed: Authorization: Bearer TOKEN");
	request.person = claim.person;
	request.body = weir_dialect_body(call, true, sentence);
	if (request.body == NULL)
		return weir_project_say(call, 400, BODY_UNSOUND, sentence);
	request.name = weir_dialect_text(request.body, "name");
	code = verb_serve(call, verb, &request);
	cJSON_Delete(request.body);
	return code;
}

/* ---- the table ---- */

static int serve(struct weir_dialect_call *call)
{
	static const struct {
		const char *path;
		int (*run)(struct weir_dialect_call *call);
	} services[] = {
		{"/auth/register", user_register},
		{"/auth/login", user_login},
		{"/auth/validate", user_validate},
		{"/publisher/publish", weir_project_publish},
	};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (weir_span_equal(call->pattern, weir_span_of(services[i].path)))
			return services[i].run(call);
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (weir_span_equal(call->pattern, weir_span_of(verbs[i].path)))
			return registry_serve(call, &verbs[i]);
	}
	if (weir_span_equal(call->pattern, WEIR_SPAN("/auth/*")))
		return weir_project_say(call, 404, "404 - Page not found!!", NULL);
	return weir_project_say(call, 200, "OK", NULL); /* .../health */
}

const struct weir_dialect weir_dialect_project = {.name = "project",
					       .body_bytes_max = WEIR_DIALECT_JSON_BYTES_MAX,
					       .serve = serve};
