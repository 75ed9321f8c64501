#include <stdio.h>
#include <string.h>

#include "ctrl/dialect/openwhisk.h"
#include "dataplane/base/clock.h"

enum {
	REMEMBERED = 128,
	REMEMBERED_MS = 2000,
	REMEMBERED_BYTES_MAX = 65536, /* of what the API tells of one */
};

/* What was known of functions a moment ago: asking costs more than a call, and ctrld may be away. */
static struct {
	struct weir_whisk_name name;
	cJSON *function;
	uint64_t until_ns;
} remembered[REMEMBERED];

static size_t place_of(const struct weir_whisk_name *name)
{
	uint32_t hash = 2166136261; /* FNV-1a */

	for (const char *at = name->space; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619;
	for (const char *at = name->function; *at != '\0'; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619;
	return hash % REMEMBERED;
}

/* NULL: nothing is known of it. */
static const cJSON *recall(const struct weir_whisk_name *name, bool *out_is_fresh)
{
	const size_t place = place_of(name);

	*out_is_fresh = weir_clock_now_ns() < remembered[place].until_ns;
	return strcmp(remembered[place].name.space, name->space) == 0 &&
			       strcmp(remembered[place].name.function, name->function) == 0
		       ? remembered[place].function
		       : NULL;
}

/* Takes the function over; NULL forgets it. */
static void remember(const struct weir_whisk_name *name, cJSON *function)
{
	const size_t place = place_of(name);
	bool is_fresh = false;

	if (function == NULL && recall(name, &is_fresh) == NULL)
		return;
	cJSON_Delete(remembered[place].function);
	remembered[place].name = *name;
	remembered[place].function = function;
	remembered[place].until_ns = weir_clock_now_ns() + REMEMBERED_MS * WEIR_NS_PER_MS;
}

void weir_whisk_forget(const struct weir_whisk_name *name)
{
	remember(name, NULL);
}

int weir_whisk_know(struct weir_dialect_call *call, const struct weir_whisk_name *name, const cJSON **out_function,
		    struct weir_dialect_verdict *out_verdict)
{
	bool is_fresh = false;
	const cJSON *known = recall(name, &is_fresh);
	int code = 0;

	*out_verdict = (struct weir_dialect_verdict){.status = 503};
	if (known == NULL || !is_fresh) {
		code = weir_whisk_look_up(call, name, out_verdict);
		if (code != 0)
			return code;
		known = recall(name, &is_fresh); /* others ran meanwhile */
	}
	if (out_verdict->status == 200)
		known = out_verdict->json;
	else if (out_verdict->status != 503)
		known = NULL;
	if (out_verdict->status == 404)
		weir_whisk_forget(name);
	if (out_verdict->status == 200 && out_verdict->bytes <= REMEMBERED_BYTES_MAX) {
		remember(name, out_verdict->json);
		out_verdict->json = NULL;
	}
	*out_function = known;
	return 0;
}
