#include "ctrl/publish/publish_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_FIRST = 64 };

/* The pattern behind its first slash -> its key; returns behind the NUL. */
static char *key_write(const char *pattern, char *out)
{
	const char *at = pattern + 1;

	for (; *at != '\0'; at++) {
		if (*at == '/') {
			*out++ = WEIR_PUBLISH_KEY_SLASH;
		} else if (at[-1] == '/' && *at == '{') {
			*out++ = WEIR_PUBLISH_KEY_PARAM;
			at += strcspn(at, "}"); /* checked: it ends so */
		} else if (at[-1] == '/' && at[0] == '*' && at[1] == '\0') {
			*out++ = WEIR_PUBLISH_KEY_STAR;
		} else {
			*out++ = *at;
		}
	}
	*out++ = '\0';
	return out;
}

static int grow(struct weir_publish_list *list, size_t wanted)
{
	size_t room = list->room == 0 ? ENTRIES_FIRST : list->room;
	struct weir_publish_entry *entry = NULL;

	if (wanted >= UINT32_MAX)
		return -E2BIG;
	if (wanted <= list->room)
		return 0;
	while (room < wanted)
		room *= 2;
	entry = reallocarray(list->entry, room, sizeof(*entry));
	if (entry == NULL)
		return -ENOMEM;
	list->entry = entry;
	list->room = room;
	return 0;
}

int weir_publish_list_add_entry(struct weir_publish_list *list, const char *host,
				const char *pattern, const struct weir_publish_entry *entry)
{
	const size_t host_bytes = strlen(host) + 1;
	const size_t pattern_bytes = strlen(pattern) + 1;
	const int result = grow(list, list->count + 1);
	char *text = NULL;

	if (result != 0)
		return result;
	text = malloc(2 * pattern_bytes + host_bytes); /* a key is shorter than its pattern */
	if (text == NULL)
		return -ENOMEM;
	struct weir_publish_entry *own = &list->entry[list->count++];
	char *at = key_write(pattern, text);

	*own = *entry;
	own->key = text;
	own->pattern = memcpy(at, pattern, pattern_bytes);
	own->host = memcpy(at + pattern_bytes, host, host_bytes);
	own->shadowed = false;
	return 0;
}

int weir_publish_list_add(struct weir_publish_list *list, const struct weir_model_route *route,
			  enum weir_publish_rank rank, uint32_t origin)
{
	const bool is_weirs = rank == WEIR_PUBLISH_BUILTIN || rank == WEIR_PUBLISH_FALLBACK;
	const struct weir_publish_entry entry = {
		.id = route->id,
		.function_id = route->function_id,
		.timeout_ms = route->timeout_ms,
		.origin = origin,
		.methods = route->methods,
		.rank = (uint8_t)rank,
		.auth = (uint8_t)route->auth,
		.role = (uint8_t)(is_weirs ? route->role : WEIR_ROLE_INVOKER),
		.is_asking = is_weirs && route->is_asking,
	};

	if (weir_model_route_check(route, NULL) != 0)
		return -EINVAL;
	return weir_publish_list_add_entry(list, route->host, route->pattern, &entry);
}

/* Keep the entries for which `keep` is true, in their order. */
static void filter(struct weir_publish_list *list,
		   bool (*keep)(const struct weir_publish_entry *entry, const void *context),
		   const void *context)
{
	size_t kept = 0;
	size_t sorted = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (!keep(&list->entry[i], context)) {
			free(list->entry[i].key);
			continue;
		}
		if (kept != i)
			list->entry[kept] = list->entry[i];
		kept++;
		sorted += i < list->sorted;
	}
	list->count = kept;
	list->sorted = sorted;
}

static bool keep_other_ranks(const struct weir_publish_entry *entry, const void *context)
{
	return entry->rank != *(const enum weir_publish_rank *)context;
}

void weir_publish_list_remove_all(struct weir_publish_list *list, enum weir_publish_rank rank)
{
	filter(list, keep_other_ranks, &rank);
}

struct ids {
	const uint64_t *id;
	size_t count;
};

static bool keep_other_ids(const struct weir_publish_entry *entry, const void *context)
{
	const struct ids *ids = context;
	size_t first = 0;
	size_t end = ids->count;

	if (entry->rank != WEIR_PUBLISH_STORE)
		return true;
	while (first < end) {
		const size_t middle = first + (end - first) / 2;

		if (ids->id[middle] == entry->id)
			return false;
		if (ids->id[middle] < entry->id)
			first = middle + 1;
		else
			end = middle;
	}
	return true;
}

void weir_publish_list_remove(struct weir_publish_list *list, const uint64_t *ids, size_t count)
{
	const struct ids set = {.id = ids, .count = count};

	if (count > 0)
		filter(list, keep_other_ids, &set);
}

static int compare(const void *left, const void *right)
{
	const struct weir_publish_entry *a = left;
	const struct weir_publish_entry *b = right;
	int order = strcmp(a->host, b->host);

	if (order == 0)
		order = strcmp(a->key, b->key);
	if (order != 0)
		return order;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->origin > b->origin) - (a->origin < b->origin);
}

int weir_publish_list_settle(struct weir_publish_list *list)
{
	const size_t added = list->count - list->sorted;
	struct weir_publish_entry *fresh = NULL;
	size_t left = list->sorted;
	size_t right = added;

	if (added == 0)
		return 0;
	qsort(list->entry + list->sorted, added, sizeof(*list->entry), compare);
	if (list->sorted > 0) {
		fresh = reallocarray(NULL, added, sizeof(*fresh));
		if (fresh == NULL)
			return -ENOMEM;
		memcpy(fresh, list->entry + list->sorted, added * sizeof(*fresh));
		/* From the back, where the room is. */
		for (size_t at = list->count; right > 0; at--) {
			if (left > 0 && compare(&list->entry[left - 1], &fresh[right - 1]) > 0)
				list->entry[at - 1] = list->entry[--left];
			else
				list->entry[at - 1] = fresh[--right];
		}
		free(fresh);
	}
	list->sorted = list->count;
	return 0;
}

void weir_publish_list_release(struct weir_publish_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entry[i].key);
	free(list->entry);
	memset(list, 0, sizeof(*list));
}
