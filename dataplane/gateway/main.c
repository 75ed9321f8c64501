/* weir-gateway: the front end. Started by the supervisor with its control socket as descriptor 3;
 * everything else comes through it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "dataplane/base/log.h"
#include "dataplane/base/rights.h"
#include "dataplane/gateway/gateway.h"

/* Kernels count a ring against it, summed over all processes of the user, unless its maker may lock
 * memory. Where it may not be raised and is too low, opening the ring says so. */
static void locked_memory_raise(void)
{
	const struct rlimit unlimited = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	struct rlimit limit;

	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

int main(void)
{
	const int flags = fcntl(WEIR_CONTROL_FD, F_GETFL);
	int result;

	weir_log_open("gateway");
	if (flags == -1 || fcntl(WEIR_CONTROL_FD, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(WEIR_CONTROL_FD, F_SETFD, FD_CLOEXEC) == -1) {
		(void)fprintf(stderr, "weir-gateway is started by weir-supervisor, not by hand: "
				      "run ./tools/quickstart or weir-keeper\n");
		return 2;
	}
	locked_memory_raise();
	result = weir_rights_drop(UINT32_C(1) << CAP_IPC_LOCK); /* until there are rings */
	if (result != 0) { /* serving with more rights than needed would be silent: say it and stop */
		weir_log(WEIR_LOG_ERROR, "cannot drop rights", "error=\"%s\"", strerror(-result));
		return 1;
	}
	return weir_gateway_run(WEIR_CONTROL_FD) == 0 ? 0 : 1;
}
