#include "ctrl/queued/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"

enum {
	BELLS = 8,         /* of batches, in turn */
	LOOK_AGAIN_MS = 100, /* a bell that was silenced before its last call looked */
	OPEN_AGAIN_MS = 10,
	OPEN_WAIT_MS = 10000, /* another process has the queue: it is about to end */
};

struct weir_writer {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	int bell_fd[BELLS];

	/* Locked. */
	unsigned batch; /* its bell is BELL[batch % BELLS] */
	struct weir_operation *first;
	struct weir_operation *last;
	char directory[WEIR_STORE_PATH_BYTES_MAX];
	struct weir_queue_limits limits;
	bool is_configured; /* anew */

	/* The thread's. */
	struct weir_queue *queue;
	char path[WEIR_STORE_PATH_BYTES_MAX];
	struct weir_queue_limits its_limits;
	bool is_in_trouble; /* that was logged */
};

struct weir_operation *weir_operation_create(enum weir_operation_kind kind)
{
	struct weir_operation *const operation = calloc(1, sizeof(*operation));

	if (operation != NULL)
		operation->kind = kind;
	return operation;
}

void weir_operation_free(struct weir_operation *operation)
{
	if (operation == NULL)
		return;
	weir_queue_call_release(&operation->call);
	for (int i = 0; i < operation->list_count; i++)
		weir_queue_call_release(&operation->list[i]);
	free(operation->list);
	free(operation);
}

static void lock(struct weir_writer *writer)
{
	const int error = pthread_mutex_lock(&writer->lock);

	WEIR_ASSERT(error == 0);
}

static void unlock(struct weir_writer *writer)
{
	const int error = pthread_mutex_unlock(&writer->lock);

	WEIR_ASSERT(error == 0);
}

/* ---- the thread: operations ---- */

static int list_make(struct weir_queue *queue, struct weir_operation *operation, struct weir_store_error *error)
{
	int count = 0;

	operation->list = calloc(operation->max, sizeof(*operation->list));
	if (operation->list == NULL)
		return -ENOMEM;
	count = weir_queue_list(queue, operation->state, operation->after, operation->list, operation->max, error);
	operation->list_count = count < 0 ? 0 : count;
	return count < 0 ? count : 0;
}

/* The runner's call is over; the next one, if it stays. */
static int done_take(struct weir_queue *queue, struct weir_queue_time time, struct weir_operation *operation,
		     struct weir_store_error *error)
{
	int code = weir_queue_done(queue, time, &operation->call, error);

	if (code != 0 && code != -ESRCH)
		return code;
	weir_queue_call_release(&operation->call);
	if (!operation->is_last)
		return weir_queue_take(queue, time, operation->runner, &operation->call, error);
	weir_queue_leave(queue, operation->runner);
	return -ENOENT;
}

static int replay(struct weir_queue *queue, struct weir_queue_time time, struct weir_operation *operation,
		  struct weir_store_error *error)
{
	struct weir_queue_call *const call = &operation->call;
	const int code = weir_queue_find(queue, operation->id, call, error);

	if (code != 0)
		return code;
	call->id = operation->new_id;
	call->due_ms = 0;
	return weir_queue_accept(queue, time, call, NULL, error);
}

static int operation_do(struct weir_queue *queue, struct weir_queue_time time, struct weir_operation *operation,
			struct weir_store_error *error)
{
	const char *const key = operation->key[0] == '\0' ? NULL : operation->key;

	switch (operation->kind) {
	case WEIR_OPERATION_ACCEPT:
		return weir_queue_accept(queue, time, &operation->call, key, error);
	case WEIR_OPERATION_TAKE:
		return weir_queue_take(queue, time, operation->runner, &operation->call, error);
	case WEIR_OPERATION_RENEW:
		return weir_queue_renew(queue, time, operation->runner, operation->call.number,
					operation->call.attempt);
	case WEIR_OPERATION_DONE:
		return done_take(queue, time, operation, error);
	case WEIR_OPERATION_LEAVE:
		weir_queue_leave(queue, operation->runner);
		return 0;
	case WEIR_OPERATION_FIND:
		return weir_queue_find(queue, operation->id, &operation->call, error);
	case WEIR_OPERATION_LIST:
		return list_make(queue, operation, error);
	case WEIR_OPERATION_CANCEL:
		return weir_queue_cancel(queue, time, operation->id, &operation->state, error);
	case WEIR_OPERATION_REDRIVE:
		return weir_queue_redrive(queue, operation->id, error);
	case WEIR_OPERATION_REPLAY:
		return replay(queue, time, operation, error);
	case WEIR_OPERATION_REMOVE:
		return weir_queue_remove(queue, operation->id, error);
	case WEIR_OPERATION_STATUS:
		return weir_queue_status_get(queue, &operation->status, error);
	}
	return -EINVAL;
}

