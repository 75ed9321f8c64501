#include <errno.h>
#include <stdio.h>

#include "bpf/steer.h"

int weir_steer_attach(const struct weir_steer_plan *plan, const int *sockets, char why[WEIR_STEER_WHY_BYTES_MAX])
{
	(void)plan;
	(void)sockets;
	(void)snprintf(why, WEIR_STEER_WHY_BYTES_MAX, "Weir was built without clang, bpftool or libbpf");
	return -ENOSYS;
}
