#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/pack.h"
#include "ctrl/ctrlctl/progress.h"
#include "ctrl/ctrlctl/upload.h"
#include "ctrl/ctrlctl/watch.h"
#include "ctrl/model/model.h"
#include "dataplane/base/cleanup.h"

enum {
	DEPLOY_PATIENCE_MS = 300000,
	ABSENT_MS = 500,
};

/* "hello" of hello.py, ./hello/ and hello: what a function's name may hold of it. */
static void name_default(const struct weir_ctl_pack *pack, char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	const char *dot = pack->is_directory ? NULL : strrchr(pack->name, '.');
	const size_t bytes = dot == NULL ? strlen(pack->name) : (size_t)(dot - pack->name);

	(void)snprintf(out, WEIR_MODEL_NAME_BYTES_MAX + 1, "%.*s", (int)bytes, pack->name);
}

/* What the options say of every deployment. NULL: wrong, and said. */
static cJSON *options_make(const struct weir_ctl_call *call)
{
	cJSON *body = cJSON_CreateObject();

	if (weir_ctl_option(call, "--no-trial") != NULL)
		(void)cJSON_AddBoolToObject(body, "trial", false);
	if (weir_ctl_body_text(body, call, "--runtime", "runtime") &&
	    weir_ctl_body_text(body, call, "--entry", "entry") &&
	    weir_ctl_body_text(body, call, "--handler", "handler") &&
	    weir_ctl_body_text(body, call, "--health", "health") &&
	    weir_ctl_body_duration(body, call) &&
	    weir_ctl_body_number(body, call, "--memory", "memory_mb") &&
	    weir_ctl_body_number(body, call, "--queue", "queue_max") &&
	    weir_ctl_body_specs(body, call) && weir_ctl_body_details(body, call) &&
	    weir_ctl_body_variables(body, call))
		return body;
	cJSON_Delete(body);
	return NULL;
}

/* A deployment, perhaps one of several. */
struct deployment {
	const struct weir_ctl_call *call;
	const char *path;
	char target[WEIR_CTL_TARGET_MAX]; /* of the function */
	cJSON *options;
	uint64_t code_hash; /* of the bytes that were packed last; to see that nothing changed */
};

/* `member` is "code" with a hash, or "image". */
static enum weir_ctl_exit deploy(struct deployment *deployment, const char *member, const char *value)
{
	const struct weir_ctl_call *call = deployment->call;
	cJSON *body = cJSON_Duplicate(deployment->options, true);
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)cJSON_AddStringToObject(body, member, value);
	weir_ctl_progress_say("building and trying it ...");
	code = weir_ctl_api_patient(call, "POST", deployment->target, body, DEPLOY_PATIENCE_MS, &json);
	weir_ctl_progress_clear();
	if (code != WEIR_CTL_OK)
		return code;
	/* It has them now. */
	cJSON_DeleteItemFromObjectCaseSensitive(deployment->options, "environment");
	cJSON_DeleteItemFromObjectCaseSensitive(deployment->options, "secrets");
	if (!call->json)
		weir_ctl_print("%s/%s version %.0f serves (%s)\n",
			       weir_ctl_json_text(json, "namespace"),
			       weir_ctl_json_text(json, "name"), weir_ctl_json_number(json, "number"),
			       weir_ctl_json_text(json, "runtime"));
	return weir_ctl_change_end(call, json);
}

/* FNV-1a. */
static uint64_t hash_make(const struct weir_ctl_pack *pack)
{
	const unsigned char *data = pack->data;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < pack->bytes; i++)
		hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* The function's name is given, or the code's. False: it cannot be one, and that was said. */
