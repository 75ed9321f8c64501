#include "dataplane/shm/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"

enum { TRIES_MAX = 8 };

/* A memfd must not shrink under us. An eBPF map cannot: it has no seals, and no size to ask for. */
static int size_check(int fd)
{
	size_t bytes = 0;

	if (fcntl(fd, F_GET_SEALS) == -1 && errno == EINVAL)
		return 0; /* not a memfd: mmap refuses what is longer than a map, the magic the rest */
	return weir_fd_check_shared(fd, sizeof(struct weir_load_board), &bytes);
}

static int attach(int fd, int protection, struct weir_load_board **out_board)
{
	const int result = size_check(fd);
	struct weir_load_board *board = NULL;

	if (result != 0)
		return result;
	board = mmap(NULL, sizeof(*board), protection, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return errno == EINVAL || errno == ENODEV ? -EBADMSG : -errno;
	if (board->magic != WEIR_LOAD_MAGIC || board->slot_count != WEIR_LOAD_SLOTS ||
	    board->bytes != sizeof(*board)) {
		weir_load_detach(board);
		return -EBADMSG;
	}
	*out_board = board;
	return 0;
}

int weir_load_attach(int fd, const struct weir_load_board **out_board)
{
	struct weir_load_board *board = NULL;
	const int result = attach(fd, PROT_READ, &board);

	if (result == 0)
		*out_board = board;
	return result;
}

int weir_load_attach_writable(int fd, struct weir_load_board **out_board)
{
	return attach(fd, PROT_READ | PROT_WRITE, out_board);
}

void weir_load_detach(const struct weir_load_board *board)
{
	if (board == NULL)
		return;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): drops the const of a mapping that is ours */
	(void)munmap((void *)(uintptr_t)board, sizeof(*board)); /* cannot fail for ours */
}

int weir_load_find(const struct weir_load_board *board, uint64_t worker_id)
{
	for (int i = 0; i < WEIR_LOAD_SLOTS && worker_id != 0; i++) {
		/* ORDER load_slot acquire: its tag, epoch and cleared lines come with the id. */
		if (atomic_load_explicit(&board->slot[i].worker_id, memory_order_acquire) == worker_id)
			return i;
	}
	return -ENOENT;
}

uint64_t weir_load_on_cpu_ns(uint64_t word, uint64_t epoch_ns, uint64_t now_ns)
{
	const uint64_t half = UINT64_C(1) << (WEIR_LOAD_RUNNING_SHIFT - 1);
	const uint64_t running = (word + half) >> WEIR_LOAD_RUNNING_SHIFT;
	const uint64_t now = (now_ns - epoch_ns) >> WEIR_LOAD_UNIT_SHIFT;
	/* Wraps below 0 on the way, and back. */
	const uint64_t units = word - (running << WEIR_LOAD_RUNNING_SHIFT) + running * now;

	return (int64_t)units < 0 ? 0 : units << WEIR_LOAD_UNIT_SHIFT;
}

static void probe_read(const struct weir_load_slot *slot, uint64_t now_ns, struct weir_load_sample *sample)
{
	for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
		sample->count[i] = atomic_load_explicit(&slot->probe[i], memory_order_relaxed);
	sample->count[WEIR_LOAD_ON_CPU_NS] =
		weir_load_on_cpu_ns(sample->count[WEIR_LOAD_ON_CPU_NS], slot->epoch_ns, now_ns);
	sample->at_ns = now_ns;
}

static void clock_read(const struct weir_load_slot *slot, struct weir_load_sample *sample)
{
	for (size_t i = 0; i < WEIR_LOAD_COUNT; i++)
		sample->count[i] = atomic_load_explicit(&slot->clock[i], memory_order_relaxed);
	sample->at_ns = sample->rss_at_ns;
}

/* Everything that the supervisor writes between two values of `change`. False: it was writing. */
static bool slot_read(const struct weir_load_slot *slot, uint64_t worker_id, uint64_t now_ns,
		      struct weir_load_sample *sample)
{
	/* ORDER load_sample acquire: what the even number was published with is read below. */
	const uint64_t before = atomic_load_explicit(&slot->change, memory_order_acquire);

	sample->source = WEIR_LOAD_SOURCE_NONE;
	if (atomic_load_explicit(&slot->worker_id, memory_order_relaxed) == worker_id)
		sample->source = atomic_load_explicit(&slot->source, memory_order_relaxed);
	sample->rss_bytes = atomic_load_explicit(&slot->rss_bytes, memory_order_relaxed);
	sample->rss_at_ns = atomic_load_explicit(&slot->sampled_ns, memory_order_relaxed);
	sample->exited = atomic_load_explicit(&slot->exited_ns, memory_order_relaxed) != 0;
	if (sample->source == WEIR_LOAD_SOURCE_PROBES) {
		probe_read(slot, now_ns, sample);
	} else {
		clock_read(slot, sample);
	}
	/* ORDER load_sample_begin acquire: had a field changed while we read, the number differs now. */
	atomic_thread_fence(memory_order_acquire);
	return (before & 1) == 0 && atomic_load_explicit(&slot->change, memory_order_relaxed) == before;
}

bool weir_load_read(const struct weir_load_board *board, uint32_t slot, uint64_t worker_id, uint64_t now_ns,
		    struct weir_load_sample *out_sample)
{
	const struct weir_load_slot *const place = &board->slot[slot % WEIR_LOAD_SLOTS];
	struct weir_load_sample sample;

