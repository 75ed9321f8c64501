#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>

#include "ctrl/ctrlctl/async.h"
#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"

enum {
	TARGET_MAX = 8192,
	FIELDS_BYTES_MAX = 8192,
	PATIENCE_MS = WEIR_MODEL_TIMEOUT_MS_MAX + 60000, /* the gateway ends the call, not we */
};

/* /NAMESPACE/NAME/rest. WEIR_CTL_OK, or the exit code with all said. */
static enum weir_ctl_exit target_make(const struct weir_ctl_call *call, bool is_async, char target[TARGET_MAX])
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
	if (is_async)
		return weir_ctl_async_target(call, space, name, target, TARGET_MAX);
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

/* JSON, as far as a look tells: then it is sent as that. */
static const char *content_type_guess(const char *body, size_t bytes)
{
	const size_t blanks = strspn(body, " \t\r\n");
	cJSON *json = NULL;

	if (blanks >= bytes || (body[blanks] != '{' && body[blanks] != '['))
		return "application/octet-stream";
	json = cJSON_ParseWithLength(body, bytes);
	cJSON_Delete(json);
	return json == NULL ? "application/octet-stream" : "application/json";
}

/* The -H fields, as they are sent. False: one is wrong, and that was said. */
static bool fields_make(const struct weir_ctl_call *call, bool timed, char fields[FIELDS_BYTES_MAX],
			bool *out_has_type)
{
	size_t used = timed ? strlen(strcpy(fields, "x-weir-timing: 1\r\n")) : 0;

	fields[used] = '\0';
	for (size_t i = 0; i < call->repeated_count; i++) {
		const char *text = call->repeated[i].value;
		const size_t name_bytes = strcspn(text, ": \t\r\n");

		if (name_bytes == 0 || text[name_bytes] != ':' || strpbrk(text, "\r\n") != NULL) {
			(void)weir_ctl_fail(WEIR_CTL_INVALID, "-H 'accept: text/html'",
					    "'%.80s' is no header field", text);
			return false;
		}
		if (strlen(text) + 3 > FIELDS_BYTES_MAX - used) {
			(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the fields of -H are longer than 8 KiB");
			return false;
		}
		*out_has_type |= name_bytes == 12 && strncasecmp(text, "content-type", name_bytes) == 0;
		used += (size_t)snprintf(fields + used, FIELDS_BYTES_MAX - used, "%s\r\n", text);
	}
	return true;
}

/* What is shown of an answer. */
struct view {
	struct weir_ctl_answer *answer;
	double total_ms;
	double wait_ms; /* negative: it was not told */
	double worker_ms;
	bool cold;
	char activation[64];
};

/* Take Weir's own fields out of the head: what it told, and which activation it was. */
static void head_read(struct view *view)
{
	char *out = view->answer->head;
	char *line = view->answer->head;
	int cold = 0;

	view->wait_ms = -1;
	while (*line != '\0') {
		char *end = line + strcspn(line, "\n");
		const size_t bytes = (size_t)(end - line) + (*end != '\0');

		(void)sscanf(line, "x-openwhisk-activation-id: %63s", view->activation);
		if (sscanf(line, "x-weir-timing: wait=%lf worker=%lf cold=%d", &view->wait_ms,
			   &view->worker_ms, &cold) != 3) {
			memmove(out, line, bytes);
			out += bytes;
		}
		line += bytes;
	}
	*out = '\0';
	view->cold = cold != 0;
}

/* To standard error, so that the body alone goes down a pipe. */
static void view_print(const struct view *view, bool timed)
{
	(void)fprintf(stderr, "status %u\n", view->answer->status);
	for (const char *at = view->answer->head; *at != '\0'; at++)
		(void)fputc((unsigned char)*at < ' ' && *at != '\n' ? '?' : *at, stderr);
	if (timed) {
		(void)fprintf(stderr, "\ntotal      %8.3f ms\n", view->total_ms);
		if (view->wait_ms >= 0)
			(void)fprintf(stderr,
				      "  in Weir  %8.3f ms\n    wait   %8.3f ms  until a worker had it%s\n"
				      "    worker %8.3f ms  until it answered\n",
				      view->wait_ms + view->worker_ms, view->wait_ms,
				      view->cold ? "; cold start: one was started" : "; it was warm",
				      view->worker_ms);
		(void)fprintf(stderr, "activation %s\n", view->activation);
	}
	(void)fputc('\n', stderr);
}

static cJSON *head_json(const char *head)
{
	cJSON *json = cJSON_CreateObject();
	WEIR_CLEANUP(weir_free) char *copy = strdup(head);
	char *rest = NULL;

	WEIR_ASSERT(copy != NULL); /* a command line that has no memory left cannot go on */
	for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		char *colon = strstr(line, ": ");

		if (colon == NULL)
			continue;
		*colon = '\0';
		for (char *at = line; *at != '\0'; at++)
			*at = (char)tolower((unsigned char)*at);
		(void)cJSON_AddStringToObject(json, line, colon + 2);
	}
	return json;
}

/* Is it UTF-8 without NULs, as a JSON text can hold it? */
static bool is_text(const char *data, size_t bytes)
{
	mbstate_t state = {0};

	for (size_t at = 0; at < bytes;) {
		const size_t taken = mbrlen(data + at, bytes - at, &state); /* main() says UTF-8 */

		if (taken == 0 || taken == (size_t)-1 || taken == (size_t)-2)
			return false;
		at += taken;
	}
	return true;
}

