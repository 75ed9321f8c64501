/* mailbox: a list of messages between two threads, oldest first. Wakes nobody.
 * Owns: the messages in it. Threads: any. */
#ifndef WEIR_DATAPLANE_WORKER_MAILBOX_H
#define WEIR_DATAPLANE_WORKER_MAILBOX_H

#include <pthread.h>

struct weir_host_mail;

struct weir_mailbox {
	pthread_mutex_t lock;
	struct weir_host_mail *first;
	struct weir_host_mail *last;
};

/* Empty. */
void weir_mailbox_open(struct weir_mailbox *box);

/* Append. The message is the box's until it is taken. */
void weir_mailbox_push(struct weir_mailbox *box, struct weir_host_mail *mail);

/* The oldest message, the caller's; NULL if there is none. */
struct weir_host_mail *weir_mailbox_pop(struct weir_mailbox *box);

#endif
