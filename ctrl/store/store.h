/* store: Weir's own database, DATA/weir.db: functions and their versions, routes, settings and the
 * generation.
 *
 *   change -> BEGIN IMMEDIATE -> check -> write -> line of history, generation + 1 -> COMMIT (synced) -> 0
 *
 * Every committed change raises the generation by one; a failed one changes nothing. The public
 * table lives in another file (public_table.h), so that nobody's lock on it stops a change here.
 * The file may be damaged, replaced or removed under us: then changes are refused with a sentence
 * and weir_store_open() may be called again; what was published before is not touched.
 * Owns: the connection. Threads: one. May block on the disk, never on another program's lock
 * (-EAGAIN at once; the caller decides how long to try).
 *
 * Errors of all calls that take a struct weir_store_error fill it with a sentence: -EAGAIN (locked),
 * -ENOSPC (disk full), -EBADMSG (damaged), -EACCES, -EROFS, -EIO, -ENOMEM; others are named. */
#ifndef WEIR_CTRL_STORE_STORE_H
#define WEIR_CTRL_STORE_STORE_H

#include "ctrl/model/model_details.h"

enum {
	WEIR_STORE_FUNCTIONS_MAX = 16384,
	WEIR_STORE_ROUTES_MAX = 131072,
	WEIR_STORE_PATH_BYTES_MAX = 4096, /* of a database file, the NUL included */
	WEIR_STORE_SETTING_NAME_MAX = 64,
	WEIR_STORE_CHANGES_MAX = 256,
};

/* Which routes may differ from what they were. */
struct weir_store_changes {
	bool all; /* any: the ids are not all */
	size_t count;
	uint64_t id[WEIR_STORE_CHANGES_MAX]; /* sorted when they are taken; some may stand twice */
};

struct weir_store;

struct weir_store_error {
	char text[4608]; /* a path and a sentence */
};

/* A row of weir.db that another program left as it must not be. It serves nothing; the others do. */
struct weir_store_bad_row {
	char table[16];
	char row[160]; /* which one, for people; cut where it is too long */
	char field[64];
	char reason[256];
};

enum weir_store_bad_kind {
	WEIR_STORE_BAD_FUNCTIONS,  /* as of the last tolerant reading */
	WEIR_STORE_BAD_ROUTES,     /* likewise */
	WEIR_STORE_BAD_REFERENCES, /* as of the last tolerant reading of routes */
	WEIR_STORE_BAD_ALIASES,    /* as of their last reading: store_alias.h */
	WEIR_STORE_BAD_USERS,      /* likewise: store_user.h */
	WEIR_STORE_BAD_KEYS,       /* likewise: store_key.h */
	WEIR_STORE_BAD_KINDS,
};

enum { WEIR_STORE_BAD_ROWS_MAX = 16 }; /* that are kept of a kind */

struct weir_store_bad_rows {
	struct weir_store_bad_row row[WEIR_STORE_BAD_ROWS_MAX];
	size_t count; /* of all; the first ones are kept */
};

/* Functions and routes, for publishing and listing. */
struct weir_store_catalog {
	/* Go on at a row that fails the model's checks: it is noted (weir_store_bad_rows()); a function
	 * that has at least a name gets a stand-in, whose `problem` says what is wrong. */
	bool is_tolerant;
	struct weir_model_function *functions;
	size_t function_count;
	size_t function_room;
	struct weir_model_route *routes;
	size_t route_count;
	size_t route_room;
};

/* Prepare for the database in `directory`; opens nothing yet. 0, -ENAMETOOLONG, -ENOMEM. */
int weir_store_create(const char *directory, struct weir_store **out_store);
void weir_store_destroy(struct weir_store *store);

/* Open, or open again after a failure; with `may_create` a missing file is made and old tables are
 * migrated. The whole file is read once and checked (PRAGMA quick_check). Waits for nobody. 0; -ENOENT
 * (missing and `may_create` is false), -EPROTO (made by a newer Weir), or as above. */
int weir_store_open(struct weir_store *store, bool may_create, struct weir_store_error *error);

/* Is the file still the one that was opened, and sound where something else wrote to it? Cheap when
 * nothing changed. 0 or as above; after a failure the store is closed until weir_store_open(). */
int weir_store_check(struct weir_store *store, struct weir_store_error *error);
bool weir_store_is_open(const struct weir_store *store);

/* Rows that serve nothing, of one kind. Valid until the next reading. */
const struct weir_store_bad_rows *weir_store_bad_rows(const struct weir_store *store,
						      enum weir_store_bad_kind kind);

/* The newest generation. Survives restarts, only grows. */
uint64_t weir_store_generation(const struct weir_store *store);

/* Raise the generation to `generation` if it is smaller (the data path may know a newer one than a
 * restored database). In memory; the next change saves it. */
void weir_store_generation_raise(struct weir_store *store, uint64_t generation);

