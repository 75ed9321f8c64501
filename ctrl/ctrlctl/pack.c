#include "ctrl/ctrlctl/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

static void writer_free(struct archive **writer)
{
	(void)archive_write_free(*writer); /* an error was found at close */
}

static void tree_close(FTS **tree)
{
	if (*tree != NULL)
		(void)fts_close(*tree);
}

static void entry_free(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

static enum weir_ctl_exit broken(const char *path, const char *why)
{
	return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot pack %s: %s", path,
			     why == NULL ? strerror(errno) : why);
}

bool weir_ctl_pack_skips(const char *name)
{
	static const char *const names[] = {".git", "__pycache__", ".DS_Store"};
	static const char *const endings[] = {"~", ".swp", ".swo", ".swx"};
	const size_t bytes = strlen(name);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		const size_t ending = strlen(endings[i]);

		if (bytes > ending && strcmp(name + bytes - ending, endings[i]) == 0)
			return true;
	}
	return strncmp(name, ".#", 2) == 0; /* Emacs' locks */
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* The bytes of one file, behind its header. */
static bool file_write(struct archive *archive, const char *path, int64_t bytes)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char data[65536];

	while (fd != -1 && bytes > 0) {
		const ssize_t got = read(fd, data, sizeof(data));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) /* shorter than a moment ago: it is being written */
			return false;
		const size_t take = got < bytes ? (size_t)got : (size_t)bytes;

		if (archive_write_data(archive, data, take) != (la_ssize_t)take)
			return false;
		bytes -= (int64_t)take;
	}
	return fd != -1;
}

/* One thing of the tree. */
static enum weir_ctl_exit item_write(struct archive *archive, const FTSENT *item,
				     const char *name)
{
	WEIR_CLEANUP(entry_free) struct archive_entry *entry = archive_entry_new();
	const struct stat *info = item->fts_statp;
	char target[PATH_MAX] = "";

	if (entry == NULL)
		return broken(item->fts_path, "no memory");
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, S_ISDIR(info->st_mode)   ? AE_IFDIR
					  : S_ISLNK(info->st_mode) ? AE_IFLNK
								   : AE_IFREG);
	archive_entry_set_perm(entry, S_ISDIR(info->st_mode) || (info->st_mode & 0100) != 0 ? 0755
											   : 0644);
	archive_entry_set_size(entry, S_ISREG(info->st_mode) ? info->st_size : 0);
	if (S_ISLNK(info->st_mode)) {
		if (readlink(item->fts_accpath, target, sizeof(target) - 1) == -1)
			return broken(item->fts_path, NULL);
		archive_entry_set_symlink(entry, target);
	}
	if (archive_write_header(archive, entry) != ARCHIVE_OK)
		return broken(item->fts_path, archive_error_string(archive));
	if (S_ISREG(info->st_mode) && !file_write(archive, item->fts_accpath, info->st_size))
		return broken(item->fts_path, NULL);
	return WEIR_CTL_OK;
}

static enum weir_ctl_exit tree_write(struct archive *archive, const char *path)
{
	char *const paths[] = {strdupa(path), NULL};
	WEIR_CLEANUP(tree_close) FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	const size_t prefix = strlen(path) + (path[strlen(path) - 1] == '/' ? 0 : 1);
	FTSENT *item = NULL;

	if (tree == NULL)
		return broken(path, NULL);
	while ((item = fts_read(tree)) != NULL) {
		enum weir_ctl_exit code = WEIR_CTL_OK;

		if (item->fts_info == FTS_DP || item->fts_level == 0)
			continue;
		if (weir_ctl_pack_skips(item->fts_name)) {
			(void)fts_set(tree, item, FTS_SKIP);
			continue;
		}
		if (item->fts_info == FTS_F || item->fts_info == FTS_D ||
		    item->fts_info == FTS_SL || item->fts_info == FTS_SLNONE)
			code = item_write(archive, item, item->fts_path + prefix);
		else
			code = broken(item->fts_path,
				      item->fts_errno != 0 ? strerror(item->fts_errno)
							   : "neither file, directory nor link");
		if (code != WEIR_CTL_OK)
			return code;
	}
	return WEIR_CTL_OK;
}

static enum weir_ctl_exit directory_pack(const char *path, int fd)
{
	WEIR_CLEANUP(writer_free) struct archive *archive = archive_write_new();
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (archive == NULL)
		return broken(path, "no memory");
	(void)archive_write_set_format_pax_restricted(archive);
	(void)archive_write_set_bytes_in_last_block(archive, 1);
	if (archive_write_open_fd(archive, fd) != ARCHIVE_OK)
		return broken(path, archive_error_string(archive));
	code = tree_write(archive, path);
	if (code == WEIR_CTL_OK && archive_write_close(archive) != ARCHIVE_OK)
		code = broken(path, archive_error_string(archive));
	return code;
}

/* Whoever writes to it meanwhile may make it shorter, which a mapping of the file itself does not bear. */
static enum weir_ctl_exit file_copy(const char *path, int from, int to)
{
	ssize_t moved = 0;

	do {
		moved = sendfile(to, from, NULL, 1 << 20);
	} while (moved > 0 || (moved == -1 && errno == EINTR));
	return moved == 0 ? WEIR_CTL_OK : broken(path, NULL);
}

static enum weir_ctl_exit pack_map(const char *path, int fd, struct weir_ctl_pack *pack)
{
	struct stat info;

	if (fstat(fd, &info) != 0)
		return broken(path, NULL);
	if (info.st_size == 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s is empty", path);
	pack->bytes = (size_t)info.st_size;
	pack->data = mmap(NULL, pack->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	return pack->data == MAP_FAILED ? broken(path, NULL) : WEIR_CTL_OK;
}

enum weir_ctl_exit weir_ctl_pack_open(const char *path, struct weir_ctl_pack *out_pack)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe must not hold us */
	WEIR_CLEANUP(weir_fd_close) int packed = -1;
	struct weir_ctl_pack pack = {.data = NULL};
	char whole[PATH_MAX];
	struct stat info;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (fd == -1 || fstat(fd, &info) != 0 || realpath(path, whole) == NULL)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the code '%s' cannot be read: %s", path,
				     strerror(errno));
	if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "'%s' is neither a file nor a directory",
				     path);
	(void)snprintf(pack.name, sizeof(pack.name), "%s", basename(whole)); /* a name fits */
	pack.is_directory = S_ISDIR(info.st_mode);
	if (pack.is_directory) {
		packed = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (packed == -1)
			packed = memfd_create("weir-code", MFD_CLOEXEC);
		code = packed == -1 ? broken(path, NULL) : directory_pack(path, packed);
	} else {
		packed = memfd_create("weir-code", MFD_CLOEXEC);
		code = packed == -1 ? broken(path, NULL) : file_copy(path, fd, packed);
	}
	if (code == WEIR_CTL_OK)
		code = pack_map(path, packed, &pack);
	if (code == WEIR_CTL_OK)
		*out_pack = pack;
	return code;
}

void weir_ctl_pack_close(struct weir_ctl_pack *pack)
{
	if (pack->data != NULL)
		(void)munmap(pack->data, pack->bytes);
	pack->data = NULL;
}
