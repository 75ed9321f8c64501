/* nested_fixture: what a played worker does when one of its calls calls another function. */
#ifndef WEIR_TESTS_GATEWAY_NESTED_FIXTURE_H
#define WEIR_TESTS_GATEWAY_NESTED_FIXTURE_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/abi/nested.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/call.h"
#include "dataplane/shm/head_check.h"
#include "tests/gateway/rig.h"

static const char GET_F[] = "GET /f HTTP/1.1\r\nHost: t\r\n\r\n";
static const char GET_G[] = "GET /g HTTP/1.1\r\nHost: t\r\n\r\n";

/* One nested call as its parent's worker has it. */
struct nested {
	struct rig_worker *worker;
	struct weir_message parent; /* HEAD of the parent's call */
	uint32_t slot;
	uint32_t chunk;
};

static inline struct weir_message nested_message(const struct nested *nested, enum weir_nested_op op)
{
	return (struct weir_message){.kind = WEIR_MESSAGE_CALL,
				     .call = nested->parent.call,
				     .sequence = nested->parent.sequence,
				     .chunk = WEIR_CHUNK_NONE,
				     .grant = WEIR_CHUNK_NONE,
				     .code = weir_nested_code(nested->slot, op)};
}

static inline void nested_push(const struct nested *nested, enum weir_nested_op op)
{
	const struct weir_message message = nested_message(nested, op);

	rig_worker_push(nested->worker, &message);
}

/* The next message, which is about this slot. */
static inline struct weir_message nested_pop(const struct nested *nested, enum weir_nested_op op)
{
	const struct weir_message message = rig_worker_pop(nested->worker);

	assert_int_equal(message.kind, WEIR_MESSAGE_CALL);
	assert_int_equal(message.call, nested->parent.call);
	assert_int_equal(message.sequence, nested->parent.sequence);
	assert_int_equal(message.code, weir_nested_code(nested->slot, op));
	return message;
}

static inline struct nested nested_open(struct rig_worker *worker, const struct weir_message *parent,
					uint32_t slot)
{
	struct nested nested = {.worker = worker, .parent = *parent, .slot = slot};

	nested_push(&nested, WEIR_NESTED_OPEN);
	nested.chunk = nested_pop(&nested, WEIR_NESTED_CHUNK).grant;
	return nested;
}

static inline uint8_t *nested_chunk(const struct nested *nested, size_t *out_room)
{
	return weir_segment_chunk(&nested->worker->segment.pair[0], nested->chunk, out_room);
}

/* Write a head for `POST path` of the function `name` with one field; returns its bytes. */
static inline uint32_t nested_head_with(const struct nested *nested, const char *name, const char *path,
					const char *field, const char *value)
{
	struct weir_request_head head = {.method = 2, .field_count = 1};
	struct weir_head_field row;
	size_t room, at = sizeof(head) + sizeof(row);
	uint8_t *out = nested_chunk(nested, &room);

	row.name = (struct weir_head_slice){.offset = (uint16_t)at, .bytes = (uint16_t)strlen(field)};
	memcpy(out + at, field, strlen(field));
	at += strlen(field);
	row.value = (struct weir_head_slice){.offset = (uint16_t)at, .bytes = (uint16_t)strlen(value)};
	memcpy(out + at, value, strlen(value));
	at += strlen(value);
	head.target = (struct weir_head_slice){.offset = (uint16_t)at, .bytes = (uint16_t)strlen(name)};
	memcpy(out + at, name, strlen(name));
	at += strlen(name);
	head.path = (struct weir_head_slice){.offset = (uint16_t)at, .bytes = (uint16_t)strlen(path)};
	memcpy(out + at, path, strlen(path));
	at += strlen(path);
	head.bytes = (uint32_t)at;
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &row, sizeof(row));
	return head.bytes;
}

static inline uint32_t nested_head(const struct nested *nested, const char *name, const char *path)
{
	return nested_head_with(nested, name, path, "x-kind", "test");
}

static inline void nested_put(const struct nested *nested, uint32_t head_bytes, uint32_t bytes,
			      uint8_t flags)
{
	struct weir_message message = nested_message(nested, WEIR_NESTED_PUT);

	message.flags = flags;
	message.chunk = nested->chunk;
	message.head_bytes = head_bytes;
	message.bytes = bytes;
	rig_worker_push(nested->worker, &message);
}

/* Call `name` with a body that fits the chunk. */
static inline void nested_call(const struct nested *nested, const char *name, const char *body,
			       uint8_t flags)
{
	const uint32_t head_bytes = nested_head(nested, name, "/nested");
	size_t room;

	memcpy(nested_chunk(nested, &room) + head_bytes, body, strlen(body));
	nested_put(nested, head_bytes, head_bytes + (uint32_t)strlen(body),
		   flags | WEIR_MESSAGE_FLAG_END);
}

/* Call `name`, which shall have so much memory. */
static inline void nested_ask(const struct nested *nested, const char *name, const char *memory_mb, uint8_t flags)
{
	const uint32_t head_bytes = nested_head_with(nested, name, "/nested", "x-weir-memory-mb", memory_mb);

	nested_put(nested, head_bytes, head_bytes, flags | WEIR_MESSAGE_FLAG_END);
}

static inline void nested_more(const struct nested *nested)
{
	struct weir_message message = nested_message(nested, WEIR_NESTED_MORE);

	message.chunk = nested->chunk;
	rig_worker_push(nested->worker, &message);
}

/* The whole answer in one part: its status, and that `text` is in its body. */
static inline unsigned nested_answer(const struct nested *nested, const char *text)
{
	const struct weir_message message = nested_pop(nested, WEIR_NESTED_REPLY);
	struct weir_response_head head;
	char body[4096];
	size_t room;
	const uint8_t *data = nested_chunk(nested, &room);

	assert_int_equal(message.chunk, nested->chunk);
	assert_int_equal(message.flags, WEIR_MESSAGE_FLAG_END);
	memcpy(&head, data + sizeof(struct weir_nested_reply), sizeof(head));
	assert_int_equal(weir_head_check_response(data + sizeof(struct weir_nested_reply),
						  message.head_bytes - sizeof(struct weir_nested_reply)),
			 0);
	assert_true(message.bytes - message.head_bytes < sizeof(body));
	memcpy(body, data + message.head_bytes, message.bytes - message.head_bytes);
	body[message.bytes - message.head_bytes] = '\0';
	if (!strstr(body, text))
		fail_msg("'%s' is not in '%s'", text, body);
	return head.status;
}

static inline void expect_status(int client, const char *status_line)
{
	char answer[2048];

	rig_read_answer(client, answer, sizeof(answer));
	answer[strlen(status_line)] = '\0';
	assert_string_equal(answer, status_line);
}

/* A client's request to f that runs on the worker. */
static inline struct weir_message begin_parent(struct rig *rig, struct rig_worker *worker, int *out_client)
{
	*out_client = rig_client(rig);
	rig_send(*out_client, GET_F);
	return rig_worker_accept(worker);
}

static inline void end_parent(struct rig_worker *worker, const struct weir_message *parent, int client)
{
	rig_worker_answer(worker, parent, 200, "parent");
	expect_status(client, "HTTP/1.1 200");
	close(client);
}

#endif
