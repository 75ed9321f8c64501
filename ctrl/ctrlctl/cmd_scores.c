#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrlctl/board.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/clock.h"

enum {
	HOT_PERCENT = 90, /* a term this high is shown in red */
	PICKS_SHOWN = 16,
	SEEN_S_MAX = 1, /* a shard that has work looks far more often */
};

static const struct weir_board_process *worker_find(const struct weir_board *board, uint64_t worker_id)
{
	for (uint32_t i = 0; i < board->process_count; i++) {
		if (board->process[i].kind == WEIR_PROCESS_WORKER && board->process[i].id == worker_id)
			return &board->process[i];
	}
	return NULL;
}

/* The name that `ctrlctl pool` knows; "?" for a worker that is gone. */
static const char *pool_name(const struct weir_board *board, uint64_t worker_id, char out[WEIR_CTL_POOL_BYTES])
{
	const struct weir_board_process *worker = worker_find(board, worker_id);

	if (worker != NULL)
		return weir_ctl_board_pool(worker, out);
	(void)snprintf(out, WEIR_CTL_POOL_BYTES, "?");
	return out;
}

static double age_s(uint64_t at_ns, uint64_t now_ns)
{
	return now_ns < at_ns ? 0 : (double)((now_ns - at_ns) / WEIR_NS_PER_US) / 1e6;
}

static const char *policy_name(uint32_t policy)
{
	const char *name = weir_policy_name(policy);

	return name == NULL ? "unknown" : name;
}

/* JSON */

static void weights_json(cJSON *json, const struct weir_weights *weights)
{
	const struct {
		const char *name;
		uint16_t value;
	} table[] = {
		{"alpha", weights->alpha}, {"beta", weights->beta},       {"gamma", weights->gamma},
		{"delta", weights->delta}, {"epsilon", weights->epsilon}, {"ema", weights->ema},
	};
	cJSON *list = cJSON_AddObjectToObject(json, "weights");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		(void)cJSON_AddNumberToObject(list, table[i].name, (double)table[i].value / WEIR_WEIGHT_ONE);
}

static void number_add(cJSON *json, const char *name, double number)
{
	(void)cJSON_AddNumberToObject(json, name, number); /* without memory: members lack */
}

static cJSON *score_json(const struct weir_board *board, const struct weir_board_score *row, uint64_t now_ns)
{
	static const char *const sources[] = {"none", "clocks", "probes"};
	const uint64_t worker_id = atomic_load_explicit(&row->worker_id, memory_order_relaxed);
	cJSON *json = cJSON_CreateObject();
	char name[WEIR_CTL_POOL_BYTES];

	number_add(json, "worker", (double)worker_id);
	(void)cJSON_AddStringToObject(json, "pool", pool_name(board, worker_id, name));
	(void)cJSON_AddStringToObject(json, "policy", policy_name(row->policy));
	(void)cJSON_AddStringToObject(json, "source", sources[row->sampled_ns == 0 || row->source > 2 ? 0 : row->source]);
	number_add(json, "cpu", (double)row->cpu / WEIR_BOARD_TERM_ONE);
	number_add(json, "mem", (double)row->memory / WEIR_BOARD_TERM_ONE);
	number_add(json, "io", (double)row->io / WEIR_BOARD_TERM_ONE);
	number_add(json, "remote", (double)row->remote / WEIR_BOARD_TERM_ONE);
	number_add(json, "in_flight", row->in_flight);
	number_add(json, "in_flight_limit", row->in_flight_limit);
	number_add(json, "parked", row->parked);
	number_add(json, "parked_limit", row->parked_limit);
	(void)cJSON_AddBoolToObject(json, "has_room", row->has_room == 1);
	number_add(json, "score", (double)row->score / WEIR_BOARD_SCORE_ONE);
	if (row->sampled_ns != 0)
		number_add(json, "sample_age_s", age_s(row->sampled_ns, now_ns));
	number_add(json, "age_s", age_s(row->at_ns, now_ns));
	number_add(json, "picks", (double)row->picks);
	weights_json(json, &row->weights);
	return json;
}

static void picks_json(cJSON *list, const struct weir_board *board, uint32_t shard, uint64_t now_ns)
{
	const struct weir_board_picks *picks = &board->picks[shard];
	const uint64_t count = atomic_load_explicit(&picks->count, memory_order_relaxed);
	char name[WEIR_CTL_POOL_BYTES];

	for (uint64_t back = 1; back <= count && back <= WEIR_BOARD_PICKS; back++) {
		const struct weir_board_pick *pick = &picks->pick[(count - back) % WEIR_BOARD_PICKS];
		const uint64_t worker_id = atomic_load_explicit(&pick->worker_id, memory_order_relaxed);
		cJSON *json = cJSON_CreateObject();

		number_add(json, "ago_s", age_s(atomic_load_explicit(&pick->at_ns, memory_order_relaxed), now_ns));
		number_add(json, "shard", shard);
		number_add(json, "worker", (double)worker_id);
		(void)cJSON_AddStringToObject(json, "pool", pool_name(board, worker_id, name));
		number_add(json, "cost",
			   (double)(atomic_load_explicit(&pick->price, memory_order_relaxed) / 2) / WEIR_BOARD_SCORE_ONE);
		(void)cJSON_AddItemToArray(list, json);
	}
}

