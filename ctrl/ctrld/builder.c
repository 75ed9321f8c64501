#include "ctrl/ctrld/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"
#include "dataplane/base/program_path.h"

enum { PATIENCE_MS = 10000, SEND_AGAIN_MS = 20, LOG_FILE_RIGHTS = 0600 };

/* One build, known by the hash of all that decides its result. */
struct job {
	struct job *next;
	enum weir_builder_state state;
	char key[WEIR_CODE_HASH_BYTES];
	char runtime[16];
	char path[WEIR_CODE_PATH_BYTES_MAX];
	uint64_t number; /* of its folder */
	int log_fd;      /* RUNNING */
	uint64_t due_ns; /* RUNNING: given up then */
	char *log;       /* FAILED */
};

/* A function, at the version at which its code was looked at. */
struct known {
	uint64_t id;
	uint64_t version;
	uint64_t round; /* last settled in; of functions that are gone this much memory stays */
	bool built;
	bool is_ready; /* the file is what a builder makes: it runs as it is */
	char key[WEIR_CODE_HASH_BYTES];
	char problem[sizeof(((struct weir_model_function *)NULL)->problem)];
};

struct weir_builder {
	struct weir_code *code;
	weir_builder_send *send;
	void *context;
	struct job *jobs;
	size_t job_count;
	uint32_t time_ms;     /* of a build */
	uint64_t send_due_ns; /* the supervisor's socket was full */
	bool changed;
	uint64_t round; /* of settling */
	bool has_wasm;  /* else its functions are published as of a runtime that is not here */
	void *known; /* tree of struct known, by id */
};

