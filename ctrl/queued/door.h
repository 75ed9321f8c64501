/* door: what door.c and door_people.c share: one request to function `queue`.
 * Threads, owner: as queued.h says; everything here ends with the request. */
#ifndef WEIR_CTRL_QUEUED_DOOR_H
#define WEIR_CTRL_QUEUED_DOOR_H

#include <cjson/cJSON.h>

#include "ctrl/queued/queued.h"
#include "dataplane/runtime/whole.h"

enum { WEIR_DOOR_FIELDS_MAX = 8, WEIR_DOOR_TEXT_BYTES = 256 };

struct weir_door {
	struct weir_runtime_call *call;
	struct weir_writer *writer;
	const struct weir_queue_limits *limits;
	struct weir_span method;
	struct weir_span path; /* without the leading "/weir/async" */
	struct weir_whole_body body;
	struct weir_operation *operation; /* of it; NULL: none, or the writer's */
};

/* A field of the request, any case; empty: there is none. */
struct weir_span weir_door_field(const struct weir_door *door, const char *name);

/* May who calls reach calls of functions of this namespace? Nobody may where everybody must be somebody. */
bool weir_door_may(const struct weir_door *door, const char *space);

/* May he be told that there are such calls? Those of the namespace that all may call are not for all to see: whoever
 * has a call's id made it. */
bool weir_door_may_list(const struct weir_door *door, const char *space);

/* Make the operation; have it done. 0, or an errno that ends the call. */
int weir_door_operation(struct weir_door *door, enum weir_operation_kind kind);
int weir_door_do(struct weir_door *door);

/* Answer, and send for runners. `type` may be NULL. */
int weir_door_answer(struct weir_door *door, uint32_t status, const char *type, struct weir_span body,
		     const struct weir_runtime_field *fields, size_t field_count);
/* With JSON, which is taken over (NULL: no memory). */
int weir_door_answer_json(struct weir_door *door, uint32_t status, cJSON *json,
			  const struct weir_runtime_field *fields, size_t field_count);
/* An error in Weir's form: word and sentence. */
int weir_door_refuse(struct weir_door *door, uint32_t status, const char *word, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The operation's result is none that the door knows: the database's trouble. */
int weir_door_trouble(struct weir_door *door);

/* 32 hex digits. False: it is none. */
bool weir_door_id_read(struct weir_span text, struct weir_id *out_id);

/* What is asked for by anybody: door_people.c. */
int weir_door_accept(struct weir_door *door, struct weir_span space, struct weir_span name);
int weir_door_call_get(struct weir_door *door, struct weir_id id);
int weir_door_result_get(struct weir_door *door, struct weir_id id);
int weir_door_call_change(struct weir_door *door, struct weir_id id);
int weir_door_status(struct weir_door *door);

#endif
