#include "ctrl/ctrld/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl/ctrld/rounds.h"
#include "ctrl/model/builtin.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/activation.h"
#include "dataplane/shm/snapshot.h"

enum {
	GATHER_MS = 50,
	QUIET_MS = 5000, /* without records: then what is too old is looked for */
	TAKE_MAX = 256,  /* records of one ring, then the others come first */
	TRIMS_MAX = 30,
};

static const uint64_t commit_ns = 250 * WEIR_NS_PER_MS; /* what is kept is written at once, unless somebody asks */
static const uint64_t trim_ns = WEIR_NS_PER_SECOND;

/* A rate: how many more may be kept. It grows with the records' own time, up to a second's worth, so that
 * those that waited for ctrld are judged as if it had been there. */
struct budget {
	uint64_t left_ns; /* each costs NS_PER_SECOND / rate */
	uint64_t at_ns;   /* of the latest record */
};

struct weir_recorder {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	struct weir_rounds rounds;

	/* Locked. */
	int new_activations_fd; /* to be taken by the thread; -1 none */
	int new_bell_fd;
	int new_snapshot_fd;
	bool is_opened;
	struct weir_recorder_limits limits;
	struct weir_recorder_status status;

	/* The thread's own. */
	struct weir_activations *shared; /* NULL: none yet */
	uint32_t shard_count;
	int bell_fd;
	struct weir_activation_rx rx[WEIR_SHARDS_MAX];
	struct weir_snapshot snapshot;
	struct weir_activation_store *store;
	bool is_begun;      /* a transaction, */
	uint64_t begun_ns;  /* then */
	bool is_refused;    /* none could be begun in this round */
	uint64_t trimmed_ns;
	uint64_t tried_ns;
	uint64_t pending;   /* records in it */
	uint32_t first_ring; /* to be looked at; another one each round */
	uint64_t round_ns;  /* CLOCK_MONOTONIC of this round, */
	uint64_t wall_ns;   /* and the time of people then */
	uint64_t whisk_id;  /* the function behind OpenWhisk's paths, */
	uint64_t runner_id; /* and the one that makes asynchronous calls */
	struct weir_recorder_limits round_limits;
	struct weir_recorder_status counts; /* published at the round's end */
	struct budget good;
	struct budget full;
	struct budget bad;
	struct weir_activation taken[TAKE_MAX];
};

static void bell_silence(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
		continue;
}

/* ---- the thread: the store ---- */

/* Trouble, said once and shown as long as it lasts; NULL ends it. */
static void problem_set(struct weir_recorder *recorder, const char *sentence)
{
	char fresh[sizeof(recorder->counts.problem)] = "";

	if (sentence != NULL)
		(void)snprintf(fresh, sizeof(fresh), "%s", sentence); /* cut is fine */
	if (strcmp(recorder->counts.problem, fresh) == 0)
		return;
	weir_log(sentence != NULL ? WEIR_LOG_ERROR : WEIR_LOG_INFO,
		 sentence != NULL ? "records of calls are not kept" : "records of calls are kept again", "%s", fresh);
	memcpy(recorder->counts.problem, fresh, sizeof(fresh));
}

/* The store failed: what this transaction had is lost. */
static void store_failed(struct weir_recorder *recorder, int code, const struct weir_store_error *error)
{
	problem_set(recorder, error->text);
	recorder->counts.failed += recorder->pending;
	recorder->pending = 0;
	recorder->is_begun = false;
	if (code == -EBADMSG) { /* damaged: the next opening puts it aside */
		weir_activation_store_close(recorder->store);
		recorder->store = NULL;
	}
}

/* A transaction is open: true. */
static bool store_begin(struct weir_recorder *recorder)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (recorder->is_begun || recorder->is_refused)
		return recorder->is_begun;
	if (recorder->store == NULL)
		code = weir_activation_store_open(recorder->data, &recorder->store, &error);
	if (code == 0)
		code = weir_activation_store_begin(recorder->store, &error);
	recorder->is_begun = code == 0;
	recorder->is_refused = code != 0; /* each try may wait for somebody's lock */
	recorder->begun_ns = recorder->round_ns;
	if (code != 0)
		store_failed(recorder, code, &error);
	return code == 0;
}

