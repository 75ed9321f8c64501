#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/dialect/dialect.h"
#include "dataplane/base/clock.h"

enum {
	REMEMBERED = 128,
	REMEMBERED_MS = 2000,
	REMEMBERED_BYTES_MAX = 65536, /* of what the API tells of one */
};

/* What was known of functions a moment ago: asking costs more than a call, and ctrld may be away. */
static struct {
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	cJSON *function;
	uint64_t until_ns;
} remembered[REMEMBERED];

static size_t place_of(const char *space, const char *name)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	for (; *space != '\0'; space++)
		hash = (hash ^ (unsigned char)*space) * 16777619;
	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619;
	return hash % REMEMBERED;
}

/* NULL: nothing is known of it. */
static const cJSON *recall(const char *space, const char *name, bool *out_is_fresh)
{
	const size_t place = place_of(space, name);

	*out_is_fresh = weir_clock_now_ns() < remembered[place].until_ns;
	return strcmp(remembered[place].space, space) == 0 && strcmp(remembered[place].name, name) == 0
		       ? remembered[place].function
		       : NULL;
}

/* Takes the function over; NULL forgets it. */
static void remember(const char *space, const char *name, cJSON *function)
{
	const size_t place = place_of(space, name);
	bool is_fresh = false;

	if (function == NULL && recall(space, name, &is_fresh) == NULL)
		return;
	cJSON_Delete(remembered[place].function);
	(void)snprintf(remembered[place].space, sizeof(remembered[place].space), "%s", space); /* both fit */
	(void)snprintf(remembered[place].name, sizeof(remembered[place].name), "%s", name);
	remembered[place].function = function;
	remembered[place].until_ns = weir_clock_now_ns() + REMEMBERED_MS * WEIR_NS_PER_MS;
}

void weir_dialect_forget(const char *space, const char *name)
{
	remember(space, name, NULL);
}

int weir_dialect_look_up(struct weir_dialect_call *call, const char *space, const char *name,
			 struct weir_dialect_verdict *out_verdict)
{
	const char *const parts[] = {space, name};
	char target[WEIR_DIALECT_TARGET_BYTES];
	const struct weir_dialect_order order = {.method = "GET", .target = target};

	return weir_dialect_target(target, "/weir/functions/%s/%s", parts)
		       ? call->ops->manage(call, &order, out_verdict)
		       : -EINVAL;
}

int weir_dialect_know(struct weir_dialect_call *call, const char *space, const char *name, const cJSON **out_function,
		      struct weir_dialect_verdict *out_verdict)
{
	bool is_fresh = false;
	const cJSON *known = recall(space, name, &is_fresh);
	int code = 0;

	*out_verdict = (struct weir_dialect_verdict){.status = 503};
	if (known == NULL || !is_fresh) {
		code = weir_dialect_look_up(call, space, name, out_verdict);
		if (code != 0)
			return code;
		known = recall(space, name, &is_fresh); /* others ran meanwhile */
	}
	if (out_verdict->status == 200)
		known = out_verdict->json;
	else if (out_verdict->status != 503)
		known = NULL;
	if (out_verdict->status == 404)
		weir_dialect_forget(space, name);
	if (out_verdict->status == 200 && out_verdict->bytes <= REMEMBERED_BYTES_MAX) {
		remember(space, name, out_verdict->json);
		out_verdict->json = NULL;
	}
	*out_function = known;
	return 0;
}