static cJSON *scores_json(const struct weir_board *board)
{
	const uint64_t now_ns = weir_clock_now_ns();
	cJSON *json = cJSON_CreateObject();
	cJSON *scores = cJSON_AddArrayToObject(json, "scores");
	cJSON *picks = cJSON_AddArrayToObject(json, "picks");

	(void)cJSON_AddStringToObject(json, "load", board->load);
	for (size_t i = 0; i < WEIR_BOARD_SCORES_MAX; i++) {
		const struct weir_board_score *row = &board->score[i];

		if (atomic_load_explicit(&row->worker_id, memory_order_relaxed) != 0 && row->at_ns != 0)
			(void)cJSON_AddItemToArray(scores, score_json(board, row, now_ns));
	}
	for (uint32_t shard = 0; shard < board->shard_count; shard++)
		picks_json(picks, board, shard, now_ns);
	return json;
}

/* Tables */

static void term_cell(struct weir_ctl_table *table, const cJSON *row, const char *name)
{
	const double term = weir_ctl_json_number(row, name);
	char text[32];

	(void)snprintf(text, sizeof(text), "%s%.2f", term * 100 >= HOT_PERCENT ? "!" : "", term); /* fits */
	weir_ctl_table_cell(table, text);
}

static void age_cell(struct weir_ctl_table *table, const cJSON *row, const char *name)
{
	const cJSON *age = cJSON_GetObjectItemCaseSensitive(row, name);
	char text[32];

	if (!cJSON_IsNumber(age))
		(void)snprintf(text, sizeof(text), "-");
	else if (age->valuedouble < 1)
		(void)snprintf(text, sizeof(text), "%.0fms", age->valuedouble * 1000);
	else
		(void)snprintf(text, sizeof(text), "%.0fs", age->valuedouble); /* cut is fine */
	weir_ctl_table_cell(table, text);
}

static void flight_cell(struct weir_ctl_table *table, const cJSON *row)
{
	const double parked = weir_ctl_json_number(row, "parked");
	const double ahead = weir_ctl_json_number(row, "in_flight") - parked;
	char text[64];

	(void)snprintf(text, sizeof(text), "%.0f/%.0f", ahead < 0 ? 0 : ahead,
		       weir_ctl_json_number(row, "in_flight_limit")); /* fits */
	if (parked > 0)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " + %.0f/%.0f", parked,
			       weir_ctl_json_number(row, "parked_limit"));
	weir_ctl_table_cell(table, text);
}

static void scores_print(const cJSON *scores)
{
	static const char *const titles[] = {"WORKER",    "POOL",   "POLICY", "CPU",   "MEM", "IO",
					     "IN FLIGHT", "REMOTE", "SCORE",  "AGE", "SEEN", "CALLS", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *row = NULL;
	bool is_old = false;
	char text[32];

	cJSON_ArrayForEach(row, scores)
	{
		const bool has_room = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "has_room"));

		weir_ctl_table_number(&table, weir_ctl_json_number(row, "worker"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(row, "pool"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(row, "policy"));
		term_cell(&table, row, "cpu");
		term_cell(&table, row, "mem");
		term_cell(&table, row, "io");
		flight_cell(&table, row);
		term_cell(&table, row, "remote");
		(void)snprintf(text, sizeof(text), "%s%.3f", has_room ? "" : "!full ",
			       weir_ctl_json_number(row, "score")); /* fits */
		weir_ctl_table_cell(&table, text);
		age_cell(&table, row, "sample_age_s");
		age_cell(&table, row, "age_s");
		is_old |= weir_ctl_json_number(row, "age_s") > SEEN_S_MAX;
		weir_ctl_table_number(&table, weir_ctl_json_number(row, "picks"));
	}
	weir_ctl_table_print(&table);
	if (is_old)
		weir_ctl_print("\nThreads without work do not look; they do before they pick again.\n");
}

static void picks_print(const cJSON *picks)
{
	static const char *const titles[] = {"PICKED", "SHARD", "WORKER", "POOL", "COST", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *pick = NULL;
	char text[32];
	int shown = 0;

	cJSON_ArrayForEach(pick, picks)
	{
		if (shown++ == PICKS_SHOWN)
			break;
		(void)snprintf(text, sizeof(text), "%.3fs ago", weir_ctl_json_number(pick, "ago_s")); /* cut is fine */
		weir_ctl_table_cell(&table, text);
		weir_ctl_table_number(&table, weir_ctl_json_number(pick, "shard"));
		weir_ctl_table_number(&table, weir_ctl_json_number(pick, "worker"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(pick, "pool"));
		weir_ctl_table_number(&table, weir_ctl_json_number(pick, "cost"));
	}
	weir_ctl_print("\n");
	weir_ctl_table_print(&table);
	weir_ctl_print("\nShort calls stay on the worker of the last one; these picks are not listed.\n");
}

enum weir_ctl_exit weir_ctl_scores(const struct weir_ctl_call *call)
{
	struct weir_board *board = NULL;
	const enum weir_ctl_exit code = weir_ctl_board_fetch(call, false, &board);
	cJSON *json = NULL;

	if (code != WEIR_CTL_OK)
		return code;
	json = scores_json(board);
	if (call->json) {
		weir_ctl_print_json(json);
	} else {
		scores_print(cJSON_GetObjectItemCaseSensitive(json, "scores"));
		picks_print(cJSON_GetObjectItemCaseSensitive(json, "picks"));
		weir_ctl_print("load: ");
		weir_ctl_print_clean(weir_ctl_json_text(json, "load"));
		weir_ctl_print("\n");
	}
	cJSON_Delete(json);
	free(board);
	return WEIR_CTL_OK;
}
