#include "ctrl/ctrlctl/client.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/progress.h"
#include "ctrl/model/model_json.h"
#include "ctrl/model/model_number.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

/* A change waits up to 2 s for a lock and up to 2 s for the shards. */
enum { API_PATIENCE_MS = 8000, SEND_BYTES = 256 << 10 };

/* An answer that is coming in. */
struct incoming {
	llhttp_t llhttp;
	struct weir_ctl_answer answer;
	size_t room;
	bool bodyless; /* the request was HEAD */
	bool complete;
	bool too_large;
	const struct weir_ctl_request *request;
	uint64_t bytes_all; /* of a body for the request's sink */
	bool sink_failed;   /* and said why */
};

enum weir_ctl_exit weir_ctl_connect(const struct weir_ctl_call *call, const char *socket_name,
				    int type, bool quiet, int *out_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int written = snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/%s",
				     call->data, socket_name);
	WEIR_CLEANUP(weir_fd_close) int fd = -1;

	if (written < 0 || (size_t)written >= sizeof(address.sun_path)) {
		return quiet ? WEIR_CTL_USAGE
			     : weir_ctl_fail(WEIR_CTL_USAGE,
					     "use a shorter path, or a symbolic link to it",
					     "%s/run/%s is longer than the 107 bytes of a "
					     "socket's path",
					     call->data, socket_name);
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		const int cause = errno;

		if (quiet)
			return WEIR_CTL_UNREACHABLE;
		return weir_ctl_fail(
			WEIR_CTL_UNREACHABLE,
			cause == EACCES
				? "run it as the user that started the instance"
				: "is it running? choose another with --data DIR or WEIR_DATA",
			"nobody answers at %s: %s", address.sun_path, strerror(cause));
	}
	*out_fd = fd;
	fd = -1;
	return WEIR_CTL_OK;
}

/* 1 tells llhttp that no body follows, whatever the head says. */
static int on_headers(llhttp_t *llhttp)
{
	struct incoming *incoming = llhttp->data;

	if (llhttp->status_code < 200)
		incoming->answer.head[0] = '\0';
	incoming->bytes_all = llhttp->content_length;
	return incoming->bodyless ? 1 : 0;
}

/* Another piece of the head's text. */
static void head_add(struct incoming *incoming, const char *text, size_t bytes)
{
	char *head = incoming->answer.head;
	const size_t used = strlen(head);

	if (bytes >= WEIR_CTL_HEAD_BYTES_MAX - used)
		return;
	memcpy(head + used, text, bytes);
	head[used + bytes] = '\0';
}

static int on_header_text(llhttp_t *llhttp, const char *data, size_t bytes)
{
	head_add(llhttp->data, data, bytes);
	return 0;
}

static int on_header_name_end(llhttp_t *llhttp)
{
	head_add(llhttp->data, ": ", 2);
	return 0;
}

static int on_header_value_end(llhttp_t *llhttp)
{
	head_add(llhttp->data, "\n", 1);
	return 0;
}

static int on_body(llhttp_t *llhttp, const char *data, size_t bytes)
{
	struct incoming *incoming = llhttp->data;
	struct weir_ctl_answer *answer = &incoming->answer;

	if (incoming->request->sink != NULL && llhttp->status_code == 200) {
		incoming->sink_failed = !incoming->request->sink(incoming->request->sink_context, data, bytes,
								 incoming->bytes_all);
		return incoming->sink_failed ? -1 : 0;
	}
	if (answer->body_bytes + bytes + 1 > incoming->room) {
		size_t room = incoming->room * 2;

		while (room < answer->body_bytes + bytes + 1)
			room *= 2;
		if (room > WEIR_CTL_ANSWER_BYTES_MAX) {
			incoming->too_large = true;
			return -1;
		}
		answer->body = realloc(answer->body, room);
		WEIR_ASSERT(answer->body !=
			    NULL); /* a command line that has no memory left cannot go on */
		incoming->room = room;
	}
	memcpy(answer->body + answer->body_bytes, data, bytes);
	answer->body_bytes += bytes;
	answer->body[answer->body_bytes] = '\0';
	return 0;
}

