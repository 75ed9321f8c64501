#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/pool_setting.h"
#include "ctrl/api/setting.h"
#include "ctrl/ctrld/ctrld.h"
#include "ctrl/model/builtin.h"
#include "ctrl/queue/queue_policy.h"
#include "ctrl/publish/publish_image.h"
#include "ctrl/store/store_alias.h"
#include "ctrl/store/store_key.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/program_path.h"
#include "dataplane/shm/control.h"

/* Changes in a row cost one write of the copy on the disk, after their acknowledgements. */
enum { SAVE_DELAY_MS = 500, SAVE_AGAIN_MS = 2000 };

static int fail(struct weir_store_error *error, int code, const char *what)
{
	(void)snprintf(error->text, sizeof(error->text), "%s: %s", what,
		       strerror(-code)); /* cut is fine */
	return code;
}

void weir_ctrld_snapshot_inherit(struct weir_ctrld *ctrld, int fd)
{
	struct weir_snapshot snapshot = {0};
	const int code = weir_snapshot_attach(fd, &snapshot);

	if (code != 0) {
		weir_log(WEIR_LOG_WARN, "the snapshot that was handed over is not sound",
			 "error=\"%s\"", strerror(-code));
		weir_fd_close(&fd);
		return;
	}
	ctrld->snapshot = snapshot;
	ctrld->snapshot_fd = fd;
	weir_recorder_snapshot(ctrld->recorder, fd);
	weir_store_generation_raise(ctrld->store, snapshot.header->generation);
	/* Whoever built it may have died before its copy was on the disk. */
	ctrld->published_ns = weir_clock_now_ns();
	ctrld->save_due_ns = ctrld->published_ns + SAVE_DELAY_MS * WEIR_NS_PER_MS;
}

/* Which rows lost against a route of Weir's own. */
static void shadowed_mark(struct weir_ctrld *ctrld)
{
	for (size_t i = 0; i < ctrld->routes.count; i++) {
		const struct weir_publish_entry *entry = &ctrld->routes.entry[i];
		struct weir_public_row *row = NULL;

		if (entry->rank != WEIR_PUBLISH_PUBLIC)
			continue;
		WEIR_ASSERT(entry->origin < ctrld->rows.count);
		row = &ctrld->rows.rows[entry->origin];
		WEIR_ASSERT(entry->id == row->route.id);
		if (entry->shadowed && !row->shadowed) {
			weir_log(WEIR_LOG_WARN,
				 "a row of the public table is shadowed by a route of Weir's "
				 "own",
				 "row=\"%s\"", row->key);
		}
		row->shadowed = entry->shadowed;
	}
}

/* A route of weir.db. One that a dialect's has taken since it was made is left out. */
static int route_list(void *context, const struct weir_model_route *route)
{
	struct weir_ctrld *ctrld = context;
	struct weir_model_error wrong;

	if (weir_builtin_route_check(route, &wrong) == 0)
		return weir_publish_list_add(&ctrld->routes, route, WEIR_PUBLISH_STORE, 0);
	weir_log(WEIR_LOG_WARN, "a route is left out", "route=\"%s\" reason=\"%s\"", route->pattern, wrong.reason);
	return 0;
}

/* Once: they never change. */
static int builtins_list(struct weir_ctrld *ctrld)
{
	struct weir_model_route route;
	int code = 0;

	for (size_t i = 0; code == 0 && !ctrld->builtins_listed && weir_builtin_route(i, &route); i++)
		code = weir_publish_list_add(&ctrld->routes, &route,
					     weir_builtin_yields(i) ? WEIR_PUBLISH_FALLBACK : WEIR_PUBLISH_BUILTIN,
					     (uint32_t)i);
	ctrld->builtins_listed = ctrld->builtins_listed || code == 0;
	return code;
}

