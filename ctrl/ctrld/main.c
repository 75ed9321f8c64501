#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/api/setting.h"
#include "ctrl/ctrld/ctrld.h"
#include "ctrl/model/builtin.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/board.h"
#include "dataplane/shm/control.h"

enum {
	EXIT_USAGE = 2,
	DEBOUNCE_MS = 2, /* a commit writes its log in several steps */
	EVENTS_MAX = 8,
	MEMORY_KEPT_BYTES = 32 << 20, /* the most that the C library takes here */
};

static int api_publish(void *context, struct weir_store_error *error)
{
	return weir_ctrld_publish(context, error);
}

static int api_table_written(void *context, struct weir_store_error *error)
{
	return weir_ctrld_table_sync(context, error);
}

static const struct weir_snapshot *api_snapshot(void *context)
{
	const struct weir_ctrld *ctrld = context;

	return ctrld->snapshot.header == NULL ? NULL : &ctrld->snapshot;
}

static uint64_t api_mark(void *context, enum weir_api_kept kept)
{
	const struct weir_ctrld *ctrld = context;

	return kept == WEIR_API_OUTPUT ? weir_collector_mark(ctrld->collector) : weir_recorder_mark(ctrld->recorder);
}

static bool api_reached(void *context, enum weir_api_kept kept, uint64_t mark)
{
	const struct weir_ctrld *ctrld = context;

	return kept == WEIR_API_OUTPUT ? weir_collector_reached(ctrld->collector, mark)
				       : weir_recorder_reached(ctrld->recorder, mark);
}

static void problem_add(cJSON *problems, const char *what, const char *reason)
{
	cJSON *problem = NULL;

	if (reason[0] == '\0')
		return;
	problem = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(problem, "what", what);
	(void)cJSON_AddStringToObject(problem, "reason", reason);
	(void)cJSON_AddItemToArray(problems, problem);
}

/* Records of calls: how many there were, and which are kept. */
static void records_status(const struct weir_ctrld *ctrld, cJSON *status, cJSON *problems)
{
	struct weir_recorder_status records;
	cJSON *const json = cJSON_AddObjectToObject(status, "activations");

	weir_recorder_status_get(ctrld->recorder, &records);
	(void)cJSON_AddNumberToObject(json, "seen", (double)records.seen);
	(void)cJSON_AddNumberToObject(json, "kept", (double)records.kept);
	(void)cJSON_AddNumberToObject(json, "skipped", (double)records.skipped);
	(void)cJSON_AddNumberToObject(json, "failed", (double)records.failed);
	(void)cJSON_AddNumberToObject(json, "lost", (double)records.lost);
	problem_add(problems, "activations", records.problem);
}

/* What functions print: how much is kept, and what was not. */
static void output_status(const struct weir_ctrld *ctrld, cJSON *status, cJSON *problems)
{
	struct weir_collector_status output;
	cJSON *const json = cJSON_AddObjectToObject(status, "output");

	weir_collector_status_get(ctrld->collector, &output);
	(void)cJSON_AddNumberToObject(json, "bytes", (double)output.totals.bytes);
	(void)cJSON_AddNumberToObject(json, "bytes_max", (double)output.bytes_max);
	(void)cJSON_AddNumberToObject(json, "dropped", (double)output.totals.dropped);
	(void)cJSON_AddNumberToObject(json, "refused", (double)output.refused);
	problem_add(problems, "output", output.problem);
}

/* Which runtimes people's functions may have here. */
static void runtimes_status(cJSON *status)
{
	const uint32_t missing = weir_ctrld_runtimes_missing() | 1U << WEIR_RUNTIME_DIALECT | 1U << WEIR_RUNTIME_QUEUE;
	cJSON *const list = cJSON_AddArrayToObject(status, "runtimes");

	for (uint32_t i = WEIR_RUNTIME_MISSING + 1; i < WEIR_RUNTIME_COUNT; i++) {
		if ((missing & 1U << i) == 0)
			(void)cJSON_AddItemToArray(list, cJSON_CreateString(weir_runtime_name(i))); /* or it lacks */
	}
}

