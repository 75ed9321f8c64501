#include "ctrl/ctrlctl/body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model_json.h"
#include "dataplane/base/assert.h"

enum { DATA_BYTES_MAX = 1 << 30, JSON_LEVELS_MAX = 20 /* the instance says what is too deep */ };

bool weir_ctl_body_text(cJSON *body, const struct weir_ctl_call *call, const char *option,
			const char *member)
{
	const char *value = weir_ctl_option(call, option);

	if (value != NULL)
		(void)cJSON_AddStringToObject(body, member, value);
	return true;
}

bool weir_ctl_body_duration(cJSON *body, const struct weir_ctl_call *call)
{
	const char *value = weir_ctl_option(call, "--timeout");
	struct weir_model_error wrong;
	uint32_t ms = 0;

	if (value == NULL)
		return true;
	if (strcmp(value, "0") == 0) /* back to the function's own */
		return cJSON_AddNumberToObject(body, "timeout_ms", 0) != NULL;
	if (weir_model_duration_parse(value, &ms, &wrong) != 0) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "--timeout 5s", "--timeout %s",
				    wrong.reason);
		return false;
	}
	return cJSON_AddNumberToObject(body, "timeout_ms", ms) != NULL;
}

bool weir_ctl_body_number(cJSON *body, const struct weir_ctl_call *call, const char *option,
			  const char *member)
{
	const char *value = weir_ctl_option(call, option);
	char *end = NULL;
	unsigned long number = 0;

	if (value == NULL)
		return true;
	number = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || number > UINT32_MAX) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL,
				    "%s is '%s'; it takes a whole number", option, value);
		return false;
	}
	return cJSON_AddNumberToObject(body, member, (double)number) != NULL;
}

static bool spec_add(cJSON *list, const char *text)
{
	struct weir_model_error wrong;
	struct weir_model_spec spec;
	cJSON *item = NULL;

	if (weir_model_spec_parse(text, strlen(text), &spec, &wrong) != 0) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "--spec cpu=500,memory=256,min=0,max=4, or --spec none",
				    "--spec %s", wrong.reason);
		return false;
	}
	item = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(item, "cpu_millicores", spec.cpu_millicores);
	(void)cJSON_AddNumberToObject(item, "memory_mb", spec.memory_mb);
	(void)cJSON_AddNumberToObject(item, "min", spec.workers_min);
	(void)cJSON_AddNumberToObject(item, "max", spec.workers_max);
	return cJSON_AddItemToArray(list, item) != 0;
}

bool weir_ctl_body_specs(cJSON *body, const struct weir_ctl_call *call)
{
	cJSON *list = NULL;

	if (weir_ctl_option(call, "--spec") == NULL)
		return true;
	list = cJSON_AddArrayToObject(body, "specs");
	for (size_t i = 0; i < call->repeated_count; i++) {
		const char *text = call->repeated[i].value;

		if (strcmp(call->repeated[i].name, "--spec") == 0 && strcmp(text, "none") != 0 &&
		    !spec_add(list, text))
			return false;
	}
	return true;
}

/* All of a file. NULL: said why. */
static char *file_read(FILE *file, const char *name, size_t *out_bytes)
{
	size_t room = 65536;
	size_t bytes = 0;
	char *data = malloc(room);

	WEIR_ASSERT(data != NULL); /* a command line that has no memory left cannot go on */
	while (true) {
		const size_t got = fread(data + bytes, 1, room - bytes, file);

		bytes += got;
		if (got == 0)
			break;
		if (bytes < room)
			continue;
		if (room >= DATA_BYTES_MAX) {
			free(data);
			(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "%s is larger than 1 GiB",
					    name);
			return NULL;
		}
		room *= 2;
		data = realloc(data, room);
		WEIR_ASSERT(data != NULL);
	}
	if (ferror(file) != 0) {
		free(data);
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot read %s", name);
		return NULL;
	}
	*out_bytes = bytes;
	return data;
}

bool weir_ctl_data_read(const char *option, char **out_body, size_t *out_bytes)
{
	FILE *file = NULL;

	if (option == NULL)
		return true;
	if (option[0] != '@' && strcmp(option, "-") != 0) {
		*out_body = strdup(option);
		*out_bytes = strlen(option);
		return *out_body != NULL;
	}
	if (strcmp(option + strlen(option) - 1, "-") == 0 && strlen(option) <= 2) {
		*out_body = file_read(stdin, "standard input", out_bytes);
		return *out_body != NULL;
	}
	file = fopen(option + 1, "rbe");
	if (file == NULL) {
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot open %s: %s", option + 1,
				    strerror(errno));
		return false;
	}
	*out_body = file_read(file, option + 1, out_bytes);
	(void)fclose(file); /* it was only read */
	return *out_body != NULL;
}

/* JSON as it is, anything else as a text. */
static bool value_add(cJSON *object, const char *name, char *text, size_t bytes)
{
	struct weir_model_error wrong;
	const struct weir_span span = {.data = text, .bytes = bytes};
	char *canonical = malloc(bytes + 1);
	bool added = false;

	WEIR_ASSERT(canonical != NULL); /* a command line that has no memory left cannot go on */
	text[bytes] = '\0';
	if (weir_model_json_canonicalize(span, name, JSON_LEVELS_MAX, canonical, &bytes, &wrong) == 0)
		added = cJSON_AddRawToObject(object, name, canonical) != NULL;
	else
		added = cJSON_AddStringToObject(object, name, text) != NULL;
	free(canonical);
	return added;
}

