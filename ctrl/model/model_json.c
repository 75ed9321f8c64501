#include "ctrl/model/model_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/model/model_text.h"
#include "dataplane/base/assert.h"

enum { NAMES_ROOM_FIRST = 64 };

/* An object or a list that is open. */
struct level {
	bool is_object;
	size_t names_at;       /* of its members, in scan.names */
	struct weir_span name; /* of the member that is being read */
	size_t index;          /* of the element that is */
};

/* Where the reading stands. Names lie in `out`, which never moves. */
struct scan {
	struct weir_span text;
	size_t at;
	char *out;
	size_t used;
	const char *root;
	size_t levels_max;
	size_t depth;
	struct level level[WEIR_MODEL_JSON_LEVELS_MAX];
	struct weir_span *names;
	size_t name_count;
	size_t name_room;
	struct weir_model_error *error;
};

/* "parameters.rates[3]", cut where it is too long. */
static void path_format(const struct scan *scan, char *out, size_t max)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < scan->depth && used < max; i++) {
		const struct level *level = &scan->level[i];
		char quote[WEIR_MODEL_QUOTE_BYTES_MAX];

		if (level->is_object && level->name.data == NULL)
			break; /* between two members: the object itself */
		if (level->is_object)
			used += (size_t)snprintf(out + used, max - used, "%s%s", used == 0 ? "" : ".",
						 weir_model_quote(level->name.data, level->name.bytes, quote));
		else
			used += (size_t)snprintf(out + used, max - used, "[%zu]", level->index);
	}
	if (used == 0)
		(void)snprintf(out, max, "%s", scan->root);
}

static int fail(const struct scan *scan, const char *reason)
{
	char path[sizeof(scan->error->field)];

	path_format(scan, path, sizeof(path));
	return weir_model_fail(scan->error, path, "%s (byte %zu of %zu)", reason, scan->at, scan->text.bytes);
}

/* The byte that comes next, or NUL at the end: no JSON has one. */
static char peek(const struct scan *scan)
{
	return scan->at < scan->text.bytes ? scan->text.data[scan->at] : '\0';
}

static void blanks_skip(struct scan *scan)
{
	while (peek(scan) == ' ' || peek(scan) == '\t' || peek(scan) == '\r' || peek(scan) == '\n')
		scan->at++;
}

static void emit(struct scan *scan, const char *bytes, size_t count)
{
	WEIR_ASSERT(scan->used + count <= scan->at); /* nothing grows: in place is safe */
	memmove(scan->out + scan->used, bytes, count);
	scan->used += count;
}

/* One byte as it is. */
static void copy_byte(struct scan *scan)
{
	const char byte = peek(scan);

	scan->at++;
	emit(scan, &byte, 1);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits behind "\u". False: they are not. */
static bool hex_take(struct scan *scan, uint32_t *out_point)
{
	uint32_t point = 0;

	for (int i = 0; i < 4; i++) {
		const int digit = hex_digit(peek(scan));

		if (digit < 0)
			return false;
		point = point * 16 + (uint32_t)digit;
		scan->at++;
	}
	*out_point = point;
	return true;
}

/* A character as the canonical form has it. */
static void point_emit(struct scan *scan, uint32_t point)
{
	static const char letters[] = "\b\f\n\r\t\"\\";
	static const char escapes[] = "bfnrt\"\\";
	const char *letter = point < 0x80 ? memchr(letters, (int)point, sizeof(letters) - 1) : NULL;
	char text[8];

	if (letter != NULL) {
		text[0] = '\\';
		text[1] = escapes[letter - letters];
		emit(scan, text, 2);
	} else if (point < 0x20) {
		(void)snprintf(text, sizeof(text), "\\u%04x", (unsigned)point); /* fits */
		emit(scan, text, 6);
	} else if (point < 0x80) {
		text[0] = (char)point;
		emit(scan, text, 1);
	} else if (point < 0x800) {
		text[0] = (char)(0xc0 | point >> 6);
		text[1] = (char)(0x80 | (point & 0x3f));
		emit(scan, text, 2);
	} else if (point < 0x10000) {
		text[0] = (char)(0xe0 | point >> 12);
		text[1] = (char)(0x80 | (point >> 6 & 0x3f));
		text[2] = (char)(0x80 | (point & 0x3f));
		emit(scan, text, 3);
	} else {
		text[0] = (char)(0xf0 | point >> 18);
		text[1] = (char)(0x80 | (point >> 12 & 0x3f));
		text[2] = (char)(0x80 | (point >> 6 & 0x3f));
		text[3] = (char)(0x80 | (point & 0x3f));
		emit(scan, text, 4);
	}
}

/* "\u0041", or two of them that are one character. The 'u' was taken. */
static int unicode_take(struct scan *scan)
{
	uint32_t point = 0;
	uint32_t low = 0;

	if (!hex_take(scan, &point))
		return fail(scan, "has \\u without four hexadecimal digits");
	if (point == 0)
		return fail(scan, "holds a NUL character");
	if (point < 0xd800 || point > 0xdfff) {
		point_emit(scan, point);
		return 0;
	}
	if (point > 0xdbff || peek(scan) != '\\')
		return fail(scan, "holds half of a surrogate pair");
	scan->at++;
	if (peek(scan) != 'u')
		return fail(scan, "holds half of a surrogate pair");
	scan->at++;
	if (!hex_take(scan, &low) || low < 0xdc00 || low > 0xdfff)
		return fail(scan, "holds half of a surrogate pair");
	point_emit(scan, 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00));
	return 0;
}

