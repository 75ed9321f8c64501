#include "ctrl/ctrlctl/upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctrl/code/code.h"
#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/progress.h"

enum {
	ASK_PATIENCE_MS = 10000,
	UPLOAD_PATIENCE_MS = 60000, /* unpacking a large archive */
};

/* Does the instance have it? WEIR_CTL_NOT_FOUND: no. */
static enum weir_ctl_exit ask(const struct weir_ctl_call *call, const struct weir_ctl_pack *pack, cJSON **out_json)
{
	char hash[WEIR_CODE_HASH_BYTES];
	char target[WEIR_CTL_TARGET_MAX];
	struct weir_ctl_answer answer = {0};
	const struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = "GET",
		.target = target,
		.host = "weir",
		.patience_ms = ASK_PATIENCE_MS,
	};
	enum weir_ctl_exit code = WEIR_CTL_OK;

	weir_code_hash_upload(pack->is_directory ? NULL : pack->name, pack->data, pack->bytes, hash);
	(void)snprintf(target, sizeof(target), "/weir/code/%s", hash); /* fits */
	code = weir_ctl_request(call, &request, &answer);
	if (code == WEIR_CTL_OK && answer.status == 404) {
		free(answer.body);
		return WEIR_CTL_NOT_FOUND;
	}
	return code == WEIR_CTL_OK ? weir_ctl_answer_json(&answer, out_json) : code;
}

static enum weir_ctl_exit transfer(const struct weir_ctl_call *call, const struct weir_ctl_pack *pack,
				   cJSON **out_json)
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
		.progress = weir_ctl_progress_upload,
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

enum weir_ctl_exit weir_ctl_upload(const struct weir_ctl_call *call, const struct weir_ctl_pack *pack,
				   cJSON **out_json)
{
	const enum weir_ctl_exit code = ask(call, pack, out_json);

	return code == WEIR_CTL_NOT_FOUND ? transfer(call, pack, out_json) : code;
}
