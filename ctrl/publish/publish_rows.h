/* publish_rows: tables that grow while a snapshot is built. Private to ctrl/publish.
 *
 *   rows     one array of equal rows, referred to by index
 *   strings  text, each different string once:  |abc\0|d\0|...   <- hash table of (offset, bytes)
 *   edges    the snapshot's edge hash table itself, doubled whenever it is half full
 *
 * All are zero-initialised, freed by their _free function, and limited to 32-bit indices.
 * Errors of all functions: 0, -ENOMEM, -E2BIG. One thread. */
#ifndef WEIR_CTRL_PUBLISH_PUBLISH_ROWS_H
#define WEIR_CTRL_PUBLISH_PUBLISH_ROWS_H

#include "dataplane/shm/snapshot.h"

struct weir_publish_rows {
	void *data;
	size_t count;
	size_t max;
};

/* Append a zeroed row of `stride` bytes (the same in every call). */
int weir_publish_rows_add(struct weir_publish_rows *rows, size_t stride, uint32_t *out_index);
void weir_publish_rows_free(struct weir_publish_rows *rows);

struct weir_publish_strings {
	char *text;
	size_t bytes;
	size_t bytes_max;
	struct weir_snapshot_string *cell; /* bytes == UINT32_MAX: empty */
	size_t cell_count;                 /* power of two, at most half full */
	size_t cell_used;
};

/* Find or add; equal strings get equal offsets. */
int weir_publish_strings_intern(struct weir_publish_strings *strings, struct weir_span text,
				struct weir_snapshot_string *out_string);
void weir_publish_strings_free(struct weir_publish_strings *strings);

struct weir_publish_edges {
	struct weir_snapshot_edge *cell;
	size_t cell_count; /* power of two, at most half full */
	size_t cell_used;
	uint64_t seed;
};

/* Make the first, empty cells; a snapshot without edges has a table too. */
int weir_publish_edges_open(struct weir_publish_edges *edges);

/* The cell of (parent, segment), whose segment is interned: found, or added with child
 * WEIR_SNAPSHOT_NONE for the caller to set at once. Valid until the next call. */
int weir_publish_edges_at(struct weir_publish_edges *edges, uint32_t parent,
			  struct weir_span text, struct weir_snapshot_string segment,
			  struct weir_snapshot_edge **out_edge);
void weir_publish_edges_free(struct weir_publish_edges *edges);

#endif
