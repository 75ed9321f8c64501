/* variables: what the functions of this worker's namespace find in their environment (abi/environment.h).
 * Owns: a copy of the memfd, checked; whoever holds it frees it. Any thread. */
#ifndef WEIR_DATAPLANE_WORKER_VARIABLES_H
#define WEIR_DATAPLANE_WORKER_VARIABLES_H

#include <stdbool.h>

#include "dataplane/abi/environment.h"

struct weir_variables;

/* Copy and check the memfd. 0, -EBADMSG, -ENOMEM or -errno. */
int weir_variables_read(int fd, struct weir_variables **out_variables);

/* Overwrites what it frees. NULL is accepted. */
void weir_variables_free(struct weir_variables *variables);

/* The variables of that function in that version, ended by NULL; they point into `variables`, which
 * may be NULL. False: there is no such row. */
bool weir_variables_list(const struct weir_variables *variables, uint64_t id, uint64_t version,
			 const char *out_list[WEIR_ENVIRONMENT_VARIABLES_MAX + 1]);

#endif
