#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf/steer.h"
#include "dataplane/base/cpu.h"
#include "dataplane/base/fd.h"

enum {
	SOCKETS = 3,
	CONNECTIONS = 40,
	EXIT_SKIPPED = 77,
};

static uint16_t cpus[WEIR_CPU_MAX];
static int cpu_count;
static int sockets[SOCKETS];
static struct sockaddr_in address;

/* As many sockets on one port as shards would have. */
static int group_open(void **state)
{
	socklen_t bytes = sizeof(address);
	const int on = 1;

	(void)state;
	address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int i = 0; i < SOCKETS; i++) {
		sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(sockets[i] >= 0);
		assert_int_equal(setsockopt(sockets[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
		assert_int_equal(bind(sockets[i], (const struct sockaddr *)&address, sizeof(address)), 0);
		assert_int_equal(getsockname(sockets[i], (struct sockaddr *)&address, &bytes), 0);
	}
	for (int i = 0; i < SOCKETS; i++)
		assert_int_equal(listen(sockets[i], 2 * CONNECTIONS), 0);
	return 0;
}

static int group_close(void **state)
{
	(void)state;
	weir_fd_close_all(sockets, SOCKETS);
	assert_int_equal(weir_cpu_bind_all(cpus, (size_t)cpu_count), 0);
	return 0;
}

/* Connect from this CPU, which is then the one that receives; how many of the connections each socket got. */
static void connect_from(uint16_t cpu, int got[SOCKETS])
{
	memset(got, 0, SOCKETS * sizeof(got[0]));
	assert_int_equal(weir_cpu_bind(cpu), 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
		weir_fd_close(&fd);
	}
	for (int i = 0; i < SOCKETS; i++) {
		int fd = -1;

		while ((fd = accept(sockets[i], NULL, NULL)) >= 0) {
			got[i]++;
			weir_fd_close(&fd);
		}
	}
}

static void each_cpu_is_served_by_its_own_sockets(void **state)
{
	static struct weir_steer_plan plan;
	char why[WEIR_STEER_WHY_BYTES_MAX];
	int got[SOCKETS];

	(void)state;
	/* Places: socket 2 alone for the first CPU, sockets 0 and 1 for the last. */
	plan = (struct weir_steer_plan){.socket_count = SOCKETS, .socket = {2, 0, 1}};
	plan.of_cpu[cpus[cpu_count - 1]] = (struct weir_steer_range){.first = 1, .count = 2};
	plan.of_cpu[cpus[0]] = (struct weir_steer_range){.first = 0, .count = 1};
	assert_int_equal(weir_steer_attach(&plan, sockets, why), 0);
	connect_from(cpus[0], got);
	assert_int_equal(got[2], CONNECTIONS);
	if (cpu_count == 1)
		return;
	connect_from(cpus[cpu_count - 1], got);
	assert_int_equal(got[2], 0);
	assert_int_equal(got[0] + got[1], CONNECTIONS);
	assert_true(got[0] > 0 && got[1] > 0); /* by hash: all of 40 on one side is a chance of 2^-39 */
}

static void a_cpu_without_a_range_is_served_as_without_a_program(void **state)
{
	static struct weir_steer_plan plan = {.socket_count = SOCKETS, .socket = {0, 1, 2}};
	char why[WEIR_STEER_WHY_BYTES_MAX];
	int got[SOCKETS];

	(void)state;
	assert_int_equal(weir_steer_attach(&plan, sockets, why), 0);
	connect_from(cpus[0], got);
	assert_int_equal(got[0] + got[1] + got[2], CONNECTIONS);
}

static void what_is_steered_stays_so_whoever_tries_again(void **state)
{
	static struct weir_steer_plan plan = {.socket_count = SOCKETS, .socket = {0, 1, 2}};
	char why[WEIR_STEER_WHY_BYTES_MAX];
	int got[SOCKETS];

	(void)state;
	plan.of_cpu[cpus[0]] = (struct weir_steer_range){.first = 1, .count = 1};
	assert_int_equal(weir_steer_attach(&plan, sockets, why), 0);
	plan.of_cpu[cpus[0]].first = 2;
	assert_int_equal(weir_steer_attach(&plan, sockets, why), -EBUSY);
	connect_from(cpus[0], got);
	assert_int_equal(got[1], CONNECTIONS);
}

static void what_does_not_listen_is_refused_and_changes_nothing(void **state)
{
	static struct weir_steer_plan plan = {.socket_count = SOCKETS, .socket = {0, 1, 2}};
	char why[WEIR_STEER_WHY_BYTES_MAX] = "";
	int wrong[SOCKETS] = {sockets[0], sockets[1], STDERR_FILENO};
	int got[SOCKETS];

	(void)state;
	assert_true(weir_steer_attach(&plan, wrong, why) < 0);
	assert_non_null(strstr(why, "refused"));
	connect_from(cpus[0], got);
	assert_int_equal(got[0] + got[1] + got[2], CONNECTIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_cpu_is_served_by_its_own_sockets, group_open, group_close),
		cmocka_unit_test_setup_teardown(a_cpu_without_a_range_is_served_as_without_a_program, group_open, group_close),
		cmocka_unit_test_setup_teardown(what_is_steered_stays_so_whoever_tries_again, group_open, group_close),
		cmocka_unit_test_setup_teardown(what_does_not_listen_is_refused_and_changes_nothing, group_open, group_close),
	};
	static struct weir_steer_plan none = {.socket_count = 1};
	char why[WEIR_STEER_WHY_BYTES_MAX] = "";
	const int nothing = STDERR_FILENO;
	int result = 0;

	cpu_count = weir_cpu_list(cpus, WEIR_CPU_MAX);
	result = weir_steer_attach(&none, &nothing, why);
	if (result == -EPERM || result == -EACCES || result == -ENOSYS) {
		(void)printf("skipped: %s\n", why);
		return EXIT_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