static int escape_take(struct scan *scan)
{
	static const char escapes[] = "bfnrt\"\\/";
	static const char points[] = "\b\f\n\r\t\"\\/";
	const char letter = scan->at + 1 < scan->text.bytes ? scan->text.data[scan->at + 1] : '\0';
	const char *known = letter == '\0' ? NULL : strchr(escapes, letter);

	if (letter != 'u' && known == NULL)
		return fail(scan, "has an escape that JSON does not know");
	scan->at += 2;
	if (letter == 'u')
		return unicode_take(scan);
	point_emit(scan, (uint32_t)points[known - escapes]);
	return 0;
}

/* A string with its quotes; *out_name (may be NULL) is what lies between them. */
static int string_take(struct scan *scan, struct weir_span *out_name)
{
	const size_t first = scan->used + 1;
	int code = 0;

	copy_byte(scan);
	while (code == 0 && peek(scan) != '"') {
		const size_t left = scan->text.bytes - scan->at;
		const char *text = scan->text.data + scan->at;
		size_t bytes = 0;

		if (left == 0)
			return fail(scan, "has a string without an end");
		if (*text == '\\') {
			code = escape_take(scan);
			continue;
		}
		bytes = weir_model_utf8_bytes(text, left);
		if (bytes == 0)
			return fail(scan, "is not UTF-8");
		if ((unsigned char)*text < 0x20)
			return fail(scan, "has a control character in a string; JSON wants it escaped");
		scan->at += bytes;
		emit(scan, text, bytes);
	}
	if (code != 0)
		return code;
	copy_byte(scan);
	if (out_name != NULL)
		*out_name = (struct weir_span){.data = scan->out + first, .bytes = scan->used - first - 1};
	return 0;
}

static size_t digits_take(struct scan *scan)
{
	const size_t first = scan->at;

	while (peek(scan) >= '0' && peek(scan) <= '9')
		scan->at++;
	return scan->at - first;
}

/* Moves behind a number. False: it is not written as JSON wants it. */
static bool number_skip(struct scan *scan)
{
	if (peek(scan) == '-')
		scan->at++;
	if (peek(scan) == '0')
		scan->at++;
	else if (digits_take(scan) == 0)
		return false;
	if (peek(scan) == '.') {
		scan->at++;
		if (digits_take(scan) == 0)
			return false;
	}
	if (peek(scan) == 'e' || peek(scan) == 'E') {
		scan->at++;
		if (peek(scan) == '+' || peek(scan) == '-')
			scan->at++;
		return digits_take(scan) > 0;
	}
	return true;
}

