#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_text.h"

#define FORM "cpu=500,memory=256,min=0,max=4"

/* The parts of a spec's text, in the order in which they are written. */
static const struct {
	const char *name;
	bool is_needed;
} parts[] = {{"cpu", true}, {"memory", true}, {"min", false}, {"max", false}};

enum { PART_COUNT = sizeof(parts) / sizeof(parts[0]), DIGITS_MAX = 9, MAX_PART = 3 };

/* Digits up to the next comma or the end: the bytes read, or 0. */
static size_t number_parse(const char *text, size_t bytes, uint32_t *out_value)
{
	uint32_t value = 0;
	size_t at = 0;

	for (; at < bytes && at < DIGITS_MAX && text[at] >= '0' && text[at] <= '9'; at++)
		value = value * 10 + (uint32_t)(text[at] - '0');
	if (at < bytes && text[at] != ',')
		return 0;
	*out_value = value;
	return at;
}

/* One "name=number" at text: the bytes read, and which part it was; 0 if it is none. */
static size_t part_parse(const char *text, size_t bytes, struct weir_model_spec *spec, size_t *out_part)
{
	uint32_t *const values[PART_COUNT] = {&spec->cpu_millicores, &spec->memory_mb, &spec->workers_min,
					      &spec->workers_max};

	for (size_t i = 0; i < PART_COUNT; i++) {
		const size_t name_bytes = strlen(parts[i].name);
		size_t number_bytes = 0;

		if (bytes <= name_bytes || memcmp(text, parts[i].name, name_bytes) != 0 || text[name_bytes] != '=')
			continue;
		number_bytes = number_parse(text + name_bytes + 1, bytes - name_bytes - 1, values[i]);
		*out_part = i;
		return number_bytes == 0 ? 0 : name_bytes + 1 + number_bytes;
	}
	return 0;
}

static int check_spec(const struct weir_model_spec *spec, struct weir_model_error *error)
{
	if (spec->cpu_millicores < 1 || spec->cpu_millicores > WEIR_MODEL_CPU_MILLICORES_MAX)
		return weir_model_fail(error, "spec", "has cpu=%u; it must be between 1 and %d millicores",
				       spec->cpu_millicores, WEIR_MODEL_CPU_MILLICORES_MAX);
	if (spec->memory_mb < WEIR_MODEL_MEMORY_MB_MIN || spec->memory_mb > WEIR_MODEL_MEMORY_MB_MAX)
		return weir_model_fail(error, "spec", "has memory=%u; it must be between %d and %d MB",
				       spec->memory_mb, WEIR_MODEL_MEMORY_MB_MIN, WEIR_MODEL_MEMORY_MB_MAX);
	if (spec->workers_max < 1 || spec->workers_max > WEIR_MODEL_WORKERS_MAX)
		return weir_model_fail(error, "spec", "has max=%u; it must be between 1 and %d workers",
				       spec->workers_max, WEIR_MODEL_WORKERS_MAX);
	if (spec->workers_min > spec->workers_max)
		return weir_model_fail(error, "spec", "has min=%u, which is more than max=%u",
				       spec->workers_min, spec->workers_max);
	return 0;
}

int weir_model_spec_parse(const char *text, size_t bytes, struct weir_model_spec *out_spec,
			  struct weir_model_error *error)
{
	struct weir_model_spec spec = {.workers_min = 0};
	bool seen[PART_COUNT] = {false};
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];
	bool is_sound = bytes > 0;

	for (size_t at = 0; is_sound && at < bytes;) {
		size_t part = 0;
		const size_t used = part_parse(text + at, bytes - at, &spec, &part);

		is_sound = used > 0 && !seen[part] && at + used + 1 != bytes; /* no comma at the end */
		seen[part] = true;
		at += used + 1;
	}
	for (size_t i = 0; i < PART_COUNT; i++)
		is_sound = is_sound && (seen[i] || !parts[i].is_needed);
	if (!is_sound)
		return weir_model_fail(error, "spec",
				       "is '%s'; write " FORM
				       ": millicores (1,000 = one CPU), MB, workers; min and max may be left out",
				       weir_model_quote(text, bytes, quote));
	if (!seen[MAX_PART])
		spec.workers_max = spec.workers_min > WEIR_MODEL_SPEC_WORKERS_DEFAULT ? spec.workers_min
										      : WEIR_MODEL_SPEC_WORKERS_DEFAULT;
	if (check_spec(&spec, error) != 0)
		return -EINVAL;
	*out_spec = spec;
	return 0;
}

