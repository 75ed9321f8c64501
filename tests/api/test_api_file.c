/* Answers that are files, and bodies that become one. */
#include <dirent.h>

#include "tests/api/api_test.h"

/* Read an answer to its end into out[0 .. max-1]. The bytes of its body, from *out_body on. */
static size_t file_receive(struct api_test *test, int fd, char *out, size_t max, const char **out_body)
{
	const char *body = NULL;
	size_t length = 0;
	size_t used = 0;

	for (int turn = 0; turn < 20000 && (body == NULL || used < (size_t)(body - out) + length); turn++) {
		ssize_t moved = 0;

		weir_api_run(test->api);
		moved = recv(fd, out + used, max - 1 - used, 0);
		used += moved > 0 ? (size_t)moved : 0;
		out[used] = '\0';
		body = strstr(out, "\r\n\r\n");
		if (body == NULL) {
			(void)usleep(500);
			continue;
		}
		body += 4;
		length = strtoull(strstr(out, "Content-Length: ") + 16, NULL, 10);
	}
	assert_non_null(body);
	assert_int_equal(used, (size_t)(body - out) + length);
	*out_body = body;
	return length;
}

/* How many files of DATA/transfer are open here. */
static size_t transfers_count(void)
{
	DIR *list = opendir("/proc/self/fd");
	const struct dirent *entry = NULL;
	size_t count = 0;

	assert_non_null(list);
	while ((entry = readdir(list)) != NULL) {
		char target[512] = "";

		if (readlinkat(dirfd(list), entry->d_name, target, sizeof(target) - 1) > 0)
			count += strstr(target, "/transfer/") != NULL;
	}
	(void)closedir(list);
	return count;
}

static void backup_is_sent_as_a_file_and_taken_back(void **state)
{
	static const char ask[] = "GET /weir/backup HTTP/1.1\r\nHost: x\r\n\r\n";
	enum { ROOM = 4 << 20 };
	struct api_test *test = *state;
	char *answer = malloc(ROOM);
	char *upload = malloc(ROOM);
	bool made = false;
	struct weir_store_error error;
	const char *body = NULL;
	const char *text = NULL;
	size_t bytes = 0;
	int head = 0;
	int fd = -1;

	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &error), 0);
	assert_int_equal(request(test, "PUT", "/weir/settings/workers_max", "{\"value\":7}", NULL), 200);
	fd = client_open(test);
	assert_int_equal(send(fd, ask, strlen(ask), 0), strlen(ask));
	weir_api_run(test->api);
	assert_int_equal(request(test, "GET", "/weir/status", "", NULL), 200); /* meanwhile */
	bytes = file_receive(test, fd, answer, ROOM, &body);
	(void)close(fd);
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	assert_non_null(strstr(answer, "x-weir-report: {\"weir\":"));
	assert_string_equal(body, "SQLite format 3");
	assert_int_equal(request(test, "PUT", "/weir/settings/workers_max", "{\"value\":8}", NULL), 200);
	head = sprintf(upload, "POST /weir/restore HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", bytes);
	memcpy(upload + head, body, bytes);
	fd = client_open(test);
	text = exchange(test, fd, upload, (size_t)head + bytes, 1);
	(void)close(fd);
	assert_memory_equal(text, "HTTP/1.1 200", 12);
	assert_non_null(strstr(text, "\"settings\":{\"added\":0,\"changed\":1,\"removed\":0}"));
	assert_non_null(strstr(text, "\"acked\":4"));
	assert_int_equal(request(test, "GET", "/weir/settings/workers_max", "", &text), 200);
	assert_non_null(strstr(text, "\"value\":7"));
	assert_int_equal(request(test, "GET", "/weir/history", "", &text), 200);
	assert_non_null(strstr(text, "\"what\":\"restore a backup\""));
	assert_int_equal(request(test, "POST", "/weir/restore", "no backup", &text), 422);
	assert_non_null(strstr(text, "no sound backup"));
	assert_int_equal(request(test, "POST", "/weir/restore", "", NULL), 400);
	free(answer);
	free(upload);
}

static void file_whose_taker_leaves_is_closed(void **state)
{
	static const char ask[] = "GET /weir/backup HTTP/1.1\r\nHost: x\r\n\r\n";
	struct api_test *test = *state;
	struct weir_store_error error;
	char start[64];
	bool made = false;

	assert_int_equal(weir_public_table_make(test->table, NULL, NULL, &made, &error), 0);

	/* Left while it is made, and while it is sent. */
	for (int i = 0; i < 2; i++) {
		const int fd = client_open(test);
		ssize_t got = -1;

		assert_int_equal(send(fd, ask, strlen(ask), 0), strlen(ask));
		weir_api_run(test->api);
		for (int turn = 0; i == 1 && turn < 20000 && got <= 0; turn++) {
			weir_api_run(test->api);
			got = recv(fd, start, sizeof(start), 0);
			(void)usleep(500);
		}
		(void)close(fd);
		weir_api_run(test->api);
	}
	/* The dropped job ends by itself; the next one waits for that. */
	assert_int_equal(request(test, "POST", "/weir/restore", "no backup", NULL), 422);
	assert_int_equal(transfers_count(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(backup_is_sent_as_a_file_and_taken_back),
		TEST(file_whose_taker_leaves_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