/* "@FILE", without the line's end that an editor puts at its end. False: said why. */
static bool file_read_text(const char *option, char **out_data, size_t *out_bytes)
{
	if (!weir_ctl_data_read(option, out_data, out_bytes))
		return false;
	if (memchr(*out_data, '\0', *out_bytes) != NULL) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "base64 it, and let the function undo that",
				    "%s is no text: no value for a parameter", option + 1);
		return false;
	}
	if (*out_bytes > 0 && (*out_data)[*out_bytes - 1] == '\n')
		--*out_bytes;
	return true;
}

/* One "NAME=VALUE" or "NAME=@FILE". False: wrong, and said. */
static bool pair_add(cJSON *object, const char *option, const char *pair)
{
	const char *equals = strchr(pair, '=');
	char *name = strndup(pair, strcspn(pair, "="));
	char *data = NULL;
	size_t bytes = 0;
	bool added = false;

	if (equals == NULL || equals == pair) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, "a value that is no JSON is a text: --param greeting=hello",
				    "%s is '%s'; it takes NAME=VALUE, NAME=@FILE, or none", option, pair);
	} else if (equals[1] == '@') {
		added = file_read_text(equals + 1, &data, &bytes);
	} else {
		data = strdup(equals + 1);
		bytes = strlen(equals + 1);
		added = data != NULL;
	}
	added = added && name != NULL && value_add(object, name, data, bytes);
	free(name);
	free(data);
	return added;
}

/* All of one kind of option as one object; "none" is an empty one. */
static bool pairs_add(cJSON *body, const struct weir_ctl_call *call, const char *option, const char *member)
{
	cJSON *object = NULL;

	if (weir_ctl_option(call, option) == NULL)
		return true;
	object = cJSON_AddObjectToObject(body, member);
	for (size_t i = 0; i < call->repeated_count; i++) {
		const char *pair = call->repeated[i].value;

		if (strcmp(call->repeated[i].name, option) == 0 && strcmp(pair, "none") != 0 &&
		    !pair_add(object, option, pair))
			return false;
	}
	return true;
}

bool weir_ctl_body_details(cJSON *body, const struct weir_ctl_call *call)
{
	return weir_ctl_body_text(body, call, "--description", "description") &&
	       pairs_add(body, call, "--param", "parameters") &&
	       pairs_add(body, call, "--annotation", "annotations");
}

bool weir_ctl_function_target(const char *text, const char *rest,
			      char target[WEIR_CTL_TARGET_MAX])
{
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;

	if (weir_model_name_parse(text, space, name, &wrong) != 0) {
		(void)weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s %s", wrong.field, wrong.reason);
		return false;
	}
	(void)snprintf(target, WEIR_CTL_TARGET_MAX, "/weir/functions/");
	(void)weir_ctl_encode(target, WEIR_CTL_TARGET_MAX, space); /* names are short */
	strncat(target, "/", WEIR_CTL_TARGET_MAX - strlen(target) - 1);
	(void)weir_ctl_encode(target, WEIR_CTL_TARGET_MAX, name);
	strncat(target, rest, WEIR_CTL_TARGET_MAX - strlen(target) - 1);
	return true;
}

bool weir_ctl_body_file(cJSON *body, const char *file)
{
	char directory[WEIR_CTL_PATH_MAX];
	char path[2 * WEIR_CTL_PATH_MAX];

	if (file[0] == '/')
		return cJSON_AddStringToObject(body, "file", file) != NULL;
	if (strncmp(file, "./", 2) == 0)
		file += 2;
	if (getcwd(directory, sizeof(directory)) == NULL) {
		(void)weir_ctl_fail(WEIR_CTL_FAILED, "write the file's absolute path",
				    "this directory's path is too long");
		return false;
	}
	(void)snprintf(path, sizeof(path), "%s/%.4000s", directory,
		       file); /* longer ones are refused */
	return cJSON_AddStringToObject(body, "file", path) != NULL;
}

const char *weir_ctl_code_text(const cJSON *function)
{
	const char *image = weir_ctl_json_text(function, "image");

	return image[0] != '\0' ? image : weir_ctl_json_text(function, "file");
}

void weir_ctl_duration_format(double ms, char *out, size_t max)
{
	if (ms <= 0) {
		(void)snprintf(out, max, "-");
	} else if ((uint64_t)ms % 1000 == 0) {
		(void)snprintf(out, max, "%.0fs", ms / 1000);
	} else {
		(void)snprintf(out, max, "%.0fms", ms);
	}
}

void weir_ctl_print_object(const cJSON *json, const char *const *skip)
{
	static const char *const titles[] = {"FIELD", "VALUE", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, json)
	{
		const cJSON *member = NULL;
		char name[160];
		size_t i = 0;

		while (skip[i] != NULL && strcmp(skip[i], item->string) != 0)
			i++;
		if (skip[i] != NULL || (cJSON_IsString(item) && item->valuestring[0] == '\0'))
			continue;
		if (!cJSON_IsObject(item)) {
			weir_ctl_table_cell(&table, item->string);
			if (cJSON_IsNumber(item)) {
				weir_ctl_table_number(&table, item->valuedouble);
			} else {
				weir_ctl_table_cell(
					&table, cJSON_IsString(item) ? item->valuestring : "");
			}
			continue;
		}
		cJSON_ArrayForEach(member, item)
		{
			(void)snprintf(name, sizeof(name), "%s.%s", item->string,
				       member->string); /* cut is fine */
			weir_ctl_table_cell(&table, name);
			weir_ctl_table_cell(&table,
					    cJSON_IsString(member) ? member->valuestring : "");
		}
	}
	weir_ctl_table_print(&table);
}
