/* Accidents that a critical reading of the gateway found, and that must not come back: late, refused
 * and buried workers, a supervisor that does not read, full tables. Those of bodies and answers are
 * in test_accidents_bodies.c. */
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/base/clock.h"
#include "dataplane/gateway/limits.h"
#include "dataplane/shm/call.h"
#include "tests/gateway/rig.h"

enum {
	BURIALS_MS = 3000,
	BURIAL_CLIENTS = 32,
	TABLE_ROUNDS = 2,
	TABLE_CONNECTIONS = 512, /* what the gateway makes of few descriptors */
	TABLE_DESCRIPTORS = 1600,
	TABLE_LINGER_MS = 1800, /* a little less than it lingers on connections that it ended */
	TABLE_OTHERS = 3000,
	TABLE_PAUSE_US = 50,
	SLOW_CLIENTS_MAX = 16000,
	SLOW_CLIENTS_MIN = 10300, /* as many held all buffers once */
	DESCRIPTORS_OWN = 256,    /* of this process, for all else */
};

static const char GET[] = "GET /f HTTP/1.1\r\nHost: t\r\n\r\n";
static const char GET_OTHER[] = "GET /g HTTP/1.1\r\nHost: t\r\n\r\n";
static const char GET_NOWHERE[] = "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n";
static const char GET_NOWHERE_AND_CLOSE[] =
	"GET /nowhere HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

static struct rig_options defaults;
static struct rig_options patient = {.timeout_ms = 120000, .queue_max = 100};
static struct rig_options long_grace = {.kill_grace_ms = 60000};
static struct rig_options two_shards = {.shard_count = 2};
static struct rig_options few_descriptors = {.descriptors_max = TABLE_DESCRIPTORS};
static struct rig_options slow_heads = {.head_timeout_ms = 60000};
static struct rig_options narrow_control = {.control_send_bytes = 1, .queue_max = 100};

static uint64_t in_ms(uint64_t ms)
{
	return weir_clock_now_ns() + ms * WEIR_NS_PER_MS;
}

static void expect_answer(int client, const char *status_line)
{
	char answer[2048];

	rig_read_answer(client, answer, sizeof(answer));
	answer[strlen(status_line)] = '\0';
	assert_string_equal(answer, status_line);
}

/* The worker accepts the next call and answers it with 200. */
static void serve_one(struct rig_worker *worker)
{
	const struct weir_message head = rig_worker_accept(worker);

	rig_worker_answer(worker, &head, 200, "served");
}

static void a_late_worker_gets_calls_again(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	const int client = rig_client(rig);

	rig_worker_start(rig, &worker);
	for (uint64_t i = 0; i < 3; i++) {
		const uint64_t recalled = rig_metric(rig, WEIR_METRIC_calls_recalled);
		struct weir_message head;

		rig_send(client, GET);
		rig_expect_metric(rig, WEIR_METRIC_calls_recalled, recalled + 1);
		usleep(30000); /* and not given to it again until it has read what it got */
		rig_expect_metric(rig, WEIR_METRIC_calls_recalled, recalled + 1);
		head = rig_worker_pop(&worker); /* late: this call was taken back */
		assert_int_equal(head.kind, WEIR_MESSAGE_HEAD);
		assert_false(weir_call_accept(&worker.segment.pair[0].call[head.call], head.sequence));
		serve_one(&worker);
		expect_answer(client, "HTTP/1.1 200");
	}
	close(client);
	rig_worker_kill(&worker);
}

/* What it started meanwhile would die with it, if it had to be killed. */
static void a_worker_gets_nothing_while_a_call_is_overdue(void **state)
{
	struct rig *rig = *state;
	struct rig_worker worker;
	const int late = rig_client(rig), other = rig_client(rig);
	struct weir_message head;

	rig_worker_start(rig, &worker);
	rig_send(late, GET);
	head = rig_worker_accept(&worker);
	expect_answer(late, "HTTP/1.1 504");
	assert_int_equal(rig_worker_pop(&worker).kind, WEIR_MESSAGE_CANCEL); /* it reads, so it is not stalled */
	rig_send(other, GET_OTHER);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	assert_false(rig_worker_has(&worker, 100));
	rig_worker_answer(&worker, &head, 200, "too late");
	serve_one(&worker);
	expect_answer(other, "HTTP/1.1 200");
	close(late);
	close(other);
	rig_worker_kill(&worker);
}

