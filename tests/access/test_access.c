#include "ctrl/access/access.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctrl/access/password.h"
#include "dataplane/base/clock.h"
#include "tests/base/base_test.h"

#define NOW INT64_C(1800000000)

struct access_test {
	char directory[64];
	char key_path[96];
	struct weir_access access;
};

static int setup(void **state)
{
	struct access_test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return -1;
	(void)snprintf(test->directory, sizeof(test->directory), "/tmp/weir-access-XXXXXX");
	if (mkdtemp(test->directory) == NULL || weir_access_open(test->directory, &test->access) != 0)
		return -1;
	(void)snprintf(test->key_path, sizeof(test->key_path), "%s/token.key", test->directory);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct access_test *test = *state;

	weir_access_close(&test->access);
	(void)unlink(test->key_path);
	(void)rmdir(test->directory);
	free(test);
	return 0;
}

static const struct weir_token_key *key_of(struct access_test *test)
{
	const struct weir_token_key *key = NULL;
	const char *sentence = NULL;

	assert_int_equal(weir_access_key(&test->access, &key, &sentence), 0);
	return key;
}

static const struct weir_model_user simon = {.name = "simon", .uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"};

static int check(struct access_test *test, const char *token, int64_t now_s, const char **out_reason)
{
	struct weir_token_claims claims;

	return weir_token_check(key_of(test), token, now_s, &claims, out_reason);
}

/* A token of any head and claims, signed with the instance's key. */
static void forge(const struct access_test *test, const char *head, const char *claims, char token[2048])
{
	unsigned char key[64];
	unsigned char mac[32];
	size_t written = 0;
	FILE *file = fopen(test->key_path, "re");
	size_t bytes = 0;

	assert_non_null(file);
	bytes = fread(key, 1, sizeof(key), file);
	(void)fclose(file);
	(void)sodium_bin2base64(token, 1024, (const unsigned char *)head, strlen(head), 7);
	(void)strcat(token, ".");
	(void)sodium_bin2base64(token + strlen(token), 1024, (const unsigned char *)claims, strlen(claims), 7);
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, bytes, (const unsigned char *)token,
				  strlen(token), mac, sizeof(mac), &written));
	(void)strcat(token, ".");
	(void)sodium_bin2base64(token + strlen(token), 64, mac, written, 7);
}

