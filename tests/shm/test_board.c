/* Copies of the board: whole, checked, and never of rows that are being written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "dataplane/base/fd.h"
#include "dataplane/shm/board.h"

struct boards {
	struct weir_board *board;
	struct weir_board *copy;
};

static int boards_make(void **state)
{
	struct boards *boards = calloc(1, sizeof(*boards));

	boards->board = aligned_alloc(_Alignof(struct weir_board), sizeof(struct weir_board));
	boards->copy = aligned_alloc(_Alignof(struct weir_board), sizeof(struct weir_board));
	memset(boards->board, 0, sizeof(struct weir_board));
	boards->board->magic = WEIR_BOARD_MAGIC;
	boards->board->bytes = sizeof(struct weir_board);
	boards->board->abi_major = WEIR_ABI_MAJOR;
	*state = boards;
	return 0;
}

static int boards_drop(void **state)
{
	struct boards *boards = *state;

	free(boards->board);
	free(boards->copy);
	free(boards);
	return 0;
}

static void rows_that_are_written_are_not_copied(void **state)
{
	struct boards *boards = *state;

	assert_int_equal(weir_board_copy(boards->board, 1, boards->copy), 0);
	atomic_store(&boards->board->change, 7);
	assert_int_equal(weir_board_copy(boards->board, 1, boards->copy), -EAGAIN);
	assert_int_equal(weir_board_copy(boards->board, 3, boards->copy), -EAGAIN);
	atomic_store(&boards->board->change, 8);
	boards->board->process_count = WEIR_BOARD_PROCESSES_MAX;
	boards->board->process[511].pid = 42;
	assert_int_equal(weir_board_copy(boards->board, 1, boards->copy), 0);
	assert_int_equal(boards->copy->process[511].pid, 42);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct boards *boards = *state;
	struct weir_board *board = boards->board;

	board->process_count = WEIR_BOARD_PROCESSES_MAX + 1;
	assert_int_equal(weir_board_copy(board, 1, boards->copy), -EBADMSG);
	board->process_count = 1;
	board->pool_count = WEIR_BOARD_POOLS_MAX + 1;
	assert_int_equal(weir_board_copy(board, 1, boards->copy), -EBADMSG);
	board->pool_count = 0;
	board->shard_count = 1; /* on a node that there is not */
	assert_int_equal(weir_board_copy(board, 1, boards->copy), -EBADMSG);
	board->shard_count = 0;
	memset(board->process[0].space, 'x', sizeof(board->process[0].space));
	assert_int_equal(weir_board_copy(board, 1, boards->copy), 0);
	assert_int_equal(strlen(boards->copy->process[0].space), sizeof(board->process[0].space) - 1);
	board->abi_major++;
	assert_int_equal(weir_board_copy(board, 1, boards->copy), -EPROTO);
	board->magic++;
	assert_int_equal(weir_board_copy(board, 1, boards->copy), -EBADMSG);
}

static void a_score_without_end_is_left_out(void **state)
{
	struct boards *boards = *state;

	atomic_store(&boards->board->score[0].worker_id, 5);
	atomic_store(&boards->board->score[1].worker_id, 6);
	atomic_store(&boards->board->score[1].change, 1);
	assert_int_equal(weir_board_copy(boards->board, 1, boards->copy), 0);
	weir_board_copy_scores(boards->board, boards->copy);
	assert_int_equal(atomic_load(&boards->copy->score[0].worker_id), 5);
	assert_int_equal(atomic_load(&boards->copy->score[1].worker_id), 0);
}

static void a_descriptor_is_mapped_only_if_it_is_large_enough(void **state)
{
	const struct weir_board *board = NULL;
	int fd = -1;

	(void)state;
	assert_int_equal(weir_fd_create_shared("test", 4096, &fd), 0);
	assert_int_equal(weir_board_attach(fd, &board), -EBADMSG);
	weir_fd_close(&fd);
	assert_int_equal(weir_fd_create_shared("test", sizeof(*board), &fd), 0);
	assert_int_equal(weir_board_attach(fd, &board), 0);
	weir_fd_close(&fd);
	assert_int_equal(board->magic, 0);
	weir_board_detach(board);
	weir_board_detach(NULL);
}

static void states_have_names(void **state)
{
	(void)state;
	assert_string_equal(weir_board_state_name(WEIR_PROCESS_STARTING), "starting");
	assert_string_equal(weir_board_state_name(WEIR_PROCESS_BACKOFF), "backoff");
	assert_string_equal(weir_board_state_name(99), "unknown");
	assert_string_equal(weir_board_kind_name(WEIR_PROCESS_WORKER), "worker");
	assert_string_equal(weir_board_kind_name(99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_that_are_written_are_not_copied, boards_make, boards_drop),
		cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused, boards_make, boards_drop),
		cmocka_unit_test_setup_teardown(a_score_without_end_is_left_out, boards_make, boards_drop),
		cmocka_unit_test(a_descriptor_is_mapped_only_if_it_is_large_enough),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
