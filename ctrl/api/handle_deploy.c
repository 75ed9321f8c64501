#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctrl/api/call.h"
#include "ctrl/api/setting.h"
#include "ctrl/code/func_root.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { CODE_PATH_MAX = WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1 };

static enum weir_api_result code_tell(struct weir_api_call *call, const char *hash, uint16_t status)
{
	struct weir_code_kind kind = {.runtime = ""};
	struct weir_code_error error;

	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "code", hash); /* or members lack */
	if (weir_code_detect(call->owner->code, hash, &kind, &error) == 0) {
		(void)cJSON_AddStringToObject(call->answer, "runtime", kind.runtime);
		(void)cJSON_AddStringToObject(call->answer, "entry", kind.entry);
	}
	call->status = status;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_code_add(struct weir_api_call *call)
{
	return code_tell(call, call->code, 201);
}

enum weir_api_result weir_api_code_get(struct weir_api_call *call)
{
	if (weir_code_has(call->owner->code, call->param[0]))
		return code_tell(call, call->param[0], 200);
	return weir_api_refuse(call, 404, "not_found", NULL, "there is no such code here");
}

/* A part of the path as the name of a function that is to be made. False: it is too long, the answer is set. */
static bool name_take(struct weir_api_call *call, const char *field, const char *name,
		      char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	if (strlen(name) > WEIR_MODEL_NAME_BYTES_MAX) {
		(void)weir_api_refuse(call, 422, "invalid", field, "a name holds at most 63 bytes");
		return false;
	}
	memcpy(out, name, strlen(name) + 1);
	return true;
}

/* What is not named stays as it is, or gets the defaults. False: the answer is set. */
static bool deploy_defaults(struct weir_api_call *call, struct weir_model_function *function,
			    uint32_t *out_versions_max, enum weir_api_result *out_result)
{
	struct weir_store_error error = {{0}};
	struct weir_setting_values values;
	int code = weir_setting_load(call->owner->store, &values, &error);

	if (code == 0)
		code = weir_store_function_find(call->owner->store, call->param[0], call->param[1],
						function, &error);
	if (code != 0 && code != -ENOENT) {
		*out_result = weir_api_refuse_store(call, code, &error);
		return false;
	}
	if (code == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, "new"))) {
		*out_result = weir_api_refuse(call, 409, "exists", "name", "there is a function of this name already");
		return false;
	}
	if (code == -ENOENT) {
		*function = (struct weir_model_function){
			.timeout_ms = values.function_timeout_ms,
			.memory_mb = values.function_memory_mb,
			.queue_max = values.function_queue_max,
		};
		*out_result = WEIR_API_DONE;
		if (!name_take(call, "namespace", call->param[0], function->space) ||
		    !name_take(call, "name", call->param[1], function->name))
			return false;
	} else {
		function->handler[0] = '\0'; /* of other code */
		function->image[0] = '\0';
	}
	*out_versions_max = values.function_versions_max;
	return true;
}

/* Which code, and what it is. False: the answer is set. */
static bool deploy_code(struct weir_api_call *call, struct weir_model_function *function,
			char hash[WEIR_CODE_HASH_BYTES])
{
	struct weir_code_kind kind = {.runtime = ""};
	struct weir_code_error error;
	struct weir_model_error wrong;
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char path[CODE_PATH_MAX];

	if (!weir_api_body_text(call, "code", hash, WEIR_CODE_HASH_BYTES) ||
	    !weir_api_body_text(call, "runtime", kind.runtime, sizeof(kind.runtime)) ||
	    !weir_api_body_text(call, "entry", kind.entry, sizeof(kind.entry)))
		return false;
	/* Else no file is of it, and that would be said. */
	if (kind.runtime[0] != '\0' && weir_model_runtime_check(kind.runtime, &wrong) != 0) {
		(void)weir_api_refuse_field(call, &wrong);
		return false;
	}
	if (!weir_code_has(call->owner->code, hash)) {
		(void)weir_api_refuse(call, 404, "not_found", "code",
				      "there is no such code; upload it first: POST /weir/code");
		return false;
	}
	if (weir_code_detect(call->owner->code, hash, &kind, &error) != 0) {
		(void)weir_api_refuse(call, 422, "invalid", "code", error.text);
		return false;
	}
	(void)snprintf(path, sizeof(path), "%s/%s",
		       weir_code_path(call->owner->code, hash, folder), kind.entry); /* fits */
	if (strlen(path) >= sizeof(function->code_path)) {
		(void)weir_api_refuse(call, 422, "invalid", "entry", "the path of the code is too long");
		return false;
	}
	memcpy(function->code_path, path, strlen(path) + 1);
	(void)snprintf(function->runtime, sizeof(function->runtime), "%s", kind.runtime);
	return true;
}

