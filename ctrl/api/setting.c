#include "ctrl/api/setting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/store/history.h"
#include "dataplane/base/assert.h"

enum {
	POOL_WORKERS_MIN = 1,
	POOL_WORKERS_MAX = 16,
	VERSIONS_MAX = 10,
	BUILD_MS = 180000,
	LOG_BYTES_MIN = 1 << 18,
	LOG_BYTES_DEFAULT = 256 << 20,
	LOG_KEEP_S_DEFAULT = 7 * 86400,
	LOG_KEEP_S_MAX = 10 * 366 * 86400,
	ACTIVATION_KEPT_PER_S = 100,
	ACTIVATION_FAILED_PER_S = 1000,
	ACTIVATION_FULL_PER_S = 1000,
	ACTIVATION_PER_S_MAX = 10000, /* of each kind; the oldest are removed as fast: thrice that */
	ACTIVATION_ROWS = 200000,
	ACTIVATION_ROWS_MAX = 100000000,
	ASYNC_ROWS = 100000,
	ASYNC_ROWS_MAX = 10000000,
	ASYNC_RUNNING = 16,
	ASYNC_RUNNING_MAX = 64,
	ASYNC_RETRIES = 3,
	ASYNC_RETRIES_MAX = 100,
	ASYNC_RETRY_MS = 1000,
	ASYNC_RETRY_MS_MAX = 600000,
	ASYNC_KEY_KEEP_S = 86400,
};

#define DATA(field)                                       \
	offsetof(struct weir_setting_values, data.field), \
		sizeof(((struct weir_settings *)0)->field)
#define OURS(field)                                  \
	offsetof(struct weir_setting_values, field), \
		sizeof(((struct weir_setting_values *)0)->field)
#define KIB         UINT64_C(1024)
#define GIB         (KIB * KIB * KIB)

