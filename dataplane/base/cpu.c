#include "dataplane/base/cpu.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"

#define NODE_MAX 1024 /* CONFIG_NODES_SHIFT allows no more */

static void directory_close(DIR **directory)
{
	if (*directory != NULL)
		(void)closedir(*directory); /* read-only: nothing can be lost */
}

/* The number in "node<digits>", or -1 for every other name. */
static int node_number(const char *name)
{
	char *end = NULL;
	long number = 0;

	if (strncmp(name, "node", 4) != 0 || name[4] < '0' || name[4] > '9')
		return -1;
	number = strtol(name + 4, &end, 10);
	return *end == '\0' && number < NODE_MAX ? (int)number : -1;
}

/* The kernel links each CPU's directory to that of its node: cpu3/node1. */
static uint16_t cpu_node(unsigned int cpu)
{
	WEIR_CLEANUP(directory_close) DIR *directory = NULL;
	char path[64];
	const struct dirent *entry = NULL;

	/* Fits: the number has at most 5 digits. */
	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", cpu);
	directory = opendir(path);
	if (directory == NULL)
		return 0;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of its own */
	while ((entry = readdir(directory)) != NULL) {
		const int number = node_number(entry->d_name);

		if (number >= 0)
			return (uint16_t)number;
	}
	return 0;
}

int weir_cpu_list(struct weir_cpu *out_cpus, size_t max)
{
	/* Machines may have more CPUs than WEIR_CPU_MAX; the kernel refuses a mask that is too short. */
	static const unsigned int mask_bits = 8192;
	cpu_set_t *mask = CPU_ALLOC(mask_bits);
	const size_t mask_bytes = CPU_ALLOC_SIZE(mask_bits);
	size_t count = 0;

	WEIR_ASSERT(out_cpus != NULL || max == 0);
	if (mask == NULL)
		return -ENOMEM;
	CPU_ZERO_S(mask_bytes, mask);
	if (sched_getaffinity(0, mask_bytes, mask) != 0) {
		const int error = errno;

		CPU_FREE(mask);
		return -error;
	}
	for (unsigned int cpu = 0; cpu < mask_bits && count < max && count < WEIR_CPU_MAX;
	     cpu++) {
		if (!CPU_ISSET_S(cpu, mask_bytes, mask))
			continue;
		out_cpus[count++] =
			(struct weir_cpu){.number = (uint16_t)cpu, .numa_node = cpu_node(cpu)};
	}
	CPU_FREE(mask);
	return (int)count;
}

int weir_cpu_bind(uint16_t number)
{
	cpu_set_t *mask = CPU_ALLOC((size_t)number + 1);
	const size_t mask_bytes = CPU_ALLOC_SIZE((size_t)number + 1);
	int error = 0;

	if (mask == NULL)
		return -ENOMEM;
	CPU_ZERO_S(mask_bytes, mask);
	CPU_SET_S(number, mask_bytes, mask);
	if (sched_setaffinity(0, mask_bytes, mask) != 0)
		error = -errno;
	CPU_FREE(mask);
	return error;
}
