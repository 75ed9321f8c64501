/* weir_json: the little of JSON that the samples in C need: the members of one flat object.
 * Owns: nothing; values point into the text. Threads: any. */
#ifndef WEIR_JSON_H
#define WEIR_JSON_H

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *json_space(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
		at++;
	return at;
}

/* Behind the string that starts at `at`, or NULL: not a string. */
static inline const char *json_string_end(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (*at != '"') {
		if (*at == '\\')
			at++;
		if ((unsigned char)*at < ' ')
			return NULL;
		at++;
	}
	return at + 1;
}

/* Behind a string, number or word. */
static inline const char *json_value_end(const char *at)
{
	const char *const start = at;

	if (*at == '"')
		return json_string_end(at);
	while (isalnum((unsigned char)*at) || *at == '-' || *at == '+' || *at == '.')
		at++;
	return at != start ? at : NULL;
}

/* Is `text` one flat object? Then *out_value is the value of member `name`, or NULL. */
static inline bool json_member(const char *text, const char *name, const char **out_value)
{
	const char *at = json_space(text);

	*out_value = NULL;
	if (*at != '{')
		return false;
	at = json_space(at + 1);
	while (*at != '}') {
		const char *const key = at;
		const char *end = json_string_end(at);

		if (end == NULL)
			return false;
		at = json_space(end);
		if (*at != ':')
			return false;
		at = json_space(at + 1);
		if ((size_t)(end - key) == strlen(name) + 2 &&
		    strncmp(key + 1, name, strlen(name)) == 0)
			*out_value = at;
		at = json_value_end(at);
		if (at == NULL)
			return false;
		at = json_space(at);
		if (*at == ',')
			at = json_space(at + 1);
		else if (*at != '}')
			return false;
	}
	return *json_space(at + 1) == '\0';
}

/* Write the bytes as a JSON string. */
static inline void json_write(FILE *out, const char *text, size_t bytes)
{
	fputc('"', out);
	for (size_t i = 0; i < bytes; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ')
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* The same to standard output, where that is the answer. */
static inline void json_print(const char *text, size_t bytes)
{
	json_write(stdout, text, bytes);
}

#endif
