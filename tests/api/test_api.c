#include "tests/api/api_test.h"

static void errors_are_json_with_code_part_and_activation(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "GET", "/weir/nothing", "", &text), 404);
	assert_non_null(strstr(text, "\"error\":"));
	assert_non_null(strstr(text, "\"code\":\"no_endpoint\""));
	assert_non_null(strstr(text, "\"part\":\"control\""));
	assert_non_null(strstr(text, "\"activation\":\""));
	assert_non_null(strstr(text, "x-openwhisk-activation-id: "));
	assert_int_equal(request(test, "DELETE", "/weir/status", "", &text), 405);
	assert_int_equal(request(test, "GET", "/weir/functions/default/nobody", "", &text),
			 404);
	assert_non_null(strstr(text, "\"code\":\"not_found\""));
	assert_int_equal(request(test, "GET", "/weir/functions/a/b/c", "", NULL), 404);
	assert_int_equal(request(test, "GET", "/weir/functions/a/%zz", "", NULL), 404);
}

static void bodies_that_are_not_one_sound_object_are_refused(void **state)
{
	static const char *const bad[] = {
		"[1]",
		"{",
		"{} x",
		"\"x\"",
		"{\"name\":\"a\\u0000b\"}",
		"{\"a\":[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}",
	};
	struct api_test *test = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(request(test, "POST", "/weir/functions", bad[i], NULL), 400);
	assert_int_equal(request(test, "POST", "/weir/functions", "", NULL), 400);
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"bogus\":1}", NULL), 422);
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"name\":7}", NULL), 422);
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"timeout_ms\":-1}", NULL),
			 422);
	assert_int_equal(request(test, "POST", "/weir/functions", "{\"timeout_ms\":1.5}", NULL),
			 422);
	assert_int_equal(test->published, 0);
}

static void framing_that_the_api_does_not_take_is_refused_and_closed(void **state)
{
	static const char chunked[] = "POST /weir/functions HTTP/1.1\r\nHost: "
				      "x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
	static const char large[] =
		"POST /weir/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 2097153\r\n\r\n";
	struct api_test *test = *state;
	int fd = client_open(test);

	assert_int_equal(
		strncmp(exchange(test, fd, chunked, strlen(chunked), 2), "HTTP/1.1 411", 12),
		0);
	(void)close(fd);
	fd = client_open(test);
	assert_int_equal(
		strncmp(exchange(test, fd, large, strlen(large), 2), "HTTP/1.1 413", 12), 0);
	(void)close(fd);
	fd = client_open(test);
	assert_int_equal(strncmp(exchange(test, fd, "GET /\x01 HTTP/1.1\r\n\r\n", 18, 2),
				 "HTTP/1.1 400", 12),
			 0);
	(void)close(fd);
}

