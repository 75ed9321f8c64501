/* Who may wait: the queue's bound, the deadline, the queue that stands, and calls that are awaited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/gateway/admit.h"
#include "dataplane/gateway/pick.h"
#include "dataplane/gateway/shard.h"

enum { LINKS = 2, QUEUE_MAX = 1000, QUEUE_WAIT_MS = 400, DEADLINE_MS = 30000 };

/* A shard with one pool of two workers, as much of them as admitting looks at. */
struct scene {
	struct weir_shard *shard;
	struct weir_shard_pool *pool;
	struct weir_settings settings;
	struct weir_config config;
	_Atomic uint64_t metric[WEIR_METRIC_COUNT];
	struct weir_link_header header[LINKS];
	struct weir_shard_link link[LINKS];
	struct weir_connection connection;
	struct weir_function_state function;
	struct weir_exchange exchange;
};

static struct scene scene;

static int set_up(void **state)
{
	(void)state;
	memset(&scene, 0, sizeof(scene));
	scene.shard = weir_shard_reserve(sizeof(*scene.shard));
	scene.pool = calloc(1, sizeof(*scene.pool));
	if (!scene.shard || !scene.pool)
		return -1;
	weir_pick_open(scene.pool, 7);
	scene.settings.queue_wait_ms = QUEUE_WAIT_MS;
	scene.config.settings = &scene.settings;
	scene.shard->config = &scene.config;
	scene.shard->metric = scene.metric;
	scene.shard->now_ns = 1000 * WEIR_NS_PER_SECOND;
	for (int i = 0; i < LINKS; i++) {
		scene.link[i].header = &scene.header[i];
		scene.pool->link[i] = &scene.link[i];
	}
	scene.pool->link_count = LINKS;
	scene.exchange.connection = &scene.connection;
	scene.exchange.function = &scene.function;
	scene.exchange.pool = scene.pool;
	scene.exchange.deadline_ns = scene.shard->now_ns + DEADLINE_MS * WEIR_NS_PER_MS;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(scene.pool);
	return 0;
}

/* So many wait, since then, for calls that take so long. */
static void waiting(uint32_t count, uint64_t since_ms, uint64_t service_ns)
{
	scene.pool->waiting_count = count;
	scene.function.waiting = count;
	scene.pool->queue_began_ns = scene.shard->now_ns - since_ms * WEIR_NS_PER_MS;
	for (int i = 0; i < LINKS; i++)
		atomic_store(&scene.header[i].service_ns, service_ns);
}

static enum weir_http_failure admit(void)
{
	return weir_admit(scene.shard, &scene.exchange, QUEUE_MAX);
}

static void queue_is_bounded(void **state)
{
	(void)state;
	waiting(QUEUE_MAX - 1, 0, 1);
	assert_int_equal(admit(), WEIR_HTTP_OK);
	waiting(QUEUE_MAX, 0, 1);
	assert_int_equal(admit(), WEIR_HTTP_QUEUE_FULL);
	assert_int_equal(scene.metric[WEIR_METRIC_queue_full], 1);
}

static void a_deadline_that_cannot_be_kept_is_refused(void **state)
{
	(void)state;
	waiting(100, 0, WEIR_NS_PER_SECOND / 2); /* 25 s of work for each of two */
	assert_int_equal(weir_admit_queue_ns(scene.pool), 25 * WEIR_NS_PER_SECOND);
	assert_int_equal(admit(), WEIR_HTTP_OK);
	waiting(130, 0, WEIR_NS_PER_SECOND / 2);
	assert_int_equal(admit(), WEIR_HTTP_NO_WORKER);
}

static void a_burst_may_wait_and_a_queue_that_stands_is_kept_short(void **state)
{
	(void)state;
	waiting(999, 900, WEIR_NS_PER_MS); /* half a second of work that came 900 ms ago */
	assert_int_equal(admit(), WEIR_HTTP_OK);
	waiting(999, 1100, WEIR_NS_PER_MS);
	assert_int_equal(admit(), WEIR_HTTP_OVERLOADED);
	assert_int_equal(scene.metric[WEIR_METRIC_overloaded], 1);
	waiting(799, 60000, WEIR_NS_PER_MS); /* just short enough, however long it stands */
	assert_int_equal(admit(), WEIR_HTTP_OK);
	scene.settings.queue_wait_ms = 0; /* switched off */
	waiting(999, 60000, WEIR_NS_PER_MS);
	assert_int_equal(admit(), WEIR_HTTP_OK);
}