/* Commit what has waited long enough, or all `now`. */
static void store_commit(struct weir_recorder *recorder, bool now)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (!recorder->is_begun || (!now && recorder->round_ns - recorder->begun_ns < commit_ns))
		return;
	code = weir_activation_store_commit(recorder->store, &error);
	if (code != 0) {
		store_failed(recorder, code, &error);
		return;
	}
	recorder->is_begun = false;
	recorder->counts.kept += recorder->pending;
	recorder->pending = 0;
	problem_set(recorder, NULL);
}

/* After trouble: is it over, though no record comes? */
static void store_try(struct weir_recorder *recorder)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	if (recorder->counts.problem[0] == '\0' || recorder->is_begun ||
	    recorder->round_ns - recorder->tried_ns < commit_ns || !store_begin(recorder))
		return;
	recorder->tried_ns = recorder->round_ns;
	code = weir_activation_store_touch(recorder->store, &error);
	if (code != 0)
		store_failed(recorder, code, &error);
	else
		store_commit(recorder, true);
}

static void store_trim(struct weir_recorder *recorder)
{
	const uint64_t keep_ns = recorder->round_limits.keep_s * WEIR_NS_PER_SECOND;
	struct weir_store_error error = {{0}};
	int code = 1;

	if (recorder->is_begun || recorder->round_ns - recorder->trimmed_ns < trim_ns)
		return;
	recorder->trimmed_ns = recorder->round_ns;
	for (int i = 0; i < TRIMS_MAX && code == 1 && recorder->store != NULL; i++)
		code = weir_activation_store_trim(recorder->store, recorder->round_limits.rows_max,
						  recorder->wall_ns > keep_ns ? recorder->wall_ns - keep_ns : 0, &error);
	if (code < 0)
		store_failed(recorder, code, &error);
}

/* ---- the thread: records ---- */

static bool budget_take(struct budget *budget, uint32_t per_s, uint64_t at_ns)
{
	const uint64_t price_ns = per_s == 0 ? UINT64_MAX : WEIR_NS_PER_SECOND / per_s;

	if (at_ns > budget->at_ns) {
		const uint64_t elapsed_ns = at_ns - budget->at_ns;

		budget->left_ns += elapsed_ns < WEIR_NS_PER_SECOND ? elapsed_ns : WEIR_NS_PER_SECOND;
		if (budget->left_ns > WEIR_NS_PER_SECOND)
			budget->left_ns = WEIR_NS_PER_SECOND;
		budget->at_ns = at_ns;
	}
	if (budget->left_ns < price_ns)
		return false;
	budget->left_ns -= price_ns;
	return true;
}

/* "namespace/name" of a function, or "#ID". */
static struct weir_span function_name(const struct weir_recorder *recorder, uint64_t id, char *out, size_t max)
{
	const struct weir_snapshot_function *function =
		recorder->snapshot.header == NULL ? NULL : weir_snapshot_function_find(&recorder->snapshot, id);
	int bytes = 0;

	if (function == NULL) {
		bytes = snprintf(out, max, "#%" PRIu64, id);
	} else {
		const struct weir_span space = weir_snapshot_span(&recorder->snapshot, function->space);
		const struct weir_span name = weir_snapshot_span(&recorder->snapshot, function->name);

		bytes = snprintf(out, max, "%.*s/%.*s", (int)space.bytes, space.data, (int)name.bytes, name.data);
	}
	return (struct weir_span){.data = out, .bytes = (size_t)bytes < max ? (size_t)bytes : max - 1};
}

static struct weir_activation_row row_of(const struct weir_recorder *recorder, const struct weir_activation *record)
{
	const uint64_t age_ns = recorder->round_ns - record->arrived_ns;

