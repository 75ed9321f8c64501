#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ctrl/ctrlctl/board.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/pools.h"
#include "ctrl/model/model.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/board.h"

static const struct {
	const char *name;
	const char *kind;
	const char *unit;
	const char *help;
} metrics[] = {
#define WEIR_METRIC(name, kind, unit, help) {#name, #kind, #unit, help},
#include "dataplane/abi/metrics.def"
#undef WEIR_METRIC
};

static double seconds_since(uint64_t started_ns)
{
	const uint64_t now_ns = weir_clock_now_ns();
	const uint64_t ms = started_ns == 0 || now_ns < started_ns
				    ? 0
				    : (now_ns - started_ns) / WEIR_NS_PER_MS;

	return (double)ms / 1000;
}

static double age_ms(uint64_t at_ns)
{
	const uint64_t now_ns = weir_clock_now_ns();

	return at_ns == 0 || now_ns < at_ns ? 0 : (double)((now_ns - at_ns) / WEIR_NS_PER_US) / 1000;
}

static const char *source_name(uint32_t source)
{
	switch (source) {
	case WEIR_LOAD_SOURCE_CLOCKS:
		return "clocks";
	case WEIR_LOAD_SOURCE_PROBES:
		return "probes";
	default:
		return "none";
	}
}

/* JSON */