static int on_complete(llhttp_t *llhttp)
{
	struct incoming *incoming = llhttp->data;

	if (llhttp->status_code < 200)
		return 0; /* 100 Continue: the answer is still to come */
	incoming->answer.status = llhttp->status_code;
	incoming->complete = true;
	return HPE_PAUSED;
}

const char *weir_ctl_answer_field(const struct weir_ctl_answer *answer, const char *name)
{
	const size_t name_bytes = strlen(name);

	for (const char *line = answer->head; line != NULL && *line != '\0';) {
		if (strncasecmp(line, name, name_bytes) == 0 && strncmp(line + name_bytes, ": ", 2) == 0)
			return line + name_bytes + 2;
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return NULL;
}

static int send_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		const ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -errno;
		data += sent;
		bytes -= (size_t)sent;
	}
	return 0;
}

static int request_send(int fd, const struct weir_ctl_request *request)
{
	char head[16384];
	char length[64] = "";
	int written = 0;
	int code = 0;

	if (request->body != NULL) {
		(void)snprintf(length, sizeof(length), "content-length: %zu\r\n",
			       request->body_bytes); /* fits */
	}
	written = snprintf(head, sizeof(head),
			   "%s %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n%s%s%s%s%s\r\n",
			   request->method, request->target, request->host, length,
			   request->content_type == NULL ? "" : "content-type: ",
			   request->content_type == NULL ? "" : request->content_type,
			   request->content_type == NULL ? "" : "\r\n",
			   request->fields == NULL ? "" : request->fields);
	if (written < 0 || (size_t)written >= sizeof(head))
		return -EMSGSIZE;
	code = send_all(fd, head, (size_t)written);
	/* An early answer to a body that is not wanted shows as EPIPE: read it. */
	for (size_t at = 0; code == 0 && request->body != NULL && at < request->body_bytes;) {
		const size_t left = request->body_bytes - at;
		const size_t bytes = left < SEND_BYTES ? left : SEND_BYTES;

		code = send_all(fd, request->body + at, bytes);
		at += bytes;
		if (code == 0 && request->progress != NULL)
			request->progress(at, request->body_bytes);
	}
	return code == -EPIPE || code == -ECONNRESET ? 0 : code;
}

static enum weir_ctl_exit answer_receive(int fd, const char *method, struct incoming *incoming)
{
	llhttp_settings_t settings;
	char data[65536];

	llhttp_settings_init(&settings);
	settings.on_header_field = on_header_text;
	settings.on_header_field_complete = on_header_name_end;
	settings.on_header_value = on_header_text;
	settings.on_header_value_complete = on_header_value_end;
	settings.on_headers_complete = on_headers;
	settings.on_body = on_body;
	settings.on_message_complete = on_complete;
	llhttp_init(&incoming->llhttp, HTTP_RESPONSE, &settings);
	incoming->llhttp.data = incoming;
	incoming->bodyless = strcmp(method, "HEAD") == 0;
	while (!incoming->complete) {
		const ssize_t got = recv(fd, data, sizeof(data), 0);
		llhttp_errno_t code = HPE_OK;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			return weir_ctl_fail(
				WEIR_CTL_UNREACHABLE,
				"see `ctrlctl status` and the instance's log",
				"the instance took the request but did not answer: %s",
				strerror(errno));
		}
		code = got == 0 ? llhttp_finish(&incoming->llhttp)
				: llhttp_execute(&incoming->llhttp, data, (size_t)got);
		if (incoming->complete)
			break;
		if (incoming->sink_failed)
			return WEIR_CTL_FAILED;
		if (incoming->too_large) {
			return weir_ctl_fail(WEIR_CTL_FAILED, NULL,
					     "the answer is larger than %d MiB",
					     WEIR_CTL_ANSWER_BYTES_MAX >> 20);
		}
		if (got == 0 || code != HPE_OK) {
			return weir_ctl_fail(WEIR_CTL_FAILED, "see the instance's log",
					     "the answer broke off or is no HTTP (%s)",
					     got == 0 ? "connection closed"
						      : llhttp_errno_name(code));
		}
	}
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_request(const struct weir_ctl_call *call,
				    const struct weir_ctl_request *request,
				    struct weir_ctl_answer *out_answer)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	struct incoming incoming = {.room = 4096, .request = request};
	const struct timeval patience = {.tv_sec = request->patience_ms / 1000};
	enum weir_ctl_exit code =
		weir_ctl_connect(call, request->socket_name, SOCK_STREAM, false, &fd);
	int sent = 0;

	if (code != WEIR_CTL_OK)
		return code;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
			 sizeof(patience)); /* else it waits longer */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	sent = request_send(fd, request);
	if (sent != 0) {
		return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot send the request: %s",
				     strerror(-sent));
	}
	incoming.answer.body = calloc(1, incoming.room);
	WEIR_ASSERT(incoming.answer.body != NULL);
	code = answer_receive(fd, request->method, &incoming);
	if (code != WEIR_CTL_OK) {
		free(incoming.answer.body);
	} else {
		*out_answer = incoming.answer;
	}
	return code;
}

