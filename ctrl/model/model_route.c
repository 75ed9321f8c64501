#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_text.h"

/* In the order of enum weir_http_method (dataplane/http), which this room cannot see; a test holds
 * the two together. */
static const char *const methods_names[] = {"GET",    "HEAD",  "POST",   "PUT",
					    "DELETE", "PATCH", "OPTIONS"};
enum { METHODS_COUNT = sizeof(methods_names) / sizeof(methods_names[0]) };

static const char host_reserved[] = "function.weir";

uint16_t weir_model_method_bit(const char *name, size_t bytes)
{
	for (size_t i = 0; i < METHODS_COUNT; i++) {
		if (strlen(methods_names[i]) == bytes &&
		    memcmp(methods_names[i], name, bytes) == 0)
			return (uint16_t)(1U << i);
	}
	return 0;
}

const char *weir_model_methods_format(uint16_t methods, char *out, size_t max)
{
	size_t at = 0;

	(void)snprintf(out, max, "%s", methods == 0 ? "ANY" : ""); /* cut as documented */
	for (size_t i = 0; i < METHODS_COUNT && at < max; i++) {
		if ((methods & (1U << i)) == 0)
			continue;
		const int bytes = snprintf(out + at, max - at, "%s%s", at > 0 ? "," : "",
					   methods_names[i]);

		at += (size_t)bytes;
	}
	return out;
}

/* The names of a pattern's parameters so far, to find one given twice. */
struct params {
	const char *name[WEIR_MODEL_PARAMS_MAX];
	size_t bytes[WEIR_MODEL_PARAMS_MAX];
	size_t count;
};

static bool is_param_name(const char *name, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		const char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return bytes > 0;
}

/* One '{name}' segment, braces included. */
static int check_param(const char *segment, size_t bytes, struct params *params,
		       struct weir_model_error *error)
{
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];
	const char *name = segment + 1;

	if (bytes < 3 || segment[bytes - 1] != '}' || !is_param_name(name, bytes - 2))
		return weir_model_fail(
			error, "pattern",
			"has segment '%s'; a parameter fills a whole segment as {name}, its "
			"name of a-z, 0-9 and '_'",
			weir_model_quote(segment, bytes, quote));
	for (size_t i = 0; i < params->count; i++) {
		if (params->bytes[i] == bytes - 2 &&
		    memcmp(params->name[i], name, bytes - 2) == 0)
			return weir_model_fail(error, "pattern", "names parameter '%s' twice",
					       weir_model_quote(name, bytes - 2, quote));
	}
	if (params->count == WEIR_MODEL_PARAMS_MAX)
		return weir_model_fail(error, "pattern", "has more than %d parameters",
				       WEIR_MODEL_PARAMS_MAX);
	params->name[params->count] = name;
	params->bytes[params->count++] = bytes - 2;
	return 0;
}

static int check_literal(const char *segment, size_t bytes, bool last,
			 struct weir_model_error *error)
{
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];

	if (bytes == 0 && !last)
		return weir_model_fail(error, "pattern", "has an empty segment ('//')");
	if ((bytes == 1 && segment[0] == '.') || (bytes == 2 && memcmp(segment, "..", 2) == 0))
		return weir_model_fail(
			error, "pattern",
			"has a '.' or '..' segment, which no request path keeps");
	for (size_t i = 0; i < bytes; i++) {
		if (segment[i] == '{' || segment[i] == '}')
			return weir_model_fail(
				error, "pattern",
				"has segment '%s'; a parameter fills a whole segment as {name}",
				weir_model_quote(segment, bytes, quote));
		if (segment[i] == '*')
			return weir_model_fail(
				error, "pattern",
				"has a '*' that is not the whole last segment ('/*')");
	}
	return 0;
}

/* What holds for the text as a whole. */
static int check_path_text(const char *pattern, size_t bytes, struct weir_model_error *error)
{
	if (bytes > WEIR_MODEL_PATTERN_BYTES_MAX)
		return weir_model_fail(error, "pattern", "is longer than %d bytes",
				       WEIR_MODEL_PATTERN_BYTES_MAX);
	if (bytes == 0 || pattern[0] != '/')
		return weir_model_fail(error, "pattern", "must begin with '/'");
	if (memchr(pattern, '?', bytes) != NULL)
		return weir_model_fail(
			error, "pattern",
			"holds a query string; routes match the path only, leave out '?' and "
			"what follows");
	if (memchr(pattern, '#', bytes) != NULL)
		return weir_model_fail(error, "pattern",
				       "holds a '#', which no request path has");
	if (memchr(pattern, '%', bytes) != NULL)
		return weir_model_fail(
			error, "pattern",
			"holds a '%%'; paths are decoded before they are matched, write the "
			"character itself");
	if (!weir_model_text_clean(pattern, bytes))
		return weir_model_fail(error, "pattern",
				       "must be UTF-8 without control characters");
	if (pattern[bytes - 1] == ' ')
		return weir_model_fail(error, "pattern", "ends in a blank");
	return 0;
}

static int check_pattern(const char *pattern, size_t bytes, struct weir_model_error *error)
{
	struct params params = {.count = 0};
	size_t segments = 0;
	int result = check_path_text(pattern, bytes, error);

	for (size_t at = 1; result == 0 && at <= bytes;) {
		const char *segment = pattern + at;
		const char *slash = memchr(segment, '/', bytes - at);
		const size_t length = slash != NULL ? (size_t)(slash - segment) : bytes - at;

		if (++segments > WEIR_MODEL_SEGMENTS_MAX)
			return weir_model_fail(error, "pattern", "has more than %d segments",
					       WEIR_MODEL_SEGMENTS_MAX);
		if (length > 0 && segment[0] == '{')
			result = check_param(segment, length, &params, error);
		else if (slash != NULL || length != 1 || segment[0] != '*')
			result = check_literal(segment, length, slash == NULL, error);
		at += length + 1;
	}
	return result;
}

