#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrld/ctrld.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/board.h"

void weir_ctrld_board_take(struct weir_ctrld *ctrld, int fd)
{
	const struct weir_board *board = NULL;
	const int code = weir_board_attach(fd, &board);

	if (code != 0) {
		weir_log(WEIR_LOG_ERROR, "the supervisor's board cannot be read", "error=\"%s\"", strerror(-code));
		return;
	}
	weir_board_detach(ctrld->board);
	ctrld->board = board;
}

static void worker_add(const struct weir_board_process *row, cJSON *list)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(json, "worker", (double)row->id); /* or members lack; 0: not started yet */
	(void)cJSON_AddNumberToObject(json, "pid", row->pid);
	(void)cJSON_AddStringToObject(json, "state", weir_board_state_name(row->state));
	(void)cJSON_AddNumberToObject(json, "cpu_millicores", row->cpu_millicores);
	(void)cJSON_AddNumberToObject(json, "memory_mb", row->memory_mb);
	(void)cJSON_AddItemToArray(list, json);
}

static bool is_of(const struct weir_board_process *row, const uint64_t *pools, size_t count)
{
	for (size_t i = 0; row->kind == WEIR_PROCESS_WORKER && i < count; i++) {
		if (row->pool_key == pools[i])
			return true;
	}
	return false;
}

int weir_ctrld_workers(const struct weir_ctrld *ctrld, const uint64_t *pools, size_t count, cJSON *list)
{
	WEIR_CLEANUP(weir_free) struct weir_board *copy = NULL;
	int code = 0;

	if (ctrld->board == NULL)
		return -ENODEV;
	copy = aligned_alloc(_Alignof(struct weir_board), sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	code = weir_board_copy(ctrld->board, 1, copy); /* waiting is the caller's */
	for (uint32_t i = 0; code == 0 && i < copy->process_count; i++) {
		if (is_of(&copy->process[i], pools, count))
			worker_add(&copy->process[i], list);
	}
	return code;
}
