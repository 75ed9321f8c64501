/* native_fixture: a native worker with all samples, and functions that cannot be loaded. */
#ifndef WEIR_TESTS_WORKER_NATIVE_FIXTURE_H
#define WEIR_TESTS_WORKER_NATIVE_FIXTURE_H

#include <stdlib.h>

#include "tests/worker/rig.h"

enum {
	HELLO = 1,
	ECHO,
	STATUS,
	SLEEP,
	PING,
	CRASH,
	HANG,
	PARTS,
	GARBAGE,
	MISSING,
	NO_SYMBOL,
	NOT_CODE
};

#define SAMPLE(number, text)                                  \
	{                                                     \
		.id = (number), .version = 1, .name = (text), \
		.code_path = RIG_SAMPLES "/" text ".so"       \
	}

static const struct rig_function samples[] = {
	SAMPLE(HELLO, "hello"),
	SAMPLE(ECHO, "echo"),
	SAMPLE(STATUS, "status"),
	SAMPLE(SLEEP, "sleep"),
	SAMPLE(PING, "ping"),
	SAMPLE(CRASH, "crash"),
	SAMPLE(HANG, "hang"),
	SAMPLE(PARTS, "parts"),
	SAMPLE(GARBAGE, "garbage"),
	{.id = MISSING, .version = 1, .name = "missing", .code_path = "/nowhere/missing.so"},
	{.id = NO_SYMBOL,
	 .version = 1,
	 .name = "no_symbol",
	 .code_path = RIG_SAMPLES "/ping.so",
	 .handler = "other"},
	{.id = NOT_CODE, .version = 1, .name = "not_code", .code_path = "/etc/hostname"},
};

enum { SAMPLE_COUNT = sizeof(samples) / sizeof(samples[0]) };

struct fixture {
	struct rig rig;
	struct rig_link *link;
};

static inline int setup(void **state)
{
	struct fixture *const fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	rig_start(&fixture->rig, "native");
	rig_configure(&fixture->rig, samples, SAMPLE_COUNT);
	fixture->link = rig_link_open(&fixture->rig, 2);
	*state = fixture;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *const fixture = *state;

	rig_stop(&fixture->rig);
	free(fixture);
	return 0;
}

static inline struct weir_link_header *line_of(const struct rig_link *link)
{
	return link->segment.header;
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
