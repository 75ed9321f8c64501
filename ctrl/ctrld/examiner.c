#include "ctrl/ctrld/examiner.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/clock.h"

enum { ROOM_FIRST = 64 };

/* A piece of code, and the version that was met first of those that refer to it. */
struct piece {
	char hash[WEIR_CODE_HASH_BYTES];
	char owner[sizeof(((struct weir_store_bad_row *)0)->row)];
};

struct weir_examiner {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	const struct weir_code *code;
	pthread_t thread;
	bool has_thread; /* to be joined */
	uint64_t id;     /* of the last one that began; 0: none yet */
	atomic_bool is_stopped;
	atomic_bool is_done;
	/* The thread's until it is done: */
	struct weir_examination examination;
	size_t found_room;
	struct piece *pieces;
	size_t piece_count;
	size_t piece_room;
};

int weir_examiner_create(const char *data, const struct weir_code *code, struct weir_examiner **out_examiner)
{
	struct weir_examiner *examiner = calloc(1, sizeof(*examiner));

	if (examiner == NULL)
		return -ENOMEM;
	(void)snprintf(examiner->data, sizeof(examiner->data), "%s", data); /* fits: the store's limit */
	examiner->code = code;
	*out_examiner = examiner;
	return 0;
}

static void thread_end(struct weir_examiner *examiner)
{
	if (examiner->has_thread)
		(void)pthread_join(examiner->thread, NULL); /* it is ours, and is joined once */
	examiner->has_thread = false;
	free(examiner->examination.found);
	free(examiner->pieces);
	memset(&examiner->examination, 0, sizeof(examiner->examination));
	examiner->found_room = 0;
	examiner->pieces = NULL;
	examiner->piece_count = 0;
	examiner->piece_room = 0;
}

void weir_examiner_destroy(struct weir_examiner *examiner)
{
	if (examiner == NULL)
		return;
	atomic_store_explicit(&examiner->is_stopped, true, memory_order_relaxed);
	thread_end(examiner);
	free(examiner);
}

/* ---- the thread ---- */

static bool stop_asked(void *context)
{
	struct weir_examiner *examiner = context;

	return atomic_load_explicit(&examiner->is_stopped, memory_order_relaxed);
}

/* An array with room for one more: itself, or a larger one. NULL: no memory. */
static void *array_grow(void *array, size_t count, size_t *room, size_t bytes)
{
	const size_t wanted = *room == 0 ? ROOM_FIRST : *room * 2;
	void *grown = array;

	if (count < *room)
		return array;
	grown = realloc(array, wanted * bytes);
	if (grown != NULL)
		*room = wanted;
	return grown;
}

static void found_add(void *context, const struct weir_store_bad_row *row)
{
	struct weir_examiner *examiner = context;
	struct weir_examination *examination = &examiner->examination;
	struct weir_store_bad_row *grown = NULL;

	if (examination->found_count < WEIR_EXAMINATION_FOUND_MAX)
		grown = array_grow(examination->found, examination->found_count, &examiner->found_room, sizeof(*row));
	if (grown != NULL) {
		examination->found = grown;
		grown[examination->found_count] = *row;
	}
	examination->found_count++; /* counted in any case */
}

static void tell(struct weir_examiner *examiner, const char *table, const char *row, const char *field,
		 const char *reason)
{
	struct weir_store_bad_row bad;

	memset(&bad, 0, sizeof(bad));
	(void)snprintf(bad.table, sizeof(bad.table), "%s", table); /* cut is fine, here and below */
	(void)snprintf(bad.row, sizeof(bad.row), "%s", row);
	(void)snprintf(bad.field, sizeof(bad.field), "%s", field);
	(void)snprintf(bad.reason, sizeof(bad.reason), "%s", reason);
	found_add(examiner, &bad);
}