static bool is_host_byte(char c, bool address6)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.')
		return true;
	return address6 ? c == ':' : c == '-' || c == '_';
}

static int check_host(const char *host, size_t bytes, struct weir_model_error *error)
{
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];
	const bool address6 = bytes > 2 && host[0] == '[' && host[bytes - 1] == ']';
	const size_t first = address6 ? 1 : 0;
	const size_t end = address6 ? bytes - 1 : bytes;

	if (bytes == 0)
		return 0;
	if (bytes > WEIR_MODEL_HOST_BYTES_MAX)
		return weir_model_fail(error, "host", "is longer than %d bytes",
				       WEIR_MODEL_HOST_BYTES_MAX);
	if (strcmp(host, host_reserved) == 0)
		return weir_model_fail(error, "host", "'%s' is Weir's own", host_reserved);
	for (size_t i = first; i < end; i++) {
		if (!address6 && (host[i] == ':' || host[i] == '['))
			return weir_model_fail(
				error, "host",
				"is '%s'; leave out the port (an IPv6 address stands in [])",
				weir_model_quote(host, bytes, quote));
		if (!is_host_byte(host[i], address6))
			return weir_model_fail(
				error, "host",
				"is '%s'; a host holds a-z, 0-9, '.', '-' and '_'",
				weir_model_quote(host, bytes, quote));
	}
	if (!address6 && (host[0] == '.' || host[bytes - 1] == '.'))
		return weir_model_fail(error, "host", "begins or ends with '.'");
	return 0;
}

int weir_model_host_parse(const char *text, char out_host[WEIR_MODEL_HOST_BYTES_MAX + 1],
			  struct weir_model_error *error)
{
	char host[WEIR_MODEL_HOST_BYTES_MAX + 2];
	const size_t bytes = strnlen(text, WEIR_MODEL_HOST_BYTES_MAX + 1);

	for (size_t i = 0; i < bytes; i++)
		host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a')
							   : text[i];
	host[bytes] = '\0';
	const int result = check_host(host, bytes, error);

	if (result == 0)
		memcpy(out_host, host, bytes + 1);
	return result;
}

static const char *const auths[WEIR_MODEL_AUTHS] = {"", "open", "required"};

const char *weir_model_auth_name(enum weir_model_auth auth)
{
	return auths[auth];
}

int weir_model_auth_parse(const char *text, enum weir_model_auth *out_auth, struct weir_model_error *error)
{
	for (int i = 0; i < WEIR_MODEL_AUTHS; i++) {
		if (strcmp(auths[i], text) == 0) {
			*out_auth = (enum weir_model_auth)i;
			return 0;
		}
	}
	return weir_model_fail(error, "auth", "must be open or required, or empty: as the setting auth says");
}

int weir_model_route_check(const struct weir_model_route *route, struct weir_model_error *error)
{
	if (route->methods >= 1U << METHODS_COUNT)
		return weir_model_fail(error, "methods",
				       "holds a method that Weir does not know");
	if (route->timeout_ms > WEIR_MODEL_TIMEOUT_MS_MAX)
		return weir_model_fail(
			error, "timeout", "must be between %d ms and %d s, or left out",
			WEIR_MODEL_TIMEOUT_MS_MIN, WEIR_MODEL_TIMEOUT_MS_MAX / 1000);
	if (route->auth < WEIR_MODEL_AUTH_AS_SET || route->auth >= WEIR_MODEL_AUTHS)
		return weir_model_fail(error, "auth", "is neither open nor required");
	const int result =
		check_host(route->host, strnlen(route->host, sizeof(route->host)), error);

	if (result != 0)
		return result;
	return check_pattern(route->pattern, strnlen(route->pattern, sizeof(route->pattern)),
			     error);
}

/* "GET", "GET,POST" or "ANY" -> bits. */
static int methods_parse(const char *text, size_t bytes, uint16_t *out_methods,
			 struct weir_model_error *error)
{
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];
	uint16_t methods = 0;

	if (bytes == 3 && memcmp(text, "ANY", 3) == 0) {
		*out_methods = 0;
		return 0;
	}
	for (size_t at = 0; at <= bytes;) {
		const char *comma = memchr(text + at, ',', bytes - at);
		const size_t length = comma != NULL ? (size_t)(comma - text) - at : bytes - at;
		const uint16_t bit = weir_model_method_bit(text + at, length);

		if (bit == 0)
			return weir_model_fail(
				error, "methods",
				"has '%s'; known are GET, HEAD, POST, PUT, DELETE, PATCH, "
				"OPTIONS (joined by ','), or ANY alone",
				weir_model_quote(text + at, length, quote));
		methods |= bit;
		at += length + 1;
	}
	*out_methods = methods;
	return 0;
}

int weir_model_route_parse(const char *text, struct weir_model_route *out_route,
			   struct weir_model_error *error)
{
	const char *blank = strchr(text, ' ');
	uint16_t methods = 0;

	if (blank == NULL || text[0] == '/')
		return weir_model_fail(
			error, "route",
			"must be a method and a pattern, as in 'GET /img/{id}' or 'ANY /x/*'");
	const char *pattern = blank + strspn(blank, " ");
	const size_t pattern_bytes = strlen(pattern);
	int result = methods_parse(text, (size_t)(blank - text), &methods, error);

	if (result == 0)
		result = check_pattern(pattern, pattern_bytes, error);
	if (result != 0)
		return result;
	out_route->methods = methods;
	memcpy(out_route->pattern, pattern, pattern_bytes + 1);
	return 0;
}