static void a_queue_that_stood_because_the_shard_did_may_go_on(void **state)
{
	(void)state;
	waiting(999, 1100, WEIR_NS_PER_MS);
	scene.shard->stood_still_ns = scene.shard->now_ns - 900 * WEIR_NS_PER_MS;
	assert_int_equal(admit(), WEIR_HTTP_OK);
	scene.shard->stood_still_ns -= 200 * WEIR_NS_PER_MS;
	assert_int_equal(admit(), WEIR_HTTP_OVERLOADED);
}

static void what_left_the_queue_counts_more_than_what_workers_say(void **state)
{
	(void)state;
	waiting(0, 0, WEIR_NS_PER_MS / 100); /* they share a CPU: each call takes 10 us, and then 990 us pass */
	weir_admit_joined(scene.shard, scene.pool);
	scene.pool->waiting_count = 900;
	for (int ms = 0; ms < 1200; ms++) {
		scene.shard->now_ns += WEIR_NS_PER_MS;
		weir_admit_left(scene.pool);
		if (ms == 998)
			assert_int_equal(admit(), WEIR_HTTP_OK); /* it has not stood for longer than a second */
	}
	assert_int_equal(admit(), WEIR_HTTP_OVERLOADED);
	scene.pool->waiting_count = 380;
	assert_int_equal(admit(), WEIR_HTTP_OK);
	scene.exchange.deadline_ns = scene.shard->now_ns + 300 * WEIR_NS_PER_MS;
	assert_int_equal(admit(), WEIR_HTTP_NO_WORKER);
}

static void an_empty_queue_begins_anew(void **state)
{
	(void)state;
	waiting(0, 60000, WEIR_NS_PER_MS);
	scene.pool->drain.distance_ns = 1000000000;
	weir_admit_joined(scene.shard, scene.pool);
	scene.pool->waiting_count = 900;
	scene.shard->now_ns += 500 * WEIR_NS_PER_MS;
	assert_int_equal(admit(), WEIR_HTTP_OK);
}

static void long_calls_may_wait_for_a_few_of_their_kind(void **state)
{
	(void)state;
	waiting(19, 60000, WEIR_NS_PER_SECOND); /* 9.5 s */
	assert_int_equal(admit(), WEIR_HTTP_OK);
	waiting(21, 60000, WEIR_NS_PER_SECOND);
	assert_int_equal(admit(), WEIR_HTTP_OVERLOADED);
}

static void without_workers_nothing_is_known_and_calls_wait(void **state)
{
	(void)state;
	waiting(500, 60000, WEIR_NS_PER_SECOND);
	scene.pool->link_count = 0;
	assert_int_equal(weir_admit_queue_ns(scene.pool), 0);
	assert_int_equal(admit(), WEIR_HTTP_OK);
}

static void a_lying_worker_counts_for_an_hour_at_most(void **state)
{
	(void)state;
	waiting(2, 0, UINT64_MAX);
	assert_int_equal(weir_admit_queue_ns(scene.pool), 3600 * WEIR_NS_PER_SECOND);
}

static void of_awaited_calls_one_at_a_time_is_refused_where_no_place_gets_free(void **state)
{
	(void)state;
	scene.connection.special |= WEIR_CONNECTION_AWAITED;
	scene.pool->workers_max = LINKS;
	waiting(900, 60000, WEIR_NS_PER_SECOND); /* what would refuse a client */
	for (int i = 0; i < LINKS; i++) { /* full of calls that wait */
		atomic_store(&scene.header[i].parked_max, 1);
		atomic_store(&scene.header[i].parked, 1);
	}
	assert_int_equal(admit(), WEIR_HTTP_NO_WORKER);
	assert_int_equal(admit(), WEIR_HTTP_OK);
	scene.shard->now_ns += 5 * WEIR_NS_PER_MS;
	assert_int_equal(admit(), WEIR_HTTP_NO_WORKER);
	scene.pool->workers_max = LINKS + 1; /* another worker may come */
	scene.shard->now_ns += 5 * WEIR_NS_PER_MS;
	assert_int_equal(admit(), WEIR_HTTP_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(queue_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_deadline_that_cannot_be_kept_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_burst_may_wait_and_a_queue_that_stands_is_kept_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_stood_because_the_shard_did_may_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_left_the_queue_counts_more_than_what_workers_say, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_empty_queue_begins_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_calls_may_wait_for_a_few_of_their_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_workers_nothing_is_known_and_calls_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lying_worker_counts_for_an_hour_at_most, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_awaited_calls_one_at_a_time_is_refused_where_no_place_gets_free, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
