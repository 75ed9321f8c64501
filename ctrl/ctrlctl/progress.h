/* progress: what a person at a terminal sees while a deployment or a backup takes its time. On standard error, and
 * only where that is a terminal that is not dumb; without one nothing is ever printed.
 * Private to ctrlctl. One thread; one thing at a time. */
#ifndef WEIR_CTRL_CTRLCTL_PROGRESS_H
#define WEIR_CTRL_CTRLCTL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Shall anything be shown? Not with -o json. Call it before the others. */
void weir_ctl_progress_open(bool json);

/* So many bytes of all are sent: a bar with rate and time left, at most 20 a second. What is sent in
 * less than a moment shows none. At the end of it its line becomes "uploaded 12.3 MiB in 0.4 s". */
void weir_ctl_progress_upload(size_t sent, size_t bytes);

/* The same for what comes: "received 12.3 MiB in 0.4 s". */
void weir_ctl_progress_download(size_t received, size_t bytes);

/* "building and trying it ...": a line that the next output or weir_ctl_progress_clear() replaces. */
void weir_ctl_progress_say(const char *text);
void weir_ctl_progress_clear(void);

#endif