static void body_add(cJSON *json, const struct weir_ctl_answer *answer)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *data = (const unsigned char *)answer->body;
	const size_t bytes = answer->body_bytes;
	WEIR_CLEANUP(weir_free) char *text = NULL;
	size_t at = 0;

	if (is_text(answer->body, bytes)) {
		(void)cJSON_AddStringToObject(json, "body", answer->body);
		return;
	}
	text = malloc((bytes + 2) / 3 * 4 + 1);
	WEIR_ASSERT(text != NULL); /* a command line that has no memory left cannot go on */
	for (size_t i = 0; i < bytes; i += 3) {
		const uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < bytes ? (uint32_t)data[i + 1] << 8 : 0) |
				       (i + 2 < bytes ? data[i + 2] : 0);

		text[at++] = letters[three >> 18];
		text[at++] = letters[three >> 12 & 63];
		text[at++] = i + 1 < bytes ? letters[three >> 6 & 63] : '=';
		text[at++] = i + 2 < bytes ? letters[three & 63] : '=';
	}
	text[at] = '\0';
	(void)cJSON_AddStringToObject(json, "body_base64", text);
}

static void view_print_json(const struct view *view, bool timed)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *times = NULL;

	(void)cJSON_AddNumberToObject(json, "status", view->answer->status);
	(void)cJSON_AddStringToObject(json, "activation", view->activation);
	(void)cJSON_AddItemToObject(json, "headers", head_json(view->answer->head));
	body_add(json, view->answer);
	if (timed) {
		times = cJSON_AddObjectToObject(json, "time_ms");
		(void)cJSON_AddNumberToObject(times, "total", view->total_ms);
		if (view->wait_ms >= 0) {
			(void)cJSON_AddNumberToObject(times, "wait", view->wait_ms);
			(void)cJSON_AddNumberToObject(times, "worker", view->worker_ms);
			(void)cJSON_AddBoolToObject(json, "cold", view->cold);
		}
	}
	weir_ctl_print_json(json);
	cJSON_Delete(json);
}

static void answer_print(const struct weir_ctl_call *call, struct weir_ctl_answer *answer,
			 double total_ms)
{
	const char *show = weir_ctl_option(call, "--show");
	const bool timed = show != NULL && strcmp(show, "time") == 0;
	struct view view = {.answer = answer, .total_ms = total_ms};

	head_read(&view);
	if (call->json) {
		view_print_json(&view, timed);
		return;
	}
	if (show != NULL)
		view_print(&view, timed);
	(void)fwrite(answer->body, 1, answer->body_bytes, stdout); /* a failure is found at the end */
	/* A person's prompt begins on a line of its own; a pipe gets exactly the body. */
	if (isatty(STDOUT_FILENO) == 1 && answer->body_bytes > 0 &&
	    answer->body[answer->body_bytes - 1] != '\n')
		(void)fputc('\n', stdout);
}

/* Send it, print what comes. */
static enum weir_ctl_exit invoke(const struct weir_ctl_call *call,
				 const struct weir_ctl_request *request)
{
	struct weir_ctl_answer answer = {0};
	const uint64_t began_ns = weir_clock_now_ns();
	enum weir_ctl_exit code = weir_ctl_request(call, request, &answer);

	if (code != WEIR_CTL_OK)
		return code;
	answer_print(call, &answer, (double)(weir_clock_now_ns() - began_ns) / WEIR_NS_PER_MS);
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

enum weir_ctl_exit weir_ctl_function_invoke(const struct weir_ctl_call *call)
{
	const char *option = weir_ctl_option(call, "--body");
	const char *method = weir_ctl_option(call, "--method");
	const char *show = weir_ctl_option(call, "--show");
	WEIR_CLEANUP(weir_free) char *body = NULL;
	char fields[FIELDS_BYTES_MAX];
	char target[TARGET_MAX];
	size_t body_bytes = 0;
	bool has_type = false;
	const bool is_async = weir_ctl_option(call, "--async") != NULL;
	enum weir_ctl_exit code = target_make(call, is_async, target);

	if (code != WEIR_CTL_OK)
		return code;
	if (method != NULL && !method_sound(method))
		return weir_ctl_fail(WEIR_CTL_INVALID, "-X POST", "'%s' is no method", method);
	if (show != NULL && strcmp(show, "head") != 0 && strcmp(show, "time") != 0)
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl fn invoke hello --show time",
				     "--show is head or time, not '%s'", show);
	if (!fields_make(call, show != NULL && strcmp(show, "time") == 0, fields, &has_type))
		return WEIR_CTL_INVALID;
	if (is_async)
		code = weir_ctl_async_fields(call, fields, sizeof(fields));
	if (code != WEIR_CTL_OK)
		return code;
	if (!weir_ctl_data_read(option, &body, &body_bytes))
		return WEIR_CTL_FAILED;
	const struct weir_ctl_request request = {
		.socket_name = "http.sock",
		.method = method != NULL		? method
			  : body != NULL || is_async ? "POST"
						     : "GET",
		.target = target,
		.host = is_async ? "weir" : "function.weir",
		.content_type = body == NULL || has_type ? NULL : content_type_guess(body, body_bytes),
		.fields = fields,
		.body = body,
		.body_bytes = body_bytes,
		.patience_ms = PATIENCE_MS,
	};

	return is_async ? weir_ctl_async_end(call, &request) : invoke(call, &request);
}
