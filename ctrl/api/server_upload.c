#include <errno.h>
#include <string.h>

#include "ctrl/api/server.h"
#include "dataplane/base/assert.h"

/* What is uploaded: functions over connection->upload, 0 or -errno with *error. */
struct weir_api_upload_kind {
	const char *path; /* POST */
	uint64_t bytes_max;
	int (*begin)(struct weir_api *api, struct weir_api_connection *connection, struct weir_code_error *error);
	int (*append)(void *upload, const void *data, size_t bytes);
	/* All came: the call has it now, and connection->upload is over either way. */
	int (*finish)(struct weir_api_connection *connection, struct weir_code_error *error);
	void (*drop)(void *upload);
};

static int code_begin(struct weir_api *api, struct weir_api_connection *connection, struct weir_code_error *error)
{
	char name[WEIR_CODE_NAME_BYTES_MAX + 1];
	struct weir_code_upload *upload = NULL;
	const int code = weir_code_upload_begin(
		api->owner.code, weir_api_query(&connection->call, "name", name, sizeof(name)) ? name : NULL, &upload);

	*error = (struct weir_code_error){
		.text = "the code cannot be stored: its file's name is not sound, or the disk is full"};
	connection->upload = upload;
	return code;
}

static int code_append(void *upload, const void *data, size_t bytes)
{
	return weir_code_upload_append(upload, data, bytes);
}

static int code_finish(struct weir_api_connection *connection, struct weir_code_error *error)
{
	return weir_code_upload_finish(connection->upload, connection->call.code, error);
}

static void code_drop(void *upload)
{
	weir_code_upload_drop(upload);
}

static int backup_begin(struct weir_api *api, struct weir_api_connection *connection, struct weir_code_error *error)
{
	struct weir_backup_upload *upload = NULL;
	const int code = weir_backup_upload_begin(api->owner.backup, connection->parser.content_length, &upload);

	*error = (struct weir_code_error){.text = "the disk of the data directory has no room for the backup"};
	connection->upload = upload;
	return code;
}

static int backup_append(void *upload, const void *data, size_t bytes)
{
	return weir_backup_upload_append(upload, data, bytes);
}

static int backup_finish(struct weir_api_connection *connection, struct weir_code_error *error)
{
	(void)error; /* what it is, its job finds out */
	connection->call.backup = connection->upload;
	return 0;
}

static void backup_drop(void *upload)
{
	weir_backup_upload_drop(upload);
}

static const struct weir_api_upload_kind kinds[] = {
	{"/weir/code", WEIR_CODE_UPLOAD_BYTES_MAX, code_begin, code_append, code_finish, code_drop},
	{"/weir/restore", WEIR_API_UPLOAD_BYTES_MAX, backup_begin, backup_append, backup_finish, backup_drop},
};

static const struct weir_api_upload_kind *kind_of(const struct weir_api_connection *connection)
{
	const struct weir_http_parser *parser = &connection->parser;
	const struct weir_span path = weir_http_slice_span(connection->in, parser->path);

	for (size_t i = 0; parser->method == WEIR_HTTP_POST && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (weir_span_equal(path, weir_span_of(kinds[i].path)))
			return &kinds[i];
	}
	return NULL;
}

bool weir_api_upload_is(const struct weir_api_connection *connection)
{
	return kind_of(connection) != NULL;
}

void weir_api_upload_drop(struct weir_api_connection *connection)
{
	if (connection->upload != NULL)
		connection->upload_kind->drop(connection->upload);
	connection->upload = NULL;
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
	const struct weir_api_upload_kind *kind = kind_of(connection);
	struct weir_api_call *call = &connection->call;
	enum weir_api_result result = WEIR_API_DONE;
	struct weir_code_error error;
	int code = 0;

	weir_api_call_start(connection, parser->head_bytes, 0);
	call->owner = &api->owner;
	if (connection->handler == NULL)
		return false;
	if (!weir_api_admit(call, &result)) /* before its bytes go to the disk; a lock in the way is said, too */
		return begin_failed(connection);
	if (parser->body != WEIR_HTTP_BODY_LENGTH || parser->content_length == 0) {
		(void)weir_api_refuse(call, 400, "invalid", NULL, "this request needs a body: the file");
		return begin_failed(connection);
	}
	if (parser->content_length > kind->bytes_max) {
		(void)weir_api_refuse(call, 413, "too_large", NULL, "this is more than may be uploaded");
		return begin_failed(connection);
	}
	code = kind->begin(api, connection, &error);
	if (code != 0) {
		upload_failed(call, code, &error);
		return begin_failed(connection);
	}
	connection->upload_kind = kind;
	connection->upload_left = parser->content_length;
	return true;
}

bool weir_api_upload_take(struct weir_api_connection *connection)
{
	const size_t head_bytes = connection->parser.head_bytes;
	struct weir_code_error error = {.text = "what is uploaded cannot be written to the disk"};
	struct weir_api_call *call = &connection->call;
	size_t bytes = connection->in_bytes - head_bytes;
	int code = 0;

	WEIR_ASSERT(connection->in_bytes >= head_bytes);
	if (bytes > connection->upload_left)
		bytes = connection->upload_left;
	code = connection->upload_kind->append(connection->upload, connection->in + head_bytes, bytes);
	connection->upload_left -= bytes;
	connection->in_bytes -= bytes;
	memmove(connection->in + head_bytes, connection->in + head_bytes + bytes,
		connection->in_bytes - head_bytes);
	if (code == 0 && connection->upload_left > 0)
		return false;
	if (code == 0) {
		code = connection->upload_kind->finish(connection, &error);
		connection->upload = NULL;
	} else {
		weir_api_upload_drop(connection);
		connection->keep_alive = false; /* the rest is not read */
	}
	if (code != 0) {
		upload_failed(call, code, &error);
		connection->handler = NULL;
	}
	return true;
}
