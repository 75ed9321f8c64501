/* dialect: one adapter for each system whose clients Weir serves: their paths, bodies, answers and errors over
 * Weir's own functions and management API.
 *
 *   client --> gateway --> dialectd (a worker) --serve()--> adapter --invoke()--> any function, over the rings
 *                                                                   '-manage()--> weir-ctrld's API
 *
 * An adapter has a file of its own and knows neither rings nor sockets: it gets a request and these operations,
 * and leaves a reply. What clients call only needs invoke(), so that it goes on while ctrld is away.
 * Threads: calls take turns, one runs until it waits in an operation; so what an adapter keeps between calls
 * needs no lock, and may be another after each operation. Owns: its reply, until serve() has returned. */
#ifndef WEIR_CTRL_DIALECT_DIALECT_H
#define WEIR_CTRL_DIALECT_DIALECT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctrl/model/model.h"
#include "dataplane/base/span.h"

enum {
	WEIR_DIALECT_FIELDS_MAX = 8,
	WEIR_DIALECT_JSON_DEPTH_MAX = 32,
	WEIR_DIALECT_JSON_VALUES_MAX = 65536, /* of a body: each costs some 100 bytes while it is looked at */
	WEIR_DIALECT_JSON_BYTES_MAX = 2 << 20,
	WEIR_DIALECT_CODE_BYTES_MAX = 64 << 20,
	WEIR_DIALECT_INPUT_BYTES_MAX = 1 << 20, /* of an invocation */
	WEIR_DIALECT_SENTENCE_BYTES = 512,
	WEIR_DIALECT_TARGET_BYTES = 1024,
	WEIR_DIALECT_KEPT_BYTES_MAX = 65536,
	WEIR_DIALECT_ID_BYTES = 33, /* of an activation: 32 hex digits, and the NUL */
};

struct weir_dialect_field {
	struct weir_span name;
	struct weir_span value;
};

/* A function to call, as `space`/`name`; it is a POST of `body`. */
struct weir_dialect_invocation {
	const char *space; /* NULL: `name` is one of Weir's own */
	const char *name;
	const char *path;  /* NULL: "/" */
	const char *query; /* NULL: none */
	bool is_get;
	struct weir_span body;
	const struct weir_dialect_field *fields;
	size_t field_count;
};

/* The function's answer, or Weir's own where none could run. Valid until the next invoke() of this call. */
struct weir_dialect_result {
	uint32_t status;
	struct weir_span type; /* content-type; empty: none */
	struct weir_span body;
	uint64_t took_ns;
	char activation[WEIR_DIALECT_ID_BYTES]; /* its own */
	const char *failure; /* the word of Weir's own errors ("call_unknown"); NULL: the function answered */
	char sentence[WEIR_DIALECT_SENTENCE_BYTES]; /* of that error */
};

/* A request to the management API: JSON, or bytes where `json` is NULL. */
struct weir_dialect_order {
	const char *method;
	const char *target; /* path and query, percent-encoded where needed: weir_dialect_target() */
	const cJSON *json;
	struct weir_span body;
	bool is_nobodys; /* as nobody, not as who calls */
};

/* What it said. Released by weir_dialect_verdict_release(). */
struct weir_dialect_verdict {
	uint16_t status; /* 503 with a sentence of ours where ctrld is away */
	cJSON *json;     /* NULL: the answer is no JSON */
	char *text;      /* as it came, NUL-terminated */
	size_t bytes;
};

struct weir_dialect_call;

struct weir_dialect_ops {
	/* The answer of a function: 0, or -errno: -ECANCELED (nobody waits for the reply: return soon),
	 * -EMSGSIZE (body over 1 MiB, or answer), others. */
	int (*invoke)(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
		      struct weir_dialect_result *out_result);
	/* 0 with a verdict, or -ECANCELED, -ENOMEM. */
	int (*manage)(struct weir_dialect_call *call, const struct weir_dialect_order *order,
		      struct weir_dialect_verdict *out_verdict);
	/* What the call of that activation was answered, at most WEIR_DIALECT_KEPT_BYTES_MAX bytes of JSON:
	 * GET /weir/activations/ID/answer tells it later. Waits for nobody; what comes too fast is dropped and counted. */
	void (*keep)(struct weir_dialect_call *call, const char *activation, struct weir_span json);
	/* A part of the path, decoded; a field of the head (any case). Empty: there is none. */
	struct weir_span (*param)(const struct weir_dialect_call *call, const char *name);
	struct weir_span (*field)(const struct weir_dialect_call *call, const char *name);
};

