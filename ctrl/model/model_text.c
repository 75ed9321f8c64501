#include "ctrl/model/model_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int weir_model_fail(struct weir_model_error *error, const char *field, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return -EINVAL;
	memset(error, 0, sizeof(*error));
	(void)snprintf(error->field, sizeof(error->field), "%s",
		       field); /* cut is fine: for people */
	va_start(arguments, format);
	(void)vsnprintf(error->reason, sizeof(error->reason), format, arguments); /* the same */
	va_end(arguments);
	return -EINVAL;
}

const char *weir_model_quote(const char *text, size_t bytes,
			     char out[WEIR_MODEL_QUOTE_BYTES_MAX])
{
	const size_t shown = bytes > 40 ? 40 : bytes;

	for (size_t i = 0; i < shown; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	(void)strcpy(out + shown, bytes > shown ? "..." : ""); /* returns out + shown */
	return out;
}

size_t weir_model_utf8_bytes(const char *text, size_t left)
{
	const unsigned char *byte = (const unsigned char *)text;
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t bytes = 1;

	if (left == 0 || byte[0] < 0x80)
		return left == 0 ? 0 : 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	bytes = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (bytes > left)
		return 0;
	/* No overlong forms, surrogates, or points above U+10FFFF (Unicode table 3-7). */
	if (byte[0] == 0xe0)
		low = 0xa0;
	else if (byte[0] == 0xf0)
		low = 0x90;
	if (byte[0] == 0xed)
		high = 0x9f;
	else if (byte[0] == 0xf4)
		high = 0x8f;
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	}
	return bytes;
}

/* C0, DEL or C1. */
static bool is_control(const char *text, size_t bytes)
{
	const unsigned char first = (unsigned char)text[0];

	return bytes == 1 ? first < 0x20 || first == 0x7f : first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

bool weir_model_text_clean(const char *text, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		const size_t step = weir_model_utf8_bytes(text + at, bytes - at);

		if (step == 0 || is_control(text + at, step))
			return false;
		at += step;
	}
	return true;
}
