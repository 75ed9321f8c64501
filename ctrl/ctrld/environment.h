/* environment: variables and secrets on their way from weir.db to the workers of their namespaces.
 *
 *   publishing --> weir.db's variables, opened, and those of trials
 *              --> one sealed memfd per namespace whose content changed --> supervisor (ENVIRONMENT)
 *              --> then the snapshot, whose functions that have some say so
 *
 * Owns: what was sent last, with secrets, cleared when freed. Threads: ctrld's one. Peer death: the
 * supervisor keeps what it was sent in the keeper's store. */
#ifndef WEIR_CTRL_CTRLD_ENVIRONMENT_H
#define WEIR_CTRL_CTRLD_ENVIRONMENT_H

#include "ctrl/code/secret.h"
#include "ctrl/ctrld/trial.h"
#include "ctrl/store/store.h"

struct weir_environments;

/* `data`: the data directory. 0 or -ENOMEM. */
int weir_environments_create(const char *data, struct weir_environments **out_environments);
void weir_environments_destroy(struct weir_environments *environments);

/* Seal a secret's value: secret.h. 0, or why there is no key. */
int weir_environments_seal(struct weir_environments *environments, const char *label,
			   const void *value, size_t bytes, uint8_t *out);

/* Send what changed, and mark the catalog's functions that have variables; one whose secrets cannot be
 * opened has that as its problem. 0, or -errno with *error: then nothing may be published yet. */
int weir_environments_publish(struct weir_environments *environments, struct weir_store *store,
			      const struct weir_trials *trials, struct weir_store_catalog *catalog,
			      struct weir_store_error *error);

#endif
