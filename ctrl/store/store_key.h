/* store_key: the keys that weir.db knows, each by its name and its public id. Like users they are no configuration:
 * no export has them, going back to an earlier generation neither brings one back nor takes one away, and history
 * keeps who added or removed one, but not the row. A backup has them. Of a secret there is the digest only.
 * Threads: the store's. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_STORE_KEY_H
#define WEIR_CTRL_STORE_STORE_KEY_H

#include "ctrl/model/model_user.h"
#include "ctrl/store/store.h"

enum { WEIR_STORE_KEYS_MAX = 16384 };

struct weir_store_keys {
	struct weir_model_key *key; /* by name */
	size_t count;
};

/* Add a key. -EEXIST: there is one of that name or id. -EINVAL (a field), -EDQUOT (WEIR_STORE_KEYS_MAX). */
int weir_store_key_add(struct weir_store *store, const struct weir_model_key *key, struct weir_store_error *error);

/* Remove one by its name, or by its id. -ENOENT. */
int weir_store_key_remove(struct weir_store *store, const char *name_or_id, struct weir_store_error *error);

/* One key by its id: -ENOENT; -EBADMSG (the row is damaged). */
int weir_store_key_find(struct weir_store *store, const char *id, struct weir_model_key *out_key,
			struct weir_store_error *error);

/* All of them; rows that do not pass the model's checks are left out and noted (WEIR_STORE_BAD_KEYS). The result
 * starts zeroed and is released by the caller, after a failure too. */
int weir_store_keys_load(struct weir_store *store, struct weir_store_keys *out_keys, struct weir_store_error *error);

/* Free the list; it is zeroed. Made for WEIR_CLEANUP. */
void weir_store_keys_release(struct weir_store_keys *keys);

#endif
