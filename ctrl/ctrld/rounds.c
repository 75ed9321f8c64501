#include "ctrl/ctrld/rounds.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/base/fd.h"

void weir_rounds_ring(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one)); /* full: it rang often enough */
}

void weir_rounds_silence(int fd)
{
	uint64_t count = 0;

	(void)!read(fd, &count, sizeof(count)); /* EAGAIN: it was silent */
}

int weir_rounds_open(struct weir_rounds *rounds)
{
	*rounds = (struct weir_rounds){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	(void)pthread_mutex_init(&rounds->lock, NULL); /* cannot fail without attributes */
	return rounds->wake_fd == -1 ? -errno : 0;
}

int weir_rounds_start(struct weir_rounds *rounds, void *(*run)(void *argument), void *argument)
{
	sigset_t all;
	sigset_t before;
	int error = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&rounds->thread, NULL, run, argument);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

void weir_rounds_close(struct weir_rounds *rounds)
{
	weir_fd_close(&rounds->wake_fd);
	(void)pthread_mutex_destroy(&rounds->lock);
}

void weir_rounds_stop(struct weir_rounds *rounds)
{
	weir_rounds_lock(rounds);
	rounds->is_stopping = true;
	weir_rounds_unlock(rounds);
	weir_rounds_wake(rounds);
	(void)pthread_join(rounds->thread, NULL);
	weir_rounds_close(rounds);
}

void weir_rounds_wake(const struct weir_rounds *rounds)
{
	weir_rounds_ring(rounds->wake_fd);
}

uint64_t weir_rounds_mark(struct weir_rounds *rounds)
{
	uint64_t mark = 0;

	weir_rounds_lock(rounds);
	mark = rounds->started + 1;
	rounds->asked = mark;
	weir_rounds_unlock(rounds);
	weir_rounds_wake(rounds);
	return mark;
}

bool weir_rounds_reached(struct weir_rounds *rounds, uint64_t mark)
{
	bool is_reached = false;

	weir_rounds_lock(rounds);
	is_reached = rounds->ended >= mark;
	weir_rounds_unlock(rounds);
	return is_reached;
}

void weir_rounds_lock(struct weir_rounds *rounds)
{
	(void)pthread_mutex_lock(&rounds->lock);
}

void weir_rounds_unlock(struct weir_rounds *rounds)
{
	(void)pthread_mutex_unlock(&rounds->lock);
}

bool weir_rounds_is_asked(struct weir_rounds *rounds)
{
	bool is_asked = false;

	weir_rounds_lock(rounds);
	is_asked = rounds->is_stopping || rounds->asked > rounds->started;
	weir_rounds_unlock(rounds);
	return is_asked;
}

enum weir_round weir_rounds_begin(struct weir_rounds *rounds)
{
	rounds->started++;
	if (rounds->is_stopping)
		return WEIR_ROUND_LAST;
	return rounds->asked >= rounds->started ? WEIR_ROUND_ASKED : WEIR_ROUND_PLAIN;
}

void weir_rounds_end(struct weir_rounds *rounds)
{
	rounds->ended = rounds->started;
}
