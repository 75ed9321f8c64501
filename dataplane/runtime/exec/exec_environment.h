/* exec_environment: the environment of a program, small and the same everywhere:
 *   PATH  LANG=C.UTF-8
 *   WEIR_FUNCTION       namespace/name
 *   WEIR_ACTIVATION_ID  32 hex digits, as in x-openwhisk-activation-id
 *   WEIR_PARENT_ID      the activation of the function that called this one; empty if a client did
 *   WEIR_METHOD  WEIR_PATH (decoded)  WEIR_QUERY (as sent)  WEIR_PATTERN  WEIR_HOST  WEIR_PEER
 *   WEIR_CONTENT_TYPE   of the request, empty if it has none
 *   WEIR_DEADLINE_MS    milliseconds left
 *   WEIR_CALL_FD        where it calls other functions (exec_nested.h); only of programs
 *   WEIR_PARAM_<name>   for each parameter of the pattern whose name is of letters, digits and _ */
#ifndef WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_ENVIRONMENT_H
#define WEIR_DATAPLANE_RUNTIME_EXEC_EXEC_ENVIRONMENT_H

#include "dataplane/runtime/runtime.h"

#define WEIR_EXEC_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	WEIR_EXEC_VARIABLES_OWN_MAX = 128, /* of the function */
	WEIR_EXEC_VARIABLES_MAX = 14 + WEIR_HEAD_PARAMS_MAX + WEIR_EXEC_VARIABLES_OWN_MAX,
};

struct weir_exec_environment {
	char *variable[WEIR_EXEC_VARIABLES_MAX + 1]; /* ends with NULL */
	size_t count;
	char *text; /* what they point into */
	size_t text_bytes;
	bool is_cut;
};

/* Once, at the start of a process whose programs may call other functions: PATH has the folder of the
 * program at `path`, too, and there is WEIR_CALL_FD. */
void weir_exec_environment_path_set(const char *path);

/* Build it for one call of `function` ("namespace/name") with its own variables `own` ("K=V", ended by
 * NULL, which stay theirs), of which ours go before; close it whatever this returns. 0, -ENOMEM
 * or -E2BIG (the head's slices overlap). */
int weir_exec_environment_open(struct weir_exec_environment *environment, const char *function,
			       char *const *own, const struct weir_runtime_call *call);
void weir_exec_environment_close(struct weir_exec_environment *environment);

#endif
