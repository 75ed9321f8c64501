/* Landlock (Linux 5.13), from version 1 to what is known here. The kernel's header may be older than
 * the kernel, so the layout stands here: it is ABI. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/sandbox/layers.h"

enum {
	CALL_CREATE_RULESET = 444, /* the same number everywhere */
	CALL_ADD_RULE = 445,
	CALL_RESTRICT_SELF = 446,
	CREATE_VERSION = 1,
	RULE_PATH_BENEATH = 1,

	ACCESS_EXECUTE = 1 << 0,
	ACCESS_WRITE_FILE = 1 << 1,
	ACCESS_WRITING_V1 = 0x1ff2, /* WRITE_FILE, REMOVE_DIR .. MAKE_SYM */
	ACCESS_REFER = 1 << 13,     /* version 2 */
	ACCESS_TRUNCATE = 1 << 14,  /* 3 */
	ACCESS_IOCTL_DEV = 1 << 15, /* 5 */
	NET_BIND_CONNECT_TCP = 3,   /* 4 */
	SCOPE_SOCKET_SIGNAL = 3,    /* 6: abstract Unix sockets, signals */
};

struct ruleset {
	uint64_t handled_fs;
	uint64_t handled_net; /* version 4 */
	uint64_t scoped;      /* 6 */
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

int weir_sandbox_landlock_version(void)
{
	const long version = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_VERSION);

	return version < 0 ? 0 : (int)version;
}

static size_t ruleset_bytes(int version)
{
	return version >= 6 ? 24 : version >= 4 ? 16 : 8;
}

static uint64_t writing(int version)
{
	return ACCESS_WRITING_V1 | (version >= 2 ? (uint64_t)ACCESS_REFER : 0) |
	       (version >= 3 ? (uint64_t)ACCESS_TRUNCATE : 0);
}

/* Allow `access` at and beneath `path`; a path that is not there needs no rule. */
static int path_allow(int ruleset_fd, const char *path, uint64_t access)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_PATH | O_CLOEXEC);
	const struct path_beneath rule = {.allowed = access, .parent_fd = fd};

	if (fd == -1)
		return errno == ENOENT ? 0 : -errno;
	return syscall(CALL_ADD_RULE, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) == 0 ? 0 : -errno;
}

static int rules_add(int ruleset_fd, const char *scratch, int version)
{
	static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full"};
	const uint64_t device_access = writing(version) & (ACCESS_WRITE_FILE | ACCESS_TRUNCATE);
	int result = scratch == NULL ? 0 : path_allow(ruleset_fd, scratch, writing(version));

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]) && result == 0; i++)
		result = path_allow(ruleset_fd, devices[i], device_access);
	return result;
}

int weir_sandbox_landlock_enter(const struct weir_sandbox_profile *profile, const char *scratch)
{
	const int version = weir_sandbox_landlock_version();
	struct ruleset ruleset = {
		.handled_fs = writing(version) | (version >= 5 ? (uint64_t)ACCESS_IOCTL_DEV : 0),
		.handled_net = NET_BIND_CONNECT_TCP,
		.scoped = SCOPE_SOCKET_SIGNAL,
	};
	int result = 0;

	if (version == 0)
		return -EOPNOTSUPP;
	if ((profile->flags & WEIR_SANDBOX_KEEPS) != 0)
		ruleset.handled_fs &= ~writing(version);
	if ((profile->flags & WEIR_SANDBOX_PROGRAMS) == 0)
		ruleset.handled_fs |= ACCESS_EXECUTE;
	WEIR_CLEANUP(weir_fd_close)
	int fd = (int)syscall(CALL_CREATE_RULESET, &ruleset, ruleset_bytes(version), 0);
	if (fd == -1)
		return -errno;
	if ((profile->flags & WEIR_SANDBOX_KEEPS) == 0)
		result = rules_add(fd, scratch, version);
	if (result != 0)
		return result;
	return syscall(CALL_RESTRICT_SELF, fd, 0) == 0 ? 0 : -errno;
}
