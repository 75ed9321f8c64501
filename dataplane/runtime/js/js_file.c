#include "dataplane/runtime/js/js_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

/* One step down from `fd`, which is closed: a folder, or the file at the path's end. -1: there is none. */
static int step(int fd, const char **path)
{
	WEIR_CLEANUP(weir_fd_close) int folder_fd = fd;
	char part[WEIR_JS_PATH_BYTES_MAX];
	const size_t bytes = strcspn(*path, "/");

	if (bytes == 0 || bytes >= sizeof(part) || (bytes <= 2 && strncmp(*path, "..", bytes) == 0))
		return -1;
	memcpy(part, *path, bytes);
	part[bytes] = '\0';
	*path += bytes;
	if (**path == '\0')
		return openat(folder_fd, part, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	(*path)++;
	return openat(folder_fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int file_open(const struct weir_js_function *function, const char *path)
{
	const size_t folder_bytes = (size_t)(function->file - function->path);
	char folder[WEIR_JS_PATH_BYTES_MAX];
	int fd = -1;

	if (strcmp(path, function->file) == 0)
		return open(function->path, O_RDONLY | O_CLOEXEC);
	if (folder_bytes >= sizeof(folder) || *path == '\0')
		return -1;
	memcpy(folder, function->path, folder_bytes);
	folder[folder_bytes] = '\0';
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	while (fd != -1 && *path != '\0')
		fd = step(fd, &path);
	return fd;
}

int64_t weir_js_file_bytes(const struct weir_js_function *function, const char *path)
{
	WEIR_CLEANUP(weir_fd_close) int fd = file_open(function, path);
	struct stat status;

	if (fd == -1 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > WEIR_JS_FILE_BYTES_MAX)
		return -ENOENT;
	return status.st_size;
}

int64_t weir_js_file_read(const struct weir_js_function *function, const char *path, void *out,
			  size_t bytes)
{
	WEIR_CLEANUP(weir_fd_close) int fd = file_open(function, path);
	size_t used = 0;

	if (fd == -1)
		return -ENOENT;
	while (used < bytes) {
		const ssize_t got = read(fd, (uint8_t *)out + used, bytes - used);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (int64_t)used;
}
