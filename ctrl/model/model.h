/* model: the records of the control side and the checks that every door shares.
 * Whatever creates or changes a function or a route (API, SQL row, command line file) passes
 * through here; nothing else decides what is valid. Pure: no I/O. Any thread. */
#ifndef WEIR_CTRL_MODEL_MODEL_H
#define WEIR_CTRL_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/base/role.h"

enum {
	WEIR_MODEL_NAME_BYTES_MAX = 63, /* namespace, function name */
	WEIR_MODEL_PATH_BYTES_MAX = 4095,
	WEIR_MODEL_PATTERN_BYTES_MAX = 1023,
	WEIR_MODEL_HOST_BYTES_MAX = 253,
	WEIR_MODEL_HANDLER_BYTES_MAX = 127,
	WEIR_MODEL_RUNTIME_BYTES_MAX = 15,
	WEIR_MODEL_IMAGE_BYTES_MAX = 512,
	WEIR_MODEL_ROW_BYTES_MAX = 65536, /* JSON value of a row of the public table */
	WEIR_MODEL_JSON_DEPTH_MAX = 16,
	WEIR_MODEL_TIMEOUT_MS_MIN = 1,
	WEIR_MODEL_TIMEOUT_MS_MAX = 3600000,
	WEIR_MODEL_MEMORY_MB_MIN = 1,
	WEIR_MODEL_MEMORY_MB_MAX = 1048576,
	WEIR_MODEL_TIMEOUT_MS_DEFAULT = 30000,
	WEIR_MODEL_MEMORY_MB_DEFAULT = 256,
	WEIR_MODEL_QUEUE_DEFAULT = 1024,
	WEIR_MODEL_QUEUE_MAX = 65536,
	WEIR_MODEL_SEGMENTS_MAX = 32,      /* of a pattern: abi/snapshot.h */
	WEIR_MODEL_PARAMS_MAX = 16,        /* of a pattern: abi/head.h */
	WEIR_MODEL_METHODS_BYTES_MAX = 48, /* every method's name, commas and the NUL */
	WEIR_MODEL_SPECS_MAX = 8,          /* of a function: abi/snapshot.h */
	WEIR_MODEL_SPECS_BYTES_MAX = 512,  /* all of them as text, and the NUL */
	WEIR_MODEL_CPU_MILLICORES_MAX = 1000000,
	WEIR_MODEL_WORKERS_MAX = 400,
	WEIR_MODEL_SPEC_WORKERS_DEFAULT = 16,
	WEIR_MODEL_VARIABLE_BYTES_MAX = 128, /* name of a variable */
	WEIR_MODEL_VALUE_BYTES_MAX = 32768,  /* its value */
	WEIR_MODEL_PROBLEM_BYTES_MAX = 383,  /* a sentence */
};

/* A resource spec: what each worker of a kind has, and how many of them there may be. Nothing here asks
 * whether this machine has so much: a spec is a promise of at most, and growing is bounded elsewhere. */
struct weir_model_spec {
	uint32_t cpu_millicores; /* 1,000 = one CPU's time; 1 to WEIR_MODEL_CPU_MILLICORES_MAX */
	uint32_t memory_mb;      /* WEIR_MODEL_MEMORY_MB_MIN to _MAX */
	uint32_t workers_min;    /* that are kept; at most workers_max */
	uint32_t workers_max;    /* 1 to WEIR_MODEL_WORKERS_MAX */
};

struct weir_model_function {
	uint64_t id; /* store's row id; rows of the public table get one too (stable per key) */
	uint64_t version;                          /* grows with each change */
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* namespace; "default" if left out */
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char runtime[WEIR_MODEL_RUNTIME_BYTES_MAX + 1]; /* "native", "c" (built, then native), ... */
	char code_path[WEIR_MODEL_PATH_BYTES_MAX + 1];
	char handler[WEIR_MODEL_HANDLER_BYTES_MAX + 1];
	uint32_t timeout_ms;
	uint32_t memory_mb; /* of a function without specs */
	uint32_t queue_max;
	uint32_t spec_count;
	struct weir_model_spec spec[WEIR_MODEL_SPECS_MAX]; /* by CPU time, then memory; no two alike in both */
	uint32_t number; /* of the deployed version, from 1; 0: it was added with a path */
	uint64_t details; /* store's row id of what else is kept (model_details.h); 0: nothing */
	char owner[WEIR_MODEL_NAME_BYTES_MAX + 1];  /* name of a user; empty: whoever administers Weir */
	char image[WEIR_MODEL_IMAGE_BYTES_MAX + 1]; /* reference of a container's; empty: the code is a path */
	char problem[WEIR_MODEL_PROBLEM_BYTES_MAX + 1]; /* while it is published: why it cannot run now; empty: it can. Not stored */
	bool from_public_table;
	bool has_environment; /* variables of its own: they are published apart. Not stored */
	bool is_builtin; /* Weir's own (builtin.h). Not stored */
	uint32_t workers_max; /* likewise: no more than that, whatever is set; 0 = as is set */
	bool is_trial; /* a version that is tried before it serves: with a worker of its own. Not stored */
};

