#include "dataplane/base/program_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELETED " (deleted)" /* what the kernel appends when the file was replaced by a newer one */

int weir_program_path_find(const char *name, char out_path[PATH_MAX])
{
	char path[PATH_MAX];
	const char *directory = getenv("WEIR_LIBEXEC");
	char own[PATH_MAX];
	int length = 0;

	if (directory == NULL || directory[0] == '\0') {
		const ssize_t bytes = readlink("/proc/self/exe", own, sizeof(own) - 1);
		char *slash = NULL;

		if (bytes == -1)
			return -errno;
		own[bytes] = '\0';
		if ((size_t)bytes > strlen(DELETED) && strcmp(own + (size_t)bytes - strlen(DELETED), DELETED) == 0)
			own[(size_t)bytes - strlen(DELETED)] = '\0';
		slash = strrchr(own, '/');
		if (slash == NULL)
			return -ENOENT;
		*slash = '\0';
		directory = own;
	}
	length = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	if (access(path, X_OK) != 0)
		return -ENOENT;
	memcpy(out_path, path, (size_t)length + 1);
	return 0;
}
