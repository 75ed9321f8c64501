#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/pack.h"
#include "ctrl/model/model.h"
#include "dataplane/base/cleanup.h"

enum {
	UPLOAD_PATIENCE_MS = 60000, /* unpacking a large archive */
	DEPLOY_PATIENCE_MS = 300000,
	BAR_CELLS = 30,
};

/* On a terminal a bar that grows; it ends with its line. */
static void bar_draw(size_t sent, size_t bytes)
{
	const size_t cells = bytes == 0 ? BAR_CELLS : sent * BAR_CELLS / bytes;
	static const char full[BAR_CELLS + 1] = "##############################";

	(void)fprintf(stderr, "\rupload [%-*.*s] %3zu%% %.1f MiB%s", BAR_CELLS, (int)cells, full,
		      bytes == 0 ? 100 : sent * 100 / bytes, (double)bytes / (1 << 20),
		      sent == bytes ? "\n" : "");
}

static enum weir_ctl_exit upload(const struct weir_ctl_call *call,
				 const struct weir_ctl_pack *pack, cJSON **out_json)
{
	char target[WEIR_CTL_TARGET_MAX] = "/weir/code";
	struct weir_ctl_answer answer = {0};
	struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = "POST",
		.target = target,
		.host = "weir",
		.content_type = "application/octet-stream",
		.body = pack->data,
		.body_bytes = pack->bytes,
		.patience_ms = UPLOAD_PATIENCE_MS,
		.progress = isatty(STDERR_FILENO) == 1 && !call->json ? bar_draw : NULL,
	};
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!pack->is_directory) {
		(void)snprintf(target, sizeof(target), "/weir/code?name=");
		if (!weir_ctl_encode(target, sizeof(target), pack->name))
			return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the file's name is too long");
	}
	code = weir_ctl_request(call, &request, &answer);
	return code != WEIR_CTL_OK ? code : weir_ctl_answer_json(&answer, out_json);
}

/* "hello" of hello.py, ./hello/ and hello: what a function's name may hold of it. */
static void name_default(const struct weir_ctl_pack *pack, char out[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	const char *dot = pack->is_directory ? NULL : strrchr(pack->name, '.');
	const size_t bytes = dot == NULL ? strlen(pack->name) : (size_t)(dot - pack->name);

	(void)snprintf(out, WEIR_MODEL_NAME_BYTES_MAX + 1, "%.*s", (int)bytes, pack->name);
}

static enum weir_ctl_exit deploy(const struct weir_ctl_call *call, const char *name,
				 const char *hash)
{
	char target[WEIR_CTL_TARGET_MAX];
	cJSON *body = cJSON_CreateObject();
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)cJSON_AddStringToObject(body, "code", hash);
	if (weir_ctl_option(call, "--no-trial") != NULL)
		(void)cJSON_AddBoolToObject(body, "trial", false);
	if (!weir_ctl_function_target(name, "/deploy", target) ||
	    !weir_ctl_body_variables(body, call) ||
	    !weir_ctl_body_text(body, call, "--runtime", "runtime") ||
	    !weir_ctl_body_text(body, call, "--entry", "entry") ||
	    !weir_ctl_body_text(body, call, "--handler", "handler") ||
	    !weir_ctl_body_text(body, call, "--health", "health") ||
	    !weir_ctl_body_duration(body, call) ||
	    !weir_ctl_body_number(body, call, "--memory", "memory_mb") ||
	    !weir_ctl_body_number(body, call, "--queue", "queue_max")) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	code = weir_ctl_api_patient(call, "POST", target, body, DEPLOY_PATIENCE_MS, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (!call->json)
		weir_ctl_print("%s/%s version %.0f serves (%s)\n",
			       weir_ctl_json_text(json, "namespace"),
			       weir_ctl_json_text(json, "name"), weir_ctl_json_number(json, "number"),
			       weir_ctl_json_text(json, "runtime"));
	return weir_ctl_change_end(call, json);
}

enum weir_ctl_exit weir_ctl_function_deploy(const struct weir_ctl_call *call)
{
	WEIR_CLEANUP(weir_ctl_pack_close) struct weir_ctl_pack pack = {.data = NULL};
	const char *name = weir_ctl_option(call, "--name");
	char own_name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	cJSON *json = NULL;
	enum weir_ctl_exit code = weir_ctl_pack_open(call->arguments[0], &pack);

	if (code == WEIR_CTL_OK)
		code = upload(call, &pack, &json);
	if (code != WEIR_CTL_OK)
		return code;
	name_default(&pack, own_name);
	code = deploy(call, name == NULL ? own_name : name, weir_ctl_json_text(json, "code"));
	cJSON_Delete(json);
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
	weir_ctl_table_cell(table, weir_ctl_json_text(version, "file"));
}

enum weir_ctl_exit weir_ctl_function_versions(const struct weir_ctl_call *call)
{
	static const char *const titles[] = {"VERSION", "DEPLOYED", "RUNTIME", "CODE", "FILE", NULL};
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
