#include "ctrl/store/store_user.h"
#include "tests/api/api_test.h"

#define SIMON "{\"name\":\"simon\",\"password\":\"correct horse\"}"

static void user_is_added_listed_and_removed_and_nobody_sees_a_hash(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;

	assert_int_equal(request(test, "POST", "/weir/users", SIMON, &text), 201);
	assert_non_null(strstr(text, "\"name\":\"simon\""));
	assert_non_null(strstr(text, "\"role\":\"developer\""));
	assert_null(strstr(text, "horse"));
	assert_null(strstr(text, "argon2"));
	assert_int_equal(request(test, "POST", "/weir/users", SIMON, &text), 409);
	assert_int_equal(request(test, "POST", "/weir/users", "{\"name\":\"ann\",\"password\":\"p\",\"role\":\"admin\"}", NULL),
			 201);
	assert_int_equal(request(test, "GET", "/weir/users", "", &text), 200);
	assert_non_null(strstr(text, "\"role\":\"admin\""));
	assert_null(strstr(text, "argon2"));
	assert_null(strstr(text, "hash"));
	assert_int_equal(request(test, "GET", "/weir/history", "", &text), 200);
	assert_non_null(strstr(text, "add user simon"));
	assert_null(strstr(text, "horse"));
	assert_null(strstr(text, "argon2"));
	assert_int_equal(request(test, "GET", "/weir/config", "", &text), 200);
	assert_null(strstr(text, "simon"));
	assert_int_equal(request(test, "DELETE", "/weir/users/simon", "", NULL), 200);
	assert_int_equal(request(test, "DELETE", "/weir/users/simon", "", NULL), 404);
}

static void bodies_that_describe_no_user_are_refused_with_the_field(void **state)
{
	static const struct {
		const char *body;
		const char *field;
	} cases[] = {
		{"{\"name\":\"a/b\",\"password\":\"p\"}", "\"field\":\"name\""},
		{"{\"name\":\"default\",\"password\":\"p\"}", "\"field\":\"name\""},
		{"{\"password\":\"p\"}", "\"field\":\"name\""},
		{"{\"name\":\"a\"}", "\"field\":\"password\""},
		{"{\"name\":\"a\",\"password\":\"\"}", "\"field\":\"password\""},
		{"{\"name\":\"a\",\"password\":\"p\",\"role\":\"king\"}", "\"field\":\"role\""},
		{"{\"name\":\"a\",\"password\":\"p\",\"uuid\":\"x\"}", "\"field\":\"uuid\""},
	};
	struct api_test *test = *state;
	const char *text = NULL;
	char body[WEIR_MODEL_PASSWORD_BYTES_MAX + 64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(request(test, "POST", "/weir/users", cases[i].body, &text), 422);
		assert_non_null(strstr(text, cases[i].field));
	}
	(void)snprintf(body, sizeof(body), "{\"name\":\"a\",\"password\":\"%0*d\"}", WEIR_MODEL_PASSWORD_BYTES_MAX + 1, 7);
	assert_int_equal(request(test, "POST", "/weir/users", body, &text), 422);
	assert_non_null(strstr(text, "\"field\":\"password\""));
	assert_int_equal(request(test, "GET", "/weir/users", "", &text), 200);
	assert_non_null(strstr(text, "{\"users\":[]}"));
}

static void whoever_registers_gets_no_namespace_that_is_used(void **state)
{
	struct api_test *test = *state;

	assert_int_equal(request(test, "POST", "/weir/functions", "{\"namespace\":\"shop\",\"name\":\"f\",\"image\":\"i\"}", NULL),
			 201);
	assert_int_equal(request(test, "POST", "/weir/users", "{\"name\":\"shop\",\"password\":\"p\",\"new\":true}", NULL), 409);
	assert_int_equal(request(test, "POST", "/weir/users", "{\"name\":\"shop\",\"password\":\"p\"}", NULL), 201);
}

