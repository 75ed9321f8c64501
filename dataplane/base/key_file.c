#include "dataplane/base/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

/* Under another name first, so that nobody ever finds a part of it. */
static int key_make(const char *path, size_t bytes)
{
	char fresh[PATH_MAX];
	unsigned char key[WEIR_KEY_FILE_BYTES_MAX];
	int result = 0;

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
		return -ENAMETOOLONG;
	(void)unlink(fresh); /* left by a process that died in between */
	WEIR_CLEANUP(weir_fd_close) int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -errno;
	if (getrandom(key, bytes, 0) != (ssize_t)bytes || write(fd, key, bytes) != (ssize_t)bytes || fsync(fd) != 0)
		result = -EIO;
	explicit_bzero(key, sizeof(key));
	if (result == 0 && link(fresh, path) != 0 && errno != EEXIST)
		result = -errno;
	(void)unlink(fresh);
	return result;
}

static int key_read(const char *path, void *out_key, size_t bytes)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat info;

	if (fd == -1 || fstat(fd, &info) != 0)
		return -errno;
	if ((info.st_mode & 077) != 0)
		return -EACCES;
	return info.st_size == (off_t)bytes && read(fd, out_key, bytes) == (ssize_t)bytes ? 0 : -EBADMSG;
}

int weir_key_file_open(const char *directory, const char *name, bool make, void *out_key, size_t bytes)
{
	char path[PATH_MAX];
	int result = 0;

	WEIR_ASSERT(bytes > 0 && bytes <= WEIR_KEY_FILE_BYTES_MAX);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path))
		return -ENAMETOOLONG;
	result = key_read(path, out_key, bytes);
	if (result != -ENOENT || !make)
		return result;
	result = key_make(path, bytes);
	return result == 0 ? key_read(path, out_key, bytes) : result;
}
