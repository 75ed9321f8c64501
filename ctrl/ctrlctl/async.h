/* async: what `fn invoke --async` sends in place of a call that is waited for. Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_ASYNC_H
#define WEIR_CTRL_CTRLCTL_ASYNC_H

#include "ctrl/ctrlctl/client.h"

/* The target of an asynchronous call. WEIR_CTL_OK, or the exit code with all said; likewise the others. */
enum weir_ctl_exit weir_ctl_async_target(const struct weir_ctl_call *call, const char *space, const char *name,
					 char *target, size_t max);

/* What the options --priority, --delay, --retries and --key say, behind the fields that there are. */
enum weir_ctl_exit weir_ctl_async_fields(const struct weir_ctl_call *call, char *fields, size_t max);

/* Send it, print its id. */
enum weir_ctl_exit weir_ctl_async_end(const struct weir_ctl_call *call, const struct weir_ctl_request *request);

#endif
