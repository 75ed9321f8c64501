/* WASI preview 1: each function of imports.h, in its order. Addresses are checked by weir_wasm_at(); the
 * numbers of errors and kinds are those of wasi/api.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "dataplane/base/clock.h"
#include "dataplane/runtime/wasm/host.h"

enum {
	WASI_OK = 0,
	WASI_BADF = 8,
	WASI_FAULT = 21,
	WASI_INVAL = 28,
	WASI_IO = 29,
	WASI_NOMEM = 48,
	WASI_NOSYS = 52,
	WASI_NOTDIR = 54,
	WASI_NOTSOCK = 57,
	WASI_NOTSUP = 58,
	WASI_SPIPE = 70,

	WASI_CHARACTER_DEVICE = 2,
	WASI_RIGHT_READ = 1 << 1,
	WASI_RIGHT_WRITE = 1 << 6,
	WASI_RIGHT_POLL = 1 << 27,

	VECTORS_MAX = 1024,
	RANDOM_PIECE_BYTES = 4096,

	SUBSCRIPTION_BYTES = 48,
	EVENT_BYTES = 32,
	SUBSCRIPTIONS_MAX = 1024,
	EVENT_CLOCK = 0,
	EVENT_READ = 1,
	EVENT_WRITE = 2,
	CLOCK_ABSOLUTE = 1,
};

#define IMPORT(function)                                                   \
	uint64_t weir_wasi_##function(struct weir_wasm_instance *instance, \
				      const uint64_t *arguments)

static bool put_u32(const struct weir_wasm_instance *instance, uint64_t address, uint32_t value)
{
	uint8_t *const at = weir_wasm_at(instance, address, sizeof(value));

	if (at != NULL)
		memcpy(at, &value, sizeof(value)); /* both sides are little-endian */
	return at != NULL;
}

static bool put_u64(const struct weir_wasm_instance *instance, uint64_t address, uint64_t value)
{
	uint8_t *const at = weir_wasm_at(instance, address, sizeof(value));

	if (at != NULL)
		memcpy(at, &value, sizeof(value));
	return at != NULL;
}

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool is_open(const struct weir_wasm_instance *instance, uint64_t fd)
{
	return fd < WEIR_WASM_FDS && !weir_wasm_run_of(instance)->is_closed[fd];
}

/* ---- arguments and environment ---- */

/* `count` NUL-terminated texts in `bytes` bytes: their addresses to `pointers`, they to `buffer`. */
static uint64_t texts_put(const struct weir_wasm_instance *instance, const char *text,
			  size_t bytes, uint64_t pointers, uint64_t buffer)
{
	uint8_t *const out = weir_wasm_at(instance, buffer, bytes);
	size_t first = 0;

	if (out == NULL)
		return WASI_FAULT;
	memcpy(out, text, bytes);
	while (first < bytes) {
		if (!put_u32(instance, pointers, (uint32_t)(buffer + first)))
			return WASI_FAULT;
		pointers += sizeof(uint32_t);
		first += strlen(text + first) + 1;
	}
	return WASI_OK;
}

IMPORT(args_get)
{
	const char *const name = weir_wasm_run_of(instance)->name;

	return texts_put(instance, name, strlen(name) + 1, arguments[0], arguments[1]);
}

IMPORT(args_sizes_get)
{
	const size_t bytes = strlen(weir_wasm_run_of(instance)->name) + 1;

	return put_u32(instance, arguments[0], 1) &&
			       put_u32(instance, arguments[1], (uint32_t)bytes)
		       ? WASI_OK
		       : WASI_FAULT;
}

IMPORT(environ_get)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);

	if (weir_wasm_environment(run) != 0)
		return WASI_NOMEM;
	return texts_put(instance, run->text, run->text_bytes, arguments[0], arguments[1]);
}

IMPORT(environ_sizes_get)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);

	if (weir_wasm_environment(run) != 0)
		return WASI_NOMEM;
	return put_u32(instance, arguments[0], run->text_count) &&
			       put_u32(instance, arguments[1], (uint32_t)run->text_bytes)
		       ? WASI_OK
		       : WASI_FAULT;
}

