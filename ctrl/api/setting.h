/* setting: the table of settings that people may change: name, unit, range, default, help.
 * weir.db keeps the changed ones as whole numbers by name; this table gives them meaning. Names that
 * end in _ms and _s take durations ("5s", "7d", or a number of their unit), in _bytes_max sizes ("16k",
 * "64M").
 * Constant data; any thread. */
#ifndef WEIR_CTRL_API_SETTING_H
#define WEIR_CTRL_API_SETTING_H

#include "ctrl/publish/publish.h"
#include "ctrl/store/store.h"

enum weir_setting_unit {
	WEIR_SETTING_COUNT,
	WEIR_SETTING_BYTES,
	WEIR_SETTING_MS,
	WEIR_SETTING_S,
	WEIR_SETTING_MB,
	WEIR_SETTING_AUTH, /* open: 0, required: 1 */
};

/* Every setting's value. */
struct weir_setting_values {
	struct weir_settings data; /* goes into the snapshot */
	uint32_t pool_workers_min;
	uint32_t pool_workers_max;
	uint32_t
		function_timeout_ms; /* of functions that are added without one; likewise below */
	uint32_t function_memory_mb;
	uint32_t function_queue_max;
	uint32_t function_versions_max;
	uint32_t build_timeout_ms;
	uint64_t log_bytes_max; /* of what functions print */
	uint32_t log_keep_s;
	uint32_t history_generations_max; /* these two are read by the store itself */
	uint32_t history_bytes_max;
	uint32_t activation_kept_per_s; /* of records of calls */
	uint32_t activation_full_per_s;
	uint32_t activation_failed_per_s;
	uint32_t activation_rows_max;
	uint32_t activation_keep_s;
	uint32_t async_rows_max; /* of asynchronous calls (ctrl/queue/queue_policy.h) */
	uint32_t async_running_max;
	uint64_t async_bytes_max;
	uint64_t async_body_bytes_max;
	uint32_t async_retries_max;
	uint32_t async_retry_ms;
	uint32_t async_keep_s;
	uint32_t async_key_keep_s;
};

struct weir_setting {
	const char *name;
	enum weir_setting_unit unit;
	uint64_t min;
	uint64_t max;
	size_t offset; /* into struct weir_setting_values */
	size_t bytes;  /* 4 or 8 */
	const char *help;
};

/* The i-th setting, or NULL behind the last. In the order in which people see them. */
const struct weir_setting *weir_setting_at(size_t i);

/* By name; the suffix _ms may be left out. NULL if there is none. */
const struct weir_setting *weir_setting_find(const char *name);

/* Defaults of all settings. */
void weir_setting_defaults(struct weir_setting_values *out_values);

/* Defaults, then what the store holds; names that are unknown or values out of range are left at
 * their defaults. 0 or store.h. */
int weir_setting_load(struct weir_store *store, struct weir_setting_values *out_values,
		      struct weir_store_error *error);

/* Read one value, and write one that is within its range. */
uint64_t weir_setting_get(const struct weir_setting_values *values,
			  const struct weir_setting *setting);
/* Likewise: `value` is within the range. */
void weir_setting_put(struct weir_setting_values *values, const struct weir_setting *setting,
		      uint64_t value);

/* "5s", "16k", "100" -> the value, checked against the range; `name` is as the user wrote it: of a
 * duration named without _ms a plain number means seconds. 0 or -EINVAL with *error. */
int weir_setting_parse(const struct weir_setting *setting, const char *name, const char *text,
		       uint64_t *out_value, struct weir_model_error *error);

/* Do settings that bound each other agree? 0 or -EINVAL with *error. */
int weir_setting_agree(const struct weir_setting_values *values, struct weir_model_error *error);

/* For people: "5s", "16 KiB", "100". */
const char *weir_setting_format(const struct weir_setting *setting, uint64_t value, char *out,
				size_t max);

#endif
