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

/* Bytes of the UTF-8 sequence at `text` (Unicode table 3-7), or 0 if it is none or a control. */
static size_t sequence_bytes(const unsigned char *text, size_t left)
{
	const unsigned char first = text[0];
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t bytes;

	if (first < 0x80)
		return first >= 0x20 && first != 0x7f ? 1 : 0;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (bytes > left)
		return 0;
	/* No overlong forms, surrogates, or points above U+10FFFF; and no C1 controls. */
	if (first == 0xc2 || first == 0xe0)
		low = 0xa0;
	else if (first == 0xf0)
		low = 0x90;
	if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	return bytes;
}

bool weir_model_text_clean(const char *text, size_t bytes)
{
	size_t at = 0;

	while (at < bytes) {
		const size_t step =
			sequence_bytes((const unsigned char *)text + at, bytes - at);

		if (step == 0)
			return false;
		at += step;
	}
	return true;
}
