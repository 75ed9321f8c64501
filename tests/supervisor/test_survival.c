/* Any process may be killed at any moment, and the rest goes on: with fake processes, so that what
 * fails here is the supervisor's or the keeper's fault. */
#include "tests/supervisor/instance.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/base/fd.h"

static struct instance instance; /* a board is too large for a stack */

static int setup(void **state)
{
	(void)state;
	instance_open(&instance);
	instance_start(&instance);
	instance_wait_ready(&instance, 1, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* After a failed test: nobody may be left for the next one. */
	if (instance.keeper != 0)
		instance_close(&instance);
	return 0;
}

struct change {
	enum weir_process_kind kind;
	pid_t old;
	uint64_t pool_key;
};

static bool is_replaced(struct instance *now, const void *context)
{
	const struct change *const change = context;
	const pid_t pid = instance_pid(now, change->kind);

	return pid != 0 && pid != change->old;
}

static bool worker_is_replaced(struct instance *now, const void *context)
{
	const struct change *const change = context;
	pid_t pids[8] = {0};

	return instance_workers(now, change->pool_key, pids) == 1 && pids[0] != change->old;
}

static pid_t kill_and_wait(enum weir_process_kind kind)
{
	const struct change change = {.kind = kind, .old = instance_pid(&instance, kind)};

	assert_int_not_equal(change.old, 0);
	assert_int_equal(kill(change.old, SIGKILL), 0);
	instance_wait_until(&instance, is_replaced, &change, "another process took its place");
	return change.old;
}

static void worker_kill_and_wait(uint64_t pool_key)
{
	struct change change = {.kind = WEIR_PROCESS_WORKER, .pool_key = pool_key};
	pid_t pids[8] = {0};

	assert_int_equal(instance_workers(&instance, pool_key, pids), 1);
	change.old = pids[0];
	assert_int_equal(kill(change.old, SIGKILL), 0);
	instance_wait_until(&instance, worker_is_replaced, &change, "another worker took its place");
	instance_wait_ready(&instance, 1, 1);
}

static void started_instance_listens_and_reports_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(instance.board.shard_count, 2);
	assert_int_equal(instance.board.generation, 1);
	assert_int_equal(instance.board.segment_bytes, 2 * weir_link_segment_bytes(2));
	assert_int_equal(instance_pid(&instance, WEIR_PROCESS_KEEPER), instance.keeper);
	assert_string_equal(instance.board.process[4].space, "default");
	assert_true(strlen(instance.board.sandbox) > 0);
	assert_true(strlen(instance.board.load) > 0);
	assert_int_not_equal(instance.board.load_source, WEIR_LOAD_SOURCE_NONE);
	instance_close(&instance);
}

/* A client of the status socket that says nothing. */
static int silent_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/run/supervisor.sock", instance.data);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void silent_clients_do_not_keep_others_from_the_board(void **state)
{
	int fds[100];

	(void)state;
	for (size_t i = 0; i < 100; i++)
		fds[i] = silent_client();
	instance_wait_ready(&instance, 1, 1);
	for (size_t i = 0; i < 100; i++)
		(void)close(fds[i]);
	instance_close(&instance);
}

static void board_given_to_clients_can_not_be_written(void **state)
{
	const int client = silent_client();
	char text[8] = {'w', 'e', 'i', 'r', 's', 't', 'a', 't'};
	int fd = -1;
	size_t count = 0;

	(void)state;
	assert_int_equal(send(client, text, sizeof(text), 0), sizeof(text));
	assert_int_equal(weir_fd_receive(client, text, sizeof(text), &fd, 1, &count), sizeof(text));
	assert_int_equal(count, 1);
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_int_equal(write(fd, text, 1), -1);
	(void)close(fd);
	(void)close(client);
	instance_close(&instance);
}

static void killed_worker_is_replaced_and_linked(void **state)
{
	(void)state;
	worker_kill_and_wait(0);
	worker_kill_and_wait(1);
	instance_close(&instance);
}

static void killed_gateway_leaves_workers_and_gets_sockets_and_links(void **state)
{
	pid_t before[8] = {0};
	pid_t after[8] = {0};

	(void)state;
	assert_int_equal(instance_workers(&instance, 0, before), 1);
	(void)kill_and_wait(WEIR_PROCESS_GATEWAY);
	instance_wait_ready(&instance, 1, 1);
	assert_int_equal(instance_workers(&instance, 0, after), 1);
	assert_int_equal(before[0], after[0]);
	instance_close(&instance);
}

static void killed_ctrld_is_replaced_and_nobody_else(void **state)
{
	const pid_t gateway = instance_pid(&instance, WEIR_PROCESS_GATEWAY);

	(void)state;
	(void)kill_and_wait(WEIR_PROCESS_CTRLD);
	instance_wait_ready(&instance, 1, 1);
	assert_int_equal(gateway, instance_pid(&instance, WEIR_PROCESS_GATEWAY));
	assert_int_equal(instance.board.generation, 1);
	instance_close(&instance);
}

