/* steer: connections go to a shard of the node whose CPU the kernel received them on.
 *
 *   packet --> CPU --of_cpu--> | first, count | --hash of the addresses--> place --sockets--> listening socket
 *
 * One program and one array of sockets for each group of listening sockets that share a port. Attached, it
 * belongs to the sockets: nobody has to hold a descriptor, and it goes with the last of them. A CPU without
 * a range, or a socket that is gone: the kernel chooses by its hash, as without a program.
 * Threads: any, one at a time for one group. */
#ifndef WEIR_BPF_STEER_H
#define WEIR_BPF_STEER_H

enum {
	WEIR_STEER_CPUS_MAX = 1024,
	WEIR_STEER_SOCKETS_MAX = 64,
};

/* Places that stand next to each other; count 0 = none. */
struct weir_steer_range {
	unsigned short first;
	unsigned short count;
};

#ifndef __bpf__
#include <stdint.h>

enum { WEIR_STEER_WHY_BYTES_MAX = 128 };

struct weir_steer_plan {
	uint32_t socket_count;
	uint16_t socket[WEIR_STEER_SOCKETS_MAX]; /* which socket stands at each place */
	struct weir_steer_range of_cpu[WEIR_STEER_CPUS_MAX];
};

/* Steer connections to the `plan->socket_count` sockets, which listen on the same port. May take some
 * milliseconds. 0, or -errno with the reason in `why`: -ENOSYS (built without libbpf), -EPERM (needs
 * CAP_BPF and CAP_NET_ADMIN), -EBUSY (they are steered already, as a socket is in one array only), or what
 * the kernel refused; then nothing has changed. */
int weir_steer_attach(const struct weir_steer_plan *plan, const int *sockets, char why[WEIR_STEER_WHY_BYTES_MAX]);
#endif

#endif
