/* openwhisk: what the files of the OpenWhisk dialect share; nobody else includes it.
 *
 *   openwhisk.c             paths, credentials, errors
 *   openwhisk_action.c      PUT, GET, DELETE of actions, and their list
 *   openwhisk_exec.c        kinds of code
 *   openwhisk_sequence.c    those of other actions
 *   openwhisk_invoke.c      POST of actions
 *   openwhisk_activation.c  activations, their logs and results
 *   openwhisk_tell.c        functions as actions, calls as activations
 *
 * An action is a function of the namespace: `name`, and `package/name` as `package.name`. What Weir knows no place
 * for (kind, version, logs, concurrency, when it changed) is in its annotation `openwhisk`. Threads: dialect.h. */
#ifndef WEIR_CTRL_DIALECT_OPENWHISK_H
#define WEIR_CTRL_DIALECT_OPENWHISK_H

#include "ctrl/dialect/dialect.h"

#define WEIR_WHISK_NOTE "openwhisk" /* the annotation */

enum {
	WEIR_WHISK_KIND_BYTES = 32,
	WEIR_WHISK_LIST_MAX = 200,
	WEIR_WHISK_LIST_DEFAULT = 30,
	WEIR_WHISK_ENTITY_BYTES_MAX = 1 << 20,
	WEIR_WHISK_CODE_BYTES_MAX = 48 << 20,
	WEIR_WHISK_SEQUENCE_MAX = 50, /* actions */
	WEIR_WHISK_PATH_BYTES = 3 * WEIR_MODEL_NAME_BYTES_MAX + 4,
};

/* Which action is meant. */
struct weir_whisk_name {
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];    /* never "_" */
	char function[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* in that namespace; empty: none is meant */
	size_t package_bytes; /* of `function`, how many of them are its package's name; 0: it has none */
};

