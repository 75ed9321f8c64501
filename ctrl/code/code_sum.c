#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "ctrl/code/code_internal.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { COPY_BYTES = 65536, SUM_BYTES = 33 /* hex digits and the NUL */ };

static void state_free(XXH3_state_t **state)
{
	(void)XXH3_freeState(*state); /* never fails */
}

static int compare(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void update(XXH3_state_t *state, const void *data, size_t bytes)
{
	(void)XXH3_128bits_update(state, data, bytes); /* fails for NULL only */
}

/* All bytes of a file. 0 or -errno; -ECANCELED where `stop` wants that. */
static int contents_add(XXH3_state_t *state, const char *path, const struct weir_code_stop *stop)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	unsigned char data[COPY_BYTES];
	ssize_t got = 0;

	if (fd == -1)
		return -errno;
	while ((got = read(fd, data, sizeof(data))) != 0) {
		if (stop != NULL && stop->asked(stop->context))
			return -ECANCELED;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		update(state, data, (size_t)got);
	}
	return 0;
}

/* One entry: what it is, its name within the folder, whether it may be run, what it holds. */
static int entry_add(XXH3_state_t *state, const FTSENT *entry, const char *name,
		     const struct weir_code_stop *stop)
{
	char target[WEIR_CODE_PATH_BYTES_MAX];
	char head[32];
	ssize_t bytes = 0;

	switch (entry->fts_info) {
	case FTS_D:
		(void)snprintf(head, sizeof(head), "d");
		break;
	case FTS_F:
		(void)snprintf(head, sizeof(head), "f %d %lld", (entry->fts_statp->st_mode & 0100) != 0,
			       (long long)entry->fts_statp->st_size); /* fits */
		break;
	case FTS_SL:
	case FTS_SLNONE:
		bytes = readlink(entry->fts_accpath, target, sizeof(target));
		if (bytes < 0)
			return -errno;
		(void)snprintf(head, sizeof(head), "l %zd", bytes);
		break;
	default:
		return entry->fts_errno != 0 ? -entry->fts_errno : -EBADMSG; /* unreadable; or nothing that is deployed */
	}
	update(state, head, strlen(head) + 1);
	update(state, name, strlen(name) + 1);
	if (bytes > 0)
		update(state, target, (size_t)bytes);
	return entry->fts_info == FTS_F ? contents_add(state, entry->fts_accpath, stop) : 0;
}

/* Of everything in the folder of `hash`, in the order of names. 0 or -errno. */
static int sum_make(const struct weir_code *code, const char *hash, const struct weir_code_stop *stop,
		    char out[SUM_BYTES])
{
	WEIR_CLEANUP(state_free) XXH3_state_t *state = XXH3_createState();
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char *const paths[] = {folder, NULL};
	const FTSENT *entry = NULL;
	XXH128_hash_t sum;
	FTS *tree = NULL;
	int result = 0;

	(void)weir_code_path(code, hash, folder);
	if (state == NULL)
		return -ENOMEM;
	(void)XXH3_128bits_reset(state); /* fails for NULL only */
	tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, compare);
	if (tree == NULL)
		return -errno;
	while (result == 0 && (errno = 0, entry = fts_read(tree)) != NULL) {
		if (entry->fts_level > 0 && entry->fts_info != FTS_DP)
			result = entry_add(state, entry, entry->fts_path + strlen(folder), stop);
		else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR)
			result = -entry->fts_errno;
	}
	if (result == 0)
		result = -errno; /* of fts_read() */
	(void)fts_close(tree); /* it was only read */
	sum = XXH3_128bits_digest(state);
	(void)snprintf(out, SUM_BYTES, "%016llx%016llx", (unsigned long long)sum.high64,
		       (unsigned long long)sum.low64); /* fits */
	return result;
}

void weir_code_sum_write(const struct weir_code *code, const char *hash)
{
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	char path[WEIR_CODE_PATH_BYTES_MAX];
	char sum[SUM_BYTES];

	if (sum_make(code, hash, NULL, sum) != 0)
		return; /* the code is stored; weir_code_examine() says that it cannot tell */
	fd = open(weir_code_sum_path(code, hash, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd != -1 && write(fd, sum, strlen(sum)) != (ssize_t)strlen(sum))
		(void)unlink(path); /* likewise */
}

void weir_code_sum_remove(const struct weir_code *code, const char *hash)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];

	(void)unlink(weir_code_sum_path(code, hash, path)); /* there may be none */
}

/* What was noted when it was stored. False: nothing. */
static bool sum_read(const struct weir_code *code, const char *hash, char out[SUM_BYTES])
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	WEIR_CLEANUP(weir_fd_close)
	int fd = open(weir_code_sum_path(code, hash, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const ssize_t got = fd == -1 ? -1 : read(fd, out, SUM_BYTES);

	if (got != SUM_BYTES - 1)
		return false;
	out[got] = '\0';
	return strspn(out, "0123456789abcdef") == SUM_BYTES - 1;
}

int weir_code_examine(const struct weir_code *code, const char *hash, const struct weir_code_stop *stop,
		      bool *out_known)
{
	char noted[SUM_BYTES];
	char now[SUM_BYTES];
	int result = 0;

	if (!weir_code_has(code, hash))
		return -ENOENT;
	result = sum_make(code, hash, stop, now);
	if (result != 0)
		return result;
	*out_known = sum_read(code, hash, noted);
	return *out_known && strcmp(noted, now) != 0 ? -EBADMSG : 0;
}
