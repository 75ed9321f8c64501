/* ctrld: the control process. Owns the databases, publishes snapshots, serves the management API.
 *
 *   fd 3 (supervisor) ---- START, ACK, STOP ----> loop <---- requests ---- run/api.sock
 *        ^                                         |  ^
 *        '---- READY, SNAPSHOT(memfd) -------------'  '---- inotify ---- faas_meta.db, weir.db
 *
 * main.c        arguments, the loop
 * control.c     messages on fd 3
 * databases.c   opening, watching and reopening the databases; the public table's rows
 * publisher.c   catalog -> snapshot -> supervisor, disk
 * builder.c     code that is built before it runs
 * trial.c       versions that are tried before they serve
 * collector.c   what functions print -> log store, on a thread of its own
 * recorder.c    records of calls -> activation store, likewise
 * environment.c functions' variables and secrets
 * replicas.c    which workers there are
 * examiner.c    a thorough look at all that is kept, on a thread of its own
 * ticker.c      the clock of asynchronous calls
 *
 * One thread but for those of the collector, the recorder, the examiner, passwords and a backup, one epoll; whatever waits is
 * a deadline. Trouble with a database is a sentence in `problem`, seen in the log once and in `ctrlctl status` as long as it lasts; the last snapshot
 * keeps serving. Death at any point loses nothing that was answered: commits are on the disk first. */
#ifndef WEIR_CTRL_CTRLD_CTRLD_H
#define WEIR_CTRL_CTRLD_CTRLD_H

#include "ctrl/api/api.h"
#include "ctrl/api/setting.h"
#include "ctrl/ctrld/builder.h"
#include "ctrl/ctrld/collector.h"
#include "ctrl/ctrld/environment.h"
#include "ctrl/ctrld/examiner.h"
#include "ctrl/ctrld/recorder.h"
#include "ctrl/ctrld/ticker.h"
#include "ctrl/ctrld/trial.h"
#include "ctrl/publish/publish_list.h"
#include "ctrl/store/watch.h"
#include "dataplane/abi/board.h"

enum weir_ctrld_problem {
	WEIR_CTRLD_PROBLEM_STORE,   /* weir.db */
	WEIR_CTRLD_PROBLEM_TABLE,   /* faas_meta.db */
	WEIR_CTRLD_PROBLEM_ROWS,    /* good rows that weir.db does not have yet */
	WEIR_CTRLD_PROBLEM_PUBLISH, /* building or sending a snapshot */
	WEIR_CTRLD_PROBLEM_DISK,    /* DATA/snapshot.weir, init.sql */
	WEIR_CTRLD_PROBLEM_WATCH,   /* inotify */
	WEIR_CTRLD_PROBLEM_COUNT,
};

struct weir_ctrld {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	bool is_auth_required; /* whatever the setting `auth` says: the instance was started so */
	int epoll_fd;
	int signal_fd;
	int watch_fd; /* -1: changes are found by looking every second */
	bool started;
	bool stopping;

	struct weir_store *store;
	struct weir_public_table *table;
	struct weir_public_rows rows;
	bool store_was_open; /* a missing file is now trouble, not a fresh start */
	bool rows_loaded;
	bool table_made; /* it was there once; a missing one is now somebody's business */
	uint64_t
		table_due_ns; /* look at the public table then; UINT64_MAX: nothing is known to have changed */
	unsigned table_looks;  /* taken since the last event of the file */
	uint64_t check_due_ns; /* look at everything then */

	struct weir_api *api[WEIR_API_DOORS];
	struct weir_code *code;
	struct weir_backup *backup;
	struct weir_access access;
	struct weir_builder *builder;
	struct weir_trials *trials;
	struct weir_environments *environments;
	struct weir_examiner *examiner;
	struct weir_ticker ticker;
	size_t bad_rows;       /* of weir.db, as was logged last */
	uint64_t sweep_due_ns; /* look for code that nobody refers to then */
	struct weir_collector *collector;
	struct weir_recorder *recorder;
	uint64_t output_gone; /* worker whose output ended, to be told; 0 = none */

