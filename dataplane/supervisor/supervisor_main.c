#include <signal.h>
#include <stdio.h>

#include "dataplane/base/log.h"
#include "dataplane/supervisor/supervisor.h"

int main(int argc, char **argv)
{
	static struct weir_options options;
	char problem[WEIR_OPTIONS_PROBLEM_BYTES];

	weir_log_open("supervisor");
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal; a peer's death is an error code */
	if (weir_options_parse(argc, argv, &options, problem) != 0 ||
	    weir_options_data_open(&options, problem) != 0) {
		(void)fprintf(stderr, "error: %s\n", problem);
		return WEIR_SUPERVISOR_EXIT_FATAL;
	}
	return weir_supervisor_run(&options);
}
