/* publish_rows: tables that grow while a snapshot is built. Private to ctrl/publish.
 *
 *   rows     one array of equal rows, referred to by index
 *   strings  text |abc\0|d\0|...: patterns as they come, of others each different one once
 *            <- hash table of (offset, bytes)
 *   edges    rows, then made the snapshot's hash table at once
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

/* Add without looking whether it is there. */
int weir_publish_strings_append(struct weir_publish_strings *strings, struct weir_span text,
				struct weir_snapshot_string *out_string);
void weir_publish_strings_free(struct weir_publish_strings *strings);

struct weir_publish_edges {
	struct weir_publish_rows rows;   /* struct weir_snapshot_edge */
	struct weir_snapshot_edge *cell; /* after weir_publish_edges_hash() */
	size_t cell_count;               /* power of two, at most half full */
	uint64_t seed;
};

/* Add an edge that is not there yet; its segment is a piece of a pattern in `strings`, so a slash
 * stands before it. */
int weir_publish_edges_add(struct weir_publish_edges *edges,
			   const struct weir_publish_strings *strings, uint32_t parent,
			   uint32_t child, struct weir_snapshot_string segment);

/* Make the hash table of all edges; a snapshot without edges has one too. */
int weir_publish_edges_hash(struct weir_publish_edges *edges);
void weir_publish_edges_free(struct weir_publish_edges *edges);

#endif
