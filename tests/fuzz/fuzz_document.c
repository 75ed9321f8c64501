/* A document of others, in YAML: refused with a line and a reason, or read to JSON that is written and read
 * again as the same. And the instance's reading of that JSON: problems with places, or a configuration whose
 * items are what the store's records make of them again, and whose document reads as the same. */
#include <stdio.h>
#include <stdlib.h>

#include "ctrl/api/config.h"
#include "ctrl/ctrlctl/yaml.h"
#include "tests/fuzz/fuzz.h"

static char directory[] = "/tmp/fuzz-document-XXXXXX";
static struct weir_api_owner owner;

static void owner_close(void)
{
	char command[64];

	weir_code_close(owner.code);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", directory); /* fits */
	FUZZ_CHECK(system(command) == 0);
}

static void owner_open(void)
{
	FUZZ_CHECK(mkdtemp(directory) != NULL);
	FUZZ_CHECK(weir_code_open(directory, &owner.code) == 0);
	FUZZ_CHECK(atexit(owner_close) == 0);
}

static void check_yaml(const cJSON *json)
{
	struct weir_ctl_yaml again = {.json = NULL};
	struct weir_ctl_yaml_error error;
	char *before = cJSON_PrintUnformatted(json);
	char *text = weir_ctl_yaml_write(json);
	char *after = NULL;

	FUZZ_CHECK(before != NULL && text != NULL);
	FUZZ_CHECK(weir_ctl_yaml_read(text, strlen(text), &again, &error) == 0);
	after = cJSON_PrintUnformatted(again.json);
	FUZZ_CHECK(after != NULL && strcmp(before, after) == 0);
	cJSON_free(before);
	cJSON_free(after);
	free(text);
	weir_ctl_yaml_release(&again);
}

static bool read_config(const cJSON *document, struct weir_config *config,
			char space[WEIR_MODEL_NAME_BYTES_MAX + 1])
{
	struct weir_api_call call = {.owner = &owner};
	struct weir_config_problems problems = {.list = NULL};
	const cJSON *problem = NULL;
	bool is_sound = false;

	weir_config_read(&call, document, NULL, config, space, &problems);
	is_sound = problems.count == 0;
	FUZZ_CHECK(is_sound == (cJSON_GetArraySize(problems.list) == 0));
	cJSON_ArrayForEach(problem, problems.list)
	{
		const cJSON *reason = cJSON_GetObjectItemCaseSensitive(problem, "reason");

		FUZZ_CHECK(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(problem, "place")));
		FUZZ_CHECK(cJSON_IsString(reason) && reason->valuestring[0] != '\0');
	}
	weir_config_problems_release(&problems);
	return is_sound;
}

static void check_items(const struct weir_config *config)
{
	const struct weir_api_call call = {.owner = &owner};

	for (size_t i = 0; i < config->section[WEIR_CONFIG_FUNCTIONS].count; i++) {
		const cJSON *json = config->section[WEIR_CONFIG_FUNCTIONS].item[i].json;
		struct weir_config_function function;
		cJSON *again = NULL;

		weir_config_function_of(&call, json, &function);
		again = weir_config_function_json(&function);
		FUZZ_CHECK(weir_model_function_check(&function.function, NULL) == 0);
		FUZZ_CHECK(cJSON_Compare(json, again, true) != 0);
		cJSON_Delete(again);
	}
	for (size_t i = 0; i < config->section[WEIR_CONFIG_ROUTES].count; i++) {
		const struct weir_config_item *item = &config->section[WEIR_CONFIG_ROUTES].item[i];
		struct weir_model_route route;
		char *key = NULL;

		weir_config_route_of(item->json, &route);
		key = weir_config_route_key(&route);
		FUZZ_CHECK(key != NULL && strcmp(key, item->key) == 0);
		free(key);
	}
	for (size_t i = 0; i < config->section[WEIR_CONFIG_SETTINGS].count; i++)
		(void)weir_config_setting_of(config->section[WEIR_CONFIG_SETTINGS].item[i].json);
}

static void check_config(const cJSON *json)
{
	struct weir_config config = {0};
	struct weir_config again = {0};
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	cJSON *document = NULL;
	cJSON *second = NULL;

	if (read_config(json, &config, space)) {
		check_items(&config);
		document = weir_config_json(&config, space[0] == '\0' ? NULL : space);
		FUZZ_CHECK(read_config(document, &again, space));
		second = weir_config_json(&again, space[0] == '\0' ? NULL : space);
		FUZZ_CHECK(cJSON_Compare(document, second, true) != 0);
	}
	cJSON_Delete(document);
	cJSON_Delete(second);
	weir_config_release(&config);
	weir_config_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct weir_ctl_yaml yaml = {.json = NULL};
	struct weir_ctl_yaml_error error = {.line = 0};
	char *text = fuzz_copy(data, bytes);

	if (owner.code == NULL)
		owner_open();
	if (weir_ctl_yaml_read(text, bytes, &yaml, &error) != 0) {
		FUZZ_CHECK(error.line > 0 && error.column > 0 && error.reason[0] != '\0');
	} else if (yaml.json != NULL) {
		check_yaml(yaml.json);
		check_config(yaml.json);
		FUZZ_CHECK(weir_ctl_yaml_place(&yaml, "functions[0].name") != NULL);
	}
	weir_ctl_yaml_release(&yaml);
	free(text);
	return 0;
}
