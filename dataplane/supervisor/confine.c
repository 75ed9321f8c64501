#include "dataplane/supervisor/confine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/log.h"

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