/* Remember its code for later; look at the file that it begins with now. */
static void version_take(void *context, const struct weir_store_version *version)
{
	struct weir_examiner *examiner = context;
	const struct weir_model_function *function = &version->function;
	char owner[sizeof(((struct weir_store_bad_row *)0)->row)];
	char reason[sizeof(((struct weir_store_bad_row *)0)->reason)];
	struct piece *grown = NULL;

	(void)snprintf(owner, sizeof(owner), "%s/%s", function->space, function->name); /* fits */
	if (version->number != 0)
		(void)snprintf(owner, sizeof(owner), "%s/%s %u", function->space, function->name, version->number);
	if (function->image[0] == '\0' && access(function->code_path, R_OK) != 0) {
		(void)snprintf(reason, sizeof(reason), "'%.160s' cannot be read: %s", function->code_path,
			       strerror(errno)); /* cut is fine */
		tell(examiner, version->number == 0 ? "functions" : "versions", owner, "file", reason);
	}
	if (version->code[0] == '\0')
		return;
	grown = array_grow(examiner->pieces, examiner->piece_count, &examiner->piece_room, sizeof(*grown));
	if (grown == NULL) {
		tell(examiner, "code", owner, "memory", "there was not enough to look at it");
		return;
	}
	examiner->pieces = grown;
	memcpy(grown[examiner->piece_count].hash, version->code, sizeof(grown->hash));
	memcpy(grown[examiner->piece_count++].owner, owner, sizeof(owner));
}

static int piece_compare(const void *left, const void *right)
{
	const struct piece *a = left;
	const struct piece *b = right;
	const int by_hash = strcmp(a->hash, b->hash);

	return by_hash != 0 ? by_hash : strcmp(a->owner, b->owner);
}

static void piece_check(struct weir_examiner *examiner, const struct piece *piece)
{
	const struct weir_code_stop stop = {.asked = stop_asked, .context = examiner};
	char reason[sizeof(((struct weir_store_bad_row *)0)->reason)];
	bool is_known = false;
	const int code = weir_code_hash_sound(piece->hash)
				 ? weir_code_examine(examiner->code, piece->hash, &stop, &is_known)
				 : -EINVAL;

	examiner->examination.codes++;
	examiner->examination.codes_known += is_known ? 1 : 0;
	if (code == 0 || code == -ECANCELED)
		return;
	if (code == -EBADMSG)
		(void)snprintf(reason, sizeof(reason),
			       "code/%s is not what was deployed; remove that folder and deploy it again", piece->hash);
	else if (code == -ENOENT)
		(void)snprintf(reason, sizeof(reason), "code/%s is missing; deploy it again", piece->hash);
	else
		(void)snprintf(reason, sizeof(reason), "code/%.64s cannot be read: %s", piece->hash, strerror(-code));
	tell(examiner, "code", piece->owner, "code", reason);
}

static void *examine(void *context)
{
	struct weir_examiner *examiner = context;
	const struct weir_store_examiner hears = {
		.context = examiner, .stop = stop_asked, .found = found_add, .version = version_take};
	const uint64_t begun_ns = weir_clock_now_ns();
	struct weir_store_error error;

	/* What kept it from reading all is among what was found. */
	(void)weir_store_examine(examiner->data, &hears, &examiner->examination.examined, &error);
	if (examiner->piece_count > 1)
		qsort(examiner->pieces, examiner->piece_count, sizeof(*examiner->pieces), piece_compare);
	for (size_t i = 0; i < examiner->piece_count && !stop_asked(examiner); i++) {
		if (i == 0 || strcmp(examiner->pieces[i].hash, examiner->pieces[i - 1].hash) != 0)
			piece_check(examiner, &examiner->pieces[i]);
	}
	examiner->examination.took_ns = weir_clock_now_ns() - begun_ns;
	/* ORDER examination release: publishes what was found. */
	atomic_store_explicit(&examiner->is_done, true, memory_order_release);
	return NULL;
}

/* ---- who asks ---- */

static bool is_under_way(const struct weir_examiner *examiner)
{
	/* ORDER examination acquire: what was found is there. */
	return examiner->has_thread && !atomic_load_explicit(&examiner->is_done, memory_order_acquire);
}

int weir_examiner_begin(struct weir_examiner *examiner, uint64_t *out_id)
{
	int code = 0;

	if (is_under_way(examiner))
		return -EBUSY;
	thread_end(examiner);
	atomic_store_explicit(&examiner->is_done, false, memory_order_relaxed);
	code = pthread_create(&examiner->thread, NULL, examine, examiner);
	if (code != 0)
		return -code;
	examiner->has_thread = true;
	*out_id = ++examiner->id;
	return 0;
}

int weir_examiner_ask(const struct weir_examiner *examiner, uint64_t id,
		      const struct weir_examination **out_examination)
{
	if (id != examiner->id || !examiner->has_thread)
		return -ENOENT;
	if (is_under_way(examiner))
		return -EINPROGRESS;
	*out_examination = &examiner->examination;
	return 0;
}
