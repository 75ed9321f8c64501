#include "ctrl/api/config_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 16, NAME_BYTES = 1536, FIELD_BYTES = 160 };

/* The members that count: of a row those of its value. */
static const cJSON *members_of(enum weir_config_section section, const struct weir_config_item *item)
{
	if (item == NULL)
		return NULL;
	return section == WEIR_CONFIG_ROWS ? cJSON_GetObjectItemCaseSensitive(item->json, "value") : item->json;
}

static bool is_alike(enum weir_config_section section, const struct weir_config_item *from,
		     const struct weir_config_item *to)
{
	return to->secrets == NULL &&
	       cJSON_Compare(members_of(section, from), members_of(section, to), true) != 0;
}

static bool change_add(struct weir_config_plan *plan, enum weir_config_section section,
		       const struct weir_config_item *from, const struct weir_config_item *to)
{
	const size_t room = plan->room == 0 ? ROOM_FIRST : 2 * plan->room;

	if (plan->count == plan->room) {
		struct weir_config_change *grown = reallocarray(plan->change, room, sizeof(*grown));

		if (grown == NULL)
			return false;
		plan->change = grown;
		plan->room = room;
	}
	plan->change[plan->count++] =
		(struct weir_config_change){.section = section, .from = from, .to = to};
	return true;
}

/* Both lists are sorted by key. */
static bool section_compare(struct weir_config_plan *plan, enum weir_config_section section)
{
	const struct weir_config_list *present = &plan->present->section[section];
	const struct weir_config_list *wanted = &plan->wanted->section[section];
	size_t i = 0;
	size_t k = 0;

	while (i < present->count || k < wanted->count) {
		const struct weir_config_item *from = i < present->count ? &present->item[i] : NULL;
		const struct weir_config_item *to = k < wanted->count ? &wanted->item[k] : NULL;
		const int order = from == NULL ? 1 : to == NULL ? -1 : strcmp(from->key, to->key);

		i += order <= 0;
		k += order >= 0;
		if ((order < 0 && !plan->prune) || (order == 0 && is_alike(section, from, to)))
			plan->unchanged++;
		else if (!change_add(plan, section, order <= 0 ? from : NULL, order >= 0 ? to : NULL))
			return false;
	}
	return true;
}

bool weir_config_plan_make(struct weir_config_plan *plan)
{
	for (int i = 0; i < WEIR_CONFIG_SECTION_COUNT; i++) {
		if (!section_compare(plan, (enum weir_config_section)i))
			return false;
	}
	return true;
}

void weir_config_plan_release(struct weir_config_plan *plan)
{
	free(plan->change);
	memset(plan, 0, sizeof(*plan));
}

bool weir_config_differ(const struct weir_config_change *change, const char *const *members)
{
	for (size_t i = 0; members[i] != NULL; i++) {
		const cJSON *from = change->from == NULL
					    ? NULL
					    : cJSON_GetObjectItemCaseSensitive(change->from->json, members[i]);
		const cJSON *to = cJSON_GetObjectItemCaseSensitive(change->to->json, members[i]);

		if ((from == NULL) != (to == NULL) || (from != NULL && cJSON_Compare(from, to, true) == 0))
			return true;
	}
	return false;
}

bool weir_config_needs_trial(const struct weir_config_change *change)
{
	static const char *const members[] = {"runtime", "code", "entry", "handler", NULL};

	return change->section == WEIR_CONFIG_FUNCTIONS && change->to != NULL &&
	       cJSON_HasObjectItem(change->to->json, "code") && weir_config_differ(change, members);
}

/* For people */

static void field_add(cJSON *list, const char *name, const cJSON *from, const cJSON *to)
{
	cJSON *field = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(field, "field", name); /* without memory: members lack */
	if (from != NULL)
		(void)cJSON_AddItemToObject(field, "from", cJSON_Duplicate(from, true));
	if (to != NULL)
		(void)cJSON_AddItemToObject(field, "to", cJSON_Duplicate(to, true));
	(void)cJSON_AddItemToArray(list, field);
}

