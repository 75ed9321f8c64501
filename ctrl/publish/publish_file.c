#include "ctrl/publish/publish_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/publish/publish.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/shm/snapshot.h"

/* A snapshot of this size holds tens of millions of routes; a larger file is not one of ours. */
#define FILE_BYTES_MAX (INT64_C(16) << 30)

enum { COPY_BYTES = 65536 };

int weir_publish_memfd_create(size_t bytes, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close)
	int fd = memfd_create("weir-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || ftruncate(fd, (off_t)bytes) == -1)
		return -errno;
	*out_fd = fd;
	fd = -1;
	return 0;
}

int weir_publish_file_write(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const char *at = data;

	while (bytes > 0) {
		const ssize_t written = pwrite(fd, at, bytes, (off_t)offset);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return -errno;
		at += written;
		offset += (uint64_t)written;
		bytes -= (size_t)written;
	}
	return 0;
}

int weir_publish_memfd_seal(int fd)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	return fcntl(fd, F_ADD_SEALS, seals) == -1 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		const ssize_t written = write(fd, data, bytes);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return -errno;
		data += written;
		bytes -= (size_t)written;
	}
	return 0;
}

/* Make the new name last: the folder's entry reaches the disk too. */
static int sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const int bytes = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);

	(void)snprintf(folder, sizeof(folder), "%.*s", bytes,
		       slash == NULL ? "." : path); /* checked */
	WEIR_CLEANUP(weir_fd_close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || fsync(fd) == -1)
		return -errno;
	return 0;
}

static int write_file(const char *path, const void *data, size_t bytes)
{
	WEIR_CLEANUP(weir_fd_close)
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1 || fchmod(fd, 0600) == -1)
		return -errno;
	const int result = write_all(fd, data, bytes);

	if (result != 0)
		return result;
	return fsync(fd) == -1 ? -errno : 0;
}

int weir_publish_save(int snapshot_fd, const char *path)
{
	WEIR_CLEANUP(weir_snapshot_detach) struct weir_snapshot snapshot = {0};
	char temporary[PATH_MAX];
	const int length = snprintf(temporary, sizeof(temporary), "%s.new", path);

	if (length < 0 || (size_t)length >= sizeof(temporary))
		return -ENAMETOOLONG;
	int result = weir_snapshot_attach(snapshot_fd, &snapshot);

	if (result != 0)
		return result;
	result = write_file(temporary, snapshot.header, snapshot.header->bytes);
	if (result == 0 && rename(temporary, path) == -1)
		result = -errno;
	if (result != 0) {
		(void)unlink(temporary); /* it may not be there; the old file stays as it was */
		return result;
	}
	return sync_folder(path);
}

/* Copy `bytes` bytes; -EBADMSG if the file ends before. */
static int copy(int from_fd, int to_fd, size_t bytes)
{
	char buffer[COPY_BYTES];

	while (bytes > 0) {
		const size_t wanted = bytes < sizeof(buffer) ? bytes : sizeof(buffer);
		const ssize_t got = read(from_fd, buffer, wanted);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -errno;
		if (got == 0)
			return -EBADMSG;
		const int result = write_all(to_fd, buffer, (size_t)got);

		if (result != 0)
			return result;
		bytes -= (size_t)got;
	}
	return 0;
}

int weir_publish_load(const char *path, int *out_fd)
{
	WEIR_CLEANUP(weir_fd_close) int file_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	struct weir_snapshot snapshot = {0};
	struct stat status;

	if (file_fd == -1 || fstat(file_fd, &status) == -1)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_BYTES_MAX ||
	    status.st_size < (off_t)sizeof(struct weir_snapshot_header))
		return -EBADMSG;
	int result = weir_publish_memfd_create((size_t)status.st_size, &fd);

	if (result == 0)
		result = copy(file_fd, fd, (size_t)status.st_size);
	if (result == 0)
		result = weir_publish_memfd_seal(fd);
	if (result == 0)
		result = weir_snapshot_attach(fd, &snapshot);
	if (result != 0)
		return result;
	weir_snapshot_detach(&snapshot);
	*out_fd = fd;
	fd = -1;
	return 0;
}
