#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"

/* The kinds that run here, by what stands before the ':'; `concrete` is what `default` means. */
static const struct family {
	const char *name;
	const char *concrete;
	const char *runtime;
	const char *file; /* what code that is a text is called */
} families[] = {
	{"nodejs", "nodejs:20", "node", "index.js"},
	{"python", "python:3", "python", "__main__.py"},
	{"php", "php:8.2", "php", "index.php"},
};

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

const char *weir_whisk_kind_of(const char *runtime)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		if (strcmp(families[i].runtime, runtime) == 0)
			return families[i].concrete;
	}
	return strcmp(runtime, "js") == 0 ? families[0].concrete : runtime;
}

/* "nodejs:20" is of the first family. */
static const struct family *family_find(const char *kind)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		const size_t bytes = strlen(families[i].name);

		if (strncmp(kind, families[i].name, bytes) == 0 && kind[bytes] == ':' && kind[bytes + 1] != '\0' &&
		    strlen(kind) < WEIR_WHISK_KIND_BYTES && kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789.:-")] == '\0')
			return &families[i];
	}
	return NULL;
}

/* ---- base64 ---- */

static int digit_of(char byte)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *const at = byte == '\0' ? NULL : strchr(digits, byte);

	return at == NULL ? -1 : (int)(at - digits);
}

bool weir_whisk_base64(struct weir_span text, char *out, size_t max, size_t *out_bytes)
{
	uint32_t bits = 0;
	size_t used = 0;
	size_t end = text.bytes;

	while (end > 0 && text.bytes - end < 2 && text.data[end - 1] == '=')
		end--;
	if (text.bytes % 4 != 0)
		return false;
	for (size_t i = 0; i < end; i++) {
		const int digit = digit_of(text.data[i]);

		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 == 0)
			continue;
		if (used < max)
			out[used] = (char)(bits >> (6 - 2 * (i % 4)));
		used++;
	}
	*out_bytes = used;
	return true;
}

static struct weir_span blanks_trim(struct weir_span text)
{
	while (text.bytes > 0 && isspace((unsigned char)text.data[text.bytes - 1]))
		text.bytes--;
	while (text.bytes > 0 && isspace((unsigned char)text.data[0])) {
		text.data++;
		text.bytes--;
	}
	return text;
}

/* ---- the member "exec" ---- */

/* A text, or a zip archive as base64, which is decoded in its place: nothing says which but the text itself. */
static void code_take(char *text, struct weir_whisk_exec *exec)
{
	const struct weir_span trimmed = blanks_trim(weir_span_of(text));
	char start[4] = "";

	exec->code = text;
	exec->is_binary = weir_whisk_base64(trimmed, start, sizeof(start), &exec->bytes) &&
			  memcmp(start, "PK\3\4", sizeof(start)) == 0;
	if (exec->is_binary)
		(void)weir_whisk_base64(trimmed, text, SIZE_MAX, &exec->bytes); /* it is: see above */
	else
		exec->bytes = strlen(text);
}

static int kind_refuse(struct weir_dialect_call *call, const char *kind)
{
	return weir_whisk_fail(call, 400,
			       "The specified runtime '%.64s' is not supported by this platform. Valid values are: "
			       "'nodejs:default', 'nodejs:20', 'python:default', 'python:3', 'php:default', 'php:8.2', 'sequence'",
			       kind);
}

bool weir_whisk_exec_read(struct weir_dialect_call *call, cJSON *json, struct weir_whisk_exec *out_exec,
			  int *out_code)
{
	const char *const kind = weir_dialect_text(json, "kind");
	char *const code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "code"));
	const char *const entry = weir_dialect_text(json, "main");
	const struct family *const family = kind == NULL ? NULL : family_find(kind);

	*out_exec = (struct weir_whisk_exec){.main = entry == NULL ? "main" : entry};
	if (kind != NULL && strcmp(kind, "sequence") == 0)
		return weir_whisk_sequence_read(call, json, out_exec, out_code);
	if (kind == NULL)
		*out_code = weir_whisk_malformed(call, "'kind' must be a string defined in 'exec'");
	else if (family == NULL)
		*out_code = kind_refuse(call, kind);
	else if (code == NULL || code[0] == '\0')
		*out_code = weir_whisk_malformed(call, "'code' must be a string or attachment object defined in 'exec'");
	else if (strlen(code) > WEIR_WHISK_CODE_BYTES_MAX)
		*out_code = weir_whisk_fail(call, 413, "Action code larger than allowed: %zu > %d bytes.", strlen(code),
					    WEIR_WHISK_CODE_BYTES_MAX);
	else
		code_take(code, out_exec);
	if (family == NULL || out_exec->code == NULL)
		return false;
	(void)snprintf(out_exec->kind, sizeof(out_exec->kind), "%s",
		       strcmp(strchr(kind, ':'), ":default") == 0 ? family->concrete : kind); /* fits: checked */
	out_exec->runtime = family->runtime;
	out_exec->otherwise = strcmp(family->runtime, "node") == 0 ? "js" : NULL;
	out_exec->file = out_exec->is_binary ? NULL : family->file;
	return true;
}
