/* follow: what commands share that show what was, and then what comes: fn logs, call list and tail.
 * Private to ctrlctl. One thread; blocks. */
#ifndef WEIR_CTRL_CTRLCTL_FOLLOW_H
#define WEIR_CTRL_CTRLCTL_FOLLOW_H

#include "ctrl/ctrlctl/ctl.h"

/* The option --since ("90s", "5m", "2h", "7d"): the time that long ago, CLOCK_REALTIME. Not given: WEIR_CTL_OK,
 * and untouched. */
enum weir_ctl_exit weir_ctl_since_parse(const struct weir_ctl_call *call, uint64_t *out_ns);

/* "90s", "5m", "2h", "7d" -> seconds. False: it is none, or longer than ten years. */
bool weir_ctl_seconds_parse(const char *text, uint64_t *out_seconds);

/* An option that wants a number from 1 to `max`; likewise. */
enum weir_ctl_exit weir_ctl_count_parse(const struct weir_ctl_call *call, const char *option, unsigned max,
					unsigned *out_count);

/* Do `step` again and again, a moment apart, until it fails, somebody ends us, or nobody reads any more. Waits
 * while the control process is started again. */
typedef enum weir_ctl_exit weir_ctl_step(void *context);
enum weir_ctl_exit weir_ctl_follow(const struct weir_ctl_call *call, weir_ctl_step *step, void *context);

#endif