/* Bring the list up to these changes of the store. */
static int changes_list(struct weir_ctrld *ctrld, const struct weir_store_changes *changes,
			struct weir_store_error *error)
{
	weir_publish_list_remove(&ctrld->routes, changes->id, changes->count);
	for (size_t i = 0; i < changes->count; i++) {
		struct weir_model_route route = {0};
		int code = 0;

		if (i > 0 && changes->id[i] == changes->id[i - 1])
			continue;
		code = weir_store_route_get(ctrld->store, changes->id[i], &route, error);
		if (code == -ENOENT)
			continue;
		if (code == 0 && route_list(ctrld, &route) != 0)
			code = fail(error, -ENOMEM, "too many routes");
		if (code != 0)
			return code;
	}
	return 0;
}

/* Of 100,000 routes one changes: the others are not read again. */
static int store_list(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	struct weir_store_changes changes;
	int code = 0;

	weir_store_changes_take(ctrld->store, &changes);
	if (ctrld->routes_listed && !changes.all) {
		code = changes_list(ctrld, &changes, error);
	} else {
		weir_publish_list_remove_all(&ctrld->routes, WEIR_PUBLISH_STORE);
		code = weir_store_route_each_sound(ctrld->store, route_list, ctrld, error);
	}
	ctrld->routes_listed = code == 0;
	return code;
}

/* A dialect has the requests of this row: true, and said once. */
static bool row_is_taken(struct weir_public_row *row)
{
	struct weir_model_error wrong;
	const bool is_taken = weir_builtin_route_check(&row->route, &wrong) != 0;

	if (is_taken && !row->shadowed)
		weir_log(WEIR_LOG_WARN, "a row of the public table is shadowed", "row=\"%s\" reason=\"its route %s\"",
			 row->key, wrong.reason);
	row->shadowed = is_taken || row->shadowed;
	return is_taken;
}

static int rows_list(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	if (ctrld->rows_listed == ctrld->rows.readings)
		return 0;
	ctrld->rows_listed = 0; /* not a reading's number */
	weir_publish_list_remove_all(&ctrld->routes, WEIR_PUBLISH_PUBLIC);
	for (size_t i = 0; i < ctrld->rows.count; i++) {
		struct weir_public_row *row = &ctrld->rows.rows[i];

		if (row->value == NULL || row_is_taken(row))
			continue;
		if (weir_publish_list_add(&ctrld->routes, &row->route, WEIR_PUBLISH_PUBLIC, (uint32_t)i) != 0)
			return fail(error, -ENOMEM, "too many routes");
	}
	ctrld->rows_listed = ctrld->rows.readings;
	return 0;
}

uint32_t weir_ctrld_runtimes_missing(void)
{
	uint32_t missing = 0;

	for (uint32_t i = WEIR_RUNTIME_MISSING + 1; i < WEIR_RUNTIME_COUNT; i++) {
		char name[32];
		char path[PATH_MAX];

		(void)snprintf(name, sizeof(name), "weir-worker-%s", weir_runtime_name(i)); /* fits */
		if (weir_program_path_find(name, path) != 0)
			missing |= 1U << i;
	}
	return missing;
}

/* What a snapshot is made of, besides the routes. */
struct ingredients {
	struct weir_store_catalog catalog;
	struct weir_pool_list pools;
	struct weir_store_keys keys;
	struct weir_setting_values values;
};

static void ingredients_release(struct ingredients *ingredients)
{
	weir_store_catalog_release(&ingredients->catalog);
	weir_pool_settings_release(&ingredients->pools);
	weir_store_keys_release(&ingredients->keys);
}

static int snapshot_build(struct weir_ctrld *ctrld, const struct ingredients *ingredients,
			  struct weir_store_error *error)
{
	const struct weir_publish_input input = {
		.generation = weir_store_generation(ctrld->store),
		.settings = ingredients->values.data,
		.pool_workers_min = ingredients->values.pool_workers_min,
		.pool_workers_max = ingredients->values.pool_workers_max,
		.runtimes_missing = weir_ctrld_runtimes_missing(),
		.pools = ingredients->pools.pool,
		.pool_count = ingredients->pools.count,
		.functions = ingredients->catalog.functions,
		.function_count = ingredients->catalog.function_count,
		.keys = ingredients->keys.key,
		.key_count = ingredients->keys.count,
	};
	struct weir_snapshot snapshot = {0};
	int fd = -1;
	const int code = weir_publish_build_list(&input, &ctrld->routes, &fd, &snapshot);

