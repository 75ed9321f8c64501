/* yaml: a configuration's document between YAML and JSON. Of YAML what JSON has: mappings whose names are
 * text and differ, lists, text, numbers as JSON writes them (long ones are kept as raw text: model_number.h), true,
 * false and null; one document. Anchors,
 * aliases and tags are refused. What is written reads back as the same, and equal JSON is written equal.
 *
 *   text --read--> JSON and where each value stood --place--> line, column
 *   JSON --write--> text
 *
 * `yes`, `on`, `010` and the like are text here and are written in quotes, for readers that think otherwise.
 * Owns: the JSON and its marks. Pure; one thread. No recursion. Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_YAML_H
#define WEIR_CTRL_CTRLCTL_YAML_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	WEIR_CTL_YAML_BYTES_MAX = 15 << 20, /* the instance takes little more */
	WEIR_CTL_YAML_DEPTH_MAX = 21,
	WEIR_CTL_YAML_VALUES_MAX = 1000000,
	WEIR_CTL_YAML_NAMES_MAX = 1024, /* of one mapping */
};

/* Where one value began; both count from 1. */
struct weir_ctl_yaml_mark {
	const cJSON *value;
	size_t line;
	size_t column;
};

struct weir_ctl_yaml {
	cJSON *json; /* NULL: the text is empty */
	struct weir_ctl_yaml_mark *marks;
	size_t mark_count;
	size_t mark_room;
};

struct weir_ctl_yaml_error {
	size_t line;
	size_t column;
	char reason[256];
};

/* Read one document. `yaml` starts zeroed and is released after a failure, too. 0; -EINVAL with *error. */
int weir_ctl_yaml_read(const char *text, size_t bytes, struct weir_ctl_yaml *yaml,
		       struct weir_ctl_yaml_error *error);
void weir_ctl_yaml_release(struct weir_ctl_yaml *yaml);

/* Where "functions[3].timeout" stands, or the innermost thing around it that is there; NULL: nowhere. */
const struct weir_ctl_yaml_mark *weir_ctl_yaml_place(const struct weir_ctl_yaml *yaml, const char *place);

/* As text (free()); NULL: no memory, or more levels than WEIR_CTL_YAML_DEPTH_MAX. */
char *weir_ctl_yaml_write(const cJSON *json);

#endif
