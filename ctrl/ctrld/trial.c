#include "ctrl/ctrld/trial.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"

enum {
	TRIAL_MS = 90000,  /* a cold start and a call */
	ACCEPT_MS = 10000, /* until every shard has it */
	LONELY_MS = 5000,  /* nobody asked for it */
	LOOK_MS = 5,
	STATUS_FAILED = 500,
};

/* Ids of weir.db never get there, those of public rows have the bit above. */
#define TRIAL_ID_BIT (UINT64_C(1) << 62)

enum trial_state { FREE, PUBLISHING, WAITING, ASKING, PASSED, FAILED };

struct trial {
	enum trial_state state;
	struct weir_model_function function;
	struct weir_trial_variables variables;
	uint64_t generation; /* WAITING for its acknowledgement */
	uint64_t due_ns;
	uint64_t asked_ns;
	char path[WEIR_TRIAL_PATH_BYTES];
	char reason[WEIR_TRIAL_REASON_BYTES];
	int fd;
	char *answer;
	size_t answer_bytes;
};

struct weir_trials {
	char socket_path[108];
	bool changed; /* something else is to be published */
	struct trial trial[WEIR_TRIALS_MAX];
};

int weir_trials_create(const char *data, struct weir_trials **out_trials)
{
	struct weir_trials *trials = calloc(1, sizeof(*trials));

	if (trials == NULL)
		return -ENOMEM;
	/* A longer path has no gateway behind it either. */
	(void)snprintf(trials->socket_path, sizeof(trials->socket_path), "%s/run/http.sock", data);
	for (size_t i = 0; i < WEIR_TRIALS_MAX; i++)
		trials->trial[i].fd = -1;
	*out_trials = trials;
	return 0;
}

static void trial_close(struct trial *trial)
{
	weir_fd_close(&trial->fd);
	free(trial->answer);
	trial->answer = NULL;
	trial->answer_bytes = 0;
	for (size_t i = 0; i < trial->variables.count; i++) {
		if (trial->variables.text[i] != NULL)
			explicit_bzero(trial->variables.text[i], strlen(trial->variables.text[i]));
		free(trial->variables.text[i]);
	}
	free(trial->variables.text);
	memset(&trial->variables, 0, sizeof(trial->variables));
}

