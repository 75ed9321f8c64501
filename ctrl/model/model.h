/* model: the records of the control side and the checks that every door shares.
 * Whatever creates or changes a function or a route (API, SQL row, command line file) passes
 * through here; nothing else decides what is valid. Pure: no I/O. Any thread. */
#ifndef WEIR_CTRL_MODEL_MODEL_H
#define WEIR_CTRL_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WEIR_MODEL_NAME_BYTES_MAX = 63,  /* namespace, function name */
	WEIR_MODEL_PATH_BYTES_MAX = 4095,
	WEIR_MODEL_PATTERN_BYTES_MAX = 1023,
	WEIR_MODEL_HOST_BYTES_MAX = 253,
	WEIR_MODEL_HANDLER_BYTES_MAX = 127,
	WEIR_MODEL_ROW_BYTES_MAX = 65536, /* JSON value of a row of the public table */
	WEIR_MODEL_JSON_DEPTH_MAX = 16,
	WEIR_MODEL_TIMEOUT_MS_MIN = 1,
	WEIR_MODEL_TIMEOUT_MS_MAX = 3600000,
	WEIR_MODEL_MEMORY_MB_MIN = 1,
	WEIR_MODEL_MEMORY_MB_MAX = 1048576,
	WEIR_MODEL_TIMEOUT_MS_DEFAULT = 30000,
	WEIR_MODEL_MEMORY_MB_DEFAULT = 256,
	WEIR_MODEL_QUEUE_DEFAULT = 1024,
};

struct weir_model_function {
	uint64_t id;      /* store's row id; rows of the public table get one too (stable per key) */
	uint64_t version; /* grows with each change */
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* namespace; "default" if left out */
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char runtime[16]; /* "native", "exec", "php" (runs through exec), "wasm" (not here yet), ... */
	char code_path[WEIR_MODEL_PATH_BYTES_MAX + 1];
	char handler[WEIR_MODEL_HANDLER_BYTES_MAX + 1];
	uint32_t timeout_ms;
	uint32_t memory_mb;
	uint32_t queue_max;
	bool from_public_table;
};

struct weir_model_route {
	uint64_t id;
	uint64_t function_id;
	uint32_t timeout_ms; /* 0 = the function's */
	uint16_t methods;    /* bit 1 << enum weir_http_method; 0 = any */
	char host[WEIR_MODEL_HOST_BYTES_MAX + 1]; /* lower case, no port; empty = any */
	char pattern[WEIR_MODEL_PATTERN_BYTES_MAX + 1];
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* of its function, for people */
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	bool from_public_table;
};

/* What is wrong: which field, why, and what would be right. */
struct weir_model_error {
	char field[64];   /* "timeout", "pattern", "v.module" ... */
	char reason[256]; /* a sentence */
};

/* Check every field; fills *error on failure. 0 or -EINVAL. */
int weir_model_function_check(const struct weir_model_function *function, struct weir_model_error *error);
int weir_model_route_check(const struct weir_model_route *route, struct weir_model_error *error);

/* "GET /img/{id}", "GET,POST /x", "ANY /y/ *" (no blank before the star) -> methods and pattern.
 * 0 or -EINVAL with *error. */
int weir_model_route_parse(const char *text, struct weir_model_route *out_route,
			   struct weir_model_error *error);

/* "name" or "namespace/name". 0 or -EINVAL with *error. */
int weir_model_name_parse(const char *text, char out_space[WEIR_MODEL_NAME_BYTES_MAX + 1],
			  char out_name[WEIR_MODEL_NAME_BYTES_MAX + 1], struct weir_model_error *error);

/* "5s", "250ms", "2m", plain number = seconds -> ms. 0 or -EINVAL with *error. */
int weir_model_duration_parse(const char *text, uint32_t *out_ms, struct weir_model_error *error);

/* Methods as text, "GET,POST" or "ANY"; returns out. */
const char *weir_model_methods_format(uint16_t methods, char *out, size_t max);

/* One row (k, v) of the public table `functions` -> a function and its exact route. `k` is
 * "METHOD:/uri", `v` the C seed's JSON {name, runtime, module, handler, memory MB, timeout s};
 * module and handler are required, unknown fields are ignored. 0 or -EINVAL with *error. */
int weir_model_row_parse(const char *key, const char *value, size_t value_bytes,
			 struct weir_model_function *out_function, struct weir_model_route *out_route,
			 struct weir_model_error *error);

/* The inverse: the JSON of a public row. Returns bytes, or 0 if `max` is too small. */
size_t weir_model_row_format(const struct weir_model_function *function, char *out, size_t max);

#endif
