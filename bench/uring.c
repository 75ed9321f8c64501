#include "bench/uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COMPLETIONS_PER_SUBMISSION \
	8 /* multishot receives complete often; an overflow is slow */

int weir_bench_ring_open(uint32_t entries, bool is_polled, struct io_uring *out_ring)
{
	struct io_uring_params parameters = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
			 (is_polled ? IORING_SETUP_TASKRUN_FLAG : 0),
		.cq_entries = entries * COMPLETIONS_PER_SUBMISSION,
	};

	return io_uring_queue_init_params(entries, out_ring, &parameters);
}

static void *map_zeroed(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int weir_bench_buffers_open(struct io_uring *ring, uint32_t count, uint32_t bytes_each,
			    struct weir_bench_buffers *out_buffers)
{
	struct weir_bench_buffers buffers = {.count = count, .bytes_each = bytes_each};
	struct io_uring_buf_reg registration = {
		.ring_entries = count,
		.bgid = WEIR_BENCH_BUFFER_GROUP,
	};

	buffers.memory = map_zeroed((size_t)count * bytes_each);
	buffers.ring = map_zeroed((size_t)count * sizeof(struct io_uring_buf));
	if (buffers.memory == NULL || buffers.ring == NULL)
		return -ENOMEM;
	registration.ring_addr = (uint64_t)(uintptr_t)buffers.ring;
	const int status = io_uring_register_buf_ring(ring, &registration, 0);

	if (status < 0)
		return status;
	io_uring_buf_ring_init(buffers.ring);
	for (uint32_t i = 0; i < count; i++)
		io_uring_buf_ring_add(buffers.ring, buffers.memory + (size_t)i * bytes_each,
				      bytes_each, (unsigned short)i,
				      io_uring_buf_ring_mask(count), (int)i);
	io_uring_buf_ring_advance(buffers.ring, (int)count);
	*out_buffers = buffers;
	return 0;
}

struct io_uring_sqe *weir_bench_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (sqe == NULL) {
		const int status = io_uring_submit(ring);

		sqe = io_uring_get_sqe(ring);
		if (sqe == NULL) {
			fprintf(stderr, "io_uring takes no more requests: %s\n",
				strerror(-status));
			exit(1);
		}
	}
	return sqe;
}

void weir_bench_receive_arm(struct io_uring *ring, int fd, uint64_t user_data)
{
	struct io_uring_sqe *sqe = weir_bench_sqe(ring);

	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = WEIR_BENCH_BUFFER_GROUP;
	sqe->user_data = user_data;
}
