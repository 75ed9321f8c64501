/* config_reading: one item of a document while it is read, and what its readers share: members with their
 * types, and problems with their places. Private to config_read*.c. One thread. */
#ifndef WEIR_CTRL_API_CONFIG_READING_H
#define WEIR_CTRL_API_CONFIG_READING_H

#include "ctrl/api/config.h"

struct weir_config_reading {
	struct weir_api_call *call;
	struct weir_config *config;
	struct weir_config_problems *problems;
	const char *space;    /* the document's; "": all */
	const cJSON *secrets; /* values: {FUNCTION: {NAME: VALUE}}; or NULL */
	const cJSON *json;    /* the item */
	uint32_t number;
	size_t problems_before; /* the item; more now: it is not sound */
	char place[WEIR_CONFIG_PLACE_BYTES];
};

/* Note a problem of a member of the item; "" for the item itself. */
void weir_config_wrong(struct weir_config_reading *reading, const char *member, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is the item sound so far? */
bool weir_config_is_sound(const struct weir_config_reading *reading);

/* Is `json` an object with these members only? Else the problems are noted; false where it is no object.
 * `member` as above. (That none is there twice is seen to where JSON is read.) */
bool weir_config_members(struct weir_config_reading *reading, const char *member, const cJSON *json,
			 const char *const *names);

/* The item's member as text that fits, `out` untouched where it is absent; as a whole number; as a
 * duration. A problem is noted where it is something else; false for a text then. */
bool weir_config_text(struct weir_config_reading *reading, const char *name, char *out, size_t max);
void weir_config_number(struct weir_config_reading *reading, const char *name, const cJSON *json,
			uint32_t *out_value);
void weir_config_duration(struct weir_config_reading *reading, const char *name, uint32_t *out_ms);

/* Is a namespace within the document's? Else that is a problem of `member`. */
bool weir_config_in_space(struct weir_config_reading *reading, const char *member, const char *space);

/* Keep the item that was read. Both pass over. */
void weir_config_keep(struct weir_config_reading *reading, enum weir_config_section section, char *key,
		      cJSON *json);

/* The readers of items. */
void weir_config_function_read(struct weir_config_reading *reading);
void weir_config_route_read(struct weir_config_reading *reading);
void weir_config_pool_read(struct weir_config_reading *reading);
void weir_config_image_read(struct weir_config_reading *reading);
void weir_config_row_read(struct weir_config_reading *reading);

#endif
