#include "dataplane/base/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int weir_rights_drop(uint32_t kept)
{
	/* 1 and not 0: a core pattern that names a program ignores 0, but the kernel takes 1 as "none"
	 * for programs too (core(5)), and no file fits into it. */
	const struct rlimit core = {.rlim_cur = 1, .rlim_max = 1};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &core) != 0)
		return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return -errno;
	if (syscall(SYS_capget, &header, data) != 0)
		return -errno;
	data[0].effective &= kept;
	data[0].permitted &= kept;
	data[0].inheritable = 0;
	memset(&data[1], 0, sizeof(data) - sizeof(data[0]));
	if (syscall(SYS_capset, &header, data) != 0)
		return -errno;
	return 0;
}
