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

static int string_append(struct weir_publish_strings *strings, struct weir_span text)
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
		const uint32_t offset = (uint32_t)strings->bytes;

		result = string_append(strings, text);
		if (result != 0)
			return result;
		*cell = (struct weir_snapshot_string){.offset = offset,
						      .bytes = (uint32_t)text.bytes};
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

static struct weir_snapshot_edge *edge_cell(struct weir_snapshot_edge *cells, size_t count,
					    const struct weir_snapshot_edge *wanted)
{
	size_t place = wanted->hash & (count - 1);

	while (cells[place].child != WEIR_SNAPSHOT_NONE &&
	       (cells[place].parent != wanted->parent ||
		cells[place].segment.offset != wanted->segment.offset))
		place = (place + 1) & (count - 1);
	return &cells[place];
}

static int edges_grow(struct weir_publish_edges *edges)
{
	const size_t count = edges->cell_count == 0 ? CELLS_FIRST : edges->cell_count * 2;

	if (count > (size_t)1 << 31) /* the count must fit 32 bits */
		return -E2BIG;
	struct weir_snapshot_edge *cells = reallocarray(NULL, count, sizeof(*cells));

	if (cells == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		cells[i] = (struct weir_snapshot_edge){.child = WEIR_SNAPSHOT_NONE};
	for (size_t i = 0; i < edges->cell_count; i++) {
		if (edges->cell[i].child != WEIR_SNAPSHOT_NONE)
			*edge_cell(cells, count, &edges->cell[i]) = edges->cell[i];
	}
	free(edges->cell);
	edges->cell = cells;
	edges->cell_count = count;
	return 0;
}

int weir_publish_edges_open(struct weir_publish_edges *edges)
{
	return edges_grow(edges);
}

int weir_publish_edges_at(struct weir_publish_edges *edges, uint32_t parent,
			  struct weir_span text, struct weir_snapshot_string segment,
			  struct weir_snapshot_edge **out_edge)
{
	const struct weir_snapshot_edge wanted = {
		.parent = parent,
		.child = WEIR_SNAPSHOT_NONE,
		.hash = (uint32_t)weir_snapshot_edge_hash(edges->seed, parent, text),
		.segment = segment,
	};
	int result = 0;

	if ((edges->cell_used + 1) * 2 > edges->cell_count)
		result = edges_grow(edges);
	if (result != 0)
		return result;
	struct weir_snapshot_edge *cell = edge_cell(edges->cell, edges->cell_count, &wanted);

	if (cell->child == WEIR_SNAPSHOT_NONE) {
		*cell = wanted;
		edges->cell_used++;
	}
	*out_edge = cell;
	return 0;
}

void weir_publish_edges_free(struct weir_publish_edges *edges)
{
	free(edges->cell);
	*edges = (struct weir_publish_edges){.cell = NULL};
}