struct weir_dialect_reply {
	uint16_t status;
	const char *type;
	char *text; /* from malloc */
	size_t bytes;
	struct weir_dialect_field field[WEIR_DIALECT_FIELDS_MAX]; /* static texts, or parts of `kept` */
	size_t field_count;
	char kept[WEIR_DIALECT_SENTENCE_BYTES];
	size_t kept_bytes;
};

/* Who calls, as the gateway found out. Orders to the API carry the same credentials, so the API finds out itself. */
struct weir_dialect_caller {
	enum weir_role role;    /* NOBODY: no key was sent */
	struct weir_span space; /* of the key */
	bool is_required;       /* nobody may do nothing */
};

struct weir_dialect_call {
	const struct weir_dialect_ops *ops;
	struct weir_span method; /* "POST" */
	struct weir_span pattern; /* of the route that led here */
	struct weir_span path;    /* decoded */
	struct weir_span query;   /* undecoded */
	struct weir_span body;    /* all of it */
	struct weir_dialect_caller caller;
	char activation[WEIR_DIALECT_ID_BYTES];
	struct weir_dialect_reply reply;
};

struct weir_dialect {
	const char *name; /* of its function in weir.system */
	const char *space; /* the only namespace that it reaches; NULL: its adapter looks after who may */
	size_t body_bytes_max; /* of a request; WEIR_DIALECT_JSON_BYTES_MAX, or _CODE_ where code comes as it is */
	/* Leave a reply. 0, or -errno where none can be made: -ECANCELED, -ENOMEM. */
	int (*serve)(struct weir_dialect_call *call);
};

extern const struct weir_dialect weir_dialect_faasm;
extern const struct weir_dialect weir_dialect_project;
extern const struct weir_dialect weir_dialect_spike;
extern const struct weir_dialect weir_dialect_upload;
extern const struct weir_dialect weir_dialect_vespid;
extern const struct weir_dialect weir_dialect_openwhisk;

/* ---- for adapters: dialect.c ---- */

/* May who calls do what `needed` may, in this namespace? Where nobody has to be somebody, nobody may. */
bool weir_dialect_may(const struct weir_dialect_call *call, enum weir_role needed, const char *space);

/* Reply with JSON (taken over; NULL: no memory) or with text of any type. 0 or -ENOMEM. */
int weir_dialect_reply_json(struct weir_dialect_call *call, uint16_t status, cJSON *json);
int weir_dialect_reply_text(struct weir_dialect_call *call, uint16_t status, const char *type, struct weir_span text);

/* Add a field to the reply: `name` is static; of `value` what fits into `kept` is copied, control characters as
 * blanks. 0, or -ENOSPC: there are WEIR_DIALECT_FIELDS_MAX. */
int weir_dialect_reply_field(struct weir_dialect_call *call, struct weir_span name, const char *value);

/* The body as one JSON object, checked as every JSON from outside (model_json.h). An empty body is {}.
 * NULL: *error says why, in `sentence` as people read it. `is_lenient`: a comma before a closing bracket is
 * stepped over. cJSON_Delete() it. */
cJSON *weir_dialect_body(const struct weir_dialect_call *call, bool is_lenient,
			 char sentence[WEIR_DIALECT_SENTENCE_BYTES]);

/* The same for any text; `what` is how the sentence calls it. */
cJSON *weir_dialect_json(struct weir_span from, const char *what, bool is_lenient,
			 char sentence[WEIR_DIALECT_SENTENCE_BYTES]);

/* A text member of an object; NULL if it is not there or no text. */
const char *weir_dialect_text(const cJSON *json, const char *name);

