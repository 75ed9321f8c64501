#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/server.h"
#include "ctrl/model/model_text.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum { RETRY_MS = 10, PENDING_MS = 20 };

void weir_api_call_clear(struct weir_api_connection *connection)
{
	cJSON_Delete(connection->call.body);
	cJSON_Delete(connection->call.answer);
	if (connection->call.state != NULL)
		connection->call.state_release(connection->call.state);
	free(connection->query);
	free(connection->body);
	connection->query = NULL;
	connection->body = NULL;
	connection->handler = NULL;
	weir_backup_upload_drop(connection->call.backup);
	if (connection->call.backup_job != 0)
		weir_backup_drop(connection->call.owner->backup, connection->call.backup_job);
	weir_fd_close(&connection->call.file_fd);
	memset(&connection->call, 0, sizeof(connection->call));
	connection->call.file_fd = -1;
}

/* False: the answer is set. */
static bool body_take(struct weir_api_connection *connection, const char *text, size_t bytes)
{
	struct weir_api_call *call = &connection->call;
	struct weir_model_error wrong;
	char sentence[sizeof(wrong.field) + sizeof(wrong.reason) + 2];
	int code = -ENOMEM;

	connection->body = malloc(bytes + 1);
	if (connection->body != NULL) {
		memcpy(connection->body, text, bytes);
		code = weir_api_json_parse(connection->body, &bytes, &call->body, &wrong);
	}
	if (code == 0) {
		call->text = (struct weir_span){.data = connection->body, .bytes = bytes};
		return true;
	}
	(void)snprintf(sentence, sizeof(sentence), "%s %s", wrong.field, wrong.reason); /* fits */
	if (code == -EINVAL)
		(void)weir_api_refuse(call, 400, "bad_json", wrong.field, sentence);
	else
		(void)weir_api_refuse(call, 503, "memory", NULL, "not enough memory for this request");
	return false;
}

static struct weir_span field_find(const struct weir_api_connection *connection, struct weir_span name)
{
	const struct weir_http_parser *parser = &connection->parser;

	for (uint16_t i = 0; i < parser->header_count; i++) {
		if (weir_span_equal_nocase(weir_http_slice_span(connection->in, parser->headers[i].name), name))
			return weir_http_slice_span(connection->in, parser->headers[i].value);
	}
	return WEIR_SPAN("");
}

/* The value of the field Authorization; empty where there is none. Of several none counts. */
static struct weir_span authorization_of(const struct weir_api_connection *connection)
{
	return connection->parser.authorization_fields > 1 ? WEIR_SPAN("more than once")
							   : field_find(connection, WEIR_SPAN("authorization"));
}

/* Behind the dialects' door: which dialect, and its client's address, as far as they are plain text. */
static void from_read(const struct weir_api_connection *connection, struct weir_history_author *author)
{
	const struct weir_span told = field_find(connection, WEIR_SPAN("x-weir-from"));

	if (connection->door != WEIR_API_DOOR_DIALECT || told.bytes == 0 || told.bytes >= sizeof(author->from) ||
	    !weir_model_text_clean(told.data, told.bytes))
		return;
	memcpy(author->from, told.data, told.bytes);
	author->from[told.bytes] = '\0';
}

void weir_api_call_start(struct weir_api_connection *connection, size_t head_bytes,
			 size_t body_bytes)
{
	const struct weir_http_parser *parser = &connection->parser;
	const struct weir_span path = weir_http_slice_span(connection->in, parser->path);
	const struct weir_span query = weir_http_slice_span(connection->in, parser->query);
	struct weir_api_call *call = &connection->call;
	char path_text[8193];

	weir_api_call_clear(connection);
	connection->started_ns = weir_clock_now_ns();
	call->method = parser->method == WEIR_HTTP_HEAD ? WEIR_HTTP_GET : parser->method;
	connection->query = strndup(query.bytes == 0 ? "" : query.data, query.bytes);
	if (connection->query != NULL)
		call->query = weir_span_of(connection->query);
	(void)snprintf(path_text, sizeof(path_text), "%.*s", (int)path.bytes,
		       path.data); /* targets are shorter */
	call->author = connection->author;
	call->door = connection->door;
	from_read(connection, &call->author);
	weir_api_caller_read(&call->caller, authorization_of(connection));
	connection->handler = weir_api_endpoint_find(call, path_text);
	if (connection->handler != NULL && body_bytes > 0 &&
	    !body_take(connection, connection->in + head_bytes, body_bytes))
		connection->handler = NULL;
	weir_api_author_complete(call);
}

/* Answers quote what others wrote, cut in the middle of a character perhaps: what is no UTF-8 becomes '?'. */
static void text_mend(char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		const size_t bytes = weir_model_utf8_bytes(text, left);

		if (bytes == 0)
			*text = '?';
		text += bytes == 0 ? 1 : bytes;
		left -= bytes == 0 ? 1 : bytes;
	}
}