static void the_last_suspect_to_leave_frees_the_worker_set_aside_for_it(void **state)
{
	struct rig *rig = *state;
	struct rig_worker killed, worker;
	struct weir_message running, credit;
	int first, suspect, other;

	rig_worker_start(rig, &killed);
	suspect = rig_client(rig);
	rig_send(suspect, GET);
	(void)rig_worker_accept(&killed);
	rig_worker_kill(&killed); /* f is a suspect now */
	expect_answer(suspect, "HTTP/1.1 502");
	rig_worker_start(rig, &worker);
	first = rig_client(rig);
	rig_send(first, GET_OTHER);
	running = rig_worker_accept(&worker);
	rig_worker_begin(&worker, &running, "part"); /* it runs, and the worker is alive */
	do {
		credit = rig_worker_pop(&worker);
		assert_int_equal(credit.kind, WEIR_MESSAGE_CREDIT);
	} while (rig_worker_has(&worker, 50));
	rig_send(suspect, GET); /* has to run alone, waits for the only worker to get idle */
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	other = rig_client(rig);
	rig_send(other, GET_OTHER);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 2);
	assert_false(rig_worker_has(&worker, 50)); /* set aside */
	rig_reset(suspect);
	serve_one(&worker); /* while the first call still runs */
	expect_answer(other, "HTTP/1.1 200");
	rig_worker_continue(&worker, &credit, 1, true);
	expect_answer(first, "HTTP/1.1 200");
	close(first);
	close(other);
	rig_worker_kill(&worker);
}

static void a_refused_link_leaves_the_others_alone(void **state)
{
	static struct rig_worker worker[WEIR_GATEWAY_POOL_LINKS_MAX];
	struct rig *rig = *state;
	struct rig_worker refused;

	for (int i = 0; i < WEIR_GATEWAY_POOL_LINKS_MAX; i++)
		rig_worker_start(rig, &worker[i]);
	rig_worker_offer(rig, &refused); /* its pool is full */
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_LINK_GONE).link.link_id, refused.link_id);
	rig_worker_kill(&refused);
	rig_worker_kill(&worker[0]);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_LINK_GONE).link.link_id, worker[0].link_id);
	rig_worker_start(rig, &worker[0]); /* there is room again, for one */
	rig_worker_offer(rig, &refused);
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_LINK_GONE).link.link_id, refused.link_id);
	rig_worker_kill(&refused);
	for (int i = 0; i < WEIR_GATEWAY_POOL_LINKS_MAX; i++)
		rig_worker_kill(&worker[i]);
	rig_expect_metric(rig, WEIR_METRIC_links, 0);
}

/* A child that keeps the shard busy with requests, so that its letters pile up. */
static pid_t hammer(const struct rig *rig)
{
	enum { REPEATS = 1024 };
	static char requests[REPEATS * sizeof(GET_NOWHERE)], answers[1 << 20];
	int client[BURIAL_CLIENTS];
	size_t bytes = 0;
	pid_t child;

	for (int i = 0; i < REPEATS; i++)
		bytes += (size_t)sprintf(requests + bytes, "%s", GET_NOWHERE);
	for (int i = 0; i < BURIAL_CLIENTS; i++)
		client[i] = rig_client(rig);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (child == 0) {
		for (int i = 0; i < BURIAL_CLIENTS; i++) {
			(void)send(client[i], requests, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
			while (recv(client[i], answers, sizeof(answers), MSG_DONTWAIT) > 0)
				;
		}
	}
	for (int i = 0; i < BURIAL_CLIENTS; i++)
		close(client[i]);
	return child;
}

static void a_worker_may_die_while_its_link_is_buried(void **state)
{
	const uint64_t until_ns = in_ms(BURIALS_MS);
	const unsigned seed = (unsigned)time(NULL);
	struct rig *rig = *state;
	const pid_t busy = hammer(rig);

	print_message("seed %u\n", seed);
	srand(seed);
	while (weir_clock_now_ns() < until_ns) {
		const uint64_t die_us = (uint64_t)rand() % 8000;
		struct rig_worker worker;
		uint64_t die_ns;

		rig_worker_start(rig, &worker);
		rig_worker_drain(rig, &worker);
		die_ns = weir_clock_now_ns() + die_us * WEIR_NS_PER_US;
		while (weir_clock_now_ns() < die_ns)
			;
		rig_worker_kill(&worker);
		assert_int_equal(rig_expect(rig, WEIR_CONTROL_LINK_GONE).link.link_id, worker.link_id);
		assert_true(rig_is_alive(rig));
	}
	kill(busy, SIGKILL);
	assert_int_equal(waitpid(busy, NULL, 0), busy);
}

/* Skip the test if this process may not have `count` clients; returns how many it may have. */
static int clients_allowed(int count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < (rlim_t)(count + DESCRIPTORS_OWN)) {
		print_message("skipped: needs RLIMIT_NOFILE %d, has %lu\n", count + DESCRIPTORS_OWN,
			      (unsigned long)limit.rlim_cur);
		skip();
	}
	return limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur - DESCRIPTORS_OWN;
}

