#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/config_plan.h"
#include "dataplane/base/cleanup.h"

enum { NAME_BYTES = 1536 };

/* Who answers for a path, of those that will be there. */
struct claim {
	char *path; /* host and shape */
	uint16_t methods;
	enum weir_config_section section;
	const struct weir_config_item *item;
	bool is_new;
};

struct claims {
	struct claim *claim;
	size_t count;
};

static int no_memory(struct weir_store_error *error)
{
	(void)snprintf(error->text, sizeof(error->text), "not enough memory for the configuration");
	return -ENOMEM;
}

/* Will a present item still be there? */
static bool stays(const struct weir_config_plan *plan, enum weir_config_section section,
		  const struct weir_config_item *item)
{
	return !plan->prune || weir_config_find(&plan->wanted->section[section], item->key) != NULL;
}

static bool has_been(const struct weir_config_plan *plan, enum weir_config_section section,
		     const struct weir_config_item *item)
{
	return weir_config_find(&plan->present->section[section], item->key) != NULL;
}

/* Functions */

static void secrets_check(const struct weir_config_change *change, struct weir_config_problems *problems)
{
	const cJSON *before = change->from == NULL
				      ? NULL
				      : cJSON_GetObjectItemCaseSensitive(change->from->json, "secrets");
	const cJSON *secret = NULL;
	char place[WEIR_CONFIG_PLACE_BYTES];
	char function[NAME_BYTES];

	cJSON_ArrayForEach(secret, cJSON_GetObjectItemCaseSensitive(change->to->json, "secrets"))
	{
		const cJSON *same = NULL;

		cJSON_ArrayForEach(same, before)
		{
			if (strcmp(same->valuestring, secret->valuestring) == 0)
				break;
		}
		if (same != NULL || cJSON_GetObjectItemCaseSensitive(change->to->secrets, secret->valuestring) != NULL)
			continue;
		(void)snprintf(place, sizeof(place), "functions[%u].secrets", change->to->number); /* fits */
		(void)weir_config_item_name(WEIR_CONFIG_FUNCTIONS, change->to->json, function, sizeof(function));
		weir_config_problem(problems, place, "%s has no value here; give it: --secret %s:%s=@FILE",
				    secret->valuestring, function, secret->valuestring);
	}
}

/* A path that nobody looked at yet. */
static void path_check(const struct weir_api_call *call, const struct weir_config_change *change,
		       struct weir_config_problems *problems)
{
	static const char *const members[] = {"runtime", "path", NULL};
	struct weir_config_function config;
	struct weir_model_error wrong;
	char place[WEIR_CONFIG_PLACE_BYTES];

	weir_config_function_of(call, change->to->json, &config);
	if (config.code[0] != '\0' || config.function.image[0] != '\0' || !weir_config_differ(change, members) ||
	    weir_api_file_check(&config.function, &wrong) == 0)
		return;
	(void)snprintf(place, sizeof(place), "functions[%u].path", change->to->number); /* fits */
	weir_config_problem(problems, place, "%s", wrong.reason);
}

/* Routes and rows */

static void target_check(const struct weir_config_plan *plan, const struct weir_config_change *change,
			 struct weir_config_problems *problems)
{
	const char *name = cJSON_GetObjectItemCaseSensitive(change->to->json, "function")->valuestring;
	const struct weir_config_item *present =
		weir_config_find(&plan->present->section[WEIR_CONFIG_FUNCTIONS], name);
	char place[WEIR_CONFIG_PLACE_BYTES];

	if (weir_config_find(&plan->wanted->section[WEIR_CONFIG_FUNCTIONS], name) != NULL ||
	    (present != NULL && stays(plan, WEIR_CONFIG_FUNCTIONS, present)))
		return;
	(void)snprintf(place, sizeof(place), "routes[%u].function", change->to->number); /* fits */
	weir_config_problem(problems, place,
			    present == NULL ? "there is no function %s, neither here nor in the document"
					    : "%s is not in the document, and would be removed",
			    name);
}

static bool claim_add(struct claims *claims, const struct weir_model_route *route,
		      enum weir_config_section section, const struct weir_config_item *item, bool is_new)
{
	struct claim *claim = &claims->claim[claims->count];
	char shape[WEIR_MODEL_PATTERN_BYTES_MAX + 1];

	weir_store_pattern_shape(route->pattern, shape);
	*claim = (struct claim){.methods = route->methods, .section = section, .item = item, .is_new = is_new};
	if (asprintf(&claim->path, "%s\n%s", route->host, shape) < 0)
		return false;
	claims->count++;
	return true;
}

static bool item_claim(struct claims *claims, enum weir_config_section section,
		       const struct weir_config_item *item, bool is_new)
{
	struct weir_model_route route = {.timeout_ms = 0};
	char text[NAME_BYTES];
	char *colon = NULL;

	if (section == WEIR_CONFIG_ROUTES) {
		weir_config_route_of(item->json, &route);
		return claim_add(claims, &route, section, item, is_new);
	}
	(void)snprintf(text, sizeof(text), "%s", item->key); /* fits: it was checked */
	colon = strchr(text, ':');
	*colon = ' ';
	return weir_model_route_parse(text, &route, NULL) != 0 ||
	       claim_add(claims, &route, section, item, is_new);
}