static int variables_copy(struct trial *trial, const struct weir_trial_variables *from)
{
	memcpy(trial->variables.name, trial->function.name, sizeof(trial->variables.name));
	trial->variables.text = calloc(from->count + 1, sizeof(*trial->variables.text));
	if (trial->variables.text == NULL)
		return -ENOMEM;
	trial->variables.count = from->count;
	for (size_t i = 0; i < from->count; i++) {
		trial->variables.text[i] = strdup(from->text[i]);
		if (trial->variables.text[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

void weir_trials_destroy(struct weir_trials *trials)
{
	for (size_t i = 0; trials != NULL && i < WEIR_TRIALS_MAX; i++)
		trial_close(&trials->trial[i]);
	free(trials);
}

static bool is_published(const struct trial *trial)
{
	return trial->state == PUBLISHING || trial->state == WAITING || trial->state == ASKING;
}

static void trial_end(struct weir_trials *trials, struct trial *trial, enum trial_state state)
{
	trial_close(trial);
	trial->state = state;
	trials->changed = true;
	weir_log(WEIR_LOG_INFO, "trial ended", "trial=%s passed=%s reason=\"%s\"", trial->function.name,
		 state == PASSED ? "true" : "false", trial->reason);
}

static void trial_fail(struct weir_trials *trials, struct trial *trial, const char *reason)
{
	(void)snprintf(trial->reason, sizeof(trial->reason), "%s", reason); /* cut is fine */
	trial_end(trials, trial, FAILED);
}

int weir_trial_begin(struct weir_trials *trials, const struct weir_model_function *function,
		     const char *path, const struct weir_trial_variables *variables, uint64_t *out_id)
{
	struct trial *trial = NULL;
	uint64_t number = 0;

	for (size_t i = 0; i < WEIR_TRIALS_MAX && trial == NULL; i++)
		trial = trials->trial[i].state == FREE ? &trials->trial[i] : NULL;
	if (trial == NULL)
		return -EBUSY;
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -EIO;
	memset(trial, 0, sizeof(*trial));
	trial->fd = -1;
	trial->function = *function;
	if (variables_copy(trial, variables) != 0) {
		trial_close(trial);
		return -ENOMEM;
	}
	trial->function.id = TRIAL_ID_BIT | (number >> 2);
	trial->function.is_trial = true;
	trial->function.from_public_table = false;
	(void)snprintf(trial->function.name, sizeof(trial->function.name), "trial@%016llx",
		       (unsigned long long)number); /* fits */
	(void)snprintf(trial->path, sizeof(trial->path), "%s", path); /* checked by the caller */
	trial->asked_ns = weir_clock_now_ns();
	trial->due_ns = trial->asked_ns + ACCEPT_MS * WEIR_NS_PER_MS;
	trial->state = PUBLISHING;
	*out_id = trial->function.id;
	return 0;
}

int weir_trial_ask(struct weir_trials *trials, uint64_t id,
		   char out_reason[WEIR_TRIAL_REASON_BYTES])
{
	for (size_t i = 0; i < WEIR_TRIALS_MAX; i++) {
		struct trial *trial = &trials->trial[i];
		const bool passed = trial->state == PASSED;

		if (trial->state == FREE || trial->function.id != id)
			continue;
		trial->asked_ns = weir_clock_now_ns();
		if (is_published(trial))
			return -EINPROGRESS;
		memcpy(out_reason, trial->reason, WEIR_TRIAL_REASON_BYTES);
		trial->state = FREE;
		return passed ? 0 : -EINVAL;
	}
	return -ENOENT;
}

const struct weir_model_function *weir_trial_function(const struct weir_trials *trials, size_t i)
{
	for (size_t k = 0; k < WEIR_TRIALS_MAX; k++) {
		if (is_published(&trials->trial[k]) && i-- == 0)
			return &trials->trial[k].function;
	}
	return NULL;
}

const struct weir_trial_variables *weir_trial_variables(const struct weir_trials *trials, size_t i)
{
	for (size_t k = 0; k < WEIR_TRIALS_MAX; k++) {
		if (is_published(&trials->trial[k]) && i-- == 0)
			return &trials->trial[k].variables;
	}
	return NULL;
}

void weir_trials_published(struct weir_trials *trials, uint64_t generation)
{
	for (size_t i = 0; i < WEIR_TRIALS_MAX; i++) {
		if (trials->trial[i].state != PUBLISHING)
			continue;
		trials->trial[i].state = WAITING;
		trials->trial[i].generation = generation;
	}
	trials->changed = false;
}

/* ---- asking ---- */

static int request_send(const struct weir_trials *trials, struct trial *trial)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	WEIR_CLEANUP(weir_fd_close)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[WEIR_TRIAL_PATH_BYTES + 512];
	const int bytes = snprintf(text, sizeof(text),
				   "GET /%s/%s%s HTTP/1.1\r\nhost: function.weir\r\nconnection: "
				   "close\r\n%s\r\n",
				   trial->function.space, trial->function.name, trial->path,
				   trial->path[0] == '\0' ? "x-weir-load: 1\r\n" : "");

	memcpy(address.sun_path, trials->socket_path, sizeof(address.sun_path));
	if (fd == -1 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	/* A fresh socket takes so little at once. */
	if (send(fd, text, (size_t)bytes, MSG_NOSIGNAL) != bytes)
		return -EIO;
	trial->fd = fd;
	fd = -1;
	return 0;
}

void weir_trials_acknowledged(struct weir_trials *trials, uint64_t generation)
{
	for (size_t i = 0; i < WEIR_TRIALS_MAX; i++) {
		struct trial *trial = &trials->trial[i];
		int result = 0;

		if (trial->state != WAITING || trial->generation > generation)
			continue;
		trial->answer = calloc(1, WEIR_TRIAL_ANSWER_BYTES_MAX + 1);
		result = trial->answer == NULL ? -ENOMEM : request_send(trials, trial);
		if (result != 0) {
			trial_fail(trials, trial, "the gateway cannot be asked to call it");
			continue;
		}
		trial->state = ASKING;
		trial->due_ns = weir_clock_now_ns() + TRIAL_MS * WEIR_NS_PER_MS;
	}
}

/* The sentence of an error's JSON, else the body's first line. */
static void reason_read(struct trial *trial, int status)
{
	const char *body = strstr(trial->answer, "\r\n\r\n");
	cJSON *json = body == NULL ? NULL : cJSON_Parse(body + 4);
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
	const char *text = body == NULL ? "" : body + 4;

	if (cJSON_IsString(error))
		text = error->valuestring;
	(void)snprintf(trial->reason, sizeof(trial->reason), "status %d: %.*s", status,
		       (int)strcspn(text, "\n"), text); /* cut is fine */
	cJSON_Delete(json);
}

static void answer_judge(struct weir_trials *trials, struct trial *trial)
{
	int status = 0;

	if (sscanf(trial->answer, "HTTP/1.%*d %d", &status) != 1) {
		trial_fail(trials, trial, "the gateway ended the call without an answer");
		return;
	}
	if (status < STATUS_FAILED) {
		trial_end(trials, trial, PASSED);
		return;
	}
	reason_read(trial, status);
	trial_end(trials, trial, FAILED);
}

static void answer_take(struct weir_trials *trials, struct trial *trial)
{
	for (;;) {
		char *at = trial->answer + trial->answer_bytes;
		const size_t room = WEIR_TRIAL_ANSWER_BYTES_MAX - trial->answer_bytes;
		const ssize_t got = room == 0 ? 0 : recv(trial->fd, at, room, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) { /* it ended, or it is long enough to know */
			answer_judge(trials, trial);
			return;
		}
		trial->answer_bytes += (size_t)got;
	}
}

static void trial_run(struct weir_trials *trials, struct trial *trial, uint64_t now_ns)
{
	const bool is_lonely = now_ns - trial->asked_ns >= LONELY_MS * WEIR_NS_PER_MS;

	if (trial->state == ASKING)
		answer_take(trials, trial);
	if (is_published(trial) && trial->due_ns <= now_ns)
		trial_fail(trials, trial,
			   trial->state == ASKING ? "it did not answer in time"
						  : "not every shard of the gateway took it in time");
	if (!is_lonely)
		return;
	if (is_published(trial))
		trial_fail(trials, trial, "nobody waits for it any more");
	trial->state = FREE;
}

bool weir_trials_run(struct weir_trials *trials, uint64_t now_ns)
{
	for (size_t i = 0; i < WEIR_TRIALS_MAX; i++) {
		if (trials->trial[i].state != FREE)
			trial_run(trials, &trials->trial[i], now_ns);
	}
	return trials->changed;
}

uint64_t weir_trials_due_ns(const struct weir_trials *trials)
{
	for (size_t i = 0; i < WEIR_TRIALS_MAX; i++) {
		if (trials->trial[i].state != FREE)
			return weir_clock_now_ns() + LOOK_MS * WEIR_NS_PER_MS;
	}
	return trials->changed ? 0 : UINT64_MAX;
}
