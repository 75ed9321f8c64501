#include <errno.h>
#include <stdlib.h>

#include "ctrl/publish/publish_plan.h"

static_assert(sizeof(((struct weir_snapshot_key *)0)->digest) == WEIR_MODEL_DIGEST_BYTES, "one digest, two rooms");

static int hex_value(char digit)
{
	return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

/* A UUID's text, which the model has checked, as bytes. */
static void id_pack(const char *text, uint8_t id[sizeof(((struct weir_snapshot_key *)0)->id)])
{
	for (size_t i = 0; *text != '\0'; text += 2) {
		if (*text == '-')
			text++;
		id[i++] = (uint8_t)(hex_value(text[0]) << 4 | hex_value(text[1]));
	}
}

static int add_key(struct weir_publish_plan *plan, const struct weir_model_key *key)
{
	struct weir_snapshot_key row = {.role = (uint32_t)key->role, .expires_s = (uint64_t)key->expires_s};
	uint32_t index = 0;
	int result = 0;

	if (weir_model_key_check(key, NULL) != 0)
		return -EINVAL;
	if (plan->keys.count == WEIR_SNAPSHOT_KEYS_MAX)
		return -E2BIG;
	id_pack(key->id, row.id);
	memcpy(row.digest, key->digest, sizeof(row.digest));
	result = weir_publish_strings_intern(&plan->strings, weir_span_of(key->space), &row.space);
	if (result == 0)
		result = weir_publish_rows_add(&plan->keys, sizeof(row), &index);
	if (result == 0)
		((struct weir_snapshot_key *)plan->keys.data)[index] = row;
	return result;
}

static int compare_ids(const void *left, const void *right)
{
	const struct weir_snapshot_key *const a = left;
	const struct weir_snapshot_key *const b = right;

	return memcmp(a->id, b->id, sizeof(a->id));
}

int weir_publish_plan_keys(struct weir_publish_plan *plan)
{
	const struct weir_snapshot_key *rows = NULL;
	int result = 0;

	for (size_t i = 0; result == 0 && i < plan->input->key_count; i++)
		result = add_key(plan, &plan->input->keys[i]);
	if (result != 0 || plan->keys.count == 0)
		return result;
	qsort(plan->keys.data, plan->keys.count, sizeof(*rows), compare_ids);
	rows = plan->keys.data;
	for (size_t i = 1; i < plan->keys.count; i++) {
		if (compare_ids(&rows[i - 1], &rows[i]) == 0)
			return -EEXIST;
	}
	return 0;
}
