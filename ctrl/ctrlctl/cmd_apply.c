#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/pack.h"
#include "ctrl/ctrlctl/progress.h"
#include "ctrl/ctrlctl/upload.h"
#include "ctrl/ctrlctl/yaml.h"
#include "ctrl/model/model_number.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

enum {
	EXPORT_PATIENCE_MS = 60000,
	APPLY_PATIENCE_MS = 600000, /* builds and trials have ends of their own */
	VALUE_BYTES_MAX = 72,	    /* of one that is shown */
	HASH_BYTES = 64,
	HASH_SHOWN = 12,
};

/* Export */

static void left_out_tell(const cJSON *json)
{
	const cJSON *sentence = NULL;
	char text[4096];

	cJSON_ArrayForEach(sentence, cJSON_GetObjectItemCaseSensitive(json, "left_out"))
	{
		(void)snprintf(text, sizeof(text), "note: left out is %s",
			       cJSON_IsString(sentence) ? sentence->valuestring : ""); /* cut is fine */
		weir_ctl_log_print(text);
	}
}

static enum weir_ctl_exit document_print(const struct weir_ctl_call *call, const cJSON *document)
{
	char *text = NULL;

	if (call->json) {
		weir_ctl_print_json(document);
		return WEIR_CTL_OK;
	}
	text = weir_ctl_yaml_write(document);
	if (text == NULL)
		return weir_ctl_fail(WEIR_CTL_FAILED, "ctrlctl config export -o json",
				     "the configuration cannot be written as YAML");
	/* An empty line before each section: no other line begins with a letter. */
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		weir_ctl_print("%s%.*s\n", line != text && line[0] >= 'a' && line[0] <= 'z' ? "\n" : "",
			       (int)strcspn(line, "\n"), line);
	free(text);
	return WEIR_CTL_OK;
}

/* The answer, with long numbers as they are. */
static enum weir_ctl_exit document_get(const struct weir_ctl_call *call, const char *target, cJSON **out_json)
{
	struct weir_ctl_answer answer = {0};
	const struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = "GET",
		.target = target,
		.host = "weir",
		.patience_ms = EXPORT_PATIENCE_MS,
	};
	const enum weir_ctl_exit code = weir_ctl_request(call, &request, &answer);
	cJSON *json = NULL;

	if (code != WEIR_CTL_OK)
		return code;
	json = answer.status >= 400 ? NULL : cJSON_ParseWithLength(answer.body, answer.body_bytes);
	if (json == NULL || weir_model_numbers_keep(json, answer.body, answer.body_bytes) != 0) {
		cJSON_Delete(json);
		return weir_ctl_answer_json(&answer, out_json); /* says what is wrong, or loses digits */
	}
	free(answer.body);
	*out_json = json;
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_config_export(const struct weir_ctl_call *call)
{
	const char *space = weir_ctl_option(call, "--namespace");
	char target[WEIR_CTL_TARGET_MAX] = "/weir/config";
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (space != NULL)
		(void)snprintf(target, sizeof(target), "/weir/config?namespace="); /* fits */
	if (space != NULL && !weir_ctl_encode(target, sizeof(target), space))
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the namespace's name is too long");
	code = document_get(call, target, &json);
	if (code != WEIR_CTL_OK)
		return code;
	left_out_tell(json);
	code = document_print(call, cJSON_GetObjectItemCaseSensitive(json, "document"));
	cJSON_Delete(json);
	return code;
}

/* Apply: the document */

/* A document while it is applied. */
struct application {
	const struct weir_ctl_call *call;
	const char *file; /* as it was given */
	struct weir_ctl_yaml yaml;
};

static const char *file_name(const struct application *application)
{
	return strcmp(application->file, "-") == 0 ? "standard input" : application->file;
}

/* "config.yaml:12:5: functions[3].file ...", where the place is known. */
static enum weir_ctl_exit place_wrong(const struct application *application, const char *place, const char *reason)
{
	const struct weir_ctl_yaml_mark *mark = weir_ctl_yaml_place(&application->yaml, place);

	if (mark == NULL)
		return weir_ctl_fail(WEIR_CTL_USAGE, NULL, "%s: %s %s", file_name(application), place, reason);
	return weir_ctl_fail(WEIR_CTL_USAGE, NULL, "%s:%zu:%zu: %s %s", file_name(application), mark->line,
			     mark->column, place, reason);
}

