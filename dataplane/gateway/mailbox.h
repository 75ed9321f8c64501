/* mailbox: letters between the gateway's control thread and one shard, each way.
 * Control traffic only (links, snapshots, listeners): a lock is fine here, the request path never
 * takes it: a shard looks only after its eventfd rang. Letters carry pointers to objects whose
 * ownership passes with them. */
#ifndef WEIR_DATAPLANE_GATEWAY_MAILBOX_H
#define WEIR_DATAPLANE_GATEWAY_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { WEIR_MAILBOX_LETTERS = 4096 };

enum weir_letter_kind {
	/* to a shard */
	WEIR_LETTER_LISTEN,      /* fd, value = 1 for the Unix socket */
	WEIR_LETTER_LINK_OPEN,   /* object: struct weir_shard_link */
	WEIR_LETTER_LINK_DRAIN,  /* object */
	WEIR_LETTER_LINK_DEAD,   /* object: its worker's pidfd fired */
	WEIR_LETTER_LINK_BURY,   /* object: echo it; no letter about the link comes after */
	WEIR_LETTER_SNAPSHOT,    /* object: struct weir_config */
	WEIR_LETTER_STOP,        /* stop accepting, finish, then WEIR_LETTER_STOPPED */
	/* to the control thread */
	WEIR_LETTER_LINK_OPENED, /* object */
	WEIR_LETTER_LINK_GONE,   /* object: the shard never touches it again */
	WEIR_LETTER_LINK_BURIED, /* object: the echo; now it may be freed */
	WEIR_LETTER_CONFIG_GONE, /* object: an older snapshot, no longer used by this shard */
	WEIR_LETTER_CONFIG_USED, /* object: this shard now routes by it */
	WEIR_LETTER_KILL,        /* object: link; value = function id; text = reason */
	WEIR_LETTER_DEMAND,      /* value = pool key, count = waiting */
	WEIR_LETTER_COLD_START,  /* value = worker id, took_ns */
	WEIR_LETTER_STOPPED,
};

struct weir_letter {
	enum weir_letter_kind kind;
	int fd;
	uint32_t count;
	uint32_t shard;
	uint32_t urgent; /* DEMAND */
	uint64_t took_ns; /* COLD_START */
	uint64_t value;
	void *object;
	const char *text; /* static storage */
};

struct weir_mailbox {
	pthread_mutex_t lock;
	uint32_t head;
	uint32_t tail;
	int event_fd; /* rung at each delivery */
	struct weir_letter letter[WEIR_MAILBOX_LETTERS];
};

/* 0 or -errno. */
int weir_mailbox_open(struct weir_mailbox *mailbox);
void weir_mailbox_close(struct weir_mailbox *mailbox);

/* Deliver a copy and ring. False if the mailbox is full (nothing delivered). Any thread. */
bool weir_mailbox_put(struct weir_mailbox *mailbox, const struct weir_letter *letter);

/* Take the oldest letter; false if there is none. The owner. */
bool weir_mailbox_take(struct weir_mailbox *mailbox, struct weir_letter *out_letter);

#endif
