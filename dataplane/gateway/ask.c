#include "dataplane/gateway/ask.h"

#include <stdio.h>

enum { DIGITS_MAX = 9, SHOWN_MAX = 40 };

static const struct weir_span names[WEIR_ASK_AXES] = {
	[WEIR_ASK_CPU] = {.data = "x-weir-cpu-millicores", .bytes = 21},
	[WEIR_ASK_MEMORY] = {.data = "x-weir-memory-mb", .bytes = 16},
};

static bool number_parse(struct weir_span text, uint32_t *out_number)
{
	uint32_t number = 0;

	if (text.bytes == 0 || text.bytes > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(text.data[i] - '0');
	}
	*out_number = number;
	return true;
}

static void malformed(struct weir_span name, struct weir_span value, char reason[WEIR_ASK_REASON_BYTES])
{
	const int shown = value.bytes > SHOWN_MAX ? SHOWN_MAX : (int)value.bytes;

	(void)snprintf(reason, WEIR_ASK_REASON_BYTES,
		       "The field %s is '%.*s%s'; send it once, with a whole number of %s and up to nine digits, "
		       "or leave it out",
		       name.data, shown, value.data, value.bytes > SHOWN_MAX ? "..." : "",
		       name.data == names[WEIR_ASK_CPU].data ? "millicores (1,000 = one CPU's time)" : "MB"); /* fits */
}

/* Which of the two fields this is; WEIR_ASK_AXES if it is neither. */
static unsigned axis_find(struct weir_span name)
{
	unsigned axis = 0;

	while (axis < WEIR_ASK_AXES && !weir_span_equal_nocase(name, names[axis]))
		axis++;
	return axis;
}

enum weir_http_failure weir_ask_field(struct weir_ask *ask, struct weir_span name, struct weir_span value,
				      char reason[WEIR_ASK_REASON_BYTES])
{
	uint32_t *const numbers[WEIR_ASK_AXES] = {&ask->resources.cpu_millicores, &ask->resources.memory_mb};
	const unsigned axis = axis_find(name);

	if (axis == WEIR_ASK_AXES)
		return WEIR_HTTP_OK;
	if (ask->seen[axis] || !number_parse(value, numbers[axis])) {
		malformed(names[axis], value, reason);
		return WEIR_HTTP_BAD_RESOURCES;
	}
	ask->seen[axis] = true;
	return WEIR_HTTP_OK;
}

/* "500 millicores and 64 MB, 2000 and 1024": what a function's workers have. */
static void specs_format(const struct weir_snapshot_spec *specs, uint32_t count, char *out, size_t max)
{
	size_t used = 0;

	for (uint32_t i = 0; i < count && used < max; i++) {
		char cpu[16] = "any";

		if (specs[i].cpu_millicores != 0)
			(void)snprintf(cpu, sizeof(cpu), "%u", specs[i].cpu_millicores); /* fits */
		used += (size_t)snprintf(out + used, max - used, "%s%s%s and %u%s", i == 0 ? "" : ", ", cpu,
					 i == 0 ? " millicores" : "", specs[i].memory_mb,
					 i == 0 ? " MB" : ""); /* cut where it is too long */
	}
}

static void refuse(const struct weir_snapshot *snapshot, const struct weir_snapshot_function *function,
		   const struct weir_schedule_resources *ask, char reason[WEIR_ASK_REASON_BYTES])
{
	const struct weir_span name = weir_snapshot_span(snapshot, function->name);
	char specs[256] = "";

	specs_format(snapshot->specs + function->spec_first, function->spec_count, specs, sizeof(specs));
	(void)snprintf(reason, WEIR_ASK_REASON_BYTES,
		       "No spec of '%.*s' holds the %u millicores and %u MB that the request asks for; the workers of "
		       "its %s: %s. Ask for less, or deploy it with a larger --spec",
		       (int)name.bytes, name.data, ask->cpu_millicores, ask->memory_mb,
		       function->spec_count == 1 ? "one spec have" : "specs have, smallest first", specs); /* fits */
}

enum weir_http_failure weir_ask_match(const struct weir_ask *ask, const struct weir_snapshot *snapshot,
				      const struct weir_snapshot_function *function,
				      char reason[WEIR_ASK_REASON_BYTES])
{
	if (weir_schedule_match(snapshot->specs + function->spec_first, function->spec_count, &ask->resources) >= 0)
		return WEIR_HTTP_OK;
	refuse(snapshot, function, &ask->resources, reason);
	return WEIR_HTTP_NO_SPEC;
}
