/* log: one line an event on standard error:
 *   2026-01-02T03:04:05.678Z info gateway/0 listening address=127.0.0.1:8080 shards=2
 * The owner of an event logs it once; libraries do not log. Each line is one write(2), so lines
 * of several processes never mix. Any thread. */
#ifndef WEIR_DATAPLANE_BASE_LOG_H
#define WEIR_DATAPLANE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum weir_log_level { WEIR_LOG_DEBUG, WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR };

/* Name this process in its lines, such as "gateway" or "worker/7"; copied, at most 31 bytes.
 * Reads WEIR_LOG=debug|info|warn|error (default info). Call once, before threads. */
void weir_log_open(const char *part);

/* Lines go to `fd` from now on, the caller's; for a process whose standard error is not its own. Call
 * once, before threads. And where they go: for who must write a line by himself. */
void weir_log_fd_set(int fd);
int weir_log_fd(void);

/* True where `level` is written; lets callers skip costly arguments. */
bool weir_log_enabled(enum weir_log_level level);

/* Write one line: `event` is a short phrase without newline, `format` gives "key=value ..." text.
 * Control characters in the result are written as \xNN. Lines are cut at 2,000 bytes. */
void weir_log(enum weir_log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Where standard error is the regular file `path`, opened to append, and longer than `bytes_max`:
 * move what it holds to `path`.1, over the older one, and go on empty. Lines that others write in
 * between are lost, never mixed. One process of an instance calls this; blocks on disk.
 * 1 rotated, 0 nothing to do, or -errno (the log goes on as it was). */
int weir_log_rotate(const char *path, uint64_t bytes_max);

#endif
