#include "dataplane/worker/mailbox.h"

#include "dataplane/base/assert.h"
#include "dataplane/worker/host.h"

static void lock(struct weir_mailbox *box)
{
	const int error = pthread_mutex_lock(&box->lock);

	WEIR_ASSERT(error == 0);
}

static void unlock(struct weir_mailbox *box)
{
	const int error = pthread_mutex_unlock(&box->lock);

	WEIR_ASSERT(error == 0);
}

void weir_mailbox_open(struct weir_mailbox *box)
{
	const int error = pthread_mutex_init(&box->lock, NULL);

	WEIR_ASSERT(error == 0); /* cannot fail without attributes */
	box->first = NULL;
	box->last = NULL;
}

void weir_mailbox_push(struct weir_mailbox *box, struct weir_host_mail *mail)
{
	mail->next = NULL;
	lock(box);
	if (box->first == NULL)
		box->first = mail;
	else
		box->last->next = mail;
	box->last = mail;
	unlock(box);
}

struct weir_host_mail *weir_mailbox_pop(struct weir_mailbox *box)
{
	struct weir_host_mail *mail = NULL;

	lock(box);
	mail = box->first;
	if (mail != NULL)
		box->first = mail->next;
	unlock(box);
	return mail;
}