/* ---- time and chance ---- */

static bool clock_of(uint64_t id, clockid_t *out_clock)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,
					   CLOCK_THREAD_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};

	if (id >= sizeof(clocks) / sizeof(clocks[0]))
		return false;
	*out_clock = clocks[id];
	return true;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0};

	(void)clock_gettime(clock, &now); /* clock_of() knows no others */
	return (uint64_t)now.tv_sec * WEIR_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

IMPORT(clock_res_get)
{
	clockid_t clock = 0;

	if (!clock_of(arguments[0], &clock))
		return WASI_INVAL;
	return put_u64(instance, arguments[1], 1) ? WASI_OK : WASI_FAULT;
}

IMPORT(clock_time_get)
{
	clockid_t clock = 0;

	if (!clock_of(arguments[0], &clock))
		return WASI_INVAL;
	return put_u64(instance, arguments[2], clock_ns(clock)) ? WASI_OK : WASI_FAULT;
}

IMPORT(random_get)
{
	const size_t bytes = arguments[1];
	uint8_t *const out = weir_wasm_at(instance, arguments[0], bytes);
	uint8_t piece[RANDOM_PIECE_BYTES]; /* guard.h: not the module's memory */
	size_t done = 0;

	if (out == NULL)
		return WASI_FAULT;
	while (done < bytes && !weir_wasm_is_stopped(instance)) {
		const size_t left = bytes - done;
		const ssize_t got =
			getrandom(piece, left < sizeof(piece) ? left : sizeof(piece), 0);

		if (got < 0 && errno != EINTR)
			return WASI_IO;
		if (got > 0) {
			memcpy(out + done, piece, (size_t)got);
			done += (size_t)got;
		}
	}
	return WASI_OK;
}

/* ---- descriptors ---- */

IMPORT(fd_none)
{
	(void)instance;
	(void)arguments;
	return WASI_BADF;
}

IMPORT(fd_pipe)
{
	return is_open(instance, arguments[0]) ? WASI_SPIPE : WASI_BADF;
}

IMPORT(fd_invalid)
{
	return is_open(instance, arguments[0]) ? WASI_INVAL : WASI_BADF;
}

IMPORT(fd_unsupported)
{
	return is_open(instance, arguments[0]) ? WASI_NOTSUP : WASI_BADF;
}

IMPORT(fd_directory)
{
	return is_open(instance, arguments[0]) ? WASI_NOTDIR : WASI_BADF;
}

IMPORT(fd_socket)
{
	return is_open(instance, arguments[0]) ? WASI_NOTSOCK : WASI_BADF;
}

IMPORT(path_symlink)
{
	return is_open(instance, arguments[2]) ? WASI_NOTDIR : WASI_BADF;
}

IMPORT(fd_close)
{
	if (!is_open(instance, arguments[0]))
		return WASI_BADF;
	weir_wasm_run_of(instance)->is_closed[arguments[0]] = true;
	return WASI_OK;
}

IMPORT(fd_fdstat_get)
{
	uint8_t *const out = weir_wasm_at(instance, arguments[1], 24);
	const uint64_t rights =
		WASI_RIGHT_POLL | (arguments[0] == 0 ? WASI_RIGHT_READ : WASI_RIGHT_WRITE);

	if (!is_open(instance, arguments[0]))
		return WASI_BADF;
	if (out == NULL)
		return WASI_FAULT;
	memset(out, 0, 24);
	out[0] = WASI_CHARACTER_DEVICE;
	memcpy(out + 8, &rights, sizeof(rights));
	return WASI_OK;
}

IMPORT(fd_filestat_get)
{
	uint8_t *const out = weir_wasm_at(instance, arguments[1], 64);

	if (!is_open(instance, arguments[0]))
		return WASI_BADF;
	if (out == NULL)
		return WASI_FAULT;
	memset(out, 0, 64);
	out[16] = WASI_CHARACTER_DEVICE;
	out[24] = 1; /* links */
	return WASI_OK;
}

