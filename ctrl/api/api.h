/* api: the management API, HTTP over DATA/run/api.sock, mode 0600; the peer's user decides (this
 * process's own, or root).
 *
 *   connection -> request (dataplane/http) -> endpoint table -> handler -> answer
 *                                                 |-- try again: a database is locked, up to 2 s
 *                                                 |-- pending: code is being built; asked again
 *                                                 |-- wait: committed, until every shard took the
 *                                                 |   generation, up to 2 s
 *                                                 '-- done
 *
 * Nothing waits in place: waiting calls are entries with a deadline, looked at by weir_api_run().
 * Every buffer has a limit: connections, head, body, answers to one peer. Uploaded code and backups are the
 * large bodies; they go to the disk as they come, and from there as they are taken.
 * Owns: the socket and its connections. The store and the rows are the owner's. Threads: one.
 * Peer death: its connection is closed; what it committed stays committed. */
#ifndef WEIR_CTRL_API_API_H
#define WEIR_CTRL_API_API_H

#include <cjson/cJSON.h>

#include "ctrl/access/access.h"
#include "ctrl/backup/backup.h"
#include "ctrl/store/public_rows.h"
#include "dataplane/shm/snapshot.h"

enum {
	WEIR_API_CONNECTIONS_MAX = 64,
	WEIR_API_BODY_BYTES_MAX = 2 << 20, /* a function with all the parameters that it may have */
	WEIR_API_DOCUMENT_BYTES_MAX = 16 << 20, /* the body that is a whole configuration */
	WEIR_API_JSON_DEPTH_MAX = 22, /* of a body: parameters within a function of a configuration */
	WEIR_API_ACKNOWLEDGE_MS = 2000, /* then the answer says: saved, but not acknowledged */
	WEIR_API_REASON_BYTES = 1024,
	WEIR_API_LOCKED_MS = 2000,      /* then the answer says: locked */
};

/* What comes from the data path and is kept for people. */
enum weir_api_kept {
	WEIR_API_OUTPUT,  /* what functions print */
	WEIR_API_RECORDS, /* of calls */
};

/* What the data path said last about a generation. */
struct weir_api_acknowledgement {
	uint64_t generation;
	uint32_t acked;
	uint32_t total;
};

/* How a version is tried. */
struct weir_api_trial {
	const char *path; /* to be called at; "": only loaded */
	char **variables; /* that its deployment sets, "K=V", and unsets, "K" */
	size_t variable_count;
};

/* Who runs the API: ctrld, or a test. */
struct weir_api_owner {
	void *context;
	struct weir_store *store;
	struct weir_public_table *table;
	struct weir_public_rows *rows;
	struct weir_code *code;
	struct weir_backup *backup;
	struct weir_access *access;
	bool is_auth_required; /* whatever the setting `auth` says */
	/* weir.db has a new generation: build and send its snapshot. 0, or -errno with *error. */
	int (*publish)(void *context, struct weir_store_error *error);
	/* The public table was written: read it, and publish what changed. 0, or -errno with *error. */
	int (*table_written)(void *context, struct weir_store_error *error);
	/* The newest published snapshot, or NULL. Valid until the handler returns. */
	const struct weir_snapshot *(*snapshot)(void *context);
	/* Let the code at `path` be built where its runtime wants that; `again`: also where it failed
	 * before. 0: it can run; -EINPROGRESS; -EINVAL: it failed, *out_log (may be NULL; free()) is
	 * what the builder said; or -errno. */
	int (*build)(void *context, const char *runtime, const char *path, bool again,
		     char **out_log);
	/* Try a version before it serves: loaded by a worker of its own, and called. *trial is 0 at first,
	 * then names it. 0: it passed; -EINPROGRESS; -EINVAL: it failed, and `out_reason` says why
	 * (WEIR_API_REASON_BYTES); or -errno. */
	int (*try_version)(void *context, const struct weir_model_function *function,
			   const struct weir_api_trial *wanted, uint64_t *trial, char *out_reason);
	/* Encrypt a secret's value for weir.db: out has room for bytes + WEIR_SECRET_EXTRA_BYTES. 0, or
	 * -errno: there is no key. */
	int (*seal)(void *context, const char *label, const void *value, size_t bytes, uint8_t *out);
	/* Why the function with this id does not run, or NULL; valid until the handler returns. */
	const char *(*problem)(void *context, uint64_t id);
	/* Add the workers of the pools with these keys to a list, {"worker","pid","state","cpu_millicores","memory_mb"}.
	 * 0; -EAGAIN: not now; -ENODEV: nobody tells; or -errno. */
	int (*workers)(void *context, const uint64_t *pools, size_t count, cJSON *list);
	/* Look at all that is kept (databases, code), on another thread. *id is 0 at first, then names it. 0: it is
	 * through, and `answer` has what was found; -EINPROGRESS; -EBUSY: another one is under way; or -errno. */
	int (*examine)(void *context, uint64_t *id, cJSON *answer);
	/* The data directory, for what functions printed (store/log_store.h); and when all of it that
	 * workers have sent is there: once a mark that is asked for now is reached. The same for records of
	 * calls (store/activation_store.h). NULL: at once. */
	const char *data;
	const char *func_root; /* an absolute path: code/func_root.h; NULL: none */
	uint64_t (*mark)(void *context, enum weir_api_kept kept);
	bool (*reached)(void *context, enum weir_api_kept kept, uint64_t mark);
	/* Add the owner's part to the answer of /weir/status. */
	void (*status)(void *context, cJSON *status);
};

struct weir_api;

/* Whose socket it is. */
enum weir_api_door {
	WEIR_API_DOOR_LOCAL,   /* this user's and root's, by the peer's credentials; mode 0600 */
	WEIR_API_DOOR_DIALECT, /* the dialect workers': in a directory that is shown to these alone; mode 0666 */
	WEIR_API_DOORS,
};

/* Make the socket (replacing one that a dead process left) and listen. `owner` is copied. 0,
 * -ENAMETOOLONG (path over 107 bytes), -ENOMEM or -errno. */
int weir_api_create(const struct weir_api_owner *owner, const char *socket_path, enum weir_api_door door,
		    struct weir_api **out_api);

/* Close every connection and remove the socket. NULL is accepted. */
void weir_api_destroy(struct weir_api *api);

/* A descriptor that is readable when weir_api_run() has work; and when it has work without one:
 * CLOCK_MONOTONIC ns, UINT64_MAX for never. */
int weir_api_fd(const struct weir_api *api);
uint64_t weir_api_deadline_ns(const struct weir_api *api);

/* Do what can be done now. Never blocks on a peer; commits block on the disk. */
void weir_api_run(struct weir_api *api);

/* The data path acknowledged: answers what waited for that generation or an older one. */
void weir_api_acknowledge(struct weir_api *api,
			  const struct weir_api_acknowledgement *acknowledgement);

#endif