/* ---- the thread: batches ---- */

/* Somebody else may have it: a worker that is about to end. */
static int queue_open(struct weir_writer *writer, struct weir_store_error *error)
{
	const struct timespec pause = {.tv_nsec = OPEN_AGAIN_MS * (long)WEIR_NS_PER_MS};
	int code = writer->queue != NULL ? 0 : -EBUSY;

	for (int waited_ms = 0; code == -EBUSY && waited_ms < OPEN_WAIT_MS; waited_ms += OPEN_AGAIN_MS) {
		code = weir_queue_open(writer->path, &writer->queue, error);
		if (code == -EBUSY)
			(void)nanosleep(&pause, NULL);
	}
	if (code == 0)
		weir_queue_limits_set(writer->queue, &writer->its_limits);
	return code;
}

/* Those of the batch that renew a lease, or all others. */
static int operations_do(struct weir_writer *writer, struct weir_queue_time time, struct weir_operation *first,
			 bool renewals, struct weir_store_error *error)
{
	for (struct weir_operation *at = first; at != NULL; at = at->next) {
		if ((at->kind == WEIR_OPERATION_RENEW) != renewals)
			continue;
		at->result = operation_do(writer->queue, time, at, error);
		if (error->text[0] != '\0' || at->result == -ENOMEM)
			return at->result;
	}
	return 0;
}

/* All or nothing. Leases are renewed before any expires: the disk may have been away for longer than they hold. */
static int batch_do(struct weir_writer *writer, struct weir_operation *first, struct weir_store_error *error)
{
	const struct weir_queue_time time = {.wall_ms = (int64_t)(weir_clock_wall_ns() / WEIR_NS_PER_MS),
					     .now_ns = weir_clock_now_ns()};
	int code = queue_open(writer, error);

	if (code != 0)
		return code;
	code = weir_queue_begin(writer->queue, error);
	if (code == 0)
		code = operations_do(writer, time, first, true, error);
	if (code == 0)
		code = weir_queue_sweep(writer->queue, time, error);
	if (code == 0)
		code = operations_do(writer, time, first, false, error);
	for (struct weir_operation *at = first; code == 0 && at != NULL; at = at->next)
		at->start_count = weir_queue_runners_start(writer->queue, time, at->start, WEIR_WRITER_STARTS_MAX);
	return code == 0 ? weir_queue_commit(writer->queue, error) : code;
}

/* Trouble is logged once, and its end. */
static void trouble_say(struct weir_writer *writer, int code, const struct weir_store_error *error)
{
	if (writer->is_in_trouble == (code != 0))
		return;
	writer->is_in_trouble = code != 0;
	if (code != 0)
		weir_log(WEIR_LOG_ERROR, "asynchronous calls cannot be kept", "error=\"%s\"", error->text);
	else
		weir_log(WEIR_LOG_INFO, "asynchronous calls are kept again", "path=\"%s\"", writer->path);
}

static void batch_run(struct weir_writer *writer, struct weir_operation *first)
{
	struct weir_store_error error = {.text = ""};
	struct weir_store_error again = {.text = ""};
	const int code = batch_do(writer, first, &error);

	trouble_say(writer, code, &error);
	if (code == 0)
		return;
	if (writer->queue != NULL && weir_queue_rollback(writer->queue, &again) != 0) {
		weir_queue_close(writer->queue); /* opened anew for the next batch */
		writer->queue = NULL;
	}
	for (struct weir_operation *at = first; at != NULL; at = at->next) {
		at->result = code;
		at->start_count = 0;
		(void)snprintf(at->sentence, sizeof(at->sentence), "%s",
			       error.text[0] == '\0' ? "not enough memory" : error.text); /* cut is fine */
	}
}

