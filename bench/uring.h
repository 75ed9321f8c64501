/* uring: the io_uring set-up that both measuring programs share: one ring for one thread
 * (SINGLE_ISSUER, DEFER_TASKRUN) and one group of provided buffers for its multishot receives.
 *
 *   memory   | buffer 0 | buffer 1 | ... | buffer count-1 |    all the same size
 *   ring     ids of the buffers that the kernel may fill; filled ones come back in completions
 *
 * Owns: a filled buffer is the program's until weir_bench_buffer_return().
 * Threads: one, the one that opened the ring. Peer death: none, the kernel is the peer.
 * Needs Linux 6.0 (multishot receive) or 6.1 (DEFER_TASKRUN). */
#ifndef WEIR_BENCH_URING_H
#define WEIR_BENCH_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_BENCH_BUFFER_GROUP 0

struct weir_bench_buffers {
	struct io_uring_buf_ring *ring;
	char *memory;
	uint32_t count; /* a power of two, at most 32768 */
	uint32_t bytes_each;
	uint32_t returned; /* given back since the last commit */
};

/* Open a ring with `entries` submission entries (a power of two). It lives until the program
 * ends. With `is_polled` the kernel shows in the ring that completions wait to be fetched, for a
 * program that looks instead of sleeping: weir_bench_ring_waiting(). 0, or -ENOSYS, -EPERM (switched off), -EINVAL (kernel before 6.1), -errno. */
int weir_bench_ring_open(uint32_t entries, bool is_polled, struct io_uring *out_ring);

/* Register `count` buffers of `bytes_each` bytes with `ring`; they live until the program ends.
 * 0, or -ENOMEM, -errno. */
int weir_bench_buffers_open(struct io_uring *ring, uint32_t count, uint32_t bytes_each,
			    struct weir_bench_buffers *out_buffers);

/* A cleared submission entry; submits what is pending when the ring is full. Never NULL. */
struct io_uring_sqe *weir_bench_sqe(struct io_uring *ring);

/* Queue a multishot receive on `fd` into the buffers; its completions carry `user_data`. */
void weir_bench_receive_arm(struct io_uring *ring, int fd, uint64_t user_data);

/* Whether entering the kernel would do something: submissions are queued, or completions wait. */
static inline bool weir_bench_ring_waiting(const struct io_uring *ring)
{
	return io_uring_sq_ready(ring) > 0 ||
	       (IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_TASKRUN) != 0;
}

/* The bytes that the completion `cqe` of a receive brought (cqe->res of them). */
static inline char *weir_bench_buffer_data(const struct weir_bench_buffers *buffers,
					   const struct io_uring_cqe *cqe)
{
	return buffers->memory +
	       (size_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) * buffers->bytes_each;
}

/* Give the buffer of `cqe` back; the kernel sees it after weir_bench_buffers_commit(). */
static inline void weir_bench_buffer_return(struct weir_bench_buffers *buffers,
					    const struct io_uring_cqe *cqe)
{
	io_uring_buf_ring_add(buffers->ring, weir_bench_buffer_data(buffers, cqe),
			      buffers->bytes_each,
			      (unsigned short)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
			      io_uring_buf_ring_mask(buffers->count), (int)buffers->returned);
	buffers->returned++;
}

/* Show the kernel all buffers returned so far; once a turn. */
static inline void weir_bench_buffers_commit(struct weir_bench_buffers *buffers)
{
	if (buffers->returned > 0)
		io_uring_buf_ring_advance(buffers->ring, (int)buffers->returned);
	buffers->returned = 0;
}

#endif
