#include "ctrl/model/model.h"

#include <errno.h>
#include <string.h>

#include "ctrl/model/builtin.h"
#include "ctrl/model/model_text.h"

/* Those of abi/runtimes.h and `c`; then what only the public table or Weir's plan name. */
static const char *const runtimes[] = {
	"native", "c",   "exec", "wasm", "js",     "node",    "php",	  "python",
	"cpp",    "c++", "rust", "go",   "tinygo", "virtine", WEIR_MODEL_CONTAINER,
};
#define RUNTIMES_TEXT                                                                              \
	"native, c, exec, wasm, js, node, php, python; not here yet: cpp, c++, rust, go, tinygo, " \
	"virtine, " WEIR_MODEL_CONTAINER

static bool runtime_known(const char *runtime)
{
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (strcmp(runtimes[i], runtime) == 0)
			return true;
	}
	return false;
}

int weir_model_runtime_check(const char *runtime, struct weir_model_error *error)
{
	const size_t bytes = strnlen(runtime, WEIR_MODEL_RUNTIME_BYTES_MAX + 1);
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];

	if (bytes <= WEIR_MODEL_RUNTIME_BYTES_MAX && runtime_known(runtime))
		return 0;
	return weir_model_fail(error, "runtime", "is '%s'; known are " RUNTIMES_TEXT,
			       weir_model_quote(runtime, bytes, quote));
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int weir_model_name_check(const char *field, const char *name, size_t bytes,
			  struct weir_model_error *error)
{
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];

	if (bytes == 0)
		return weir_model_fail(error, field, "is empty");
	if (bytes > WEIR_MODEL_NAME_BYTES_MAX)
		return weir_model_fail(error, field, "is longer than %d bytes",
				       WEIR_MODEL_NAME_BYTES_MAX);
	for (size_t i = 0; i < bytes; i++) {
		if (is_alphanumeric(name[i]) || name[i] == '_')
			continue;
		if (i > 0 && name[i] != '\0' && strchr("@.-", name[i]) != NULL)
			continue;
		if (i > 0 && i + 1 < bytes && name[i] == ' ')
			continue;
		return weir_model_fail(
			error, field,
			"is '%s'; a name holds letters, digits and '_', after the first "
			"also '@', '.', '-' and blanks, and does not end in a blank",
			weir_model_quote(name, bytes, quote));
	}
	return 0;
}

/* A native handler is the name of a C function. */
static bool is_identifier(const char *text)
{
	if (text[0] >= '0' && text[0] <= '9')
		return false;
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (!is_alphanumeric(text[i]) && text[i] != '_')
			return false;
	}
	return true;
}

static int check_image(const struct weir_model_function *function, struct weir_model_error *error)
{
	if (function->image[0] == '\0')
		return 0;
	if (strcmp(function->runtime, WEIR_MODEL_CONTAINER) != 0)
		return weir_model_fail(error, "image", "is for runtime " WEIR_MODEL_CONTAINER "; this one is %s",
				       function->runtime);
	if (function->code_path[0] != '\0')
		return weir_model_fail(error, "image", "and file exclude each other");
	if (function->handler[0] != '\0')
		return weir_model_fail(error, "image", "and handler exclude each other");
	return weir_model_image_check(function->image, error);
}

static int check_code(const struct weir_model_function *function,
		      struct weir_model_error *error)
{
	const size_t path_bytes = strnlen(function->code_path, sizeof(function->code_path));
	const size_t handler_bytes = strnlen(function->handler, sizeof(function->handler));

	if (path_bytes > WEIR_MODEL_PATH_BYTES_MAX)
		return weir_model_fail(error, "file", "is longer than %d bytes",
				       WEIR_MODEL_PATH_BYTES_MAX);
	if (function->code_path[0] != '/' && function->image[0] == '\0')
		return weir_model_fail(error, "file",
				       "must be an absolute path (begin with '/')");
	if (!weir_model_text_clean(function->code_path, path_bytes))
		return weir_model_fail(error, "file",
				       "must be UTF-8 without control characters");
	if (handler_bytes > WEIR_MODEL_HANDLER_BYTES_MAX)
		return weir_model_fail(error, "handler", "is longer than %d bytes",
				       WEIR_MODEL_HANDLER_BYTES_MAX);
	if (!weir_model_text_clean(function->handler, handler_bytes))
		return weir_model_fail(error, "handler",
				       "must be UTF-8 without control characters");
	if ((strcmp(function->runtime, "native") == 0 || strcmp(function->runtime, "c") == 0) &&
	    !is_identifier(function->handler))
		return weir_model_fail(
			error, "handler",
			"must be the name of a C function (or empty: weir_handle)");
	return 0;
}

static int check_limits(const struct weir_model_function *function,
			struct weir_model_error *error)
{
	if (function->timeout_ms < WEIR_MODEL_TIMEOUT_MS_MIN ||
	    function->timeout_ms > WEIR_MODEL_TIMEOUT_MS_MAX)
		return weir_model_fail(error, "timeout", "must be between %d ms and %d s",
				       WEIR_MODEL_TIMEOUT_MS_MIN,
				       WEIR_MODEL_TIMEOUT_MS_MAX / 1000);
	if (function->memory_mb < WEIR_MODEL_MEMORY_MB_MIN ||
	    function->memory_mb > WEIR_MODEL_MEMORY_MB_MAX)
		return weir_model_fail(error, "memory", "must be between %d and %d MB",
				       WEIR_MODEL_MEMORY_MB_MIN, WEIR_MODEL_MEMORY_MB_MAX);
	if (function->queue_max < 1 || function->queue_max > WEIR_MODEL_QUEUE_MAX)
		return weir_model_fail(error, "queue", "must be between 1 and %d calls",
				       WEIR_MODEL_QUEUE_MAX);
	return 0;
}

