/* cleanup: release at end of scope. `WEIR_CLEANUP(weir_fd_close) int fd = -1;`
 * The named function takes a pointer to the variable and accepts its empty value. */
#ifndef WEIR_DATAPLANE_BASE_CLEANUP_H
#define WEIR_DATAPLANE_BASE_CLEANUP_H

#include <stdlib.h>

#define WEIR_CLEANUP(function) __attribute__((cleanup(function)))

/* For `WEIR_CLEANUP(weir_free) char *text = NULL;` (and any other malloc'd pointer). */
static inline void weir_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

#endif