/* The status of a request whose body of that size is one empty object. */
static int large_request(struct api_test *test, const char *target, size_t body_bytes)
{
	char *text = calloc(1, body_bytes + 256);
	const int fd = client_open(test);
	size_t bytes = 0;
	int status = 0;

	assert_non_null(text);
	bytes = (size_t)sprintf(text, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", target, body_bytes);
	memset(text + bytes, ' ', body_bytes);
	text[bytes] = '{';
	text[bytes + body_bytes - 1] = '}';
	assert_int_equal(sscanf(exchange(test, fd, text, bytes + body_bytes, 1), "HTTP/1.1 %d", &status), 1);
	(void)close(fd);
	free(text);
	return status;
}

static void body_of_the_largest_size_is_taken_in_pieces(void **state)
{
	struct api_test *test = *state;

	assert_int_equal(large_request(test, "/weir/functions", WEIR_API_BODY_BYTES_MAX), 422);
	assert_int_equal(large_request(test, "/weir/functions", WEIR_API_BODY_BYTES_MAX + 1), 413);
	/* A whole configuration may be longer. */
	assert_int_equal(large_request(test, "/weir/config", WEIR_API_DOCUMENT_BYTES_MAX), 422);
	assert_int_equal(large_request(test, "/weir/config", WEIR_API_DOCUMENT_BYTES_MAX + 1), 413);
}

/* Upload one file: the hash that the answer names. */
static void code_upload(struct api_test *test, const char *name, const char *text,
			char hash[WEIR_CODE_HASH_BYTES])
{
	char target[256];
	const char *answer = NULL;

	(void)snprintf(target, sizeof(target), "/weir/code?name=%s", name);
	assert_int_equal(request(test, "POST", target, text, &answer), 201);
	answer = strstr(answer, "\"code\":\"");
	assert_non_null(answer);
	memcpy(hash, answer + 8, WEIR_CODE_HASH_BYTES - 1);
	hash[WEIR_CODE_HASH_BYTES - 1] = '\0';
	assert_true(weir_code_has(test->code, hash));
}

static void uploads_go_to_the_disk_whatever_their_size(void **state)
{
	enum { BYTES = 3 << 20 };
	struct api_test *test = *state;
	char *text = malloc(BYTES + 512);
	static const char huge[] = "POST /weir/code HTTP/1.1\r\nHost: x\r\nContent-Length: 268435457\r\n\r\n";
	const char *answer = NULL;
	int fd = client_open(test);
	int bytes = 0;

	assert_non_null(text);
	bytes = sprintf(text,
			"POST /weir/code?name=big.py HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
			"Content-Length: %d\r\n\r\n",
			BYTES);
	memset(text + bytes, 'x', BYTES);
	bytes += BYTES;
	bytes += sprintf(text + bytes, "GET /weir/status HTTP/1.1\r\nHost: x\r\n\r\n");
	answer = exchange(test, fd, text, (size_t)bytes, 3); /* 100, 201 and the status */
	assert_int_equal(strncmp(answer, "HTTP/1.1 100", 12), 0);
	assert_non_null(strstr(answer, "HTTP/1.1 201"));
	assert_non_null(strstr(answer, "\"runtime\":\"python\",\"entry\":\"big.py\""));
	assert_non_null(strstr(answer, "HTTP/1.1 200"));
	(void)close(fd);
	free(text);
	fd = client_open(test);
	answer = exchange(test, fd, huge, sizeof(huge) - 1, 2);
	assert_int_equal(strncmp(answer, "HTTP/1.1 413", 12), 0);
	(void)close(fd);
}

static void uploads_that_are_refused_say_why(void **state)
{
	static const char part[] = "POST /weir/code?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
	struct api_test *test = *state;
	const char *text = NULL;
	int fd = -1;

	assert_int_equal(request(test, "POST", "/weir/code", "this is no archive", &text), 422);
	assert_non_null(strstr(text, "archive"));
	assert_int_equal(request(test, "POST", "/weir/code?name=a%2Fb", "x", &text), 422);
	assert_int_equal(request(test, "POST", "/weir/code?name=x", "", NULL), 400);
	assert_int_equal(request(test, "PUT", "/weir/code", "{}", NULL), 405);
	/* A client that leaves in the middle leaves nothing. */
	fd = client_open(test);
	assert_int_equal(send(fd, part, sizeof(part) - 1, 0), sizeof(part) - 1);
	weir_api_run(test->api);
	weir_api_run(test->api);
	(void)close(fd);
	weir_api_run(test->api);
	(void)snprintf(test->path, sizeof(test->path), "[ -z \"$(ls -A %s/code)\" ]", test->directory);
	assert_int_equal(system(test->path), 0);
}

static void deployments_are_versions_that_can_be_gone_back_to(void **state)
{
	struct api_test *test = *state;
	struct weir_store_error error;
	struct weir_model_function function;
	const char *text = NULL;
	char hash[3][WEIR_CODE_HASH_BYTES];
	char body[256];

	for (int i = 0; i < 3; i++) {
		code_upload(test, "f.sh", i == 0 ? "#!/bin/sh\n" : i == 1 ? "#!/bin/cat\n" : "#!/bin/ls\n",
			    hash[i]);
		(void)snprintf(body, sizeof(body), "{\"code\":\"%s\",\"timeout_ms\":%d}", hash[i],
			       1000 + i);
		assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", body, NULL), 201);
	}
	assert_int_equal(weir_store_function_find(test->store, "default", "f", &function, &error), 0);
	assert_int_equal(function.number, 3);
	assert_int_equal(function.timeout_ms, 1002);
	assert_string_equal(function.runtime, "exec");
	assert_non_null(strstr(function.code_path, hash[2]));
	assert_int_equal(access(function.code_path, X_OK), 0);
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/rollback", "{}", NULL), 200);
	assert_int_equal(weir_store_function_find(test->store, "default", "f", &function, &error), 0);
	assert_int_equal(function.number, 2);
	assert_int_equal(function.timeout_ms, 1001);
	assert_int_equal(request(test, "GET", "/weir/functions/default/f/versions", "", &text), 200);
	assert_non_null(strstr(text, "\"number\":2"));
	assert_non_null(strstr(text, "\"current\":true"));
	assert_int_equal(
		request(test, "POST", "/weir/functions/default/f/rollback", "{\"number\":9}", NULL), 404);
	assert_int_equal(
		request(test, "POST", "/weir/functions/default/f/rollback", "{\"number\":2}", NULL), 409);
	assert_int_equal(request(test, "GET", "/weir/functions/default/g/versions", "", NULL), 404);
}

static void functions_carry_parameters_through_their_versions(void **state)
{
	static const char added[] =
		"{\"name\":\"p\",\"runtime\":\"container\",\"image\":\"builtin:upper\",\"owner\":\"ann\","
		"\"description\":\"loud\",\"parameters\":[{\"key\":\"id\",\"value\":12345678901234567890}],"
		"\"annotations\":{\"web\" : true}}";
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "POST", "/weir/functions", added, NULL), 201);
	assert_int_equal(request(test, "GET", "/weir/functions/default/p", "", &text), 200);
	assert_non_null(strstr(text, "\"parameters\":{\"id\":12345678901234567890}"));
	assert_non_null(strstr(text, "\"annotations\":{\"web\":true}"));
	assert_non_null(strstr(text, "\"description\":\"loud\""));
	assert_non_null(strstr(text, "\"image\":\"builtin:upper\""));
	assert_int_equal(request(test, "GET", "/weir/functions", "", &text), 200);
	assert_non_null(strstr(text, "\"owner\":\"ann\""));
	assert_null(strstr(text, "parameters"));
	assert_int_equal(request(test, "PATCH", "/weir/functions/default/p", "{\"parameters\":{\"b\":2}}", NULL), 200);
	assert_int_equal(request(test, "GET", "/weir/functions/default/p", "", &text), 200);
	assert_non_null(strstr(text, "\"parameters\":{\"b\":2}"));
	assert_non_null(strstr(text, "\"description\":\"loud\"")); /* what is not named stays */
	assert_int_equal(request(test, "PATCH", "/weir/functions/default/p",
				 "{\"parameters\":{\"a\":{\"b\":1,\"b\":2}}}", &text),
			 400);
	assert_non_null(strstr(text, "\"field\":\"parameters.a.b\""));
	assert_int_equal(request(test, "PATCH", "/weir/functions/default/p", "{\"parameters\":7}", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"parameters\""));
	assert_int_equal(request(test, "PATCH", "/weir/functions/default/p", "{\"owner\":\"a/b\"}", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"owner\""));
	assert_int_equal(request(test, "POST", "/weir/functions/default/p/rollback", "{}", NULL), 200);
	assert_int_equal(request(test, "GET", "/weir/functions/default/p", "", &text), 200);
	assert_non_null(strstr(text, "\"parameters\":{\"id\":12345678901234567890}"));
}