static void api_status(void *context, cJSON *status)
{
	static const char *const names[WEIR_CTRLD_PROBLEM_COUNT] = {
		"weir.db", "faas_meta.db", "rows", "snapshot", "disk", "watch"};
	const struct weir_ctrld *ctrld = context;
	const uint64_t took_us = ctrld->acknowledged_took_ns / 1000;
	cJSON *problems = cJSON_GetObjectItemCaseSensitive(status, "problems");
	cJSON *acknowledged = cJSON_AddObjectToObject(status, "acknowledged");

	(void)cJSON_AddNumberToObject(status, "pid",
				      getpid()); /* without memory: members lack */
	(void)cJSON_AddNumberToObject(status, "sent", (double)ctrld->generation_sent);
	(void)cJSON_AddNumberToObject(acknowledged, "generation",
				      (double)ctrld->acknowledged.generation);
	(void)cJSON_AddNumberToObject(acknowledged, "acked", ctrld->acknowledged.acked);
	(void)cJSON_AddNumberToObject(acknowledged, "total", ctrld->acknowledged.total);
	(void)cJSON_AddNumberToObject(acknowledged, "milliseconds", (double)took_us / 1000);
	runtimes_status(status);
	output_status(ctrld, status, problems);
	records_status(ctrld, status, problems);
	for (int i = 0; i < WEIR_CTRLD_PROBLEM_COUNT; i++)
		problem_add(problems, names[i], ctrld->problem[i]);
}

static const char *api_problem(void *context, uint64_t id)
{
	const struct weir_snapshot *snapshot = api_snapshot(context);
	const struct weir_snapshot_function *function =
		snapshot == NULL ? NULL : weir_snapshot_function_find(snapshot, id);

	return function == NULL || function->runtime != WEIR_RUNTIME_MISSING
		       ? NULL
		       : weir_snapshot_span(snapshot, function->reason).data; /* NUL-terminated there */
}

static int api_build(void *context, const char *runtime, const char *path, bool again,
		     char **out_log)
{
	struct weir_ctrld *ctrld = context;
	struct weir_builder_result result;
	int code = 0;

	if (!weir_builder_is_for(runtime))
		return 0;
	code = weir_builder_ask(ctrld->builder, runtime, path, again, &result);
	if (code != 0)
		return code;
	if (result.state == WEIR_BUILDER_BUILT)
		return 0;
	*out_log = result.log;
	return result.state == WEIR_BUILDER_FAILED ? -EINVAL : -EINPROGRESS;
}

static int api_try(void *context, const struct weir_model_function *function,
		   const struct weir_api_trial *wanted, uint64_t *trial, char *out_reason)
{
	struct weir_ctrld *ctrld = context;
	const struct weir_trial_variables variables = {.text = wanted->variables,
						       .count = wanted->variable_count};
	int code = 0;

	if (*trial != 0)
		return weir_trial_ask(ctrld->trials, *trial, out_reason);
	code = weir_trial_begin(ctrld->trials, function, wanted->path, &variables, trial);
	if (code != 0)
		return code;
	weir_ctrld_publish_again(ctrld);
	return -EINPROGRESS;
}

static int api_seal(void *context, const char *label, const void *value, size_t bytes, uint8_t *out)
{
	const struct weir_ctrld *ctrld = context;

	return weir_environments_seal(ctrld->environments, label, value, bytes, out);
}

static int api_workers(void *context, const uint64_t *pools, size_t count, cJSON *list)
{
	return weir_ctrld_workers(context, pools, count, list);
}