/* One side of a comparison. */
struct side {
	const cJSON *members;
	const cJSON *others;
	bool is_from;
};

/* Members that the other side has otherwise or not at all; what both have is told from the side of `to`.
 * `skip`, ended by NULL, are told elsewhere. */
static void fields_add(cJSON *list, const char *prefix, const struct side *side, const char *const *skip)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, side->members)
	{
		const cJSON *same = cJSON_GetObjectItemCaseSensitive(side->others, item->string);
		char name[FIELD_BYTES];
		size_t i = 0;

		while (skip[i] != NULL && strcmp(skip[i], item->string) != 0)
			i++;
		if (skip[i] != NULL ||
		    (same != NULL && (side->is_from || cJSON_Compare(item, same, true) != 0)))
			continue;
		(void)snprintf(name, sizeof(name), "%s%.120s", prefix, item->string); /* cut is fine */
		field_add(list, name, side->is_from ? item : same, side->is_from ? NULL : item);
	}
}

static void both_add(cJSON *list, const char *prefix, const cJSON *from, const cJSON *to, const char *const *skip)
{
	fields_add(list, prefix, &(struct side){.members = from, .others = to, .is_from = true}, skip);
	fields_add(list, prefix, &(struct side){.members = to, .others = from}, skip);
}

static void fields_tell(const struct weir_config_change *change, cJSON *list)
{
	/* What names an item, and what is told member by member. */
	static const char *const skip[] = {"name", "route",	    "host",	    "setting",
					   "pool", "environment", "parameters", "annotations", NULL};
	static const char *const objects[] = {"environment", "parameters", "annotations"};
	static const char *const of_image[] = {"image", NULL}; /* a function's is no name */
	static const char *const nothing[] = {NULL};
	const bool is_row = change->section == WEIR_CONFIG_ROWS;
	const cJSON *from = members_of(change->section, change->from);
	const cJSON *to = members_of(change->section, change->to);
	const cJSON *secret = NULL;

	both_add(list, "", from, to,
		 is_row ? nothing : change->section == WEIR_CONFIG_IMAGES ? of_image : skip);
	for (size_t i = 0; !is_row && i < sizeof(objects) / sizeof(objects[0]); i++) {
		char prefix[32];

		(void)snprintf(prefix, sizeof(prefix), "%s.", objects[i]); /* fits */
		both_add(list, prefix, cJSON_GetObjectItemCaseSensitive(from, objects[i]),
			 cJSON_GetObjectItemCaseSensitive(to, objects[i]), nothing);
	}
	cJSON_ArrayForEach(secret, change->to->secrets)
	{
		char field[FIELD_BYTES];

		(void)snprintf(field, sizeof(field), "secrets.%.120s", secret->string); /* cut is fine */
		field_add(list, field, NULL, NULL);
	}
}

static cJSON *change_json(const struct weir_config_change *change)
{
	const struct weir_config_item *item = change->to != NULL ? change->to : change->from;
	cJSON *json = cJSON_CreateObject();
	char place[WEIR_CONFIG_PLACE_BYTES];
	char name[NAME_BYTES];

	(void)cJSON_AddStringToObject(json, "change",
				      change->from == NULL ? "add"
				      : change->to == NULL ? "remove"
							   : "change"); /* without memory: members lack */
	(void)cJSON_AddStringToObject(json, "kind", weir_config_kind_name(change->section));
	(void)cJSON_AddStringToObject(json, "name",
				      weir_config_item_name(change->section, item->json, name, sizeof(name)));
	if (change->to == NULL)
		return json;
	(void)cJSON_AddStringToObject(json, "place", weir_config_item_place(change->section, item, place));
	fields_tell(change, cJSON_AddArrayToObject(json, "fields"));
	return json;
}

cJSON *weir_config_plan_json(const struct weir_config_plan *plan)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; list != NULL && i < plan->count; i++)
		(void)cJSON_AddItemToArray(list, change_json(&plan->change[i])); /* or it lacks */
	return list;
}
