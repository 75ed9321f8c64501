/* client: one HTTP request over one of the instance's Unix sockets, and its answer. Private to
 * ctrlctl. The answer is parsed by llhttp, as everywhere. */
#ifndef WEIR_CTRL_CTRLCTL_CLIENT_H
#define WEIR_CTRL_CTRLCTL_CLIENT_H

#include <cjson/cJSON.h>

#include "ctrl/ctrlctl/ctl.h"

enum { WEIR_CTL_ANSWER_BYTES_MAX = 256 << 20, WEIR_CTL_HEAD_BYTES_MAX = 16384 };

struct weir_ctl_request {
	const char *socket_name; /* "api.sock" */
	const char *method;
	const char *target; /* encoded */
	const char *host;
	const char *content_type; /* NULL: none is sent */
	const char *fields;       /* others, each ended by CR LF; NULL: none */
	const char *body;
	size_t body_bytes;
	uint32_t patience_ms; /* without a byte from the instance */
	void (*progress)(size_t sent, size_t bytes); /* of the body; NULL: nobody looks */
	/* Takes the body of an answer with status 200, piece by piece, instead of memory; `bytes_all` is the length
	 * that was told. False: it cannot, and said why. NULL: nobody does. */
	bool (*sink)(void *context, const void *data, size_t bytes, uint64_t bytes_all);
	void *sink_context;
};

struct weir_ctl_answer {
	unsigned status;
	char head[WEIR_CTL_HEAD_BYTES_MAX]; /* "name: value" lines; cut where longer */
	char *body; /* NUL-terminated behind body_bytes; free() */
	size_t body_bytes;
};

/* Send and receive. Says what is wrong itself: WEIR_CTL_UNREACHABLE (nobody listens, or no answer
 * within the time), WEIR_CTL_FAILED (broken answer), WEIR_CTL_USAGE (path too long for a socket). */
enum weir_ctl_exit weir_ctl_request(const struct weir_ctl_call *call,
				    const struct weir_ctl_request *request,
				    struct weir_ctl_answer *out_answer);

/* The value of a field of the answer's head (its name in lower case), until the line's end; NULL: it has none. */
const char *weir_ctl_answer_field(const struct weir_ctl_answer *answer, const char *name);

/* Connect to DATA/run/`socket_name`. WEIR_CTL_OK and *out_fd, or as above; `quiet` says nothing. */
enum weir_ctl_exit weir_ctl_connect(const struct weir_ctl_call *call, const char *socket_name,
				    int type, bool quiet, int *out_fd);

/* One call of the management API. `body` may be NULL; it is released. WEIR_CTL_OK and *out_json for
 * answers below 400; otherwise prints the error and returns the exit code for it. */
enum weir_ctl_exit weir_ctl_api(const struct weir_ctl_call *call, const char *method,
				const char *target, cJSON *body, cJSON **out_json);

/* The answer to a request that was sent by weir_ctl_request(): as above; releases the answer. */
enum weir_ctl_exit weir_ctl_answer_json(struct weir_ctl_answer *answer, cJSON **out_json);

/* Lines of somebody else, such as a builder, to standard error; a terminal gets no control characters of them. */
void weir_ctl_log_print(const char *log);

/* The same for calls that take long: `patience_ms` without an answer. */
enum weir_ctl_exit weir_ctl_api_patient(const struct weir_ctl_call *call, const char *method,
					const char *target, cJSON *body, uint32_t patience_ms,
					cJSON **out_json);

/* The end of a change: say how far the new generation got (not with -o json). Releases `json`. */
enum weir_ctl_exit weir_ctl_change_end(const struct weir_ctl_call *call, cJSON *json);

/* Its result alone; what it was is the caller's to say. Releases `json`. */
enum weir_ctl_exit weir_ctl_change_check(cJSON *json);

/* The same for changes: prints how far the new generation got. */
enum weir_ctl_exit weir_ctl_api_change(const struct weir_ctl_call *call, const char *method,
				       const char *target, cJSON *body);

/* Append `text` to target[0 .. max-1], percent-encoded. Too long: false. */
bool weir_ctl_encode(char *target, size_t max, const char *text);

#endif