static int known_compare(const void *a, const void *b)
{
	const struct known *left = a;
	const struct known *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

int weir_builder_create(struct weir_code *code, weir_builder_send *send, void *context,
			struct weir_builder **out_builder)
{
	struct weir_builder *builder = calloc(1, sizeof(*builder));

	if (builder == NULL)
		return -ENOMEM;
	builder->code = code;
	builder->send = send;
	builder->context = context;
	builder->send_due_ns = UINT64_MAX;
	*out_builder = builder;
	return 0;
}

static void job_free(struct job *job)
{
	weir_fd_close(&job->log_fd);
	free(job->log);
	free(job);
}

void weir_builder_destroy(struct weir_builder *builder)
{
	if (builder == NULL)
		return;
	while (builder->jobs != NULL) {
		struct job *job = builder->jobs;

		builder->jobs = job->next;
		job_free(job);
	}
	tdestroy(builder->known, free);
	free(builder);
}

void weir_builder_time_set(struct weir_builder *builder, uint32_t time_ms)
{
	builder->time_ms = time_ms;
}

bool weir_builder_is_for(const char *runtime)
{
	return strcmp(runtime, "c") == 0 || strcmp(runtime, "wasm") == 0;
}

static struct job *job_find(const struct weir_builder *builder, const char *key)
{
	struct job *job = builder->jobs;

	while (job != NULL && strcmp(job->key, key) != 0)
		job = job->next;
	return job;
}

static void job_remove(struct weir_builder *builder, const struct job *gone)
{
	struct job **place = &builder->jobs;

	while (*place != gone)
		place = &(*place)->next;
	*place = gone->next;
	builder->job_count--;
}

/* ---- which build it is ---- */

/* Which builder: another program is another result. -ENOENT: there is none here. */
static int builder_stamp(const char *runtime, char out[96])
{
	char name[32];
	char path[PATH_MAX];
	struct stat info;
	int result = 0;

	(void)snprintf(name, sizeof(name), "weir-build-%s", runtime); /* fits */
	result = weir_program_path_find(name, path);
	if (result != 0)
		return result;
	if (stat(path, &info) != 0)
		return -errno;
	(void)snprintf(out, 96, "%s %lld %lld.%ld", WEIR_VERSION, (long long)info.st_size,
		       (long long)info.st_mtim.tv_sec, (long)info.st_mtim.tv_nsec);
	return 0;
}

/* Which code: of deployed code its hash and place in it; else the file's bytes and where it lies,
 * because of what may lie beside it. */
static int code_stamp(const struct weir_builder *builder, const char *path, char out_hash[WEIR_CODE_HASH_BYTES],
		      const char **out_place)
{
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	static const char any[] = "0000000000000000000000000000000000000000000000000000000000000000";
	const size_t bytes = strlen(weir_code_path(builder->code, any, folder)) - (sizeof(any) - 1);

	if (strncmp(path, folder, bytes) == 0 && strlen(path) > bytes + sizeof(any)) {
		memcpy(out_hash, path + bytes, WEIR_CODE_HASH_BYTES - 1);
		out_hash[WEIR_CODE_HASH_BYTES - 1] = '\0';
		*out_place = path + bytes + WEIR_CODE_HASH_BYTES;
		if (weir_code_hash_sound(out_hash))
			return access(path, R_OK) == 0 ? 0 : -errno;
	}
	*out_place = path;
	return weir_code_hash_file(path, out_hash);
}

static int key_make(const struct weir_builder *builder, const char *runtime, const char *path,
		    char out_key[WEIR_CODE_HASH_BYTES])
{
	char stamp[96];
	char hash[WEIR_CODE_HASH_BYTES];
	const char *place = NULL;
	int result = builder_stamp(runtime, stamp);

	if (result != 0)
		return -EPROTONOSUPPORT;
	result = code_stamp(builder, path, hash, &place);
	if (result == 0) {
		const char *const texts[] = {"weir build", runtime, stamp, hash, place};

		weir_code_hash_texts(texts, sizeof(texts) / sizeof(texts[0]), out_key);
	}
	return result;
}

/* The job of this code, made where it is not built and not asked for yet. *out_job is NULL where the
 * artifact is there. */
static int job_ask(struct weir_builder *builder, const char *runtime, const char *path,
		   const char *key, struct job **out_job)
{
	struct job *job = job_find(builder, key);

	if (job == NULL && !weir_code_has(builder->code, key)) {
		if (builder->job_count == WEIR_BUILDER_JOBS_MAX)
			return -EDQUOT;
		job = calloc(1, sizeof(*job));
		if (job == NULL)
			return -ENOMEM;
		job->log_fd = -1;
		(void)snprintf(job->key, sizeof(job->key), "%s", key);
		(void)snprintf(job->runtime, sizeof(job->runtime), "%s", runtime);
		(void)snprintf(job->path, sizeof(job->path), "%s", path);
		job->next = builder->jobs;
		builder->jobs = job;
		builder->job_count++;
		builder->send_due_ns = 0;
	}
	*out_job = job;
	return 0;
}

static void failed_forget(struct weir_builder *builder, const char *key)
{
	struct job *job = job_find(builder, key);

	if (job != NULL && job->state == WEIR_BUILDER_FAILED) {
		job_remove(builder, job);
		job_free(job);
	}
}

/* ---- functions ---- */

/* The first line of a log that says what is wrong. */
static void log_first(const char *log, char *out, size_t max)
{
	const char *line = strstr(log, "error: ");

	while (line != NULL && line > log && line[-1] != '\n')
		line--;
	if (line == NULL)
		line = log + strspn(log, "\n");
	(void)snprintf(out, max, "The function cannot be built: %.*s", (int)strcspn(line, "\n"), line);
}

static void problem_set(struct known *known, const char *what, const char *text)
{
	(void)snprintf(known->problem, sizeof(known->problem), "%s%s", what, text); /* cut is fine */
}

/* A shared object: somebody built it beforehand. Never a module, which has no sandbox but the builder's
 * checks. */
static bool file_is_built(const char *runtime, const char *path)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char start[4] = "";

	return strcmp(runtime, "wasm") != 0 && fd != -1 &&
	       read(fd, start, sizeof(start)) == (ssize_t)sizeof(start) &&
	       memcmp(start, "\177ELF", sizeof(start)) == 0;
}

