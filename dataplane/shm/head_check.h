/* head_check: what must hold of a head before anybody follows its slices. */
#ifndef WEIR_DATAPLANE_SHM_HEAD_CHECK_H
#define WEIR_DATAPLANE_SHM_HEAD_CHECK_H

#include <stddef.h>

#include "dataplane/abi/head.h"

/* `head` is a private copy (or memory that only a trusted peer writes) of `bytes` bytes.
 * 0, or -EBADMSG: sizes, counts, slices or status out of range. */
int weir_head_check_request(const void *head, size_t bytes);
int weir_head_check_response(const void *head, size_t bytes);

#endif