static void found_json(const struct weir_examination *examination, cJSON *answer)
{
	cJSON *list = cJSON_AddArrayToObject(answer, "found"); /* without memory: members lack */

	for (size_t i = 0; i < examination->found_count && i < WEIR_EXAMINATION_FOUND_MAX; i++) {
		const struct weir_store_bad_row *row = &examination->found[i];
		cJSON *json = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(json, "table", row->table);
		(void)cJSON_AddStringToObject(json, "row", row->row);
		(void)cJSON_AddStringToObject(json, "field", row->field);
		(void)cJSON_AddStringToObject(json, "reason", row->reason);
		(void)cJSON_AddItemToArray(list, json);
	}
	(void)cJSON_AddNumberToObject(answer, "found_count", (double)examination->found_count);
}

static int api_examine(void *context, uint64_t *id, cJSON *answer)
{
	struct weir_ctrld *ctrld = context;
	const struct weir_examination *examination = NULL;
	cJSON *examined = NULL;
	int code = 0;

	if (*id == 0) {
		code = weir_examiner_begin(ctrld->examiner, id);
		return code == 0 ? -EINPROGRESS : code;
	}
	code = weir_examiner_ask(ctrld->examiner, *id, &examination);
	if (code == -ENOENT) { /* somebody else's took its place before it was asked for */
		*id = 0;
		return -EINPROGRESS;
	}
	if (code != 0)
		return code;
	examined = cJSON_AddObjectToObject(answer, "examined"); /* without memory: members lack */
	(void)cJSON_AddNumberToObject(examined, "functions", (double)examination->examined.functions);
	(void)cJSON_AddNumberToObject(examined, "versions", (double)examination->examined.versions);
	(void)cJSON_AddNumberToObject(examined, "details", (double)examination->examined.details);
	(void)cJSON_AddNumberToObject(examined, "routes", (double)examination->examined.routes);
	(void)cJSON_AddNumberToObject(examined, "rows", (double)examination->examined.rows);
	(void)cJSON_AddNumberToObject(examined, "code", (double)examination->codes);
	(void)cJSON_AddNumberToObject(examined, "code_known", (double)examination->codes_known);
	(void)cJSON_AddNumberToObject(answer, "milliseconds", (double)(examination->took_ns / WEIR_NS_PER_MS));
	found_json(examination, answer);
	return 0;
}

static int build_send(void *context, const struct weir_control *control, const int *fds,
		      size_t fd_count)
{
	(void)context;
	return weir_control_send(WEIR_CONTROL_FD, control, fds, fd_count);
}

