/* api_test: the server in the test's own thread, a turn at a time. Its owner: a store in a private directory,
 * snapshots that are acknowledged when the test says so. */
#ifndef WEIR_TESTS_API_API_TEST_H
#define WEIR_TESTS_API_API_TEST_H

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "ctrl/api/api.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "tests/base/base_test.h"

struct api_test {
	char directory[64];
	char path[108];
	struct weir_store *store;
	struct weir_public_table *table;
	struct weir_public_rows rows;
	struct weir_code *code;
	struct weir_backup *backup;
	struct weir_access access;
	struct weir_api *api;
	bool acknowledge;
	int published;
	int publish_code;
	int build_runs;
	bool build_fails;
	bool trial_fails;
};

static inline void acknowledge(struct api_test *test, uint32_t acked)
{
	const struct weir_api_acknowledgement acknowledgement = {
		.generation = weir_store_generation(test->store), .acked = acked, .total = 4};

	weir_api_acknowledge(test->api, &acknowledgement);
}

static inline int publish(void *context, struct weir_store_error *error)
{
	struct api_test *test = context;

	test->published++;
	if (test->publish_code != 0)
		(void)snprintf(error->text, sizeof(error->text), "no luck");
	else if (test->acknowledge)
		acknowledge(test, 4);
	return test->publish_code;
}

static inline const struct weir_snapshot *snapshot_none(void *context)
{
	(void)context;
	return NULL;
}

/* Builds of runtime c: two runs later they are done, or have failed. */
static inline int build_play(void *context, const char *runtime, const char *path, bool again, char **out_log)
{
	struct api_test *test = context;

	if (strcmp(runtime, "c") != 0)
		return 0;
	assert_int_equal(access(path, R_OK), 0);
	test->build_runs = again ? 0 : test->build_runs + 1;
	if (test->build_runs < 2)
		return -EINPROGRESS;
	*out_log = test->build_fails ? strdup("f.c:1:2: error: no") : NULL;
	return test->build_fails ? -EINVAL : 0;
}

/* A trial: asked for once more, then it passes or not. */
static inline int try_play(void *context, const struct weir_model_function *function,
		    const struct weir_api_trial *wanted, uint64_t *trial, char *out_reason)
{
	struct api_test *test = context;

	assert_int_equal(access(function->code_path, R_OK), 0);
	(void)wanted;
	if ((*trial)++ == 0)
		return -EINPROGRESS;
	(void)snprintf(out_reason, WEIR_API_REASON_BYTES, "status 502: it fell over");
	return test->trial_fails ? -EINVAL : 0;
}

/* Not encryption, but not what it was. */
static inline int seal_play(void *context, const char *label, const void *value, size_t bytes, uint8_t *out)
{
	(void)context;
	(void)label;
	memset(out, 'x', bytes + 40);
	(void)value;
	return 0;
}

static inline const char *problem_none(void *context, uint64_t id)
{
	(void)context;
	(void)id;
	return NULL;
}

/* Through the third time that it is asked for. */
static inline int examine_play(void *context, uint64_t *id, cJSON *answer)
{
	(void)context;
	if ((*id)++ < 2)
		return *id == 1 ? -EBUSY : -EINPROGRESS;
	(void)cJSON_AddNumberToObject(answer, "found_count", 7);
	return 0;
}

static inline void status_fill(void *context, cJSON *status)
{
	(void)context;
	(void)cJSON_AddStringToObject(status, "owner", "test");
}

static inline int setup(void **state)
{
	struct api_test *test = calloc(1, sizeof(*test));
	struct weir_store_error error;

	if (test == NULL)
		return -1;
	(void)snprintf(test->directory, sizeof(test->directory), "/tmp/test-api-XXXXXX");
	if (mkdtemp(test->directory) == NULL ||
	    weir_store_create(test->directory, &test->store) != 0 ||
	    weir_public_table_create(test->directory, &test->table) != 0 ||
	    weir_store_open(test->store, true, &error) != 0 ||
	    weir_code_open(test->directory, &test->code) != 0 ||
	    weir_backup_open(test->directory, test->code, &test->backup) != 0 ||
	    weir_access_open(test->directory, &test->access) != 0)
		return -1;
	const struct weir_api_owner owner = {
		.context = test,
		.store = test->store,
		.table = test->table,
		.rows = &test->rows,
		.code = test->code,
		.backup = test->backup,
		.access = &test->access,
		.publish = publish,
		.table_written = publish,
		.snapshot = snapshot_none,
		.status = status_fill,
		.build = build_play,
		.try_version = try_play,
		.seal = seal_play,
		.problem = problem_none,
		.examine = examine_play,
	};

	test->acknowledge = true;
	(void)snprintf(test->path, sizeof(test->path), "%s/api.sock", test->directory);
	*state = test;
	return weir_api_create(&owner, test->path, WEIR_API_DOOR_LOCAL, &test->api);
}

static inline int teardown(void **state)
{
	struct api_test *test = *state;
	char command[256];

	weir_api_destroy(test->api);
	weir_public_rows_release(&test->rows);
	weir_public_table_destroy(test->table);
	weir_store_destroy(test->store);
	weir_access_close(&test->access);
	weir_backup_close(test->backup);
	weir_code_close(test->code);
	(void)snprintf(command, sizeof(command), "chmod -R u+w '%s'; rm -rf '%s'", test->directory,
		       test->directory);
	(void)system(command);
	free(test);
	return 0;
}

static inline int client_open(struct api_test *test)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", test->path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Turn the server while sending `request`, until `answers` whole answers came or the peer closed. All
 * of what came, NUL-terminated. */
static inline const char *exchange(struct api_test *test, int fd, const char *request, size_t bytes,
			    int answers)
{
	static char text[1 << 16];
	size_t sent = 0;
	size_t used = 0;

	for (int turn = 0; turn < 4000; turn++) {
		ssize_t moved = 0;
		int complete = 0;

		if (sent < bytes) {
			moved = send(fd, request + sent, bytes - sent, MSG_NOSIGNAL);
			sent += moved > 0 ? (size_t)moved : 0;
		}
		weir_api_run(test->api);
		moved = recv(fd, text + used, sizeof(text) - 1 - used, 0);
		used += moved > 0 ? (size_t)moved : 0;
		text[used] = '\0';
		for (const char *at = text; (at = strstr(at, "\r\n\r\n")) != NULL; at++)
			complete++;
		/* Every answer of the API is one JSON object behind its head. */
		if (moved == 0 || (complete >= answers && used > 0 && text[used - 1] == '}'))
			break;
		(void)usleep(1000);
	}
	return text;
}

/* One request on a connection of its own: the answer's status; the whole answer in *out_text. */
static inline int request(struct api_test *test, const char *method, const char *target,
		   const char *body, const char **out_text)
{
	char text[8192];
	const int fd = client_open(test);
	const int bytes = snprintf(text, sizeof(text),
				   "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
				   method, target, strlen(body), body);
	const char *answer = exchange(test, fd, text, (size_t)bytes, 1);
	int status = 0;

	assert_int_equal(sscanf(answer, "HTTP/1.1 %d ", &status), 1);
	(void)close(fd);
	weir_api_run(test->api);
	if (out_text != NULL)
		*out_text = answer;
	return status;
}

#endif
