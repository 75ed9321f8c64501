#include "dataplane/runtime/c/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 16, PARAMS_BYTES = 2048 };

/* Where the look stands, and what came since the last declaration's end at the file's level. */
struct scan {
	const char *at;
	unsigned line;
	unsigned depth; /* of braces */
	size_t words;
	char word[WORDS_MAX][WEIR_C_NAME_BYTES];
	struct weir_c_source *source;
	char *problem;
};

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void step(struct scan *scan)
{
	if (*scan->at == '\n')
		scan->line++;
	scan->at++;
}

/* Behind a comment, a string, a character or a preprocessor line. False: there is none here. */
static bool blank_skip(struct scan *scan)
{
	const char first = *scan->at;

	if (strncmp(scan->at, "/*", 2) == 0) {
		const char *end = strstr(scan->at + 2, "*/");

		while (*scan->at != '\0' && scan->at != end)
			step(scan);
		scan->at += *scan->at == '\0' ? 0 : 2;
		return true;
	}
	if (strncmp(scan->at, "//", 2) == 0 || first == '#') {
		while (*scan->at != '\0' && *scan->at != '\n') {
			if (first == '#' && *scan->at == '\\' && scan->at[1] != '\0')
				step(scan);
			step(scan);
		}
		return true;
	}
	if (first != '"' && first != '\'')
		return false;
	do {
		if (*scan->at == '\\' && scan->at[1] != '\0')
			step(scan);
		step(scan);
	} while (*scan->at != '\0' && *scan->at != first && *scan->at != '\n');
	if (*scan->at == first)
		step(scan);
	return true;
}

/* The word here to out, cut where it is too long. */
static void word_take(struct scan *scan, char out[WEIR_C_NAME_BYTES])
{
	size_t bytes = 0;

	for (; word_char(*scan->at); scan->at++) {
		if (bytes + 1 < WEIR_C_NAME_BYTES)
			out[bytes++] = *scan->at;
	}
	out[bytes] = '\0';
}

static int refuse(struct scan *scan, unsigned line, const char *what, const char *why)
{
	scan->source->line = line;
	(void)snprintf(scan->problem, WEIR_C_PROBLEM_BYTES, "'%.80s' %s", what, why);
	return -EINVAL;
}

/* One parameter: `int NAME`, perhaps const. */
static bool param_take(struct scan *scan, const char *text, size_t bytes)
{
	struct weir_c_source *source = scan->source;
	char copy[256] = "";
	char name[WEIR_C_NAME_BYTES] = "";
	char rest[8] = "";
	const char *start = copy;

	if (bytes >= sizeof(copy) || source->param_count == WEIR_C_PARAMS_MAX)
		return false;
	memcpy(copy, text, bytes);
	start += strspn(start, " \t\r\n");
	if (strncmp(start, "const ", 6) == 0)
		start += 6;
	if (sscanf(start, " int %63[A-Za-z0-9_] %7s", name, rest) != 1)
		return false;
	(void)snprintf(source->param[source->param_count++], WEIR_C_NAME_BYTES, "%s", name);
	return true;
}

/* What stands between the brackets. */
static int params_take(struct scan *scan, const char *text, size_t bytes, unsigned line)
{
	char quoted[81];
	char only[8] = "";
	size_t first = 0;

	(void)snprintf(quoted, sizeof(quoted), "%.*s", (int)(bytes < 80 ? bytes : 80), text);
	if (bytes == 0 || (sscanf(quoted, " %7s", only) == 1 && strcmp(only, "void") == 0) ||
	    only[0] == '\0')
		return 0;
	for (size_t i = 0; i <= bytes; i++) {
		if (i < bytes && text[i] != ',')
			continue;
		if (!param_take(scan, text + first, i - first))
			return refuse(scan, line, quoted,
				      "are not up to 16 parameters of type int, which a function "
				      "without weir_function.h takes");
		first = i + 1;
	}
	return 0;
}

/* The words before the name: its type must be int. */
static bool returns_int(const struct scan *scan, size_t name_at)
{
	bool is_int = false;

	for (size_t i = 0; i < name_at; i++) {
		if (strcmp(scan->word[i], "int") == 0)
			is_int = true;
		else if (strcmp(scan->word[i], "virtine") != 0 && strcmp(scan->word[i], "extern") != 0)
			return false;
	}
	return is_int;
}

