#include "tests/shm/shm_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dataplane/base/fd.h"
#include "dataplane/base/numa_memory.h"
#include "dataplane/shm/shard_board.h"

static int created(uint32_t shard_count)
{
	int fd = -1;

	assert_int_equal(weir_segment_create(11, 22, shard_count, &fd), 0);
	return fd;
}

static void create_refuses_no_shards_and_too_many(void **state)
{
	int fd = -5;

	(void)state;
	assert_int_equal(weir_segment_create(1, 1, 0, &fd), -EINVAL);
	assert_int_equal(weir_segment_create(1, 1, WEIR_SHARDS_MAX + 1, &fd), -EINVAL);
	assert_int_equal(fd, -5);
}

/* The node of a page of ours that was touched; -errno where the kernel does not say. */
static int node_of(void *page)
{
	int node = -1;

	(void)atomic_load_explicit((_Atomic uint8_t *)page, memory_order_relaxed); /* its value is nobody's */
	assert_int_equal(weir_numa_where(&page, 1, &node), 0);
	return node;
}

static void create_at_puts_each_part_on_its_node_before_it_is_touched(void **state)
{
	static struct weir_numa numa;
	static struct weir_segment_homes homes;
	struct weir_segment segment;
	int placed = -1;
	int fd = -1;

	(void)state;
	if (weir_numa_memory_check() != 0)
		skip();
	(void)weir_numa_read(WEIR_NUMA_ROOT, &numa); /* where nothing is told, node 0 it is */
	weir_numa_memory_allow(&numa);
	homes.header = weir_numa_memory_number(&numa, 0);
	homes.pair[0] = weir_numa_memory_number(&numa, numa.node_count - 1);
	homes.pair[1] = homes.header;
	assert_int_equal(weir_segment_create_at(11, 22, 2, &homes, &fd, &placed), 0);
	assert_int_equal(placed, 0);
	assert_int_equal(weir_segment_attach(fd, &segment), 0);
	assert_int_equal(node_of(segment.header), homes.header);
	weir_segment_prefault_pair(&segment, 0, 1);
	assert_int_equal(node_of(segment.pair[0].small[0]), homes.pair[0]);
	assert_int_equal(node_of(&segment.pair[1].to_shard), homes.pair[1]);
	weir_segment_detach(&segment);
	(void)close(fd);
}

static void a_node_that_is_not_there_leaves_a_segment_that_works(void **state)
{
	const struct weir_segment_homes homes = {.header = 1000};
	struct weir_segment segment;
	int placed = 0;
	int fd = -1;

	(void)state;
	assert_int_equal(weir_segment_create_at(11, 22, 1, &homes, &fd, &placed), 0);
	assert_true(placed < 0);
	assert_int_equal(weir_segment_attach(fd, &segment), 0);
	assert_int_equal(segment.worker_id, 22);
	weir_segment_detach(&segment);
	(void)close(fd);
}

static void both_ends_see_the_same_memory_and_identity(void **state)
{
	const int fd = created(2);
	struct weir_segment a;
	struct weir_segment b;

	(void)state;
	assert_int_equal(weir_segment_attach(fd, &a), 0);
	assert_int_equal(weir_segment_attach_readonly(fd, &b), 0);
	assert_int_equal(a.link_id, 11);
	assert_int_equal(a.worker_id, 22);
	assert_int_equal(a.shard_count, 2);
	assert_int_equal(a.bytes, weir_link_segment_bytes(2));
	a.pair[1].large[WEIR_PAIR_CHUNKS_LARGE - 1][WEIR_CHUNK_LARGE_BYTES - 1] = 77;
	assert_int_equal(b.pair[1].large[WEIR_PAIR_CHUNKS_LARGE - 1][WEIR_CHUNK_LARGE_BYTES - 1], 77);
	weir_segment_detach(&a);
	assert_null(a.header);
	weir_segment_detach(&a); /* zeroed */
	weir_segment_detach(&b);
	(void)close(fd);
}

static void largest_segment_is_mapped(void **state)
{
	const int fd = created(WEIR_SHARDS_MAX);
	struct weir_segment segment;

	(void)state;
	assert_int_equal(weir_segment_attach(fd, &segment), 0);
	segment.pair[WEIR_SHARDS_MAX - 1].small[0][0] = 1;
	weir_segment_detach(&segment);
	(void)close(fd);
}

