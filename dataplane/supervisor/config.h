/* config: the newest snapshot: where it comes from (DATA/snapshot.weir at boot, ctrld later), what it
 * means here (pools and limits), and who must still get it. A bad one never replaces a good one. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_CONFIG_H
#define WEIR_DATAPLANE_SUPERVISOR_CONFIG_H

#include "dataplane/supervisor/supervisor.h"

/* Make the memfd `fd` the newest snapshot and rebuild the pools; takes `fd` over in every case.
 * 0, -EALREADY (not newer), -EPERM (it is open where calls must need a key: weir_options_auth_is_forced()), or why
 * it is refused (see weir_snapshot_attach). */
int weir_config_adopt(struct weir_supervisor *supervisor, int fd);

/* Load DATA/snapshot.weir into a sealed memfd and adopt it, so that routes are served before ctrld
 * is up. Logs what is wrong with it; a missing file is normal. */
void weir_config_load(struct weir_supervisor *supervisor);

/* Send the newest acknowledgement to ctrld, if one waits. */
void weir_config_ack_forward(struct weir_supervisor *supervisor);

/* Send the newest snapshot and the newest acknowledgement to whoever lacks them. */
void weir_config_spread(struct weir_supervisor *supervisor);

/* ENVIRONMENT of ctrld: keep it, and send it to the namespace's workers before the next snapshot. */
void weir_config_environment_adopt(struct weir_supervisor *supervisor,
				   const struct weir_control *control, struct weir_control_fds *fds);

/* An entry of the store: `fd` is the memfd of the namespace, which passes over. False: no room. */
bool weir_config_environment_restore(struct weir_supervisor *supervisor, const char *space, int fd);

#endif