/* What was measured of a worker. */
static void load_json(cJSON *json, const struct weir_board_process *process)
{
	cJSON *load = cJSON_AddObjectToObject(json, "load");

	(void)cJSON_AddStringToObject(load, "source", source_name(process->load_source));
	if (process->load_source == WEIR_LOAD_SOURCE_NONE)
		return;
	(void)cJSON_AddNumberToObject(load, "age_ms", age_ms(process->load_at_ns));
#define LOAD_COUNT(name, word, unit) \
	(void)cJSON_AddNumberToObject(load, unit[0] == '\0' ? word : word "_" unit, \
				      (double)process->load[WEIR_LOAD_##name]);
	WEIR_LOAD_COUNTS(LOAD_COUNT)
#undef LOAD_COUNT
	if (process->rss_at_ns == 0)
		return;
	(void)cJSON_AddNumberToObject(load, "rss_bytes", (double)process->rss_bytes);
	(void)cJSON_AddNumberToObject(load, "rss_age_ms", age_ms(process->rss_at_ns));
}

/* Who measures, and how old the oldest of the workers' samples is. */
static void measured_json(cJSON *json, const struct weir_board *board)
{
	cJSON *load = cJSON_AddObjectToObject(json, "load");
	double oldest_ms = 0;
	double oldest_rss_ms = 0;
	int count[2] = {0, 0};

	for (uint32_t i = 0; i < board->process_count; i++) {
		const struct weir_board_process *process = &board->process[i];

		if (process->kind != WEIR_PROCESS_WORKER || process->load_source == WEIR_LOAD_SOURCE_NONE)
			continue;
		count[process->load_source == WEIR_LOAD_SOURCE_PROBES]++;
		oldest_ms = age_ms(process->load_at_ns) > oldest_ms ? age_ms(process->load_at_ns) : oldest_ms;
		oldest_rss_ms = age_ms(process->rss_at_ns) > oldest_rss_ms ? age_ms(process->rss_at_ns)
									   : oldest_rss_ms;
	}
	(void)cJSON_AddStringToObject(load, "source", source_name(board->load_source));
	(void)cJSON_AddStringToObject(load, "what", board->load);
	(void)cJSON_AddNumberToObject(load, "period_ms", (double)(board->load_period_ns / WEIR_NS_PER_MS));
	(void)cJSON_AddNumberToObject(load, "unplaced", (double)board->load_unplaced);
	(void)cJSON_AddNumberToObject(load, "workers_probes", count[1]);
	(void)cJSON_AddNumberToObject(load, "workers_clocks", count[0]);
	(void)cJSON_AddNumberToObject(load, "oldest_ms", oldest_ms);
	(void)cJSON_AddNumberToObject(load, "oldest_rss_ms", oldest_rss_ms);
}

static cJSON *process_json(const struct weir_board_process *process)
{
	cJSON *json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "kind",
				      weir_board_kind_name(process->kind)); /* or members lack */
	(void)cJSON_AddNumberToObject(json, "pid", process->pid);
	(void)cJSON_AddStringToObject(json, "state", weir_board_state_name(process->state));
	(void)cJSON_AddNumberToObject(json, "restarts", (double)process->restarts);
	(void)cJSON_AddNumberToObject(
		json, "uptime_s", process->pid == 0 ? 0 : seconds_since(process->started_ns));
	if (process->kind != WEIR_PROCESS_WORKER)
		return json;
	(void)cJSON_AddNumberToObject(json, "worker", (double)process->id);
	(void)cJSON_AddStringToObject(json, "namespace", process->space);
	if (process->function[0] != '\0')
		(void)cJSON_AddStringToObject(json, "function", process->function);
	(void)cJSON_AddStringToObject(json, "runtime",
				      weir_ctl_board_runtime(process->runtime));
	if (process->memory_mb != 0) {
		(void)cJSON_AddNumberToObject(json, "cpu_millicores", process->cpu_millicores);
		(void)cJSON_AddNumberToObject(json, "memory_mb", process->memory_mb);
	}
	(void)cJSON_AddNumberToObject(json, "accepted", (double)process->accepted);
	(void)cJSON_AddNumberToObject(json, "finished", (double)process->finished);
	(void)cJSON_AddNumberToObject(json, "service_us", (double)process->service_ns / 1000);
	(void)cJSON_AddNumberToObject(json, "parked", process->parked);
	(void)cJSON_AddNumberToObject(json, "links", process->links);
	load_json(json, process);
	return json;
}

static cJSON *processes_json(const struct weir_board *board, bool workers_only)
{
	cJSON *list = cJSON_CreateArray();

	for (uint32_t i = 0; i < board->process_count; i++) {
		const struct weir_board_process *process = &board->process[i];

		if (process->kind == WEIR_PROCESS_NONE ||
		    (workers_only && process->kind != WEIR_PROCESS_WORKER))
			continue;
		(void)cJSON_AddItemToArray(list, process_json(process));
	}
	return list;
}

static void metrics_json(cJSON *json, const struct weir_board *board)
{
	cJSON *sums = cJSON_AddObjectToObject(json, "metrics");
	cJSON *shards = cJSON_AddArrayToObject(json, "shards");

	for (size_t i = 0; i < WEIR_METRIC_COUNT; i++) {
		(void)cJSON_AddNumberToObject(sums, metrics[i].name,
					      (double)weir_ctl_board_sum(board, i));
	}
	for (uint32_t shard = 0; shard < board->shard_count; shard++) {
		cJSON *one = cJSON_CreateObject();

		for (size_t i = 0; i < WEIR_METRIC_COUNT; i++) {
			(void)cJSON_AddNumberToObject(
				one, metrics[i].name,
				(double)atomic_load_explicit(&board->shard[shard].metric[i],
							     memory_order_relaxed));
		}
		(void)cJSON_AddItemToArray(shards, one);
	}
}

/* What the instance does without: one line each on the board. */
static void missing_json(cJSON *json, const struct weir_board *board)
{
	cJSON *list = cJSON_AddArrayToObject(json, "missing");
	char text[WEIR_BOARD_MISSING_BYTES_MAX];
	char *rest = text;
	const char *line = NULL;

	memcpy(text, board->missing, sizeof(text));
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0')
			(void)cJSON_AddItemToArray(list, cJSON_CreateString(line));
	}
}

/* The whole state as one object; `board` or `control` may be NULL. Takes `control` over. */
static cJSON *status_json(const struct weir_board *board, cJSON *control)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *problems = cJSON_DetachItemFromObjectCaseSensitive(control, "problems");

	(void)cJSON_AddStringToObject(json, "version", WEIR_VERSION);
	if (board != NULL) {
		(void)cJSON_AddNumberToObject(json, "uptime_s",
					      seconds_since(board->started_ns));
		(void)cJSON_AddNumberToObject(
			json, "generation",
			(double)atomic_load_explicit(&board->generation, memory_order_relaxed));
		(void)cJSON_AddItemToObject(json, "processes", processes_json(board, false));
		(void)cJSON_AddItemToObject(json, "pools", weir_ctl_pools_json(board));
		metrics_json(json, board);
		(void)cJSON_AddNumberToObject(
			json, "segments",
			(double)atomic_load_explicit(&board->segments, memory_order_relaxed));
		(void)cJSON_AddNumberToObject(
			json, "segment_bytes",
			(double)atomic_load_explicit(&board->segment_bytes,
						     memory_order_relaxed));
		missing_json(json, board);
		(void)cJSON_AddStringToObject(json, "sandbox", board->sandbox);
		(void)cJSON_AddStringToObject(json, "steering", board->steering);
		measured_json(json, board);
	}
	(void)cJSON_AddItemToObject(json, "problems",
				    problems == NULL ? cJSON_CreateArray() : problems);
	(void)cJSON_AddItemToObject(json, "control",
				    control == NULL ? cJSON_CreateNull() : control);
	return json;
}