/* The text of a member of the last answer. */
static void member_read(const char *text, const char *name, char *out, size_t max)
{
	const char *at = strstr(text, name);

	assert_non_null(at);
	at += strlen(name) + 3; /* ":" and the quotes */
	assert_true(strcspn(at, "\"") < max);
	(void)snprintf(out, max, "%.*s", (int)strcspn(at, "\""), at);
}

static void login_gives_a_token_that_says_who_and_ends_with_the_user(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;
	char token[WEIR_TOKEN_BYTES_MAX];
	char body[WEIR_TOKEN_BYTES_MAX + 32];

	assert_int_equal(request(test, "POST", "/weir/users", SIMON, NULL), 201);
	assert_int_equal(request(test, "POST", "/weir/login", "{\"name\":\"simon\",\"password\":\"correct\"}", &text), 401);
	assert_int_equal(request(test, "POST", "/weir/login", "{\"name\":\"nobody\",\"password\":\"correct horse\"}", &text), 401);
	assert_int_equal(request(test, "POST", "/weir/login", SIMON, &text), 200);
	member_read(text, "token", token, sizeof(token));
	(void)snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
	assert_int_equal(request(test, "POST", "/weir/token", body, &text), 200);
	assert_non_null(strstr(text, "\"name\":\"simon\""));
	assert_int_equal(request(test, "POST", "/weir/token", "{\"token\":\"x.y.z\"}", &text), 401);
	assert_int_equal(request(test, "POST", "/weir/token", "{}", &text), 401);
	/* Another of the same name is somebody else. */
	assert_int_equal(request(test, "DELETE", "/weir/users/simon", "", NULL), 200);
	assert_int_equal(request(test, "POST", "/weir/token", body, &text), 401);
	assert_int_equal(request(test, "POST", "/weir/users", SIMON, NULL), 201);
	assert_int_equal(request(test, "POST", "/weir/token", body, &text), 401);
	assert_non_null(strstr(text, "who is gone"));
}

static void guesses_are_slowed_down_for_each_name(void **state)
{
	struct api_test *test = *state;
	const char *text = NULL;
	int refused = 0;

	for (int i = 0; i < WEIR_THROTTLE_NAME_BURST; i++)
		assert_int_equal(request(test, "POST", "/weir/login", "{\"name\":\"simon\",\"password\":\"guess\"}", &text), 401);
	/* Time passes meanwhile, and gives single attempts back. */
	for (int i = 0; i < WEIR_THROTTLE_NAME_BURST; i++)
		refused += request(test, "POST", "/weir/login", "{\"name\":\"simon\",\"password\":\"guess\"}", &text) == 429;
	assert_true(refused > 0);
	assert_int_equal(request(test, "POST", "/weir/login", "{\"name\":\"ann\",\"password\":\"guess\"}", &text), 401);
}

static void others_are_answered_while_a_password_is_looked_at(void **state)
{
	static const char one[] = "POST /weir/users HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"
				  "{\"name\":\"ann\",\"password\":\"1234567890ab\"}";
	struct api_test *test = *state;
	const int fd = client_open(test);
	const char *text = NULL;
	uint64_t id = 0;

	for (int i = 0; i < WEIR_HASHER_JOBS_MAX - 1; i++) /* it comes after these */
		assert_int_equal(weir_hasher_begin(test->access.hasher, "another", NULL, &id), 0);
	assert_int_equal(send(fd, one, sizeof(one) - 1, MSG_NOSIGNAL), sizeof(one) - 1);
	assert_int_equal(request(test, "GET", "/weir/users", "", &text), 200);
	assert_non_null(strstr(text, "{\"users\":[]}"));
	/* Who asked goes away: its password is forgotten. */
	(void)close(fd);
	assert_int_equal(request(test, "GET", "/weir/users", "", &text), 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(user_is_added_listed_and_removed_and_nobody_sees_a_hash),
		TEST(bodies_that_describe_no_user_are_refused_with_the_field),
		TEST(whoever_registers_gets_no_namespace_that_is_used),
		TEST(login_gives_a_token_that_says_who_and_ends_with_the_user),
		TEST(guesses_are_slowed_down_for_each_name),
		TEST(others_are_answered_while_a_password_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
