#include "ctrl/code/func_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/code/code_internal.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

#define MODULE "function.wasm"
#define MODULE_NEW MODULE ".new"

enum { PIECE_BYTES = 1 << 30 };

/* Enter the folder `name` of *fd (at first the working directory), made where it is missing. 0 or -errno. */
static int enter(int *fd, const char *name)
{
	const int above = *fd == -1 ? AT_FDCWD : *fd;
	const bool is_there = mkdirat(above, name, 0755) == 0 || errno == EEXIST;
	const int below = is_there ? openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	const int result = below == -1 ? -errno : 0;

	weir_fd_close(fd);
	*fd = below;
	return result;
}

static int copy(int from, int to)
{
	ssize_t sent = 0;

	do {
		sent = sendfile(to, from, NULL, PIECE_BYTES);
	} while (sent > 0 || (sent == -1 && errno == EINTR));
	return sent == 0 && fsync(to) == 0 ? 0 : -errno;
}

static int module_write(int folder, const char *path)
{
	WEIR_CLEANUP(weir_fd_close) int from = open(path, O_RDONLY | O_CLOEXEC);
	int result = 0;

	if (from == -1 || (unlinkat(folder, MODULE_NEW, 0) != 0 && errno != ENOENT))
		return -errno;
	WEIR_CLEANUP(weir_fd_close) int to =
		openat(folder, MODULE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	result = to == -1 ? -errno : copy(from, to);
	if (result == 0 && renameat(folder, MODULE_NEW, folder, MODULE) != 0)
		result = -errno;
	if (result != 0)
		(void)unlinkat(folder, MODULE_NEW, 0); /* or the next one replaces it */
	return result;
}

int weir_func_root_write(const char *root, const char *user, const char *function, const char *path,
			 struct weir_code_error *error)
{
	const char *const names[] = {root, "wasm", user, function};
	WEIR_CLEANUP(weir_fd_close) int folder = -1;
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(names) / sizeof(names[0]); i++)
		result = enter(&folder, names[i]);
	if (result == 0)
		result = module_write(folder, path);
	if (result == 0)
		return 0;
	return weir_code_fail(error, result,
			      "FUNC_ROOT: %.256s/wasm/%s/%s/" MODULE " cannot be written: %s; free it, or start Weir "
			      "without FUNC_ROOT",
			      root, user, function, strerror(-result));
}