/* Look at the code of a function that is new, or another version. */
static void known_look(struct weir_builder *builder, struct known *known,
		       const struct weir_model_function *function)
{
	const int result = key_make(builder, function->runtime, function->code_path, known->key);

	known->version = function->version;
	known->built = false;
	known->problem[0] = '\0';
	known->is_ready = file_is_built(function->runtime, function->code_path);
	if (known->is_ready)
		return;
	if (result == 0)
		failed_forget(builder, known->key);
	else
		known->key[0] = '\0';
	if (result == -EPROTONOSUPPORT)
		problem_set(known, "The builder is not installed of runtime ", function->runtime);
	else if (result != 0)
		(void)snprintf(known->problem, sizeof(known->problem),
			       "Runtime '%s' cannot read module '%.120s': %s", function->runtime,
			       function->code_path, strerror(-result));
}

static void known_refresh(struct weir_builder *builder, struct known *known,
			  const struct weir_model_function *function)
{
	struct job *job = NULL;
	const int result =
		job_ask(builder, function->runtime, function->code_path, known->key, &job);

	if (result != 0) {
		problem_set(known, "The function cannot be built now: ", strerror(-result));
		return;
	}
	known->built = job == NULL;
	known->problem[0] = '\0';
	if (job != NULL && job->state == WEIR_BUILDER_FAILED)
		log_first(job->log == NULL ? "" : job->log, known->problem, sizeof(known->problem));
	else if (job != NULL)
		problem_set(known, "The function is being built", "");
}

static struct known *known_of(struct weir_builder *builder, uint64_t id)
{
	struct known *known = calloc(1, sizeof(*known));
	struct known *const *found = NULL;

	if (known == NULL)
		return NULL;
	known->id = id;
	found = tsearch(known, &builder->known, known_compare);
	if (found == NULL || *found != known)
		free(known);
	return found == NULL ? NULL : *found;
}

void weir_builder_settle_begin(struct weir_builder *builder)
{
	char path[PATH_MAX];

	builder->round++;
	builder->has_wasm = weir_program_path_find("weir-worker-wasm", path) == 0;
}

void weir_builder_settle(struct weir_builder *builder, struct weir_model_function *function)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	struct known *known = NULL;
	int written = 0;

	if (!weir_builder_is_for(function->runtime) ||
	    (strcmp(function->runtime, "wasm") == 0 && !builder->has_wasm))
		return;
	known = known_of(builder, function->id);
	if (known == NULL) {
		(void)snprintf(function->problem, sizeof(function->problem), "No memory to build it");
		return;
	}
	known->round = builder->round;
	if (known->version != function->version)
		known_look(builder, known, function);
	if (known->is_ready)
		return;
	if (!known->built && known->key[0] != '\0')
		known_refresh(builder, known, function);
	(void)snprintf(function->problem, sizeof(function->problem), "%s", known->problem);
	if (!known->built)
		return;
	written = snprintf(function->code_path, sizeof(function->code_path),
			   "%s/" WEIR_CODE_ARTIFACT, weir_code_path(builder->code, known->key, path));
	WEIR_ASSERT(written > 0 && (size_t)written < sizeof(function->code_path));
}

int weir_builder_ask(struct weir_builder *builder, const char *runtime, const char *path, bool again,
		     struct weir_builder_result *out_result)
{
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char key[WEIR_CODE_HASH_BYTES];
	struct job *job = NULL;
	int result = 0;