static bool directory_make(const char *data, const char *name, mode_t mode)
{
	char path[WEIR_STORE_PATH_BYTES_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", data, name); /* fits */
	if ((mkdir(path, mode) == 0 || errno == EEXIST) && chmod(path, mode) == 0)
		return true;
	weir_log(WEIR_LOG_ERROR, "cannot make a directory", "path=\"%s\" error=\"%s\"", path,
		 strerror(errno));
	return false;
}

static bool door_open(struct weir_ctrld *ctrld, const struct weir_api_owner *owner, const char *name,
		      enum weir_api_door door)
{
	struct epoll_event event = {.events = EPOLLIN};
	char path[WEIR_STORE_PATH_BYTES_MAX + 32];
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", ctrld->data, name); /* fits */
	code = weir_api_create(owner, path, door, &ctrld->api[door]);
	if (code == -ENAMETOOLONG) {
		weir_log(WEIR_LOG_ERROR, "the data directory's path is too long for a socket",
			 "path=\"%s\" bytes_max=107 hint=\"choose a shorter --data\"", path);
	} else if (code != 0) {
		weir_log(WEIR_LOG_ERROR, "cannot listen for management requests",
			 "path=\"%s\" error=\"%s\"", path, strerror(-code));
	}
	if (code != 0)
		return false;
	/* The data path may have been faster than this start. */
	if (ctrld->acknowledged.generation > 0)
		weir_api_acknowledge(ctrld->api[door], &ctrld->acknowledged);
	event.data.fd = weir_api_fd(ctrld->api[door]);
	return epoll_ctl(ctrld->epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) == 0;
}

/* Where Faasm's users want their modules, as its own programs were told; NULL: nowhere. */
static const char *func_root(void)
{
	const char *const root = getenv("FUNC_ROOT");

	if (root == NULL || root[0] == '/')
		return root;
	if (root[0] != '\0')
		weir_log(WEIR_LOG_WARN, "modules are not written to FUNC_ROOT",
			 "path=\"%s\" hint=\"give an absolute path\"", root);
	return NULL;
}

static bool api_start(struct weir_ctrld *ctrld)
{
	const struct weir_api_owner owner = {
		.context = ctrld,
		.store = ctrld->store,
		.table = ctrld->table,
		.rows = &ctrld->rows,
		.code = ctrld->code,
		.backup = ctrld->backup,
		.access = &ctrld->access,
		.is_auth_required = ctrld->is_auth_required,
		.publish = api_publish,
		.table_written = api_table_written,
		.snapshot = api_snapshot,
		.data = ctrld->data,
		.func_root = func_root(),
		.mark = api_mark,
		.reached = api_reached,
		.status = api_status,
		.build = api_build,
		.try_version = api_try,
		.seal = api_seal,
		.problem = api_problem,
		.workers = api_workers,
		.examine = api_examine,
	};

	return directory_make(ctrld->data, WEIR_BUILTIN_QUEUE_DIRECTORY, 0700) && directory_make(ctrld->data, "run", 0700) &&
	       directory_make(ctrld->data, "run/dialect", 0755) &&
	       door_open(ctrld, &owner, "run/api.sock", WEIR_API_DOOR_LOCAL) &&
	       door_open(ctrld, &owner, "run/dialect/api.sock", WEIR_API_DOOR_DIALECT);
}

static bool watch_fd_add(struct weir_ctrld *ctrld, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return fd == -1 || epoll_ctl(ctrld->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Signals as events: SIGTERM stops; SIGINT of a terminal is the keeper's business; a file size limit
 * or a peer that left shows as an error where it happens. */
static bool signals_open(struct weir_ctrld *ctrld)
{
	sigset_t set;

	(void)sigemptyset(&set); /* cannot fail */
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return false;
	ctrld->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return ctrld->signal_fd != -1 && watch_fd_add(ctrld, ctrld->signal_fd);
}

static void signals_take(struct weir_ctrld *ctrld)
{
	struct signalfd_siginfo info;

	while (read(ctrld->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			ctrld->stopping = true;
	}
}

static int wait_ms(const struct weir_ctrld *ctrld, uint64_t now_ns)
{
	uint64_t due_ns = now_ns + WEIR_NS_PER_SECOND;

	if (ctrld->started && ctrld->check_due_ns < due_ns)
		due_ns = ctrld->check_due_ns;
	if (ctrld->table_due_ns < due_ns)
		due_ns = ctrld->table_due_ns;
	if (ctrld->ticker.due_ns < due_ns)
		due_ns = ctrld->ticker.due_ns;
	if (ctrld->save_due_ns < due_ns)
		due_ns = ctrld->save_due_ns;
	if (weir_builder_due_ns(ctrld->builder) < due_ns)
		due_ns = weir_builder_due_ns(ctrld->builder);
	if (weir_trials_due_ns(ctrld->trials) < due_ns)
		due_ns = weir_trials_due_ns(ctrld->trials);
	for (size_t i = 0; i < WEIR_API_DOORS; i++) {
		if (ctrld->api[i] != NULL && weir_api_deadline_ns(ctrld->api[i]) < due_ns)
			due_ns = weir_api_deadline_ns(ctrld->api[i]);
	}
	/* Rounded up: a deadline is past when we wake. */
	return due_ns <= now_ns
		       ? 0
		       : (int)((due_ns - now_ns + WEIR_NS_PER_MS - 1) / WEIR_NS_PER_MS);
}

/* While a snapshot waits to be sent, room on the control socket is an event too. */
static void control_interest(struct weir_ctrld *ctrld)
{
	struct epoll_event event = {.events = EPOLLIN |
					      (ctrld->send_due ? (uint32_t)EPOLLOUT : 0),
				    .data.fd = WEIR_CONTROL_FD};

	(void)epoll_ctl(ctrld->epoll_fd, EPOLL_CTL_MOD, WEIR_CONTROL_FD,
			&event); /* tried again next turn */
}

static void event_take(struct weir_ctrld *ctrld, int fd)
{
	if (fd == WEIR_CONTROL_FD) {
		weir_ctrld_control_take(ctrld);
	} else if (fd == ctrld->signal_fd) {
		signals_take(ctrld);
	} else if (fd == ctrld->watch_fd && weir_watch_take(fd, WEIR_PUBLIC_TABLE_FILE)) {
		const uint64_t due_ns = weir_clock_now_ns() + DEBOUNCE_MS * WEIR_NS_PER_MS;

		if (due_ns < ctrld->table_due_ns)
			ctrld->table_due_ns = due_ns;
		ctrld->table_looks = 0;
	}
}

static bool start(struct weir_ctrld *ctrld)
{
	if (!watch_fd_add(ctrld, ctrld->watch_fd)) {
		weir_log(WEIR_LOG_ERROR, "cannot watch the data directory", "error=\"%s\"",
			 strerror(errno));
		return false;
	}
	if (!api_start(ctrld))
		return false;
	weir_ctrld_ready_send(ctrld);
	weir_log(WEIR_LOG_INFO, "ready", "generation=%llu rows=%zu",
		 (unsigned long long)weir_store_generation(ctrld->store), ctrld->rows.count);
	return true;
}

/* Builds and trials: what they change is published. */
static void background_run(struct weir_ctrld *ctrld, uint64_t now_ns)
{
	const bool built = weir_builder_run(ctrld->builder, now_ns);
	const bool tried = weir_trials_run(ctrld->trials, now_ns);

	if (built || tried)
		weir_ctrld_publish_again(ctrld);
}

static int loop(struct weir_ctrld *ctrld)
{
	struct epoll_event events[EVENTS_MAX];

	while (!ctrld->stopping) {
		const bool was_started = ctrld->started;
		const int count = epoll_wait(ctrld->epoll_fd, events, EVENTS_MAX,
					     wait_ms(ctrld, weir_clock_now_ns()));
		uint64_t now_ns = 0;

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < count; i++)
			event_take(ctrld, events[i].data.fd);
		if (ctrld->started && !was_started && !ctrld->stopping && !start(ctrld))
			return -EIO;
		for (size_t i = 0; i < WEIR_API_DOORS; i++) {
			if (ctrld->api[i] != NULL)
				weir_api_run(ctrld->api[i]);
		}
		now_ns = weir_clock_now_ns();
		weir_ctrld_databases_check(ctrld, now_ns);
		background_run(ctrld, now_ns);
		weir_ctrld_publisher_run(ctrld, now_ns);
		weir_ctrld_code_sweep(ctrld, now_ns);
		weir_ctrld_outputs_tell(ctrld);
		weir_ticker_turn(&ctrld->ticker, ctrld->data, now_ns);
		control_interest(ctrld);
	}
	return 0;
}

static int run(struct weir_ctrld *ctrld)
{
	struct weir_setting_values values;
	struct weir_recorder_limits records;
	int code = weir_store_create(ctrld->data, &ctrld->store);

	if (code == 0)
		code = weir_public_table_create(ctrld->data, &ctrld->table);
	if (code == 0)
		code = weir_code_open(ctrld->data, &ctrld->code);
	if (code == 0)
		code = weir_backup_open(ctrld->data, ctrld->code, &ctrld->backup);
	if (code == 0)
		code = weir_access_open(ctrld->data, &ctrld->access);
	if (code == 0)
		code = weir_builder_create(ctrld->code, build_send, ctrld, &ctrld->builder);
	if (code == 0)
		code = weir_trials_create(ctrld->data, &ctrld->trials);
	if (code == 0)
		code = weir_environments_create(ctrld->data, &ctrld->environments);
	if (code == 0)
		code = weir_examiner_create(ctrld->data, ctrld->code, &ctrld->examiner);
	if (code != 0)
		return code;
	ctrld->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ctrld->epoll_fd == -1)
		return -errno;
	if (fcntl(WEIR_CONTROL_FD, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(WEIR_CONTROL_FD, F_SETFL, O_NONBLOCK) != 0 ||
	    !watch_fd_add(ctrld, WEIR_CONTROL_FD)) {
		weir_log(WEIR_LOG_ERROR, "descriptor 3 is no control socket",
			 "hint=\"weir-ctrld is started by weir-supervisor\"");
		return -EBADF;
	}
	if (!signals_open(ctrld))
		return -errno;
	code = weir_collector_create(ctrld->data, &ctrld->collector);
	weir_setting_defaults(&values); /* until weir.db says otherwise */
	records = weir_ctrld_record_limits(&values);
	if (code == 0)
		code = weir_recorder_create(ctrld->data, &records, &ctrld->recorder);
	if (code != 0)
		return code;
	return watch_fd_add(ctrld, weir_collector_fd(ctrld->collector)) ? loop(ctrld) : -errno;
}

static struct weir_ctrld *ctrld_create(const char *data)
{
	struct weir_ctrld *ctrld = calloc(1, sizeof(*ctrld));

	if (ctrld == NULL)
		return NULL;
	(void)snprintf(ctrld->data, sizeof(ctrld->data), "%s",
		       data); /* fits: checked by the caller */
	ctrld->epoll_fd = -1;
	ctrld->signal_fd = -1;
	ctrld->watch_fd = -1;
	ctrld->ticker.fd = -1;
	ctrld->snapshot_fd = -1;
	ctrld->table_due_ns = UINT64_MAX;
	ctrld->check_due_ns = UINT64_MAX;
	ctrld->save_due_ns = UINT64_MAX;
	return ctrld;
}

int main(int argc, char **argv)
{
	const bool is_auth_required = argc == 5 && strcmp(argv[3], "--auth") == 0 && strcmp(argv[4], "required") == 0;
	struct weir_ctrld *ctrld = NULL;
	int code = 0;

	weir_log_open("ctrld");
	(void)setlocale(LC_CTYPE, "C.UTF-8"); /* names in archives are UTF-8 */
	/* What one publication needed serves the next one: of a large table, taking it from the kernel
	 * anew costs as much time as filling it. Fails only for unknown names. */
	(void)mallopt(M_MMAP_THRESHOLD, MEMORY_KEPT_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT_BYTES);
	if ((argc != 3 && !is_auth_required) || strcmp(argv[1], "--data") != 0 || argv[2][0] != '/' ||
	    strlen(argv[2]) >= WEIR_STORE_PATH_BYTES_MAX) {
		(void)fprintf(stderr, "usage: weir-ctrld --data DIR [--auth required] (absolute; started by "
				      "weir-supervisor)\n");
		return EXIT_USAGE;
	}
	ctrld = ctrld_create(argv[2]);
	if (ctrld == NULL)
		return EXIT_FAILURE;
	ctrld->is_auth_required = is_auth_required;
	code = run(ctrld);
	if (code != 0) {
		weir_log(WEIR_LOG_ERROR, "stopped by an error", "error=\"%s\"",
			 strerror(-code));
	}
	for (size_t i = 0; i < WEIR_API_DOORS; i++)
		weir_api_destroy(ctrld->api[i]);
	weir_collector_destroy(ctrld->collector);
	weir_board_detach(ctrld->board);
	weir_recorder_destroy(ctrld->recorder);
	weir_ctrld_publisher_close(ctrld);
	weir_ctrld_databases_close(ctrld);
	weir_fd_close(&ctrld->signal_fd);
	weir_fd_close(&ctrld->epoll_fd);
	free(ctrld);
	return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