	if (worker_id == 0)
		return false;
	for (int i = 0; i < TRIES_MAX; i++) {
		if (!slot_read(place, worker_id, now_ns, &sample))
			continue;
		if (sample.source == WEIR_LOAD_SOURCE_NONE)
			return false;
		*out_sample = sample;
		return true;
	}
	return false;
}

uint64_t weir_load_age_ns(const struct weir_load_sample *sample, uint64_t now_ns)
{
	const uint64_t older = sample->at_ns < sample->rss_at_ns ? sample->at_ns : sample->rss_at_ns;

	return older > now_ns ? 0 : now_ns - older;
}

void weir_load_format(struct weir_load_board *board, enum weir_load_source source, uint64_t now_ns)
{
	board->slot_count = WEIR_LOAD_SLOTS;
	board->source = source;
	board->bytes = sizeof(*board);
	board->created_ns = now_ns;
	board->magic = WEIR_LOAD_MAGIC;
}

int weir_load_create(int *out_fd, struct weir_load_board **out_board)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	struct weir_load_board *board = NULL;
	const int result = weir_fd_create_shared("weir-load", sizeof(*board), &fd);

	if (result != 0)
		return result;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return -errno;
	weir_load_format(board, WEIR_LOAD_SOURCE_CLOCKS, weir_clock_now_ns());
	*out_board = board;
	*out_fd = fd;
	fd = -1;
	return 0;
}

/* From here to change_end() readers take nothing. A supervisor that died in between left it odd. */
static uint64_t change_begin(struct weir_load_slot *slot)
{
	const uint64_t change = atomic_load_explicit(&slot->change, memory_order_relaxed) | 1;

	atomic_store_explicit(&slot->change, change, memory_order_relaxed);
	/* ORDER load_sample_begin release: no field may change before readers can see that it might. */
	atomic_thread_fence(memory_order_release);
	return change;
}

static void change_end(struct weir_load_slot *slot, uint64_t change)
{
	/* ORDER load_sample release: the fields are whole again. */
	atomic_store_explicit(&slot->change, change + 1, memory_order_release);
}

static void line_clear(weir_load_word *line)
{
	for (size_t i = 0; i < WEIR_LOAD_COUNTS_MAX; i++)
		atomic_store_explicit(&line[i], 0, memory_order_relaxed);
}

int weir_load_claim(struct weir_load_board *board, uint64_t worker_id, uint32_t from, uint64_t now_ns)
{
	for (uint32_t i = 0; i < WEIR_LOAD_SLOTS; i++) {
		const uint32_t index = (from + i) % WEIR_LOAD_SLOTS;
		struct weir_load_slot *const slot = &board->slot[index];
		uint64_t change = 0;

		if (atomic_load_explicit(&slot->worker_id, memory_order_relaxed) != 0)
			continue;
		change = change_begin(slot);
		slot->epoch_ns = now_ns;
		line_clear(slot->clock);
		line_clear(slot->probe);
		atomic_store_explicit(&slot->sampled_ns, 0, memory_order_relaxed);
		atomic_store_explicit(&slot->rss_bytes, 0, memory_order_relaxed);
		atomic_store_explicit(&slot->exited_ns, 0, memory_order_relaxed);
		atomic_store_explicit(&slot->tgid, 0, memory_order_relaxed);
		atomic_store_explicit(&slot->tag, 0, memory_order_relaxed);
		atomic_store_explicit(&slot->source, WEIR_LOAD_SOURCE_NONE, memory_order_relaxed);
		/* ORDER load_slot release: readers that find the id find a cleared slot. */
		atomic_store_explicit(&slot->worker_id, worker_id, memory_order_release);
		change_end(slot, change);
		return (int)index;
	}
	return -ENOSPC;
}

void weir_load_release(struct weir_load_board *board, uint32_t slot)
{
	struct weir_load_slot *const place = &board->slot[slot % WEIR_LOAD_SLOTS];
	const uint64_t change = change_begin(place);

	atomic_store_explicit(&place->tag, 0, memory_order_relaxed);
	atomic_store_explicit(&place->source, WEIR_LOAD_SOURCE_NONE, memory_order_relaxed);
	atomic_store_explicit(&place->worker_id, 0, memory_order_relaxed);
	change_end(place, change);
}

void weir_load_publish(struct weir_load_board *board, uint32_t slot, const uint64_t *counts, uint64_t rss_bytes,
		       uint64_t now_ns)
{
	struct weir_load_slot *const place = &board->slot[slot % WEIR_LOAD_SLOTS];
	const uint64_t change = change_begin(place);

	for (size_t i = 0; i < WEIR_LOAD_COUNT && counts != NULL; i++)
		atomic_store_explicit(&place->clock[i], counts[i], memory_order_relaxed);
	if (counts != NULL)
		atomic_store_explicit(&place->source, WEIR_LOAD_SOURCE_CLOCKS, memory_order_relaxed);
	atomic_store_explicit(&place->rss_bytes, rss_bytes, memory_order_relaxed);
	atomic_store_explicit(&place->sampled_ns, now_ns, memory_order_relaxed);
	change_end(place, change);
	atomic_store_explicit(&board->sampled_ns, now_ns, memory_order_relaxed);
}