/* Tables */

static void uptime_format(double seconds, char *out, size_t max)
{
	const unsigned long long whole = (unsigned long long)seconds;

	if (whole >= 86400) {
		(void)snprintf(out, max, "%llud %lluh", whole / 86400, whole / 3600 % 24);
	} else if (whole >= 3600) {
		(void)snprintf(out, max, "%lluh %llum", whole / 3600, whole / 60 % 60);
	} else if (whole >= 60) {
		(void)snprintf(out, max, "%llum %llus", whole / 60, whole % 60);
	} else {
		(void)snprintf(out, max, "%.1fs", seconds);
	}
}

static void state_cell(struct weir_ctl_table *table, const cJSON *process)
{
	const char *state = weir_ctl_json_text(process, "state");
	char text[32];

	(void)snprintf(text, sizeof(text), "%s%s", strcmp(state, "backoff") == 0 ? "!" : "",
		       state); /* fits */
	weir_ctl_table_cell(table, text);
}

static void process_row(struct weir_ctl_table *table, const cJSON *process)
{
	char uptime[48];

	uptime_format(weir_ctl_json_number(process, "uptime_s"), uptime, sizeof(uptime));
	weir_ctl_table_cell(table, weir_ctl_json_text(process, "kind"));
	weir_ctl_table_number(table, weir_ctl_json_number(process, "pid"));
	state_cell(table, process);
	weir_ctl_table_number(table, weir_ctl_json_number(process, "restarts"));
	weir_ctl_table_cell(table, weir_ctl_json_number(process, "pid") > 0 ? uptime : "-");
}

/* A namespace, or the one function that it is for. */
static void serves_cell(struct weir_ctl_table *table, const cJSON *process)
{
	const char *const function = weir_ctl_json_text(process, "function");
	char text[160];

	(void)snprintf(text, sizeof(text), "%s/%s", weir_ctl_json_text(process, "namespace"),
		       function[0] != '\0' ? function : "*"); /* fits */
	weir_ctl_table_cell(table, text);
}

/* "500m 256MB": millicores and MB; "-" for a worker without a spec. */
static void spec_cell(struct weir_ctl_table *table, const cJSON *process)
{
	char text[64] = "-";

	if (cJSON_HasObjectItem(process, "memory_mb"))
		(void)snprintf(text, sizeof(text), "%.0fm %.0fMB", weir_ctl_json_number(process, "cpu_millicores"),
			       weir_ctl_json_number(process, "memory_mb")); /* fits */
	weir_ctl_table_cell(table, text);
}

/* CPU time, time it waited for a CPU, memory. */
static void load_cells(struct weir_ctl_table *table, const cJSON *load)
{
	static const struct {
		const char *name;
		double unit;
	} cells[] = {{"on-cpu_ns", 1e9}, {"run-queue_ns", 1e9}, {"rss_bytes", 1048576}};
	char text[32];

	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		const cJSON *const value = cJSON_GetObjectItemCaseSensitive(load, cells[i].name);

		(void)snprintf(text, sizeof(text), "%.2f", cJSON_IsNumber(value) ? value->valuedouble / cells[i].unit : 0);
		weir_ctl_table_cell(table, cJSON_IsNumber(value) ? text : "-");
	}
}

