#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"
#include "dataplane/base/assert.h"

enum {
	TARGET_MAX = 8192,
	BODY_BYTES_MAX = 1 << 30,
	PATIENCE_MS = WEIR_MODEL_TIMEOUT_MS_MAX + 60000, /* the gateway ends the call, not we */
};

/* All of a file. NULL: said why. */
static char *file_read(FILE *file, const char *name, size_t *out_bytes)
{
	size_t room = 65536;
	size_t bytes = 0;
	char *data = malloc(room);

	WEIR_ASSERT(data != NULL); /* a command line that has no memory left cannot go on */
	while (true) {
		const size_t got = fread(data + bytes, 1, room - bytes, file);

		bytes += got;
		if (got == 0)
			break;
		if (bytes < room)
			continue;
		if (room >= BODY_BYTES_MAX) {
			free(data);
			(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "%s is larger than 1 GiB",
					    name);
			return NULL;
		}
		room *= 2;
		data = realloc(data, room);
		WEIR_ASSERT(data != NULL);
	}
	if (ferror(file) != 0) {
		free(data);
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot read %s", name);
		return NULL;
	}
	*out_bytes = bytes;
	return data;
}

/* -d DATA, -d @FILE or -d @-. False: said why. *out_body stays NULL without -d. */
static bool body_read(const char *option, char **out_body, size_t *out_bytes)
{
	FILE *file = NULL;

	if (option == NULL)
		return true;
	if (option[0] != '@') {
		*out_body = strdup(option);
		*out_bytes = strlen(option);
		return *out_body != NULL;
	}
	if (strcmp(option, "@-") == 0) {
		*out_body = file_read(stdin, "standard input", out_bytes);
		return *out_body != NULL;
	}
	file = fopen(option + 1, "rbe");
	if (file == NULL) {
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot open %s: %s", option + 1,
				    strerror(errno));
		return false;
	}
	*out_body = file_read(file, option + 1, out_bytes);
	(void)fclose(file); /* it was only read */
	return *out_body != NULL;
}

/* /NAMESPACE/NAME/rest. WEIR_CTL_OK, or the exit code with all said. */
static enum weir_ctl_exit target_make(const struct weir_ctl_call *call, char target[TARGET_MAX])
{
	const char *rest = weir_ctl_option(call, "--path");
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;

	if (weir_model_name_parse(call->arguments[0], space, name, &wrong) != 0) {
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s %s", wrong.field,
				     wrong.reason);
	}
	if (rest != NULL && (rest[0] != '/' || rest[strcspn(rest, " \t\r\n")] != '\0')) {
		return weir_ctl_fail(WEIR_CTL_INVALID, "--path /orders/7",
				     "--path begins with '/' and holds no blanks");
	}
	(void)snprintf(target, TARGET_MAX, "/");
	(void)weir_ctl_encode(target, TARGET_MAX, space); /* names are short */
	strncat(target, "/", TARGET_MAX - strlen(target) - 1);
	(void)weir_ctl_encode(target, TARGET_MAX, name);
	if (rest != NULL && strlen(target) + strlen(rest) >= TARGET_MAX)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "--path is longer than 8 KiB");
	strncat(target, rest == NULL ? "" : rest, TARGET_MAX - strlen(target) - 1);
	return WEIR_CTL_OK;
}

static bool method_sound(const char *method)
{
	return method[0] != '\0' && strlen(method) <= 16 &&
	       method[strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static void answer_print(const struct weir_ctl_call *call, const struct weir_ctl_answer *answer)
{
	cJSON *json = NULL;

	if (!call->json) {
		(void)fwrite(answer->body, 1, answer->body_bytes,
			     stdout); /* a failure is found at the end */
		return;
	}
	json = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(json, "status", answer->status);
	(void)cJSON_AddStringToObject(json, "body", answer->body);
	weir_ctl_print_json(json);
	cJSON_Delete(json);
}

enum weir_ctl_exit weir_ctl_function_invoke(const struct weir_ctl_call *call)
{
	const char *option = weir_ctl_option(call, "--body");
	const char *method = weir_ctl_option(call, "--method");
	struct weir_ctl_answer answer = {0};
	char target[TARGET_MAX];
	char *body = NULL;
	size_t body_bytes = 0;
	enum weir_ctl_exit code = target_make(call, target);

	if (code != WEIR_CTL_OK)
		return code;
	if (method != NULL && !method_sound(method))
		return weir_ctl_fail(WEIR_CTL_INVALID, "-X POST", "'%s' is no method", method);
	if (!body_read(option, &body, &body_bytes))
		return WEIR_CTL_FAILED;
	const struct weir_ctl_request request = {
		.socket_name = "http.sock",
		.method = method != NULL ? method
			  : body != NULL ? "POST"
					 : "GET",
		.target = target,
		.host = "function.weir",
		.content_type = body == NULL ? NULL : "application/octet-stream",
		.body = body,
		.body_bytes = body_bytes,
		.patience_ms = PATIENCE_MS,
	};

	code = weir_ctl_request(call, &request, &answer);
	free(body);
	if (code != WEIR_CTL_OK)
		return code;
	answer_print(call, &answer);
	if (answer.status == 404 && strstr(answer.body, "Function not found") != NULL) {
		code = weir_ctl_fail(WEIR_CTL_FAILED, "`ctrlctl fn list` shows what there is",
				     "status 404: no such function");
	} else if (answer.status >= 400) {
		code = weir_ctl_fail(WEIR_CTL_FAILED, NULL,
				     "the function answered with status %u", answer.status);
	}
	free(answer.body);
	return code;
}