static int number_take(struct scan *scan)
{
	const size_t first = scan->at;
	char text[WEIR_MODEL_JSON_NUMBER_BYTES_MAX + 1];
	size_t bytes = 0;

	if (!number_skip(scan))
		return fail(scan, "is not JSON: a number is not written as JSON writes it");
	bytes = scan->at - first;
	if (bytes > WEIR_MODEL_JSON_NUMBER_BYTES_MAX)
		return fail(scan, "has a number of more than 63 characters");
	memcpy(text, scan->text.data + first, bytes);
	text[bytes] = '\0';
	if (!isfinite(strtod(text, NULL)))
		return fail(scan, "has a number that is too large (beyond 1.8e308)");
	emit(scan, text, bytes);
	return 0;
}

static int word_take(struct scan *scan)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const size_t bytes = strlen(words[i]);

		if (scan->text.bytes - scan->at < bytes ||
		    memcmp(scan->text.data + scan->at, words[i], bytes) != 0)
			continue;
		scan->at += bytes;
		emit(scan, words[i], bytes);
		return 0;
	}
	return fail(scan, scan->at == scan->text.bytes ? "is not JSON: it ends in the middle"
						       : "is not JSON: no value begins like this");
}

/* The name of the next member and its colon. */
static int name_take(struct scan *scan)
{
	struct level *level = &scan->level[scan->depth - 1];
	struct weir_span name = {.data = NULL};
	int code = 0;

	level->name = name;
	blanks_skip(scan);
	if (peek(scan) != '"')
		return fail(scan, "is not JSON: a member's name in quotes is missing");
	code = string_take(scan, &name);
	if (code != 0)
		return code;
	blanks_skip(scan);
	if (peek(scan) != ':')
		return fail(scan, "is not JSON: a ':' is missing behind a member's name");
	copy_byte(scan);
	level->name = name;
	if (scan->name_count == scan->name_room) {
		const size_t room = scan->name_room == 0 ? NAMES_ROOM_FIRST : scan->name_room * 2;
		struct weir_span *grown = realloc(scan->names, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		scan->names = grown;
		scan->name_room = room;
	}
	scan->names[scan->name_count++] = name;
	return 0;
}

static int name_compare(const void *left, const void *right)
{
	const struct weir_span *a = left;
	const struct weir_span *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? -1 : 1;
	return memcmp(a->data, b->data, a->bytes);
}

/* An object or a list ends: no member stands in it twice. */
static int level_close(struct scan *scan)
{
	struct level *level = &scan->level[scan->depth - 1];
	struct weir_span *names = scan->names == NULL ? NULL : scan->names + level->names_at;
	const size_t count = scan->name_count - level->names_at;

	if (count > 1)
		qsort(names, count, sizeof(*names), name_compare);
	for (size_t i = 1; i < count; i++) {
		if (name_compare(&names[i - 1], &names[i]) == 0) {
			level->name = names[i];
			return fail(scan, "is given twice");
		}
	}
	copy_byte(scan);
	scan->name_count = level->names_at;
	scan->depth--;
	return 0;
}

static char closing(const struct level *level)
{
	return level->is_object ? '}' : ']';
}

/* '{' or '['. *out_is_open: something stands in it, and it is next. */
static int level_open(struct scan *scan, bool *out_is_open)
{
	struct level *level = &scan->level[scan->depth];

	if (scan->depth == scan->levels_max)
		return fail(scan, "is nested too deeply");
	*level = (struct level){.is_object = peek(scan) == '{', .names_at = scan->name_count};
	scan->depth++;
	copy_byte(scan);
	blanks_skip(scan);
	*out_is_open = peek(scan) != closing(level);
	if (!*out_is_open)
		return level_close(scan);
	return level->is_object ? name_take(scan) : 0;
}

/* A value that is complete, or the begin of one with others in it: *out_is_open. */
static int value_take(struct scan *scan, bool *out_is_open)
{
	char first = '\0';

	*out_is_open = false;
	blanks_skip(scan);
	first = peek(scan);
	if (first == '{' || first == '[')
		return level_open(scan, out_is_open);
	if (first == '"')
		return string_take(scan, NULL);
	return first == '-' || (first >= '0' && first <= '9') ? number_take(scan) : word_take(scan);
}

/* Behind a complete value: another one follows, or what it stands in is complete, too. */
static int value_end(struct scan *scan, bool *out_is_more)
{
	struct level *level = &scan->level[scan->depth - 1];

	blanks_skip(scan);
	if (peek(scan) == closing(level))
		return level_close(scan);
	if (peek(scan) != ',')
		return fail(scan, "is not JSON: a ',' or the end of an object or list is missing");
	copy_byte(scan);
	level->index++;
	*out_is_more = true;
	return level->is_object ? name_take(scan) : 0;
}

static int document_take(struct scan *scan)
{
	bool is_more = true;
	int code = 0;

	while (code == 0 && is_more) {
		code = value_take(scan, &is_more);
		while (code == 0 && !is_more && scan->depth > 0)
			code = value_end(scan, &is_more);
	}
	blanks_skip(scan);
	if (code == 0 && scan->at != scan->text.bytes)
		code = fail(scan, "has something behind its JSON");
	return code;
}

int weir_model_json_canonicalize(struct weir_span text, const char *root, size_t levels_max,
				 char *out, size_t *out_bytes, struct weir_model_error *error)
{
	struct scan scan = {.text = text, .out = out, .root = root, .levels_max = levels_max, .error = error};
	int code = 0;

	WEIR_ASSERT(levels_max <= WEIR_MODEL_JSON_LEVELS_MAX);
	code = document_take(&scan);
	free(scan.names);
	if (code != 0)
		return code;
	out[scan.used] = '\0';
	*out_bytes = scan.used;
	return 0;
}

/* Bytes of the canonical value that stands first in `text`. */
static size_t value_bytes(struct weir_span text)
{
	size_t depth = 0;
	bool in_string = false;
	size_t at = 0;

	for (; at < text.bytes; at++) {
		const char byte = text.data[at];

		if (in_string) {
			at += byte == '\\' ? 1 : 0;
			in_string = byte != '"';
			continue;
		}
		if (depth == 0 && (byte == ',' || byte == ']' || byte == '}' || byte == ':'))
			break;
		in_string = byte == '"';
		depth += byte == '{' || byte == '[' ? 1 : 0;
		depth -= byte == '}' || byte == ']' ? 1 : 0;
	}
	return at < text.bytes ? at : text.bytes;
}

static void advance(struct weir_span *span, size_t bytes)
{
	WEIR_ASSERT(bytes <= span->bytes);
	span->data += bytes;
	span->bytes -= bytes;
}

struct weir_model_json_walk weir_model_json_walk(struct weir_span canonical)
{
	struct weir_model_json_walk walk = {.rest = canonical};
	const char first = canonical.bytes < 2 ? '\0' : canonical.data[0];

	walk.is_object = first == '{';
	if (first == '{' || first == '[')
		advance(&walk.rest, 1);
	else
		walk.rest.bytes = 0;
	return walk;
}

bool weir_model_json_next(struct weir_model_json_walk *walk, struct weir_span *out_name,
			  struct weir_span *out_value)
{
	struct weir_span *rest = &walk->rest;

	if (rest->bytes > 0 && rest->data[0] == ',')
		advance(rest, 1);
	if (rest->bytes == 0 || rest->data[0] == '}' || rest->data[0] == ']')
		return false;
	*out_name = (struct weir_span){.data = rest->data, .bytes = 0};
	if (walk->is_object) {
		const size_t bytes = value_bytes(*rest);

		*out_name = (struct weir_span){.data = rest->data + 1, .bytes = bytes - 2};
		advance(rest, bytes + 1); /* and the colon */
	}
	*out_value = (struct weir_span){.data = rest->data, .bytes = value_bytes(*rest)};
	advance(rest, out_value->bytes);
	return true;
}

bool weir_model_json_member(struct weir_span object, const char *name, struct weir_span *out_value)
{
	struct weir_model_json_walk walk = weir_model_json_walk(object);
	struct weir_span found;
	struct weir_span value;

	while (walk.is_object && weir_model_json_next(&walk, &found, &value)) {
		if (weir_span_equal(found, weir_span_of(name))) {
			*out_value = value;
			return true;
		}
	}
	return false;
}
