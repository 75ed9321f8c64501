#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "ctrl/ctrlctl/board.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum { LOOK_EVERY_MS = 20 };

static bool process_ready(const struct weir_board *board, enum weir_process_kind kind)
{
	for (uint32_t i = 0; i < board->process_count; i++) {
		if (board->process[i].kind == kind &&
		    board->process[i].state == WEIR_PROCESS_READY)
			return true;
	}
	return false;
}

/* Pools show as rows of workers, those that are wanted but not there among them. */
static bool pools_ready(const struct weir_board *board, char *why, size_t max)
{
	for (uint32_t i = 0; i < board->process_count; i++) {
		const struct weir_board_process *row = &board->process[i];
		bool served =
			row->kind != WEIR_PROCESS_WORKER || row->state == WEIR_PROCESS_DRAINING;

		for (uint32_t j = 0; j < board->process_count && !served; j++) {
			served = board->process[j].kind == WEIR_PROCESS_WORKER &&
				 board->process[j].pool_key == row->pool_key &&
				 board->process[j].state == WEIR_PROCESS_READY;
		}
		if (served)
			continue;
		(void)snprintf(why, max, "no worker of %s/%s is ready", row->space,
			       weir_ctl_board_runtime(row->runtime));
		return false;
	}
	return true;
}

/* Generation that ctrld wants everywhere; 0: it does not answer, or has none. */
static uint64_t generation_wanted(const struct weir_ctl_call *call)
{
	cJSON *json = NULL;
	uint64_t generation = 0;
	int fd = -1;

	if (weir_ctl_connect(call, "api.sock", SOCK_STREAM, true, &fd) != WEIR_CTL_OK)
		return 0;
	weir_fd_close(&fd);
	if (weir_ctl_api(call, "GET", "/weir/status", NULL, &json) == WEIR_CTL_OK)
		generation = (uint64_t)weir_ctl_json_number(json, "published");
	cJSON_Delete(json);
	return generation;
}

/* Everything in place? If not, `why` says what is missing. */
static bool look(const struct weir_ctl_call *call, char *why, size_t max,
		 enum weir_ctl_exit *out_code)
{
	struct weir_board *board = NULL;
	uint64_t wanted = 0;
	uint64_t generation = 0;
	bool ready = false;

	*out_code = weir_ctl_board_fetch(call, true, &board);
	if (*out_code != WEIR_CTL_OK) {
		(void)snprintf(why, max,
			       "the supervisor at %s/run/supervisor.sock does not answer",
			       call->data);
		return false;
	}
	*out_code = WEIR_CTL_FAILED;
	wanted = generation_wanted(call);
	generation = atomic_load_explicit(&board->generation, memory_order_relaxed);
	if (!process_ready(board, WEIR_PROCESS_GATEWAY)) {
		(void)snprintf(why, max, "the gateway is not ready");
	} else if (!process_ready(board, WEIR_PROCESS_CTRLD) || wanted == 0) {
		(void)snprintf(why, max, "the control process is not ready");
	} else if (generation < wanted) {
		(void)snprintf(why, max,
			       "generation %llu is not acknowledged by every shard (%llu is)",
			       (unsigned long long)wanted, (unsigned long long)generation);
	} else {
		ready = pools_ready(board, why, max);
	}
	free(board);
	return ready;
}

enum weir_ctl_exit weir_ctl_ready(const struct weir_ctl_call *call)
{
	const char *wait = weir_ctl_option(call, "--wait");
	const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * INT64_C(1000000)};
	struct weir_model_error wrong;
	char why[WEIR_CTL_PATH_MAX + 128] = "";
	uint32_t wait_ms = 0;
	uint64_t deadline_ns = 0;
	enum weir_ctl_exit code = WEIR_CTL_FAILED;

	if (wait != NULL && strcmp(wait, "0") != 0 &&
	    weir_model_duration_parse(wait, &wait_ms, &wrong) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, "--wait 30s", "--wait %s", wrong.reason);
	deadline_ns = weir_clock_now_ns() + wait_ms * WEIR_NS_PER_MS;
	while (!look(call, why, sizeof(why), &code)) {
		if (weir_clock_now_ns() >= deadline_ns) {
			return weir_ctl_fail(code,
					     wait == NULL ? "`ctrlctl ready --wait 30s` waits"
							  : "`ctrlctl status` shows more",
					     "not ready: %s", why);
		}
		(void)nanosleep(&pause, NULL); /* interrupted: it looks earlier */
	}
	if (call->json) {
		weir_ctl_print("{\"ready\":true}\n");
	} else {
		weir_ctl_print("ready\n");
	}
	return WEIR_CTL_OK;
}