/* In place of code: nothing is looked up and nothing is tried, since an image may come to stand for something
 * later. False: the answer is set. */
static bool deploy_image(struct weir_api_call *call, struct weir_model_function *function)
{
	static const char *const of_code[] = {"code", "entry", "health"};
	char sentence[64];

	for (size_t i = 0; i < sizeof(of_code) / sizeof(of_code[0]); i++) {
		if (cJSON_GetObjectItemCaseSensitive(call->body, of_code[i]) == NULL)
			continue;
		(void)snprintf(sentence, sizeof(sentence), "image and %s exclude each other", of_code[i]); /* fits */
		(void)weir_api_refuse(call, 422, "invalid", "image", sentence);
		return false;
	}
	function->code_path[0] = '\0';
	function->runtime[0] = '\0';
	if (!weir_api_body_text(call, "image", function->image, sizeof(function->image)) ||
	    !weir_api_body_text(call, "runtime", function->runtime, sizeof(function->runtime)))
		return false;
	weir_model_image_settle(function);
	return true;
}

static bool deploy_has_image(const struct weir_api_call *call)
{
	return cJSON_HasObjectItem(call->body, "image");
}

/* Is the code built, where it has to be? True: it can run. Else *out_result is the handler's. */
static bool deploy_build(struct weir_api_call *call, const char *runtime, const char *path,
			 enum weir_api_result *out_result)
{
	char *log = NULL;
	char sentence[128];
	const int code = call->owner->build(call->owner->context, runtime, path, !call->is_rerun, &log);

	if (code == 0)
		return true;
	*out_result = code == -EINPROGRESS ? WEIR_API_PENDING : WEIR_API_DONE;
	if (code == -EINVAL) {
		(void)weir_api_refuse(call, 422, "build_failed", NULL, "the code cannot be built");
		(void)cJSON_AddStringToObject(call->answer, "log", log == NULL ? "" : log);
	} else if (code != -EINPROGRESS) {
		(void)snprintf(sentence, sizeof(sentence), "the code cannot be built now: %s",
			       strerror(-code));
		(void)weir_api_refuse(call, 503, "build", NULL, sentence);
	}
	free(log);
	return false;
}

/* Does a worker take the new version, and does it answer? True: yes. Else *out_result is the handler's. */
static bool deploy_try(struct weir_api_call *call, struct weir_model_function *function,
		       const struct weir_api_variables *variables, enum weir_api_result *out_result)
{
	char reason[WEIR_API_REASON_BYTES] = "";
	char sentence[WEIR_API_REASON_BYTES + 64];
	char path[WEIR_API_REASON_BYTES] = "";
	const struct weir_api_trial wanted = {.path = path,
					      .variables = variables->plain,
					      .variable_count = variables->sealed.count};
	int code = 0;

	if (call->is_tried || cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(call->body, "trial")))
		return true;
	*out_result = WEIR_API_DONE;
	if (!weir_api_body_text(call, "health", path, sizeof(path)))
		return false;
	if (path[0] != '\0' && (path[0] != '/' || path[strcspn(path, " \t\r\n")] != '\0')) {
		(void)weir_api_refuse(call, 422, "invalid", "health",
				      "health is a path: it begins with '/' and holds no blanks");
		return false;
	}
	function->version = weir_store_generation(call->owner->store) + 1;
	code = call->owner->try_version(call->owner->context, function, &wanted, &call->trial, reason);
	call->is_tried = code == 0;
	if (code == 0)
		return true;
	/* Busy: each of the others ends some time. */
	*out_result = code == -EINPROGRESS || code == -EBUSY ? WEIR_API_PENDING : WEIR_API_DONE;
	if (*out_result == WEIR_API_PENDING)
		return false;
	(void)snprintf(sentence, sizeof(sentence), "the new version failed its first call: %s",
		       code == -EINVAL ? reason : strerror(-code));
	(void)weir_api_refuse(call, code == -EINVAL ? 422 : 503, "trial_failed", NULL, sentence);
	return false;
}

