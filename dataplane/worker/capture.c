#include "dataplane/worker/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"

#ifdef WEIR_SANITIZED
extern void __sanitizer_set_report_fd(void *fd);
#endif

enum {
	STREAMS = WEIR_PRINT_STREAMS,
	PIECE_BYTES = 4096,
	PIECES_MAX = 64,  /* of one pipe at once: no more than a full one holds by default */
	IDLE_TICKS = 100, /* without output, then the thread sleeps until there is some */
	BUSY = 1,         /* in `current`: the thread uses it */
};

static struct {
	bool is_open;
	int pipe_fd[STREAMS]; /* where functions' writes arrive */
	int bell_fd;
	pthread_mutex_t use;    /* held by the thread while it uses what `current` points to */
	_Atomic uintptr_t current; /* struct weir_print of the call that runs; 0 = none */
	struct weir_print orphan;  /* what nobody's call wrote; under `use` */
	char last_name[200];       /* of the function that ran last; under `use` */
	const char *last_function; /* compared only */
} capture = {.pipe_fd = {-1, -1}, .bell_fd = -1, .use = PTHREAD_MUTEX_INITIALIZER};

/* The call that this thread runs. */
static _Thread_local struct weir_print *own;

/* ---- the C library's streams ---- */

static ssize_t stdio_write(void *cookie, const char *data, size_t bytes)
{
	const int fd = cookie != NULL ? STDERR_FILENO : STDOUT_FILENO;

	if (own == NULL) /* a thread of the function's own, or no call at all */
		return write(fd, data, bytes);
	weir_print_add(own, cookie != NULL ? WEIR_RUNTIME_STDERR : WEIR_RUNTIME_STDOUT,
		       (struct weir_span){.data = data, .bytes = bytes});
	return (ssize_t)bytes;
}

static int stdio_replace(void)
{
	static char is_error; /* its address tells the two apart */
	static const cookie_io_functions_t functions = {.write = stdio_write};
	FILE *const out = fopencookie(NULL, "w", functions);
	FILE *const error = fopencookie(&is_error, "w", functions);

	/* Unbuffered: print.h gathers lines, and a crash finds there what had no newline yet. */
	if (out == NULL || error == NULL || setvbuf(out, NULL, _IONBF, 0) != 0 ||
	    setvbuf(error, NULL, _IONBF, 0) != 0)
		return -ENOMEM; /* the worker does not start; what is open ends with it */
	stdout = out;
	stderr = error;
	return 0;
}

/* ---- the pipes ---- */

/* Move what is in the pipes to `print`. Its caller excludes everybody else. True: there was something. */
static bool pipes_take(struct weir_print *print)
{
	bool is_any = false;

	for (int stream = 0; stream < STREAMS; stream++) {
		char piece[PIECE_BYTES];
		ssize_t bytes = 1;

		for (int i = 0; i < PIECES_MAX && bytes > 0; i++) {
			bytes = read(capture.pipe_fd[stream], piece, sizeof(piece));
			if (bytes <= 0)
				break;
			is_any = true;
			weir_print_add(print, (enum weir_runtime_stream)stream,
				       (struct weir_span){.data = piece, .bytes = (size_t)bytes});
		}
	}
	return is_any;
}

/* The thread: to the call that runs; if none does, to nobody's. */
static bool pipes_deliver(void)
{
	uintptr_t current = 0;
	bool is_any = false;

	(void)pthread_mutex_lock(&capture.use);
	current = atomic_load_explicit(&capture.current, memory_order_relaxed);
	/* ORDER capture_call acquire: the call's print is open. */
	if (current != 0 && atomic_compare_exchange_strong_explicit(
				    &capture.current, &current, current | BUSY,
				    memory_order_acquire, memory_order_relaxed)) {
		/* The number is a pointer that weir_capture_enter() stored. */
		is_any = pipes_take((struct weir_print *)current); /* NOLINT(performance-no-int-to-ptr) */
		/* ORDER capture_call release: the runner finds what was added. */
		atomic_store_explicit(&capture.current, current, memory_order_release);
	} else {
		weir_print_open(&capture.orphan, capture.last_name, (struct weir_id){0});
		is_any = pipes_take(&capture.orphan);
		weir_print_end(&capture.orphan);
	}
	(void)pthread_mutex_unlock(&capture.use);
	return is_any;
}

/* ---- the thread ---- */

static void thread_wait(bool may_sleep)
{
	struct pollfd polled[STREAMS + 1] = {
		{.fd = capture.pipe_fd[WEIR_RUNTIME_STDOUT], .events = POLLIN},
		{.fd = capture.pipe_fd[WEIR_RUNTIME_STDERR], .events = POLLIN},
		{.fd = capture.bell_fd, .events = POLLIN}};
	uint64_t rung = 0;

	may_sleep = may_sleep && weir_outlet_sleep();
	(void)poll(polled, STREAMS + 1, may_sleep ? -1 : WEIR_OUTLET_TICK_MS); /* or EINTR: look */
	weir_outlet_awake();
	if (polled[STREAMS].revents != 0)
		(void)!read(capture.bell_fd, &rung, sizeof(rung)); /* silent again; the count says nothing */
}

static void *thread_main(void *unused)
{
	int idle_ticks = 0;

	(void)unused;
	for (;;) {
		bool is_any = false;

		thread_wait(idle_ticks >= IDLE_TICKS);
		is_any = capture.is_open && pipes_deliver();
		if (weir_outlet_is_dirty()) {
			weir_outlet_lock();
			weir_outlet_flush();
			weir_outlet_unlock();
			is_any = true;
		}
		idle_ticks = is_any ? 0 : idle_ticks + 1;
	}
	return NULL;
}

