#include "dataplane/supervisor/confine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dataplane/base/log.h"
#include "dataplane/sandbox/reveal.h"

int weir_confine_open(struct weir_supervisor *supervisor, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	char *const lacks = supervisor->sandbox_lacks;
	int result = 0;

	supervisor->sandbox.layers = 0;
	lacks[0] = '\0';
	if (supervisor->options.sandbox == WEIR_OPTIONS_SANDBOX_OFF)
		return 0;
	result = weir_sandbox_probe(&supervisor->sandbox, lacks, sizeof(supervisor->sandbox_lacks));
	if (result != 0)
		(void)snprintf(lacks, sizeof(supervisor->sandbox_lacks), "the sandbox: it could not be tried (%s)\n",
			       strerror(-result));
	if (supervisor->options.sandbox != WEIR_OPTIONS_SANDBOX_REQUIRED || lacks[0] == '\0')
		return 0;
	(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "--sandbox required, but this machine lacks %.400s",
		       lacks);
	problem[strcspn(problem, "\n")] = '\0';
	return -EPERM;
}

void weir_confine_plan(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
		       struct weir_sandbox_plan *out_plan)
{
	*out_plan = supervisor->sandbox;
	if ((out_plan->layers & WEIR_SANDBOX_OWNER) != 0)
		out_plan->uid = WEIR_SANDBOX_UID_FIRST + (uint32_t)(worker->process.id % WEIR_SANDBOX_UIDS);
	if ((out_plan->layers & WEIR_SANDBOX_OWNER) != 0)
		out_plan->gid = out_plan->uid;
}

/* A worker that asks for more than its runtime can need gets its file alone. */
static bool may_see_directory(uint32_t runtime)
{
	return runtime != WEIR_RUNTIME_NATIVE && runtime != WEIR_RUNTIME_WASM;
}

/* A program of the machine's lies in /usr, which is in every view; somebody's own comes with what is
 * around it: of /opt/x/bin/y, /opt/x. */
static int interpreter_reveal(const struct weir_sandbox_plan *plan, const struct weir_worker *worker,
			      struct weir_span interpreter)
{
	char path[PATH_MAX];
	char *bin = NULL;

	if (interpreter.bytes == 0 || interpreter.data[0] != '/' || interpreter.bytes >= sizeof(path) ||
	    strncmp(interpreter.data, "/usr/", 5) == 0 || strncmp(interpreter.data, "/bin/", 5) == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%.*s", (int)interpreter.bytes, interpreter.data);
	bin = strrchr(path, '/');
	if (bin - path > 4 && strncmp(bin - 4, "/bin", 4) == 0)
		bin[-4] = '\0', bin = path; /* "/opt/x": its directory is shown as a whole */
	return weir_sandbox_reveal(plan, worker->process.pidfd, path, WEIR_SANDBOX_REVEAL_DIRECTORY);
}

/* Of functions, only the one that keeps asynchronous calls writes to where its code would be. */
static enum weir_sandbox_reveal reveal_how(const struct weir_worker *worker, const struct weir_snapshot_function *row,
					   const char *path, bool directory)
{
	struct stat status;

	if (row->runtime == WEIR_RUNTIME_QUEUE && (row->flags & WEIR_SNAPSHOT_FUNCTION_SYSTEM) != 0 &&
	    stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return WEIR_SANDBOX_REVEAL_KEPT;
	return directory && may_see_directory(worker->runtime) ? WEIR_SANDBOX_REVEAL_DIRECTORY : WEIR_SANDBOX_REVEAL_FILE;
}

static int function_reveal(const struct weir_supervisor *supervisor, const struct weir_worker *worker,
			   uint64_t function_id, bool directory)
{
	const struct weir_snapshot *const snapshot = &supervisor->snapshot;
	const struct weir_snapshot_function *const row =
		snapshot->header == NULL ? NULL : weir_snapshot_function_find(snapshot, function_id);
	struct weir_sandbox_plan plan;
	const char *path = NULL;
	int result = 0;

	if (row == NULL || weir_snapshot_spec_find(snapshot, row, worker->pool_key) == NULL)
		return -ESRCH;
	weir_confine_plan(supervisor, worker, &plan);
	result = interpreter_reveal(&plan, worker, weir_snapshot_span(snapshot, row->interpreter));
	if (result != 0)
		return result;
	path = weir_snapshot_span(snapshot, row->code_path).data;
	return weir_sandbox_reveal(&plan, worker->process.pidfd, path, reveal_how(worker, row, path, directory));
}

void weir_confine_reveal(struct weir_supervisor *supervisor, const struct weir_worker *worker,
			 uint64_t function_id, bool directory)
{
	struct weir_control control = {.kind = WEIR_CONTROL_REVEALED};

	control.reveal.function_id = function_id;
	control.reveal.error = function_reveal(supervisor, worker, function_id, directory);
	/* A worker whose socket is full asks again. */
	(void)weir_supervisor_send(supervisor, &worker->process, &control, NULL, 0);
}

void weir_confine_say(const struct weir_supervisor *supervisor, struct weir_board *board)
{
	const uint32_t layers = supervisor->sandbox.layers;
	size_t used = 0;

	if (supervisor->options.sandbox == WEIR_OPTIONS_SANDBOX_OFF)
		(void)snprintf(board->sandbox, sizeof(board->sandbox), "off (--sandbox off)");
	else if (layers == 0)
		(void)snprintf(board->sandbox, sizeof(board->sandbox), "none of its layers is possible here");
	for (uint32_t i = 0; layers != 0 && weir_sandbox_layer_name(i) != NULL; i++) {
		if ((layers & (UINT32_C(1) << i)) == 0)
			continue;
		(void)snprintf(board->sandbox + used, sizeof(board->sandbox) - used, "%s%s",
			       used == 0 ? "" : ", ", weir_sandbox_layer_name(i));
		used = strlen(board->sandbox);
	}
	weir_log(supervisor->options.sandbox == WEIR_OPTIONS_SANDBOX_OFF ? WEIR_LOG_WARN : WEIR_LOG_INFO,
		 "sandbox of workers", "layers=\"%s\"", board->sandbox);
}