/* One vector of a list that was checked; NULL: its bytes are not in memory. */
static uint8_t *vector_at(const struct weir_wasm_instance *instance, const uint8_t *vectors,
			  uint64_t index, uint32_t *out_bytes)
{
	*out_bytes = get_u32(vectors + 8 * index + 4);
	return weir_wasm_at(instance, get_u32(vectors + 8 * index), *out_bytes);
}

/* What the descriptor does with a piece; how many bytes it took, or negative. */
static int64_t write_piece(struct weir_wasm_instance *instance, uint64_t fd, const void *data,
			   size_t bytes)
{
	struct weir_wasm_run *const run = weir_wasm_run_of(instance);

	if (fd == 1 && run->kind == WEIR_WASM_COMMAND && !run->is_starting)
		return weir_wasm_answer(instance, data, bytes);
	weir_wasm_print(run, fd == 1 ? WEIR_RUNTIME_STDOUT : WEIR_RUNTIME_STDERR,
			(struct weir_span){.data = data, .bytes = bytes});
	return (int64_t)bytes;
}

IMPORT(fd_write)
{
	const uint64_t count = arguments[2];
	const uint8_t *vectors = NULL;
	size_t total = 0;

	if (arguments[0] == 0 || !is_open(instance, arguments[0]))
		return WASI_BADF;
	if (count > VECTORS_MAX)
		return WASI_INVAL;
	vectors = weir_wasm_at(instance, arguments[1], 8 * count);
	if (vectors == NULL)
		return WASI_FAULT;
	for (uint64_t i = 0; i < count && total < WEIR_WASM_PIECE_BYTES_MAX; i++) {
		uint32_t bytes = 0;
		const uint8_t *const data = vector_at(instance, vectors, i, &bytes);
		const size_t room = WEIR_WASM_PIECE_BYTES_MAX - total;
		int64_t taken = 0;

		if (data == NULL)
			return WASI_FAULT;
		taken = write_piece(instance, arguments[0], data, bytes < room ? bytes : room);
		if (taken < 0)
			return WASI_IO;
		total += (size_t)taken;
	}
	return put_u32(instance, arguments[3], (uint32_t)total) ? WASI_OK : WASI_FAULT;
}

IMPORT(fd_read)
{
	const uint64_t count = arguments[2];
	const uint8_t *vectors = NULL;
	size_t total = 0;

	if (arguments[0] != 0 || !is_open(instance, arguments[0]))
		return WASI_BADF;
	if (count > VECTORS_MAX)
		return WASI_INVAL;
	vectors = weir_wasm_at(instance, arguments[1], 8 * count);
	if (vectors == NULL)
		return WASI_FAULT;
	for (uint64_t i = 0; i < count && total < WEIR_WASM_PIECE_BYTES_MAX; i++) {
		uint32_t bytes = 0;
		uint8_t *const data = vector_at(instance, vectors, i, &bytes);
		int64_t got = 0;

		if (data == NULL)
			return WASI_FAULT;
		got = weir_wasm_body(instance, data, bytes, total == 0);
		if (got < 0)
			return WASI_IO;
		total += (size_t)got;
		if ((uint64_t)got < bytes)
			break;
	}
	return put_u32(instance, arguments[3], (uint32_t)total) ? WASI_OK : WASI_FAULT;
}

/* ---- waiting ---- */

/* What all subscriptions together wait for. */
struct poll {
	uint64_t until_ns; /* CLOCK_MONOTONIC, the first of them */
	bool is_ready;     /* a descriptor: at once */
};

/* When a clock's subscription is due, on CLOCK_MONOTONIC; false for a clock that is none. */
static bool due_ns(const uint8_t *subscription, uint64_t *out_ns)
{
	const uint64_t timeout_ns = get_u64(subscription + 24);
	const uint64_t now_ns = weir_clock_now_ns();
	clockid_t clock = 0;
	uint64_t left_ns = timeout_ns;

	if (!clock_of(get_u32(subscription + 16), &clock))
		return false;
	if ((subscription[40] & CLOCK_ABSOLUTE) != 0) {
		const uint64_t there_ns = clock_ns(clock);

		left_ns = timeout_ns > there_ns ? timeout_ns - there_ns : 0;
	}
	*out_ns = left_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + left_ns;
	return true;
}

