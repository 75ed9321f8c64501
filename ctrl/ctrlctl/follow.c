#include "ctrl/ctrlctl/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum {
	FOLLOW_MS = 250,          /* between two looks */
	FOLLOW_PATIENCE_S = 30,   /* while the control process does not answer */
	SINCE_S_MAX = 3660 * 86400,
};

bool weir_ctl_seconds_parse(const char *text, uint64_t *out_seconds)
{
	static const char units[] = "smhd";
	static const uint64_t seconds[] = {1, 60, 3600, 86400};
	char *end = NULL;
	const unsigned long long number = strtoull(text, &end, 10);
	const char *const unit = *end != '\0' ? strchr(units, *end) : NULL;

	if (text[0] < '0' || text[0] > '9' || unit == NULL || end[1] != '\0' || number > SINCE_S_MAX)
		return false;
	*out_seconds = number * seconds[unit - units];
	return true;
}

/* The time that long ago. */
static bool since_parse(const char *text, uint64_t *out_ns)
{
	const uint64_t now_ns = weir_clock_wall_ns();
	uint64_t ago_s = 0;

	if (!weir_ctl_seconds_parse(text, &ago_s))
		return false;
	*out_ns = ago_s < now_ns / WEIR_NS_PER_SECOND ? now_ns - ago_s * WEIR_NS_PER_SECOND : 1;
	return true;
}

enum weir_ctl_exit weir_ctl_since_parse(const struct weir_ctl_call *call, uint64_t *out_ns)
{
	const char *const since = weir_ctl_option(call, "--since");

	if (since == NULL || since_parse(since, out_ns))
		return WEIR_CTL_OK;
	return weir_ctl_fail(WEIR_CTL_INVALID, "--since 5m", "--since wants a duration (90s, 5m, 2h, 7d), not '%s'",
			     since);
}

enum weir_ctl_exit weir_ctl_count_parse(const struct weir_ctl_call *call, const char *option, unsigned max,
					unsigned *out_count)
{
	const char *const text = weir_ctl_option(call, option);
	char *end = NULL;
	unsigned long count = 0;

	if (text == NULL)
		return WEIR_CTL_OK;
	count = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || count < 1 || count > max)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s wants a number from 1 to %u, not '%s'", option, max,
				     text);
	*out_count = (unsigned)count;
	return WEIR_CTL_OK;
}

/* Does the control process answer? Waits while it is started again. */
static bool api_wait(const struct weir_ctl_call *call)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_MS * (long)WEIR_NS_PER_MS};
	const uint64_t give_up_ns =
		weir_clock_now_ns() + FOLLOW_PATIENCE_S * WEIR_NS_PER_SECOND;
	int fd = -1;

	while (weir_ctl_connect(call, "api.sock", SOCK_STREAM, true, &fd) != WEIR_CTL_OK) {
		if (weir_clock_now_ns() >= give_up_ns)
			return false;
		(void)nanosleep(&pause, NULL); /* interrupted: it looks earlier */
	}
	weir_fd_close(&fd);
	return true;
}

enum weir_ctl_exit weir_ctl_follow(const struct weir_ctl_call *call, weir_ctl_step *step, void *context)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_MS * (long)WEIR_NS_PER_MS};
	enum weir_ctl_exit code = WEIR_CTL_OK;

	while (code == WEIR_CTL_OK && weir_ctl_print_flush()) {
		(void)nanosleep(&pause, NULL);
		if (!api_wait(call))
			return weir_ctl_fail(WEIR_CTL_UNREACHABLE, "is the instance still running?",
					     "nobody answers at %s/run/api.sock", call->data);
		code = step(context);
	}
	return code;
}
