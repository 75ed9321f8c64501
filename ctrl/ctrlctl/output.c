#include "ctrl/ctrlctl/output.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/assert.h"

static bool print_failed;

void weir_ctl_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (vprintf(format, arguments) < 0)
		print_failed = true;
	va_end(arguments);
}

bool weir_ctl_print_flush(void)
{
	return fflush(stdout) == 0 && !print_failed;
}

void weir_ctl_print_json(const cJSON *json)
{
	char *text = cJSON_Print(json);

	WEIR_ASSERT(text != NULL); /* a command line that has no memory left cannot go on */
	weir_ctl_print("%s\n", text);
	cJSON_free(text);
}

/* Terminals act upon control characters; nobody's row may steer one. */
static void text_clean(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
		/* C1 controls in UTF-8: C2 80 .. C2 9F */
		if ((unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 &&
		    (unsigned char)text[1] < 0xa0)
			text[1] = (char)0xbf;
	}
}

static char *text_copy(const char *text)
{
	char *copy = strdup(text == NULL ? "" : text);

	WEIR_ASSERT(copy != NULL);
	text_clean(copy);
	return copy;
}

void weir_ctl_print_clean(const char *text)
{
	char *copy = text_copy(text);

	weir_ctl_print("%s", copy);
	free(copy);
}

bool weir_ctl_print_has_colours(void)
{
	const char *no = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	if ((no != NULL && no[0] != '\0') ||
	    (terminal != NULL && strcmp(terminal, "dumb") == 0))
		return false;
	return isatty(STDOUT_FILENO) == 1;
}

void weir_ctl_table_cell(struct weir_ctl_table *table, const char *text)
{
	if (table->cell_count == table->cell_room) {
		table->cell_room = table->cell_room == 0 ? 64 : table->cell_room * 2;
		table->cells = realloc(table->cells, table->cell_room * sizeof(*table->cells));
		WEIR_ASSERT(table->cells != NULL);
	}
	table->cells[table->cell_count++] = text_copy(text);
}

void weir_ctl_table_number(struct weir_ctl_table *table, double number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.*f", number == floor(number) ? 0 : 3,
		       number); /* fits */
	weir_ctl_table_cell(table, text);
}

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
	return width;
}

static const char *cell_text(const char *cell)
{
	return cell[0] == '!' ? cell + 1 : cell;
}

static void cell_print(const char *cell, size_t width, bool last, bool colours)
{
	const char *text = cell_text(cell);
	const int padding = last ? 0 : (int)(width - text_width(text) + 2);

	if (colours && cell[0] == '!') {
		weir_ctl_print("\033[31m%s\033[0m%*s", text, padding, "");
	} else {
		weir_ctl_print("%s%*s", text, padding, "");
	}
}

void weir_ctl_table_print(struct weir_ctl_table *table)
{
	const bool colours = weir_ctl_print_has_colours();
	size_t width[WEIR_CTL_COLUMNS_MAX] = {0};
	size_t columns = 0;

	for (; table->titles[columns] != NULL; columns++) {
		WEIR_ASSERT(columns < WEIR_CTL_COLUMNS_MAX);
		width[columns] = text_width(table->titles[columns]);
	}
	WEIR_ASSERT(columns > 0);
	for (size_t i = 0; i < table->cell_count; i++) {
		const size_t wide = text_width(cell_text(table->cells[i]));

		if (wide > width[i % columns])
			width[i % columns] = wide;
	}
	if (colours)
		weir_ctl_print("\033[1m");
	for (size_t i = 0; i < columns; i++)
		cell_print(table->titles[i], width[i], i + 1 == columns, false);
	weir_ctl_print(colours ? "\033[0m\n" : "\n");
	for (size_t i = 0; i < table->cell_count; i++) {
		cell_print(table->cells[i], width[i % columns], (i + 1) % columns == 0,
			   colours);
		if ((i + 1) % columns == 0)
			weir_ctl_print("\n");
		free(table->cells[i]);
	}
	free(table->cells);
	table->cells = NULL;
	table->cell_count = 0;
	table->cell_room = 0;
}

const char *weir_ctl_json_text(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text == NULL ? "" : text;
}

double weir_ctl_json_number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}
