#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctrl/code/code_internal.h"
#include "dataplane/base/cleanup.h"

enum { BLOCK_BYTES = 65536 };

/* One archive on its way to the disk. */
struct unpack {
	struct archive *from;
	struct archive *to;
	const char *folder;
	uint64_t bytes;
	uint64_t entries;
	struct weir_code_error *error;
};

static void reader_free(struct archive **reader)
{
	(void)archive_read_free(*reader); /* frees all the same */
}

static void writer_free(struct archive **writer)
{
	(void)archive_write_free(*writer);
}

bool weir_code_name_inside(const char *name)
{
	size_t depth = 0;

	if (name[0] == '/' || name[0] == '\0' || strlen(name) > 1024)
		return false;
	for (const char *at = name; *at != '\0';) {
		const size_t bytes = strcspn(at, "/");

		if ((bytes == 2 && memcmp(at, "..", 2) == 0) || ++depth > WEIR_CODE_DEPTH_MAX)
			return false;
		at += bytes + (at[bytes] == '/' ? 1 : 0);
	}
	for (const char *at = name; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	}
	return true;
}

/* First some "..", fewer than it lies deep, then names without any: so it leads out neither by itself nor
 * through another link of the archive. */
bool weir_code_link_inside(const char *name, const char *target)
{
	int depth = 0;
	bool names = false;

	if (target[0] == '/' || target[0] == '\0')
		return false;
	for (const char *at = name; (at = strchr(at, '/')) != NULL; at++)
		depth++;
	for (const char *at = target; *at != '\0';) {
		const size_t bytes = strcspn(at, "/");
		const bool up = bytes == 2 && memcmp(at, "..", 2) == 0;

		if (up && (names || --depth < 0))
			return false;
		names = names || (!up && bytes != 0);
		at += bytes + (at[bytes] == '/' ? 1 : 0);
	}
	return true;
}

static int refuse(struct unpack *unpack, const char *name, const char *why)
{
	return weir_code_fail(unpack->error, -EINVAL, "the archive's entry '%.200s' %s", name,
			      why);
}

static int entry_check(struct unpack *unpack, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);
	const char *target = archive_entry_symlink(entry);
	const mode_t type = archive_entry_filetype(entry);

	if (name == NULL || !weir_code_name_inside(name))
		return refuse(unpack, name == NULL ? "" : name,
			      "has a name that leads out of the folder, or is too deep");
	if (++unpack->entries > WEIR_CODE_ENTRIES_MAX)
		return weir_code_fail(unpack->error, -EFBIG,
				      "the archive has more than %d entries",
				      WEIR_CODE_ENTRIES_MAX);
	if (archive_entry_hardlink(entry) != NULL)
		return refuse(unpack, name, "is a hard link; store the file twice instead");
	if (type == AE_IFLNK)
		return target != NULL && weir_code_link_inside(name, target)
			       ? 0
			       : refuse(unpack, name, "is a link that leads out of the folder");
	return type == AE_IFREG || type == AE_IFDIR
		       ? 0
		       : refuse(unpack, name, "is neither a file, a folder nor a link");
}

/* Where it goes, and with which rights. */
static int entry_settle(struct unpack *unpack, struct archive_entry *entry)
{
	char path[WEIR_CODE_PATH_BYTES_MAX + 1100];
	const bool program = archive_entry_filetype(entry) == AE_IFDIR ||
			     (archive_entry_perm(entry) & 0111) != 0;

	(void)snprintf(path, sizeof(path), "%s/%s", unpack->folder,
		       archive_entry_pathname(entry)); /* fits */
	archive_entry_copy_pathname(entry, path);
	archive_entry_set_perm(entry, program ? 0755 : 0644);
	archive_entry_unset_mtime(entry);
	archive_entry_unset_atime(entry);
	archive_entry_unset_ctime(entry);
	archive_entry_xattr_clear(entry);
	archive_entry_acl_clear(entry);
	if (archive_write_header(unpack->to, entry) >= ARCHIVE_WARN)
		return 0;
	return weir_code_fail(unpack->error, -EIO, "cannot unpack '%.200s': %s",
			      path + strlen(unpack->folder) + 1,
			      archive_error_string(unpack->to));
}

