/* publish_list: the routes to publish, in the order in which their tree is made.
 *
 *   | sorted .................................. | added since |   -> settle: sorted as one
 *
 * A table of 100,000 routes of which one changed must not be read, checked and sorted anew: the list
 * outlives a publication, and a change costs one pass over small rows. Order: by host, then segment
 * by segment, then what wins first (by rank, then the lower id, then the earlier). Patterns that differ in parameters' names only stand together.
 * Owns: its rows and their text. One thread. */
#ifndef WEIR_CTRL_PUBLISH_PUBLISH_LIST_H
#define WEIR_CTRL_PUBLISH_PUBLISH_LIST_H

#include "ctrl/model/model.h"

/* In a key: a slash sorts before all that a segment may hold, a star before any segment. */
#define WEIR_PUBLISH_KEY_SLASH '\1'
#define WEIR_PUBLISH_KEY_STAR  '\2'
#define WEIR_PUBLISH_KEY_PARAM '\3'

/* Of routes that match the same, the first gets the request. */
enum weir_publish_rank {
	WEIR_PUBLISH_BUILTIN,  /* Weir brings them (model/builtin.h) */
	WEIR_PUBLISH_STORE,    /* Weir's own, of weir.db */
	WEIR_PUBLISH_PUBLIC,   /* rows of the public table */
	WEIR_PUBLISH_FALLBACK, /* as the first, but they yield */
};

struct weir_publish_entry {
	char *key; /* the pattern behind its first slash, as it is sorted; begins one allocation */
	const char *pattern;
	const char *host; /* empty: any */
	uint64_t id;
	uint64_t function_id;
	uint32_t timeout_ms;
	uint32_t origin; /* the caller's number */
	uint16_t methods;
	uint8_t rank; /* enum weir_publish_rank */
	uint8_t auth; /* enum weir_model_auth */
	uint8_t role; /* enum weir_role: what it takes */
	bool is_asking; /* its function finds out itself who calls */
	bool shadowed; /* written by a build: it lost a method at least */
};

struct weir_publish_list {
	struct weir_publish_entry *entry;
	size_t count;
	size_t sorted; /* of these */
	size_t room;
};

/* Add a route. 0, -EINVAL (the model refuses it), -E2BIG, -ENOMEM. */
int weir_publish_list_add(struct weir_publish_list *list, const struct weir_model_route *route,
			  enum weir_publish_rank rank, uint32_t origin);

/* The same without a check and with the text given: for routes that nobody can write. `text` gives
 * host and pattern, the other fields of *entry are taken as they are. 0, -E2BIG, -ENOMEM. */
int weir_publish_list_add_entry(struct weir_publish_list *list, const char *host,
				const char *pattern, const struct weir_publish_entry *entry);

/* Remove all routes of one rank, or those of the store with an id in `ids` (sorted). Cannot fail. */
void weir_publish_list_remove_all(struct weir_publish_list *list, enum weir_publish_rank rank);
void weir_publish_list_remove(struct weir_publish_list *list, const uint64_t *ids, size_t count);

/* Sort what was added. 0 or -ENOMEM. */
int weir_publish_list_settle(struct weir_publish_list *list);

/* Free all; accepts a zeroed list. */
void weir_publish_list_release(struct weir_publish_list *list);

#endif
