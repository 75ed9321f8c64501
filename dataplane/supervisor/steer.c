#include "dataplane/supervisor/steer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/base/log.h"
#include "dataplane/supervisor/nodes.h"

/* From the best to the worst. */
enum steering { BY_NODE, BY_CPU, AS_IT_COMES };

static int incoming_cpu_set(const struct weir_supervisor *supervisor, const struct weir_listener *listener)
{
	for (uint32_t i = 0; i < supervisor->shard_count; i++) {
		const int cpu = supervisor->cpu[i];

		if (setsockopt(listener->fd[i], SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof(cpu)) != 0)
			return -errno;
	}
	return 0;
}

static enum steering listener_steer(const struct weir_supervisor *supervisor, const struct weir_steer_plan *plan,
				    const struct weir_listener *listener, char why[WEIR_STEER_WHY_BYTES_MAX])
{
	int result = weir_steer_attach(plan, listener->fd, why);

	if (result == 0 || result == -EBUSY) /* by an earlier supervisor */
		return BY_NODE;
	result = incoming_cpu_set(supervisor, listener);
	if (result == 0)
		return BY_CPU;
	weir_log(WEIR_LOG_WARN, "cannot steer connections", "address=%s option=SO_INCOMING_CPU error=\"%s\"",
		 listener->address, strerror(-result));
	return AS_IT_COMES;
}

static void say(struct weir_supervisor *supervisor, enum steering steering, const char *why)
{
	char *const text = supervisor->steering;
	const size_t bytes = sizeof(supervisor->steering);

	if (steering == BY_NODE)
		(void)snprintf(text, bytes, "to a shard of the node that received them, by eBPF");
	else if (steering == BY_CPU)
		(void)snprintf(text, bytes, "to the shard of the CPU that received them, by SO_INCOMING_CPU: %s", why);
	else
		(void)snprintf(text, bytes, "to any shard of any node: neither eBPF (%s) nor SO_INCOMING_CPU", why);
	weir_log(WEIR_LOG_INFO, "connections are steered", "how=\"%s\"", text);
}

void weir_steer_listeners(struct weir_supervisor *supervisor)
{
	static struct weir_steer_plan plan;
	struct weir_place_shard shards[WEIR_SHARDS_MAX];
	enum steering worst = BY_NODE;
	char why[WEIR_STEER_WHY_BYTES_MAX] = "";

	weir_nodes_shards(supervisor, shards);
	if (weir_place_nodes(shards, supervisor->shard_count) == 1) {
		(void)snprintf(supervisor->steering, sizeof(supervisor->steering),
			       "to any shard: they are all on one NUMA node%s",
			       supervisor->options.numa ? "" : " (--numa off)");
		return;
	}
	weir_place_steer(&supervisor->nodes.numa, shards, supervisor->shard_count, &plan);
	for (size_t i = 0; i < supervisor->listener_count; i++) {
		enum steering steering = BY_NODE;

		if (supervisor->listener[i].local)
			continue;
		steering = listener_steer(supervisor, &plan, &supervisor->listener[i], why);
		if (steering > worst)
			worst = steering;
	}
	say(supervisor, worst, why);
}