/* Or source of one (runtime/wasm/build_main.c). */
static bool is_module(const char *path)
{
	const size_t bytes = strlen(path);

	return bytes > 5 && strcmp(path + bytes - 5, ".wasm") == 0;
}

/* Put the module where FUNC_ROOT wants it, before the version is committed: what is deployed is there, too. False:
 * the answer is set. */
static bool deploy_show(struct weir_api_call *call, const struct weir_model_function *function)
{
	const char *const root = call->owner->func_root;
	struct weir_code_error error;

	if (root == NULL || strcmp(function->runtime, "wasm") != 0 || !is_module(function->code_path) ||
	    weir_func_root_write(root, function->space, function->name, function->code_path, &error) == 0)
		return true;
	(void)weir_api_refuse(call, 503, "func_root", NULL, error.text);
	return false;
}

/* Which version serves now, in the answer. */
static void deployed_tell(struct weir_api_call *call, const struct weir_model_function *function)
{
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "namespace", function->space); /* or members lack */
	(void)cJSON_AddStringToObject(call->answer, "name", function->name);
	(void)cJSON_AddStringToObject(call->answer, "runtime", function->runtime);
	(void)cJSON_AddStringToObject(call->answer, "file", function->code_path);
	(void)cJSON_AddStringToObject(call->answer, "image", function->image);
	(void)cJSON_AddNumberToObject(call->answer, "number", function->number);
}

/* The function that the request describes. False: *out_result is the handler's. */
static bool deploy_read(struct weir_api_call *call, struct weir_model_function *function,
			struct weir_store_deployment *deployment, char hash[WEIR_CODE_HASH_BYTES],
			enum weir_api_result *out_result)
{
	struct weir_model_error wrong;

