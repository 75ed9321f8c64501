/* publish: the model -> one sealed snapshot memfd (abi/snapshot.h).
 * A pool is one (namespace, runtime, spec), or one function's of one spec where the runtime wants that; functions
 * that name no spec share the pool without one. It has the largest minimum and maximum of its functions.
 * Every function also gets local routes (Unix socket only),
 * host "function.weir", patterns /NAMESPACE/NAME and /NAMESPACE/NAME/ *, any method: this is how
 * `ctrlctl fn invoke` and later dialects reach a function by name.
 * Route conflicts: of a route of Weir's own and a row of the public table with the same host,
 * method and pattern, the row is shadowed (left out and reported); so is the later (by id) of two of
 * the same origin. Patterns are the same if they differ in parameters' names only. Of two functions
 * with one name, Weir's own gets the local routes, then the one with the lower id. A runtime that is
 * not here makes a function MISSING, with a reason, and so does a problem of the function; a code file that is not there is the worker's to
 * tell. Control side; may block. */
#ifndef WEIR_CTRL_PUBLISH_PUBLISH_H
#define WEIR_CTRL_PUBLISH_PUBLISH_H

#include "ctrl/model/model_user.h"
#include "ctrl/publish/publish_list.h"
#include "dataplane/shm/snapshot.h"

enum { WEIR_PUBLISH_POOL_NAME_BYTES = 2 * (WEIR_MODEL_NAME_BYTES_MAX + 1) + 40 }; /* the NUL included */

enum { WEIR_PUBLISH_WORKERS_UNSET = UINT32_MAX }; /* as many as its functions or the input's bounds say */

/* How one pool chooses workers, and how many it has. */
struct weir_publish_pool {
	char name[WEIR_PUBLISH_POOL_NAME_BYTES]; /* weir_publish_pool_name(), or "*": all that are not named */
	uint32_t policy;                         /* enum weir_policy_number */
	struct weir_weights weights;
	bool one_task;
	struct weir_autoscale_rule scale;
	uint32_t workers_min; /* or WEIR_PUBLISH_WORKERS_UNSET: then what is set moves the other bound */
	uint32_t workers_max;
};

#define WEIR_PUBLISH_POOL_DEFAULT                                                                 \
	((struct weir_publish_pool){.policy = WEIR_POLICY_SCORE,                                  \
				    .weights = WEIR_WEIGHTS_DEFAULT,                              \
				    .scale = WEIR_AUTOSCALE_RULE_DEFAULT,                         \
				    .workers_min = WEIR_PUBLISH_WORKERS_UNSET,                    \
				    .workers_max = WEIR_PUBLISH_WORKERS_UNSET})

struct weir_publish_input {
	uint64_t generation;
	struct weir_settings settings;
	uint32_t pool_workers_min;
	uint32_t pool_workers_max;
	uint32_t runtimes_missing; /* bit 1 << enum weir_runtime_kind: not on this machine */
	const struct weir_publish_pool *pools; /* sorted by name; pools that are not there have defaults */
	size_t pool_count;
	const struct weir_model_function *functions; /* checked records */
	size_t function_count;
	const struct weir_model_key *keys; /* checked records */
	size_t key_count;
	const struct weir_model_route *routes; /* of weir_publish_build() only */
	size_t route_count;
	bool *out_shadowed; /* route_count flags, or NULL: the route lost a method at least */
};

/* The defaults of CONVENTIONS.md for settings that nobody set. */
struct weir_settings weir_publish_settings_default(void);

/* What holds for the pool of that name, of pools sorted by name: what is set for it, else for its name without
 * a spec, else for "*", else the defaults. Numbers of workers are not taken over by a pool with a spec: its
 * functions name them. _inherited: as if nothing was set for the name itself. The result has any name. */
struct weir_publish_pool weir_publish_pool_settings(const struct weir_publish_pool *pools, size_t count,
						    const char *name);
struct weir_publish_pool weir_publish_pool_inherited(const struct weir_publish_pool *pools, size_t count,
						     const char *name);

/* "NAMESPACE/RUNTIME", or "NAMESPACE/RUNTIME/FUNCTION" where `function` is not empty; of a pool with a spec
 * ":CPUxMEMORY" behind it (millicores, MB); memory_mb 0 = it has none. Returns out. */
const char *weir_publish_pool_name(struct weir_span space, uint32_t runtime, struct weir_span function,
				   uint32_t cpu_millicores, uint32_t memory_mb,
				   char out[WEIR_PUBLISH_POOL_NAME_BYTES]);

/* Build, seal (write, shrink, grow, seal) and self-check a snapshot. Equal input gives equal tables,
 * whatever its order; the hash seed, and with it the order of edges, is random. 0 and *out_fd,
 * -ENOENT (a route names a function that is not in the input), -EEXIST (two functions with one id),
 * -EINVAL (generation 0, pool minimum over maximum, or a record that the model refuses), -E2BIG (a
 * table outgrows 32-bit indices), -ENOMEM, -errno. */
int weir_publish_build(const struct weir_publish_input *input, int *out_fd);

/* The same with the routes of a list, which is settled and whose `shadowed` flags are written; the
 * input's routes are not looked at. Also gives the checked snapshot: the caller detaches it. */
int weir_publish_build_list(const struct weir_publish_input *input,
			    struct weir_publish_list *list, int *out_fd,
			    struct weir_snapshot *out_snapshot);

/* Write a snapshot to `path` by way of a temporary file and rename, mode 0600; and read one back
 * into a fresh sealed memfd after the full check. One writer per path: the temporary file is
 * `path`.new. 0 or -errno, -EBADMSG (damaged), -EPROTO (other ABI), -ENAMETOOLONG. */
int weir_publish_save(int snapshot_fd, const char *path);
int weir_publish_load(const char *path, int *out_fd);

#endif
