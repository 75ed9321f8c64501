/* native_sdk: what weir_function.h promises to a function, over the calls that a worker hands to a
 * runtime. A view of one call lives on its thread's stack while the function runs. */
#ifndef WEIR_DATAPLANE_RUNTIME_NATIVE_NATIVE_SDK_H
#define WEIR_DATAPLANE_RUNTIME_NATIVE_NATIVE_SDK_H

#include "dataplane/runtime/runtime.h"
#include "dataplane/sdk/weir_function.h"

typedef int weir_native_handler(const struct weir_request *request,
				struct weir_response *response);

/* Run `handler` on one call; returns what it returned. While it runs, and not while it waits, `environ`
 * is `variables`, so that functions of one process have variables of their own; what it sets itself with setenv() is
 * lost when it waits, since C's library moves the array when another function does that. */
int weir_native_sdk_run(weir_native_handler *handler, char **variables,
			struct weir_runtime_call *call);

#endif
