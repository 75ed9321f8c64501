#include "dataplane/worker/reveal.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/control.h"

/* Longer than the supervisor's helper has, and than a supervisor takes to be replaced. */
static const uint64_t patience_ns = 8 * WEIR_NS_PER_SECOND;

/* An answer may be lost with a supervisor, or late on a machine that is full; what is shown already is
 * answered at once. Together about as long as a function has by default: who has less gets its 504. */
enum { QUESTIONS_MAX = 3 };

/* One question at a time: the baton's holder asks and waits. */
struct reveal {
	int control_fd; /* -1 = no view */
	bool directory;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	uint64_t function_id; /* asked for; 0 = answered */
	int error;
};

static struct reveal reveal = {.control_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

void weir_reveal_open(int control_fd, bool directory)
{
	pthread_condattr_t attributes;
	int error = pthread_condattr_init(&attributes);

	WEIR_ASSERT(error == 0);
	error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (error == 0)
		error = pthread_cond_init(&reveal.answered, &attributes);
	WEIR_ASSERT(error == 0);
	(void)pthread_condattr_destroy(&attributes);
	reveal.control_fd = control_fd;
	reveal.directory = directory;
}

static int question_send(uint64_t function_id, uint64_t until_ns)
{
	struct weir_control control = {.kind = WEIR_CONTROL_REVEAL};
	const struct timespec pause = {.tv_nsec = (long)WEIR_NS_PER_MS};
	int result = -EAGAIN;

	control.reveal.function_id = function_id;
	control.reveal.directory = reveal.directory;
	while (result == -EAGAIN) { /* nobody reads while the supervisor is replaced */
		result = weir_control_send(reveal.control_fd, &control, NULL, 0);
		if (result == -EAGAIN && weir_clock_now_ns() > until_ns)
			return -ETIMEDOUT;
		if (result == -EAGAIN)
			(void)nanosleep(&pause, NULL); /* interrupted: tried again sooner */
	}
	return result;
}

/* One question and its answer, until then; the lock is held. */
static int question_ask_locked(uint64_t function_id, uint64_t until_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ns / WEIR_NS_PER_SECOND),
				       .tv_nsec = (long)(until_ns % WEIR_NS_PER_SECOND)};
	int result = 0;

	reveal.function_id = function_id;
	result = question_send(function_id, until_ns);
	while (result == 0 && reveal.function_id != 0)
		result = -pthread_cond_timedwait(&reveal.answered, &reveal.lock, &until);
	return result == 0 ? reveal.error : result;
}

int weir_reveal_ask(uint64_t function_id)
{
	int result = 0;

	if (reveal.control_fd == -1)
		return 0;
	result = pthread_mutex_lock(&reveal.lock);
	WEIR_ASSERT(result == 0);
	result = -ETIMEDOUT;
	for (int i = 0; i < QUESTIONS_MAX && result == -ETIMEDOUT; i++)
		result = question_ask_locked(function_id, weir_clock_now_ns() + patience_ns);
	reveal.function_id = 0;
	(void)pthread_mutex_unlock(&reveal.lock);
	return result;
}

void weir_reveal_answered(uint64_t function_id, int error)
{
	const int result = pthread_mutex_lock(&reveal.lock);

	WEIR_ASSERT(result == 0);
	if (reveal.function_id == function_id) { /* or an answer that nobody waits for any more */
		reveal.function_id = 0;
		reveal.error = error;
		(void)pthread_cond_signal(&reveal.answered);
	}
	(void)pthread_mutex_unlock(&reveal.lock);
}
