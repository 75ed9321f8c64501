#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "ctrl/api/server.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/fd.h"
#include "dataplane/http/http_response.h"

enum {
	SEND_MS = 10000,           /* without the peer taking a byte */
	SEND_FILE_MS = 120000,     /* of a file: who takes it may write it to something slow */
	SEND_FILE_BYTES = 1 << 20, /* at once, then the others come first */
};

static void output_free(struct weir_api_connection *connection)
{
	cJSON_free(connection->out);
	connection->out = NULL;
	connection->out_bytes = 0;
	connection->out_at = 0;
}

/* Write some of the answer that is a file. True: it is through. */
static bool file_write(struct weir_api *api, struct weir_api_connection *connection)
{
	const size_t bytes = connection->file_left < SEND_FILE_BYTES ? (size_t)connection->file_left : SEND_FILE_BYTES;
	const ssize_t sent = bytes == 0 ? 0 : sendfile(connection->fd, connection->file_fd, NULL, bytes);

	if (sent > 0) {
		connection->file_left -= (uint64_t)sent;
		weir_api_connection_deadline_set(connection, SEND_FILE_MS);
	}
	if (connection->file_left == 0) {
		weir_fd_close(&connection->file_fd);
		return true;
	}
	if (sent > 0 || (sent < 0 && (errno == EAGAIN || errno == EINTR)))
		weir_api_connection_interest_set(api, connection, EPOLLOUT);
	else /* the peer left, or the disk does not give what it has: the length that was told is not reached */
		weir_api_connection_close(api, connection);
	return false;
}

/* Write what is left of the answer. */
void weir_api_connection_write(struct weir_api *api, struct weir_api_connection *connection)
{
	while (connection->out_at < connection->head_bytes + connection->out_bytes) {
		const size_t head_left = connection->out_at < connection->head_bytes
						 ? connection->head_bytes - connection->out_at
						 : 0;
		const size_t body_at = connection->out_at + head_left - connection->head_bytes;
		struct iovec parts[2] = {
			{.iov_base = connection->head + connection->head_bytes - head_left,
			 .iov_len = head_left},
			{.iov_base = connection->out + body_at,
			 .iov_len = connection->out_bytes - body_at},
		};
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
		const ssize_t sent =
			sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			weir_api_connection_interest_set(api, connection, EPOLLOUT);
			return;
		}
		if (sent <= 0) {
			weir_api_connection_close(api, connection);
			return;
		}
		connection->out_at += (size_t)sent;
		weir_api_connection_deadline_set(connection, SEND_MS);
	}
	if (connection->file_fd != -1 && !file_write(api, connection))
		return;
	output_free(connection);
	if (!connection->keep_alive) {
		weir_api_connection_close(api, connection);
	} else {
		weir_api_connection_read_start(api, connection);
	}
}

/* The head of an answer with so many bytes of body. */
static void head_write(struct weir_api_connection *connection, uint16_t status, uint64_t body_bytes,
		       const struct weir_http_field *fields, size_t field_count)
{
	char date[29];
	const struct weir_http_response_head head = {
		.status = status,
		.minor = connection->parser.minor,
		.keep_alive = connection->keep_alive,
		.content_length = body_bytes,
		.activation = connection->activation,
		.date = date,
		.fields = fields,
		.field_count = field_count,
	};

	weir_http_date_format((int64_t)time(NULL), date);
	connection->head_bytes = weir_http_response_head_write(&head, connection->head,
							       sizeof(connection->head));
	WEIR_ASSERT(connection->head_bytes > 0);
}

void weir_api_connection_send_file(struct weir_api *api, struct weir_api_connection *connection, int fd,
				   const char *report)
{
	const struct weir_http_field fields[] = {
		{WEIR_SPAN("content-type"), WEIR_SPAN("application/octet-stream")},
		{WEIR_SPAN("x-weir-report"), weir_span_of(report)},
	};
	struct stat info = {.st_size = 0};

	WEIR_ASSERT(fstat(fd, &info) == 0); /* a descriptor of ours */
	head_write(connection, 200, (uint64_t)info.st_size, fields, sizeof(fields) / sizeof(fields[0]));
	connection->file_fd = fd;
	connection->file_left = connection->parser.method == WEIR_HTTP_HEAD ? 0 : (uint64_t)info.st_size;
	connection->out_at = 0;
	connection->state = WEIR_API_WRITING;
	weir_api_connection_deadline_set(connection, SEND_FILE_MS);
	weir_api_connection_write(api, connection);
}

void weir_api_connection_send(struct weir_api *api, struct weir_api_connection *connection,
			      uint16_t status, char *body, size_t body_bytes)
{
	const struct weir_http_field fields[] = {
		{WEIR_SPAN("content-type"), WEIR_SPAN("application/json")},
	};

	head_write(connection, status, body_bytes, fields, sizeof(fields) / sizeof(fields[0]));
	connection->out = body;
	connection->out_bytes = connection->parser.method == WEIR_HTTP_HEAD ? 0 : body_bytes;
	connection->out_at = 0;
	connection->state = WEIR_API_WRITING;
	weir_api_connection_deadline_set(connection, SEND_MS);
	weir_api_connection_write(api, connection);
}
