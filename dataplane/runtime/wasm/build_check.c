#include "dataplane/runtime/wasm/build_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum section {
	SECTION_CUSTOM,
	SECTION_TYPE,
	SECTION_IMPORT,
	SECTION_FUNCTION,
	SECTION_TABLE,
	SECTION_MEMORY,
	SECTION_GLOBAL,
	SECTION_EXPORT,
	SECTION_START,
	SECTION_ELEMENT,
	SECTION_CODE,
	SECTION_DATA,
	SECTION_DATA_COUNT,
};

enum { HEADER_BYTES = 8 };

/* Where the reading is. After `is_bad` nothing moves and everything read is 0. */
struct reader {
	struct weir_wasm_check *check;
	const uint8_t *at;
	const uint8_t *end;
	bool is_bad;
};

static void refuse(struct reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The first reason stands. */
static void refuse(struct reader *reader, const char *format, ...)
{
	va_list arguments;

	if (reader->is_bad)
		return;
	reader->is_bad = true;
	va_start(arguments, format);
	(void)vsnprintf(reader->check->reason, sizeof(reader->check->reason), format,
			arguments); /* cut where too long */
	va_end(arguments);
}

static uint8_t byte_read(struct reader *reader)
{
	if (reader->at == reader->end)
		refuse(reader, "the module is cut off");
	return reader->is_bad ? 0 : *reader->at++;
}

/* An unsigned LEB128 number of at most 32 bits. */
static uint32_t number_read(struct reader *reader)
{
	uint32_t value = 0;

	for (uint32_t shift = 0; shift < 35; shift += 7) {
		const uint8_t byte = byte_read(reader);

		if (shift == 28 && byte > 0x0f)
			break;
		value |= (uint32_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return value;
	}
	refuse(reader, "a number in the module is longer than 32 bits");
	return 0;
}

/* How many entries follow, each at least one byte long. */
static uint32_t count_read(struct reader *reader, uint32_t count_max, const char *what)
{
	const uint32_t count = number_read(reader);

	if (count > count_max)
		refuse(reader, "the module has %u %s; at most %u are taken", count, what,
		       count_max);
	else if (count > (size_t)(reader->end - reader->at))
		refuse(reader, "the module is cut off");
	return reader->is_bad ? 0 : count;
}

static bool is_plain(struct weir_span name)
{
	for (size_t i = 0; i < name.bytes; i++) {
		const char c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9')) &&
		    (c == '\0' || strchr("_.:$/-", c) == NULL))
			return false;
	}
	return true;
}

static struct weir_span name_read(struct reader *reader, const char *what)
{
	const uint32_t bytes = number_read(reader);
	const struct weir_span name = {.data = (const char *)reader->at, .bytes = bytes};

	if (bytes > (size_t)(reader->end - reader->at))
		refuse(reader, "the module is cut off");
	else if (bytes > WEIR_WASM_NAME_BYTES_MAX)
		refuse(reader, "the name of an %s is longer than %d bytes", what,
		       WEIR_WASM_NAME_BYTES_MAX);
	else if (!is_plain(name))
		refuse(reader,
		       "the name of an %s has other characters than letters, digits and _ . : "
		       "$ / -",
		       what);
	if (reader->is_bad)
		return (struct weir_span){.data = ""};
	reader->at += bytes;
	return name;
}

static char value_read(struct reader *reader)
{
	const uint8_t byte = byte_read(reader);

	switch (byte) {
	case 0x7f:
		return 'i';
	case 0x7e:
		return 'I';
	case 0x7d:
		return 'f';
	case 0x7c:
		return 'F';
	case 0x70:
		return 'r';
	case 0x6f:
		return 'x';
	case 0x7b:
		refuse(reader, "the module uses SIMD (v128), which is not supported; build it "
			       "without -msimd128");
		return 'i';
	default:
		refuse(reader, "the module has a value of unknown type 0x%02x", byte);
		return 'i';
	}
}

static void limits_read(struct reader *reader, uint32_t *out_count, uint32_t *out_count_max)
{
	const uint8_t flags = byte_read(reader);

	if (flags > 1)
		refuse(reader,
		       "the module uses shared or 64-bit memory, which is not supported");
	*out_count = number_read(reader);
	*out_count_max = flags == 1 ? number_read(reader) : UINT32_MAX;
}

static void types_read(struct reader *reader)
{
	struct weir_wasm_check *const check = reader->check;
	const uint32_t count = count_read(reader, WEIR_WASM_TYPES_MAX, "types");

	check->types = calloc((size_t)count + 1, sizeof(struct weir_wasm_type *));
	if (check->types == NULL)
		return refuse(reader, "no memory");
	for (uint32_t i = 0; i < count && !reader->is_bad; i++) {
		char kinds[2 * WEIR_WASM_VALUES_MAX];
		uint32_t params = 0;
		uint32_t results = 0;
		struct weir_wasm_type *type = NULL;

		if (byte_read(reader) != 0x60)
			refuse(reader, "type %u of the module is not a function's", i);
		params = count_read(reader, WEIR_WASM_VALUES_MAX, "parameters in one type");
		for (uint32_t k = 0; k < params; k++)
			kinds[k] = value_read(reader);
		results = count_read(reader, WEIR_WASM_VALUES_MAX, "results in one type");
		for (uint32_t k = 0; k < results; k++)
			kinds[params + k] = value_read(reader);
		type = malloc(sizeof(*type) + params + results);
		if (type == NULL)
			return refuse(reader, "no memory");
		type->params = (uint16_t)params;
		type->results = (uint16_t)results;
		memcpy(type->kind, kinds, params + results);
		check->types[check->type_count++] = type;
	}
}

static uint32_t type_index_read(struct reader *reader)
{
	const uint32_t type = number_read(reader);

	if (type >= reader->check->type_count)
		refuse(reader, "a function has type %u, which the module does not have", type);
	return type;
}

static void import_read(struct reader *reader, struct weir_wasm_import *import)
{
	struct weir_wasm_check *const check = reader->check;

	import->module = name_read(reader, "import");
	import->name = name_read(reader, "import");
	import->external = (enum weir_wasm_extern)byte_read(reader);
	switch (import->external) {
	case WEIR_WASM_EXTERN_FUNCTION:
		import->type = type_index_read(reader);
		if (!reader->is_bad)
			check->function_types[check->function_count++] = import->type;
		break;
	case WEIR_WASM_EXTERN_TABLE:
		import->value = value_read(reader);
		limits_read(reader, &import->count, &import->count_max);
		break;
	case WEIR_WASM_EXTERN_MEMORY:
		limits_read(reader, &import->count, &import->count_max);
		check->memory_count++;
		break;
	case WEIR_WASM_EXTERN_GLOBAL:
		import->value = value_read(reader);
		import->is_mutable = byte_read(reader) != 0;
		break;
	default:
		refuse(reader, "an import of the module is of unknown kind");
		break;
	}
}

static void imports_read(struct reader *reader)
{
	struct weir_wasm_check *const check = reader->check;
	const uint32_t count = count_read(reader, WEIR_WASM_IMPORTS_MAX, "imports");

	check->imports = calloc((size_t)count + 1, sizeof(*check->imports));
	if (check->imports == NULL)
		return refuse(reader, "no memory");
	for (uint32_t i = 0; i < count && !reader->is_bad; i++) {
		import_read(reader, &check->imports[i]);
		check->import_count++;
	}
}

static void functions_read(struct reader *reader)
{
	struct weir_wasm_check *const check = reader->check;
	const uint32_t count = count_read(
		reader, WEIR_WASM_FUNCTIONS_MAX - check->function_count, "functions");

	for (uint32_t i = 0; i < count && !reader->is_bad; i++)
		check->function_types[check->function_count++] = type_index_read(reader);
}

static void memories_read(struct reader *reader)
{
	uint32_t pages = 0;
	uint32_t pages_max = 0;
	const uint32_t count = count_read(reader, 1, "memories");

	reader->check->memory_count += count;
	if (count == 0)
		return;
	limits_read(reader, &pages, &pages_max);
	if (pages > WEIR_WASM_PAGES_MAX)
		refuse(reader,
		       "the module starts with %u pages of memory; at most %d are taken", pages,
		       WEIR_WASM_PAGES_MAX);
}

static void exports_read(struct reader *reader)
{
	struct weir_wasm_check *const check = reader->check;
	const uint32_t count = count_read(reader, WEIR_WASM_EXPORTS_MAX, "exports");

	check->exports = calloc((size_t)count + 1, sizeof(*check->exports));
	if (check->exports == NULL)
		return refuse(reader, "no memory");
	for (uint32_t i = 0; i < count && !reader->is_bad; i++) {
		struct weir_wasm_exported *const exported = &check->exports[i];

		exported->name = name_read(reader, "export");
		exported->external = (enum weir_wasm_extern)byte_read(reader);
		exported->index = number_read(reader);
		if (exported->external > WEIR_WASM_EXTERN_GLOBAL)
			refuse(reader, "an export of the module is of unknown kind");
		else if (exported->external == WEIR_WASM_EXTERN_FUNCTION &&
			 exported->index >= check->function_count)
			refuse(reader, "the module exports function %u, which it does not have",
			       exported->index);
		check->export_count++;
	}
}

/* The order of sections: 12 (data count) stands before 10 (code). */
static int section_rank(uint8_t id)
{
	if (id == SECTION_DATA_COUNT)
		return 2 * SECTION_CODE - 1;
	return 2 * id;
}

static void section_content(struct reader *section, uint8_t id)
{
	bool is_read = true;

	switch (id) {
	case SECTION_TYPE:
		types_read(section);
		break;
	case SECTION_IMPORT:
		imports_read(section);
		break;
	case SECTION_FUNCTION:
		functions_read(section);
		break;
	case SECTION_MEMORY:
		memories_read(section);
		break;
	case SECTION_EXPORT:
		exports_read(section);
		break;
	/* Counted only: what they hold is for wasm-validate, and time and memory of the compiler grow with the
	 * square of it. */
	case SECTION_GLOBAL:
		(void)count_read(section, WEIR_WASM_SEGMENTS_MAX, "globals");
		is_read = false;
		break;
	case SECTION_ELEMENT:
		(void)count_read(section, WEIR_WASM_SEGMENTS_MAX, "element segments");
		is_read = false;
		break;
	case SECTION_DATA:
		(void)count_read(section, WEIR_WASM_SEGMENTS_MAX, "data segments");
		is_read = false;
		break;
	default:
		is_read = false;
		break;
	}
	if (is_read && section->at != section->end)
		refuse(section, "section %u of the module is longer than what it contains", id);
}

static void section_read(struct reader *reader, int *rank)
{
	const uint8_t *const start = reader->at;
	const uint8_t id = byte_read(reader);
	const uint32_t bytes = number_read(reader);
	struct reader section = {.check = reader->check, .at = reader->at};

	if (bytes > (size_t)(reader->end - reader->at))
		refuse(reader, "the module is cut off");
	if (id >= WEIR_WASM_SECTIONS)
		refuse(reader, "the module has a section of unknown kind %u", id);
	if (reader->is_bad)
		return;
	reader->at += bytes;
	if (id == SECTION_CUSTOM)
		return;
	if (section_rank(id) <= *rank)
		refuse(reader, "section %u of the module stands twice or out of order", id);
	if (reader->is_bad)
		return; /* what was read of the first one stays as it is */
	*rank = section_rank(id);
	reader->check->section[id] = (struct weir_span){.data = (const char *)start,
							.bytes = (size_t)(reader->at - start)};
	section.end = reader->at;
	section_content(&section, id);
	reader->is_bad = reader->is_bad || section.is_bad;
}

int weir_wasm_check(struct weir_span module, struct weir_wasm_check *check)
{
	static const uint8_t header[HEADER_BYTES] = {0, 'a', 's', 'm', 1, 0, 0, 0};
	struct reader reader = {.check = check,
				.at = (const uint8_t *)module.data,
				.end = (const uint8_t *)module.data + module.bytes};
	int rank = 0;

	memset(check, 0, sizeof(*check));
	check->function_types = calloc(WEIR_WASM_FUNCTIONS_MAX, sizeof(*check->function_types));
	if (check->function_types == NULL)
		return -ENOMEM;
	if (module.bytes > WEIR_WASM_MODULE_BYTES_MAX)
		refuse(&reader, "the module is larger than %d MiB",
		       WEIR_WASM_MODULE_BYTES_MAX >> 20);
	else if (module.bytes < HEADER_BYTES ||
		 memcmp(module.data, header, sizeof(header)) != 0)
		refuse(&reader, "the file is not a WebAssembly module of version 1");
	else
		reader.at += HEADER_BYTES;
	while (!reader.is_bad && reader.at != reader.end)
		section_read(&reader, &rank);
	if (check->memory_count > 1)
		refuse(&reader, "the module has %u memories; at most 1 is taken",
		       check->memory_count);
	return reader.is_bad ? -EINVAL : 0;
}

void weir_wasm_check_close(struct weir_wasm_check *check)
{
	for (uint32_t i = 0; i < check->type_count; i++)
		free(check->types[i]);
	free(check->types);
	free(check->imports);
	free(check->function_types);
	free(check->exports);
	memset(check, 0, sizeof(*check));
}

const struct weir_wasm_type *weir_wasm_check_function(const struct weir_wasm_check *check,
						      uint32_t index)
{
	return index < check->function_count ? check->types[check->function_types[index]]
					     : NULL;
}
