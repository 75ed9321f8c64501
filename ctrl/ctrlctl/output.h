/* output: tables, JSON and sentences on standard output. Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_OUTPUT_H
#define WEIR_CTRL_CTRLCTL_OUTPUT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum { WEIR_CTL_COLUMNS_MAX = 16 };

/* Write to standard output; a failure (closed pipe, full disk) shows at the end as exit code 1. */
void weir_ctl_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True if everything printed so far went out. */
bool weir_ctl_print_flush(void);

/* True where colours may be printed: to a terminal that knows them, without NO_COLOR. */
bool weir_ctl_print_has_colours(void);

/* Print one JSON value, indented, and a line's end. */
void weir_ctl_print_json(const cJSON *json);

/* Print a text of somebody else's without its control characters. */
void weir_ctl_print_clean(const char *text);

/* A table that is printed when complete, with aligned columns; cells are copied and cleaned. A cell
 * that begins with '!' is printed without it, in red where colours are on. */
struct weir_ctl_table {
	const char *const *titles; /* ended by NULL */
	char **cells;
	size_t cell_count;
	size_t cell_room;
};

/* Add the next cell; NULL is an empty one. */
void weir_ctl_table_cell(struct weir_ctl_table *table, const char *text);
void weir_ctl_table_number(struct weir_ctl_table *table, double number);

/* Print and release. Without rows only the titles are printed. */
void weir_ctl_table_print(struct weir_ctl_table *table);

/* Text of a member, "" if it is none; number of a member, 0 if it is none. */
const char *weir_ctl_json_text(const cJSON *object, const char *name);
double weir_ctl_json_number(const cJSON *object, const char *name);

#endif