void weir_ctl_log_print(const char *log)
{
	weir_ctl_progress_clear();
	for (const char *at = log; *at != '\0'; at++)
		(void)fputc((unsigned char)*at < ' ' && *at != '\n' && *at != '\t' ? '?' : *at, stderr);
	if (log[0] != '\0' && log[strlen(log) - 1] != '\n')
		(void)fputc('\n', stderr);
}

/* What the API says went wrong -> exit code. */
static enum weir_ctl_exit error_print(const struct weir_ctl_answer *answer, const cJSON *json)
{
	static const struct {
		const char *word;
		enum weir_ctl_exit code;
		const char *hint;
	} codes[] = {
		{"not_found", WEIR_CTL_NOT_FOUND, NULL},
		{"exists", WEIR_CTL_EXISTS, NULL},
		{"invalid", WEIR_CTL_INVALID, "--help behind the command shows an example"},
		{"bad_json", WEIR_CTL_INVALID, NULL},
		{"build_failed", WEIR_CTL_INVALID,
		 "what serves now goes on serving; above is what the builder says"},
		{"trial_failed", WEIR_CTL_FAILED, "what served before goes on serving"},
		{"in_use", WEIR_CTL_FAILED, NULL},
		{"limit", WEIR_CTL_FAILED, NULL},
		{"locked", WEIR_CTL_FAILED,
		 "nothing was changed; end the other program's transaction and try again"},
		{"disk_full", WEIR_CTL_FAILED,
		 "nothing was changed; free some space and try again"},
		{"damaged", WEIR_CTL_FAILED,
		 "nothing was changed; `ctrlctl status` shows what is wrong"},
		/* Of asynchronous calls (ctrl/queued). */
		{"call_gone", WEIR_CTL_NOT_FOUND, NULL},
		{"call_unknown", WEIR_CTL_NOT_FOUND, "`ctrlctl fn list` shows what there is"},
		{"bad_field", WEIR_CTL_INVALID, NULL},
		{"key_taken", WEIR_CTL_EXISTS, NULL},
	};
	const char *word = weir_ctl_json_text(json, "code");
	const char *sentence = weir_ctl_json_text(json, "error");

	weir_ctl_log_print(weir_ctl_json_text(json, "log"));
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].word, word) == 0)
			return weir_ctl_fail(codes[i].code, codes[i].hint, "%s", sentence);
	}
	return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "%s (status %u)",
			     sentence[0] == '\0' ? "the instance refused the request"
						 : sentence,
			     answer->status);
}

