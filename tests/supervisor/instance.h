/* instance: weir-keeper and weir-supervisor as they are, with fake processes around them (see
 * fake_process.c), in a data directory of their own. Shared by the tests of this folder.
 * A test starts one, looks at its board, kills what it likes, and ends with instance_close(), which
 * fails the test if a process or a socket is left. */
#ifndef WEIR_TESTS_SUPERVISOR_INSTANCE_H
#define WEIR_TESTS_SUPERVISOR_INSTANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "dataplane/abi/board.h"

enum { INSTANCE_SEEN_MAX = 1024 };

struct instance {
	char home[64]; /* temporary; holds data/ and libexec/ */
	char data[96];
	int port;
	pid_t keeper; /* 0 = ended */
	pid_t seen[INSTANCE_SEEN_MAX];
	size_t seen_count;
	struct weir_board board; /* as last read */
};

/* Where the programs are: directory of weir-keeper, path of fake_process. */
void instance_programs(const char *bin, const char *fake);

/* Make the directories; start the keeper with two shards. `instance_start` may be called again. */
void instance_open(struct instance *instance);
void instance_start(struct instance *instance);

/* SIGTERM, wait, check that nothing is left, remove everything. */
void instance_close(struct instance *instance);

/* Wait for the keeper's end; returns its exit status as waitpid gives it. */
int instance_wait(struct instance *instance);

/* Fail unless every process seen so far is gone and no socket is left; waits a moment for it. */
void instance_check_nothing_left(struct instance *instance);

/* Read the board through supervisor.sock. False if nobody answers right now. */
bool instance_board_read(struct instance *instance);

/* The pid of the one process of that kind in that state; 0 if there is none. Of the last read. */
pid_t instance_pid(const struct instance *instance, enum weir_process_kind kind);

/* Workers of a pool that are ready, of the last read; their pids in `out_pids` if not NULL. */
size_t instance_workers(const struct instance *instance, uint64_t pool_key, pid_t out_pids[8]);

/* Send a line to the gateway: what it answers. False if nobody answers. */
bool instance_say(struct instance *instance, const char *line, long *out_pid, unsigned *out_links,
		  unsigned long *out_generation);

/* Wait until `condition` holds on a fresh board; fails the test after a generous time. */
void instance_wait_until(struct instance *instance, bool (*condition)(struct instance *, const void *),
			 const void *context, const char *what);

/* Wait until gateway, ctrld and `native` and `exec` workers are ready and linked. */
void instance_wait_ready(struct instance *instance, size_t native, size_t exec);

#endif