static int broken(struct unpack *unpack)
{
	const char *why = archive_error_string(unpack->from);

	return weir_code_fail(unpack->error, -EINVAL, "this is no tar or zip archive, or a broken one: %s",
			      why == NULL ? "it ends too soon" : why);
}

static int data_copy(struct unpack *unpack)
{
	const void *data = NULL;
	size_t bytes = 0;
	la_int64_t offset = 0;
	int code = 0;

	while ((code = archive_read_data_block(unpack->from, &data, &bytes, &offset)) ==
	       ARCHIVE_OK) {
		/* A sparse file's holes count as well. */
		if (offset < 0 || (uint64_t)offset > WEIR_CODE_UNPACKED_BYTES_MAX ||
		    bytes > WEIR_CODE_UNPACKED_BYTES_MAX - unpack->bytes)
			return weir_code_fail(unpack->error, -EFBIG,
					      "the archive holds more than %d MiB",
					      WEIR_CODE_UNPACKED_BYTES_MAX >> 20);
		unpack->bytes += bytes;
		if (archive_write_data_block(unpack->to, data, bytes, offset) < ARCHIVE_WARN)
			return weir_code_fail(unpack->error, -EIO, "cannot unpack: %s",
					      archive_error_string(unpack->to));
	}
	return code == ARCHIVE_EOF ? 0 : broken(unpack);
}

static int entries_copy(struct unpack *unpack)
{
	struct archive_entry *entry = NULL;
	int code = 0;

	while ((code = archive_read_next_header(unpack->from, &entry)) == ARCHIVE_OK) {
		int result = entry_check(unpack, entry);

		if (result == 0)
			result = entry_settle(unpack, entry);
		if (result == 0)
			result = data_copy(unpack);
		if (result != 0)
			return result;
	}
	if (code != ARCHIVE_EOF)
		return broken(unpack);
	return unpack->entries > 0 ? 0
				   : weir_code_fail(unpack->error, -EINVAL, "the archive is empty");
}

int weir_code_unpack(int fd, const char *path, struct weir_code_error *error)
{
	WEIR_CLEANUP(reader_free) struct archive *from = archive_read_new();
	WEIR_CLEANUP(writer_free) struct archive *to = archive_write_disk_new();
	char folder[PATH_MAX];
	struct unpack unpack = {.from = from, .to = to, .folder = folder, .error = error};

	if (from == NULL || to == NULL)
		return weir_code_fail(error, -ENOMEM, "not enough memory to unpack");
	/* A link that an earlier entry made and a later one would be written through is replaced. The
	 * library looks at the whole path, so the folder's own must be without links. */
	if (realpath(path, folder) == NULL)
		return weir_code_fail(error, -errno, "cannot unpack: %s", strerror(errno));
	(void)archive_write_disk_set_options(to, ARCHIVE_EXTRACT_SECURE_NODOTDOT |
							 ARCHIVE_EXTRACT_SECURE_SYMLINKS |
							 ARCHIVE_EXTRACT_UNLINK |
							 ARCHIVE_EXTRACT_SPARSE |
							 ARCHIVE_EXTRACT_PERM);
	(void)archive_read_support_format_tar(from);
	(void)archive_read_support_format_zip(from);
	(void)archive_read_support_filter_gzip(from);
	(void)archive_read_support_filter_xz(from);
	(void)archive_read_support_filter_zstd(from);
	if (archive_read_open_fd(from, fd, BLOCK_BYTES) != ARCHIVE_OK)
		return broken(&unpack);
	return entries_copy(&unpack);
}