static void poll_add(struct poll *poll, const uint8_t *subscription)
{
	uint64_t ns = 0;

	if (subscription[8] != EVENT_CLOCK || !due_ns(subscription, &ns))
		poll->is_ready = true; /* with an error, perhaps */
	else if (ns < poll->until_ns)
		poll->until_ns = ns;
}

/* Did it happen? Then *out_error is its error. */
static bool has_happened(const struct weir_wasm_instance *instance, const uint8_t *subscription,
			 uint64_t due, uint64_t until_ns, uint16_t *out_error)
{
	*out_error = WASI_OK;
	switch (subscription[8]) {
	case EVENT_CLOCK:
		return due <= until_ns;
	case EVENT_READ:
	case EVENT_WRITE:
		if (!is_open(instance, get_u32(subscription + 16)))
			*out_error = WASI_BADF;
		return true;
	default:
		*out_error = WASI_INVAL;
		return true;
	}
}

/* The events of subscriptions that happened, which `due` has the times of; returns how many. */
static uint32_t events_put(const struct weir_wasm_instance *instance,
			   const uint8_t *subscriptions, const uint64_t *due, uint32_t count,
			   uint8_t *out)
{
	const uint64_t now_ns = weir_clock_now_ns();
	uint32_t events = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *const subscription =
			subscriptions + (size_t)SUBSCRIPTION_BYTES * i;
		uint8_t *const event = out + (size_t)EVENT_BYTES * events;
		uint16_t error = 0;

		if (!has_happened(instance, subscription, due[i], now_ns, &error))
			continue;
		memset(event, 0, EVENT_BYTES);
		memcpy(event, subscription, 8); /* userdata */
		memcpy(event + 8, &error, sizeof(error));
		event[10] = subscription[8];
		if (subscription[8] != EVENT_CLOCK)
			event[16] = 1; /* at least a byte */
		events++;
	}
	return events;
}

IMPORT(poll_oneoff)
{
	const uint64_t count = arguments[2];
	const uint8_t *const in =
		weir_wasm_at(instance, arguments[0], count * SUBSCRIPTION_BYTES);
	uint8_t *const out = weir_wasm_at(instance, arguments[1], count * EVENT_BYTES);
	struct poll poll = {.until_ns = UINT64_MAX};
	uint64_t due[SUBSCRIPTIONS_MAX];
	uint8_t *subscriptions = NULL;
	uint32_t events = 0;

	if (count == 0 || count > SUBSCRIPTIONS_MAX)
		return WASI_INVAL;
	if (in == NULL || out == NULL)
		return WASI_FAULT;
	subscriptions = malloc(count * SUBSCRIPTION_BYTES); /* `out` may lie over `in` */
	if (subscriptions == NULL)
		return WASI_NOMEM;
	memcpy(subscriptions, in, count * SUBSCRIPTION_BYTES);
	for (uint64_t i = 0; i < count; i++) {
		due[i] = 0;
		(void)due_ns(subscriptions + i * SUBSCRIPTION_BYTES, &due[i]);
		poll_add(&poll, subscriptions + i * SUBSCRIPTION_BYTES);
	}
	if (poll.is_ready || weir_wasm_sleep(instance, poll.until_ns) == 0)
		events = events_put(instance, subscriptions, due, (uint32_t)count, out);
	free(subscriptions);
	return put_u32(instance, arguments[3], events) ? WASI_OK : WASI_FAULT;
}

IMPORT(sched_yield)
{
	(void)instance;
	(void)arguments;
	return WASI_OK;
}

/* ---- the end ---- */

IMPORT(proc_exit)
{
	weir_wasm_run_of(instance)->exit_code = (uint32_t)arguments[0];
	weir_wasm_stop(instance, WEIR_WASM_TRAP_EXIT);
	return 0;
}

IMPORT(proc_raise)
{
	(void)instance;
	(void)arguments;
	return WASI_NOSYS;
}