static const struct weir_setting settings[] = {
	{"auth", WEIR_SETTING_AUTH, 0, 1, DATA(auth_required),
	 "open: everybody may call; required: calls of routes and dialects need a key or a token"},
	{"target_bytes_max", WEIR_SETTING_BYTES, 64, 60 * KIB, DATA(target_bytes_max),
	 "request target (414 beyond it)"},
	{"head_bytes_max", WEIR_SETTING_BYTES, 256, 16 * KIB, DATA(head_bytes_max),
	 "request head (431 beyond it)"},
	{"headers_max", WEIR_SETTING_COUNT, 1, 100, DATA(headers_max),
	 "fields of a request head (431 beyond it)"},
	{"body_bytes_max", WEIR_SETTING_BYTES, 0, 1024 * GIB, DATA(body_bytes_max),
	 "request body (413 beyond it)"},
	{"head_timeout_ms", WEIR_SETTING_MS, 10, 3600000, DATA(head_timeout_ms),
	 "time for a whole request head (408)"},
	{"body_idle_ms", WEIR_SETTING_MS, 10, 3600000, DATA(body_idle_ms),
	 "silence within a request body (408)"},
	{"send_idle_ms", WEIR_SETTING_MS, 10, 3600000, DATA(send_idle_ms),
	 "time in which a client takes no byte of its answer (closed)"},
	{"keep_alive_ms", WEIR_SETTING_MS, 10, 86400000, DATA(keep_alive_ms),
	 "silence between two requests (closed)"},
	{"kill_grace_ms", WEIR_SETTING_MS, 1, 600000, DATA(kill_grace_ms),
	 "how long past its deadline a call may run before its worker is killed"},
	{"connections_max", WEIR_SETTING_COUNT, 0, 1000000, DATA(connections_max),
	 "client connections; 0 = what the descriptor limit allows"},
	{"queue_wait_ms", WEIR_SETTING_MS, 0, 3600000, DATA(queue_wait_ms),
	 "waiting for a worker while more comes than can be done (503 beyond it); 0 = till the deadline"},
	{"pipeline_max", WEIR_SETTING_COUNT, 1, 1024, DATA(pipeline_max),
	 "requests in flight on one connection"},
	{"shared_memory_bytes_max", WEIR_SETTING_BYTES, 0, 1024 * GIB,
	 DATA(shared_memory_bytes_max), "all link segments; 0 = a quarter of the memory"},
	{"resident_bytes_max", WEIR_SETTING_BYTES, 0, 1024 * GIB, DATA(resident_bytes_max),
	 "memory that all workers use; 0 = three quarters of the machine's"},
	{"workers_max", WEIR_SETTING_COUNT, 1, 400, DATA(workers_max),
	 "workers of the instance"},
	{"worker_cpu_millicores", WEIR_SETTING_COUNT, 0, 1000000, DATA(worker_cpu_millicores),
	 "CPU time of each worker, 1000 = one CPU; 0 = no limit"},
	{"pool.workers_min", WEIR_SETTING_COUNT, 0, 400, OURS(pool_workers_min),
	 "workers that each namespace and runtime keeps"},
	{"pool.workers_max", WEIR_SETTING_COUNT, 1, 400, OURS(pool_workers_max),
	 "workers that each namespace and runtime may have"},
	{"function.timeout_ms", WEIR_SETTING_MS, WEIR_MODEL_TIMEOUT_MS_MIN,
	 WEIR_MODEL_TIMEOUT_MS_MAX, OURS(function_timeout_ms),
	 "time of a call, for functions added without one"},
	{"function.memory_mb", WEIR_SETTING_MB, WEIR_MODEL_MEMORY_MB_MIN,
	 WEIR_MODEL_MEMORY_MB_MAX, OURS(function_memory_mb),
	 "memory, for functions added without a limit"},
	{"function.queue_max", WEIR_SETTING_COUNT, 1, WEIR_MODEL_QUEUE_MAX,
	 OURS(function_queue_max), "waiting requests, for functions added without a limit"},
	{"function.versions_max", WEIR_SETTING_COUNT, 1, 1000, OURS(function_versions_max),
	 "deployed versions that each function keeps"},
	{"build_timeout_ms", WEIR_SETTING_MS, 100, 600000, OURS(build_timeout_ms),
	 "time for building a function's code (c, wasm)"},
	{"log_bytes_max", WEIR_SETTING_BYTES, LOG_BYTES_MIN, 1024 * GIB, OURS(log_bytes_max),
	 "what functions print: disk space, then the oldest lines go"},
	{"log_keep_s", WEIR_SETTING_S, 1, LOG_KEEP_S_MAX, OURS(log_keep_s),
	 "what functions print: how long it is kept"},
	{WEIR_HISTORY_GENERATIONS_SETTING, WEIR_SETTING_COUNT, 1, WEIR_HISTORY_GENERATIONS_MAX,
	 OURS(history_generations_max), "changes of the configuration that history keeps"},
	{WEIR_HISTORY_BYTES_SETTING, WEIR_SETTING_BYTES, WEIR_HISTORY_BYTES_MIN,
	 WEIR_HISTORY_BYTES_MAX, OURS(history_bytes_max),
	 "space for history, then the oldest changes go"},
	{"activation_kept_per_s", WEIR_SETTING_COUNT, 0, ACTIVATION_PER_S_MAX, OURS(activation_kept_per_s),
	 "records of calls that went well: kept in a second at most"},
	{"activation_full_per_s", WEIR_SETTING_COUNT, 0, ACTIVATION_PER_S_MAX, OURS(activation_full_per_s),
	 "likewise, of asynchronous calls and of those that OpenWhisk's clients made"},
	{"activation_failed_per_s", WEIR_SETTING_COUNT, 0, ACTIVATION_PER_S_MAX, OURS(activation_failed_per_s),
	 "records of calls that failed: likewise"},
	{"activation_rows_max", WEIR_SETTING_COUNT, 1, ACTIVATION_ROWS_MAX, OURS(activation_rows_max),
	 "records of calls: how many are kept, then the oldest go"},
	{"activation_keep_s", WEIR_SETTING_S, 1, LOG_KEEP_S_MAX, OURS(activation_keep_s),
	 "records of calls: how long they are kept"},
	{"async.rows_max", WEIR_SETTING_COUNT, 1, ASYNC_ROWS_MAX, OURS(async_rows_max),
	 "asynchronous calls that wait or run (429 beyond it)"},
	{"async.bytes_max", WEIR_SETTING_BYTES, KIB * KIB, 1024 * GIB, OURS(async_bytes_max),
	 "their bodies and answers, in all (429 beyond it)"},
	{"async.body_bytes_max", WEIR_SETTING_BYTES, 0, KIB * KIB, OURS(async_body_bytes_max),
	 "body of an asynchronous call (413 beyond it)"},
	{"async.running_max", WEIR_SETTING_COUNT, 1, ASYNC_RUNNING_MAX, OURS(async_running_max),
	 "asynchronous calls that run at once"},
	{"async.retries", WEIR_SETTING_COUNT, 0, ASYNC_RETRIES_MAX, OURS(async_retries_max),
	 "how often a call that failed is tried again, then it is a dead letter"},
	{"async.retry_ms", WEIR_SETTING_MS, 1, ASYNC_RETRY_MS_MAX, OURS(async_retry_ms),
	 "before the first of these; each time twice as long"},
	{"async.keep_s", WEIR_SETTING_S, 1, LOG_KEEP_S_MAX, OURS(async_keep_s),
	 "asynchronous calls that have ended: how long they are kept"},
	{"async.key_keep_s", WEIR_SETTING_S, 1, LOG_KEEP_S_MAX, OURS(async_key_keep_s),
	 "idempotency keys: how long the same key means the same call"},
};

