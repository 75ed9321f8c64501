#include "ctrl/access/throttle.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/clock.h"

enum { PLACES = 4096 };

/* A bucket that is known by when it will be full again: at most burst times `every` from now. */
struct weir_throttle {
	unsigned char key[crypto_shorthash_KEYBYTES];
	uint64_t all_full_ns;
	uint64_t name_full_ns[PLACES];
};

struct pace {
	uint64_t every_ns;
	uint64_t burst;
};

static const struct pace name_pace = {WEIR_THROTTLE_NAME_EVERY_MS * WEIR_NS_PER_MS, WEIR_THROTTLE_NAME_BURST};
static const struct pace all_pace = {WEIR_THROTTLE_ALL_EVERY_MS * WEIR_NS_PER_MS, WEIR_THROTTLE_ALL_BURST};

int weir_throttle_create(struct weir_throttle **out_throttle)
{
	struct weir_throttle *throttle = sodium_init() < 0 ? NULL : calloc(1, sizeof(*throttle));

	if (throttle == NULL)
		return -ENOMEM;
	crypto_shorthash_keygen(throttle->key);
	*out_throttle = throttle;
	return 0;
}

void weir_throttle_destroy(struct weir_throttle *throttle)
{
	free(throttle);
}

static uint64_t *place_of(struct weir_throttle *throttle, const char *name)
{
	uint64_t hash = 0;

	(void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name, strlen(name), throttle->key);
	return &throttle->name_full_ns[hash % PLACES];
}

/* How long until there is one in the bucket; 0: there is. */
static uint64_t wait_ns(uint64_t full_ns, const struct pace *pace, uint64_t now_ns)
{
	const uint64_t missing_ns = full_ns > now_ns ? full_ns - now_ns : 0;
	const uint64_t most_ns = (pace->burst - 1) * pace->every_ns;

	return missing_ns > most_ns ? missing_ns - most_ns : 0;
}

static void take(uint64_t *full_ns, const struct pace *pace, uint64_t now_ns)
{
	*full_ns = (*full_ns > now_ns ? *full_ns : now_ns) + pace->every_ns;
}

uint32_t weir_throttle_take(struct weir_throttle *throttle, const char *name, uint64_t now_ns)
{
	uint64_t *const place = name == NULL ? NULL : place_of(throttle, name);
	const uint64_t of_all_ns = wait_ns(throttle->all_full_ns, &all_pace, now_ns);
	const uint64_t of_name_ns = place == NULL ? 0 : wait_ns(*place, &name_pace, now_ns);
	const uint64_t longest_ns = of_all_ns > of_name_ns ? of_all_ns : of_name_ns;

	if (longest_ns > 0)
		return (uint32_t)((longest_ns + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS);
	take(&throttle->all_full_ns, &all_pace, now_ns);
	if (place != NULL)
		take(place, &name_pace, now_ns);
	return 0;
}

void weir_throttle_give(struct weir_throttle *throttle, const char *name, uint64_t now_ns)
{
	uint64_t *const place = place_of(throttle, name);

	if (*place > now_ns)
		*place -= *place - now_ns < name_pace.every_ns ? *place - now_ns : name_pace.every_ns;
}