static void token_says_who_and_until_when(void **state)
{
	struct access_test *test = *state;
	char token[WEIR_TOKEN_BYTES_MAX];
	struct weir_token_claims claims;
	const char *reason = NULL;
	struct stat info;

	assert_int_equal(weir_token_issue(key_of(test), &simon, NOW, token), 0);
	assert_int_equal(weir_token_check(key_of(test), token, NOW, &claims, &reason), 0);
	assert_string_equal(claims.name, "simon");
	assert_string_equal(claims.uuid, simon.uuid);
	assert_int_equal(claims.issued_s, NOW);
	assert_int_equal(claims.expires_s, NOW + 259200);
	assert_int_equal(stat(test->key_path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void token_of_any_other_making_is_refused(void **state)
{
	struct access_test *test = *state;
	char token[WEIR_TOKEN_BYTES_MAX];
	char other[WEIR_TOKEN_BYTES_MAX + 8];
	const char *reason = NULL;
	size_t bytes = 0;

	assert_int_equal(weir_token_issue(key_of(test), &simon, NOW, token), 0);
	bytes = strlen(token);
	for (size_t i = 0; i < bytes; i++) {
		/* The last digit of a signature has two bits that mean nothing: libsodium refuses those, too. */
		(void)strcpy(other, token);
		other[i] = other[i] == 'A' ? 'B' : 'A';
		assert_int_equal(check(test, other, NOW, &reason), -EACCES);
		(void)strcpy(other, token);
		other[i] = '\0';
		assert_int_equal(check(test, other, NOW, &reason), -EACCES);
	}
	(void)snprintf(other, sizeof(other), "%s.", token);
	assert_int_equal(check(test, other, NOW, &reason), -EACCES);
	(void)snprintf(other, sizeof(other), "%s=", token);
	assert_int_equal(check(test, other, NOW, &reason), -EACCES);
	assert_int_equal(check(test, "", NOW, &reason), -EACCES);
	assert_int_equal(check(test, "..", NOW, &reason), -EACCES);
}

static void token_is_in_force_for_72_hours(void **state)
{
	struct access_test *test = *state;
	char token[WEIR_TOKEN_BYTES_MAX];
	const char *reason = NULL;

	assert_int_equal(weir_token_issue(key_of(test), &simon, NOW, token), 0);
	assert_int_equal(check(test, token, NOW + WEIR_TOKEN_LIFE_S - 1, &reason), 0);
	assert_int_equal(check(test, token, NOW + WEIR_TOKEN_LIFE_S, &reason), -EACCES);
	assert_string_equal(reason, "is expired");
	assert_int_equal(check(test, token, NOW - WEIR_TOKEN_SKEW_S, &reason), 0);
	assert_int_equal(check(test, token, NOW - WEIR_TOKEN_SKEW_S - 1, &reason), -EACCES);
	assert_string_equal(reason, "is not valid yet");
}

#define HEAD        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS(end) "{\"id\":\"u\",\"username\":\"simon\",\"iss\":\"faas-app\",\"key\":\"faas-app-key\",\"iat\":1800000000" end "}"

static void algorithms_and_claims_of_others_are_refused_under_a_right_signature(void **state)
{
	static const struct {
		const char *head;
		const char *claims;
	} cases[] = {
		{"{\"alg\":\"none\",\"typ\":\"JWT\"}", CLAIMS(",\"exp\":1800000001")},
		{"{\"alg\":\"HS512\",\"typ\":\"JWT\"}", CLAIMS(",\"exp\":1800000001")},
		{"{\"typ\":\"JWT\",\"alg\":\"HS256\"}", CLAIMS(",\"exp\":1800000001")},
		{HEAD, CLAIMS("")},
		{HEAD, CLAIMS(",\"exp\":\"1800000001\"")},
		{HEAD, CLAIMS(",\"exp\":-1")},
		{HEAD, CLAIMS(",\"exp\":1e300")},
		{HEAD, CLAIMS(",\"exp\":1800259201")},
		{HEAD, CLAIMS(",\"exp\":1800000001,\"exp\":1800000002")},
		{HEAD, "{\"username\":\"simon\",\"iat\":1800000000,\"exp\":1800000001}"},
		{HEAD, "{\"id\":7,\"username\":\"simon\",\"iss\":\"faas-app\",\"key\":\"faas-app-key\",\"iat\":1800000000,"
		       "\"exp\":1800000001}"},
		{HEAD, "{\"id\":\"u\",\"username\":\"simon\",\"iss\":\"other\",\"key\":\"faas-app-key\",\"iat\":1800000000,"
		       "\"exp\":1800000001}"},
		{HEAD, "[]"},
		{HEAD, "{"},
		{HEAD, ""},
	};
	struct access_test *test = *state;
	char token[2048];
	const char *reason = NULL;

	(void)key_of(test);
	forge(test, HEAD, CLAIMS(",\"exp\":1800000001"), token);
	assert_int_equal(check(test, token, NOW, &reason), 0); /* so the others fail for what is told here */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		forge(test, cases[i].head, cases[i].claims, token);
		assert_int_equal(check(test, token, NOW, &reason), -EACCES);
		assert_non_null(reason);
	}
}

static void key_of_another_instance_signs_nothing_here(void **state)
{
	struct access_test *test = *state;
	char token[WEIR_TOKEN_BYTES_MAX];
	const char *reason = NULL;

	assert_int_equal(weir_token_issue(key_of(test), &simon, NOW, token), 0);
	weir_access_close(&test->access);
	assert_int_equal(unlink(test->key_path), 0);
	assert_int_equal(weir_access_open(test->directory, &test->access), 0);
	assert_int_equal(check(test, token, NOW, &reason), -EACCES);
	assert_string_equal(reason, "has a signature that is not ours");
}

static void key_that_others_may_read_is_refused_with_what_to_do(void **state)
{
	struct access_test *test = *state;
	const struct weir_token_key *key = NULL;
	const char *sentence = NULL;

	(void)key_of(test);
	weir_access_close(&test->access);
	assert_int_equal(weir_access_open(test->directory, &test->access), 0);
	assert_int_equal(chmod(test->key_path, 0644), 0);
	assert_int_equal(weir_access_key(&test->access, &key, &sentence), -EACCES);
	assert_non_null(strstr(sentence, "chmod 600"));
	assert_int_equal(truncate(test->key_path, 3), 0);
	assert_int_equal(chmod(test->key_path, 0600), 0);
	assert_int_equal(weir_access_key(&test->access, &key, &sentence), -EBADMSG);
}

/* Wait for a job, as the API does. */
static int wait_for(struct weir_hasher *hasher, uint64_t id, char hash[WEIR_MODEL_HASH_BYTES])
{
	int code = -EINPROGRESS;

	while ((code = weir_hasher_ask(hasher, id, hash)) == -EINPROGRESS)
		(void)usleep(1000);
	return code;
}

static void passwords_are_hashed_with_salt_and_checked(void **state)
{
	struct access_test *test = *state;
	struct weir_hasher *hasher = test->access.hasher;
	char hash[WEIR_MODEL_HASH_BYTES];
	char again[WEIR_MODEL_HASH_BYTES];
	uint64_t id = 0;
	uint64_t second = 0;

	assert_int_equal(weir_hasher_begin(hasher, "password", NULL, &id), 0);
	assert_int_equal(weir_hasher_begin(hasher, "password", NULL, &second), 0);
	assert_int_equal(wait_for(hasher, id, hash), 0);
	assert_int_equal(wait_for(hasher, second, again), 0);
	assert_string_not_equal(hash, again);
	assert_non_null(strstr(hash, "$argon2id$"));
	assert_null(strstr(hash, "password"));
	assert_int_equal(weir_hasher_ask(hasher, id, again), -ENOENT); /* told once */
	assert_int_equal(weir_hasher_begin(hasher, "password", hash, &id), 0);
	assert_int_equal(weir_hasher_begin(hasher, "Password", hash, &second), 0);
	assert_int_equal(wait_for(hasher, id, again), 0);
	assert_int_equal(wait_for(hasher, second, again), -EACCES);
	assert_int_equal(weir_hasher_begin(hasher, "", weir_password_hash_of_nobody(), &id), 0);
	assert_int_equal(wait_for(hasher, id, again), -EACCES);
	assert_int_equal(weir_hasher_begin(hasher, "x", "no hash", &id), 0);
	assert_int_equal(wait_for(hasher, id, again), -EACCES);
}

static void only_so_many_passwords_wait(void **state)
{
	struct access_test *test = *state;
	struct weir_hasher *hasher = test->access.hasher;
	static char longer[WEIR_MODEL_PASSWORD_BYTES_MAX + 2];
	char hash[WEIR_MODEL_HASH_BYTES];
	uint64_t ids[WEIR_HASHER_JOBS_MAX];
	uint64_t id = 0;

	memset(longer, 'x', sizeof(longer) - 1);
	assert_int_equal(weir_hasher_begin(hasher, longer, NULL, &id), -EINVAL);
	for (size_t i = 0; i < WEIR_HASHER_JOBS_MAX; i++)
		assert_int_equal(weir_hasher_begin(hasher, "password", NULL, &ids[i]), 0);
	assert_int_equal(weir_hasher_begin(hasher, "password", NULL, &id), -EBUSY);
	for (size_t i = 0; i < WEIR_HASHER_JOBS_MAX; i++)
		weir_hasher_drop(hasher, ids[i]);
	assert_int_equal(weir_hasher_ask(hasher, ids[WEIR_HASHER_JOBS_MAX - 1], hash), -ENOENT);
	assert_int_equal(weir_hasher_begin(hasher, "password", NULL, &id), 0);
	assert_int_equal(wait_for(hasher, id, hash), 0);
}

static void attempts_are_counted_for_each_name_and_for_all(void **state)
{
	struct access_test *test = *state;
	struct weir_throttle *throttle = test->access.throttle;
	uint64_t now_ns = 1000 * WEIR_NS_PER_SECOND;
	char name[16];
	size_t taken = 0;

	for (int i = 0; i < WEIR_THROTTLE_NAME_BURST; i++)
		assert_int_equal(weir_throttle_take(throttle, "simon", now_ns), 0);
	assert_int_equal(weir_throttle_take(throttle, "simon", now_ns), WEIR_THROTTLE_NAME_EVERY_MS);
	assert_int_equal(weir_throttle_take(throttle, "ann", now_ns), 0);
	now_ns += WEIR_THROTTLE_NAME_EVERY_MS * WEIR_NS_PER_MS;
	assert_int_equal(weir_throttle_take(throttle, "simon", now_ns), 0);
	assert_true(weir_throttle_take(throttle, "simon", now_ns) > 0);
	weir_throttle_give(throttle, "simon", now_ns); /* that was the right one */
	assert_int_equal(weir_throttle_take(throttle, "simon", now_ns), 0);
	now_ns += 1000 * WEIR_NS_PER_SECOND;
	for (size_t i = 0; i < 2 * WEIR_THROTTLE_ALL_BURST; i++) {
		(void)snprintf(name, sizeof(name), "u%zu", i);
		taken += weir_throttle_take(throttle, name, now_ns) == 0 ? 1 : 0;
	}
	assert_int_equal(taken, WEIR_THROTTLE_ALL_BURST);
	assert_int_equal(weir_throttle_take(throttle, NULL, now_ns), WEIR_THROTTLE_ALL_EVERY_MS);
	now_ns += WEIR_THROTTLE_ALL_EVERY_MS * WEIR_NS_PER_MS;
	assert_int_equal(weir_throttle_take(throttle, NULL, now_ns), 0);
}

static void uuids_are_random_and_of_version_4(void **state)
{
	char one[WEIR_MODEL_UUID_BYTES];
	char two[WEIR_MODEL_UUID_BYTES];

	(void)state;
	assert_int_equal(weir_access_uuid_make(one), 0);
	assert_int_equal(weir_access_uuid_make(two), 0);
	assert_string_not_equal(one, two);
	assert_int_equal(strlen(one), WEIR_MODEL_UUID_BYTES - 1);
	assert_int_equal(one[14], '4');
	assert_non_null(strchr("89ab", one[19]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(token_says_who_and_until_when),
		TEST(token_of_any_other_making_is_refused),
		TEST(token_is_in_force_for_72_hours),
		TEST(algorithms_and_claims_of_others_are_refused_under_a_right_signature),
		TEST(key_of_another_instance_signs_nothing_here),
		TEST(key_that_others_may_read_is_refused_with_what_to_do),
		TEST(passwords_are_hashed_with_salt_and_checked),
		TEST(only_so_many_passwords_wait),
		TEST(attempts_are_counted_for_each_name_and_for_all),
		TEST(uuids_are_random_and_of_version_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
