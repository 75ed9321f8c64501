#include "dataplane/base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* With the newline; below PIPE_BUF, so that a pipe keeps lines whole too. */
#define LINE_BYTES_MAX 2000
#define PART_BYTES_MAX 31

static const char *const level_names[] = {"debug", "info", "warn", "error"};
#define LEVEL_COUNT (sizeof(level_names) / sizeof(level_names[0]))
static char part_name[PART_BYTES_MAX + 1] = "weir";
static int line_fd = STDERR_FILENO;
static enum weir_log_level level_min = WEIR_LOG_INFO;

void weir_log_open(const char *part)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before threads */
	const char *wanted = getenv("WEIR_LOG");

	(void)snprintf(part_name, sizeof(part_name), "%s", part); /* a longer name is cut */
	level_min = WEIR_LOG_INFO;
	for (size_t i = 0; wanted != NULL && i < LEVEL_COUNT; i++) {
		if (strcmp(wanted, level_names[i]) == 0)
			level_min = (enum weir_log_level)i;
	}
}

void weir_log_fd_set(int fd)
{
	line_fd = fd;
}

int weir_log_fd(void)
{
	return line_fd;
}

bool weir_log_enabled(enum weir_log_level level)
{
	return level >= level_min;
}

/* Copy `text` with control characters and DEL as \xNN; returns the bytes written, at most `max`. */
static size_t text_escape(const char *text, char *out, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	for (; *text != '\0'; text++) {
		const unsigned char byte = (unsigned char)*text;

		if (byte >= 0x20 && byte != 0x7f) {
			if (used + 1 > max)
				break;
			out[used++] = (char)byte;
			continue;
		}
		if (used + 4 > max)
			break;
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[byte >> 4];
		out[used++] = digits[byte & 15];
	}
	return used;
}

/* "2026-01-02T03:04:05.678Z info part event " into `line`; returns its bytes. */
static size_t head_write(char *line, size_t max, enum weir_log_level level, const char *event)
{
	struct timespec now = {0};
	struct tm utc = {0};
	int bytes = 0;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	(void)gmtime_r(&now.tv_sec, &utc);         /* fails only past the year 2^31 */
	bytes = snprintf(line, max, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s %s",
			 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
			 utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000, level_names[level],
			 part_name, event);
	if (bytes < 0)
		return 0;
	return (size_t)bytes < max ? (size_t)bytes : max - 1;
}

void weir_log(enum weir_log_level level, const char *event, const char *format, ...)
{
	char details[LINE_BYTES_MAX];
	char line[LINE_BYTES_MAX];
	size_t used = 0;
	va_list arguments;

	if (!weir_log_enabled(level))
		return;
	va_start(arguments, format);
	if (vsnprintf(details, sizeof(details), format, arguments) < 0)
		details[0] = '\0';
	va_end(arguments);

	/* Leaves room for a space and a newline. */
	used = head_write(line, sizeof(line) - 2, level, event);
	if (details[0] != '\0') {
		line[used++] = ' ';
		used += text_escape(details, line + used, sizeof(line) - 1 - used);
	}
	line[used++] = '\n';
	(void)!write(line_fd, line, used); /* nowhere else to say that the log is gone */
}
