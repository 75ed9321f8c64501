/* config: a whole configuration as one document, what makes one out of another, and that change.
 *
 *   databases --present--> config --json--> document                         (export)
 *   databases --present--> config --\
 *                                    plan --write--> one change of weir.db   (apply)
 *   document  --read-----> config --/           '--> the public table
 *
 * A config is a list of items for each section, sorted by key. An item is the JSON object that stands
 * for it in a document, in one form: short names, members in a fixed order, what has its default left
 * out, secrets by name only. So two items are alike if their members are, and two documents of the same
 * configuration are equal byte by byte. Left out means Weir's own default, whatever the settings
 * function.* say, so that a document means the same everywhere.
 * Owns: an item's key and JSON. Threads: one. Blocks on the disk. Errors: store.h. Private to ctrl/api. */
#ifndef WEIR_CTRL_API_CONFIG_H
#define WEIR_CTRL_API_CONFIG_H

#include "ctrl/api/call.h"
#include "ctrl/api/setting.h"

enum {
	WEIR_CONFIG_FORMAT = 1,        /* of documents: their member "weir" */
	WEIR_CONFIG_PLACE_BYTES = 192, /* "functions[12].environment.NAME" */
	WEIR_CONFIG_PROBLEMS_MAX = 100, /* that are listed; the others are counted */
};

enum weir_config_section {
	WEIR_CONFIG_FUNCTIONS,
	WEIR_CONFIG_ROUTES,
	WEIR_CONFIG_SETTINGS,
	WEIR_CONFIG_POOLS,
	WEIR_CONFIG_IMAGES,
	WEIR_CONFIG_ROWS,
	WEIR_CONFIG_SECTION_COUNT,
};

struct weir_config_item {
	char *key;       /* what makes it the same thing in another config */
	cJSON *json;     /* as in a document; a setting's is {"setting": NAME, "value": VALUE} */
	cJSON *secrets;  /* of a function: values that are to be set, {NAME: VALUE}; or NULL */
	uint32_t number; /* its place in the document's list */
};

struct weir_config_list {
	struct weir_config_item *item;
	size_t count;
	size_t room;
};

struct weir_config {
	struct weir_config_list section[WEIR_CONFIG_SECTION_COUNT];
	cJSON *left_out; /* what is there but not in it, a sentence each; NULL: nothing */
};

/* What is wrong with a document: {"place", "reason"} each. Starts zeroed. */
struct weir_config_problems {
	cJSON *list;
	size_t count;
};

/* One function, between its JSON and what the store has. */
struct weir_config_function {
	struct weir_model_function function; /* code_path is where its code lies, deployed or not */
	char code[WEIR_CODE_HASH_BYTES];     /* empty: it is a path */
	size_t entry_at;                     /* of a code: where in code_path its own file begins */
	const char *description;             /* or NULL */
	const cJSON *parameters;             /* {NAME: any value}; NULL: none */
	const cJSON *annotations;            /* likewise */
	const cJSON *environment;            /* {NAME: VALUE}; NULL: none */
	const cJSON *secrets;                /* [NAME]; NULL: none */
};

/* "functions": a section's member in a document; "function": one of its items. */
const char *weir_config_section_name(enum weir_config_section section);
const char *weir_config_kind_name(enum weir_config_section section);

/* An item's name for people: "shop/cart", "GET /x (host h)"; returns out. */
const char *weir_config_item_name(enum weir_config_section section, const cJSON *json, char *out,
				  size_t max);

/* Its place in a document: "functions[3]", "settings.NAME"; returns out. */
const char *weir_config_item_place(enum weir_config_section section, const struct weir_config_item *item,
				   char out[WEIR_CONFIG_PLACE_BYTES]);

/* Add an item; key and JSON pass over, after a failure, too. False: no memory. */
bool weir_config_add(struct weir_config_list *list, char *key, cJSON *json, uint32_t number);
void weir_config_sort(struct weir_config *config);
const struct weir_config_item *weir_config_find(const struct weir_config_list *list, const char *key);
void weir_config_release(struct weir_config *config);

/* Note a problem. */
void weir_config_problem(struct weir_config_problems *problems, const char *place, const char *format,
			 ...) __attribute__((format(printf, 3, 4)));
void weir_config_problems_release(struct weir_config_problems *problems);

/* The items' own JSON. NULL: no memory. */
cJSON *weir_config_function_json(const struct weir_config_function *function);
cJSON *weir_config_route_json(const struct weir_model_route *route);
cJSON *weir_config_setting_json(const struct weir_setting *setting, uint64_t value);
cJSON *weir_config_row_json(const char *key, const cJSON *value);
cJSON *weir_config_image_json(const struct weir_model_alias *alias);

/* Keys. NULL: no memory. */
char *weir_config_route_key(const struct weir_model_route *route);

/* What is there now, sorted; of one namespace, or of all, the settings and what images stand for (NULL). A namespace has its functions,
 * their routes, its pools, and `default` the public table's rows: of these the last good versions. Functions
 * whose rows in weir.db are damaged are left out: they are neither kept nor pruned. */
int weir_config_present(const struct weir_api_call *call, const char *space, struct weir_config *config,
			struct weir_store_error *error);

/* The document that says so. NULL: no memory. */
cJSON *weir_config_json(const struct weir_config *config, const char *space);

/* Read a document, checked as all doors do; notes every problem. `secrets` is {FUNCTION: {NAME: VALUE}}
 * or NULL. The config is sorted. `out_space`: the namespace that the document is of, or "". */
void weir_config_read(struct weir_api_call *call, const cJSON *document, const cJSON *secrets,
		      struct weir_config *config, char out_space[WEIR_MODEL_NAME_BYTES_MAX + 1],
		      struct weir_config_problems *problems);

/* Back from an item's JSON, which was read before. */
void weir_config_function_of(const struct weir_api_call *call, const cJSON *json,
			     struct weir_config_function *out_function);
void weir_config_route_of(const cJSON *json, struct weir_model_route *out_route);
void weir_config_image_of(const cJSON *json, struct weir_model_alias *out_alias);
uint64_t weir_config_setting_of(const cJSON *json);
char *weir_config_row_value(const cJSON *json); /* cJSON_free(); NULL: no memory */

#endif