static void killed_supervisor_changes_no_pid_and_goes_on_replacing(void **state)
{
	const pid_t gateway = instance_pid(&instance, WEIR_PROCESS_GATEWAY);
	const pid_t ctrld = instance_pid(&instance, WEIR_PROCESS_CTRLD);
	pid_t before[8] = {0};
	pid_t after[8] = {0};

	(void)state;
	assert_int_equal(instance_workers(&instance, 0, before), 1);
	for (int i = 0; i < 3; i++) {
		(void)kill_and_wait(WEIR_PROCESS_SUPERVISOR);
		instance_wait_ready(&instance, 1, 1);
		assert_int_equal(instance_pid(&instance, WEIR_PROCESS_GATEWAY), gateway);
		assert_int_equal(instance_pid(&instance, WEIR_PROCESS_CTRLD), ctrld);
		assert_int_equal(instance_workers(&instance, 0, after), 1);
		assert_int_equal(before[0], after[0]);
	}
	assert_int_equal(instance.board.process[1].restarts, 3);
	worker_kill_and_wait(0); /* it is the keeper's child now */
	(void)kill_and_wait(WEIR_PROCESS_GATEWAY);
	instance_wait_ready(&instance, 1, 1);
	(void)kill_and_wait(WEIR_PROCESS_CTRLD);
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

static void keeper_killed_alone_stops_everything(void **state)
{
	(void)state;
	assert_int_equal(kill(instance.keeper, SIGKILL), 0);
	(void)instance_wait(&instance);
	while (kill(instance_pid(&instance, WEIR_PROCESS_SUPERVISOR), 0) == 0)
		(void)usleep(5000); /* ctest's time limit ends this */
	/* The lock's file stays, its lock does not: the next keeper takes it. */
	instance_start(&instance);
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

static void keeper_and_supervisor_killed_together_leave_no_process(void **state)
{
	(void)state;
	assert_int_equal(kill(instance.keeper, SIGKILL), 0);
	assert_int_equal(kill(instance_pid(&instance, WEIR_PROCESS_SUPERVISOR), SIGKILL), 0);
	(void)instance_wait(&instance);
	instance_start(&instance); /* over what the dead ones left */
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

static bool has_acked(struct instance *now, const void *context)
{
	const unsigned long wanted = *(const unsigned long *)context;
	char path[128];
	unsigned long acked = 0;
	FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/acked", now->data);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fscanf(file, "%lu", &acked) != 1)
		acked = 0;
	(void)fclose(file);
	return acked >= wanted && now->board.generation >= wanted;
}

static void publish_and_wait(unsigned long generation)
{
	assert_int_equal(kill(instance_pid(&instance, WEIR_PROCESS_CTRLD), SIGUSR1), 0);
	instance_wait_until(&instance, has_acked, &generation, "ctrld got its acknowledgement");
}

static void snapshots_reach_everybody_and_vanished_pools_retire(void **state)
{
	(void)state;
	publish_and_wait(2);
	instance_wait_ready(&instance, 1, 1);
	publish_and_wait(3);
	instance_wait_ready(&instance, 1, 0);
	instance_close(&instance);
}

static void bad_snapshot_is_refused_and_the_last_one_stays(void **state)
{
	(void)state;
	assert_int_equal(kill(instance_pid(&instance, WEIR_PROCESS_CTRLD), SIGUSR2), 0);
	publish_and_wait(2);
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

static bool has_two(struct instance *now, const void *context)
{
	(void)context;
	return instance_workers(now, 0, NULL) == 2;
}

static void demand_adds_workers_up_to_the_maximum_and_idle_ones_retire(void **state)
{
	long pid = 0;
	unsigned links = 0;
	unsigned long generation = 0;

	(void)state;
	assert_true(instance_say(&instance, "demand 0 5", &pid, &links, &generation));
	instance_wait_until(&instance, has_two, NULL, "a second worker came");
	instance_wait_ready(&instance, 2, 1);
	assert_true(instance_say(&instance, "demand 0 5", &pid, &links, &generation));
	assert_true(instance_say(&instance, "demand 77 5", &pid, &links, &generation)); /* no such pool */
	(void)kill_and_wait(WEIR_PROCESS_SUPERVISOR); /* what demand added is not given up by that */
	instance_wait_ready(&instance, 2, 1);
	instance_wait_ready(&instance, 1, 1); /* its window is 10 s long */
	instance_close(&instance);
}

static void limit_of_the_instance_stands_above_demand(void **state)
{
	long pid = 0;
	unsigned links = 0;
	unsigned long generation = 0;

	(void)state;
	publish_and_wait(2); /* two workers at most, and two there are */
	assert_true(instance_say(&instance, "demand 0 5", &pid, &links, &generation));
	worker_kill_and_wait(0); /* the supervisor has had every chance to start a third */
	instance_wait_ready(&instance, 1, 1);
	publish_and_wait(3); /* the other pool leaves, and there is room again */
	instance_wait_ready(&instance, 1, 0);
	assert_true(instance_say(&instance, "demand 0 5", &pid, &links, &generation));
	instance_wait_ready(&instance, 2, 0);
	instance_close(&instance);
}

static void worker_that_the_gateway_denounces_is_killed_and_replaced(void **state)
{
	struct change change = {.kind = WEIR_PROCESS_WORKER, .pool_key = 0};
	pid_t pids[8] = {0};
	char line[64];
	long pid = 0;
	unsigned links = 0;
	unsigned long generation = 0;

	(void)state;
	assert_int_equal(instance_workers(&instance, 0, pids), 1);
	change.old = pids[0];
	for (uint32_t i = 0; i < instance.board.process_count; i++) {
		if (instance.board.process[i].pid == change.old)
			(void)snprintf(line, sizeof(line), "kill %llu",
				       (unsigned long long)instance.board.process[i].id);
	}
	assert_true(instance_say(&instance, line, &pid, &links, &generation));
	instance_wait_until(&instance, worker_is_replaced, &change, "another worker took its place");
	instance_close(&instance);
}

static void link_that_the_gateway_refuses_is_offered_again(void **state)
{
	long pid = 0;
	unsigned links = 0;
	unsigned long generation = 0;

	(void)state;
	assert_true(instance_say(&instance, "refuse", &pid, &links, &generation));
	worker_kill_and_wait(0);
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

static void worker_that_does_not_stop_is_killed_on_the_way_out(void **state)
{
	pid_t pids[8] = {0};

	(void)state;
	assert_int_equal(instance_workers(&instance, 0, pids), 1);
	assert_int_equal(kill(pids[0], SIGUSR1), 0);
	instance_close(&instance);
}

static void stopped_supervisor_does_not_keep_the_keeper_from_ending(void **state)
{
	(void)state;
	assert_int_equal(kill(instance_pid(&instance, WEIR_PROCESS_SUPERVISOR), SIGSTOP), 0);
	assert_int_equal(kill(instance.keeper, SIGTERM), 0);
	(void)usleep(100000);
	assert_int_equal(kill(instance.keeper, SIGTERM), 0); /* the second one is impatient */
	assert_int_equal(instance_wait(&instance), 0);
	instance_close(&instance);
}

static void random_kills_end_in_a_whole_instance(void **state)
{
	const unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 60; i++) {
		const long choice = random() % 5;
		pid_t pids[8] = {0};
		pid_t victim = 0;

		if (!instance_board_read(&instance))
			continue;
		if (choice <= 1 && instance_workers(&instance, (uint64_t)choice, pids) > 0)
			victim = pids[0];
		else if (choice == 2)
			victim = instance_pid(&instance, WEIR_PROCESS_GATEWAY);
		else if (choice == 3)
			victim = instance_pid(&instance, WEIR_PROCESS_CTRLD);
		else if (choice == 4)
			victim = instance_pid(&instance, WEIR_PROCESS_SUPERVISOR);
		if (victim != 0)
			(void)kill(victim, SIGKILL);
		(void)usleep((useconds_t)(random() % 20000));
	}
	instance_wait_ready(&instance, 1, 1);
	instance_close(&instance);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(started_instance_listens_and_reports_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_clients_do_not_keep_others_from_the_board, setup, teardown),
		cmocka_unit_test_setup_teardown(board_given_to_clients_can_not_be_written, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_worker_is_replaced_and_linked, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_gateway_leaves_workers_and_gets_sockets_and_links, setup,
						teardown),
		cmocka_unit_test_setup_teardown(killed_ctrld_is_replaced_and_nobody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_supervisor_changes_no_pid_and_goes_on_replacing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(keeper_killed_alone_stops_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(keeper_and_supervisor_killed_together_leave_no_process, setup,
						teardown),
		cmocka_unit_test_setup_teardown(snapshots_reach_everybody_and_vanished_pools_retire, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_snapshot_is_refused_and_the_last_one_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(demand_adds_workers_up_to_the_maximum_and_idle_ones_retire, setup,
						teardown),
		cmocka_unit_test_setup_teardown(limit_of_the_instance_stands_above_demand, setup, teardown),
		cmocka_unit_test_setup_teardown(worker_that_the_gateway_denounces_is_killed_and_replaced, setup,
						teardown),
		cmocka_unit_test_setup_teardown(link_that_the_gateway_refuses_is_offered_again, setup, teardown),
		cmocka_unit_test_setup_teardown(worker_that_does_not_stop_is_killed_on_the_way_out, setup, teardown),
		cmocka_unit_test_setup_teardown(stopped_supervisor_does_not_keep_the_keeper_from_ending, setup,
						teardown),
		cmocka_unit_test_setup_teardown(random_kills_end_in_a_whole_instance, setup, teardown),
	};

	if (argc != 3) {
		(void)fprintf(stderr, "usage: test_supervisor_survival BIN_DIRECTORY FAKE_PROCESS\n");
		return 2;
	}
	instance_programs(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