	return (struct weir_activation_row){
		/* A time that can't be, of a gateway that lies: now. */
		.started_ns = recorder->wall_ns - (age_ns < recorder->round_ns ? age_ns : 0),
		.received_ns = recorder->wall_ns,
		.id_high = record->id_high,
		.id_low = record->id_low,
		.parent_high = record->parent_high,
		.parent_low = record->parent_low,
		.route_id = record->route_id,
		.worker_id = record->worker_id,
		.version = record->version,
		.total_ns = record->total_ns,
		.parse_ns = weir_activation_ns(record->parse_units),
		.queue_ns = weir_activation_ns(record->queue_units),
		.dispatch_ns = weir_activation_ns(record->dispatch_units),
		.run_ns = record->run_ns,
		.reply_ns = weir_activation_ns(record->reply_units),
		.cpu_ns = record->flags & WEIR_ACTIVATION_CPU_KNOWN ? weir_activation_ns(record->cpu_units) : UINT64_MAX,
		.request_bytes = record->request_bytes,
		.answer_bytes = record->answer_bytes,
		.status = record->status,
		.failure = record->failure,
		.flags = (uint8_t)((record->flags & WEIR_ACTIVATION_COLD ? WEIR_ACTIVATION_ROW_COLD : 0) |
				   (record->flags & WEIR_ACTIVATION_CUT ? WEIR_ACTIVATION_ROW_CUT : 0)),
	};
}

static void record_keep(struct weir_recorder *recorder, struct weir_activation_row *row, uint64_t function_id)
{
	struct weir_store_error error = {{0}};
	char name[160];
	int code = 0;

	if (!store_begin(recorder)) {
		recorder->counts.failed++;
		return;
	}
	row->function = function_name(recorder, function_id, name, sizeof(name));
	recorder->pending++;
	code = weir_activation_store_add(recorder->store, row, &error);
	if (code != 0)
		store_failed(recorder, code, &error);
}

static void record_take(struct weir_recorder *recorder, const struct weir_activation *record)
{
	struct weir_activation_row row = row_of(recorder, record);
	const bool is_bad = weir_activation_row_is_failed(&row);
	const bool is_full = record->caller_id == recorder->whisk_id || record->caller_id == recorder->runner_id;
	struct budget *const budget = is_bad ? &recorder->bad : is_full ? &recorder->full : &recorder->good;
	const uint32_t per_s = is_bad    ? recorder->round_limits.failed_per_s
			       : is_full ? recorder->round_limits.full_per_s
					 : recorder->round_limits.kept_per_s;
	const uint64_t ended_ns = record->arrived_ns + record->total_ns;

	if (!is_bad && weir_builtin_is_silent(record->function_id))
		return;
	recorder->counts.seen++;
	if (budget_take(budget, per_s, ended_ns < recorder->round_ns ? ended_ns : recorder->round_ns))
		record_keep(recorder, &row, record->function_id);
	else
		recorder->counts.skipped++;
}

/* Some of one ring; how many. */
static size_t ring_take(struct weir_recorder *recorder, uint32_t ring)
{
	const size_t count = weir_activation_take(&recorder->rx[ring], recorder->taken, TAKE_MAX);

	for (size_t i = 0; i < count; i++)
		record_take(recorder, &recorder->taken[i]);
	return count;
}

/* All that is in the rings, bounded by what they hold: some of each in turn, another one first each time, so
 * that none has the rates to itself. */
static void rings_take(struct weir_recorder *recorder)
{
	uint64_t lost = 0;
	size_t count = 1;

	for (int pass = 0; pass < WEIR_ACTIVATION_CELLS / TAKE_MAX && count > 0; pass++) {
		count = 0;
		for (uint32_t i = 0; i < recorder->shard_count; i++)
			count += ring_take(recorder, (uint32_t)((recorder->first_ring + i) % recorder->shard_count));
	}
	for (uint32_t i = 0; i < recorder->shard_count; i++)
		lost += weir_activation_lost(&recorder->rx[i]);
	recorder->counts.lost = lost;
}

/* ---- the thread ---- */