const struct weir_setting *weir_setting_at(size_t i)
{
	return i < sizeof(settings) / sizeof(settings[0]) ? &settings[i] : NULL;
}

const struct weir_setting *weir_setting_find(const char *name)
{
	const struct weir_setting *setting = NULL;
	const size_t bytes = strlen(name);

	for (size_t i = 0; (setting = weir_setting_at(i)) != NULL; i++) {
		if (strcmp(setting->name, name) == 0)
			return setting;
		if (setting->unit == WEIR_SETTING_MS && bytes > 0 &&
		    strncmp(setting->name, name, bytes) == 0 &&
		    strcmp(setting->name + bytes, "_ms") == 0)
			return setting;
	}
	return NULL;
}

uint64_t weir_setting_get(const struct weir_setting_values *values,
			  const struct weir_setting *setting)
{
	const char *at = (const char *)values + setting->offset;
	uint32_t narrow = 0;
	uint64_t wide = 0;

	WEIR_ASSERT(setting->offset + setting->bytes <= sizeof(*values));
	if (setting->bytes == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

void weir_setting_put(struct weir_setting_values *values, const struct weir_setting *setting,
		      uint64_t value)
{
	char *at = (char *)values + setting->offset;
	const uint32_t narrow = (uint32_t)value;

	WEIR_ASSERT(setting->offset + setting->bytes <= sizeof(*values));
	WEIR_ASSERT(value >= setting->min && value <= setting->max);
	if (setting->bytes == sizeof(value)) {
		memcpy(at, &value, sizeof(value));
	} else {
		memcpy(at, &narrow, sizeof(narrow));
	}
}

void weir_setting_defaults(struct weir_setting_values *out_values)
{
	*out_values = (struct weir_setting_values){
		.data = weir_publish_settings_default(),
		.pool_workers_min = POOL_WORKERS_MIN,
		.pool_workers_max = POOL_WORKERS_MAX,
		.function_timeout_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT,
		.function_memory_mb = WEIR_MODEL_MEMORY_MB_DEFAULT,
		.function_queue_max = WEIR_MODEL_QUEUE_DEFAULT,
		.function_versions_max = VERSIONS_MAX,
		.build_timeout_ms = BUILD_MS,
		.log_bytes_max = LOG_BYTES_DEFAULT,
		.log_keep_s = LOG_KEEP_S_DEFAULT,
		.history_generations_max = WEIR_HISTORY_GENERATIONS_DEFAULT,
		.history_bytes_max = WEIR_HISTORY_BYTES_DEFAULT,
		.activation_kept_per_s = ACTIVATION_KEPT_PER_S,
		.activation_full_per_s = ACTIVATION_FULL_PER_S,
		.activation_failed_per_s = ACTIVATION_FAILED_PER_S,
		.activation_rows_max = ACTIVATION_ROWS,
		.activation_keep_s = LOG_KEEP_S_DEFAULT,
		.async_rows_max = ASYNC_ROWS,
		.async_running_max = ASYNC_RUNNING,
		.async_bytes_max = GIB,
		.async_body_bytes_max = KIB * KIB,
		.async_retries_max = ASYNC_RETRIES,
		.async_retry_ms = ASYNC_RETRY_MS,
		.async_keep_s = LOG_KEEP_S_DEFAULT,
		.async_key_keep_s = ASYNC_KEY_KEEP_S,
	};
}

static void setting_visit(void *context, const char *name, uint64_t value)
{
	const struct weir_setting *setting = weir_setting_find(name);

	if (setting != NULL && value >= setting->min && value <= setting->max)
		weir_setting_put(context, setting, value);
}

int weir_setting_load(struct weir_store *store, struct weir_setting_values *out_values,
		      struct weir_store_error *error)
{
	struct weir_setting_values values;
	int code = 0;

	weir_setting_defaults(&values);
	code = weir_store_setting_each(store, setting_visit, &values, error);
	if (code == 0)
		*out_values = values;
	return code;
}

int weir_setting_agree(const struct weir_setting_values *values, struct weir_model_error *error)
{
	const bool pools = values->pool_workers_min > values->pool_workers_max;

	if (!pools && values->data.target_bytes_max <= values->data.head_bytes_max)
		return 0;
	(void)snprintf(error->field, sizeof(error->field), "%s",
		       pools ? "pool.workers_min" : "target_bytes_max"); /* fits */
	(void)snprintf(error->reason, sizeof(error->reason),
		       "would be larger than %s; change the other one first",
		       pools ? "pool.workers_max" : "head_bytes_max"); /* fits */
	return -EINVAL;
}

/* Cut texts are fine here. */
static int fail(struct weir_model_error *error, const char *field, const char *reason,
		const char *text)
{
	(void)snprintf(error->field, sizeof(error->field), "%s", field);
	(void)snprintf(error->reason, sizeof(error->reason), "%s '%.60s'", reason, text);
	return -EINVAL;
}

/* How much one unit of a suffix is; 0 if the unit does not know the suffix. */
static uint64_t suffix_scale(enum weir_setting_unit unit, const char *suffix)
{
	static const struct {
		enum weir_setting_unit unit;
		const char *suffix;
		uint64_t scale;
	} scales[] = {
		{WEIR_SETTING_BYTES, "b", 1},
		{WEIR_SETTING_BYTES, "k", KIB},
		{WEIR_SETTING_BYTES, "kib", KIB},
		{WEIR_SETTING_BYTES, "m", KIB * KIB},
		{WEIR_SETTING_BYTES, "mib", KIB * KIB},
		{WEIR_SETTING_BYTES, "g", GIB},
		{WEIR_SETTING_BYTES, "gib", GIB},
		{WEIR_SETTING_MS, "ms", 1},
		{WEIR_SETTING_MS, "s", 1000},
		{WEIR_SETTING_MS, "m", 60000},
		{WEIR_SETTING_MS, "h", 3600000},
		{WEIR_SETTING_S, "s", 1},
		{WEIR_SETTING_S, "m", 60},
		{WEIR_SETTING_S, "h", 3600},
		{WEIR_SETTING_S, "d", 86400},
		{WEIR_SETTING_MB, "m", 1},
		{WEIR_SETTING_MB, "mb", 1},
		{WEIR_SETTING_MB, "g", 1024},
		{WEIR_SETTING_MB, "gb", 1024},
	};

	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		if (scales[i].unit == unit && strcasecmp(scales[i].suffix, suffix) == 0)
			return scales[i].scale;
	}
	return 0;
}

static const char *const auth_words[] = {"open", "required"};

static int auth_parse(const struct weir_setting *setting, const char *text, const char *wanted, uint64_t *out_value,
		      struct weir_model_error *error)
{
	for (uint64_t i = 0; i < sizeof(auth_words) / sizeof(auth_words[0]); i++) {
		if (strcmp(auth_words[i], text) == 0) {
			*out_value = i;
			return 0;
		}
	}
	return fail(error, setting->name, wanted, text);
}

int weir_setting_parse(const struct weir_setting *setting, const char *name, const char *text,
		       uint64_t *out_value, struct weir_model_error *error)
{
	static const char *const wanted[] = {
		"wants a whole number, not",
		"wants a size (bytes, or 16k, 64M, 1G), not",
		"wants a duration (250ms, 5s, 2m, 1h), not",
		"wants a duration (90s, 5m, 2h, 7d), not",
		"wants a size in MB (256, or 1G), not",
		"must be open or required, not",
	};
	uint64_t scale =
		setting->unit == WEIR_SETTING_MS && strcmp(name, setting->name) != 0 ? 1000 : 1;
	uint64_t value = 0;
	size_t i = 0;

	if (setting->unit == WEIR_SETTING_AUTH)
		return auth_parse(setting, text, wanted[setting->unit], out_value, error);
	for (; text[i] >= '0' && text[i] <= '9' && i < 16; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (text[i] != '\0')
		scale = suffix_scale(setting->unit, text + i + (text[i] == ' ' ? 1 : 0));
	if (i == 0 || scale == 0)
		return fail(error, setting->name, wanted[setting->unit], text);
	if (value > UINT64_MAX / scale || value * scale < setting->min ||
	    value * scale > setting->max) {
		char low[32];
		char high[32];
		char range[80];

		(void)snprintf(range, sizeof(range), "%s to %s",
			       weir_setting_format(setting, setting->min, low, sizeof(low)),
			       weir_setting_format(setting, setting->max, high, sizeof(high)));
		return fail(error, setting->name, "must be within", range);
	}
	*out_value = value * scale;
	return 0;
}

const char *weir_setting_format(const struct weir_setting *setting, uint64_t value, char *out,
				size_t max)
{
	static const char *const sizes[] = {"", " KiB", " MiB", " GiB"};
	unsigned long long number = value;
	const char *unit = "";
	size_t i = 0;

	switch (setting->unit) {
	case WEIR_SETTING_BYTES:
		for (; i < 3 && number != 0 && number % KIB == 0; i++)
			number /= KIB;
		unit = sizes[i];
		break;
	case WEIR_SETTING_MS:
		unit = number % 1000 == 0 ? "s" : "ms";
		number = number % 1000 == 0 ? number / 1000 : number;
		break;
	case WEIR_SETTING_S:
		unit = number % 86400 == 0 ? "d" : "s";
		number = number % 86400 == 0 ? number / 86400 : number;
		break;
	case WEIR_SETTING_MB:
		unit = " MB";
		break;
	case WEIR_SETTING_AUTH:
		(void)snprintf(out, max, "%s", auth_words[number != 0]);
		return out;
	case WEIR_SETTING_COUNT:
		break;
	}
	(void)snprintf(out, max, "%llu%s", number, unit);
	return out;
}
