#include "ctrl/publish/publish_rows.h"

#include <errno.h>
#include <stdlib.h>

enum {
	ROWS_FIRST = 64,
	CELLS_FIRST = 64,
	TEXT_FIRST = 4096,
};

int weir_publish_rows_add(struct weir_publish_rows *rows, size_t stride, uint32_t *out_index)
{
	if (rows->count >= WEIR_SNAPSHOT_NONE)
		return -E2BIG;
	if (rows->count == rows->max) {
		const size_t max = rows->max == 0 ? ROWS_FIRST : rows->max * 2;
		void *data = reallocarray(rows->data, max, stride);

		if (data == NULL)
			return -ENOMEM;
		rows->data = data;
		rows->max = max;
	}
	memset((char *)rows->data + rows->count * stride, 0, stride);
	*out_index = (uint32_t)rows->count++;
	return 0;
}

void weir_publish_rows_free(struct weir_publish_rows *rows)
{
	free(rows->data);
	*rows = (struct weir_publish_rows){.data = NULL};
}

static struct weir_snapshot_string *string_cell(struct weir_snapshot_string *cells,
						size_t count, const char *text,
						struct weir_span wanted)
{
	size_t place = weir_snapshot_edge_hash(0, 0, wanted) & (count - 1);

	/* Ends at an empty cell: the table is never more than half full. */
	while (cells[place].bytes != UINT32_MAX) {
		const struct weir_span have = {.data = text + cells[place].offset,
					       .bytes = cells[place].bytes};

		if (weir_span_equal(have, wanted))
			break;
		place = (place + 1) & (count - 1);
	}
	return &cells[place];
}

static int string_cells_grow(struct weir_publish_strings *strings)
{
	const size_t count = strings->cell_count == 0 ? CELLS_FIRST : strings->cell_count * 2;
	struct weir_snapshot_string *cells = reallocarray(NULL, count, sizeof(*cells));

	if (cells == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		cells[i] = (struct weir_snapshot_string){.bytes = UINT32_MAX};
	for (size_t i = 0; i < strings->cell_count; i++) {
		const struct weir_snapshot_string old = strings->cell[i];
		const struct weir_span text = {.data = strings->text + old.offset,
					       .bytes = old.bytes};

		if (old.bytes != UINT32_MAX)
			*string_cell(cells, count, strings->text, text) = old;
	}
	free(strings->cell);
	strings->cell = cells;
	strings->cell_count = count;
	return 0;
}

int weir_publish_strings_append(struct weir_publish_strings *strings, struct weir_span text,
				struct weir_snapshot_string *out_string)
{
	const size_t needed = strings->bytes + text.bytes + 1;

	if (needed >= UINT32_MAX)
		return -E2BIG;
	if (needed > strings->bytes_max) {
		size_t max = strings->bytes_max == 0 ? TEXT_FIRST : strings->bytes_max;

		while (max < needed)
			max *= 2;
		char *grown = realloc(strings->text, max);

		if (grown == NULL)
			return -ENOMEM;
		strings->text = grown;
		strings->bytes_max = max;
	}
	if (text.bytes > 0)
		memcpy(strings->text + strings->bytes, text.data, text.bytes);
	strings->text[strings->bytes + text.bytes] = '\0';
	*out_string = (struct weir_snapshot_string){.offset = (uint32_t)strings->bytes,
						    .bytes = (uint32_t)text.bytes};
	strings->bytes = needed;
	return 0;
}

int weir_publish_strings_intern(struct weir_publish_strings *strings, struct weir_span text,
				struct weir_snapshot_string *out_string)
{
	int result = 0;

	if ((strings->cell_used + 1) * 2 > strings->cell_count)
		result = string_cells_grow(strings);
	if (result != 0)
		return result;
	struct weir_snapshot_string *cell =
		string_cell(strings->cell, strings->cell_count, strings->text, text);

	if (cell->bytes == UINT32_MAX) {
		result = weir_publish_strings_append(strings, text, cell);
		if (result != 0)
			return result;
		strings->cell_used++;
	}
	*out_string = *cell;
	return 0;
}

void weir_publish_strings_free(struct weir_publish_strings *strings)
{
	free(strings->text);
	free(strings->cell);
	*strings = (struct weir_publish_strings){.text = NULL};
}

int weir_publish_edges_add(struct weir_publish_edges *edges,
			   const struct weir_publish_strings *strings, uint32_t parent,
			   uint32_t child, struct weir_snapshot_string segment)
{
	struct weir_span text = {.data = strings->text + segment.offset, .bytes = segment.bytes};
	uint32_t index = 0;
	int result = 0;

	/* An empty segment has the edge "/", which no other segment can have (route.h). */
	if (segment.bytes == 0) {
		segment = (struct weir_snapshot_string){.offset = segment.offset - 1, .bytes = 1};
		text = WEIR_SPAN("/");
	}
	result = weir_publish_rows_add(&edges->rows, sizeof(struct weir_snapshot_edge), &index);
	if (result == 0)
		((struct weir_snapshot_edge *)edges->rows.data)[index] =
			(struct weir_snapshot_edge){
				.parent = parent,
				.child = child,
				.hash = (uint32_t)weir_snapshot_edge_hash(edges->seed, parent, text),
				.segment = segment,
			};
	return result;
}

int weir_publish_edges_hash(struct weir_publish_edges *edges)
{
	const struct weir_snapshot_edge *rows = edges->rows.data;
	size_t count = CELLS_FIRST;

	while (count < edges->rows.count * 2)
		count *= 2;
	if (count > (size_t)1 << 31) /* the count must fit 32 bits */
		return -E2BIG;
	edges->cell = reallocarray(NULL, count, sizeof(*edges->cell));
	if (edges->cell == NULL)
		return -ENOMEM;
	edges->cell_count = count;
	for (size_t i = 0; i < count; i++)
		edges->cell[i] = (struct weir_snapshot_edge){.child = WEIR_SNAPSHOT_NONE};
	for (size_t i = 0; i < edges->rows.count; i++) {
		size_t place = rows[i].hash & (count - 1);

		while (edges->cell[place].child != WEIR_SNAPSHOT_NONE)
			place = (place + 1) & (count - 1);
		edges->cell[place] = rows[i];
	}
	return 0;
}

void weir_publish_edges_free(struct weir_publish_edges *edges)
{
	weir_publish_rows_free(&edges->rows);
	free(edges->cell);
	*edges = (struct weir_publish_edges){.cell = NULL};
}