static enum weir_ctl_exit document_read(struct application *application)
{
	struct weir_ctl_yaml_error wrong = {.line = 0};
	char path[WEIR_CTL_PATH_MAX + 1];
	char *text = NULL;
	size_t bytes = 0;
	int code = 0;

	(void)snprintf(path, sizeof(path), "@%s", application->file); /* longer ones cannot be opened */
	if (!weir_ctl_data_read(strcmp(application->file, "-") == 0 ? "-" : path, &text, &bytes))
		return WEIR_CTL_USAGE;
	code = weir_ctl_yaml_read(text, bytes, &application->yaml, &wrong);
	free(text);
	if (code != 0)
		return weir_ctl_fail(WEIR_CTL_USAGE, "`ctrlctl config export` shows what a document looks like",
				     "%s:%zu:%zu: %s", file_name(application), wrong.line, wrong.column, wrong.reason);
	if (!cJSON_IsObject(application->yaml.json))
		return weir_ctl_fail(WEIR_CTL_USAGE, "`ctrlctl config export` shows what a document looks like",
				     "%s is no document: it has no members such as weir: 1", file_name(application));
	return WEIR_CTL_OK;
}

/* A path in the document is relative to it. */
static void path_make(const struct application *application, const char *file, char out[2 * WEIR_CTL_PATH_MAX])
{
	char copy[WEIR_CTL_PATH_MAX];

	(void)snprintf(copy, sizeof(copy), "%s", application->file); /* it was opened */
	if (file[0] == '/' || strcmp(application->file, "-") == 0)
		(void)snprintf(out, 2 * WEIR_CTL_PATH_MAX, "%.4000s", file); /* longer ones cannot be opened */
	else
		(void)snprintf(out, 2 * WEIR_CTL_PATH_MAX, "%s/%.4000s", dirname(copy), file);
}

/* file: PATH becomes code: HASH. */
static enum weir_ctl_exit file_upload(struct application *application, cJSON *function, int number)
{
	WEIR_CLEANUP(weir_ctl_pack_close) struct weir_ctl_pack pack = {.data = NULL};
	cJSON *file = cJSON_GetObjectItemCaseSensitive(function, "file");
	char path[2 * WEIR_CTL_PATH_MAX];
	char place[64];
	const char *hash = NULL;
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)snprintf(place, sizeof(place), "functions[%d].file", number); /* fits */
	if (!cJSON_IsString(file) || file->valuestring[0] == '\0')
		return place_wrong(application, place, "must be the path of a file or directory");
	if (cJSON_HasObjectItem(function, "code") || cJSON_HasObjectItem(function, "path") ||
	    cJSON_HasObjectItem(function, "image"))
		return place_wrong(application, place, "and code, path or image: one of them says what runs");
	path_make(application, file->valuestring, path);
	code = weir_ctl_pack_open(path, &pack);
	if (code == WEIR_CTL_OK)
		code = weir_ctl_upload(application->call, &pack, &json);
	if (code != WEIR_CTL_OK) {
		(void)place_wrong(application, place, "cannot be uploaded; nothing was changed");
		return code;
	}
	/* The same item, so that its place in the file stays known. */
	cJSON_free(file->string);
	file->string = strdup("code");
	hash = cJSON_SetValuestring(file, weir_ctl_json_text(json, "code"));
	WEIR_ASSERT(file->string != NULL && hash != NULL); /* a command line that has no memory left cannot go on */
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

static enum weir_ctl_exit files_upload(struct application *application)
{
	cJSON *function = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;
	int number = 0;

	cJSON_ArrayForEach(function, cJSON_GetObjectItemCaseSensitive(application->yaml.json, "functions"))
	{
		if (cJSON_HasObjectItem(function, "file"))
			code = file_upload(application, function, number);
		if (code != WEIR_CTL_OK)
			return code;
		number++;
	}
	return WEIR_CTL_OK;
}

/* Apply: the request */