	if (code != 0)
		return fail(error, code, "cannot build a snapshot");
	shadowed_mark(ctrld);
	weir_snapshot_detach(&ctrld->snapshot);
	weir_fd_close(&ctrld->snapshot_fd);
	ctrld->snapshot = snapshot;
	ctrld->snapshot_fd = fd;
	weir_recorder_snapshot(ctrld->recorder, fd);
	return 0;
}

static void snapshot_send(struct weir_ctrld *ctrld)
{
	const struct weir_control message = {
		.kind = WEIR_CONTROL_SNAPSHOT,
		.snapshot = {.generation = ctrld->snapshot.header->generation},
	};
	const int code = weir_control_send(WEIR_CONTROL_FD, &message, &ctrld->snapshot_fd, 1);

	if (code == -EAGAIN) {
		ctrld->send_due = true; /* the newest goes when the supervisor reads again */
		return;
	}
	ctrld->send_due = false;
	if (code != 0) {
		weir_log(WEIR_LOG_ERROR, "cannot send the snapshot to the supervisor",
			 "error=\"%s\"", strerror(-code));
		ctrld->stopping =
			true; /* its side is gone; whoever starts us again gets a new one */
		return;
	}
	ctrld->generation_sent = message.snapshot.generation;
	ctrld->published_ns = weir_clock_now_ns();
}

static int builtins_append(struct weir_ctrld *ctrld, struct weir_store_catalog *catalog,
			   const struct weir_setting_values *values, struct weir_store_error *error)
{
	const struct weir_queue_limits limits = {
		.rows_max = values->async_rows_max,
		.bytes_max = values->async_bytes_max,
		.body_bytes_max = values->async_body_bytes_max,
		.running_max = values->async_running_max,
		.retries_max = values->async_retries_max,
		.retry_ms = values->async_retry_ms,
		.keep_s = values->async_keep_s,
		.key_keep_s = values->async_key_keep_s,
	};
	char limits_text[WEIR_QUEUE_LIMITS_BYTES];
	struct weir_model_function builtin;

	if (!weir_queue_limits_format(&limits, limits_text))
		return fail(error, -EINVAL, "the limits of asynchronous calls are too long");

	for (size_t i = 0; weir_builtin_function(i, ctrld->data, &builtin); i++) {
		struct weir_model_function *function = weir_store_catalog_function(catalog);

		if (function == NULL)
			return fail(error, -ENOMEM, "too many functions");
		*function = builtin;
		weir_builtin_queue_settle(function, limits_text);
	}
	return 0;
}

static int trials_append(struct weir_ctrld *ctrld, struct weir_store_catalog *catalog,
			 struct weir_store_error *error)
{
	const struct weir_model_function *trial = NULL;

	for (size_t i = 0; (trial = weir_trial_function(ctrld->trials, i)) != NULL; i++) {
		struct weir_model_function *function = weir_store_catalog_function(catalog);

		if (function == NULL)
			return fail(error, -ENOMEM, "too many functions");
		*function = *trial;
	}
	return 0;
}

/* Each is named in `ctrlctl status`; the log hears of the first, once. */
static void bad_rows_log(struct weir_ctrld *ctrld)
{
	const struct weir_store_bad_row *first = NULL;
	size_t count = 0;

	for (enum weir_store_bad_kind kind = 0; kind < WEIR_STORE_BAD_KINDS; kind++) {
		const struct weir_store_bad_rows *bad = weir_store_bad_rows(ctrld->store, kind);

		if (first == NULL && bad->count > 0)
			first = &bad->row[0];
		count += bad->count;
	}
	if (count > 0 && count != ctrld->bad_rows)
		weir_log(WEIR_LOG_ERROR, "rows of weir.db are damaged and serve nothing",
			 "rows=%zu table=%s row=\"%s\" field=%s reason=\"%s\"", count, first->table, first->row,
			 first->field, first->reason);
	ctrld->bad_rows = count;
}