static void shared_attach(struct weir_recorder *recorder, int fd, int bell_fd)
{
	const int result = weir_activations_attach(fd, &recorder->shared, &recorder->shard_count);

	weir_fd_close(&fd);
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "place of call records refused", "error=\"%s\" action=\"go on without\"",
			 strerror(-result));
		weir_fd_close(&bell_fd);
		recorder->shard_count = 0;
		return;
	}
	recorder->bell_fd = bell_fd;
	for (uint32_t i = 0; i < recorder->shard_count; i++)
		weir_activation_rx_open(&recorder->rx[i], recorder->shared, i);
}

static void snapshot_attach(struct weir_recorder *recorder, int fd)
{
	struct weir_snapshot fresh = {0};
	const int result = weir_snapshot_attach_functions(fd, &fresh);

	weir_fd_close(&fd);
	if (result != 0)
		return; /* who publishes it has said so */
	weir_snapshot_detach(&recorder->snapshot);
	recorder->snapshot = fresh;
}

/* Begin, with what the main thread left for this one. */
static enum weir_round round_begin(struct weir_recorder *recorder)
{
	int activations_fd, bell_fd, snapshot_fd;
	enum weir_round round;

	weir_rounds_lock(&recorder->rounds);
	round = weir_rounds_begin(&recorder->rounds);
	activations_fd = recorder->new_activations_fd;
	bell_fd = recorder->new_bell_fd;
	snapshot_fd = recorder->new_snapshot_fd;
	recorder->new_activations_fd = recorder->new_bell_fd = recorder->new_snapshot_fd = -1;
	recorder->round_limits = recorder->limits;
	weir_rounds_unlock(&recorder->rounds);
	if (activations_fd != -1)
		shared_attach(recorder, activations_fd, bell_fd);
	if (snapshot_fd != -1)
		snapshot_attach(recorder, snapshot_fd);
	return round;
}

static void rings_wait(struct weir_recorder *recorder, enum weir_activation_reader reader, int timeout_ms)
{
	struct pollfd polled[2] = {{.fd = recorder->rounds.wake_fd, .events = POLLIN},
				   {.fd = recorder->bell_fd, .events = POLLIN}};
	const bool is_empty = recorder->shared == NULL ||
			      weir_activations_wait(recorder->shared, recorder->rx, recorder->shard_count, reader);

	if (is_empty || reader == WEIR_ACTIVATION_READER_GATHERS)
		(void)poll(polled, recorder->shared == NULL ? 1 : 2, timeout_ms); /* EINTR: a round more */
	weir_rounds_silence(recorder->rounds.wake_fd);
	if (recorder->shared == NULL)
		return;
	bell_silence(recorder->bell_fd);
	(void)weir_activations_wait(recorder->shared, recorder->rx, recorder->shard_count, WEIR_ACTIVATION_READER_AWAKE);
}

static void round_run(struct weir_recorder *recorder, bool is_asked)
{
	recorder->round_ns = weir_clock_now_ns();
	recorder->wall_ns = weir_clock_wall_ns();
	recorder->is_refused = false;
	recorder->first_ring++;
	rings_take(recorder);
	store_commit(recorder, is_asked);
	store_try(recorder);
	store_trim(recorder);
	weir_rounds_lock(&recorder->rounds);
	recorder->status = recorder->counts;
	weir_rounds_end(&recorder->rounds);
	weir_rounds_unlock(&recorder->rounds);
}

/* How long to sleep without a record: until what is begun is committed, or trouble is looked at again. */
static int patience_ms(const struct weir_recorder *recorder)
{
	const uint64_t since_ns = recorder->is_begun ? recorder->begun_ns : recorder->tried_ns;
	const uint64_t passed_ns = weir_clock_now_ns() - since_ns;

	if (!recorder->is_begun && recorder->counts.problem[0] == '\0')
		return QUIET_MS;
	return passed_ns < commit_ns ? (int)((commit_ns - passed_ns) / WEIR_NS_PER_MS) + 1 : 0;
}