/* "[NAMESPACE/]NAME:SECRET", "...=@FILE", "...=-". False: wrong, and said. */
static bool secret_add(cJSON *secrets, const char *text)
{
	const char *colon = strchr(text, ':');
	cJSON *one = cJSON_CreateObject();
	const cJSON *value = NULL;
	cJSON *own = NULL;
	char name[256];

	if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof(name)) {
		cJSON_Delete(one);
		(void)weir_ctl_fail(WEIR_CTL_USAGE, "--secret shop/cart:TOKEN=@token.txt",
				    "--secret is '%s'; it takes FUNCTION:NAME", text);
		return false;
	}
	if (!weir_ctl_body_secret(one, colon + 1)) {
		cJSON_Delete(one);
		return false;
	}
	text += strncmp(text, "default/", strlen("default/")) == 0 ? strlen("default/") : 0;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text); /* fits */
	own = cJSON_GetObjectItemCaseSensitive(secrets, name);
	if (own == NULL)
		own = cJSON_AddObjectToObject(secrets, name);
	value = cJSON_GetObjectItemCaseSensitive(one, "secrets")->child;
	cJSON_DeleteItemFromObjectCaseSensitive(own, value->string);
	(void)cJSON_AddStringToObject(own, value->string, value->valuestring);
	cJSON_Delete(one);
	return true;
}

/* NULL: wrong, and said. */
static cJSON *body_make(const struct application *application)
{
	const struct weir_ctl_call *call = application->call;
	cJSON *body = cJSON_CreateObject();
	cJSON *secrets = cJSON_AddObjectToObject(body, "secrets");
	bool sound = cJSON_AddItemReferenceToObject(body, "document", application->yaml.json) != 0;

	if (weir_ctl_option(call, "--prune") != NULL)
		(void)cJSON_AddBoolToObject(body, "prune", true);
	if (weir_ctl_option(call, "--dry-run") != NULL)
		(void)cJSON_AddBoolToObject(body, "dry_run", true);
	if (weir_ctl_option(call, "--no-trial") != NULL)
		(void)cJSON_AddBoolToObject(body, "trial", false);
	for (size_t i = 0; sound && i < call->repeated_count; i++)
		sound = secret_add(secrets, call->repeated[i].value);
	if (sound)
		return body;
	cJSON_Delete(body);
	return NULL;
}

/* Each problem in a line, with its place in the file; the builder's words above it. */
static enum weir_ctl_exit problems_print(const struct application *application, const cJSON *json)
{
	const cJSON *problems = cJSON_GetObjectItemCaseSensitive(json, "problems");
	const double count = weir_ctl_json_number(json, "problem_count");
	const int listed = cJSON_GetArraySize(problems);
	const cJSON *problem = NULL;

	cJSON_ArrayForEach(problem, problems)
	{
		weir_ctl_log_print(weir_ctl_json_text(problem, "log"));
		(void)place_wrong(application, weir_ctl_json_text(problem, "place"),
				  weir_ctl_json_text(problem, "reason"));
	}
	if (count > listed)
		(void)fprintf(stderr, "and %.0f more\n", count - listed);
	(void)fprintf(stderr, "nothing was changed\n");
	return WEIR_CTL_INVALID;
}

static enum weir_ctl_exit request_send(const struct application *application, cJSON *body, cJSON **out_json)
{
	struct weir_ctl_answer answer = {0};
	char *text = cJSON_PrintUnformatted(body);
	const struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = "POST",
		.target = "/weir/config",
		.host = "weir",
		.content_type = "application/json",
		.body = text,
		.body_bytes = text == NULL ? 0 : strlen(text),
		.patience_ms = APPLY_PATIENCE_MS,
	};
	enum weir_ctl_exit code = WEIR_CTL_OK;
	cJSON *json = NULL;

	cJSON_Delete(body);
	WEIR_ASSERT(text != NULL); /* a command line that has no memory left cannot go on */
	weir_ctl_progress_say("checking, building and trying it ...");
	code = weir_ctl_request(application->call, &request, &answer);
	weir_ctl_progress_clear();
	explicit_bzero(text, strlen(text)); /* secrets */
	cJSON_free(text);
	if (code != WEIR_CTL_OK)
		return code;
	json = cJSON_ParseWithLength(answer.body, answer.body_bytes);
	if (cJSON_HasObjectItem(json, "problems")) {
		free(answer.body);
		code = problems_print(application, json);
		cJSON_Delete(json);
		return code;
	}
	cJSON_Delete(json);
	return weir_ctl_answer_json(&answer, out_json);
}

/* Apply: what came of it */

/* What it means that a field is left out. */
static const char *absent_name(const cJSON *change, const char *field)
{
	static const char *const limits[] = {"timeout", "memory", "queue"};
	const char *kind = weir_ctl_json_text(change, "kind");

	for (size_t i = 0; strcmp(kind, "function") == 0 && i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (strcmp(limits[i], field) == 0)
			return "default";
	}
	return strcmp(kind, "pool") == 0 ? "default" : "none";
}