int weir_capture_start(int socket_fd)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	int error = 0;

	if (capture.bell_fd == -1)
		error = weir_outlet_open(&capture.bell_fd);
	if (error == 0 && socket_fd != -1)
		error = weir_outlet_connect(socket_fd);
	if (error != 0)
		return error;
	(void)sigfillset(&all);
	error = pthread_attr_init(&attributes);
	if (error != 0)
		return -error;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
	error = pthread_create(&thread, &attributes, thread_main, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}

/* ---- calls ---- */

void weir_capture_name(const char *function)
{
	if (!capture.is_open || capture.last_function == function)
		return;
	(void)pthread_mutex_lock(&capture.use);
	capture.last_function = function;
	(void)snprintf(capture.last_name, sizeof(capture.last_name), "%s", function); /* fits */
	(void)pthread_mutex_unlock(&capture.use);
}

void weir_capture_enter(struct weir_print *print)
{
	if (!capture.is_open)
		return;
	weir_capture_name(print->function);
	own = print;
	/* ORDER capture_call release: the print is open. */
	atomic_store_explicit(&capture.current, (uintptr_t)print, memory_order_release);
}

/* Look into the pipes in the call's name. */
static bool pipes_look(struct weir_print *print)
{
	bool is_any = false;

	(void)pthread_mutex_lock(&capture.use);
	is_any = pipes_take(print);
	(void)pthread_mutex_unlock(&capture.use);
	return is_any;
}

void weir_capture_leave(struct weir_print *print, uint16_t *quiet_calls)
{
	uintptr_t expected = (uintptr_t)print;

	if (!capture.is_open)
		return;
	if (*quiet_calls < WEIR_CAPTURE_WATCHED)
		*quiet_calls = pipes_look(print) ? 0 : (uint16_t)(*quiet_calls + 1);
	own = NULL;
	/* ORDER capture_call acquire: what the thread added is there. */
	while (!atomic_compare_exchange_strong_explicit(&capture.current, &expected, 0,
							memory_order_acquire, memory_order_relaxed)) {
		(void)pthread_mutex_lock(&capture.use); /* until the thread is done with it */
		(void)pthread_mutex_unlock(&capture.use);
		*quiet_calls = 0;
		expected = (uintptr_t)print;
	}
}

/* ---- start and end ---- */

/* Descriptor `fd` becomes a pipe that we read. */
static int pipe_put(int fd, int *out_read_fd)
{
	int ends[2];
	int result = 0;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	/* Only our end: a function's writes wait for the thread. */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || dup2(ends[1], fd) == -1)
		result = -errno;
	(void)close(ends[1]);
	if (result != 0)
		(void)close(ends[0]);
	else
		*out_read_fd = ends[0];
	return result;
}

int weir_capture_open(bool with_stdio)
{
	const int log_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	int result = log_fd == -1 ? -errno : 0;

	if (result == 0) {
		weir_log_fd_set(log_fd);
#ifdef WEIR_SANITIZED
		__sanitizer_set_report_fd((void *)(intptr_t)log_fd); /* NOLINT(performance-no-int-to-ptr) */
#endif
		result = weir_outlet_open(&capture.bell_fd);
	}
	if (result == 0)
		result = pipe_put(STDOUT_FILENO, &capture.pipe_fd[WEIR_RUNTIME_STDOUT]);
	if (result == 0)
		result = pipe_put(STDERR_FILENO, &capture.pipe_fd[WEIR_RUNTIME_STDERR]);
	if (result == 0 && with_stdio)
		result = stdio_replace();
	if (result == 0 && atexit(weir_capture_rescue) != 0)
		result = -ENOMEM;
	capture.is_open = result == 0;
	return result;
}

/* No call runs: what is in the pipes is about this process, such as why it cannot start. */
static void pipes_to_log(void)
{
	char piece[PIECE_BYTES];

	for (int stream = 0; stream < STREAMS; stream++) {
		const ssize_t bytes = read(capture.pipe_fd[stream], piece, sizeof(piece));

		if (bytes > 0)
			(void)!write(weir_log_fd(), piece, (size_t)bytes); /* ending anyway */
	}
}

void weir_capture_rescue(void)
{
	static char piece[WEIR_OUTPUT_TEXT_BYTES_MAX];
	const struct weir_print *const print = own;
	ssize_t bytes = 0;

	if (!capture.is_open)
		return;
	weir_outlet_rescue(NULL, (struct weir_id){0}, WEIR_OUTPUT_STDERR, (struct weir_span){0});
	if (print == NULL) {
		pipes_to_log();
		return;
	}
	for (int stream = 0; stream < STREAMS; stream++) {
		const enum weir_output_stream name = stream == WEIR_RUNTIME_STDERR
							     ? WEIR_OUTPUT_STDERR
							     : WEIR_OUTPUT_STDOUT;

		weir_outlet_rescue(print->function, print->activation, name,
				   (struct weir_span){.data = print->line[stream],
						      .bytes = print->line_bytes[stream]});
		bytes = read(capture.pipe_fd[stream], piece, sizeof(piece));
		while (bytes > 0 && (piece[bytes - 1] == '\n' || piece[bytes - 1] == '\0'))
			bytes--;
		if (bytes > 0)
			weir_outlet_rescue(print->function, print->activation, name,
					   (struct weir_span){.data = piece,
							      .bytes = (size_t)bytes});
	}
}
