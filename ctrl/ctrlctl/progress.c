#include "ctrl/ctrlctl/progress.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

enum {
	BAR_CELLS = 24,
	BAR_COLUMNS = 72, /* that the whole line needs */
	MOMENT_MS = 200,
	REDRAW_MS = 50,
};

static struct {
	bool is_shown;
	bool has_line; /* that is to be replaced */
	bool is_narrow;
	uint64_t began_ns; /* of the upload; 0 = none */
	uint64_t drawn_ns;
} progress;

void weir_ctl_progress_open(bool json)
{
	const char *terminal = getenv("TERM");
	struct winsize size = {.ws_col = 80};

	memset(&progress, 0, sizeof(progress));
	progress.is_shown = !json && isatty(STDERR_FILENO) == 1 && terminal != NULL &&
			    strcmp(terminal, "dumb") != 0;
	(void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size); /* unknown: 80 */
	progress.is_narrow = size.ws_col != 0 && size.ws_col < BAR_COLUMNS;
}

void weir_ctl_progress_clear(void)
{
	if (progress.has_line)
		(void)fputs("\r\033[K", stderr);
	progress.has_line = false;
}

void weir_ctl_progress_say(const char *text)
{
	weir_ctl_progress_clear();
	if (!progress.is_shown)
		return;
	(void)fputs(text, stderr);
	(void)fflush(stderr);
	progress.has_line = true;
}

static void bar_draw(size_t sent, size_t bytes, uint64_t took_ns)
{
	static const char full[BAR_CELLS + 1] = "########################";
	const double seconds = (double)took_ns / (double)WEIR_NS_PER_SECOND;
	const double rate = (double)sent / seconds;
	const double left = (double)(bytes - sent) / rate;
	const int cells = (int)(sent * BAR_CELLS / bytes);

	(void)fprintf(stderr, "\r%3zu%% of %.1f MiB", sent * 100 / bytes, (double)bytes / (1 << 20));
	if (!progress.is_narrow)
		(void)fprintf(stderr, "  [%-*.*s]  %6.1f MiB/s  %2.0f:%02.0f left", BAR_CELLS, cells, full,
			      rate / (1 << 20), (double)((uint64_t)left / 60),
			      (double)((uint64_t)left % 60));
	(void)fputs("\033[K", stderr);
	(void)fflush(stderr);
	progress.has_line = true;
}

static void transfer_show(const char *done, size_t sent, size_t bytes)
{
	const uint64_t now_ns = weir_clock_now_ns();

	if (!progress.is_shown)
		return;
	if (progress.began_ns == 0)
		progress.began_ns = now_ns;
	const uint64_t took_ns = now_ns - progress.began_ns;

	if (sent < bytes && took_ns >= MOMENT_MS * WEIR_NS_PER_MS &&
	    now_ns - progress.drawn_ns >= REDRAW_MS * WEIR_NS_PER_MS) {
		bar_draw(sent, bytes, took_ns);
		progress.drawn_ns = now_ns;
	}
	if (sent == bytes && progress.has_line) {
		weir_ctl_progress_clear();
		(void)fprintf(stderr, "%s %.1f MiB in %.1f s\n", done, (double)bytes / (1 << 20),
			      (double)took_ns / (double)WEIR_NS_PER_SECOND);
	}
	if (sent == bytes)
		progress.began_ns = 0;
}

void weir_ctl_progress_upload(size_t sent, size_t bytes)
{
	transfer_show("uploaded", sent, bytes);
}

void weir_ctl_progress_download(size_t received, size_t bytes)
{
	transfer_show("received", received, bytes);
}