/* Must who calls a route be somebody? */
enum weir_model_auth {
	WEIR_MODEL_AUTH_AS_SET, /* as the setting `auth` says */
	WEIR_MODEL_AUTH_OPEN,
	WEIR_MODEL_AUTH_REQUIRED,
	WEIR_MODEL_AUTHS,
};

struct weir_model_route {
	uint64_t id;
	uint64_t function_id;
	uint32_t timeout_ms;                      /* 0 = the function's */
	uint16_t methods;                         /* bit 1 << enum weir_http_method; 0 = any */
	char host[WEIR_MODEL_HOST_BYTES_MAX + 1]; /* lower case, no port; empty = any */
	char pattern[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* of its function, for people */
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	enum weir_model_auth auth;
	enum weir_role role; /* of Weir's own: what it takes to call it; of others not looked at */
	bool is_asking;      /* of Weir's own: its function finds out itself who calls */
	bool from_public_table;
};

/* Whose code a function runs that names an image: neither need be there. */
struct weir_model_alias {
	char image[WEIR_MODEL_IMAGE_BYTES_MAX + 1];
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* of the function */
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
};

/* What is wrong: which field, why, and what would be right. */
struct weir_model_error {
	char field[64];   /* "timeout", "pattern", "v.module" ... */
	char reason[256]; /* a sentence */
};

/* Check every field; fills *error (which may be NULL everywhere) on failure. 0 or -EINVAL.
 *
 * Names: letters, digits, '_', and after the first also '@', '.', '-' and inner blanks.
 * Runtimes: weir_model_runtime_check(). Code paths are absolute; whether the file is there is not
 * asked (it may come later; until then a call says what is missing). A container may have an image in
 * place of a path and a handler: weir_model_image_check(); nothing pulls it. Owners are names, or empty.
 * Patterns: '/', literal segments, '{name}' (a-z, 0-9, '_'; one whole segment; each name once), and
 * '/ *' (no blank) at the end. They are compared with decoded paths, so '%', '?' and '#' have no
 * place in them, nor do '.', '..' and empty segments inside; a slash at the end counts.
 * Hosts: lower-case name, IPv4 or [IPv6] address, no port; "function.weir" belongs to Weir. */
int weir_model_function_check(const struct weir_model_function *function,
			      struct weir_model_error *error);
int weir_model_route_check(const struct weir_model_route *route,
			   struct weir_model_error *error);

/* "open", "required"; "" for as set. Parse: 0 or -EINVAL with *error. */
const char *weir_model_auth_name(enum weir_model_auth auth);
int weir_model_auth_parse(const char *text, enum weir_model_auth *out_auth, struct weir_model_error *error);

/* Bytes of the UTF-8 sequence that `text` of `left` bytes begins with, 0 if it is none. */
size_t weir_model_utf8_bytes(const char *text, size_t left);

/* The names that a function's runtime may have: those that run here, and those of the public table
 * and of Weir's plan that do not yet (calls get 501). 0 or -EINVAL with *error. */
int weir_model_runtime_check(const char *runtime, struct weir_model_error *error);

/* An image's reference: printable ASCII without blanks, up to WEIR_MODEL_IMAGE_BYTES_MAX bytes. What it
 * says is nobody's business here. 0 or -EINVAL with *error. */
int weir_model_image_check(const char *image, struct weir_model_error *error);

/* Image and function's name. 0 or -EINVAL with *error. */
int weir_model_alias_check(const struct weir_model_alias *alias, struct weir_model_error *error);

/* Why a function with this image has no code to run, as a sentence that says what to do; an image that is long
 * is cut. `alias` is what there is for the image (NULL: nothing), `to` the function that it names (NULL: it is
 * not there). Returns out, empty where the code is to's. */
const char *weir_model_image_problem(const char *image, const struct weir_model_alias *alias,
				     const struct weir_model_function *to,
				     char out[WEIR_MODEL_PROBLEM_BYTES_MAX + 1]);

/* A function with an image is a container where it says nothing else. */
void weir_model_image_settle(struct weir_model_function *function);

/* The name of a variable of a function's environment: letters, digits and '_', no digit first. */
bool weir_model_variable_sound(const char *name);

/* "GET /img/{id}", "GET,POST /x", "ANY /y/ *" (no blank before the star) -> methods and pattern; the
 * other fields of *out_route stay as they are. 0 or -EINVAL with *error. */
int weir_model_route_parse(const char *text, struct weir_model_route *out_route,
			   struct weir_model_error *error);

/* "name" or "namespace/name". 0 or -EINVAL with *error. */
int weir_model_name_parse(const char *text, char out_space[WEIR_MODEL_NAME_BYTES_MAX + 1],
			  char out_name[WEIR_MODEL_NAME_BYTES_MAX + 1],
			  struct weir_model_error *error);

/* A namespace's name. 0 or -EINVAL with *error. */
int weir_model_space_check(const char *space, struct weir_model_error *error);

/* A host as people write it -> lower case, checked. Empty stays empty (any host). 0 or -EINVAL. */
int weir_model_host_parse(const char *text, char out_host[WEIR_MODEL_HOST_BYTES_MAX + 1],
			  struct weir_model_error *error);

/* "5s", "250ms", "2m", "1h", "1.5s", plain number = seconds -> ms, within the limits of a timeout.
 * 0 or -EINVAL with *error. */
int weir_model_duration_parse(const char *text, uint32_t *out_ms,
			      struct weir_model_error *error);

/* "cpu=500,memory=256,min=0,max=4" -> a spec: CPU in millicores, memory in MB, workers; cpu and memory are
 * needed, min is 0 if left out, max WEIR_MODEL_SPEC_WORKERS_DEFAULT, or min where that is more. 0 or
 * -EINVAL with *error. */
int weir_model_spec_parse(const char *text, size_t bytes, struct weir_model_spec *out_spec,
			  struct weir_model_error *error);

/* Give the function one spec more, at its place. 0; -EINVAL with *error: out of range, the function has one
 * with the same CPU and memory, or as many as it may have. */
int weir_model_spec_add(struct weir_model_function *function, const struct weir_model_spec *spec,
			struct weir_model_error *error);

/* All specs of a function as one text, blanks between, empty if there are none; and back. Format: returns
 * out. Parse: in place of those that it had; 0 or -EINVAL with *error. */
const char *weir_model_specs_format(const struct weir_model_function *function,
				    char out[WEIR_MODEL_SPECS_BYTES_MAX]);
int weir_model_specs_parse(const char *text, struct weir_model_function *function,
			   struct weir_model_error *error);

/* Methods as text, "GET,POST" or "ANY", in the order of enum weir_http_method; returns out. Cut short
 * where `max` (1 or more) is below WEIR_MODEL_METHODS_BYTES_MAX. */
const char *weir_model_methods_format(uint16_t methods, char *out, size_t max);

/* One row (k, v) of the public table `functions` -> a function and its exact route. `k` is
 * "METHOD:/uri" with one method of the seven; it is an exact path, so '{', '}' and '*' are refused
 * rather than read as a pattern, and so is a query string. `v` is the C seed's JSON {name, runtime,
 * module, handler, memory MB, timeout s}: module and handler are required; runtime is "wasm" if
 * missing or empty, as in the seed, and name is then made from the key. Unknown fields are ignored; one of these
 * given twice, or with another type, is refused. Ids and version are 0: the store gives them.
 * 0, or -EINVAL with *error (field "k", "v" or "v.NAME"). */
int weir_model_row_parse(const char *key, const char *value, size_t value_bytes,
			 struct weir_model_function *out_function,
			 struct weir_model_route *out_route, struct weir_model_error *error);

/* The inverse: the JSON of a public row, NUL-terminated. Returns its bytes without the NUL, or 0 if
 * `max` is too small. WEIR_MODEL_ROW_BYTES_MAX always suffices. */
size_t weir_model_row_format(const struct weir_model_function *function, char *out, size_t max);

#endif