static void examination_is_asked_for_until_it_is_through(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "GET", "/weir/check", "", &text), 200);
	assert_non_null(strstr(text, "\"found_count\":7"));
}

static void code_that_cannot_be_built_leaves_everything_as_it_was(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;
	char hash[WEIR_CODE_HASH_BYTES];
	char body[256];

	code_upload(test, "f.c", "int f(void) { return 1; }", hash);
	(void)snprintf(body, sizeof(body), "{\"code\":\"%s\"}", hash);
	test->build_fails = true;
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", body, &text), 422);
	assert_non_null(strstr(text, "\"code\":\"build_failed\""));
	assert_non_null(strstr(text, "f.c:1:2: error: no"));
	assert_int_equal(test->published, 0);
	test->build_fails = false;
	test->trial_fails = true;
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", body, &text), 422);
	assert_non_null(strstr(text, "first call: status 502: it fell over"));
	assert_int_equal(test->published, 0);
	test->trial_fails = false;
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", body, &text), 201);
	assert_int_equal(test->published, 1);
}

static void variables_are_shown_and_secrets_never(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;
	const char *path = "/weir/functions/default/f/environment";

	assert_int_equal(request(test, "PATCH", path, "{\"environment\":{\"A\":\"1\"}}", NULL), 404);
	assert_int_equal(request(test, "POST", "/weir/functions",
				 "{\"name\":\"f\",\"runtime\":\"exec\",\"file\":\"/bin/cat\"}", NULL),
			 201);
	assert_int_equal(request(test, "PATCH", path,
				 "{\"environment\":{\"A\":\"1\",\"B\":\"\"},\"secrets\":{\"S\":\"hush\"}}", NULL),
			 200);
	assert_int_equal(request(test, "GET", path, "", &text), 200);
	assert_non_null(strstr(text, "{\"name\":\"A\",\"secret\":false,\"value\":\"1\"}"));
	assert_non_null(strstr(text, "{\"name\":\"S\",\"secret\":true}"));
	assert_null(strstr(text, "hush"));
	assert_int_equal(request(test, "PATCH", path, "{\"unset\":[\"A\",\"S\"]}", NULL), 200);
	assert_int_equal(request(test, "GET", path, "", &text), 200);
	assert_non_null(strstr(text, "\"environment\":[{\"name\":\"B\",\"secret\":false,\"value\":\"\"}]"));
	assert_int_equal(request(test, "PATCH", path, "{\"environment\":{\"1A\":\"1\"}}", NULL), 422);
	assert_int_equal(request(test, "PATCH", path, "{\"environment\":{\"A=\":\"1\"}}", NULL), 422);
	assert_int_equal(request(test, "PATCH", path, "{\"environment\":{\"A\":1}}", NULL), 422);
	assert_int_equal(request(test, "PATCH", path, "{\"unset\":{}}", NULL), 422);
}