/* {"error": sentence, "code": the call's activation}. */
int weir_whisk_fail(struct weir_dialect_call *call, uint16_t status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int weir_whisk_missing(struct weir_dialect_call *call); /* 404 */
int weir_whisk_malformed(struct weir_dialect_call *call, const char *sentence); /* 400 of a body */

/* The API said no. Releases the verdict. */
int weir_whisk_refused(struct weir_dialect_call *call, struct weir_dialect_verdict *verdict);

/* An action's name, or package and name ("" : none), checked. False: a reply was made, *out_code is serve()'s. */
bool weir_whisk_name_make(struct weir_dialect_call *call, struct weir_span package, struct weir_span name,
			  struct weir_whisk_name *out_name, int *out_code);

/* "/_/name", "/ns/package/name", "ns/name": as in a sequence. Likewise. */
bool weir_whisk_name_parse(struct weir_dialect_call *call, const char *text, struct weir_whisk_name *out_name,
			   int *out_code);

/* A whole number of the query, up to `max`; it stays as it is where there is none. False: as above. */
bool weir_whisk_count(struct weir_dialect_call *call, const char *name, uint64_t max, uint64_t *value, int *out_code);

/* skip, limit and count of a list. */
struct weir_whisk_page {
	uint64_t skip;
	uint64_t limit;
	bool is_count;
};
/* From the query. False: as above. */
bool weir_whisk_page_read(struct weir_dialect_call *call, struct weir_whisk_page *out_page, int *out_code);

/* A switch of the query: "true", or "false" and not there. False: as above. */
bool weir_whisk_flag(struct weir_dialect_call *call, const char *name, bool *out_value, int *out_code);

/* ---- what is asked for; each makes the reply ---- */

/* GET of all; 0, or as manage(), like the others. */
int weir_whisk_action_list(struct weir_dialect_call *call, const struct weir_whisk_name *name);
/* PUT: create, or change with overwrite=true. */
int weir_whisk_action_put(struct weir_dialect_call *call, const struct weir_whisk_name *name);
/* GET. */
int weir_whisk_action_get(struct weir_dialect_call *call, const struct weir_whisk_name *name);
/* DELETE. */
int weir_whisk_action_delete(struct weir_dialect_call *call, const struct weir_whisk_name *name);
/* POST; as manage() and invoke(). */
int weir_whisk_action_invoke(struct weir_dialect_call *call, const struct weir_whisk_name *name);

/* What became of an asynchronous call that has ended, as weir_dialect_later_ask() told it: its response. `function`: what
 * the API tells of it, NULL where nothing. NULL: no memory. openwhisk_invoke.c */
cJSON *weir_whisk_told_response(const cJSON *told, const cJSON *function);

/* GET of a namespace's activations, and of one: `id`, and "logs", "result" or "" of it. */
int weir_whisk_activation_list(struct weir_dialect_call *call, const struct weir_whisk_name *name);
int weir_whisk_activation_get(struct weir_dialect_call *call, const struct weir_whisk_name *name, struct weir_span id,
			      const char *part);

/* ---- openwhisk_exec.c ---- */

/* The code of a PUT, ready for Weir. */
struct weir_whisk_exec {
	char kind[WEIR_WHISK_KIND_BYTES]; /* concrete */
	const char *runtime;		  /* Weir's */
	const char *otherwise;		  /* where that is not here; NULL: that or none */
	const char *file;		  /* NULL: an archive */
	const char *main;		  /* the function in it */
	const char *code;		  /* in the JSON, or `made` */
	size_t bytes;
	bool is_binary;
	char *made;			  /* of a sequence, from malloc; NULL otherwise */
	const cJSON *components;	  /* likewise, in the JSON */
};

/* From the member "exec", whose code it may decode in its place. False: a reply was made, or
 * *out_code says why none can be. Free `made` in any case. */
bool weir_whisk_exec_read(struct weir_dialect_call *call, cJSON *json, struct weir_whisk_exec *out_exec,
			  int *out_code);

/* The same of a sequence, whose components have to be there. openwhisk_sequence.c */
bool weir_whisk_sequence_read(struct weir_dialect_call *call, const cJSON *json, struct weir_whisk_exec *exec,
			      int *out_code);

/* Decode base64: *out_bytes in all, of which the first `max` go to `out`, which may be where the text is. False: it is
 * none, and `out` may be written to. */
bool weir_whisk_base64(struct weir_span text, char *out, size_t max, size_t *out_bytes);

/* The kind of a function that was not made here: by its runtime. */
const char *weir_whisk_kind_of(const char *runtime);

/* ---- openwhisk_tell.c ---- */

/* Of what the API tells of a function: its annotation `openwhisk` (NULL: none), the texts and numbers that actions
 * have. */
const cJSON *weir_whisk_note(const cJSON *function);
const char *weir_whisk_kind(const cJSON *function);
void weir_whisk_version(const cJSON *function, char out[24]);
cJSON *weir_whisk_limits(const cJSON *function);
double weir_whisk_number(const cJSON *json, const char *name, double otherwise);

/* Of a sequence the names of its components, a list of texts; NULL: it is none. */
const cJSON *weir_whisk_components(const cJSON *function);

/* "ns" or "ns/package" where the action's function is in a package, and its own name there. */
void weir_whisk_path(const cJSON *function, char out_path[WEIR_WHISK_PATH_BYTES], const char **out_name);

/* {"namespace", "name", "version", "publish", "annotations", "limits", "exec", "updated"}; with "parameters" if it
 * is whole. Code is the caller's to add to "exec". NULL: no memory. */
cJSON *weir_whisk_action_json(const cJSON *function, bool is_whole);

/* What is known of an activation by its function: {"namespace", "name", "version", "subject", "publish",
 * "annotations"}. NULL: no memory. */
cJSON *weir_whisk_activation_json(const cJSON *function);

/* One annotation more. */
void weir_whisk_annotation_add(cJSON *list, const char *key, cJSON *value);

/* What came of it, as OpenWhisk counts: its statusCode. */
enum weir_whisk_outcome {
	WEIR_WHISK_SUCCESS,
	WEIR_WHISK_APPLICATION_ERROR,
	WEIR_WHISK_DEVELOPER_ERROR,
	WEIR_WHISK_INTERNAL_ERROR,
};

/* {"result", "status", "success", "size"}; the result is JSON. NULL: no memory. */
cJSON *weir_whisk_response_json(enum weir_whisk_outcome outcome, const char *result);

/* {"a": 1} as [{"key": "a", "value": 1}]. */
cJSON *weir_whisk_pairs(const cJSON *object);

#endif
