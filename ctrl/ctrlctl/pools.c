#include "ctrl/ctrlctl/pools.h"

#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/output.h"

static double ms(uint64_t ns)
{
	return (double)(ns / 1000) / 1000;
}

static void starts_add(cJSON *json, const char *name, const struct weir_board_starts *starts)
{
	cJSON *const one = cJSON_AddObjectToObject(json, name);

	(void)cJSON_AddNumberToObject(one, "count", (double)starts->count); /* or members lack */
	(void)cJSON_AddNumberToObject(one, "mean_ms", starts->count == 0 ? 0 : ms(starts->sum_ns / starts->count));
	(void)cJSON_AddNumberToObject(one, "last_ms", ms(starts->last_ns));
	(void)cJSON_AddNumberToObject(one, "max_ms", ms(starts->max_ns));
}

static void live_add(cJSON *json, const struct weir_board *board, const struct weir_board_pool *pool)
{
	(void)cJSON_AddNumberToObject(json, "wanted", pool->wanted);
	(void)cJSON_AddNumberToObject(json, "ready", pool->ready);
	(void)cJSON_AddNumberToObject(json, "waiting", (double)weir_ctl_board_waiting(board, pool->key));
	(void)cJSON_AddNumberToObject(json, "demand", (double)pool->demand / 1000);
	if (pool->target == UINT32_MAX)
		(void)cJSON_AddNullToObject(json, "target");
	else
		(void)cJSON_AddNumberToObject(json, "target", pool->target);
	starts_add(json, "starts", &pool->starts);
	starts_add(json, "cold_starts", &pool->cold);
}

cJSON *weir_ctl_pools_json(const struct weir_board *board)
{
	cJSON *const list = cJSON_CreateArray();

	for (uint64_t i = 0; i < board->pool_count; i++) {
		cJSON *const json = cJSON_CreateObject();
		char name[WEIR_CTL_POOL_BYTES];

		(void)cJSON_AddStringToObject(json, "pool", weir_ctl_board_pool_name(&board->pool[i], name));
		(void)cJSON_AddNumberToObject(json, "workers_min", board->pool[i].workers_min);
		(void)cJSON_AddNumberToObject(json, "workers_max", board->pool[i].workers_max);
		live_add(json, board, &board->pool[i]);
		(void)cJSON_AddItemToArray(list, json);
	}
	return list;
}

void weir_ctl_pools_join(cJSON *pools, const struct weir_board *board)
{
	cJSON *json = NULL;

	cJSON_ArrayForEach(json, pools)
	{
		for (uint64_t i = 0; i < board->pool_count; i++) {
			char name[WEIR_CTL_POOL_BYTES];

			if (strcmp(weir_ctl_board_pool_name(&board->pool[i], name), weir_ctl_json_text(json, "pool")) == 0)
				live_add(json, board, &board->pool[i]);
		}
	}
}

void weir_ctl_pools_format(const cJSON *pool, char *out, size_t max)
{
	const cJSON *const starts = cJSON_GetObjectItemCaseSensitive(pool, "starts");
	const cJSON *const cold = cJSON_GetObjectItemCaseSensitive(pool, "cold_starts");

	(void)snprintf(out, max, "%.0f ready; %.0f starts, %.1f ms each; %.0f cold ones, %.1f ms each, longest %.1f ms",
		       weir_ctl_json_number(pool, "ready"), weir_ctl_json_number(starts, "count"),
		       weir_ctl_json_number(starts, "mean_ms"), weir_ctl_json_number(cold, "count"),
		       weir_ctl_json_number(cold, "mean_ms"), weir_ctl_json_number(cold, "max_ms")); /* fits */
}

static void decimal_cell(struct weir_ctl_table *table, double number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.1f", number); /* fits */
	weir_ctl_table_cell(table, text);
}

static void starts_cells(struct weir_ctl_table *table, const cJSON *starts)
{
	weir_ctl_table_number(table, weir_ctl_json_number(starts, "count"));
	decimal_cell(table, weir_ctl_json_number(starts, "mean_ms"));
	decimal_cell(table, weir_ctl_json_number(starts, "max_ms"));
}

void weir_ctl_pools_print(const cJSON *pools)
{
	static const char *const titles[] = {"POOL",   "READY",   "WANTED",  "MIN",    "MAX",	   "WAITING",  "DEMAND",
					     "STARTS", "MEAN_MS", "MAX_MS", "COLD", "MEAN_MS", "MAX_MS", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *pool = NULL;

	cJSON_ArrayForEach(pool, pools)
	{
		const cJSON *const starts = cJSON_GetObjectItemCaseSensitive(pool, "starts");
		static const char *const numbers[] = {"ready", "wanted", "workers_min", "workers_max", "waiting"};

		if (weir_ctl_json_number(pool, "wanted") == 0 && weir_ctl_json_number(starts, "count") == 0)
			continue;
		weir_ctl_table_cell(&table, weir_ctl_json_text(pool, "pool"));
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			weir_ctl_table_number(&table, weir_ctl_json_number(pool, numbers[i]));
		decimal_cell(&table, weir_ctl_json_number(pool, "demand"));
		starts_cells(&table, starts);
		starts_cells(&table, cJSON_GetObjectItemCaseSensitive(pool, "cold_starts"));
	}
	weir_ctl_table_print(&table);
}
