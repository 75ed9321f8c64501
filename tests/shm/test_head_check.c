#include "tests/shm/shm_test.h"

#include <errno.h>

#include "dataplane/shm/head_check.h"

/* A request head with two fields and one parameter, and a response head with one field; each test
 * damages one thing. Unaligned on purpose: a head may stand anywhere in a copy. */
static uint8_t bytes[WEIR_HEAD_REQUEST_BYTES_MAX + 2];
static uint8_t *const head = bytes + 1;

enum { REQUEST_TABLES = 56 + 3 * 8, REQUEST_BYTES = REQUEST_TABLES + 40, REQUEST_ALL = REQUEST_BYTES + 10 };
enum { RESPONSE_TABLES = 16 + 8, RESPONSE_BYTES = RESPONSE_TABLES + 20 };

static struct weir_request_head request;
static struct weir_head_field rows[3];
static struct weir_response_head response;

static struct weir_head_slice at(uint16_t offset, uint16_t count)
{
	return (struct weir_head_slice){.offset = offset, .bytes = count};
}

static int setup(void **state)
{
	(void)state;
	request = (struct weir_request_head){
		.bytes = REQUEST_BYTES,
		.method = 1,
		.minor = 1,
		.field_count = 2,
		.param_count = 1,
		.path = at(REQUEST_TABLES, 4),
		.query = at(REQUEST_TABLES + 5, 2),
		.authority = at(REQUEST_TABLES + 10, 3),
		.target = at(REQUEST_TABLES, 7),
		.peer = at(REQUEST_TABLES + 13, 4),
		.pattern = at(REQUEST_BYTES - 1, 1),
	};
	for (int i = 0; i < 3; i++)
		rows[i] = (struct weir_head_field){.name = at(REQUEST_TABLES + 20, 2),
						   .value = at(REQUEST_TABLES + 22, 0)};
	response = (struct weir_response_head){.bytes = RESPONSE_BYTES, .status = 200, .field_count = 1};
	return 0;
}

static int check_request(size_t have)
{
	memcpy(head, &request, sizeof(request));
	memcpy(head + sizeof(request), rows, sizeof(rows));
	return weir_head_check_request(head, have);
}

static int check_response(size_t have)
{
	rows[0].name = at(RESPONSE_TABLES, 5);
	rows[0].value = at(RESPONSE_TABLES + 5, 15);
	memcpy(head, &response, sizeof(response));
	memcpy(head + sizeof(response), rows, sizeof(rows[0]));
	return weir_head_check_response(head, have);
}

static void sound_heads_pass_with_and_without_a_body(void **state)
{
	(void)state;
	assert_int_equal(check_request(REQUEST_ALL), 0);
	assert_int_equal(check_request(REQUEST_BYTES), 0);
	assert_int_equal(check_response(RESPONSE_BYTES), 0);
	assert_int_equal(check_response(RESPONSE_BYTES + 1), 0);
}

static void head_longer_than_its_payload_is_refused(void **state)
{
	(void)state;
	assert_int_equal(check_request(REQUEST_BYTES - 1), -EBADMSG);
	assert_int_equal(check_request(sizeof(request) - 1), -EBADMSG);
	assert_int_equal(check_request(0), -EBADMSG);
	assert_int_equal(check_response(RESPONSE_BYTES - 1), -EBADMSG);
	assert_int_equal(check_response(sizeof(response) - 1), -EBADMSG);
	assert_int_equal(check_response(0), -EBADMSG);
}

static void head_shorter_than_its_tables_is_refused(void **state)
{
	(void)state;
	request.bytes = REQUEST_TABLES - 1;
	assert_int_equal(check_request(REQUEST_ALL), -EBADMSG);
	response.bytes = RESPONSE_TABLES - 1;
	assert_int_equal(check_response(RESPONSE_BYTES), -EBADMSG);
	response.bytes = 0;
	assert_int_equal(check_response(RESPONSE_BYTES), -EBADMSG);
}

static void counts_over_their_limits_are_refused(void **state)
{
	(void)state;
	request.field_count = WEIR_HEAD_FIELDS_MAX + 1;
	request.bytes = 4000;
	assert_int_equal(check_request(4000), -EBADMSG);
	(void)setup(state);
	request.param_count = WEIR_HEAD_PARAMS_MAX + 1;
	request.bytes = 4000;
	assert_int_equal(check_request(4000), -EBADMSG);
	response.field_count = WEIR_HEAD_RESPONSE_FIELDS_MAX + 1;
	response.bytes = 4000;
	assert_int_equal(check_response(4000), -EBADMSG);
}

