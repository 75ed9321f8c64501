#include <errno.h>
#include <string.h>

#include "ctrl/api/server.h"
#include "dataplane/base/assert.h"

static const char upload_path[] = "/weir/code";

bool weir_api_upload_is(const struct weir_api_connection *connection)
{
	const struct weir_http_parser *parser = &connection->parser;
	const struct weir_span path = weir_http_slice_span(connection->in, parser->path);

	return parser->method == WEIR_HTTP_POST && weir_span_equal(path, weir_span_of(upload_path));
}

/* How the upload went, as the call's answer where it failed. */
static void upload_failed(struct weir_api_call *call, int code,
			  const struct weir_code_error *error)
{
	static const struct {
		int code;
		uint16_t status;
		const char *word;
	} words[] = {
		{-EINVAL, 422, "invalid"},   {-EFBIG, 413, "too_large"}, {-ENOSPC, 507, "disk_full"},
		{-EDQUOT, 507, "disk_full"}, {-ENOMEM, 503, "memory"},	 {-EROFS, 503, "read_only"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].code != code)
			continue;
		(void)weir_api_refuse(call, words[i].status, words[i].word, NULL, error->text);
		return;
	}
	(void)weir_api_refuse(call, 500, "io", NULL, error->text);
}

/* The handler does not run; what stands in call->answer is sent. */
static bool begin_failed(struct weir_api_connection *connection)
{
	connection->handler = NULL;
	return false;
}

bool weir_api_upload_begin(struct weir_api *api, struct weir_api_connection *connection)
{
	const struct weir_http_parser *parser = &connection->parser;
	struct weir_api_call *call = &connection->call;
	char name[WEIR_CODE_NAME_BYTES_MAX + 1];
	int code = 0;

	weir_api_call_start(connection, parser->head_bytes, 0);
	call->owner = &api->owner;
	if (connection->handler == NULL)
		return false;
	if (parser->body != WEIR_HTTP_BODY_LENGTH || parser->content_length == 0) {
		(void)weir_api_refuse(call, 400, "invalid", NULL, "this request needs a body: the code");
		return begin_failed(connection);
	}
	code = weir_code_upload_begin(
		api->owner.code, weir_api_query(call, "name", name, sizeof(name)) ? name : NULL,
		&connection->upload);
	if (code != 0) {
		const struct weir_code_error error = {
			.text = "the code cannot be stored: its file's name is not sound, or the "
				"disk is full"};

		upload_failed(call, code, &error);
		return begin_failed(connection);
	}
	connection->upload_left = parser->content_length;
	return true;
}

bool weir_api_upload_take(struct weir_api_connection *connection)
{
	const size_t head_bytes = connection->parser.head_bytes;
	struct weir_code_error error = {.text = "the code cannot be written to the disk"};
	struct weir_api_call *call = &connection->call;
	size_t bytes = connection->in_bytes - head_bytes;
	int code = 0;

	WEIR_ASSERT(connection->in_bytes >= head_bytes);
	if (bytes > connection->upload_left)
		bytes = connection->upload_left;
	code = weir_code_upload_append(connection->upload, connection->in + head_bytes, bytes);
	connection->upload_left -= bytes;
	connection->in_bytes -= bytes;
	memmove(connection->in + head_bytes, connection->in + head_bytes + bytes,
		connection->in_bytes - head_bytes);
	if (code == 0 && connection->upload_left > 0)
		return false;
	if (code == 0) {
		code = weir_code_upload_finish(connection->upload, call->code, &error);
	} else {
		weir_code_upload_drop(connection->upload);
		connection->keep_alive = false; /* the rest is not read */
	}
	connection->upload = NULL;
	if (code != 0) {
		upload_failed(call, code, &error);
		connection->handler = NULL;
	}
	return true;
}