static bool target_make(struct deployment *deployment, const struct weir_ctl_pack *pack)
{
	const char *name = weir_ctl_option(deployment->call, "--name");
	char own_name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char checked[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;

	if (name != NULL)
		return weir_ctl_function_target(name, "/deploy", deployment->target);
	name_default(pack, own_name);
	if (weir_model_name_parse(own_name, space, checked, &wrong) == 0)
		return weir_ctl_function_target(own_name, "/deploy", deployment->target);
	(void)weir_ctl_fail(WEIR_CTL_INVALID, "say how it shall be called: --name NAME",
			    "the function cannot be called after its code: %s %s", wrong.field, wrong.reason);
	return false;
}

/* Pack and deploy what is there; `changed` is the name of what changed, NULL for the first time. */
static enum weir_ctl_exit deploy_once(struct deployment *deployment, const char *changed)
{
	WEIR_CLEANUP(weir_ctl_pack_close) struct weir_ctl_pack pack = {.data = NULL};
	cJSON *json = NULL;
	enum weir_ctl_exit code = weir_ctl_pack_open(deployment->path, &pack);

	if (code != WEIR_CTL_OK)
		return code;
	if (weir_ctl_option(deployment->call, "--watch") != NULL) {
		const uint64_t hash = hash_make(&pack);

		if (changed != NULL && hash == deployment->code_hash)
			return WEIR_CTL_OK;
		deployment->code_hash = hash;
	}
	if (changed != NULL)
		(void)fprintf(stderr, "%s changed\n", changed);
	if (!target_make(deployment, &pack))
		return WEIR_CTL_INVALID;
	code = weir_ctl_upload(deployment->call, &pack, &json);
	if (code == WEIR_CTL_OK)
		code = deploy(deployment, "code", weir_ctl_json_text(json, "code"));
	cJSON_Delete(json);
	return code;
}

/* Nothing is left behind: what was uploaded half is dropped by the instance. */
static void watch_end(int number)
{
	static const char text[] = "\nno longer watching; what was deployed goes on serving\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1); /* nobody could be told */
	_exit(WEIR_CTL_OK);
}

/* It may be gone for a moment, as while another branch is checked out. */
static enum weir_ctl_exit watch_open(const char *path, struct weir_ctl_watch *watch)
{
	bool is_told = false;
	int code = 0;

	while ((code = weir_ctl_watch_open(path, watch)) == -ENOENT) {
		if (!is_told)
			(void)fprintf(stderr, "%s is gone; waiting for it to come back\n", path);
		is_told = true;
		(void)poll(NULL, 0, ABSENT_MS);
	}
	if (code == -ENOSPC)
		return weir_ctl_fail(WEIR_CTL_FAILED, "raise the sysctl fs.inotify.max_user_watches",
				     "cannot watch %s: the system watches too many directories already",
				     path);
	return code == 0 ? WEIR_CTL_OK
			 : weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot watch %s: %s", path,
					 strerror(-code));
}

static enum weir_ctl_exit watch_run(struct deployment *deployment)
{
	const struct sigaction end = {.sa_handler = watch_end};
	char changed[256] = "";
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)sigaction(SIGINT, &end, NULL); /* the numbers are sound */
	(void)sigaction(SIGTERM, &end, NULL);
	for (bool is_first = true;; is_first = false) {
		WEIR_CLEANUP(weir_ctl_watch_close) struct weir_ctl_watch watch = {.fd = -1};

		code = watch_open(deployment->path, &watch);
		if (code != WEIR_CTL_OK)
			return code;
		code = deploy_once(deployment, is_first ? NULL : changed);
		/* Nothing that a change of the code would mend. */
		if (is_first && (code == WEIR_CTL_UNREACHABLE || code == WEIR_CTL_USAGE))
			return code;
		if (!weir_ctl_print_flush()) /* nobody reads it any more */
			return WEIR_CTL_FAILED;
		if (is_first)
			(void)fprintf(stderr, "watching %s; Ctrl-C ends it\n", deployment->path);
		weir_ctl_watch_wait(&watch, changed);
	}
}

/* Code has a path, an image has none, and no name that the function could get. False: it was said. */
static bool code_is_named(const struct weir_ctl_call *call)
{
	const char *wrong = NULL;

	if (weir_ctl_option(call, "--image") == NULL)
		wrong = call->argument_count == 0 ? "the code's path is missing, or an image" : NULL;
	else if (call->argument_count > 0 || weir_ctl_option(call, "--watch") != NULL)
		wrong = "an image has no files: neither a path nor --watch goes with it";
	else if (weir_ctl_option(call, "--name") == NULL)
		wrong = "--name is missing: an image does not say how the function shall be called";
	if (wrong != NULL)
		(void)weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl fn deploy ./shop; ctrlctl fn deploy --image REFERENCE --name shop",
				    "%s", wrong);
	return wrong == NULL;
}