	memset(out_result, 0, sizeof(*out_result));
	out_result->state = WEIR_BUILDER_BUILT;
	if (file_is_built(runtime, path)) {
		(void)snprintf(out_result->path, sizeof(out_result->path), "%s", path);
		return 0;
	}
	result = key_make(builder, runtime, path, key);
	if (result == 0 && again)
		failed_forget(builder, key);
	if (result == 0)
		result = job_ask(builder, runtime, path, key, &job);
	if (result != 0)
		return result;
	out_result->state = job == NULL ? WEIR_BUILDER_BUILT : job->state;
	if (job == NULL)
		(void)snprintf(out_result->path, sizeof(out_result->path), "%.4000s/" WEIR_CODE_ARTIFACT,
			       weir_code_path(builder->code, key, folder));
	else if (job->state == WEIR_BUILDER_FAILED)
		out_result->log = strdup(job->log == NULL ? "" : job->log);
	return 0;
}

/* ---- jobs ---- */

static char *log_read(const struct job *job)
{
	char *log = calloc(1, WEIR_BUILDER_LOG_BYTES_MAX + 1);
	ssize_t bytes = 0;

	if (log == NULL)
		return NULL;
	bytes = pread(job->log_fd, log, WEIR_BUILDER_LOG_BYTES_MAX, 0);
	log[bytes < 0 ? 0 : bytes] = '\0';
	return log;
}

static void job_failed(struct weir_builder *builder, struct job *job, const char *why)
{
	char *text = NULL;
	char *said = job->log_fd == -1 ? NULL : log_read(job);

	if (why == NULL) {
		text = said;
		said = NULL;
	} else if (asprintf(&text, "%s%s%s", why, said == NULL || said[0] == '\0' ? "" : "\n",
			    said == NULL ? "" : said) < 0) {
		text = NULL;
	}
	free(said);
	free(job->log);
	job->log = text;
	job->state = WEIR_BUILDER_FAILED;
	weir_fd_close(&job->log_fd);
	if (job->number != 0)
		weir_code_build_drop(builder->code, job->number);
	job->number = 0;
	builder->changed = true;
	builder->send_due_ns = 0; /* the next one */
	weir_log(WEIR_LOG_WARN, "build failed", "runtime=%s file=\"%s\" why=\"%.*s\"", job->runtime,
		 job->path, text == NULL ? 0 : (int)strcspn(text, "\n"), text == NULL ? "" : text);
}

static void job_built(struct weir_builder *builder, struct job *job)
{
	const int result = weir_code_build_keep(builder->code, job->number, job->key);

	job->number = 0;
	if (result != 0) {
		job_failed(builder, job,
			   result == -ENOENT ? "the builder made nothing" : "the disk is full");
		return;
	}
	weir_log(WEIR_LOG_INFO, "built", "runtime=%s file=\"%s\" artifact=%.12s", job->runtime, job->path,
		 job->key);
	builder->changed = true;
	builder->send_due_ns = 0;
	job_remove(builder, job);
	job_free(job);
}

void weir_builder_done(struct weir_builder *builder, const struct weir_control *control)
{
	struct job *job = builder->jobs;

	while (job != NULL && (job->state != WEIR_BUILDER_RUNNING ||
			       job->number != control->build_done.build_id))
		job = job->next;
	if (job == NULL)
		return; /* given up meanwhile */
	if (control->build_done.error != 0)
		job_failed(builder, job, "the build could not be started");
	else if (control->build_done.timed_out != 0)
		job_failed(builder, job, "the build took too long and was stopped");
	else if (control->build_done.status != 0)
		job_failed(builder, job,
			   control->build_done.status < 0 ? "the build was stopped by a signal" : NULL);
	else
		job_built(builder, job);
}

