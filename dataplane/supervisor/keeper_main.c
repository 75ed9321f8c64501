#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"
#include "dataplane/supervisor/keeper.h"
#include "dataplane/supervisor/program.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum { EXIT_USAGE = 2 };

/* Make sure that 0, 1 and 2 are open, so that no socket of ours gets such a number. */
static int standard_fds_open(void)
{
	int fd = -1;

	do {
		fd = open("/dev/null", O_RDWR); /* 0, 1 and 2 are for our children too */
		if (fd == -1)
			return -errno;
	} while (fd <= STDERR_FILENO);
	weir_fd_close(&fd);
	return 0;
}

int main(int argc, char **argv)
{
	static struct weir_options options;
	char problem[WEIR_OPTIONS_PROBLEM_BYTES];
	WEIR_CLEANUP(weir_fd_close) int lock = -1;
	long holder = 0;
	int result = 0;

	if (standard_fds_open() != 0)
		return 1;
	if (weir_options_parse(argc, argv, &options, problem) != 0) {
		(void)fprintf(stderr, "error: %s\n", problem);
		return EXIT_USAGE;
	}
	if (options.help) {
		(void)fputs(weir_options_usage(), stdout);
		return 0;
	}
	if (options.version) {
		(void)puts("weir " WEIR_VERSION);
		return 0;
	}
	/* What our caller left open is not for the processes of the instance (Linux 5.11). */
	(void)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
	weir_log_open("keeper");
	if (weir_options_data_open(&options, problem) != 0) {
		(void)fprintf(stderr, "error: %s\n", problem);
		return 1;
	}
	result = weir_keeper_lock(options.data, &lock, &holder);
	if (result == -EWOULDBLOCK) {
		(void)fprintf(stderr,
			      "error: Weir already runs on %s (process %ld); stop it or choose another --data DIR\n",
			      options.data, holder);
		return 1;
	}
	if (result != 0) {
		(void)fprintf(stderr, "error: cannot lock %s/run/lock: %s\n", options.data, strerror(-result));
		return 1;
	}
	(void)weir_program_descriptors_raise();
	return weir_keeper_run(&options, argc, argv);
}