enum weir_ctl_exit weir_ctl_function_deploy(const struct weir_ctl_call *call)
{
	struct deployment deployment = {.call = call, .path = call->arguments[0]};
	const char *name = weir_ctl_option(call, "--name");
	const char *image = weir_ctl_option(call, "--image");
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!code_is_named(call))
		return WEIR_CTL_USAGE;
	if (image == NULL && access(deployment.path, R_OK) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the code '%s' cannot be read: %s",
				     deployment.path, strerror(errno));
	if (name != NULL && !weir_ctl_function_target(name, "/deploy", deployment.target))
		return WEIR_CTL_INVALID;
	deployment.options = options_make(call);
	if (deployment.options == NULL)
		return WEIR_CTL_INVALID;
	weir_ctl_progress_open(call->json);
	if (image != NULL)
		code = deploy(&deployment, "image", image);
	else
		code = weir_ctl_option(call, "--watch") != NULL ? watch_run(&deployment)
								: deploy_once(&deployment, NULL);
	cJSON_Delete(deployment.options);
	return code;
}

static void version_row(struct weir_ctl_table *table, const cJSON *version)
{
	const time_t created = (time_t)weir_ctl_json_number(version, "created");
	char text[64];
	struct tm parts;

	(void)snprintf(text, sizeof(text), "%.0f%s", weir_ctl_json_number(version, "number"),
		       cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(version, "current"))
			       ? " serves"
			       : "");
	weir_ctl_table_cell(table, text);
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&created, &parts));
	weir_ctl_table_cell(table, text);
	weir_ctl_table_cell(table, weir_ctl_json_text(version, "runtime"));
	(void)snprintf(text, sizeof(text), "%.12s", weir_ctl_json_text(version, "code"));
	weir_ctl_table_cell(table, text);
	weir_ctl_table_cell(table, weir_ctl_code_text(version));
}

enum weir_ctl_exit weir_ctl_function_versions(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"VERSION", "DEPLOYED", "RUNTIME", "CODE", "FROM", NULL};
	struct weir_ctl_table table = {.titles = titles};
	char target[WEIR_CTL_TARGET_MAX];
	const cJSON *version = NULL;
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!weir_ctl_function_target(call->arguments[0], "/versions", target))
		return WEIR_CTL_INVALID;
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json) {
		weir_ctl_print_json(cJSON_GetObjectItemCaseSensitive(json, "versions"));
	} else {
		cJSON_ArrayForEach(version, cJSON_GetObjectItemCaseSensitive(json, "versions"))
			version_row(&table, version);
		weir_ctl_table_print(&table);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_function_rollback(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX];
	cJSON *body = cJSON_CreateObject();
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (call->argument_count == 2) {
		char *end = NULL;
		const unsigned long number = strtoul(call->arguments[1], &end, 10);

		if (call->arguments[1][0] < '1' || call->arguments[1][0] > '9' || *end != '\0' ||
		    number > UINT32_MAX) {
			cJSON_Delete(body);
			return weir_ctl_fail(WEIR_CTL_INVALID, "ctrlctl fn rollback hello 3",
					     "'%s' is no version's number", call->arguments[1]);
		}
		(void)cJSON_AddNumberToObject(body, "number", (double)number);
	}
	if (!weir_ctl_function_target(call->arguments[0], "/rollback", target)) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	code = weir_ctl_api(call, "POST", target, body, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (!call->json)
		weir_ctl_print("%s/%s version %.0f serves (%s)\n",
			       weir_ctl_json_text(json, "namespace"),
			       weir_ctl_json_text(json, "name"), weir_ctl_json_number(json, "number"),
			       weir_ctl_json_text(json, "runtime"));
	return weir_ctl_change_end(call, json);
}
