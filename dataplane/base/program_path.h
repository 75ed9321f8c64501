/* program_path: where the programs of this build or installation lie. Any thread. */
#ifndef WEIR_DATAPLANE_BASE_PROGRAM_PATH_H
#define WEIR_DATAPLANE_BASE_PROGRAM_PATH_H

#include <limits.h>

/* Path of `name` beside this process's own executable, or in the directory that the environment
 * variable WEIR_LIBEXEC names. 0, or -ENOENT (not there or not executable), -ENAMETOOLONG, -errno. */
int weir_program_path_find(const char *name, char out_path[PATH_MAX]);

#endif
