#include "dataplane/gateway/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/fd.h"

int weir_mailbox_open(struct weir_mailbox *mailbox)
{
	int result;

	mailbox->head = 0;
	mailbox->tail = 0;
	mailbox->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mailbox->event_fd == -1)
		return -errno;
	result = pthread_mutex_init(&mailbox->lock, NULL);
	if (result != 0)
		weir_fd_close(&mailbox->event_fd);
	return -result;
}

void weir_mailbox_close(struct weir_mailbox *mailbox)
{
	weir_fd_close(&mailbox->event_fd);
	(void)pthread_mutex_destroy(&mailbox->lock); /* unlocked: its threads have ended */
}

bool weir_mailbox_put(struct weir_mailbox *mailbox, const struct weir_letter *letter)
{
	bool room;

	WEIR_ASSERT(pthread_mutex_lock(&mailbox->lock) == 0);
	room = mailbox->tail - mailbox->head < WEIR_MAILBOX_LETTERS;
	if (room)
		mailbox->letter[mailbox->tail++ % WEIR_MAILBOX_LETTERS] = *letter;
	WEIR_ASSERT(pthread_mutex_unlock(&mailbox->lock) == 0);
	if (room) /* fails only at 2^64 - 2 unread rings */
		(void)eventfd_write(mailbox->event_fd, 1);
	return room;
}

bool weir_mailbox_take(struct weir_mailbox *mailbox, struct weir_letter *out_letter)
{
	bool any;

	WEIR_ASSERT(pthread_mutex_lock(&mailbox->lock) == 0);
	any = mailbox->head != mailbox->tail;
	if (any)
		*out_letter = mailbox->letter[mailbox->head++ % WEIR_MAILBOX_LETTERS];
	WEIR_ASSERT(pthread_mutex_unlock(&mailbox->lock) == 0);
	return any;
}
