#include "bench/load_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_BYTES_MAX 4096
#define PATH_STEP         1000003 /* a prime over WEIR_LOAD_PATHS_MAX: every path is visited */
#define BODY_SHIFTS       61      /* a prime: connections and windows do not fall into step */
#define BODY_SHIFT_BYTES  64

/* The request for path number `path`; its bytes, or -E2BIG. */
static int request_write(const struct weir_load_options *options, uint32_t path,
			 char out[REQUEST_BYTES_MAX])
{
	const char *text = options->path;
	const char *mark = options->paths > 1 ? strstr(text, "%u") : NULL;
	const int before = mark != NULL ? (int)(mark - text) : (int)strlen(text);
	char number[16] = "";
	char length[64] = "";

	if (mark != NULL)
		(void)snprintf(number, sizeof(number), "%u", path); /* always fits */
	if (options->body_bytes > 0)
		(void)snprintf(length, sizeof(length), "Content-Length: %u\r\n",
			       options->body_bytes); /* always fits */
	const int bytes = snprintf(out, REQUEST_BYTES_MAX,
				   "%s %.*s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n",
				   options->body_bytes > 0 ? "POST" : "GET", before, text,
				   number, mark != NULL ? mark + 2 : "", options->port, length);

	return bytes < 0 || bytes >= REQUEST_BYTES_MAX ? -E2BIG : bytes;
}

static int heads_build(const struct weir_load_options *options,
		       struct weir_load_requests *requests)
{
	const uint32_t count = options->paths + options->pipeline;
	char one[REQUEST_BYTES_MAX];
	uint32_t used = 0;
	uint32_t room = 0;

	requests->head_at = calloc(count + 1, sizeof(*requests->head_at));
	if (requests->head_at == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const int bytes = request_write(options, i % options->paths, one);

		if (bytes < 0)
			return bytes;
		if (used + (uint32_t)bytes > room) {
			room = 2 * room + REQUEST_BYTES_MAX;
			char *grown = realloc(requests->heads, room);

			if (grown == NULL)
				return -ENOMEM;
			requests->heads = grown;
		}
		memcpy(requests->heads + used, one, (size_t)bytes);
		used += (uint32_t)bytes;
		requests->head_at[i + 1] = used;
	}
	return 0;
}

/* Bytes without a period that a window's start could hit again (xorshift64). */
static int body_build(struct weir_load_requests *requests)
{
	const size_t bytes = (size_t)requests->body_bytes + BODY_SHIFTS * BODY_SHIFT_BYTES;
	uint64_t state = 0x9e3779b97f4a7c15u;

	requests->body = malloc(bytes);
	if (requests->body == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < bytes; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		requests->body[i] = (char)(state >> 56);
	}
	return 0;
}

int weir_load_requests_build(const struct weir_load_options *options,
			     struct weir_load_requests *out_requests)
{
	*out_requests = (struct weir_load_requests){
		.paths = options->paths,
		.pipeline = options->pipeline,
		.body_bytes = options->body_bytes,
	};
	const int status = heads_build(options, out_requests);

	return status == 0 && options->body_bytes > 0 ? body_build(out_requests) : status;
}

struct weir_load_batch weir_load_requests_next(struct weir_load_requests *requests)
{
	const uint32_t first = requests->head_at[requests->path_next];
	const uint32_t end = requests->head_at[requests->path_next + requests->pipeline];
	struct weir_load_batch batch = {
		.head = requests->heads + first,
		.head_bytes = end - first,
	};

	if (requests->paths > 1)
		requests->path_next = (requests->path_next + PATH_STEP) % requests->paths;
	if (requests->body != NULL) {
		batch.body = requests->body + (size_t)requests->shift_next * BODY_SHIFT_BYTES;
		requests->shift_next = (requests->shift_next + 1) % BODY_SHIFTS;
	}
	return batch;
}
