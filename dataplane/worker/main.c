/* weir-worker-<runtime>: a resident worker, started by the supervisor with its control socket as
 * descriptor 3. Everything that a call needs stays in this process: functions, threads, links. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/abi/control.h"
#include "dataplane/base/log.h"
#include "dataplane/sandbox/sandbox.h"
#include "dataplane/worker/attend.h"
#include "dataplane/worker/capture.h"
#include "dataplane/worker/crash.h"
#include "dataplane/worker/invoke.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/reveal.h"

static struct weir_invoke invoke;
static struct weir_host *host;

/* A function takes the process with it: what it printed tells why, and the answers of those before it
 * are whole, so let them go. */
static void rescue(void)
{
	const bool is_out_of_memory = weir_memory_is_used_up();

	weir_capture_rescue();
	if (host != NULL && is_out_of_memory)
		weir_port_out_of_memory(weir_host_port(host));
	if (host != NULL)
		weir_port_publish(weir_host_port(host));
}

/* The supervisor's end must be a SOCK_SEQPACKET socket that children do not inherit. */
static int control_check(void)
{
	int type = 0;
	socklen_t bytes = sizeof(type);
	int flags = 0;

	if (getsockopt(WEIR_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0)
		return -errno;
	if (type != SOCK_SEQPACKET)
		return -EINVAL;
	flags = fcntl(WEIR_CONTROL_FD, F_GETFL);
	if (flags == -1 || fcntl(WEIR_CONTROL_FD, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(WEIR_CONTROL_FD, F_SETFL, flags | O_NONBLOCK) != 0)
		return -errno;
	return 0;
}

static void signals_open(void)
{
	/* A terminal's Ctrl-C goes to the whole group: the supervisor decides when workers end. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	weir_crash_open(rescue, weir_runtime.trap);
}

static int fail(const char *what, int error)
{
	weir_log(WEIR_LOG_ERROR, what, "runtime=%s error=%s", weir_runtime.name,
		 strerror(-error));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct weir_sandbox_plan plan = {.layers = 0}; /* nobody says: none, as in tests of the worker alone */
	char reason[WEIR_RUNTIME_REASON_BYTES] = "";
	int result = 0;

	if (argc > 1 && weir_sandbox_plan_parse(argv[1], &plan) != 0) {
		(void)fprintf(
			stderr,
			"%s %s: runs functions of runtime '%s'; started by weir-supervisor\n",
			argv[0], WEIR_VERSION, weir_runtime.name);
		return strcmp(argv[1], "--version") == 0 ? EXIT_SUCCESS : 2;
	}
	weir_log_open("worker");
	result = control_check();
	if (result != 0)
		return fail("descriptor 3 is no control socket; workers are started by "
			    "weir-supervisor",
			    result);
	signals_open();
	result = weir_capture_open(weir_runtime.prints_by_stdio);
	if (result != 0)
		return fail("cannot take standard output and error over", result);
	result = weir_runtime.probe(reason);
	if (result == 0)
		result = weir_sandbox_enter(&plan, weir_runtime.sandbox, reason);
	if (result != 0)
		return fail(reason, result);
	if ((plan.layers & WEIR_SANDBOX_MOUNT) != 0)
		weir_reveal_open(WEIR_CONTROL_FD, weir_runtime.sandbox != NULL &&
						  (weir_runtime.sandbox->flags & WEIR_SANDBOX_DIRECTORY) != 0);
	result = weir_invoke_open(&invoke);
	if (result == 0)
		result = weir_host_create(&weir_invoke_hooks, &invoke, &host);
	if (result != 0)
		return fail("cannot start", result);
	result = weir_attend_run(WEIR_CONTROL_FD, host);
	if (result != 0)
		return fail("the control socket is unusable", result);
	/* Not exit(): other threads wait for ever and functions may have left exit handlers. */
	_exit(EXIT_SUCCESS);
}