/* Answer all; whoever is gone needs none. */
static void batch_end(struct weir_writer *writer, struct weir_operation *first, int bell_fd)
{
	const uint64_t one = 1;
	struct weir_operation *gone = NULL;
	struct weir_operation *next = NULL;

	lock(writer);
	for (struct weir_operation *at = first; at != NULL; at = next) {
		next = at->next;
		at->is_done = true;
		if (at->is_abandoned) {
			at->next = gone;
			gone = at;
		}
	}
	unlock(writer);
	(void)!write(bell_fd, &one, sizeof(one)); /* a counter that is full rings, too */
	for (; gone != NULL; gone = next) {
		next = gone->next;
		weir_operation_free(gone);
	}
}

/* Where the queue is may change only before it is opened; limits at any time. Locked. */
static void configuration_take_locked(struct weir_writer *writer)
{
	if (!writer->is_configured)
		return;
	writer->is_configured = false;
	memcpy(writer->path, writer->directory, sizeof(writer->path));
	writer->its_limits = writer->limits;
	if (writer->queue != NULL)
		weir_queue_limits_set(writer->queue, &writer->its_limits);
}

static void *thread_main(void *argument)
{
	struct weir_writer *const writer = argument;

	for (;;) {
		struct weir_operation *first = NULL;
		uint64_t count = 0;
		int bell_fd = -1;

		lock(writer);
		while (writer->first == NULL)
			(void)pthread_cond_wait(&writer->wake, &writer->lock);
		first = writer->first;
		writer->first = NULL;
		writer->last = NULL;
		bell_fd = writer->bell_fd[writer->batch++ % BELLS];
		/* The next batch's: those that it rang for, BELLS batches ago, have had their time. */
		(void)!read(writer->bell_fd[writer->batch % BELLS], &count, sizeof(count)); /* EAGAIN: it was silent */
		configuration_take_locked(writer);
		unlock(writer);
		batch_run(writer, first);
		batch_end(writer, first, bell_fd);
	}
	return NULL;
}

/* ---- calls ---- */

void weir_writer_configure(struct weir_writer *writer, const char *directory, const struct weir_queue_limits *limits)
{
	lock(writer);
	(void)snprintf(writer->directory, sizeof(writer->directory), "%s", directory); /* fits: checked by the model */
	writer->limits = *limits;
	writer->is_configured = true;
	unlock(writer);
}

static void append(struct weir_writer *writer, struct weir_operation *operation)
{
	lock(writer);
	operation->bell_fd = writer->bell_fd[writer->batch % BELLS];
	if (writer->first == NULL) {
		writer->first = operation;
		(void)pthread_cond_signal(&writer->wake);
	} else {
		writer->last->next = operation;
	}
	writer->last = operation;
	unlock(writer);
}

/* Is it done? If it is not, and the call is over, it is the writer's from now on. */
static bool is_done(struct weir_writer *writer, struct weir_operation *operation, bool is_over)
{
	bool done = false;

	lock(writer);
	done = operation->is_done;
	operation->is_abandoned = is_over && !done;
	unlock(writer);
	return done;
}

int weir_writer_do(struct weir_writer *writer, struct weir_runtime_call *call, struct weir_operation *operation)
{
	int result = 0;

	append(writer, operation);
	while (!is_done(writer, operation, result != 0)) {
		struct pollfd bell = {.fd = operation->bell_fd, .events = POLLIN};

		if (result != 0)
			return result;
		result = call->ops->wait(call, &bell, 1, weir_clock_now_ns() + LOOK_AGAIN_MS * WEIR_NS_PER_MS);
		if (result == -ETIMEDOUT && weir_clock_now_ns() < call->deadline_ns)
			result = 0; /* the time had passed before this thread got to wait */
	}
	return 0;
}

int weir_writer_create(struct weir_writer **out_writer)
{
	struct weir_writer *const writer = calloc(1, sizeof(*writer));
	sigset_t all;
	sigset_t before;
	int error = 0;

	if (writer == NULL)
		return -ENOMEM;
	error = pthread_mutex_init(&writer->lock, NULL);
	if (error == 0)
		error = pthread_cond_init(&writer->wake, NULL);
	WEIR_ASSERT(error == 0); /* cannot fail without attributes */
	for (int i = 0; i < BELLS; i++) {
		writer->bell_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (writer->bell_fd[i] == -1)
			error = errno;
	}
	/* Signals are the worker's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0)
		error = pthread_create(&writer->thread, NULL, thread_main, writer);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0) {
		*out_writer = writer;
		return 0;
	}
	for (int i = 0; i < BELLS; i++)
		weir_fd_close(&writer->bell_fd[i]);
	free(writer);
	return -error;
}
