#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/steer.h"

/* The build makes it of steer.bpf.c, object and all. */
#include <steer.skel.h>

/* libbpf's words are for those who write programs; ours are in `why`. */
static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static int sockets_put(const struct weir_steer *skeleton, const struct weir_steer_plan *plan, const int *sockets)
{
	const int map = bpf_map__fd(skeleton->maps.weir_steer_sockets);

	for (uint32_t place = 0; place < plan->socket_count; place++) {
		const uint64_t fd = (uint64_t)sockets[plan->socket[place]];

		if (bpf_map_update_elem(map, &place, &fd, BPF_NOEXIST) != 0)
			return errno == 0 ? -EINVAL : -errno;
	}
	return 0;
}

static int attach(struct weir_steer *skeleton, const struct weir_steer_plan *plan, const int *sockets)
{
	int program = -1;
	int result = 0;

	memcpy(skeleton->rodata->weir_steer_of_cpu, plan->of_cpu, sizeof(plan->of_cpu));
	result = weir_steer__load(skeleton);
	if (result == 0)
		result = sockets_put(skeleton, plan, sockets);
	if (result != 0)
		return result;
	program = bpf_program__fd(skeleton->progs.weir_steer);
	/* Any socket of the group stands for all. */
	if (setsockopt(sockets[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) != 0)
		return -errno;
	return 0;
}

int weir_steer_attach(const struct weir_steer_plan *plan, const int *sockets, char why[WEIR_STEER_WHY_BYTES_MAX])
{
	struct weir_steer *skeleton = NULL;
	int result = 0;

	(void)libbpf_set_print(quiet);
	why[0] = '\0';
	skeleton = weir_steer__open();
	if (skeleton == NULL)
		result = errno == 0 ? -ENOMEM : -errno;
	else
		result = attach(skeleton, plan, sockets);
	if (skeleton != NULL)
		weir_steer__destroy(skeleton);
	if (result == -EPERM || result == -EACCES)
		(void)snprintf(why, WEIR_STEER_WHY_BYTES_MAX, "eBPF needs root, or CAP_BPF and CAP_NET_ADMIN");
	else if (result != 0)
		(void)snprintf(why, WEIR_STEER_WHY_BYTES_MAX, "the kernel refused the eBPF program (%s)", strerror(-result));
	return result;
}