static bool is_static(const struct scan *scan)
{
	for (size_t i = 0; i < scan->words; i++) {
		if (strcmp(scan->word[i], "static") == 0)
			return true;
	}
	return false;
}

/* At a '(' of the file's level: what stands within, without comments; whether a body follows. */
static bool body_follows(struct scan *scan, char out[PARAMS_BYTES])
{
	size_t bytes = 0;
	unsigned depth = 0;

	do {
		depth += *scan->at == '(' ? 1 : 0;
		depth -= *scan->at == ')' ? 1 : 0;
		if (blank_skip(scan))
			continue;
		if (bytes + 1 < PARAMS_BYTES && depth > 0)
			out[bytes++] = *scan->at;
		step(scan);
	} while (depth > 0 && *scan->at != '\0');
	out[bytes] = '\0';
	while (*scan->at != '\0') {
		if (strchr(" \t\r\n", *scan->at) != NULL)
			step(scan);
		else if (!blank_skip(scan))
			break;
	}
	return *scan->at == '{';
}

/* Beside a handler other functions may be what they like: only one of ints is of interest. */
static int beside_handler(struct scan *scan, int result)
{
	if (result == 1 && strcmp(scan->source->name, "weir_handle") != 0)
		return 1;
	scan->source->name[0] = '\0';
	scan->source->param_count = 0;
	return 0;
}

/* 1: the function was found, 0: go on, or -EINVAL. */
static int bracket_look(struct scan *scan)
{
	const unsigned line = scan->line;
	char text[PARAMS_BYTES];
	int result = 0;

	if (!body_follows(scan, text) || scan->words == 0 || is_static(scan))
		return 0;
	(void)snprintf(scan->source->name, WEIR_C_NAME_BYTES, "%s", scan->word[scan->words - 1]);
	scan->source->line = line;
	result = params_take(scan, text + 1, strlen(text + 1), line); /* behind the bracket */
	if (result == 0 && !returns_int(scan, scan->words - 1))
		result = refuse(scan, line, scan->source->name,
				"does not return int, as a function without weir_function.h does");
	if (result == 0 && strcmp(scan->source->name, "main") == 0)
		result = refuse(scan, line, "main", "is no function's name; give it another one");
	result = result == 0 ? 1 : result;
	return scan->source->has_handler ? beside_handler(scan, result) : result;
}

/* One character or word at the file's level. As bracket_look(). */
static int level_look(struct scan *scan)
{
	char surplus[WEIR_C_NAME_BYTES];

	if (word_char(*scan->at)) {
		word_take(scan, scan->words < WORDS_MAX ? scan->word[scan->words] : surplus);
		scan->words += scan->words < WORDS_MAX ? 1 : 0;
		return 0;
	}
	if (*scan->at == '(')
		return bracket_look(scan);
	if (*scan->at == '*' && scan->words < WORDS_MAX)
		(void)snprintf(scan->word[scan->words++], WEIR_C_NAME_BYTES, "*");
	if (*scan->at == ';')
		scan->words = 0;
	if (*scan->at == '{')
		scan->depth++;
	step(scan);
	return 0;
}

int weir_c_source_scan(const char *text, struct weir_c_source *out_source,
		       char out_problem[WEIR_C_PROBLEM_BYTES])
{
	struct scan scan = {.at = text, .line = 1, .source = out_source, .problem = out_problem};
	int result = 0;

	memset(out_source, 0, sizeof(*out_source));
	out_source->line = 1;
	out_source->has_handler =
		strstr(text, "weir_function.h") != NULL || strstr(text, "weir_handle") != NULL;
	while (result == 0 && *scan.at != '\0') {
		if (blank_skip(&scan))
			continue;
		if (scan.depth == 0) {
			result = level_look(&scan);
			continue;
		}
		scan.depth += *scan.at == '{' ? 1 : 0;
		scan.depth -= *scan.at == '}' ? 1 : 0;
		scan.words = scan.depth == 0 ? 0 : scan.words;
		step(&scan);
	}
	if (result == 1 || out_source->has_handler)
		return 0;
	return result != 0 ? result
			   : refuse(&scan, 1, "this source",
				    "has neither weir_handle nor a function of ints");
}
