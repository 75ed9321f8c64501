#include "ctrl/access/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "ctrl/access/password.h"

enum { NICE = 10 }; /* what serves goes first */

enum state {
	FREE,
	WAITING,
	RUNNING,
	DONE,
};

struct job {
	enum state state;
	uint64_t id;     /* they are taken in this order */
	bool is_dropped; /* RUNNING: becomes free then */
	bool is_check;
	char password[WEIR_MODEL_PASSWORD_BYTES_MAX + 1];
	char hash[WEIR_MODEL_HASH_BYTES];
	int result;
};

struct weir_hasher {
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Locked. */
	bool is_stopping;
	uint64_t last_id;
	struct job job[WEIR_HASHER_JOBS_MAX];
};

int weir_hasher_create(struct weir_hasher **out_hasher)
{
	struct weir_hasher *hasher = calloc(1, sizeof(*hasher));
	int code = 0;

	if (hasher == NULL)
		return -ENOMEM;
	code = pthread_mutex_init(&hasher->lock, NULL);
	if (code == 0) {
		code = pthread_cond_init(&hasher->wake, NULL);
		if (code != 0)
			(void)pthread_mutex_destroy(&hasher->lock); /* nobody has it */
	}
	if (code != 0) {
		free(hasher);
		return -code;
	}
	*out_hasher = hasher;
	return 0;
}

/* Lock and unlock cannot fail: the mutex is a plain one, and who locks it unlocks it. */
static void lock(struct weir_hasher *hasher)
{
	(void)pthread_mutex_lock(&hasher->lock);
}

static void unlock(struct weir_hasher *hasher)
{
	(void)pthread_mutex_unlock(&hasher->lock);
}

static void job_free(struct job *job)
{
	sodium_memzero(job, sizeof(*job));
}

void weir_hasher_destroy(struct weir_hasher *hasher)
{
	if (hasher == NULL)
		return;
	lock(hasher);
	hasher->is_stopping = true;
	unlock(hasher);
	(void)pthread_cond_signal(&hasher->wake); /* cannot fail */
	if (hasher->has_thread)
		(void)pthread_join(hasher->thread, NULL); /* it is ours, and is joined once */
	(void)pthread_cond_destroy(&hasher->wake);
	(void)pthread_mutex_destroy(&hasher->lock);
	for (size_t i = 0; i < WEIR_HASHER_JOBS_MAX; i++)
		job_free(&hasher->job[i]);
	free(hasher);
}

/* ---- the thread ---- */

/* The oldest that waits, or NULL. */
static struct job *job_next(struct weir_hasher *hasher)
{
	struct job *next = NULL;

	for (size_t i = 0; i < WEIR_HASHER_JOBS_MAX; i++) {
		struct job *job = &hasher->job[i];

		if (job->state == WAITING && (next == NULL || job->id < next->id))
			next = job;
	}
	return next;
}

/* Unlocked: while it runs the job's texts are the thread's alone. */
static int job_run(struct job *job)
{
	const int result = job->is_check ? weir_password_check(job->password, job->hash)
					 : weir_password_hash(job->password, job->hash);

	sodium_memzero(job->password, sizeof(job->password));
	return result;
}

static void *work(void *context)
{
	struct weir_hasher *hasher = context;

	(void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread; without it, it is as urgent as others */
	lock(hasher);
	while (!hasher->is_stopping) {
		struct job *job = job_next(hasher);
		int result = 0;

		if (job == NULL) {
			(void)pthread_cond_wait(&hasher->wake, &hasher->lock); /* cannot fail */
			continue;
		}
		job->state = RUNNING;
		unlock(hasher);
		result = job_run(job);
		lock(hasher);
		job->state = DONE;
		job->result = result;
		if (job->is_dropped)
			job_free(job);
	}
	unlock(hasher);
	return NULL;
}

/* ---- who asks ---- */

static struct job *job_find(struct weir_hasher *hasher, uint64_t id)
{
	for (size_t i = 0; i < WEIR_HASHER_JOBS_MAX; i++) {
		if (hasher->job[i].state != FREE && hasher->job[i].id == id && !hasher->job[i].is_dropped)
			return &hasher->job[i];
	}
	return NULL;
}

static int thread_need(struct weir_hasher *hasher)
{
	int code = 0;

	if (hasher->has_thread)
		return 0;
	code = pthread_create(&hasher->thread, NULL, work, hasher);
	hasher->has_thread = code == 0;
	return -code;
}

static int job_add(struct weir_hasher *hasher, const char *password, const char *hash, uint64_t *out_id)
{
	size_t place = 0;
	struct job *job = NULL;

	while (place < WEIR_HASHER_JOBS_MAX && hasher->job[place].state != FREE)
		place++;
	if (place == WEIR_HASHER_JOBS_MAX)
		return -EBUSY;
	job = &hasher->job[place];
	(void)snprintf(job->password, sizeof(job->password), "%s", password); /* fits: it was checked */
	(void)snprintf(job->hash, sizeof(job->hash), "%s", hash == NULL ? "" : hash);
	job->is_check = hash != NULL;
	job->id = ++hasher->last_id;
	job->state = WAITING;
	*out_id = job->id;
	return 0;
}

int weir_hasher_begin(struct weir_hasher *hasher, const char *password, const char *hash, uint64_t *out_id)
{
	int code = strlen(password) <= WEIR_MODEL_PASSWORD_BYTES_MAX ? thread_need(hasher) : -EINVAL;

	if (code != 0)
		return code;
	lock(hasher);
	code = job_add(hasher, password, hash, out_id);
	unlock(hasher);
	(void)pthread_cond_signal(&hasher->wake); /* cannot fail */
	return code;
}

int weir_hasher_ask(struct weir_hasher *hasher, uint64_t id, char out_hash[WEIR_MODEL_HASH_BYTES])
{
	struct job *job = NULL;
	int result = -ENOENT;

	lock(hasher);
	job = job_find(hasher, id);
	if (job != NULL)
		result = job->state == DONE ? job->result : -EINPROGRESS;
	if (job != NULL && job->state == DONE) {
		memcpy(out_hash, job->hash, sizeof(job->hash));
		job_free(job);
	}
	unlock(hasher);
	return result;
}

void weir_hasher_drop(struct weir_hasher *hasher, uint64_t id)
{
	struct job *job = NULL;

	lock(hasher);
	job = job_find(hasher, id);
	if (job != NULL && job->state == RUNNING)
		job->is_dropped = true;
	else if (job != NULL)
		job_free(job);
	unlock(hasher);
}