/* A value in a line: text as it is, hashes and long ones cut. */
static void value_print(const cJSON *value, const char *absent)
{
	char *text = cJSON_IsString(value) ? strdup(value->valuestring)
		     : value == NULL	   ? strdup(absent)
					   : cJSON_PrintUnformatted(value);
	const size_t bytes = text == NULL ? 0 : strlen(text);

	if (bytes == HASH_BYTES && text[strspn(text, "0123456789abcdef")] == '\0')
		text[HASH_SHOWN] = '\0';
	if (bytes > VALUE_BYTES_MAX) {
		size_t cut = VALUE_BYTES_MAX - 3;

		while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
			cut--; /* not within a character */
		memcpy(text + cut, "...", 4);
	}
	weir_ctl_print_clean(text == NULL ? "" : text);
	cJSON_free(text);
}

static void field_print(const cJSON *change, const cJSON *field, bool is_new)
{
	const char *absent = absent_name(change, weir_ctl_json_text(field, "field"));
	const cJSON *from = cJSON_GetObjectItemCaseSensitive(field, "from");
	const cJSON *to = cJSON_GetObjectItemCaseSensitive(field, "to");

	weir_ctl_print_clean(weir_ctl_json_text(field, "field"));
	weir_ctl_print(" ");
	if (from == NULL && to == NULL) { /* a secret */
		weir_ctl_print("set");
		return;
	}
	if (!is_new) {
		value_print(from, absent);
		weir_ctl_print(" -> ");
	}
	value_print(to, absent);
}

static void change_print(const cJSON *change)
{
	static const struct {
		const char *change;
		const char *sign;
		const char *colour;
	} kinds[] = {{"add", "+", "\033[32m"}, {"change", "~", "\033[33m"}, {"remove", "-", "\033[31m"}};
	const cJSON *fields = cJSON_GetObjectItemCaseSensitive(change, "fields");
	const bool colours = weir_ctl_print_has_colours();
	const cJSON *field = NULL;
	size_t i = 0;

	while (i < 2 && strcmp(kinds[i].change, weir_ctl_json_text(change, "change")) != 0)
		i++;
	weir_ctl_print("%s%s %s ", colours ? kinds[i].colour : "", kinds[i].sign, weir_ctl_json_text(change, "kind"));
	weir_ctl_print_clean(weir_ctl_json_text(change, "name"));
	cJSON_ArrayForEach(field, fields)
	{
		weir_ctl_print("%s", field == fields->child ? ": " : ", ");
		field_print(change, field, i == 0);
	}
	weir_ctl_print("%s\n", colours ? "\033[0m" : "");
}

static enum weir_ctl_exit result_print(const struct weir_ctl_call *call, cJSON *json)
{
	const cJSON *changes = cJSON_GetObjectItemCaseSensitive(json, "changes");
	const bool is_dry = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "dry_run")) != 0;
	const int count = cJSON_GetArraySize(changes);
	const cJSON *change = NULL;

	if (call->json && (is_dry || count == 0)) {
		weir_ctl_print_json(json);
	} else if (!call->json) {
		cJSON_ArrayForEach(change, changes)
			change_print(change);
		if (count == 0)
			weir_ctl_print("nothing to change; generation %.0f stays\n",
				       weir_ctl_json_number(json, "generation"));
		else
			weir_ctl_print("%d to change, %.0f as before%s\n", count, weir_ctl_json_number(json, "unchanged"),
				       is_dry ? "; a dry run: nothing was changed" : "");
	}
	if (count > 0 && !is_dry)
		return weir_ctl_change_end(call, json);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

static enum weir_ctl_exit apply(struct application *application)
{
	cJSON *body = NULL;
	cJSON *json = NULL;
	enum weir_ctl_exit code = document_read(application);

	if (code != WEIR_CTL_OK)
		return code;
	weir_ctl_progress_open(application->call->json);
	code = files_upload(application);
	if (code != WEIR_CTL_OK)
		return code;
	body = body_make(application);
	if (body == NULL)
		return WEIR_CTL_INVALID;
	code = request_send(application, body, &json);
	return code == WEIR_CTL_OK ? result_print(application->call, json) : code;
}

enum weir_ctl_exit weir_ctl_config_apply(const struct weir_ctl_call *call)
{
	struct application application = {.call = call, .file = weir_ctl_option(call, "--file")};
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (application.file == NULL)
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl config apply -f weir.yaml", "which document? name it: -f FILE");
	code = apply(&application);
	weir_ctl_yaml_release(&application.yaml);
	return code;
}
