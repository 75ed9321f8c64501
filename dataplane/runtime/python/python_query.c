#include "dataplane/runtime/python/python_query.h"

/* Cut what stands before the first `mark` off the front of `text`, and the mark. */
static struct weir_span cut(struct weir_span *text, char mark)
{
	const char *const end = text->bytes != 0 ? memchr(text->data, mark, text->bytes) : NULL;
	const size_t bytes = end != NULL ? (size_t)(end - text->data) : text->bytes;
	const size_t taken = end != NULL ? bytes + 1 : bytes;
	const struct weir_span piece = {.data = text->data, .bytes = bytes};

	text->data += taken;
	text->bytes -= taken;
	return piece;
}

bool weir_python_query_next(struct weir_span *text, struct weir_span *out_name,
			    struct weir_span *out_value)
{
	while (text->bytes != 0) {
		struct weir_span piece = cut(text, '&');

		if (piece.bytes == 0)
			continue;
		*out_name = cut(&piece, '=');
		*out_value = piece;
		return true;
	}
	return false;
}

/* -1 = no hexadecimal digit. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t weir_python_query_decode(struct weir_span text, char *out)
{
	size_t bytes = 0;

	for (size_t i = 0; i < text.bytes; i++) {
		const bool is_escape = text.data[i] == '%' && text.bytes - i > 2 &&
				       digit(text.data[i + 1]) >= 0 && digit(text.data[i + 2]) >= 0;

		if (is_escape) {
			out[bytes++] = (char)(digit(text.data[i + 1]) * 16 + digit(text.data[i + 2]));
			i += 2;
		} else {
			out[bytes++] = text.data[i] == '+' ? ' ' : text.data[i];
		}
	}
	return bytes;
}
