/* store_alias: which function's code an image stands for, as weir.db keeps it. Neither the image nor the
 * function need be in use: functions come and go, and an alias that leads to none is said where it matters
 * (publish_image.h). When an alias changes, functions with that image get a new version, so that workers load
 * their other code. Threads: the store's. Errors: store.h. */
#ifndef WEIR_CTRL_STORE_STORE_ALIAS_H
#define WEIR_CTRL_STORE_STORE_ALIAS_H

#include "ctrl/store/store.h"

enum { WEIR_STORE_ALIASES_MAX = 4096 };

struct weir_store_aliases {
	struct weir_model_alias *alias; /* by image */
	size_t count;
};

/* Set what an image stands for, in place of what was set for it. -EINVAL (a field), -EDQUOT
 * (WEIR_STORE_ALIASES_MAX). Remove: -ENOENT. */
int weir_store_alias_set(struct weir_store *store, const struct weir_model_alias *alias,
			 struct weir_store_error *error);
int weir_store_alias_remove(struct weir_store *store, const char *image, struct weir_store_error *error);

/* What one image stands for: -ENOENT, with what to do in the sentence; -EBADMSG (the row is damaged). */
int weir_store_alias_find(struct weir_store *store, const char *image, struct weir_model_alias *out_alias,
			  struct weir_store_error *error);

/* All of them; rows that do not pass the model's checks are left out and noted (WEIR_STORE_BAD_ALIASES). The
 * result starts zeroed and is released by the caller. */
int weir_store_aliases_load(struct weir_store *store, struct weir_store_aliases *out_aliases,
			    struct weir_store_error *error);

/* Free the list; it is zeroed. Made for WEIR_CLEANUP. */
void weir_store_aliases_release(struct weir_store_aliases *aliases);

#endif