/* What a function carries is shown as it was written, long numbers too. */
static void values_keep(cJSON *json, struct weir_span text)
{
	static const char *const names[] = {"parameters", "annotations"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cJSON *item = cJSON_GetObjectItemCaseSensitive(json, names[i]);
		struct weir_span value;

		if (item != NULL && weir_model_json_member(text, names[i], &value))
			(void)weir_model_numbers_keep(item, value.data, value.bytes); /* else they are rounded */
	}
}

enum weir_ctl_exit weir_ctl_answer_json(struct weir_ctl_answer *answer, cJSON **out_json)
{
	cJSON *json = cJSON_ParseWithLength(answer->body, answer->body_bytes);
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (answer->status >= 400) {
		code = error_print(answer, json);
	} else if (json == NULL) {
		code = weir_ctl_fail(WEIR_CTL_FAILED, NULL, "the answer (status %u) is no JSON",
				     answer->status);
	} else {
		values_keep(json, (struct weir_span){.data = answer->body, .bytes = answer->body_bytes});
	}
	free(answer->body);
	answer->body = NULL;
	if (code != WEIR_CTL_OK) {
		cJSON_Delete(json);
	} else {
		*out_json = json;
	}
	return code;
}

enum weir_ctl_exit weir_ctl_api_patient(const struct weir_ctl_call *call, const char *method,
					const char *target, cJSON *body, uint32_t patience_ms,
					cJSON **out_json)
{
	struct weir_ctl_answer answer = {0};
	char *text = body == NULL ? NULL : cJSON_PrintUnformatted(body);
	const struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = method,
		.target = target,
		.host = "weir",
		.content_type = text == NULL ? NULL : "application/json",
		.body = text,
		.body_bytes = text == NULL ? 0 : strlen(text),
		.patience_ms = patience_ms,
	};
	const enum weir_ctl_exit code = weir_ctl_request(call, &request, &answer);

	cJSON_Delete(body);
	cJSON_free(text);
	return code != WEIR_CTL_OK ? code : weir_ctl_answer_json(&answer, out_json);
}

enum weir_ctl_exit weir_ctl_api(const struct weir_ctl_call *call, const char *method,
				const char *target, cJSON *body, cJSON **out_json)
{
	return weir_ctl_api_patient(call, method, target, body, API_PATIENCE_MS, out_json);
}

enum weir_ctl_exit weir_ctl_change_check(cJSON *json)
{
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "acknowledged")))
		code = weir_ctl_fail(WEIR_CTL_NOT_ACKNOWLEDGED, "`ctrlctl ready --wait 10s` waits for it", "%s",
				     weir_ctl_json_text(json, "warning"));
	cJSON_Delete(json);
	return code;
}

enum weir_ctl_exit weir_ctl_change_end(const struct weir_ctl_call *call, cJSON *json)
{
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		weir_ctl_print("generation %.0f acked %.0f/%.0f in %.1f ms\n",
			       weir_ctl_json_number(json, "generation"),
			       weir_ctl_json_number(json, "acked"),
			       weir_ctl_json_number(json, "total"),
			       weir_ctl_json_number(json, "milliseconds"));
	}
	return weir_ctl_change_check(json);
}

enum weir_ctl_exit weir_ctl_api_change(const struct weir_ctl_call *call, const char *method,
				       const char *target, cJSON *body)
{
	cJSON *json = NULL;
	const enum weir_ctl_exit code = weir_ctl_api(call, method, target, body, &json);

	return code != WEIR_CTL_OK ? code : weir_ctl_change_end(call, json);
}

bool weir_ctl_encode(char *target, size_t max, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	size_t used = strlen(target);

	for (; *text != '\0'; text++) {
		if (used + 4 > max)
			return false;
		if (strchr(plain, *text) != NULL) {
			target[used++] = *text;
			continue;
		}
		target[used++] = '%';
		target[used++] = digits[(unsigned char)*text >> 4];
		target[used++] = digits[(unsigned char)*text & 15];
	}
	target[used] = '\0';
	return true;
}