static void workers_print(const cJSON *processes)
{
	static const char *const titles[] = {"WORKER", "SERVES", "RUNTIME", "SPEC", "PID",
					     "STATE",  "RESTARTS",  "STARTED", "RUNNING",
					     "PARKED", "CPU_S", "WAITED_S", "MIB", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *process = NULL;

	cJSON_ArrayForEach(process, processes)
	{
		const double accepted = weir_ctl_json_number(process, "accepted");

		if (strcmp(weir_ctl_json_text(process, "kind"), "worker") != 0)
			continue;
		weir_ctl_table_number(&table, weir_ctl_json_number(process, "worker"));
		serves_cell(&table, process);
		weir_ctl_table_cell(&table, weir_ctl_json_text(process, "runtime"));
		spec_cell(&table, process);
		weir_ctl_table_number(&table, weir_ctl_json_number(process, "pid"));
		state_cell(&table, process);
		weir_ctl_table_number(&table, weir_ctl_json_number(process, "restarts"));
		weir_ctl_table_number(&table, accepted);
		weir_ctl_table_number(&table,
				      accepted - weir_ctl_json_number(process, "finished"));
		weir_ctl_table_number(&table, weir_ctl_json_number(process, "parked"));
		load_cells(&table, cJSON_GetObjectItemCaseSensitive(process, "load"));
	}
	weir_ctl_table_print(&table);
}

static void metrics_print(const cJSON *json)
{
	static const char *const titles[] = {"METRIC", "VALUE", "UNIT", "KIND", "WHAT", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *sums = cJSON_GetObjectItemCaseSensitive(json, "metrics");

	for (size_t i = 0; i < WEIR_METRIC_COUNT; i++) {
		weir_ctl_table_cell(&table, metrics[i].name);
		weir_ctl_table_number(&table, weir_ctl_json_number(sums, metrics[i].name));
		weir_ctl_table_cell(&table, metrics[i].unit);
		weir_ctl_table_cell(&table, metrics[i].kind);
		weir_ctl_table_cell(&table, metrics[i].help);
	}
	weir_ctl_table_print(&table);
}

static void problems_print(const cJSON *json)
{
	static const char *const titles[] = {"PROBLEM", "ROW", "FIELD", "REASON", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *problems = cJSON_GetObjectItemCaseSensitive(json, "problems");
	const cJSON *problem = NULL;

	if (cJSON_GetArraySize(problems) == 0)
		return;
	weir_ctl_print("\n");
	cJSON_ArrayForEach(problem, problems)
	{
		const char *row = weir_ctl_json_text(problem, "row");
		const char *field = weir_ctl_json_text(problem, "field");
		char what[64];

		(void)snprintf(what, sizeof(what), "!%s",
			       weir_ctl_json_text(problem, "what")); /* cut is fine */
		weir_ctl_table_cell(&table, what);
		weir_ctl_table_cell(&table, row[0] == '\0' ? "-" : row);
		weir_ctl_table_cell(&table, field[0] == '\0' ? "-" : field);
		weir_ctl_table_cell(&table, weir_ctl_json_text(problem, "reason"));
	}
	weir_ctl_table_print(&table);
}

static void load_print(const cJSON *load)
{
	weir_ctl_print("\nload: ");
	weir_ctl_print_clean(weir_ctl_json_text(load, "what"));
	weir_ctl_print(" (%.0f workers by probes, %.0f by clocks; oldest sample %.0f ms, of memory %.0f ms)",
		       weir_ctl_json_number(load, "workers_probes"), weir_ctl_json_number(load, "workers_clocks"),
		       weir_ctl_json_number(load, "oldest_ms"), weir_ctl_json_number(load, "oldest_rss_ms"));
	if (weir_ctl_json_number(load, "unplaced") > 0)
		weir_ctl_print("; %.0f processes found no place among the probed ones",
			       weir_ctl_json_number(load, "unplaced"));
}

static void live_print(const cJSON *json)
{
	static const char *const titles[] = {"PROCESS", "PID", "STATE", "RESTARTS", "UP", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *processes = cJSON_GetObjectItemCaseSensitive(json, "processes");
	const cJSON *item = NULL;
	char uptime[48];

	uptime_format(weir_ctl_json_number(json, "uptime_s"), uptime, sizeof(uptime));
	weir_ctl_print(
		"weir %s, up %s, generation %.0f, shards %d, segments %.0f (%.1f MiB)\n\n",
		weir_ctl_json_text(json, "version"), uptime,
		weir_ctl_json_number(json, "generation"),
		cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "shards")),
		weir_ctl_json_number(json, "segments"),
		weir_ctl_json_number(json, "segment_bytes") / 1048576);
	cJSON_ArrayForEach(item, processes)
	{
		if (strcmp(weir_ctl_json_text(item, "kind"), "worker") != 0)
			process_row(&table, item);
	}
	weir_ctl_table_print(&table);
	weir_ctl_print("\n");
	workers_print(processes);
	weir_ctl_print("\n");
	weir_ctl_pools_print(cJSON_GetObjectItemCaseSensitive(json, "pools"));
	weir_ctl_print("\n");
	metrics_print(json);
	weir_ctl_print("\nsandbox: ");
	weir_ctl_print_clean(weir_ctl_json_text(json, "sandbox"));
	load_print(cJSON_GetObjectItemCaseSensitive(json, "load"));
	weir_ctl_print("\nconnections: ");
	weir_ctl_print_clean(weir_ctl_json_text(json, "steering"));
	weir_ctl_print("\n");
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "missing"))
	{
		weir_ctl_print("%s", item->prev->next == NULL ? "\nDoes without:\n  " : "  ");
		weir_ctl_print_clean(item->valuestring);
		weir_ctl_print("\n");
	}
}

