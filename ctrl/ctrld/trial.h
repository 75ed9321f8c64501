/* trial: a new version is tried before it serves: one worker of its own loads it, and answers one call.
 *
 *   begin -> published as a function of its own, NAME "trial@<random>", with its own pool
 *         -> every shard has it -> one request through run/http.sock: the gateway starts a worker
 *              default   x-weir-load: the worker loads the function and says 204 without calling it
 *              --health  GET of that path: anything below 500 is health
 *         -> PASSED, or FAILED with what was answered -> taken out of the snapshot
 *
 * So what a new version does while it is loaded or tried happens in a process that serves nobody.
 * Owns: trials and their connections. Threads: ctrld's one; waits for nobody. Peer death: a trial that
 * nobody asks for any more, or that takes too long, ends. */
#ifndef WEIR_CTRL_CTRLD_TRIAL_H
#define WEIR_CTRL_CTRLD_TRIAL_H

#include "ctrl/model/model.h"

enum {
	WEIR_TRIALS_MAX = 8,
	WEIR_TRIAL_REASON_BYTES = 1024,
	WEIR_TRIAL_PATH_BYTES = 1024,
	WEIR_TRIAL_ANSWER_BYTES_MAX = 65536,
};

struct weir_trials;

/* What a deployment brings: variables to set, "K=V", and to unset, "K", beside those of the function. */
struct weir_trial_variables {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* of the function, in the trial's namespace */
	char **text;
	size_t count;
};

/* `data`: the data directory. 0 or -ENOMEM. */
int weir_trials_create(const char *data, struct weir_trials **out_trials);
void weir_trials_destroy(struct weir_trials *trials);

/* Begin one of `function`, whose version is new; `path` is asked for, "" = it is only loaded. The
 * `variables` (of `count` texts) are copied. 0 and *out_id; -EBUSY (WEIR_TRIALS_MAX), or -errno. Then
 * publish. */
int weir_trial_begin(struct weir_trials *trials, const struct weir_model_function *function,
		     const char *path, const struct weir_trial_variables *variables, uint64_t *out_id);

/* How it went: 0 = passed, -EINPROGRESS, -EINVAL = failed, with the reason; -ENOENT. One that ended is
 * forgotten. Asking keeps it alive. */
int weir_trial_ask(struct weir_trials *trials, uint64_t id,
		   char out_reason[WEIR_TRIAL_REASON_BYTES]);

/* The i-th function to publish beside the others, or NULL behind the last. */
const struct weir_model_function *weir_trial_function(const struct weir_trials *trials, size_t i);

/* Its variables. */
const struct weir_trial_variables *weir_trial_variables(const struct weir_trials *trials, size_t i);

/* The generation that brings what was begun up to now. */
void weir_trials_published(struct weir_trials *trials, uint64_t generation);

/* All shards have this generation: those that it brought may be asked. */
void weir_trials_acknowledged(struct weir_trials *trials, uint64_t generation);

/* Go on with all. True: what is to be published changed. */
bool weir_trials_run(struct weir_trials *trials, uint64_t now_ns);

/* When to run them again; UINT64_MAX: never. */
uint64_t weir_trials_due_ns(const struct weir_trials *trials);

#endif