/* The answer of a call that is done: its JSON, with the activation id in errors; or its file. */
static void answer_send(struct weir_api *api, struct weir_api_connection *connection)
{
	struct weir_api_call *call = &connection->call;
	const uint16_t status = call->status;
	char *text = NULL;
	int file_fd = -1;

	if (status >= 400) {
		(void)cJSON_AddStringToObject(call->answer, "activation",
					      connection->activation);
	}
	text = call->answer == NULL ? NULL : cJSON_PrintUnformatted(call->answer);
	file_fd = call->file_fd;
	call->file_fd = -1;
	weir_api_call_clear(connection);
	if (text != NULL)
		text_mend(text);
	if (file_fd != -1) {
		weir_api_connection_send_file(api, connection, file_fd, text == NULL ? "{}" : text);
		cJSON_free(text);
		return;
	}
	weir_api_connection_send(api, connection, text == NULL ? 503 : status, text,
				 text == NULL ? 0 : strlen(text));
}

/* The generation reached the shards, or did not in time. */
static void wait_answer(struct weir_api *api, struct weir_api_connection *connection,
			bool complete)
{
	struct weir_api_call *call = &connection->call;
	const struct weir_api_acknowledgement *last =
		complete ? &api->acknowledged : &api->partial;
	const bool known = complete || last->generation >= call->generation;
	const uint64_t took_us = (weir_clock_now_ns() - call->committed_ns) / 1000;

	if (call->answer == NULL)
		call->answer = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(call->answer, "generation",
				      (double)call->generation); /* or members lack */
	(void)cJSON_AddNumberToObject(call->answer, "acked", known ? last->acked : 0);
	(void)cJSON_AddNumberToObject(call->answer, "total", last->total);
	(void)cJSON_AddNumberToObject(call->answer, "milliseconds", (double)took_us / 1000);
	(void)cJSON_AddBoolToObject(call->answer, "acknowledged", complete);
	if (!complete) {
		call->status = 202;
		(void)cJSON_AddStringToObject(call->answer, "warning",
					      "saved, but not every shard acknowledged it in "
					      "time; it takes effect when "
					      "the gateway is back, see `ctrlctl status`");
	}
	answer_send(api, connection);
}

static void wait_look(struct weir_api *api, struct weir_api_connection *connection,
		      uint64_t now_ns)
{
	const struct weir_api_call *call = &connection->call;
	const uint64_t due_ns = call->committed_ns + WEIR_API_ACKNOWLEDGE_MS * WEIR_NS_PER_MS;

	if (api->acknowledged.generation >= call->generation) {
		wait_answer(api, connection, true);
	} else if (now_ns >= due_ns) {
		wait_answer(api, connection, false);
	} else {
		connection->deadline_ns = due_ns;
	}
}

void weir_api_call_run(struct weir_api *api, struct weir_api_connection *connection)
{
	struct weir_api_call *call = &connection->call;
	const uint64_t now_ns = weir_clock_now_ns();
	enum weir_api_result result = WEIR_API_DONE;

	if (call->generation != 0) {
		wait_look(api, connection, now_ns);
		return;
	}
	call->owner = &api->owner;
	if (connection->handler != NULL) {
		cJSON_Delete(call->answer); /* of the last try */
		call->answer = NULL;
	}
	/* Who may not learns nothing of what would be right. */
	if (connection->handler != NULL && weir_api_admit(call, &result) && weir_api_body_check(call)) {
		weir_history_author_set(api->owner.store, &call->author); /* as whom it was admitted */
		result = connection->handler(call);
		weir_history_author_set(api->owner.store, NULL);
	}
	switch (result) {
	case WEIR_API_DONE:
		answer_send(api, connection);
		break;
	case WEIR_API_WAIT:
		wait_look(api, connection, weir_clock_now_ns());
		break;
	case WEIR_API_PENDING: /* what it waits for has an end of its own */
		call->is_rerun = true;
		connection->started_ns = now_ns;
		connection->deadline_ns = now_ns + PENDING_MS * WEIR_NS_PER_MS;
		break;
	case WEIR_API_RETRY:
		call->is_rerun = true;
		if (now_ns - connection->started_ns >= WEIR_API_LOCKED_MS * WEIR_NS_PER_MS) {
			answer_send(api, connection);
		} else {
			connection->deadline_ns = now_ns + RETRY_MS * WEIR_NS_PER_MS;
		}
		break;
	}
}

void weir_api_acknowledge(struct weir_api *api,
			  const struct weir_api_acknowledgement *acknowledgement)
{
	api->partial = *acknowledgement;
	if (acknowledgement->total == 0 || acknowledgement->acked != acknowledgement->total ||
	    acknowledgement->generation < api->acknowledged.generation)
		return;
	api->acknowledged = *acknowledgement;
	for (size_t i = 0; i < WEIR_API_CONNECTIONS_MAX; i++) {
		struct weir_api_connection *connection = &api->connections[i];

		if (connection->fd != -1 && connection->state == WEIR_API_HANDLING &&
		    connection->call.generation != 0)
			wait_look(api, connection, weir_clock_now_ns());
	}
}
