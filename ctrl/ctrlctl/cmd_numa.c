#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/ctrlctl/board.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/clock.h"

/* JSON */

static uint64_t metric(const struct weir_board *board, uint32_t shard, enum weir_metric number)
{
	return atomic_load_explicit(&board->shard[shard].metric[number], memory_order_relaxed);
}

static void number_add(cJSON *json, const char *name, uint64_t number)
{
	(void)cJSON_AddNumberToObject(json, name, (double)number); /* without memory: members lack */
}

static cJSON *shard_json(const struct weir_board *board, uint32_t shard)
{
	cJSON *json = cJSON_CreateObject();

	number_add(json, "shard", shard);
	number_add(json, "cpu", board->shard_cpu[shard]);
	number_add(json, "connections_accepted", metric(board, shard, WEIR_METRIC_connections_accepted));
	number_add(json, "calls_bound", metric(board, shard, WEIR_METRIC_calls_bound));
	number_add(json, "calls_remote", metric(board, shard, WEIR_METRIC_calls_remote));
	return json;
}

static cJSON *worker_json(const struct weir_board_process *worker)
{
	cJSON *json = cJSON_CreateObject();
	char serves[160];

	(void)snprintf(serves, sizeof(serves), "%s/%s", worker->space,
		       worker->function[0] != '\0' ? worker->function : "*"); /* fits */
	number_add(json, "worker", worker->id);
	(void)cJSON_AddStringToObject(json, "serves", serves);
	(void)cJSON_AddStringToObject(json, "runtime", weir_ctl_board_runtime(worker->runtime));
	(void)cJSON_AddNumberToObject(json, "pid", worker->pid);
	number_add(json, "home", worker->home);
	number_add(json, "pages", worker->pages);
	number_add(json, "pages_astray", worker->pages_astray);
	return json;
}

static void workers_json(cJSON *list, const struct weir_board *board, uint32_t node)
{
	for (uint32_t i = 0; i < board->process_count; i++) {
		const struct weir_board_process *worker = &board->process[i];

		if (worker->kind == WEIR_PROCESS_WORKER && worker->pid != 0 && worker->home < board->shard_count &&
		    board->shard_node[worker->home] == node)
			(void)cJSON_AddItemToArray(list, worker_json(worker));
	}
}

static cJSON *node_json(const struct weir_board *board, uint32_t index)
{
	const struct weir_board_node *node = &board->node[index];
	cJSON *json = cJSON_CreateObject();
	cJSON *list = NULL;

	number_add(json, "node", node->number);
	number_add(json, "cpu_count", node->cpu_count);
	(void)cJSON_AddStringToObject(json, "cpus", node->cpus);
	number_add(json, "memory_bytes", node->memory_bytes);
	list = cJSON_AddArrayToObject(json, "distance");
	for (uint32_t i = 0; i < board->node_count; i++)
		(void)cJSON_AddItemToArray(list, cJSON_CreateNumber(node->distance[i]));
	list = cJSON_AddArrayToObject(json, "shards");
	for (uint32_t i = 0; i < board->shard_count; i++) {
		if (board->shard_node[i] == index)
			(void)cJSON_AddItemToArray(list, shard_json(board, i));
	}
	workers_json(cJSON_AddArrayToObject(json, "workers"), board, index);
	number_add(json, "pages", node->pages);
	number_add(json, "pages_astray", node->pages_astray);
	return json;
}

/* Pages of links that were looked up, and what came of it. */
static void pages_json(cJSON *json, const struct weir_board *board)
{
	cJSON *pages = cJSON_AddObjectToObject(json, "pages");
	const uint64_t now_ns = weir_clock_now_ns();
	uint64_t looked = 0;
	uint64_t astray = 0;

	for (uint32_t i = 0; i < board->node_count; i++) {
		looked += board->node[i].pages;
		astray += board->node[i].pages_astray;
	}
	number_add(pages, "looked_up", looked);
	number_add(pages, "astray", astray);
	number_add(pages, "left_out", board->pages_left_out);
	number_add(pages, "age_ms", now_ns < board->pages_ns ? 0 : (now_ns - board->pages_ns) / WEIR_NS_PER_MS);
	if (board->pages_error != 0)
		(void)cJSON_AddStringToObject(pages, "error", strerror(-board->pages_error));
}

static cJSON *numa_json(const struct weir_board *board)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *nodes = cJSON_AddArrayToObject(json, "nodes");

	for (uint32_t i = 0; i < board->node_count; i++)
		(void)cJSON_AddItemToArray(nodes, node_json(board, i));
	(void)cJSON_AddStringToObject(json, "steering", board->steering);
	number_add(json, "calls_bound", weir_ctl_board_sum(board, WEIR_METRIC_calls_bound));
	number_add(json, "calls_remote", weir_ctl_board_sum(board, WEIR_METRIC_calls_remote));
	pages_json(json, board);
	return json;
}