static void *thread_main(void *argument)
{
	struct weir_recorder *const recorder = argument;
	enum weir_round round = WEIR_ROUND_PLAIN;

	recorder->good.left_ns = recorder->full.left_ns = recorder->bad.left_ns = WEIR_NS_PER_SECOND;
	recorder->whisk_id = weir_builtin_id("openwhisk");
	recorder->runner_id = weir_builtin_id("runner");
	while (round != WEIR_ROUND_LAST) {
		if (!weir_rounds_is_asked(&recorder->rounds))
			rings_wait(recorder, WEIR_ACTIVATION_READER_SLEEPS, patience_ms(recorder));
		if (!weir_rounds_is_asked(&recorder->rounds))
			rings_wait(recorder, WEIR_ACTIVATION_READER_GATHERS, GATHER_MS);
		round = round_begin(recorder);
		round_run(recorder, round != WEIR_ROUND_PLAIN);
	}
	weir_activation_store_close(recorder->store);
	weir_snapshot_detach(&recorder->snapshot);
	weir_activations_detach(recorder->shared, recorder->shard_count);
	weir_fd_close(&recorder->bell_fd);
	return NULL;
}

/* ---- the main thread ---- */

int weir_recorder_create(const char *data, const struct weir_recorder_limits *limits,
			 struct weir_recorder **out_recorder)
{
	struct weir_recorder *const recorder = calloc(1, sizeof(*recorder));
	int code = 0;

	if (recorder == NULL)
		return -ENOMEM;
	(void)snprintf(recorder->data, sizeof(recorder->data), "%s", data); /* fits: checked */
	recorder->bell_fd = recorder->new_activations_fd = recorder->new_bell_fd = recorder->new_snapshot_fd = -1;
	recorder->limits = *limits;
	code = weir_rounds_open(&recorder->rounds);
	if (code == 0)
		code = weir_rounds_start(&recorder->rounds, thread_main, recorder);
	if (code != 0) {
		weir_rounds_close(&recorder->rounds);
		free(recorder);
		return code;
	}
	*out_recorder = recorder;
	return 0;
}

void weir_recorder_destroy(struct weir_recorder *recorder)
{
	if (recorder == NULL)
		return;
	weir_rounds_stop(&recorder->rounds);
	weir_fd_close(&recorder->new_activations_fd);
	weir_fd_close(&recorder->new_bell_fd);
	weir_fd_close(&recorder->new_snapshot_fd);
	free(recorder);
}

void weir_recorder_open(struct weir_recorder *recorder, int activations_fd, int bell_fd)
{
	weir_rounds_lock(&recorder->rounds);
	if (!recorder->is_opened) {
		recorder->is_opened = true;
		recorder->new_activations_fd = activations_fd;
		recorder->new_bell_fd = bell_fd;
		activations_fd = bell_fd = -1;
	}
	weir_rounds_unlock(&recorder->rounds);
	weir_fd_close(&activations_fd);
	weir_fd_close(&bell_fd);
	weir_rounds_wake(&recorder->rounds);
}

void weir_recorder_snapshot(struct weir_recorder *recorder, int snapshot_fd)
{
	int copy = fcntl(snapshot_fd, F_DUPFD_CLOEXEC, 3); /* -1: names stay those of the one before */

	weir_rounds_lock(&recorder->rounds);
	if (copy != -1) {
		const int before = recorder->new_snapshot_fd;

		recorder->new_snapshot_fd = copy;
		copy = before;
	}
	weir_rounds_unlock(&recorder->rounds);
	weir_fd_close(&copy);
	weir_rounds_wake(&recorder->rounds);
}

void weir_recorder_limits(struct weir_recorder *recorder, const struct weir_recorder_limits *limits)
{
	weir_rounds_lock(&recorder->rounds);
	recorder->limits = *limits;
	weir_rounds_unlock(&recorder->rounds);
	weir_rounds_wake(&recorder->rounds);
}

uint64_t weir_recorder_mark(struct weir_recorder *recorder)
{
	return weir_rounds_mark(&recorder->rounds);
}

bool weir_recorder_reached(struct weir_recorder *recorder, uint64_t mark)
{
	return weir_rounds_reached(&recorder->rounds, mark);
}

void weir_recorder_status_get(struct weir_recorder *recorder, struct weir_recorder_status *out_status)
{
	weir_rounds_lock(&recorder->rounds);
	*out_status = recorder->status;
	weir_rounds_unlock(&recorder->rounds);
}
