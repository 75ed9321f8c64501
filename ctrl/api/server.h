/* server: the connections behind the API's socket. Private to ctrl/api: server.c moves bytes,
 * server_call.c runs handlers and waits for what they wait for, server_answer.c sends answers, server_upload.c takes bodies that are
 * code or backups: they go to the disk as they come. An answer may be a file, which is sent as the peer
 * takes it. */
#ifndef WEIR_CTRL_API_SERVER_H
#define WEIR_CTRL_API_SERVER_H

#include "ctrl/api/call.h"
#include "dataplane/base/id.h"

enum { WEIR_API_HEAD_BYTES_MAX = 16384 };
#define WEIR_API_UPLOAD_BYTES_MAX (UINT64_C(1) << 40) /* the disk is full before */

enum weir_api_connection_state {
	WEIR_API_READING,  /* a request, or nothing yet */
	WEIR_API_UPLOADING, /* a body that is code or a backup */
	WEIR_API_HANDLING, /* the handler waits: for a lock, or for the shards */
	WEIR_API_WRITING,  /* the answer */
};

struct weir_api_connection {
	int fd; /* -1: this place is free */
	enum weir_api_connection_state state;
	bool head_done;
	bool continued; /* 100 Continue was sent */
	bool keep_alive;
	uint64_t deadline_ns; /* when to look without an event */
	struct weir_http_parser parser;
	char *in;
	size_t in_bytes;
	size_t in_room;
	char activation[33];
	char head[1536];
	size_t head_bytes;
	char *out; /* the answer's body, from cJSON or malloc */
	size_t out_bytes;
	size_t out_at; /* of head and body */
	struct weir_history_author author; /* the peer; without `what` */
	enum weir_api_door door;
	struct weir_api_call call;
	const struct weir_api_upload_kind *upload_kind; /* UPLOADING */
	void *upload;                                   /* of that kind */
	uint64_t upload_left;                           /* bytes that are still to come */
	int file_fd;                                    /* WRITING: the answer's body behind the head; -1: `out` is */
	uint64_t file_left;
	weir_api_handler *handler;
	char *query;         /* keeps call.query */
	char *body;          /* keeps call.text */
	uint64_t started_ns; /* of the call */
};

struct weir_api {
	struct weir_api_owner owner;
	enum weir_api_door door;
	int epoll_fd;
	int listen_fd;
	char socket_path[108];
	char own_name[WEIR_HISTORY_WHO_BYTES]; /* of the user who runs this; or the number */
	struct weir_id_source ids;
	struct weir_api_acknowledgement acknowledged; /* newest that all shards took */
	struct weir_api_acknowledgement partial;      /* last word of the data path */
	struct weir_api_connection connections[WEIR_API_CONNECTIONS_MAX];
};

/* server.c: close it; look at it without an event then; wait for these events; wait for a request, or take the
 * next one that stands in the input. */
void weir_api_connection_close(struct weir_api *api, struct weir_api_connection *connection);
void weir_api_connection_deadline_set(struct weir_api_connection *connection, uint64_t ms);
void weir_api_connection_interest_set(struct weir_api *api, struct weir_api_connection *connection,
				      uint32_t events);
void weir_api_connection_read_start(struct weir_api *api, struct weir_api_connection *connection);

/* Write what is left of the answer. */
void weir_api_connection_write(struct weir_api *api, struct weir_api_connection *connection);

/* Send an answer; `body` (from malloc, may be NULL with 0 bytes) passes over. May close the connection. */
void weir_api_connection_send(struct weir_api *api, struct weir_api_connection *connection,
			      uint16_t status, char *body, size_t body_bytes);

/* Send the file `fd` (which passes over) as the answer; `report` is one line about it, for a field of the head. */
void weir_api_connection_send_file(struct weir_api *api, struct weir_api_connection *connection, int fd,
				   const char *report);

/* A complete request stands at the start of connection->in: prepare the call. */
void weir_api_call_start(struct weir_api_connection *connection, size_t head_bytes,
			 size_t body_bytes);

/* Is the request, whose head is complete, an upload? */
bool weir_api_upload_is(const struct weir_api_connection *connection);

/* Begin to take it; the head stays at the start of connection->in until the end. False: refused, the
 * answer is in connection->call. */
bool weir_api_upload_begin(struct weir_api *api, struct weir_api_connection *connection);

/* Take the body's bytes that stand behind the head. True: it is complete, or broke; the call is
 * prepared, and what came behind the body has moved to the head's end. */
bool weir_api_upload_take(struct weir_api_connection *connection);

/* Forget what came of it so far. */
void weir_api_upload_drop(struct weir_api_connection *connection);

/* Run the handler, or look again at what it waits for; answers when that is done or overdue. */
void weir_api_call_run(struct weir_api *api, struct weir_api_connection *connection);

/* Release what the call holds. */
void weir_api_call_clear(struct weir_api_connection *connection);

#endif
