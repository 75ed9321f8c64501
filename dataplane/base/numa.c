#include "dataplane/base/numa.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { TEXT_BYTES = 4096 }; /* a page is all that such a file has */

void weir_numa_single(struct weir_numa *out_numa)
{
	*out_numa = (struct weir_numa){.node_count = 1};
	out_numa->node[0].distance[0] = WEIR_NUMA_DISTANCE_SELF;
}

/* The text of `root`/`name`, ended by NUL. 0 or -errno. */
static int text_read(const char *root, const char *name, char text[TEXT_BYTES])
{
	char path[PATH_MAX];
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	ssize_t bytes = 0;

	if (snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	bytes = read(fd, text, TEXT_BYTES - 1);
	if (bytes < 0)
		return -errno;
	text[bytes] = '\0';
	return 0;
}

static int node_text_read(const char *root, uint16_t number, const char *name, char text[TEXT_BYTES])
{
	char path[64];

	(void)snprintf(path, sizeof(path), "node%u/%s", number, name); /* fits */
	return text_read(root, path, text);
}

static int nodes_read(const char *root, struct weir_numa *numa)
{
	uint16_t numbers[WEIR_CPU_MAX]; /* the kernel has no more nodes (CONFIG_NODES_SHIFT is at most 10) */
	char text[TEXT_BYTES];
	int count = text_read(root, "online", text);

	if (count != 0)
		return count;
	count = weir_cpu_list_parse(text, numbers, WEIR_CPU_MAX);
	if (count < 0)
		return -EBADMSG;
	numa->node_count = (uint32_t)count < WEIR_NUMA_NODES_MAX ? (uint32_t)count : WEIR_NUMA_NODES_MAX;
	for (uint32_t i = 0; i < numa->node_count; i++)
		numa->node[i].number = numbers[i];
	return 0;
}

static int cpus_read(const char *root, struct weir_numa *numa, uint32_t index)
{
	uint16_t cpus[WEIR_CPU_MAX];
	char text[TEXT_BYTES];
	int count = node_text_read(root, numa->node[index].number, "cpulist", text);

	if (count != 0)
		return count;
	if (text[0] == '\n' || text[0] == '\0') /* memory only */
		return 0;
	count = weir_cpu_list_parse(text, cpus, WEIR_CPU_MAX);
	if (count < 0)
		return -EBADMSG;
	numa->node[index].cpu_count = (uint16_t)count;
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(numa->node[index].cpus, WEIR_NUMA_CPUS_BYTES_MAX, "%.95s", text);
	for (int i = 0; i < count; i++)
		numa->node_of_cpu[cpus[i]] = (uint8_t)index;
	return 0;
}

/* "Node 0 MemTotal:  16303428 kB". A node without memory says 0, or has no such line. */
static int memory_read(const char *root, struct weir_numa_node *node)
{
	static const char key[] = "MemTotal:";
	char text[TEXT_BYTES];
	const char *line = NULL;
	const int result = node_text_read(root, node->number, "meminfo", text);

	if (result != 0)
		return result;
	line = strstr(text, key);
	node->memory_bytes = line == NULL ? 0 : strtoull(line + sizeof(key) - 1, NULL, 10) << 10;
	return 0;
}

/* One number for each online node, in their order. */
static int distances_read(const char *root, struct weir_numa *numa, uint32_t index)
{
	struct weir_numa_node *const node = &numa->node[index];
	char text[TEXT_BYTES];
	char *rest = text;
	const int result = node_text_read(root, node->number, "distance", text);

	if (result != 0)
		return result;
	for (uint32_t i = 0; i < numa->node_count; i++) {
		char *end = NULL;
		const unsigned long distance = strtoul(rest, &end, 10);

		if (end == rest || distance < WEIR_NUMA_DISTANCE_SELF || distance > UINT8_MAX)
			return -EBADMSG;
		node->distance[i] = (uint8_t)distance;
		rest = end;
	}
	return 0;
}

/* Every node's nearest memory; of equally near ones the first. */
static void memory_find(struct weir_numa *numa)
{
	for (uint32_t i = 0; i < numa->node_count; i++) {
		struct weir_numa_node *const node = &numa->node[i];
		uint32_t nearest = i;

		for (uint32_t k = 0; node->memory_bytes == 0 && k < numa->node_count; k++) {
			if (numa->node[k].memory_bytes != 0 &&
			    (numa->node[nearest].memory_bytes == 0 || node->distance[k] < node->distance[nearest]))
				nearest = k;
		}
		node->memory_index = (uint16_t)nearest;
	}
}

void weir_numa_memory_forbid(struct weir_numa *numa, uint32_t index)
{
	const uint64_t memory_bytes = numa->node[index].memory_bytes;

	numa->node[index].memory_bytes = 0;
	for (uint32_t i = 0; i < numa->node_count; i++) {
		if (numa->node[i].memory_bytes != 0) {
			memory_find(numa);
			return;
		}
	}
	numa->node[index].memory_bytes = memory_bytes;
}

int weir_numa_read(const char *root, struct weir_numa *out_numa)
{
	int result = 0;

	*out_numa = (struct weir_numa){0};
	result = nodes_read(root, out_numa);
	for (uint32_t i = 0; result == 0 && i < out_numa->node_count; i++) {
		result = cpus_read(root, out_numa, i);
		if (result == 0)
			result = memory_read(root, &out_numa->node[i]);
		if (result == 0)
			result = distances_read(root, out_numa, i);
	}
	if (result != 0)
		weir_numa_single(out_numa);
	else
		memory_find(out_numa);
	return result;
}
