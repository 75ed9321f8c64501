#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/ctrld/ctrld.h"
#include "ctrl/store/history.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"

enum {
	CHECK_MS = 1000, /* between two looks at everything, events or not */
	LOCKED_MS = 20,  /* between two tries at a locked table */
	LOOKS_MAX = 4,   /* after an event of the file, */
	SWEEP_MS = 300000,
	LOOK_AGAIN_MS = 6, /* each after twice the time of the last: 6, 12, 24, 48 ms */
};

void weir_ctrld_problem_set(struct weir_ctrld *ctrld, enum weir_ctrld_problem problem,
			    const char *sentence)
{
	char *text = ctrld->problem[problem];
	char fresh[sizeof(ctrld->problem[problem])] = "";

	if (sentence != NULL)
		(void)snprintf(fresh, sizeof(fresh), "%s", sentence); /* cut is fine */
	if (strcmp(text, fresh) == 0)
		return;
	if (sentence != NULL) {
		weir_log(WEIR_LOG_ERROR, "problem", "%s", fresh);
	} else {
		weir_log(WEIR_LOG_INFO, "problem solved", "it was: %s", text);
	}
	(void)snprintf(text, sizeof(fresh), "%s", fresh);
}

static void row_report(void *context, const struct weir_public_row *row,
		       enum weir_public_event event)
{
	(void)context;
	switch (event) {
	case WEIR_PUBLIC_ROW_TAKEN:
		weir_log(WEIR_LOG_INFO, "row taken", "row=\"%s\" runtime=%s module=\"%s\"",
			 row->key, row->function.runtime, row->function.code_path);
		break;
	case WEIR_PUBLIC_ROW_REFUSED:
		weir_log(WEIR_LOG_ERROR, "row refused",
			 "row=\"%s\" field=%s reason=\"%s\" effect=\"%s\"", row->key,
			 row->error.field, row->error.reason,
			 row->value == NULL ? "it serves nothing"
					    : "its last good version serves");
		break;
	case WEIR_PUBLIC_ROW_GONE:
		weir_log(WEIR_LOG_INFO, "row gone", "row=\"%s\"", row->key);
		break;
	}
}

/* Rows changed: a new generation, saved if weir.db can be written, published in any case. */
static int rows_commit(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	const int code = weir_public_rows_save(&ctrld->rows, ctrld->store, error);

	if (code != 0) {
		weir_store_generation_raise(ctrld->store,
					    weir_store_generation(ctrld->store) + 1);
	}
	weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_ROWS, code != 0 ? error->text : NULL);
	return weir_ctrld_publish(ctrld, error);
}

int weir_ctrld_table_sync(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	const uint64_t now_ns = weir_clock_now_ns();
	bool changed = false;
	const int code =
		weir_public_rows_sync(&ctrld->rows, ctrld->table,
				      weir_store_generation(ctrld->store) + 1, &changed, error);

	if (code == -EAGAIN)
		ctrld->table_due_ns = now_ns + LOCKED_MS * WEIR_NS_PER_MS;
	if (code != -EAGAIN) {
		weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_TABLE,
				       code != 0 ? error->text : NULL);
	}
	if (code != 0)
		return code;
	return changed ? rows_commit(ctrld, error) : 0;
}

/* weir.db opened for the first time, or again after trouble. */
static bool store_open(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	const int code = weir_store_open(ctrld->store, !ctrld->store_was_open, error);

	if (code == 0 && !ctrld->rows_loaded) {
		ctrld->rows_loaded =
			weir_public_rows_load(&ctrld->rows, ctrld->store, error) == 0;
	}
	weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_STORE,
			       code == 0 && ctrld->rows_loaded ? NULL : error->text);
	ctrld->store_was_open = ctrld->store_was_open || code == 0;
	return code == 0 && ctrld->rows_loaded;
}

/* The public table exists from the first start on. One that vanished while Weir was off comes back
 * with its last good rows; one that vanishes later is left to whoever did it. */
static void table_make(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	struct weir_public_rows_walk walk = {.rows = &ctrld->rows};
	bool made = false;
	int code = 0;

	if (ctrld->table_made)
		return;
	code = weir_public_table_make(ctrld->table, weir_public_rows_next, &walk, &made, error);
	if (code == 0 && made && ctrld->rows.count > 0) {
		weir_log(WEIR_LOG_WARN, "the public table was missing and was made again",
			 "rows=%zu", ctrld->rows.count);
	}
	ctrld->table_made = code == 0;
	if (code != 0)
		weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_TABLE, error->text);
	code = weir_public_table_script_write(ctrld->data);
	if (code != 0) {
		weir_log(WEIR_LOG_WARN, "cannot write init.sql", "error=\"%s\"",
			 strerror(-code));
	}
}

/* All is open: take the rows in, then publish under a fresh generation, whatever changed meanwhile. */
static void publish_fresh(struct weir_ctrld *ctrld)
{
	struct weir_store_error error = {{0}};
	bool changed = false;
	int code = weir_public_rows_sync(&ctrld->rows, ctrld->table,
					 weir_store_generation(ctrld->store) + 1, &changed,
					 &error);

	weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_TABLE, code != 0 ? error.text : NULL);
	/* Until it is saved, the generation at least, it is tried again. */
	ctrld->rows.unsaved = true;
	code = weir_public_rows_save(&ctrld->rows, ctrld->store, &error);
	if (code != 0)
		weir_store_generation_raise(ctrld->store,
					    weir_store_generation(ctrld->store) + 1);
	weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_ROWS, code != 0 ? error.text : NULL);
	(void)weir_ctrld_publish(ctrld, &error); /* a failure is a problem, and tried again */
}

