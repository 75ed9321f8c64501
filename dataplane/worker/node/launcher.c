/* weir-worker-node: becomes Node, with the script that makes a worker of it. The supervisor's control
 * socket stays descriptor 3, and the plan of the sandbox the argument: this program enters what a process
 * with threads cannot, the addon the rest, since Node itself could not be started within. What functions see of the environment is what is named here: what the
 * supervisor's own may hold is nobody's business. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/abi/control.h"
#include "dataplane/base/log.h"
#include "dataplane/base/rights.h"
#include "dataplane/sandbox/sandbox.h"

#ifndef WEIR_NODE_PROGRAM
#define WEIR_NODE_PROGRAM "/usr/bin/node"
#endif

enum { ENVIRONMENT_MAX = 16 };

static const char *const passed_on[] = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "WEIR_LOG", NULL};

static int fail(const char *what, int error)
{
	weir_log(WEIR_LOG_ERROR, what, "runtime=node error=%s", strerror(error));
	return EXIT_FAILURE;
}

/* The script lies beside the addon, in lib/weir/node of what holds this program's folder. */
static int script_find(char out_path[PATH_MAX])
{
	static const char rest[] = "/../lib/weir/node/worker.js";
	char path[PATH_MAX];
	const ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - sizeof(rest));
	char *slash = NULL;

	if (bytes == -1)
		return -errno;
	path[bytes] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return -ENOENT;
	memcpy(slash, rest, sizeof(rest));
	return realpath(path, out_path) != NULL && access(out_path, R_OK) == 0 ? 0 : -errno;
}

/* The view holds the script's folder, and Node where it is not in /usr. */
static int sandbox_enter(struct weir_sandbox_plan *plan, const char *script, char *out_reason)
{
	char *const folder = strdup(script);
	const char *const paths[] = {folder, WEIR_NODE_PROGRAM, NULL};
	const struct weir_sandbox_profile profile = {.paths = paths};
	int result = -ENOMEM;

	if (folder != NULL) {
		*strrchr(folder, '/') = '\0';
		result = weir_sandbox_enter_outer(plan, &profile, out_reason);
	}
	free(folder);
	return result;
}

static int is_control_socket(void)
{
	int type = 0;
	socklen_t bytes = sizeof(type);

	return getsockopt(WEIR_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_SEQPACKET;
}

static void environment_make(char **out_environment)
{
	size_t count = 0;

	for (size_t i = 0; passed_on[i] != NULL && count < ENVIRONMENT_MAX - 1; i++) {
		const char *const value = getenv(passed_on[i]);
		char *text = NULL;

		if (value != NULL && asprintf(&text, "%s=%s", passed_on[i], value) != -1)
			out_environment[count++] = text;
	}
	out_environment[count] = NULL;
}

int main(int argc, char **argv)
{
	static char node[] = "weir-worker-node";
	static char *environment[ENVIRONMENT_MAX];
	struct weir_sandbox_plan plan = {.layers = 0};
	char script[PATH_MAX];
	char plan_text[WEIR_SANDBOX_PLAN_BYTES];
	char reason[WEIR_SANDBOX_REASON_BYTES];
	char *const arguments[] = {node, script, plan_text, NULL};
	int result = 0;

	if (argc > 1 && weir_sandbox_plan_parse(argv[1], &plan) != 0) {
		(void)fprintf(stderr, "%s %s: runs functions of runtime 'node'; started by weir-supervisor\n",
			      argv[0], WEIR_VERSION);
		return strcmp(argv[1], "--version") == 0 ? EXIT_SUCCESS : 2;
	}
	weir_log_open("worker");
	if (!is_control_socket())
		return fail("descriptor 3 is no control socket; workers are started by weir-supervisor", EINVAL);
	result = script_find(script);
	if (result != 0)
		return fail("lib/weir/node/worker.js is not beside the programs", -result);
	result = sandbox_enter(&plan, script, reason);
	if (result != 0)
		return fail(reason, -result);
	weir_sandbox_plan_format(&plan, plan_text);
	result = weir_rights_drop(0);
	if (result != 0)
		return fail("cannot give up rights", -result);
	environment_make(environment);
	(void)execve(WEIR_NODE_PROGRAM, arguments, environment);
	return fail("cannot start " WEIR_NODE_PROGRAM, errno);
}