static void deployments_that_make_no_sense_are_refused(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;
	char hash[WEIR_CODE_HASH_BYTES];
	char body[256];

	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", "{}", NULL), 404);
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy",
				 "{\"code\":\"../../../etc\"}", NULL),
			 404);
	code_upload(test, "notes.txt", "hello", hash);
	(void)snprintf(body, sizeof(body), "{\"code\":\"%s\"}", hash);
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", body, &text), 422);
	assert_non_null(strstr(text, "--runtime"));
	(void)snprintf(body, sizeof(body), "{\"code\":\"%s\",\"runtime\":\"cobol\",\"entry\":\"notes.txt\"}", hash);
	assert_int_equal(request(test, "POST", "/weir/functions/default/f/deploy", body, &text), 422);
	assert_int_equal(request(test, "POST", "/weir/functions/a%20/f/deploy", body, NULL), 422);
	assert_int_equal(test->published, 0);
}

static void connection_serves_pipelined_requests_in_order(void **state)
{
	static const char three[] =
		"GET /weir/status HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET /weir/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET /weir/settings/headers_max HTTP/1.1\r\nHost: x\r\n\r\n";
	struct api_test *test = *state;
	const int fd = client_open(test);
	const char *text = exchange(test, fd, three, strlen(three), 3);
	const char *first = strstr(text, "\"owner\":\"test\"");
	const char *second = strstr(text, "no_endpoint");
	const char *third = strstr(text, "\"value\":100");

	assert_non_null(first);
	assert_true(second > first);
	assert_true(third > second);
	(void)close(fd);
}

#define ADD "{\"name\":\"f\",\"runtime\":\"exec\",\"file\":\"/bin/sh\"}"

static void change_is_answered_when_every_shard_acknowledged(void **state)
{
	static const char add[] =
		"POST /weir/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 46\r\n\r\n" ADD;
	struct api_test *test = *state;
	const int fd = client_open(test);
	char text[64];

	assert_int_equal(strlen(ADD), 46);
	test->acknowledge = false;
	assert_int_equal(send(fd, add, strlen(add), 0), strlen(add));
	for (int i = 0; i < 20; i++)
		weir_api_run(test->api);
	assert_int_equal(test->published, 1);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	acknowledge(test, 3);
	weir_api_run(test->api);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	/* Others are served meanwhile. */
	assert_int_equal(request(test, "GET", "/weir/status", "", NULL), 200);
	acknowledge(test, 4);
	assert_non_null(strstr(exchange(test, fd, "", 0, 1),
			       "\"generation\":1,\"acked\":4,\"total\":4"));
	(void)close(fd);
}

