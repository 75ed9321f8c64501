#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/log.h"

/* True where standard error is the file at `path` and appends to it. */
static bool is_standard_error(const char *path, const struct stat *status)
{
	struct stat named;

	return S_ISREG(status->st_mode) && stat(path, &named) == 0 &&
	       named.st_dev == status->st_dev && named.st_ino == status->st_ino &&
	       (fcntl(STDERR_FILENO, F_GETFL) & O_APPEND) != 0;
}

/* Copy `bytes` bytes from the start of `path` to a new file `copy_path`. 0 or -errno. */
static int file_copy(const char *path, const char *copy_path, off_t bytes)
{
	WEIR_CLEANUP(weir_fd_close) int from = open(path, O_RDONLY | O_CLOEXEC);
	WEIR_CLEANUP(weir_fd_close) int to = -1;

	if (from == -1)
		return -errno;
	to = open(copy_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to == -1)
		return -errno;
	for (off_t done = 0; done < bytes;) {
		const ssize_t copied = sendfile(to, from, NULL, (size_t)(bytes - done));

		if (copied < 0)
			return -errno;
		if (copied == 0)
			break; /* cut by somebody else meanwhile */
		done += copied;
	}
	return 0;
}

int weir_log_rotate(const char *path, uint64_t bytes_max)
{
	char older[PATH_MAX];
	char fresh[PATH_MAX];
	struct stat status;
	int error = 0;

	if (fstat(STDERR_FILENO, &status) != 0)
		return -errno;
	if ((uint64_t)status.st_size <= bytes_max || !is_standard_error(path, &status))
		return 0;
	if (snprintf(older, sizeof(older), "%s.1", path) >= (int)sizeof(older) ||
	    snprintf(fresh, sizeof(fresh), "%s.1.new", path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	error = file_copy(path, fresh, status.st_size);
	if (error == 0 && rename(fresh, older) != 0)
		error = -errno;
	if (error != 0) {
		(void)unlink(fresh); /* may not even exist */
		return error;
	}
	return ftruncate(STDERR_FILENO, 0) == 0 ? 1 : -errno;
}