/* Count one change that was made elsewhere (the public table) and save the new generation. When it
 * cannot be saved the generation still grows in memory, so that publishing goes on: the result then
 * says why, and the next change saves it. */
int weir_store_generation_next(struct weir_store *store, struct weir_store_error *error);

/* One change: begin, then any of the calls below, then either finish, which commits and counts one
 * generation, or undo. Changes nest: each call below that changes something is one of its own, and within
 * another it is a part of that one: only the outermost commits and counts. A part that is undone, as those
 * below are when they fail, spoils the whole: what follows is refused with -ECANCELED, and nothing is changed.
 * Every begin that returned 0 is ended by one finish (whatever that returns) or one undo. */
int weir_store_begin(struct weir_store *store, struct weir_store_error *error);
int weir_store_finish(struct weir_store *store, struct weir_store_error *error);
void weir_store_undo(struct weir_store *store);

/* Functions. `function->id`, `version` and `details` are set by the store. `details` may be NULL: nothing.
 * -EEXIST, -ENOENT, -EINVAL (a field),
 * -EBUSY (routes still lead to it: named in the sentence), -EDQUOT (WEIR_STORE_FUNCTIONS_MAX). */
int weir_store_function_add(struct weir_store *store,
			    const struct weir_model_function *function,
			    const struct weir_model_details *details,
			    struct weir_store_error *error);
int weir_store_function_find(struct weir_store *store, const char *space, const char *name,
			     struct weir_model_function *out_function,
			     struct weir_store_error *error);
int weir_store_function_remove(struct weir_store *store, const char *space, const char *name,
			       struct weir_store_error *error);

/* What a function, as it is or as it was in a version, carries besides (model_details.h): read from the
 * store each time. 0 and *out_details, to be released; -EBADMSG, -ENOMEM. */
int weir_store_details_get(struct weir_store *store, const struct weir_model_function *function,
			   struct weir_model_details *out_details, struct weir_store_error *error);

/* A variable of a function's environment: what its value is, as text or sealed. */
struct weir_store_variable {
	const char *name;
	const void *value; /* NULL: it is unset */
	size_t bytes;
	bool is_secret; /* sealed (ctrl/code/secret.h), for the label "NAMESPACE/NAME VARIABLE" */
};

enum { WEIR_STORE_VARIABLES_MAX = 128 }; /* of one function */

struct weir_store_variables {
	struct weir_store_variable variable[WEIR_STORE_VARIABLES_MAX];
	size_t count;
};

/* Change variables of a function, which thereby gets a new version. 0, -ENOENT, -EDQUOT. */
int weir_store_variables_change(struct weir_store *store, const char *space, const char *name,
				const struct weir_store_variables *variables,
				struct weir_store_error *error);

/* Gets one variable, with the function it is of; returns 0 or -errno, which ends the listing. */
typedef int weir_store_variable_visit(void *context, const struct weir_model_function *function,
				      const struct weir_store_variable *variable);

/* All variables by namespace, function and name; of the function only id, version, space and name are
 * filled. */
int weir_store_variable_each(struct weir_store *store, weir_store_variable_visit *visit,
			     void *context, struct weir_store_error *error);

/* Versions: what a function was, each time it was deployed; numbered from 1. */
struct weir_store_version {
	uint32_t number;
	int64_t created_s;  /* since 1970 */
	char code[65];      /* hash of its code; empty: a path that was there without being deployed */
	bool is_current;
	struct weir_model_function function; /* as it was; id, version: the function's */
};

/* What comes with a version. */
struct weir_store_deployment {
	const char *code;                             /* its hash */
	const struct weir_store_variables *variables; /* to set and unset; NULL: none */
	const struct weir_model_details *details;     /* what it carries from now on; NULL: as function->details says */
	uint32_t versions_max;                        /* that are kept */
};

/* Make `function` the function of its name, new or in place of what is there, as its next version
 * (function->number is not looked at). What was there without a number becomes version 1 first. Of
 * the versions that are neither this one nor the newest `versions_max`
 * the oldest go. 0 and
 * *out_number, -EINVAL (a field), -EDQUOT. */
int weir_store_deploy(struct weir_store *store, const struct weir_model_function *function,
		      const struct weir_store_deployment *deployment, uint32_t *out_number,
		      struct weir_store_error *error);

/* Gets one version; returns 0 or -errno, which ends the listing. */
typedef int weir_store_version_visit(void *context, const struct weir_store_version *version);

/* The versions of a function, newest first. 0, -ENOENT (no such function). */
int weir_store_version_each(struct weir_store *store, const char *space, const char *name,
			    weir_store_version_visit *visit, void *context,
			    struct weir_store_error *error);

/* Make version `number` serve again; 0 = the one before the present one. 0 and *out_version, -ENOENT
 * (no such function or version, said which), -EEXIST (it serves already). */