	*out_result = WEIR_API_DONE;
	if (!deploy_defaults(call, function, &deployment->versions_max, out_result) ||
	    !(deploy_has_image(call) ? deploy_image(call, function) : deploy_code(call, function, hash)) ||
	    !weir_api_body_text(call, "handler", function->handler, sizeof(function->handler)) ||
	    !weir_api_body_number(call, "timeout_ms", &function->timeout_ms) ||
	    !weir_api_body_number(call, "memory_mb", &function->memory_mb) ||
	    !weir_api_body_number(call, "queue_max", &function->queue_max) ||
	    !weir_api_body_specs(call, function))
		return false;
	if (weir_model_function_check(function, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

enum weir_api_result weir_api_function_deploy(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_api_variables_release) struct weir_api_variables variables = {.plain = NULL};
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	enum weir_api_result result = WEIR_API_DONE;
	struct weir_model_function function;
	struct weir_store_error error = {{0}};
	char hash[WEIR_CODE_HASH_BYTES] = "";
	struct weir_store_deployment deployment = {.code = hash, .variables = &variables.sealed};
	uint32_t number = 0;
	int code = 0;

	if (!deploy_read(call, &function, &deployment, hash, &result) ||
	    !weir_api_details_read(call, &function, &details, &deployment.details, &result) ||
	    !weir_api_variables_read(call, &variables))
		return result;
	if (!deploy_has_image(call) &&
	    (!deploy_build(call, function.runtime, function.code_path, &result) ||
	     !deploy_try(call, &function, &variables, &result)))
		return result;
	if (!deploy_has_image(call) && !deploy_show(call, &function))
		return WEIR_API_DONE;
	code = weir_store_deploy(call->owner->store, &function, &deployment, &number, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	result = weir_api_committed(call, 201);
	if (result == WEIR_API_WAIT) {
		function.number = number;
		deployed_tell(call, &function);
	}
	return result;
}

static cJSON *version_json(const struct weir_store_version *version)
{
	cJSON *json = weir_api_function_json(&version->function);

	cJSON_DeleteItemFromObjectCaseSensitive(json, "version"); /* the function's, not its */
	(void)cJSON_AddNumberToObject(json, "number", version->number);
	(void)cJSON_AddNumberToObject(json, "created", (double)version->created_s);
	(void)cJSON_AddStringToObject(json, "code", version->code);
	(void)cJSON_AddBoolToObject(json, "current", version->is_current);
	return json;
}

static int version_visit(void *context, const struct weir_store_version *version)
{
	return cJSON_AddItemToArray(context, version_json(version)) ? 0 : -ENOMEM;
}

enum weir_api_result weir_api_function_versions(struct weir_api_call *call)
{
	struct weir_store_error error = {.text = "not enough memory for the versions"};
	cJSON *answer = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(answer, "versions");
	const int code = weir_store_version_each(call->owner->store, call->param[0],
						 call->param[1], version_visit, list, &error);

	if (code != 0) {
		cJSON_Delete(answer);
		return weir_api_refuse_store(call, code, &error);
	}
	call->answer = answer;
	call->status = 200;
	return WEIR_API_DONE;
}

enum weir_api_result weir_api_function_rollback(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_store_version version;
	enum weir_api_result result = WEIR_API_DONE;
	uint32_t number = 0;
	int code = 0;

	if (!weir_api_body_number(call, "number", &number))
		return WEIR_API_DONE;
	code = weir_store_rollback(call->owner->store, call->param[0], call->param[1], number,
				   &version, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	result = weir_api_committed(call, 200);
	if (result == WEIR_API_WAIT)
		deployed_tell(call, &version.function);
	return result;
}

static int code_of_current(void *context, const struct weir_store_version *version)
{
	if (version->is_current)
		memcpy(context, version->code, sizeof(version->code));
	return 0;
}

/* What a change without new code may say. */
static bool change_read(struct weir_api_call *call, struct weir_model_function *function)
{
	struct weir_model_error wrong;

	if (!weir_api_body_number(call, "timeout_ms", &function->timeout_ms) ||
	    !weir_api_body_number(call, "memory_mb", &function->memory_mb) ||
	    !weir_api_body_number(call, "queue_max", &function->queue_max) || !weir_api_body_specs(call, function) ||
	    !weir_api_body_text(call, "owner", function->owner, sizeof(function->owner)))
		return false;
	if (weir_model_function_check(function, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

/* A next version with the same code and other limits. It needs no trial: the code serves already. */
enum weir_api_result weir_api_function_change(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_model_details_release) struct weir_model_details details = {.parameters = NULL};
	struct weir_store_error error = {{0}};
	struct weir_model_function function;
	struct weir_setting_values values;
	char code_hash[sizeof(((struct weir_store_version *)0)->code)] = "";
	struct weir_store_deployment deployment = {.code = code_hash};
	enum weir_api_result result = WEIR_API_DONE;
	uint32_t number = 0;
	int code = weir_setting_load(call->owner->store, &values, &error);

	if (code == 0)
		code = weir_store_function_find(call->owner->store, call->param[0], call->param[1], &function, &error);
	if (code == 0)
		code = weir_store_version_each(call->owner->store, call->param[0], call->param[1], code_of_current,
					       code_hash, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	if (!change_read(call, &function) ||
	    !weir_api_details_read(call, &function, &details, &deployment.details, &result))
		return result;
	deployment.versions_max = values.function_versions_max;
	code = weir_store_deploy(call->owner->store, &function, &deployment, &number, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	result = weir_api_committed(call, 200);
	if (result == WEIR_API_WAIT) {
		function.number = number;
		deployed_tell(call, &function);
	}
	return result;
}

/* The file that is run, as it was given: of a function whose code is more than a file, its entry. */
enum weir_api_result weir_api_function_code(struct weir_api_call *call)
{
	struct weir_store_error error = {{0}};
	struct weir_model_function function;
	struct stat info;
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	const int code = weir_store_function_find(call->owner->store, call->param[0], call->param[1], &function, &error);

	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	if (function.code_path[0] != '\0')
		fd = open(function.code_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
		return weir_api_refuse(call, 404, "no_code", NULL,
				       function.image[0] != '\0' ? "the function runs an image, which has no file here"
								 : "the function's file is not there");
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(call->answer, "runtime", function.runtime); /* or members lack */
	call->file_fd = fd;
	fd = -1;
	call->status = 200;
	return WEIR_API_DONE;
}