static void segment_can_be_neither_resized_nor_sealed_further(void **state)
{
	const int fd = created(1);

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	(void)close(fd);
}

static void attach_refuses_what_is_not_a_sealed_memfd_of_the_right_size(void **state)
{
	struct weir_segment segment;
	int fds[2];
	int fd = memfd_create("unsealed", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)weir_link_segment_bytes(1)), 0);
	assert_int_equal(weir_segment_attach(fd, &segment), -EBADMSG);
	(void)close(fd);
	assert_int_equal(weir_fd_create_shared("small", 4096, &fd), 0);
	assert_int_equal(weir_segment_attach(fd, &segment), -EBADMSG);
	assert_int_equal(weir_segment_attach_readonly(fd, &segment), -EBADMSG);
	(void)close(fd);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(weir_segment_attach(fds[0], &segment), -EBADMSG);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(weir_segment_attach(-1, &segment), -EBADMSG);
}

/* Damage the header of a good segment with `damage` and attach it. */
static int attach_damaged(void (*damage)(struct weir_link_header *))
{
	const int fd = created(2);
	struct weir_segment segment = {0};
	struct weir_link_header *const header =
		mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int result = 0;

	assert_ptr_not_equal(header, MAP_FAILED);
	damage(header);
	(void)munmap(header, sizeof(*header));
	result = weir_segment_attach(fd, &segment);
	if (result != 0)
		assert_null(segment.header); /* untouched on failure */
	weir_segment_detach(&segment);
	(void)close(fd);
	return result;
}

static void damage_nothing(struct weir_link_header *header)
{
	(void)header;
}

static void damage_magic(struct weir_link_header *header)
{
	header->magic ^= 1;
}

static void damage_major(struct weir_link_header *header)
{
	header->abi_major++;
}

static void damage_shards_none(struct weir_link_header *header)
{
	header->shard_count = 0;
}

static void damage_shards_many(struct weir_link_header *header)
{
	header->shard_count = WEIR_SHARDS_MAX + 1;
	header->segment_bytes = weir_link_segment_bytes(WEIR_SHARDS_MAX + 1);
}

static void damage_shards_more(struct weir_link_header *header)
{
	header->shard_count = 3;
}

static void damage_shards_and_bytes(struct weir_link_header *header)
{
	header->shard_count = 3;
	header->segment_bytes = weir_link_segment_bytes(3);
}

static void damage_bytes(struct weir_link_header *header)
{
	header->segment_bytes++;
}

static void attach_refuses_each_damaged_identity_field(void **state)
{
	(void)state;
	assert_int_equal(attach_damaged(damage_nothing), 0);
	assert_int_equal(attach_damaged(damage_magic), -EBADMSG);
	assert_int_equal(attach_damaged(damage_major), -EPROTO);
	assert_int_equal(attach_damaged(damage_shards_none), -EBADMSG);
	assert_int_equal(attach_damaged(damage_shards_many), -EBADMSG);
	assert_int_equal(attach_damaged(damage_shards_more), -EBADMSG);
	assert_int_equal(attach_damaged(damage_shards_and_bytes), -EBADMSG);
	assert_int_equal(attach_damaged(damage_bytes), -EBADMSG);
}