static int job_send(struct weir_builder *builder, struct job *job, int output_fd)
{
	struct weir_control control = {.kind = WEIR_CONTROL_BUILD};
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char name[WEIR_CODE_PATH_BYTES_MAX];

	(void)snprintf(folder, sizeof(folder), "%s", job->path);
	(void)snprintf(name, sizeof(name), "%s", job->path);
	if (strlen(basename(name)) >= sizeof(control.build.name))
		return -ENAMETOOLONG;
	control.build.build_id = job->number;
	control.build.time_ms = builder->time_ms;
	(void)snprintf(control.build.runtime, sizeof(control.build.runtime), "%s", job->runtime);
	(void)snprintf(control.build.name, sizeof(control.build.name), "%s",
		       basename(name)); /* checked */
	WEIR_CLEANUP(weir_fd_close)
	int input_fd = open(dirname(folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int fds[] = {input_fd, output_fd, job->log_fd};

	if (input_fd == -1)
		return -errno;
	return builder->send(builder->context, &control, fds, 3);
}

static int job_begin(struct weir_builder *builder, struct job *job, uint64_t now_ns)
{
	WEIR_CLEANUP(weir_fd_close) int output_fd = -1;
	int result = weir_code_build_begin(builder->code, &job->number, &output_fd);

	if (result != 0)
		return result;
	job->log_fd = openat(output_fd, ".log", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
			     LOG_FILE_RIGHTS);
	result = job->log_fd == -1 ? -errno : job_send(builder, job, output_fd);
	if (result == -EAGAIN) {
		weir_fd_close(&job->log_fd);
		weir_code_build_drop(builder->code, job->number);
		job->number = 0;
	}
	if (result != 0)
		return result;
	job->state = WEIR_BUILDER_RUNNING;
	job->due_ns = now_ns + ((uint64_t)builder->time_ms + PATIENCE_MS) * WEIR_NS_PER_MS;
	return 0;
}

/* Begin waiting jobs, the oldest first, while there are places. */
static void jobs_begin(struct weir_builder *builder, uint64_t now_ns)
{
	builder->send_due_ns = UINT64_MAX;
	for (;;) {
		struct job *oldest = NULL;
		size_t running = 0;
		int result = 0;

		for (struct job *job = builder->jobs; job != NULL; job = job->next) {
			running += job->state == WEIR_BUILDER_RUNNING;
			oldest = job->state == WEIR_BUILDER_WAITING ? job : oldest;
		}
		if (oldest == NULL || running >= WEIR_BUILDER_RUNNING_MAX)
			return;
		result = job_begin(builder, oldest, now_ns);
		if (result == -EAGAIN) {
			builder->send_due_ns = now_ns + SEND_AGAIN_MS * WEIR_NS_PER_MS;
			return;
		}
		if (result != 0)
			job_failed(builder, oldest, strerror(-result));
	}
}

bool weir_builder_run(struct weir_builder *builder, uint64_t now_ns)
{
	bool changed = false;

	for (struct job *job = builder->jobs; job != NULL; job = job->next) {
		if (job->state == WEIR_BUILDER_RUNNING && job->due_ns <= now_ns)
			job_failed(builder, job, "nothing was heard of the build in time");
	}
	if (builder->send_due_ns <= now_ns)
		jobs_begin(builder, now_ns);
	changed = builder->changed;
	builder->changed = false;
	return changed;
}

uint64_t weir_builder_due_ns(const struct weir_builder *builder)
{
	uint64_t due_ns = builder->changed ? 0 : builder->send_due_ns;

	for (const struct job *job = builder->jobs; job != NULL; job = job->next) {
		if (job->state == WEIR_BUILDER_RUNNING && job->due_ns < due_ns)
			due_ns = job->due_ns;
	}
	return due_ns;
}

/* A walk through the tree has no context of its own. */
static const char *wanted_key;
static uint64_t wanted_round;
static bool wanted_found;

static void known_visit(const void *node, VISIT visit, int depth)
{
	const struct known *known = *(const struct known *const *)node;

	(void)depth;
	if ((visit == postorder || visit == leaf) && known->round == wanted_round &&
	    strcmp(known->key, wanted_key) == 0)
		wanted_found = true;
}

bool weir_builder_uses(const struct weir_builder *builder, const char *hash)
{
	wanted_key = hash;
	wanted_round = builder->round;
	wanted_found = job_find(builder, hash) != NULL;
	twalk(builder->known, known_visit);
	return wanted_found;
}