/* All of a section that will be there. */
static bool section_claim(const struct weir_config_plan *plan, struct claims *claims,
			  enum weir_config_section section)
{
	const struct weir_config_list *wanted = &plan->wanted->section[section];
	const struct weir_config_list *present = &plan->present->section[section];
	bool added = true;

	for (size_t i = 0; added && i < wanted->count; i++)
		added = item_claim(claims, section, &wanted->item[i], !has_been(plan, section, &wanted->item[i]));
	for (size_t i = 0; added && i < present->count; i++) {
		const struct weir_config_item *item = &present->item[i];

		if (!plan->prune && weir_config_find(wanted, item->key) == NULL)
			added = item_claim(claims, section, item, false);
	}
	return added;
}

static int compare_claims(const void *left, const void *right)
{
	return strcmp(((const struct claim *)left)->path, ((const struct claim *)right)->path);
}

static bool is_in_the_way(const struct claim *a, const struct claim *b)
{
	return (a->methods == 0 && b->methods == 0) || (a->methods & b->methods) != 0;
}

static void conflict_tell(const struct claim *newer, const struct claim *other,
			  struct weir_config_problems *problems)
{
	char place[WEIR_CONFIG_PLACE_BYTES];
	char name[NAME_BYTES];

	weir_config_problem(problems, weir_config_item_place(newer->section, newer->item, place),
			    "stands in the way of the %s '%s'; one method of a path leads to one function",
			    weir_config_kind_name(other->section),
			    weir_config_item_name(other->section, other->item->json, name, sizeof(name)));
}

/* Two that are both there already are left alone: the row is shadowed, which is said elsewhere. */
static void conflicts_find(const struct claims *claims, struct weir_config_problems *problems)
{
	for (size_t i = 1; i < claims->count; i++) {
		const struct claim *one = &claims->claim[i];

		for (size_t k = i; k > 0 && strcmp(claims->claim[k - 1].path, one->path) == 0; k--) {
			const struct claim *other = &claims->claim[k - 1];

			if (is_in_the_way(one, other) && (one->is_new || other->is_new))
				conflict_tell(one->is_new ? one : other, one->is_new ? other : one, problems);
		}
	}
}

static void claims_release(struct claims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		free(claims->claim[i].path);
	free(claims->claim);
}

static int conflicts_check(const struct weir_config_plan *plan, struct weir_config_problems *problems,
			   struct weir_store_error *error)
{
	static const enum weir_config_section sections[] = {WEIR_CONFIG_ROUTES, WEIR_CONFIG_ROWS};
	WEIR_CLEANUP(claims_release) struct claims claims = {.count = 0};
	size_t room = 1;

	for (size_t i = 0; i < 2; i++)
		room += plan->wanted->section[sections[i]].count + plan->present->section[sections[i]].count;
	claims.claim = calloc(room, sizeof(*claims.claim));
	if (claims.claim == NULL)
		return no_memory(error);
	for (size_t i = 0; i < 2; i++) {
		if (!section_claim(plan, &claims, sections[i]))
			return no_memory(error);
	}
	qsort(claims.claim, claims.count, sizeof(claims.claim[0]), compare_claims);
	conflicts_find(&claims, problems);
	return 0;
}

/* Settings */

static int settings_check(const struct weir_api_call *call, struct weir_config_plan *plan,
			  struct weir_config_problems *problems, struct weir_store_error *error)
{
	struct weir_setting_values defaults;
	struct weir_model_error wrong;
	char place[WEIR_CONFIG_PLACE_BYTES];
	const int code = weir_setting_load(call->owner->store, &plan->settings, error);

	if (code != 0)
		return code;
	weir_setting_defaults(&defaults);
	for (size_t i = 0; i < plan->count; i++) {
		const struct weir_config_change *change = &plan->change[i];
		const struct weir_config_item *item = change->to == NULL ? change->from : change->to;
		const struct weir_setting *setting = weir_setting_find(item->key);

		if (change->section != WEIR_CONFIG_SETTINGS)
			continue;
		weir_setting_put(&plan->settings, setting,
				 change->to == NULL ? weir_setting_get(&defaults, setting)
						    : weir_config_setting_of(change->to->json));
	}
	if (weir_setting_agree(&plan->settings, &wrong) == 0)
		return 0;
	(void)snprintf(place, sizeof(place), "settings.%s", wrong.field); /* fits */
	weir_config_problem(problems, place, "%s", wrong.reason);
	return 0;
}

int weir_config_plan_check(const struct weir_api_call *call, struct weir_config_plan *plan,
			   struct weir_config_problems *problems, struct weir_store_error *error)
{
	bool is_path_new = false;
	int code = settings_check(call, plan, problems, error);

	for (size_t i = 0; code == 0 && i < plan->count; i++) {
		const struct weir_config_change *change = &plan->change[i];

		if (change->to == NULL)
			continue;
		if (change->section == WEIR_CONFIG_FUNCTIONS) {
			secrets_check(change, problems);
			path_check(call, change, problems);
		} else if (change->section == WEIR_CONFIG_ROUTES) {
			target_check(plan, change, problems);
		}
		is_path_new = is_path_new || change->from == NULL;
	}
	return code == 0 && is_path_new ? conflicts_check(plan, problems, error) : code;
}