struct weir_recorder_limits weir_ctrld_record_limits(const struct weir_setting_values *values)
{
	return (struct weir_recorder_limits){
		.kept_per_s = values->activation_kept_per_s,
		.full_per_s = values->activation_full_per_s,
		.failed_per_s = values->activation_failed_per_s,
		.rows_max = values->activation_rows_max,
		.keep_s = values->activation_keep_s,
	};
}

/* Weir's own functions, those with an image with the code of the one that it stands for. */
static int functions_load(struct weir_ctrld *ctrld, struct weir_store_catalog *catalog,
			  struct weir_store_error *error)
{
	WEIR_CLEANUP(weir_store_aliases_release) struct weir_store_aliases aliases = {.alias = NULL};
	int code = weir_store_load_functions(ctrld->store, catalog, error);

	if (code == 0)
		code = weir_store_aliases_load(ctrld->store, &aliases, error);
	if (code == 0)
		weir_publish_images_resolve(catalog->functions, catalog->function_count, aliases.alias, aliases.count);
	return code;
}

/* The settings, and what of them others need to know. */
static int settings_load(struct weir_ctrld *ctrld, struct weir_setting_values *values, struct weir_store_error *error)
{
	struct weir_recorder_limits records;
	const int code = weir_setting_load(ctrld->store, values, error);

	if (code != 0)
		return code;
	if (ctrld->is_auth_required)
		values->data.auth_required = 1;
	weir_collector_limits(ctrld->collector, values->log_bytes_max, values->log_keep_s);
	records = weir_ctrld_record_limits(values);
	weir_recorder_limits(ctrld->recorder, &records);
	weir_builder_time_set(ctrld->builder, values->build_timeout_ms);
	return 0;
}

/* All functions that are published, and their environments. */
static int catalog_fill(struct weir_ctrld *ctrld, const struct weir_setting_values *values,
			struct weir_store_catalog *catalog, struct weir_store_error *error)
{
	int code = functions_load(ctrld, catalog, error);

	if (code == 0 && weir_public_rows_append_functions(&ctrld->rows, catalog) != 0)
		code = fail(error, -ENOMEM, "too many functions");
	weir_builder_settle_begin(ctrld->builder);
	if (code == 0)
		code = trials_append(ctrld, catalog, error);
	for (size_t i = 0; code == 0 && i < catalog->function_count; i++)
		weir_builder_settle(ctrld->builder, &catalog->functions[i]);
	if (code == 0)
		code = weir_environments_publish(ctrld->environments, ctrld->store, ctrld->trials, catalog, error);
	return code == 0 ? builtins_append(ctrld, catalog, values, error) : code;
}

static int publish(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	WEIR_CLEANUP(ingredients_release) struct ingredients ingredients = {.catalog = {.is_tolerant = true}};
	int code = settings_load(ctrld, &ingredients.values, error);

	if (code == 0)
		code = catalog_fill(ctrld, &ingredients.values, &ingredients.catalog, error);
	if (code == 0 && builtins_list(ctrld) != 0)
		code = fail(error, -ENOMEM, "too many routes");
	if (code == 0)
		code = store_list(ctrld, error);
	if (code == 0)
		code = rows_list(ctrld, error);
	if (code == 0)
		code = weir_pool_settings_load(ctrld->store, &ingredients.pools, error);
	if (code == 0)
		code = weir_store_keys_load(ctrld->store, &ingredients.keys, error);
	return code == 0 ? snapshot_build(ctrld, &ingredients, error) : code;
}