static void change_that_nobody_acknowledges_is_saved_and_says_so(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	test->acknowledge = false;
	assert_int_equal(request(test, "POST", "/weir/functions", ADD, &text), 202);
	assert_non_null(strstr(text, "\"acknowledged\":false"));
	assert_non_null(strstr(text, "saved"));
	assert_int_equal(request(test, "GET", "/weir/functions/default/f", "", NULL), 200);
}

static void client_that_leaves_does_not_undo_its_change(void **state)
{
	static const char add[] =
		"POST /weir/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 46\r\n\r\n" ADD;
	struct api_test *test = *state;
	const int fd = client_open(test);

	test->acknowledge = false;
	assert_int_equal(send(fd, add, strlen(add), 0), strlen(add));
	weir_api_run(test->api);
	weir_api_run(test->api);
	(void)close(fd);
	weir_api_run(test->api);
	acknowledge(test, 4);
	test->acknowledge = true;
	assert_int_equal(request(test, "GET", "/weir/functions/default/f", "", NULL), 200);
	assert_int_equal(request(test, "POST", "/weir/functions", ADD, NULL), 409);
}

static void failed_publishing_is_an_error_that_says_saved(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	test->publish_code = -ENOMEM;
	assert_int_equal(request(test, "POST", "/weir/functions", ADD, &text), 500);
	assert_non_null(strstr(text, "saved, but not published: no luck"));
}

static void locked_database_is_waited_for_without_stopping_others(void **state)
{
	static const char add[] =
		"POST /weir/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 46\r\n\r\n" ADD;
	struct api_test *test = *state;
	sqlite3 *other = NULL;
	const int fd = client_open(test);
	char path[108];
	const char *text = NULL;

	(void)snprintf(path, sizeof(path), "%s/weir.db", test->directory);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(send(fd, add, strlen(add), 0), strlen(add));
	for (int i = 0; i < 20; i++)
		weir_api_run(test->api);
	assert_true(weir_api_deadline_ns(test->api) < weir_clock_now_ns() + WEIR_NS_PER_SECOND);
	assert_int_equal(request(test, "GET", "/weir/status", "", NULL), 200);
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(strncmp(exchange(test, fd, "", 0, 1), "HTTP/1.1 201", 12), 0);
	(void)close(fd);
	/* For good: an error that says locked, after the time that is allowed. */
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(request(test, "DELETE", "/weir/functions/default/f", "", &text), 503);
	assert_non_null(strstr(text, "\"code\":\"locked\""));
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

static void settings_refuse_what_contradicts_itself(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "PUT", "/weir/settings/pool.workers_min",
				 "{\"value\":\"17\"}", &text),
			 422);
	assert_non_null(strstr(text, "pool.workers_max"));
	assert_int_equal(
		request(test, "PUT", "/weir/settings/pool.workers_max", "{\"value\":20}", NULL),
		200);
	assert_int_equal(request(test, "PUT", "/weir/settings/pool.workers_min",
				 "{\"value\":\"17\"}", NULL),
			 200);
	assert_int_equal(request(test, "PUT", "/weir/settings/head_bytes_max",
				 "{\"value\":\"1k\"}", NULL),
			 422);
	assert_int_equal(
		request(test, "PUT", "/weir/settings/head_timeout", "{\"value\":\"5\"}", NULL),
		200);
	assert_int_equal(request(test, "GET", "/weir/settings/head_timeout_ms", "", &text),
			 200);
	assert_non_null(strstr(text, "\"value\":5000"));
	assert_int_equal(request(test, "PUT", "/weir/settings/head_timeout_ms",
				 "{\"value\":\"5\"}", NULL),
			 422);
	assert_int_equal(request(test, "PUT", "/weir/settings/head_timeout_ms",
				 "{\"value\":\"500\"}", NULL),
			 200);
	assert_int_equal(request(test, "DELETE", "/weir/settings/head_timeout_ms", "", NULL),
			 200);
	assert_int_equal(request(test, "DELETE", "/weir/settings/head_timeout_ms", "", NULL),
			 404);
}

