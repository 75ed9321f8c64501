/* The program. It runs where a connection's first packet is received, in the kernel's search for a
 * listening socket. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/steer.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, WEIR_STEER_SOCKETS_MAX);
	__type(key, unsigned int);
	__type(value, unsigned long long);
} weir_steer_sockets SEC(".maps");

const volatile struct weir_steer_range weir_steer_of_cpu[WEIR_STEER_CPUS_MAX];

SEC("sk_reuseport")
int weir_steer(struct sk_reuseport_md *packet)
{
	const unsigned int cpu = bpf_get_smp_processor_id();
	unsigned int place, count;

	if (cpu >= WEIR_STEER_CPUS_MAX)
		return SK_PASS;
	place = weir_steer_of_cpu[cpu].first;
	count = weir_steer_of_cpu[cpu].count;
	if (count == 0)
		return SK_PASS;
	place += packet->hash % count;
	(void)bpf_sk_select_reuseport(packet, &weir_steer_sockets, &place, 0); /* none there: the kernel's choice */
	return SK_PASS;
}
