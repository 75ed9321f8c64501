#include "ctrl/dialect/multipart.h"

#include <stdio.h>
#include <string.h>

#define FORM_DATA "multipart/form-data"

/* Step over `text` at the front, whatever its case. */
static bool take_nocase(struct weir_span *from, struct weir_span text)
{
	const struct weir_span start = {.data = from->data, .bytes = text.bytes};

	if (from->bytes < text.bytes || !weir_span_equal_nocase(start, text))
		return false;
	from->data += text.bytes;
	from->bytes -= text.bytes;
	return true;
}

static void blanks_skip(struct weir_span *from)
{
	while (from->bytes > 0 && (from->data[0] == ' ' || from->data[0] == '\t')) {
		from->data++;
		from->bytes--;
	}
}

static struct weir_span take(struct weir_span *from, size_t bytes)
{
	const struct weir_span taken = {.data = from->data, .bytes = bytes};

	from->data += bytes;
	from->bytes -= bytes;
	return taken;
}

/* Of a token (RFC 9110). */
static bool is_token(char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static size_t token_bytes(struct weir_span from)
{
	size_t bytes = 0;

	while (bytes < from.bytes && is_token(from.data[bytes]))
		bytes++;
	return bytes;
}

/* What stands between quotes, with its backslashes. False: the second quote is missing. */
static bool quoted_take(struct weir_span *from, struct weir_span *out_value)
{
	size_t bytes = 1;

	while (bytes < from->bytes && from->data[bytes] != '"')
		bytes += from->data[bytes] == '\\' ? 2 : 1;
	if (bytes >= from->bytes)
		return false;
	*out_value = (struct weir_span){.data = from->data + 1, .bytes = bytes - 1};
	(void)take(from, bytes + 1);
	return true;
}

/* The next of "; name=value", or of what remains of it. 1: there is one; 0: the end; -1: unsound. */
static int parameter_take(struct weir_span *from, struct weir_span *out_name, struct weir_span *out_value)
{
	blanks_skip(from);
	if (from->bytes == 0)
		return 0;
	if (take(from, 1).data[0] != ';')
		return -1;
	blanks_skip(from);
	*out_name = take(from, token_bytes(*from));
	if (out_name->bytes == 0 || from->bytes == 0 || take(from, 1).data[0] != '=')
		return -1;
	if (from->bytes > 0 && from->data[0] == '"')
		return quoted_take(from, out_value) ? 1 : -1;
	*out_value = take(from, token_bytes(*from));
	return out_value->bytes > 0 ? 1 : -1;
}

/* The only parameter of that name in what follows a field's first word. False: none, two, or unsound. */
static bool parameter_find(struct weir_span from, struct weir_span wanted, struct weir_span *out_value)
{
	struct weir_span name;
	struct weir_span value;
	size_t found = 0;
	int result = parameter_take(&from, &name, &value);

	for (; result == 1; result = parameter_take(&from, &name, &value)) {
		if (!weir_span_equal_nocase(name, wanted))
			continue;
		*out_value = value;
		found++;
	}
	return result == 0 && found == 1;
}

/* "CRLF--BOUNDARY", from the request's content-type. */
struct delimiter {
	char text[WEIR_MULTIPART_BOUNDARY_BYTES_MAX + 4];
	size_t bytes;
};

static bool delimiter_make(struct weir_span type, struct delimiter *out)
{
	struct weir_span boundary;

	if (!take_nocase(&type, WEIR_SPAN(FORM_DATA)) || !parameter_find(type, WEIR_SPAN("boundary"), &boundary) ||
	    boundary.bytes == 0 || boundary.bytes > WEIR_MULTIPART_BOUNDARY_BYTES_MAX)
		return false;
	for (size_t i = 0; i < boundary.bytes; i++) {
		if (boundary.data[i] < ' ' || boundary.data[i] > '~' || boundary.data[i] == '\\')
			return false;
	}
	memcpy(out->text, "\r\n--", 4);
	memcpy(out->text + 4, boundary.data, boundary.bytes);
	out->bytes = boundary.bytes + 4;
	return true;
}

/* A line without its end. False: it has none, or is too long. */
static bool line_take(struct weir_span *from, struct weir_span *out_line)
{
	const size_t most = from->bytes < WEIR_MULTIPART_LINE_BYTES_MAX ? from->bytes : WEIR_MULTIPART_LINE_BYTES_MAX;
	const char *const end = most == 0 ? NULL : memmem(from->data, most, "\r\n", 2);

	if (end == NULL)
		return false;
	*out_line = take(from, (size_t)(end - from->data));
	(void)take(from, 2);
	return true;
}

/* One field of a part. NULL or what is wrong with it. */
static const char *field_read(struct weir_span line, struct weir_multipart_part *part)
{
	static const struct weir_span plain[] = {{"binary", 6}, {"8bit", 4}, {"7bit", 4}};
	bool is_plain = false;

	if (take_nocase(&line, WEIR_SPAN("content-disposition:"))) {
		blanks_skip(&line);
		if (part->name.data != NULL || !take_nocase(&line, WEIR_SPAN("form-data")) ||
		    !parameter_find(line, WEIR_SPAN("name"), &part->name))
			return "has a part whose Content-Disposition is not form-data with one name";
		return NULL;
	}
	if (!take_nocase(&line, WEIR_SPAN("content-transfer-encoding:")))
		return line.bytes == 0 || token_bytes(line) == 0 || token_bytes(line) == line.bytes ||
				       line.data[token_bytes(line)] != ':'
			       ? "has a part with a field that is none"
			       : NULL;
	blanks_skip(&line);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		is_plain = is_plain || weir_span_equal_nocase(line, plain[i]);
	return is_plain ? NULL : "has a part with a Content-Transfer-Encoding";
}

/* A part's fields and the empty line behind them. */
static const char *fields_read(struct weir_span *from, struct weir_multipart_part *part)
{
	const char *wrong = NULL;
	struct weir_span line;

	for (size_t i = 0; i <= WEIR_MULTIPART_FIELDS_MAX; i++) {
		if (!line_take(from, &line))
			return "has a part with a field that does not end within 1,024 bytes";
		if (line.bytes == 0)
			return part->name.data != NULL ? NULL : "has a part without a name";
		wrong = field_read(line, part);
		if (wrong != NULL)
			return wrong;
	}
	return "has a part with more than 8 fields";
}

/* From behind a boundary to behind the next. */
static const char *part_read(struct weir_span *from, const struct delimiter *delimiter,
			     struct weir_multipart *form)
{
	struct weir_multipart_part part = {.name = {.data = NULL}};
	const char *wrong = form->count == WEIR_MULTIPART_PARTS_MAX ? "has more than 8 parts"
								    : fields_read(from, &part);
	const char *const end = wrong != NULL || from->bytes == 0
					? NULL
					: memmem(from->data, from->bytes, delimiter->text, delimiter->bytes);

	if (wrong != NULL)
		return wrong;
	if (end == NULL)
		return "ends before its last boundary";
	part.content = take(from, (size_t)(end - from->data));
	(void)take(from, delimiter->bytes);
	form->part[form->count++] = part;
	return NULL;
}

const char *weir_multipart_read(struct weir_span type, struct weir_span body, struct weir_multipart *out_form)
{
	const char *wrong = NULL;
	struct delimiter delimiter;

	out_form->count = 0;
	if (!delimiter_make(type, &delimiter))
		return "is no form: its content-type must be " FORM_DATA " with a boundary";
	if (body.bytes < delimiter.bytes - 2 || memcmp(body.data, delimiter.text + 2, delimiter.bytes - 2) != 0)
		return "does not begin with its boundary";
	(void)take(&body, delimiter.bytes - 2);
	while (wrong == NULL && body.bytes >= 2 && memcmp(body.data, "\r\n", 2) == 0) {
		(void)take(&body, 2);
		wrong = part_read(&body, &delimiter, out_form);
	}
	if (wrong != NULL)
		return wrong;
	if (!weir_span_equal(body, WEIR_SPAN("--")) && !weir_span_equal(body, WEIR_SPAN("--\r\n")))
		return "does not end with its last boundary";
	return NULL;
}

const struct weir_multipart_part *weir_multipart_find(const struct weir_multipart *form, const char *name,
						      bool *out_is_twice)
{
	const struct weir_multipart_part *found = NULL;

	*out_is_twice = false;
	for (size_t i = 0; i < form->count; i++) {
		if (!weir_span_equal(form->part[i].name, weir_span_of(name)))
			continue;
		*out_is_twice = *out_is_twice || found != NULL;
		found = &form->part[i];
	}
	return *out_is_twice ? NULL : found;
}