static void child_process_does_not_inherit_the_mapping(void **state)
{
	struct weir_segment segment = shm_segment_open(1);
	int status = 0;
	const pid_t child = fork();

	(void)state;
	if (child == 0) {
		unsigned char present = 0;

		_exit(mincore(segment.header, 4096, &present) == -1 && errno == ENOMEM ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	weir_segment_detach(&segment);
}

static long allocated_pages(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return (long)status.st_blocks / 8;
}

static void prefault_allocates_one_pair_and_trim_gives_chunks_back(void **state)
{
	const int fd = created(2);
	struct weir_segment segment;
	const long before = allocated_pages(fd);
	const long rings = (long)offsetof(struct weir_link_pair, small) / 4096;

	(void)state;
	assert_int_equal(weir_segment_attach(fd, &segment), 0);
	segment.pair[1].call[3].deadline_ns = 5;
	weir_segment_prefault_pair(&segment, 1, 10);
	assert_true(allocated_pages(fd) >= before + rings + 10);
	assert_true(allocated_pages(fd) < before + rings + 100);
	segment.pair[1].small[2][0] = 9;
	segment.pair[1].large[5][0] = 9;
	segment.pair[0].small[2][0] = 8;
	weir_segment_trim_pair(&segment, 1);
	assert_true(allocated_pages(fd) <= before + rings + 1);
	assert_int_equal(segment.pair[1].call[3].deadline_ns, 5);
	assert_int_equal(segment.pair[1].small[2][0], 0);
	assert_int_equal(segment.pair[0].small[2][0], 8);
	weir_segment_detach(&segment);
	(void)close(fd);
}

static void chunk_address_is_known_for_references_in_range_only(void **state)
{
	struct weir_segment segment = shm_segment_open(1);
	struct weir_link_pair *const pair = &segment.pair[0];
	size_t bytes = 99;

	(void)state;
	assert_ptr_equal(weir_segment_chunk(pair, 0, &bytes), pair->small[0]);
	assert_int_equal(bytes, WEIR_CHUNK_SMALL_BYTES);
	assert_ptr_equal(weir_segment_chunk(pair, WEIR_PAIR_CHUNKS_SMALL, &bytes), pair->large[0]);
	assert_int_equal(bytes, WEIR_CHUNK_LARGE_BYTES);
	assert_ptr_equal(weir_segment_chunk(pair, WEIR_PAIR_CHUNKS_SMALL + WEIR_PAIR_CHUNKS_LARGE - 1, &bytes),
			 pair->large[WEIR_PAIR_CHUNKS_LARGE - 1]);
	assert_null(weir_segment_chunk(pair, WEIR_PAIR_CHUNKS_SMALL + WEIR_PAIR_CHUNKS_LARGE, &bytes));
	assert_int_equal(bytes, 0);
	assert_null(weir_segment_chunk(pair, WEIR_CHUNK_NONE, &bytes));
	weir_segment_detach(&segment);
}

static void shard_board_is_writable_for_its_maker_only(void **state)
{
	struct weir_shard_board *board = NULL;
	const struct weir_shard_board *seen = NULL;
	int fd = -1;

	(void)state;
	assert_int_equal(weir_shard_board_create(&fd, &board), 0);
	assert_int_equal(weir_shard_board_attach(fd, &seen), 0);
	atomic_store(&board->shard[WEIR_SHARDS_MAX - 1].sleep_count, 12);
	assert_int_equal(atomic_load(&seen->shard[WEIR_SHARDS_MAX - 1].sleep_count), 12);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(mprotect((void *)(uintptr_t)seen, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	weir_shard_board_detach(seen);
	weir_shard_board_detach(board);
	weir_shard_board_detach(NULL);
	(void)close(fd);
}

static void shard_board_without_seals_or_too_small_is_refused(void **state)
{
	const struct weir_shard_board *board = NULL;
	int fd = -1;

	(void)state;
	assert_int_equal(weir_fd_create_shared("board", sizeof(*board), &fd), 0);
	assert_int_equal(weir_shard_board_attach(fd, &board), -EBADMSG);
	(void)close(fd);
	assert_int_equal(weir_fd_create_shared("board", sizeof(*board) - 1, &fd), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	assert_int_equal(weir_shard_board_attach(fd, &board), -EBADMSG);
	(void)close(fd);
	assert_int_equal(weir_shard_board_attach(-1, &board), -EBADMSG);
	assert_null(board);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_refuses_no_shards_and_too_many),
		cmocka_unit_test(create_at_puts_each_part_on_its_node_before_it_is_touched),
		cmocka_unit_test(a_node_that_is_not_there_leaves_a_segment_that_works),
		cmocka_unit_test(both_ends_see_the_same_memory_and_identity),
		cmocka_unit_test(largest_segment_is_mapped),
		cmocka_unit_test(segment_can_be_neither_resized_nor_sealed_further),
		cmocka_unit_test(attach_refuses_what_is_not_a_sealed_memfd_of_the_right_size),
		cmocka_unit_test(attach_refuses_each_damaged_identity_field),
		cmocka_unit_test(child_process_does_not_inherit_the_mapping),
		cmocka_unit_test(prefault_allocates_one_pair_and_trim_gives_chunks_back),
		cmocka_unit_test(chunk_address_is_known_for_references_in_range_only),
		cmocka_unit_test(shard_board_is_writable_for_its_maker_only),
		cmocka_unit_test(shard_board_without_seals_or_too_small_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