static int check_owner(const struct weir_model_function *function, struct weir_model_error *error)
{
	const size_t bytes = strnlen(function->owner, sizeof(function->owner));

	return bytes == 0 ? 0 : weir_model_name_check("owner", function->owner, bytes, error);
}

static int check_space_free(const char *space, struct weir_model_error *error)
{
	return strcmp(space, WEIR_BUILTIN_SPACE) != 0
		       ? 0
		       : weir_model_fail(error, "namespace", "'" WEIR_BUILTIN_SPACE "' is for what Weir brings itself");
}

int weir_model_function_check(const struct weir_model_function *function,
			      struct weir_model_error *error)
{
	const size_t space_bytes = strnlen(function->space, sizeof(function->space));
	const size_t name_bytes = strnlen(function->name, sizeof(function->name));
	int result = weir_model_name_check("namespace", function->space, space_bytes, error);

	if (result == 0)
		result = weir_model_name_check("name", function->name, name_bytes, error);
	if (result == 0 && !function->is_builtin)
		result = check_space_free(function->space, error);
	if (result == 0 && !function->is_builtin)
		result = weir_model_runtime_check(function->runtime, error);
	if (result == 0)
		result = check_image(function, error);
	if (result == 0)
		result = check_code(function, error);
	if (result == 0)
		result = check_owner(function, error);
	if (result == 0)
		result = check_limits(function, error);
	return result == 0 ? weir_model_specs_check(function, error) : result;
}

int weir_model_space_check(const char *space, struct weir_model_error *error)
{
	return weir_model_name_check("namespace", space, strlen(space), error);
}

int weir_model_name_parse(const char *text, char out_space[WEIR_MODEL_NAME_BYTES_MAX + 1],
			  char out_name[WEIR_MODEL_NAME_BYTES_MAX + 1],
			  struct weir_model_error *error)
{
	const char *slash = strchr(text, '/');
	const char *space = slash != NULL ? text : "default";
	const char *name = slash != NULL ? slash + 1 : text;
	const size_t space_bytes = slash != NULL ? (size_t)(slash - text) : strlen(space);
	const size_t name_bytes = strlen(name);
	int result = weir_model_name_check("namespace", space, space_bytes, error);

	if (result == 0)
		result = weir_model_name_check("name", name, name_bytes, error);
	if (result != 0)
		return result;
	memcpy(out_space, space, space_bytes);
	out_space[space_bytes] = '\0';
	memcpy(out_name, name, name_bytes + 1);
	return 0;
}

static const struct {
	const char *suffix;
	uint32_t ms;
} units[] = {
	{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000},
};

/* Milliseconds in one unit, or 0. */
static uint32_t unit_ms(const char *suffix)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].suffix, suffix) == 0)
			return units[i].ms;
	}
	return 0;
}

/* The number at *text in thousandths: up to nine digits and three decimals. Moves *text behind it. */
static bool number_parse(const char **text, uint64_t *out_thousandths)
{
	const char *at = *text;
	uint64_t value = 0;
	int digits = 0;

	for (; *at >= '0' && *at <= '9' && digits < 9; at++, digits++)
		value = value * 10 + (uint64_t)(*at - '0');
	if (digits == 0)
		return false;
	value *= 1000;
	if (*at == '.') {
		uint64_t weight = 100;

		at++;
		if (*at < '0' || *at > '9')
			return false;
		for (; *at >= '0' && *at <= '9' && weight > 0; at++, weight /= 10)
			value += (uint64_t)(*at - '0') * weight;
	}
	*text = at;
	*out_thousandths = value;
	return true;
}

int weir_model_duration_parse(const char *text, uint32_t *out_ms,
			      struct weir_model_error *error)
{
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];
	const char *at = text;
	uint64_t thousandths = 0;

	if (!number_parse(&at, &thousandths) || unit_ms(at) == 0)
		return weir_model_fail(
			error, "duration",
			"is '%s'; write 250ms, 5s, 1.5s, 2m, 1h, or a number of seconds",
			weir_model_quote(text, strlen(text), quote));
	const uint64_t scaled = thousandths * unit_ms(at);

	if (scaled % 1000 != 0 || scaled < WEIR_MODEL_TIMEOUT_MS_MIN * UINT64_C(1000) ||
	    scaled > WEIR_MODEL_TIMEOUT_MS_MAX * UINT64_C(1000))
		return weir_model_fail(
			error, "duration",
			"is '%s'; must be a whole number of milliseconds, %d ms to %d s",
			weir_model_quote(text, strlen(text), quote), WEIR_MODEL_TIMEOUT_MS_MIN,
			WEIR_MODEL_TIMEOUT_MS_MAX / 1000);
	*out_ms = (uint32_t)(scaled / 1000);
	return 0;
}

bool weir_model_variable_sound(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return name[0] != '\0' && strlen(name) <= WEIR_MODEL_VARIABLE_BYTES_MAX && !(name[0] >= '0' && name[0] <= '9') &&
	       name[strspn(name, letters)] == '\0';
}