void weir_ctrld_databases_open(struct weir_ctrld *ctrld)
{
	struct weir_store_error error = {{0}};
	const int watching = weir_watch_open(ctrld->data, &ctrld->watch_fd);

	if (watching != 0) {
		weir_ctrld_problem_set(
			ctrld, WEIR_CTRLD_PROBLEM_WATCH,
			"the kernel has no inotify watch left; changes of the public "
			"table are found "
			"within a second instead");
	}
	ctrld->rows.report = row_report;
	ctrld->check_due_ns = weir_clock_now_ns() + CHECK_MS * WEIR_NS_PER_MS;
	if (store_open(ctrld, &error)) {
		table_make(ctrld, &error);
		publish_fresh(ctrld);
	}
}

static void store_look(struct weir_ctrld *ctrld)
{
	struct weir_store_error error = {{0}};
	const bool was_open = weir_store_is_open(ctrld->store) && ctrld->rows_loaded;
	int code = 0;

	if (was_open) {
		code = weir_store_check(ctrld->store, &error);
		weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_STORE,
				       code != 0 ? error.text : NULL);
		/* Another program's change takes effect, as a generation of its own. */
		if (code == 0 && weir_history_look(ctrld->store)) {
			weir_log(WEIR_LOG_WARN, "another program changed weir.db", "generation=%llu",
				 (unsigned long long)weir_store_generation(ctrld->store));
			ctrld->publish_due = true;
		}
		return;
	}
	if (!store_open(ctrld, &error))
		return;
	table_make(ctrld, &error);
	publish_fresh(ctrld);
}

static void leftovers_look(struct weir_ctrld *ctrld)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (ctrld->rows.unsaved) {
		code = weir_public_rows_save(&ctrld->rows, ctrld->store, &error);
		weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_ROWS,
				       code != 0 ? error.text : NULL);
		ctrld->publish_due =
			ctrld->publish_due || code == 0; /* under its saved generation */
	}
	if (ctrld->publish_due)
		(void)weir_ctrld_publish(ctrld,
					 &error); /* a failure is a problem, and tried again */
}

void weir_ctrld_databases_check(struct weir_ctrld *ctrld, uint64_t now_ns)
{
	struct weir_store_error error = {{0}};

	if (!ctrld->started)
		return;
	if (ctrld->check_due_ns <= now_ns) {
		ctrld->check_due_ns = now_ns + CHECK_MS * WEIR_NS_PER_MS;
		store_look(ctrld);
		if (weir_store_is_open(ctrld->store)) {
			table_make(ctrld, &error);
			leftovers_look(ctrld);
		}
		ctrld->table_due_ns = now_ns;
	}
	if (ctrld->table_due_ns > now_ns)
		return;
	/* The write that woke us may come before the step that makes the commit visible (the index of
	 * the log is mapped memory, of which nothing tells): look a few times more. */
	ctrld->table_due_ns = UINT64_MAX;
	if (ctrld->table_looks < LOOKS_MAX)
		ctrld->table_due_ns =
			now_ns + ((uint64_t)LOOK_AGAIN_MS << ctrld->table_looks++) * WEIR_NS_PER_MS;
	if (ctrld->rows_loaded && weir_public_table_changed(ctrld->table)) {
		(void)weir_ctrld_table_sync(
			ctrld, &error); /* a failure is a problem, and tried again */
	}
}

/* Does a row of the public table name a file of it? */
static bool row_uses(const struct weir_ctrld *ctrld, const char *hash)
{
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	const size_t bytes = strlen(weir_code_path(ctrld->code, hash, folder));

	for (size_t i = 0; i < ctrld->rows.count; i++) {
		const struct weir_public_row *row = &ctrld->rows.rows[i];

		if (row->value != NULL && strncmp(row->function.code_path, folder, bytes) == 0)
			return true;
	}
	return false;
}

static bool code_used(void *context, const char *hash)
{
	const struct weir_ctrld *ctrld = context;

	return weir_builder_uses(ctrld->builder, hash) || weir_store_code_used(ctrld->store, hash) ||
	       row_uses(ctrld, hash);
}

void weir_ctrld_code_sweep(struct weir_ctrld *ctrld, uint64_t now_ns)
{
	size_t removed = 0;

	if (!ctrld->started || ctrld->sweep_due_ns > now_ns)
		return;
	ctrld->sweep_due_ns = now_ns + SWEEP_MS * WEIR_NS_PER_MS;
	removed = weir_code_sweep(ctrld->code, (int64_t)time(NULL), code_used, ctrld);
	if (removed > 0)
		weir_log(WEIR_LOG_INFO, "code removed that no version refers to", "removed=%zu",
			 removed);
}

void weir_ctrld_databases_close(struct weir_ctrld *ctrld)
{
	weir_public_rows_release(&ctrld->rows);
	weir_public_table_destroy(ctrld->table);
	weir_store_destroy(ctrld->store);
	weir_environments_destroy(ctrld->environments);
	weir_trials_destroy(ctrld->trials);
	weir_builder_destroy(ctrld->builder);
	weir_examiner_destroy(ctrld->examiner);
	weir_access_close(&ctrld->access);
	weir_backup_close(ctrld->backup);
	weir_code_close(ctrld->code);
	weir_fd_close(&ctrld->watch_fd);
}
