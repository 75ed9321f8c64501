#include "dataplane/shm/head_check.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/base/role.h"

/* The part of a head that slices may name: after the tables, up to the head's end. */
struct text {
	size_t first;
	size_t end;
};

static bool slice_is_inside(const struct text *text, struct weir_head_slice slice)
{
	if (slice.bytes == 0)
		return true; /* nobody reads it, wherever it points */
	return slice.offset >= text->first && (size_t)slice.offset + slice.bytes <= text->end;
}

/* Check `count` rows that start at `rows`; a name must not be empty. */
static bool fields_are_inside(const struct text *text, const uint8_t *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct weir_head_field field;

		memcpy(&field, rows + i * sizeof(field), sizeof(field)); /* the head may be unaligned */
		if (field.name.bytes == 0 || !slice_is_inside(text, field.name) ||
		    !slice_is_inside(text, field.value))
			return false;
	}
	return true;
}

int weir_head_check_request(const void *head, size_t bytes)
{
	struct weir_request_head copy;
	struct text text = {0};

	if (bytes < sizeof(copy))
		return -EBADMSG;
	memcpy(&copy, head, sizeof(copy));
	if (copy.field_count > WEIR_HEAD_FIELDS_MAX || copy.param_count > WEIR_HEAD_PARAMS_MAX)
		return -EBADMSG;
	text.first = sizeof(copy) + sizeof(struct weir_head_field) * (copy.field_count + copy.param_count);
	text.end = copy.bytes;
	if (text.end < text.first || text.end > bytes || text.end > WEIR_HEAD_REQUEST_BYTES_MAX)
		return -EBADMSG;
	if (copy.reserved != 0 || (copy.caller_flags & ~WEIR_HEAD_CALLER_REQUIRED) != 0 || copy.caller_role >= WEIR_ROLES ||
	    !slice_is_inside(&text, copy.caller) || !slice_is_inside(&text, copy.parent))
		return -EBADMSG;
	if (!slice_is_inside(&text, copy.path) || !slice_is_inside(&text, copy.query) ||
	    !slice_is_inside(&text, copy.authority) || !slice_is_inside(&text, copy.target) ||
	    !slice_is_inside(&text, copy.peer) || !slice_is_inside(&text, copy.pattern))
		return -EBADMSG;
	/* Fields and parameters have the same rows and follow each other. */
	if (!fields_are_inside(&text, (const uint8_t *)head + sizeof(copy),
			       (size_t)copy.field_count + copy.param_count))
		return -EBADMSG;
	return 0;
}

int weir_head_check_response(const void *head, size_t bytes)
{
	struct weir_response_head copy;
	struct text text = {0};

	if (bytes < sizeof(copy))
		return -EBADMSG;
	memcpy(&copy, head, sizeof(copy));
	if (copy.field_count > WEIR_HEAD_RESPONSE_FIELDS_MAX || copy.status < 200 || copy.status > 599)
		return -EBADMSG;
	text.first = sizeof(copy) + sizeof(struct weir_head_field) * copy.field_count;
	text.end = copy.bytes;
	if (text.end < text.first || text.end > bytes || text.end > WEIR_HEAD_RESPONSE_BYTES_MAX)
		return -EBADMSG;
	if (!fields_are_inside(&text, (const uint8_t *)head + sizeof(copy), copy.field_count))
		return -EBADMSG;
	return 0;
}