/* A path of the API with parts of it percent-encoded: each "%s" of `format` takes one of `parts`, in order.
 * False: too long. */
bool weir_dialect_target(char out[WEIR_DIALECT_TARGET_BYTES], const char *format, const char *const *parts);

/* Parameter `name` of the query, decoded. False: it is not there, or does not fit into `max` bytes. */
bool weir_dialect_query(const struct weir_dialect_call *call, const char *name, char *out, size_t max);

/* Copy a part of the path to a name's room. False: too long, or empty. */
bool weir_dialect_name(struct weir_span span, char out[WEIR_MODEL_NAME_BYTES_MAX + 1]);

struct weir_dialect_named {
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
};

/* Which function a client of dialects without namespaces means: "name" is one of `space`, "other/name" (or
 * "other%2Fname", of a path) one of another namespace. False: a part is empty or too long. */
bool weir_dialect_named(struct weir_span text, const char *space, struct weir_dialect_named *out_named);

/* The sentence of an API's or of Weir's error: its "error" member, else something that says the status. */
const char *weir_dialect_sentence(const struct weir_dialect_verdict *verdict);
void weir_dialect_verdict_release(struct weir_dialect_verdict *verdict);

/* ---- known.c ---- */

/* What the API tells of a function. 0 with a verdict, or as manage(). */
int weir_dialect_look_up(struct weir_dialect_call *call, const char *space, const char *name,
			 struct weir_dialect_verdict *out_verdict);

/* The same, as it was a moment ago: asking costs more than a call, and where ctrld is away, whatever was known.
 * *out_function is valid until the call's next operation, or the verdict's release; NULL: the verdict says why.
 * 0, or as manage(). */
int weir_dialect_know(struct weir_dialect_call *call, const char *space, const char *name, const cJSON **out_function,
		      struct weir_dialect_verdict *out_verdict);

/* It has changed: what was known is of no use. */
void weir_dialect_forget(const char *space, const char *name);

/* ---- later.c ---- */

/* Have a function called asynchronously, as `wanted` says but for `path`; what the client asks for by fields
 * (priority, delay, retries, idempotency key) goes along. 0: *out_result is the queue's; with status 202 out_id is the
 * call's id, this call's own unless its key came before; otherwise `sentence` says why not. Or as invoke(). */
int weir_dialect_later(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
		       struct weir_dialect_result *out_result, char out_id[WEIR_DIALECT_ID_BYTES]);

/* What became of an asynchronous call: 0 and *out_told, NULL where there is none of that id or nobody can tell.
 * cJSON_Delete() it. Or as invoke(). */
int weir_dialect_later_ask(struct weir_dialect_call *call, const char *id, cJSON **out_told);

/* Of what was told: has it ended? And its answer, from malloc, NUL-terminated behind *out_bytes; NULL: no memory. */
bool weir_dialect_later_has_ended(const cJSON *told);
char *weir_dialect_later_body(const cJSON *told, size_t *out_bytes);

/* ---- deploy.c: what several dialects do in the same way ---- */

/* One file of code, or an archive, as the function's next version. */
struct weir_dialect_deployment {
	const char *space;
	const char *name;
	const char *file; /* its name: "main.c"; NULL: the code is an archive */
	const char *runtime;
	const char *handler; /* NULL: the runtime's default */
	struct weir_span code;
	const cJSON *annotations; /* an object, or NULL: as they are */
	const cJSON *parameters;  /* likewise, or a list of {"key", "value"} */
	uint32_t timeout_ms;      /* 0: as it is */
	uint32_t memory_mb;       /* likewise */
	bool is_new;              /* it must not be there yet: 409 */
	bool is_untried;          /* what is wrong with it comes out when it is called */
};

/* Upload and deploy. The verdict is the API's: 200 or 201 where it serves now. 0 or as manage(). */
int weir_dialect_deploy(struct weir_dialect_call *call, const struct weir_dialect_deployment *wanted,
			struct weir_dialect_verdict *out_verdict);

#endif