	struct weir_publish_list routes; /* what is published, kept from one time to the next */
	bool builtins_listed;            /* those that Weir brings are in it */
	bool routes_listed;              /* the store's are in it, up to the store's changes */
	uint64_t rows_listed;            /* so are those of this reading of the rows */
	struct weir_snapshot snapshot; /* newest: ours, or the one that START brought */
	int snapshot_fd;               /* of it; -1 none */
	uint64_t generation_sent;
	bool send_due;        /* the control socket was full */
	bool publish_due;     /* the last attempt failed */
	uint64_t save_due_ns; /* write DATA/snapshot.weir then */
	uint64_t published_ns;
	struct weir_api_acknowledgement acknowledged;
	uint64_t acknowledged_took_ns;

	const struct weir_board *board; /* the supervisor's, or NULL */

	char problem[WEIR_CTRLD_PROBLEM_COUNT][1024]; /* empty: fine */
};

/* Remember and log trouble once; NULL ends it. */
void weir_ctrld_problem_set(struct weir_ctrld *ctrld, enum weir_ctrld_problem problem,
			    const char *sentence);

/* control.c: send READY; take what waits on fd 3. Sets `stopping` on STOP or end of file. */
void weir_ctrld_ready_send(struct weir_ctrld *ctrld);
void weir_ctrld_control_take(struct weir_ctrld *ctrld);

/* control.c: tell the supervisor which workers' output was read to its end. */
void weir_ctrld_outputs_tell(struct weir_ctrld *ctrld);

/* replicas.c: read this board from now on; the descriptor stays the caller's. */
void weir_ctrld_board_take(struct weir_ctrld *ctrld, int fd);

/* Add the workers of these pools, and those that are to be started, to a list: as a function's "workers" tell
 * them. 0, -ENODEV (there is no board), -EAGAIN (it is being written), -ENOMEM or -EBADMSG. */
int weir_ctrld_workers(const struct weir_ctrld *ctrld, const uint64_t *pools, size_t count, cJSON *list);

/* databases.c: open all and publish for the first time; look at what may have changed. */
void weir_ctrld_databases_open(struct weir_ctrld *ctrld);
void weir_ctrld_databases_check(struct weir_ctrld *ctrld, uint64_t now_ns);
void weir_ctrld_databases_close(struct weir_ctrld *ctrld);

/* databases.c: remove code that no version refers to, where it is time for it. */
void weir_ctrld_code_sweep(struct weir_ctrld *ctrld, uint64_t now_ns);

/* Read the public table; publish and save what changed. 0, or store.h with *error; trouble becomes a
 * problem too. */
int weir_ctrld_table_sync(struct weir_ctrld *ctrld, struct weir_store_error *error);

/* publisher.c: build a snapshot of the store's generation and hand it to the supervisor. 0 or -errno
 * with *error; then `publish_due` is set and it is tried again. */
int weir_ctrld_publish(struct weir_ctrld *ctrld, struct weir_store_error *error);

/* Runtimes whose worker is not beside this program: bit 1 << enum weir_runtime_kind. Asked each time: a package
 * may be installed, or taken away, while this process runs. */
uint32_t weir_ctrld_runtimes_missing(void);

/* How many records of calls are kept, by the settings. */
struct weir_recorder_limits weir_ctrld_record_limits(const struct weir_setting_values *values);

/* Nothing changed in a database, but what is published did: builds ended. */
void weir_ctrld_publish_again(struct weir_ctrld *ctrld);

/* Take over the snapshot that START brought, for explanations until there is one of our own; raises
 * the generation. Closes fd where it is not sound. */
void weir_ctrld_snapshot_inherit(struct weir_ctrld *ctrld, int fd);

/* Send what waits, save what is due. */
void weir_ctrld_publisher_run(struct weir_ctrld *ctrld, uint64_t now_ns);
void weir_ctrld_publisher_close(struct weir_ctrld *ctrld);

/* An acknowledgement came. */
void weir_ctrld_acknowledged(struct weir_ctrld *ctrld,
			     const struct weir_api_acknowledgement *acknowledgement,
			     uint64_t took_ns);

#endif