/* Drawing */

/* What stands before a branch, the last branch of a node, and in front of what is under it. */
struct strokes {
	const char *branch;
	const char *last;
};

static struct strokes strokes(void)
{
	return isatty(STDOUT_FILENO) == 1 ? (struct strokes){"\u251c\u2500 ", "\u2514\u2500 "}
					  : (struct strokes){"  ", "  "};
}

static void memory_print(double bytes)
{
	if (bytes == 0)
		weir_ctl_print("no memory");
	else if (bytes >= 1 << 30)
		weir_ctl_print("%.1f GiB", bytes / (1 << 30));
	else
		weir_ctl_print("%.0f MiB", bytes / (1 << 20));
}

static void node_title_print(const cJSON *node)
{
	const char *cpus = weir_ctl_json_text(node, "cpus");
	const cJSON *distance = NULL;

	weir_ctl_print("node %.0f: ", weir_ctl_json_number(node, "node"));
	if (cpus[0] == '\0' && weir_ctl_json_number(node, "memory_bytes") == 0) { /* the kernel told nothing */
		weir_ctl_print("all CPUs and all memory\n");
		return;
	}
	weir_ctl_print("%s", cpus[0] == '\0' ? "no CPUs" : "CPUs ");
	weir_ctl_print_clean(cpus);
	weir_ctl_print(", ");
	memory_print(weir_ctl_json_number(node, "memory_bytes"));
	weir_ctl_print(", distance");
	cJSON_ArrayForEach(distance, cJSON_GetObjectItemCaseSensitive(node, "distance"))
		weir_ctl_print(" %d", distance->valueint);
	weir_ctl_print("\n");
}

static void node_print(const cJSON *node)
{
	const struct strokes stroke = strokes();
	const cJSON *item = NULL;

	node_title_print(node);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(node, "shards"))
		weir_ctl_print("%sshard %.0f on CPU %.0f: %.0f connections, %.0f calls, %.0f of them to other nodes\n",
			       stroke.branch, weir_ctl_json_number(item, "shard"), weir_ctl_json_number(item, "cpu"),
			       weir_ctl_json_number(item, "connections_accepted"),
			       weir_ctl_json_number(item, "calls_bound"), weir_ctl_json_number(item, "calls_remote"));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(node, "workers")) {
		weir_ctl_print("%sworker %.0f of ", stroke.branch, weir_ctl_json_number(item, "worker"));
		weir_ctl_print_clean(weir_ctl_json_text(item, "serves"));
		weir_ctl_print(" (%s), home shard %.0f: %.0f pages in links, %.0f astray\n",
			       weir_ctl_json_text(item, "runtime"), weir_ctl_json_number(item, "home"),
			       weir_ctl_json_number(item, "pages"), weir_ctl_json_number(item, "pages_astray"));
	}
	weir_ctl_print("%s%.0f pages of links lie here, %.0f of them belong to another node\n\n", stroke.last,
		       weir_ctl_json_number(node, "pages"), weir_ctl_json_number(node, "pages_astray"));
}

static void numa_print(const cJSON *json)
{
	const cJSON *pages = cJSON_GetObjectItemCaseSensitive(json, "pages");
	const cJSON *node = NULL;

	cJSON_ArrayForEach(node, cJSON_GetObjectItemCaseSensitive(json, "nodes"))
		node_print(node);
	weir_ctl_print("connections: ");
	weir_ctl_print_clean(weir_ctl_json_text(json, "steering"));
	weir_ctl_print("\ncalls: %.0f, of which %.0f went to another node\n", weir_ctl_json_number(json, "calls_bound"),
		       weir_ctl_json_number(json, "calls_remote"));
	if (cJSON_HasObjectItem(pages, "error")) {
		weir_ctl_print("pages: where they lie the kernel does not say (%s)\n", weir_ctl_json_text(pages, "error"));
		return;
	}
	weir_ctl_print("pages: %.0f of links looked up by move_pages %.0f ms ago, %.0f astray",
		       weir_ctl_json_number(pages, "looked_up"), weir_ctl_json_number(pages, "age_ms"),
		       weir_ctl_json_number(pages, "astray"));
	if (weir_ctl_json_number(pages, "left_out") > 0)
		weir_ctl_print("; %.0f more were left out", weir_ctl_json_number(pages, "left_out"));
	weir_ctl_print("\n");
}

enum weir_ctl_exit weir_ctl_numa(const struct weir_ctl_call *call)
{
	struct weir_board *board = NULL;
	const enum weir_ctl_exit code = weir_ctl_board_fetch_pages(call, &board);
	cJSON *json = NULL;

	if (code != WEIR_CTL_OK)
		return code;
	json = numa_json(board);
	if (call->json)
		weir_ctl_print_json(json);
	else
		numa_print(json);
	cJSON_Delete(json);
	free(board);
	return WEIR_CTL_OK;
}
