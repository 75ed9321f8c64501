/* config_plan: what makes one config out of another, and the doing of it.
 *
 *   present, wanted --make--> plan --check--> problems
 *                              |--json--> changes, for people
 *                              '--write--> one change of weir.db
 *
 * What the wanted config does not have stays, unless it is to be pruned.
 * Owns: its list; what it points to is the two configs'. Threads: one. Private to ctrl/api. */
#ifndef WEIR_CTRL_API_CONFIG_PLAN_H
#define WEIR_CTRL_API_CONFIG_PLAN_H

#include "ctrl/api/config.h"

struct weir_config_change {
	enum weir_config_section section;
	const struct weir_config_item *from; /* NULL: it is new */
	const struct weir_config_item *to;   /* NULL: it goes */
};

struct weir_config_plan {
	const struct weir_config *present;
	const struct weir_config *wanted;
	bool prune;
	struct weir_config_change *change;
	size_t count;
	size_t room;
	size_t unchanged;
	struct weir_setting_values settings; /* as they will be: set by the check */
};

/* Find the changes. `plan` starts zeroed but for the configs and `prune`. False: no memory. */
bool weir_config_plan_make(struct weir_config_plan *plan);
void weir_config_plan_release(struct weir_config_plan *plan);

/* What stands in the way, of what can be seen before anything is written. 0 or store.h. */
int weir_config_plan_check(const struct weir_api_call *call, struct weir_config_plan *plan,
			   struct weir_config_problems *problems, struct weir_store_error *error);

/* [{"change": "add", "kind", "name", "place", "fields": [{"field", "from", "to"}]}]; values of secrets
 * are not in it. NULL: no memory. */
cJSON *weir_config_plan_json(const struct weir_config_plan *plan);

/* Do two items differ in one of these members (ended by NULL)? */
bool weir_config_differ(const struct weir_config_change *change, const char *const *members);

/* Is it a function with code that has not served before, so that it is to be built and tried? */
bool weir_config_needs_trial(const struct weir_config_change *change);

/* The variables that a change of a function sets and unsets, as weir_api_variables_of() takes them; refers to
 * the change's values of secrets. NULL: no memory. */
cJSON *weir_config_variables_json(const struct weir_config_change *change);

/* Write everything, within a change of weir.db that the caller began; the public table itself is the caller's,
 * too. 0, store.h, or -EINVAL: problems were noted. */
int weir_config_write(struct weir_api_call *call, const struct weir_config_plan *plan,
		      struct weir_config_problems *problems, struct weir_store_error *error);

#endif