int weir_ctrld_publish(struct weir_ctrld *ctrld, struct weir_store_error *error)
{
	const int code = publish(ctrld, error);

	ctrld->publish_due = code != 0;
	bad_rows_log(ctrld);
	weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_PUBLISH,
			       code != 0 ? error->text : NULL);
	if (code != 0)
		return code;
	weir_trials_published(ctrld->trials, ctrld->snapshot.header->generation);
	snapshot_send(ctrld);
	if (ctrld->save_due_ns == UINT64_MAX)
		ctrld->save_due_ns = weir_clock_now_ns() + SAVE_DELAY_MS * WEIR_NS_PER_MS;
	return 0;
}

void weir_ctrld_publish_again(struct weir_ctrld *ctrld)
{
	struct weir_store_error error = {{0}};

	/* Where it cannot be saved it grew in memory; a failure to publish is a problem, and tried again. */
	(void)weir_store_generation_next(ctrld->store, &error);
	(void)weir_ctrld_publish(ctrld, &error);
}

static void snapshot_save(struct weir_ctrld *ctrld)
{
	char path[WEIR_STORE_PATH_BYTES_MAX + sizeof("/snapshot.weir")];
	char sentence[512];
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/snapshot.weir", ctrld->data); /* fits */
	code = weir_publish_save(ctrld->snapshot_fd, path);
	if (code == 0) {
		weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_DISK, NULL);
		return;
	}
	ctrld->save_due_ns = weir_clock_now_ns() + SAVE_AGAIN_MS * WEIR_NS_PER_MS;
	(void)snprintf(sentence, sizeof(sentence),
		       "cannot write snapshot.weir in the data directory (%s); a restart would "
		       "begin with the old one, "
		       "then read the database",
		       strerror(-code));
	weir_ctrld_problem_set(ctrld, WEIR_CTRLD_PROBLEM_DISK, sentence);
}

void weir_ctrld_publisher_run(struct weir_ctrld *ctrld, uint64_t now_ns)
{
	if (ctrld->send_due)
		snapshot_send(ctrld);
	if (ctrld->save_due_ns <= now_ns && ctrld->snapshot_fd != -1) {
		ctrld->save_due_ns = UINT64_MAX;
		snapshot_save(ctrld);
	}
}

void weir_ctrld_publisher_close(struct weir_ctrld *ctrld)
{
	if (ctrld->save_due_ns != UINT64_MAX && ctrld->snapshot_fd != -1)
		snapshot_save(ctrld);
	weir_snapshot_detach(&ctrld->snapshot);
	weir_fd_close(&ctrld->snapshot_fd);
	weir_publish_list_release(&ctrld->routes);
}

void weir_ctrld_acknowledged(struct weir_ctrld *ctrld,
			     const struct weir_api_acknowledgement *acknowledgement,
			     uint64_t took_ns)
{
	const bool first = acknowledgement->generation > ctrld->acknowledged.generation &&
			   acknowledgement->acked == acknowledgement->total;

	ctrld->acknowledged = *acknowledgement;
	ctrld->acknowledged_took_ns = took_ns;
	if (acknowledgement->total > 0 && acknowledgement->acked == acknowledgement->total)
		weir_trials_acknowledged(ctrld->trials, acknowledgement->generation);
	if (first) {
		weir_log(WEIR_LOG_INFO, "published",
			 "generation=%llu acked=%u/%u functions=%u ms=%.3f",
			 (unsigned long long)acknowledgement->generation,
			 acknowledgement->acked, acknowledgement->total,
			 ctrld->snapshot.header == NULL ? 0 : ctrld->snapshot.function_count,
			 (double)(weir_clock_now_ns() - ctrld->published_ns) / 1e6);
	}
	for (size_t i = 0; i < WEIR_API_DOORS; i++) {
		if (ctrld->api[i] != NULL)
			weir_api_acknowledge(ctrld->api[i], acknowledgement);
	}
}
