#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/load_probe_map.h"
#include "dataplane/base/clock.h"
#include "dataplane/shm/load.h"

/* The build makes it of load_probe.bpf.c, object and all. */
#include <load_probe.skel.h>

enum { OPTIONAL_PROGRAMS = 2 }; /* weir_block_... */

/* PROC_PID_INIT_INO of the kernel's proc_ns.h: how the first pid namespace can be told. */
static const ino_t initial_pid_namespace = 0xeffffffc;

/* libbpf's words are for those who write programs; ours are in `why`. */
static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static bool is_optional(const struct bpf_program *program)
{
	return strncmp(bpf_program__name(program), "weir_block", strlen("weir_block")) == 0;
}

/* Load all that must be and those optional programs whose bits are set, in the object's order. */
static int load(unsigned int on, struct weir_load_probe **out_skeleton)
{
	struct weir_load_probe *const skeleton = weir_load_probe__open();
	struct bpf_program *program = NULL;
	unsigned int place = 0;
	int result = 0;

	if (skeleton == NULL)
		return errno == 0 ? -ENOMEM : -errno;
	bpf_object__for_each_program(program, skeleton->obj)
		(void)bpf_program__set_autoload(program, !is_optional(program) || (on & 1u << place++) != 0);
	result = weir_load_probe__load(skeleton);
	if (result != 0) {
		weir_load_probe__destroy(skeleton);
		return result;
	}
	*out_skeleton = skeleton;
	return 0;
}

/* A program that the kernel refuses takes all of its object with it. *context: the newest that was taken. */
static bool loads(void *context, unsigned int on)
{
	struct weir_load_probe **const kept = context;
	struct weir_load_probe *skeleton = NULL;

	if (load(on, &skeleton) != 0)
		return false;
	weir_load_probe__destroy(*kept);
	*kept = skeleton;
	return true;
}

/* A descriptor of our own beside the skeleton's, which go with it. */
static int fd_add(struct weir_probe *probe, int fd)
{
	const int copy = probe->fd_count < WEIR_PROBE_FDS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (copy == -1)
		return probe->fd_count < WEIR_PROBE_FDS_MAX ? -errno : -EMFILE;
	probe->fd[probe->fd_count++] = copy;
	return 0;
}

static int attach_one(struct weir_probe *probe, const struct bpf_program *program)
{
	struct bpf_link *const link = bpf_program__attach(program);
	int result = 0;

	if (link == NULL)
		return errno == 0 ? -EINVAL : -errno;
	result = fd_add(probe, bpf_link__fd(link));
	(void)bpf_link__destroy(link); /* closes its descriptor; ours keeps the program attached */
	return result;
}

/* "sched_switch": what a program is run at. */
static const char *event_of(const struct bpf_program *program)
{
	const char *const section = bpf_program__section_name(program);
	const char *const slash = strrchr(section, '/');

	return slash == NULL ? section : slash + 1;
}

static void name_add(char *names, size_t bytes, const char *name)
{
	const size_t used = strlen(names);

	(void)snprintf(names + used, bytes - used, "%s%s", used == 0 ? "" : ", ", name); /* cut is fine */
}

/* Optional programs that cannot be attached are left out. */
static int attach(struct weir_probe *probe, const struct weir_load_probe *skeleton, char why[WEIR_LOAD_WHY_BYTES_MAX])
{
	char lacks[WEIR_LOAD_WHY_BYTES_MAX / 2] = "";
	struct bpf_program *program = NULL;

	bpf_object__for_each_program(program, skeleton->obj) {
		const int result = bpf_program__autoload(program) ? attach_one(probe, program) : -ENOENT;

		if (result != 0 && !is_optional(program))
			return result;
		if (result == 0)
			name_add(why, WEIR_LOAD_WHY_BYTES_MAX, event_of(program));
		else
			name_add(lacks, sizeof(lacks), event_of(program));
	}
	if (lacks[0] != '\0') {
		const size_t used = strlen(why);

		(void)snprintf(why + used, WEIR_LOAD_WHY_BYTES_MAX - used,
			       "; time in block devices is not measured: this kernel does not give %s", lacks);
	}
	return 0;
}

static int probe_fill(struct weir_probe *probe, const struct weir_load_probe *skeleton,
		      char why[WEIR_LOAD_WHY_BYTES_MAX])
{
	int result = fd_add(probe, bpf_map__fd(skeleton->maps.weir_load));

	if (result == 0)
		result = fd_add(probe, bpf_map__fd(skeleton->maps.bss));
	if (result == 0)
		result = weir_probe_map(probe);
	if (result != 0)
		return result;
	weir_load_format(probe->board, WEIR_LOAD_SOURCE_PROBES, weir_clock_now_ns());
	return attach(probe, skeleton, why);
}

static bool in_first_pid_namespace(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == initial_pid_namespace;
}

static const char *reason(int error)
{
	if (error == -EPERM || error == -EACCES)
		return "needs root, or CAP_BPF and CAP_PERFMON";
	if (error == -EXDEV)
		return "runs in a pid namespace, where the kernel's numbers of processes are not ours";
	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		return "this kernel does not describe its types (no /sys/kernel/btf/vmlinux)";
	return "the kernel refused the programs";
}

static int say(int error, char why[WEIR_LOAD_WHY_BYTES_MAX])
{
	(void)snprintf(why, WEIR_LOAD_WHY_BYTES_MAX, "%s (%s)", reason(error), strerror(-error));
	return error;
}

int weir_probe_open(struct weir_probe *out_probe, char why[WEIR_LOAD_WHY_BYTES_MAX])
{
	struct weir_probe probe = {.fd_count = 0};
	struct weir_load_probe *skeleton = NULL;
	int result = 0;

	(void)libbpf_set_print(quiet);
	why[0] = '\0';
	if (libbpf_num_possible_cpus() > WEIR_PROBE_CPUS_MAX)
		return say(-E2BIG, why);
	if (!in_first_pid_namespace())
		return say(-EXDEV, why);
	(void)weir_probe_choose(OPTIONAL_PROGRAMS, loads, &skeleton); /* it has the programs that were chosen */
	result = skeleton != NULL ? 0 : load(0, &skeleton);
	if (result != 0)
		return say(result, why);
	result = probe_fill(&probe, skeleton, why);
	weir_load_probe__destroy(skeleton);
	if (result != 0) {
		weir_probe_close(&probe);
		return say(result, why);
	}
	*out_probe = probe;
	return 0;
}