/* Connections that end in one turn give their places back at its end; clients that come within that
 * turn must not get places beyond the table. Those that come stay, so that it is full all the time. */
static void a_full_table_that_empties_at_once_stays_within_its_bounds(void **state)
{
	static int client[TABLE_CONNECTIONS], other[TABLE_OTHERS];
	struct rig *rig = *state;
	int healthy;

	(void)clients_allowed(TABLE_CONNECTIONS + TABLE_OTHERS);
	for (int round = 0; round < TABLE_ROUNDS; round++) {
		for (int i = 0; i < TABLE_CONNECTIONS; i++)
			client[i] = rig_client(rig);
		rig_expect_metric(rig, WEIR_METRIC_connections, TABLE_CONNECTIONS);
		for (int i = 0; i < TABLE_CONNECTIONS; i++)
			rig_send(client[i], GET_NOWHERE_AND_CLOSE);
		usleep(TABLE_LINGER_MS * 1000); /* soon the gateway stops to wait for their end */
		for (int i = 0; i < TABLE_OTHERS; i++) {
			other[i] = rig_client(rig);
			usleep(TABLE_PAUSE_US);
		}
		assert_true(rig_is_alive(rig));
		assert_true(rig_metric(rig, WEIR_METRIC_connections) <= TABLE_CONNECTIONS);
		for (int i = 0; i < TABLE_CONNECTIONS; i++)
			rig_reset(client[i]);
		for (int i = 0; i < TABLE_OTHERS; i++)
			rig_reset(other[i]);
		rig_expect_metric(rig, WEIR_METRIC_connections, 0);
	}
	healthy = rig_client(rig);
	rig_send(healthy, GET_NOWHERE);
	expect_answer(healthy, "HTTP/1.1 404");
	close(healthy);
}

static void a_stop_answers_waiting_requests_at_once(void **state)
{
	struct rig *rig = *state;
	const int client = rig_client(rig); /* its deadline is further away than a reader waits */

	rig_send(client, GET);
	rig_expect_metric(rig, WEIR_METRIC_calls_waiting, 1);
	rig_ask_to_stop(rig);
	expect_answer(client, "HTTP/1.1 503");
	close(client);
}

static void a_kill_reaches_a_supervisor_that_did_not_read(void **state)
{
	enum { WAITING = 10 };
	struct rig *rig = *state;
	struct rig_worker worker;
	int client[WAITING];

	rig_worker_start(rig, &worker);
	atomic_store(&worker.segment.header->service_ns, WEIR_NS_PER_SECOND / 10);
	client[0] = rig_client(rig);
	rig_send(client[0], GET);
	(void)rig_worker_accept(&worker); /* and hangs */
	for (int i = 1; i < WAITING; i++) { /* their demands fill the socket */
		client[i] = rig_client(rig);
		rig_send(client[i], GET);
		usleep(50000);
	}
	expect_answer(client[0], "HTTP/1.1 504");
	usleep(500000); /* the grace passes too, with requests waiting */
	assert_int_equal(rig_expect(rig, WEIR_CONTROL_WORKER_KILL).worker_kill.worker_id, worker.link_id);
	for (int i = 0; i < WAITING; i++)
		close(client[i]);
	rig_worker_kill(&worker);
}

static void pools_come_and_go_beyond_the_table(void **state)
{
	struct rig *rig = *state;
	const uint64_t pool_key = rig->pool_key;
	struct rig_worker worker;
	int client;

	for (uint64_t i = 1; i <= WEIR_GATEWAY_POOLS_MAX + 50; i++) {
		rig->pool_key = pool_key + i;
		rig_worker_start(rig, &worker);
		rig_worker_drain(rig, &worker);
		(void)rig_expect(rig, WEIR_CONTROL_LINK_GONE);
		rig_worker_kill(&worker);
	}
	rig->pool_key = pool_key;
	rig_worker_start(rig, &worker);
	client = rig_client(rig);
	rig_send(client, GET);
	serve_one(&worker);
	expect_answer(client, "HTTP/1.1 200");
	close(client);
	rig_worker_kill(&worker);
}