int weir_store_rollback(struct weir_store *store, const char *space, const char *name,
			uint32_t number, struct weir_store_version *out_version,
			struct weir_store_error *error);

/* Does a version refer to this code, or one that history can bring back? True as well where that cannot be
 * found out. */
bool weir_store_code_used(struct weir_store *store, const char *code);

/* Routes. Two patterns are the same if they differ in parameter names only. Add: -EEXIST if a route
 * of the same host and pattern has one of the methods already; -ENOENT if `route->space`/`name` is
 * no function. Update and remove name a route by methods, host and pattern exactly: -ENOENT, with
 * near misses in the sentence. -EINVAL (a field), -EDQUOT (WEIR_STORE_ROUTES_MAX). */
int weir_store_route_add(struct weir_store *store, const struct weir_model_route *route,
			 struct weir_store_error *error);
int weir_store_route_find(struct weir_store *store, const struct weir_model_route *key,
			  struct weir_model_route *out_route, struct weir_store_error *error);
int weir_store_route_update(struct weir_store *store, const struct weir_model_route *route,
			    struct weir_store_error *error);
int weir_store_route_remove(struct weir_store *store, const struct weir_model_route *key,
			    struct weir_store_error *error);

/* Who keeps the routes need not read them all again: which have changed since the last call? All,
 * after opening and when another program wrote to the file. */
void weir_store_changes_take(struct weir_store *store, struct weir_store_changes *out_changes);

/* One route by id: -ENOENT if it is gone. All, by host, pattern and methods: `visit` returns 0 or
 * -errno, which ends it. Rows that no longer pass the model's checks are -EBADMSG, more rows than
 * twice WEIR_STORE_ROUTES_MAX -E2BIG. */
typedef int weir_store_route_visit(void *context, const struct weir_model_route *route);
int weir_store_route_get(struct weir_store *store, uint64_t id,
			 struct weir_model_route *out_route, struct weir_store_error *error);
int weir_store_route_each(struct weir_store *store, weir_store_route_visit *visit,
			  void *context, struct weir_store_error *error);

/* The same, but rows that fail the checks are noted (weir_store_bad_rows()) and left out. */
int weir_store_route_each_sound(struct weir_store *store, weir_store_route_visit *visit,
				void *context, struct weir_store_error *error);

/* The form in which patterns are compared: every "{name}" becomes "{}". */
void weir_store_pattern_shape(const char *pattern, char out[WEIR_MODEL_PATTERN_BYTES_MAX + 1]);

/* True if two routes stand in each other's way: same host and shape, one method in common. */
bool weir_store_routes_overlap(const struct weir_model_route *a,
			       const struct weir_model_route *b);

/* Settings: whole numbers by name; which exist and what they mean is the caller's business.
 * Unset: -ENOENT if it was not set. */
int weir_store_setting_set(struct weir_store *store, const char *name, uint64_t value,
			   struct weir_store_error *error);
int weir_store_setting_unset(struct weir_store *store, const char *name,
			     struct weir_store_error *error);
typedef void weir_store_setting_visit(void *context, const char *name, uint64_t value);
int weir_store_setting_each(struct weir_store *store, weir_store_setting_visit *visit,
			    void *context, struct weir_store_error *error);

/* Settings of pools, by the pool's name: whole numbers likewise. A pool that is not there may have
 * some. */
struct weir_store_pool_setting {
	const char *name;
	bool is_unset; /* back to the default */
	uint32_t value;
};

/* Change settings of a pool; with `reset` all others go back to their defaults first. */
int weir_store_pool_change(struct weir_store *store, const char *pool, bool reset,
			   const struct weir_store_pool_setting *settings, size_t count,
			   struct weir_store_error *error);

/* All of them by pool and name. `visit` returns 0 or -errno, which ends it. */
typedef int weir_store_pool_visit(void *context, const char *pool, const char *name, uint32_t value);
int weir_store_pool_each(struct weir_store *store, weir_store_pool_visit *visit, void *context,
			 struct weir_store_error *error);

/* Append all functions and routes, or functions only, in a fixed order (by name; by pattern). The catalog
 * starts zeroed but for `is_tolerant` and is released by the caller, after a failure too. Rows that no
 * longer pass the model's checks are -EBADMSG where it is not tolerant. */
int weir_store_load(struct weir_store *store, struct weir_store_catalog *catalog,
		    struct weir_store_error *error);
int weir_store_load_functions(struct weir_store *store, struct weir_store_catalog *catalog,
			      struct weir_store_error *error);
void weir_store_catalog_release(struct weir_store_catalog *catalog);

/* Make room for one more; the new record is zeroed. NULL: no memory, or the limit is reached. */
struct weir_model_function *weir_store_catalog_function(struct weir_store_catalog *catalog);
struct weir_model_route *weir_store_catalog_route(struct weir_store_catalog *catalog);

#endif