/* By CPU time, then memory. */
static int compare(const struct weir_model_spec *a, const struct weir_model_spec *b)
{
	if (a->cpu_millicores != b->cpu_millicores)
		return a->cpu_millicores < b->cpu_millicores ? -1 : 1;
	return (a->memory_mb > b->memory_mb) - (a->memory_mb < b->memory_mb);
}

int weir_model_spec_add(struct weir_model_function *function, const struct weir_model_spec *spec,
			struct weir_model_error *error)
{
	uint32_t place = function->spec_count;

	if (check_spec(spec, error) != 0)
		return -EINVAL;
	if (function->spec_count >= WEIR_MODEL_SPECS_MAX)
		return weir_model_fail(error, "spec", "is one too many; a function may have %d",
				       WEIR_MODEL_SPECS_MAX);
	while (place > 0 && compare(spec, &function->spec[place - 1]) < 0)
		place--;
	if (place > 0 && compare(spec, &function->spec[place - 1]) == 0)
		return weir_model_fail(error, "spec", "cpu=%u,memory=%u is given twice", spec->cpu_millicores,
				       spec->memory_mb);
	memmove(&function->spec[place + 1], &function->spec[place],
		(function->spec_count - place) * sizeof(function->spec[0]));
	function->spec[place] = *spec;
	function->spec_count++;
	return 0;
}

int weir_model_specs_check(const struct weir_model_function *function, struct weir_model_error *error)
{
	if (function->spec_count > WEIR_MODEL_SPECS_MAX)
		return weir_model_fail(error, "spec", "is one of %u; a function may have %d", function->spec_count,
				       WEIR_MODEL_SPECS_MAX);
	for (uint32_t i = 0; i < function->spec_count; i++) {
		if (check_spec(&function->spec[i], error) != 0)
			return -EINVAL;
		if (i > 0 && compare(&function->spec[i - 1], &function->spec[i]) >= 0)
			return weir_model_fail(error, "spec", "cpu=%u,memory=%u is out of order or given twice",
					       function->spec[i].cpu_millicores, function->spec[i].memory_mb);
	}
	return 0;
}

const char *weir_model_specs_format(const struct weir_model_function *function,
				    char out[WEIR_MODEL_SPECS_BYTES_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < function->spec_count; i++) { /* fits: the numbers are checked */
		const struct weir_model_spec *spec = &function->spec[i];

		used += (size_t)snprintf(out + used, WEIR_MODEL_SPECS_BYTES_MAX - used,
					 "%scpu=%u,memory=%u,min=%u,max=%u", i == 0 ? "" : " ",
					 spec->cpu_millicores, spec->memory_mb, spec->workers_min,
					 spec->workers_max);
	}
	return out;
}

int weir_model_specs_parse(const char *text, struct weir_model_function *function,
			   struct weir_model_error *error)
{
	function->spec_count = 0;
	while (*text != '\0') {
		const size_t bytes = strcspn(text, " ");
		struct weir_model_spec spec;

		if (weir_model_spec_parse(text, bytes, &spec, error) != 0 ||
		    weir_model_spec_add(function, &spec, error) != 0)
			return -EINVAL;
		text += bytes;
		text += *text == ' ';
	}
	return 0;
}
