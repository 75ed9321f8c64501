/* builder: functions whose code must be built before it runs: `c` and `wasm`. Each build is done once
 * per code and builder, by the supervisor, in the background; its result lies in the code store.
 *
 *   publishing --settle--> built? the function gets the artifact's path
 *                          else   the function has a problem ("is being built"), and there is a job
 *   job: WAITING --BUILD--> RUNNING --BUILD_DONE--> BUILT, or FAILED with what the compiler said
 *                                                   '--> publish again
 *
 * A change of the function (version) looks at its file again, and tries again what failed.
 * Owns: jobs and what is known of functions. Threads: ctrld's one; reads files, waits for nobody.
 * Peer death: a supervisor that died leaves the job to its time limit. */
#ifndef WEIR_CTRL_CTRLD_BUILDER_H
#define WEIR_CTRL_CTRLD_BUILDER_H

#include "ctrl/code/code.h"
#include "ctrl/model/model.h"
#include "dataplane/shm/control.h"

enum {
	WEIR_BUILDER_RUNNING_MAX = 2,
	WEIR_BUILDER_JOBS_MAX = 1024,
	WEIR_BUILDER_LOG_BYTES_MAX = 16384,
};

enum weir_builder_state {
	WEIR_BUILDER_WAITING,
	WEIR_BUILDER_RUNNING,
	WEIR_BUILDER_BUILT,
	WEIR_BUILDER_FAILED,
};

struct weir_builder;

/* What a build came to, for a deployment. */
struct weir_builder_result {
	enum weir_builder_state state;
	char path[WEIR_CODE_PATH_BYTES_MAX]; /* BUILT: the artifact */
	char *log;                           /* FAILED: what was said; the caller frees it */
};

/* `send` passes a BUILD on to the supervisor: 0, -EAGAIN (later) or -errno. */
typedef int weir_builder_send(void *context, const struct weir_control *control, const int *fds,
			      size_t fd_count);

/* 0 or -ENOMEM. `code` stays the caller's. */
int weir_builder_create(struct weir_code *code, weir_builder_send *send, void *context,
			struct weir_builder **out_builder);
void weir_builder_destroy(struct weir_builder *builder);

/* How long a build may take, from now on. */
void weir_builder_time_set(struct weir_builder *builder, uint32_t time_ms);

/* Is code of this runtime built before it runs? */
bool weir_builder_is_for(const char *runtime);

/* All functions are about to be settled: those that are not are gone. */
void weir_builder_settle_begin(struct weir_builder *builder);

/* The function as it runs now (a shared object runs as it is): its code_path becomes the artifact's, or its problem is set and a build
 * is on its way. Functions of other runtimes stay as they are. */
void weir_builder_settle(struct weir_builder *builder, struct weir_model_function *function);

/* Let the code at `path` be built: begins where it has not. With `again` what failed is tried anew. 0
 * or -errno (the file cannot be read, no memory). */
int weir_builder_ask(struct weir_builder *builder, const char *runtime, const char *path, bool again,
		     struct weir_builder_result *out_result);

/* BUILD_DONE came. */
void weir_builder_done(struct weir_builder *builder, const struct weir_control *control);

/* Begin what waits, give up what is overdue. True: something ended that a function waits for. */
bool weir_builder_run(struct weir_builder *builder, uint64_t now_ns);

/* When weir_builder_run() has something to do without an event; UINT64_MAX: never. */
uint64_t weir_builder_due_ns(const struct weir_builder *builder);

/* Is this the artifact of a function that is published, or of a job? */
bool weir_builder_uses(const struct weir_builder *builder, const char *hash);

#endif