static void many_slow_clients_leave_buffers_for_a_healthy_one(void **state)
{
	static int client[SLOW_CLIENTS_MAX];
	struct rig *rig = *state;
	int count = clients_allowed(SLOW_CLIENTS_MIN), healthy;

	if (count > SLOW_CLIENTS_MAX)
		count = SLOW_CLIENTS_MAX;
	for (int i = 0; i < count; i++) {
		client[i] = rig_client(rig);
		rig_send(client[i], "G"); /* and no more */
	}
	rig_expect_metric(rig, WEIR_METRIC_bytes_in, (uint64_t)count);
	healthy = rig_client(rig);
	rig_send(healthy, GET_NOWHERE);
	expect_answer(healthy, "HTTP/1.1 404");
	close(healthy);
	for (int i = 0; i < count; i++)
		rig_reset(client[i]);
}

/* Calls that are parked delay nobody, so the worker that got the last one is given the next, until it
 * has no large chunk left for the request: then another is. */
static void a_kept_worker_without_chunks_is_passed_by(void **state)
{
	static char request[9000];
	static int client[WEIR_PAIR_CHUNKS_LARGE + 1];
	struct rig *rig = *state;
	struct rig_worker worker[2];
	const int head_bytes =
		snprintf(request, sizeof(request), "POST /f HTTP/1.1\r\nHost: t\r\nContent-Length: 8000\r\n\r\n");
	uint32_t seen[2] = {0};

	memset(request + head_bytes, 'x', 8000);
	for (int i = 0; i < 2; i++) {
		rig_worker_start(rig, &worker[i]);
		atomic_store(&worker[i].segment.header->service_ns, 1000);
		atomic_store(&worker[i].segment.header->parked, 1000);
		atomic_store(&worker[i].segment.header->parked_max, 10000);
	}
	for (int i = 0; i <= WEIR_PAIR_CHUNKS_LARGE; i++) {
		const uint64_t until_ns = in_ms(5000);

		client[i] = rig_client(rig);
		rig_send(client[i], request);
		while (!rig_worker_has(&worker[0], 0) && !rig_worker_has(&worker[1], 1)) {
			for (int k = 0; k < 2; k++) { /* they serve others meanwhile: no stall */
				atomic_fetch_add(&worker[k].segment.header->accepted, 1);
				atomic_fetch_add(&worker[k].segment.header->finished, 1);
			}
			assert_true(weir_clock_now_ns() < until_ns);
		}
		const int chosen = rig_worker_has(&worker[0], 0) ? 0 : 1;

		seen[chosen]++;
		(void)rig_worker_accept(&worker[chosen]); /* and keeps it */
	}
	print_message("%u and %u\n", seen[0], seen[1]);
	assert_true(seen[0] == WEIR_PAIR_CHUNKS_LARGE || seen[1] == WEIR_PAIR_CHUNKS_LARGE);
	for (int i = 0; i <= WEIR_PAIR_CHUNKS_LARGE; i++)
		rig_reset(client[i]);
	rig_worker_kill(&worker[0]);
	rig_worker_kill(&worker[1]);
}

/* The hard limit of descriptors, for the clients and for the gateway, which inherits it. */
static int raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

#define ACCIDENT(function, options)                                                                    \
	cmocka_unit_test_prestate_setup_teardown(function, rig_setup, rig_teardown, options)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ACCIDENT(a_late_worker_gets_calls_again, &patient),
		ACCIDENT(a_worker_gets_nothing_while_a_call_is_overdue, &long_grace),
		ACCIDENT(the_last_suspect_to_leave_frees_the_worker_set_aside_for_it, &patient),
		ACCIDENT(a_refused_link_leaves_the_others_alone, &two_shards),
		ACCIDENT(a_worker_may_die_while_its_link_is_buried, &defaults),
		ACCIDENT(a_full_table_that_empties_at_once_stays_within_its_bounds, &few_descriptors),
		ACCIDENT(a_stop_answers_waiting_requests_at_once, &patient),
		ACCIDENT(a_kill_reaches_a_supervisor_that_did_not_read, &narrow_control),
		ACCIDENT(pools_come_and_go_beyond_the_table, &defaults),
		ACCIDENT(a_kept_worker_without_chunks_is_passed_by, &patient),
		ACCIDENT(many_slow_clients_leave_buffers_for_a_healthy_one, &slow_heads),
	};

	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