static void heads_over_their_size_limits_are_refused(void **state)
{
	(void)state;
	request.bytes = WEIR_HEAD_REQUEST_BYTES_MAX;
	assert_int_equal(check_request(WEIR_HEAD_REQUEST_BYTES_MAX + 1), 0);
	request.bytes++;
	assert_int_equal(check_request(WEIR_HEAD_REQUEST_BYTES_MAX + 1), -EBADMSG);
	response.bytes = WEIR_HEAD_RESPONSE_BYTES_MAX;
	assert_int_equal(check_response(WEIR_HEAD_RESPONSE_BYTES_MAX + 1), 0);
	response.bytes++;
	assert_int_equal(check_response(WEIR_HEAD_RESPONSE_BYTES_MAX + 1), -EBADMSG);
}

static void status_outside_200_to_599_is_refused(void **state)
{
	static const uint16_t bad[] = {0, 100, 199, 600, 65535};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		response.status = bad[i];
		assert_int_equal(check_response(RESPONSE_BYTES), -EBADMSG);
	}
	response.status = 599;
	assert_int_equal(check_response(RESPONSE_BYTES), 0);
}

static void each_slice_of_a_request_must_lie_in_its_text(void **state)
{
	struct weir_head_slice *const slices[] = {
		&request.path, &request.query,	 &request.authority, &request.target, &request.peer,
		&request.pattern, &request.parent, &rows[0].name, &rows[1].value,     &rows[2].name,   &rows[2].value,
	};

	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		(void)setup(state);
		*slices[i] = at(REQUEST_BYTES - 1, 2); /* one byte over the end, though in the payload */
		assert_int_equal(check_request(REQUEST_ALL), -EBADMSG);
		*slices[i] = at(UINT16_MAX, UINT16_MAX);
		assert_int_equal(check_request(REQUEST_ALL), -EBADMSG);
		*slices[i] = at(REQUEST_TABLES - 1, 2); /* begins in the tables */
		assert_int_equal(check_request(REQUEST_ALL), -EBADMSG);
		*slices[i] = at(REQUEST_BYTES - 2, 2);
		assert_int_equal(check_request(REQUEST_ALL), 0);
	}
}

static void slices_of_a_response_field_must_lie_in_its_text(void **state)
{
	(void)state;
	assert_int_equal(check_response(RESPONSE_BYTES), 0);
	rows[0].name = at(RESPONSE_BYTES, 1);
	memcpy(head + sizeof(response), rows, sizeof(rows[0]));
	assert_int_equal(weir_head_check_response(head, 4000), -EBADMSG);
	rows[0].name = at(RESPONSE_TABLES, 1);
	rows[0].value = at(RESPONSE_TABLES - 1, 1);
	memcpy(head + sizeof(response), rows, sizeof(rows[0]));
	assert_int_equal(weir_head_check_response(head, 4000), -EBADMSG);
}

static void field_without_a_name_is_refused(void **state)
{
	(void)state;
	rows[1].name.bytes = 0;
	assert_int_equal(check_request(REQUEST_ALL), -EBADMSG);
	assert_int_equal(check_response(RESPONSE_BYTES), 0);
	rows[0].name.bytes = 0;
	memcpy(head + sizeof(response), rows, sizeof(rows[0]));
	assert_int_equal(weir_head_check_response(head, RESPONSE_BYTES), -EBADMSG);
}

static void reserved_fields_must_be_zero(void **state)
{
	(void)state;
	request.reserved = 1;
	assert_int_equal(check_request(REQUEST_ALL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sound_heads_pass_with_and_without_a_body, setup),
		cmocka_unit_test_setup(head_longer_than_its_payload_is_refused, setup),
		cmocka_unit_test_setup(head_shorter_than_its_tables_is_refused, setup),
		cmocka_unit_test_setup(counts_over_their_limits_are_refused, setup),
		cmocka_unit_test_setup(heads_over_their_size_limits_are_refused, setup),
		cmocka_unit_test_setup(status_outside_200_to_599_is_refused, setup),
		cmocka_unit_test_setup(each_slice_of_a_request_must_lie_in_its_text, setup),
		cmocka_unit_test_setup(slices_of_a_response_field_must_lie_in_its_text, setup),
		cmocka_unit_test_setup(field_without_a_name_is_refused, setup),
		cmocka_unit_test_setup(reserved_fields_must_be_zero, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