static void history_says_who_asked_for_what_from_where(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "PUT", "/weir/settings/workers_max", "{\"value\":7}", NULL), 200);
	assert_int_equal(request(test, "DELETE", "/weir/settings/workers_max", "", NULL), 200);
	assert_int_equal(request(test, "DELETE", "/weir/settings/workers_max", "", NULL), 404);
	assert_int_equal(request(test, "GET", "/weir/history?limit=1", "", &text), 200);
	assert_non_null(strstr(text, "\"generation\":2,\"created\":"));
	assert_non_null(strstr(text, "\"from\":\"local socket\",\"what\":\"unset workers_max\""));
	assert_non_null(strstr(text, "\"rows\":{\"settings\":1}"));
	assert_non_null(strstr(text, "\"oldest\":0,\"generation\":2"));
	assert_null(strstr(text, "\"what\":\"set workers_max\""));
	assert_int_equal(request(test, "GET", "/weir/history", "", &text), 200);
	assert_non_null(strstr(text, "\"what\":\"set workers_max\""));
	assert_non_null(strstr(text, geteuid() == 0 ? "\"who\":\"root\",\"uid\":0," : "\"uid\":"));
	assert_int_equal(request(test, "GET", "/weir/history?limit=x", "", &text), 422);
	assert_non_null(strstr(text, "\"field\":\"limit\""));
}

static void more_clients_than_places_wait_their_turn(void **state)
{
	struct api_test *test = *state;
	int fds[WEIR_API_CONNECTIONS_MAX + 4];
	const size_t count = sizeof(fds) / sizeof(fds[0]);
	static const char ask[] = "GET /weir/status HTTP/1.1\r\nHost: x\r\n\r\n";

	for (size_t i = 0; i < count; i++) {
		fds[i] = client_open(test);
		weir_api_run(test->api);
	}
	for (size_t i = count - 4; i < count; i++)
		assert_int_equal(send(fds[i], ask, strlen(ask), 0), strlen(ask));
	weir_api_run(test->api);
	for (size_t i = 0; i < 4; i++)
		(void)close(fds[i]);
	for (size_t i = count - 4; i < count; i++)
		assert_int_equal(strncmp(exchange(test, fds[i], "", 0, 1), "HTTP/1.1 200", 12),
				 0);
	for (size_t i = 4; i < count; i++)
		(void)close(fds[i]);
}

static void socket_path_over_107_bytes_is_refused(void **state)
{
	struct api_test *test = *state;
	const struct weir_api_owner owner = {.context = test};
	struct weir_api *api = NULL;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(weir_api_create(&owner, path, WEIR_API_DOOR_LOCAL, &api), -ENAMETOOLONG);
	assert_null(api);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_are_json_with_code_part_and_activation),
		TEST(bodies_that_are_not_one_sound_object_are_refused),
		TEST(framing_that_the_api_does_not_take_is_refused_and_closed),
		TEST(body_of_the_largest_size_is_taken_in_pieces),
		TEST(connection_serves_pipelined_requests_in_order),
		TEST(deployments_that_make_no_sense_are_refused),
		TEST(variables_are_shown_and_secrets_never),
		TEST(functions_carry_parameters_through_their_versions),
		TEST(examination_is_asked_for_until_it_is_through),
		TEST(code_that_cannot_be_built_leaves_everything_as_it_was),
		TEST(deployments_are_versions_that_can_be_gone_back_to),
		TEST(uploads_that_are_refused_say_why),
		TEST(uploads_go_to_the_disk_whatever_their_size),
		TEST(change_is_answered_when_every_shard_acknowledged),
		TEST(change_that_nobody_acknowledges_is_saved_and_says_so),
		TEST(client_that_leaves_does_not_undo_its_change),
		TEST(failed_publishing_is_an_error_that_says_saved),
		TEST(locked_database_is_waited_for_without_stopping_others),
		TEST(settings_refuse_what_contradicts_itself),
		TEST(history_says_who_asked_for_what_from_where),
		TEST(more_clients_than_places_wait_their_turn),
		TEST(socket_path_over_107_bytes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
