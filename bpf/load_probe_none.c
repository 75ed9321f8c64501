#include <errno.h>
#include <stdio.h>

#include "bpf/load_probe.h"

int weir_probe_open(struct weir_probe *out_probe, char why[WEIR_LOAD_WHY_BYTES_MAX])
{
	(void)out_probe;
	(void)snprintf(why, WEIR_LOAD_WHY_BYTES_MAX, "Weir was built without clang, bpftool or libbpf");
	return -ENOSYS;
}