static void control_print(const cJSON *json)
{
	const cJSON *control = cJSON_GetObjectItemCaseSensitive(json, "control");
	const cJSON *acknowledged = cJSON_GetObjectItemCaseSensitive(control, "acknowledged");
	const cJSON *output = cJSON_GetObjectItemCaseSensitive(control, "output");
	const cJSON *records = cJSON_GetObjectItemCaseSensitive(control, "activations");

	weir_ctl_print("\n");
	if (cJSON_IsObject(control)) {
		weir_ctl_print("configuration: generation %.0f published, %.0f acknowledged by "
			       "%.0f/%.0f shards; "
			       "%.0f functions, %.0f rows in the public table (%.0f bad)\n",
			       weir_ctl_json_number(control, "published"),
			       weir_ctl_json_number(acknowledged, "generation"),
			       weir_ctl_json_number(acknowledged, "acked"),
			       weir_ctl_json_number(acknowledged, "total"),
			       weir_ctl_json_number(control, "functions"),
			       weir_ctl_json_number(control, "rows"),
			       weir_ctl_json_number(control, "rows_bad"));
		weir_ctl_print("printed by functions: %.1f of %.0f MiB kept, %.0f lines dropped\n",
			       weir_ctl_json_number(output, "bytes") / 1048576,
			       weir_ctl_json_number(output, "bytes_max") / 1048576,
			       weir_ctl_json_number(output, "dropped"));
		weir_ctl_print("records of calls: %.0f kept, %.0f skipped (over the rates), %.0f lost\n",
			       weir_ctl_json_number(records, "kept"), weir_ctl_json_number(records, "skipped"),
			       weir_ctl_json_number(records, "lost") + weir_ctl_json_number(records, "failed"));
	} else {
		weir_ctl_print("configuration: the control process does not answer; the last "
			       "snapshot keeps serving\n");
	}
	problems_print(json);
}

/* /weir/status, or NULL where the control process does not answer. */
static cJSON *control_fetch(const struct weir_ctl_call *call)
{
	cJSON *json = NULL;
	int fd = -1;

	/* Its absence is a state to be shown here, not an error. */
	if (weir_ctl_connect(call, "api.sock", SOCK_STREAM, true, &fd) != WEIR_CTL_OK)
		return NULL;
	weir_fd_close(&fd);
	return weir_ctl_api(call, "GET", "/weir/status", NULL, &json) == WEIR_CTL_OK ? json
										     : NULL;
}

static enum weir_ctl_exit status_whole(const struct weir_ctl_call *call)
{
	struct weir_board *board = NULL;
	cJSON *control = control_fetch(call);
	/* Either half is worth showing; with neither there is no instance. */
	const enum weir_ctl_exit code = weir_ctl_board_fetch(call, control != NULL, &board);
	cJSON *json = NULL;

	if (code != WEIR_CTL_OK && control == NULL)
		return code;
	json = status_json(board, control);
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		if (board != NULL) {
			live_print(json);
		} else {
			weir_ctl_print("the supervisor does not answer; no live numbers\n");
		}
		control_print(json);
	}
	cJSON_Delete(json);
	free(board);
	return WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_status(const struct weir_ctl_call *call)
{
	if (weir_ctl_option(call, "--numa") != NULL)
		return weir_ctl_numa(call);
	return weir_ctl_option(call, "--scores") != NULL ? weir_ctl_scores(call) : status_whole(call);
}

enum weir_ctl_exit weir_ctl_worker_list(const struct weir_ctl_call *call)
{
	struct weir_board *board = NULL;
	const enum weir_ctl_exit code = weir_ctl_board_fetch(call, false, &board);
	cJSON *processes = NULL;

	if (code != WEIR_CTL_OK)
		return code;
	processes = processes_json(board, true);
	if (call->json) {
		weir_ctl_print_json(processes);
	} else {
		workers_print(processes);
	}
	cJSON_Delete(processes);
	free(board);
	return WEIR_CTL_OK;
}
