/* store_user: the users that weir.db knows. They are no configuration: no export has them, going back to an
 * earlier generation neither brings one back nor takes one away, and of a change of theirs history keeps who made
 * it and in what words, but not the row, so that no hash of a password stays behind. A backup has them.
 * Threads: the store's. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_STORE_USER_H
#define WEIR_CTRL_STORE_STORE_USER_H

#include "ctrl/model/model_user.h"
#include "ctrl/store/store.h"

enum { WEIR_STORE_USERS_MAX = 16384 };

struct weir_store_users {
	struct weir_model_user *user; /* by name */
	size_t count;
};

/* Add a user. -EEXIST: there is one of that name; or, with `is_new_space`, functions are in the namespace of that
 * name already. -EINVAL (a field), -EDQUOT (WEIR_STORE_USERS_MAX). */
int weir_store_user_add(struct weir_store *store, const struct weir_model_user *user, bool is_new_space,
			struct weir_store_error *error);

/* Remove a user. -ENOENT; -EBUSY: functions are still this user's, or keys open the namespace of that name: whoever
 * gets the name next must not have them. */
int weir_store_user_remove(struct weir_store *store, const char *name, struct weir_store_error *error);

/* One user: -ENOENT; -EBADMSG (the row is damaged). */
int weir_store_user_find(struct weir_store *store, const char *name, struct weir_model_user *out_user,
			 struct weir_store_error *error);

/* All of them; rows that do not pass the model's checks are left out and noted (WEIR_STORE_BAD_USERS). The result
 * starts zeroed and is released by the caller, after a failure too. */
int weir_store_users_load(struct weir_store *store, struct weir_store_users *out_users,
			  struct weir_store_error *error);

/* Free the list; it is zeroed. Made for WEIR_CLEANUP. */
void weir_store_users_release(struct weir_store_users *users);

#endif
