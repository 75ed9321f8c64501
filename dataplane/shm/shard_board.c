#include "dataplane/shm/shard_board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

int weir_shard_board_create(int *out_fd, struct weir_shard_board **out_board)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	struct weir_shard_board *board = NULL;
	const int result = weir_fd_create_shared("weir-shards", sizeof(*board), &fd);

	if (result != 0)
		return result;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return -errno;
	/* Our mapping stays writable, no later one can be. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0) {
		const int error = errno;

		weir_shard_board_detach(board);
		return -error;
	}
	*out_board = board;
	*out_fd = fd;
	fd = -1;
	return 0;
}

int weir_shard_board_attach(int fd, const struct weir_shard_board **out_board)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	size_t bytes = 0;
	const int result = weir_fd_check_shared(fd, sizeof(struct weir_shard_board), &bytes);
	const void *board = NULL;

	if (result != 0)
		return result;
	if (seals == -1 || (seals & F_SEAL_FUTURE_WRITE) == 0)
		return -EBADMSG;
	board = mmap(NULL, sizeof(struct weir_shard_board), PROT_READ, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return -errno;
	*out_board = board;
	return 0;
}

void weir_shard_board_detach(const struct weir_shard_board *board)
{
	if (board == NULL)
		return;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): drops the const of a mapping that is ours */
	(void)munmap((void *)(uintptr_t)board, sizeof(*board)); /* cannot fail for ours */
}
