#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/backup/backup_file.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"
#include "dataplane/base/fd.h"

/* An object as a tar archive: its bytes, and what the format adds to each entry. */
enum { ENTRY_EXTRA_BYTES = 4096 };
#define TAR_BYTES_MAX \
	((uint64_t)WEIR_CODE_UNPACKED_BYTES_MAX + (uint64_t)WEIR_CODE_ENTRIES_MAX * ENTRY_EXTRA_BYTES)

#define OBJECT_ROWS "SELECT path, part, mode, bytes FROM backup_code WHERE hash = ?1 ORDER BY path, part"
/* One behind the other: each has its 64 digits, or is no hash. */
#define HASHES_USED \
	"SELECT group_concat(code, '') FROM (SELECT DISTINCT code FROM versions WHERE code <> '' ORDER BY code)"

static int fail(struct weir_backup_job *job, int number, const char *hash, const char *path, const char *why)
{
	(void)snprintf(job->error.text, sizeof(job->error.text), "code %.12s%s%.1024s: %s", hash,
		       path[0] == '\0' ? "" : "/", path, why);
	return number;
}

/* Do `visit` for each object that a version refers to. */
typedef int object_visit(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged, const char *hash);

/* All of them first: a visit may give them other names. */
static int hashes_read(struct weir_backup_job *job, sqlite3 *staged, char **out_hashes)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(staged, "the backup", HASHES_USED, &statement, &job->error);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(staged, code, "the backup", &job->error);
	*out_hashes = strdup(weir_sql_text(statement, 0));
	return *out_hashes == NULL ? fail(job, -ENOMEM, "", "", "not enough memory") : 0;
}

static int objects_each(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged, object_visit *visit)
{
	WEIR_CLEANUP(weir_free) char *hashes = NULL;
	char hash[WEIR_CODE_HASH_BYTES];
	int code = hashes_read(job, staged, &hashes);

	for (const char *at = hashes; code == 0 && *at != '\0'; at += strlen(hash)) {
		const size_t digits = strnlen(at, sizeof(hash) - 1); /* the first of them */

		memcpy(hash, at, digits);
		hash[digits] = '\0';
		if (!weir_code_hash_sound(hash))
			return fail(job, -EINVAL, hash, "", "this is no hash");
		code = weir_backup_job_go_on(job);
		if (code == 0)
			code = visit(job, db, staged, hash);
	}
	return code;
}

/* ---- out ---- */

/* One row of backup_code. */
struct row {
	const char *hash;
	const char *path; /* within */
	uint32_t part;
	mode_t mode;
	const void *data;
	size_t bytes;
};

static int row_write(struct weir_backup_job *job, sqlite3 *db, const struct row *row)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = weir_sql_prepare(db, job->path,
				    "INSERT INTO backup_code (hash, path, part, mode, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
				    &statement, &job->error);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 1, row->hash, -1, SQLITE_STATIC); /* errors show at the step */
	(void)sqlite3_bind_text(statement, 2, row->path, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, row->part);
	(void)sqlite3_bind_int64(statement, 4, row->mode);
	if (row->bytes == 0)
		(void)sqlite3_bind_zeroblob(statement, 5, 0);
	else
		(void)sqlite3_bind_blob64(statement, 5, row->data, row->bytes, SQLITE_STATIC);
	code = sqlite3_step(statement);
	job->report.code_bytes += S_ISREG(row->mode) ? row->bytes : 0;
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, job->path, &job->error);
}

/* The next bytes of a file, as many as there are and fit. Their count, or -errno. */
static ssize_t read_full(int fd, char *buffer, size_t max)
{
	size_t used = 0;

	while (used < max) {
		const ssize_t got = read(fd, buffer + used, max - used);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

/* A file, part by part; an empty one has one part. */
static int file_write(struct weir_backup_job *job, sqlite3 *db, struct row *row, const char *disk_path)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(disk_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	WEIR_CLEANUP(weir_free) char *buffer = malloc(WEIR_BACKUP_PART_BYTES_MAX);
	int code = 0;

	if (fd == -1)
		return fail(job, -EIO, row->hash, row->path, strerror(errno));
	if (buffer == NULL)
		return fail(job, -ENOMEM, row->hash, row->path, "not enough memory");
	do {
		const ssize_t got = read_full(fd, buffer, WEIR_BACKUP_PART_BYTES_MAX);

		if (got < 0)
			return fail(job, -EIO, row->hash, row->path, strerror((int)-got));
		if (got == 0 && row->part > 0)
			break;
		row->data = buffer;
		row->bytes = (size_t)got;
		code = weir_backup_room_check(job, row->bytes);
		if (code == 0)
			code = row_write(job, db, row);
		if (code == 0)
			code = weir_backup_job_go_on(job);
		row->part++;
		WEIR_FAULT(backup_code_part);
	} while (code == 0 && row->bytes == WEIR_BACKUP_PART_BYTES_MAX);
	return code;
}

static int entry_write(struct weir_backup_job *job, sqlite3 *db, const char *hash, size_t folder_bytes,
		       const FTSENT *entry)
{
	struct row row = {.hash = hash, .path = entry->fts_path + folder_bytes, .mode = entry->fts_statp->st_mode};
	char target[PATH_MAX];
	ssize_t bytes = 0;

	switch (entry->fts_info) {
	case FTS_D:
		return entry->fts_level == 0 ? 0 : row_write(job, db, &row);
	case FTS_F:
		return file_write(job, db, &row, entry->fts_accpath);
	case FTS_SL:
	case FTS_SLNONE:
		bytes = readlink(entry->fts_accpath, target, sizeof(target));
		if (bytes < 0)
			return fail(job, -EIO, hash, row.path, strerror(errno));
		row.data = target;
		row.bytes = (size_t)bytes;
		return row_write(job, db, &row);
	case FTS_DP:
		return 0;
	default:
		return fail(job, -EIO, hash, row.path,
			    entry->fts_errno != 0 ? strerror(entry->fts_errno) : "it is neither a file, a folder nor a link");
	}
}

static void tree_close(FTS **tree)
{
	if (*tree != NULL)
		(void)fts_close(*tree);
}

static int object_write(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged, const char *hash)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	char *const paths[] = {path, NULL};
	const size_t folder_bytes = strlen(weir_code_path(job->code, hash, path)) + 1;
	WEIR_CLEANUP(tree_close) FTS *tree = NULL;
	const FTSENT *entry = NULL;
	int code = 0;

	(void)staged;
	if (!weir_code_has(job->code, hash))
		return fail(job, -ENOENT, hash, "", "it is missing in the data directory, but a version refers to it; remove "
						    "that function, or deploy it again");
	tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (tree == NULL)
		return fail(job, -EIO, hash, "", strerror(errno));
	errno = 0;
	while (code == 0 && (entry = fts_read(tree)) != NULL)
		code = entry_write(job, db, hash, folder_bytes, entry);
	job->report.codes++;
	return code;
}

int weir_backup_code_write(struct weir_backup_job *job, sqlite3 *db)
{
	return objects_each(job, db, db, object_write);
}

/* ---- back: check ---- */

/* What is known of the object while its rows go by. */
struct object {
	const char *hash;
	char path[1026]; /* of the last entry */
	mode_t mode;
	sqlite3_int64 part; /* the last one */
	bool is_full;       /* it had all the bytes that a part may have */
	uint32_t entries;
	uint64_t bytes;
};

static const char *row_wrong(struct object *object, const char *path, sqlite3_int64 part, sqlite3_int64 mode, size_t bytes)
{
	if (part > 0)
		return strcmp(path, object->path) == 0 && part == object->part + 1 && mode == object->mode &&
				       S_ISREG(mode) && object->is_full
			       ? NULL
			       : "a part of it is missing";
	if (!weir_code_name_inside(path) || strlen(path) >= sizeof(object->path) || part != 0)
		return "its name leads out of the folder, or is too deep";
	if (mode < 0 || mode > (S_IFMT | 07777) || (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode)))
		return "it is neither a file, a folder nor a link";
	if ((S_ISDIR(mode) && bytes != 0) || (S_ISLNK(mode) && bytes >= PATH_MAX))
		return "it has too many bytes";
	return ++object->entries > WEIR_CODE_ENTRIES_MAX ? "there are too many entries" : NULL;
}

static bool link_sound(const char *path, const void *target, size_t bytes)
{
	char text[PATH_MAX];

	memcpy(text, target, bytes); /* fits: checked */
	text[bytes] = '\0';
	return strlen(text) == bytes && weir_code_link_inside(path, text);
}

static int row_check(struct weir_backup_job *job, struct object *object, sqlite3_stmt *row)
{
	const char *path = weir_sql_text(row, 0);
	const sqlite3_int64 part = sqlite3_column_int64(row, 1);
	const sqlite3_int64 mode = sqlite3_column_int64(row, 2);
	const void *data = sqlite3_column_blob(row, 3);
	const size_t bytes = (size_t)sqlite3_column_bytes(row, 3);
	const char *wrong = strlen(path) != (size_t)sqlite3_column_bytes(row, 0)
				    ? "its name holds a NUL"
				    : row_wrong(object, path, part, mode, bytes);

	if (wrong == NULL && bytes > WEIR_BACKUP_PART_BYTES_MAX)
		wrong = "a part of it is too large";
	if (wrong == NULL && S_ISLNK(mode) && (data == NULL || !link_sound(path, data, bytes)))
		wrong = "this link leads out of the folder";
	object->bytes += bytes;
	if (wrong == NULL && object->bytes > WEIR_CODE_UNPACKED_BYTES_MAX)
		wrong = "the code is too large";
	if (wrong != NULL)
		return fail(job, -EINVAL, object->hash, path, wrong);
	memcpy(object->path, path, strlen(path) + 1);
	object->mode = (mode_t)mode;
	object->part = part;
	object->is_full = bytes == WEIR_BACKUP_PART_BYTES_MAX;
	return 0;
}

/* Prepare a statement with one text. */
static int prepare_with(struct weir_backup_job *job, sqlite3 *db, const char *text, const char *value,
			sqlite3_stmt **out_statement)
{
	const int code = weir_sql_prepare(db, "the backup", text, out_statement, &job->error);

	if (code == 0)
		(void)sqlite3_bind_text(*out_statement, 1, value, -1, SQLITE_STATIC); /* errors show at the step */
	return code;
}

static int object_check(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged, const char *hash)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	struct object object = {.hash = hash};
	int code = prepare_with(job, db, OBJECT_ROWS, hash, &rows);

	(void)staged;
	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		code = row_check(job, &object, rows);
		if (code != 0)
			return code;
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(db, code, "the backup", &job->error);
	if (object.entries == 0)
		return fail(job, -EINVAL, hash, "", "a version refers to it, but the backup does not hold it");
	job->report.codes++;
	job->report.code_bytes += object.bytes;
	return 0;
}

int weir_backup_code_check(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged)
{
	return objects_each(job, db, staged, object_check);
}

/* ---- back: store ---- */

static void writer_free(struct archive **writer)
{
	(void)archive_write_free(*writer); /* frees all the same */
}

static void entry_free(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

/* How many bytes all parts of a file have. */
static int file_bytes(struct weir_backup_job *job, sqlite3 *db, const char *hash, const char *path, sqlite3_int64 *out_bytes)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = prepare_with(job, db, "SELECT sum(length(bytes)) FROM backup_code WHERE hash = ?1 AND path = ?2", hash,
				&statement);

	if (code != 0)
		return code;
	(void)sqlite3_bind_text(statement, 2, path, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(db, code, "the backup", &job->error);
	*out_bytes = sqlite3_column_int64(statement, 0);
	return 0;
}

/* The head of an entry; always the same bytes for the same entry. */
static int head_pack(struct weir_backup_job *job, sqlite3 *db, const char *hash, sqlite3_stmt *row, struct archive *tar)
{
	WEIR_CLEANUP(entry_free) struct archive_entry *entry = archive_entry_new();
	const char *path = weir_sql_text(row, 0);
	const mode_t mode = (mode_t)sqlite3_column_int64(row, 2);
	char target[PATH_MAX];
	sqlite3_int64 bytes = 0;
	int code = S_ISREG(mode) ? file_bytes(job, db, hash, path, &bytes) : 0;

	if (code != 0 || entry == NULL)
		return code != 0 ? code : fail(job, -ENOMEM, hash, path, "not enough memory");
	archive_entry_copy_pathname(entry, path);
	archive_entry_set_filetype(entry, mode & S_IFMT);
	archive_entry_set_perm(entry, mode & 0555);
	archive_entry_set_size(entry, bytes);
	archive_entry_set_mtime(entry, 0, 0);
	if (S_ISLNK(mode)) {
		memcpy(target, sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3)); /* checked */
		target[sqlite3_column_bytes(row, 3)] = '\0';
		archive_entry_copy_symlink(entry, target);
	}
	return archive_write_header(tar, entry) >= ARCHIVE_WARN ? 0
								: fail(job, -EIO, hash, path, archive_error_string(tar));
}

static la_ssize_t tar_sink(struct archive *tar, void *context, const void *data, size_t bytes)
{
	const int code = weir_code_upload_append(context, data, bytes);

	if (code == 0)
		return (la_ssize_t)bytes;
	archive_set_error(tar, -code, "%s", strerror(-code));
	return -1;
}

/* The object goes the way of every upload: an archive that is unpacked with all checks. */
static int object_pack(struct weir_backup_job *job, sqlite3 *db, const char *hash, struct weir_code_upload *upload)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	WEIR_CLEANUP(writer_free) struct archive *tar = archive_write_new();
	int code = prepare_with(job, db, OBJECT_ROWS, hash, &rows);

	if (code != 0 || tar == NULL)
		return code != 0 ? code : fail(job, -ENOMEM, hash, "", "not enough memory");
	(void)archive_write_set_format_pax_restricted(tar);
	(void)archive_write_set_bytes_in_last_block(tar, 1);
	if (archive_write_open(tar, upload, NULL, tar_sink, NULL) != ARCHIVE_OK)
		return fail(job, -EIO, hash, "", archive_error_string(tar));
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		const bool is_file = S_ISREG((mode_t)sqlite3_column_int64(rows, 2));
		const size_t bytes = (size_t)sqlite3_column_bytes(rows, 3);

		code = weir_backup_room_check(job, 2 * bytes); /* packed, and then unpacked */
		if (code == 0 && sqlite3_column_int64(rows, 1) == 0)
			code = head_pack(job, db, hash, rows, tar);
		if (code == 0 && is_file && bytes > 0 &&
		    archive_write_data(tar, sqlite3_column_blob(rows, 3), bytes) != (la_ssize_t)bytes)
			code = fail(job, archive_errno(tar) == ENOSPC ? -ENOSPC : -EIO, hash, "", archive_error_string(tar));
		if (code == 0)
			code = weir_backup_job_go_on(job);
		if (code != 0)
			return code;
	}
	if (code != SQLITE_DONE)
		return weir_sql_error(db, code, "the backup", &job->error);
	return archive_write_close(tar) == ARCHIVE_OK ? 0 : fail(job, -EIO, hash, "", archive_error_string(tar));
}

/* An object that is one file goes the way of a file, and has its hash again. */
static int file_pack(struct weir_backup_job *job, sqlite3 *db, const char *hash, struct weir_code_upload *upload)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	int code = prepare_with(job, db, OBJECT_ROWS, hash, &rows);

	if (code != 0)
		return code;
	while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
		code = weir_backup_room_check(job, (uint64_t)sqlite3_column_bytes(rows, 3));
		if (code != 0)
			return code;
		code = weir_code_upload_append(upload, sqlite3_column_blob(rows, 3), (size_t)sqlite3_column_bytes(rows, 3));
		if (code != 0)
			return fail(job, code, hash, "", strerror(-code));
		code = weir_backup_job_go_on(job);
		if (code != 0)
			return code;
	}
	return code == SQLITE_DONE ? 0 : weir_sql_error(db, code, "the backup", &job->error);
}

/* The name of the object's one file; empty: it has more, or that is not what it is. */
static int file_name(struct weir_backup_job *job, sqlite3 *db, const char *hash, char out[WEIR_CODE_NAME_BYTES_MAX + 1])
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;
	int code = prepare_with(job, db,
				"SELECT min(path), count(DISTINCT path), min(mode) FROM backup_code WHERE hash = ?1", hash,
				&statement);

	if (code != 0)
		return code;
	code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return weir_sql_error(db, code, "the backup", &job->error);
	if (sqlite3_column_int64(statement, 1) != 1 || !S_ISREG((mode_t)sqlite3_column_int64(statement, 2)) ||
	    !weir_sql_text_copy(statement, 0, out, WEIR_CODE_NAME_BYTES_MAX + 1))
		out[0] = '\0';
	return 0;
}

/* Versions of `old` become versions of `fresh`. */
static int object_rename(struct weir_backup_job *job, sqlite3 *staged, const char *old, const char *fresh)
{
	static const char *const texts[] = {
		"UPDATE functions SET code_path = 'code/' || ?2 || substr(code_path, 70) WHERE substr(code_path, 1, 70) = "
		"'code/' || ?1 || '/'",
		"UPDATE versions SET code = ?2, code_path = 'code/' || ?2 || substr(code_path, 70) WHERE code = ?1",
	};
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof(texts) / sizeof(texts[0]); i++) {
		WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *statement = NULL;

		code = prepare_with(job, staged, texts[i], old, &statement);
		if (code != 0)
			return code;
		(void)sqlite3_bind_text(statement, 2, fresh, -1, SQLITE_STATIC);
		code = sqlite3_step(statement);
		code = code == SQLITE_DONE ? 0 : weir_sql_error(staged, code, "the backup", &job->error);
	}
	return code;
}

/* Is an entry on the disk what this row says? */
static bool row_is_here(sqlite3_stmt *row, const char *path)
{
	const mode_t mode = (mode_t)sqlite3_column_int64(row, 2);
	const off_t at = (off_t)sqlite3_column_int64(row, 1) * WEIR_BACKUP_PART_BYTES_MAX;
	const size_t bytes = (size_t)sqlite3_column_bytes(row, 3);
	const bool is_last = bytes < WEIR_BACKUP_PART_BYTES_MAX;
	WEIR_CLEANUP(weir_free) char *own = malloc(bytes + 1);
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	struct stat info;

	if (own == NULL || lstat(path, &info) != 0 || (info.st_mode & S_IFMT) != (mode & S_IFMT))
		return false;
	if (S_ISDIR(mode))
		return true;
	if (S_ISLNK(mode))
		return readlink(path, own, bytes + 1) == (ssize_t)bytes &&
		       memcmp(own, sqlite3_column_blob(row, 3), bytes) == 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd != -1 && (info.st_mode & 0111) == (mode & 0111) &&
	       (is_last ? info.st_size == at + (off_t)bytes : info.st_size >= at + (off_t)bytes) &&
	       lseek(fd, at, SEEK_SET) == at && read_full(fd, own, bytes) == (ssize_t)bytes &&
	       (bytes == 0 || memcmp(own, sqlite3_column_blob(row, 3), bytes) == 0);
}

static size_t entries_count(char *folder)
{
	char *const paths[] = {folder, NULL};
	WEIR_CLEANUP(tree_close) FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	const FTSENT *entry = NULL;
	size_t count = 0;

	while (tree != NULL && (entry = fts_read(tree)) != NULL)
		count += entry->fts_info != FTS_DP && entry->fts_level > 0 ? 1 : 0;
	return count;
}

/* Does DATA/code hold, under the name `own_hash`, just what the backup does under `hash`? */
static int object_is_here(struct weir_backup_job *job, sqlite3 *db, const char *hash, const char *own_hash,
			  bool *out_is_here)
{
	WEIR_CLEANUP(weir_sql_finalize) sqlite3_stmt *rows = NULL;
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char path[WEIR_CODE_PATH_BYTES_MAX + sizeof(((struct object *)NULL)->path) + 1];
	size_t entries = 0;
	int code = prepare_with(job, db, OBJECT_ROWS, hash, &rows);

	*out_is_here = code == 0 && weir_code_keep(job->code, own_hash);
	if (code != 0 || !*out_is_here)
		return code;
	(void)weir_code_path(job->code, own_hash, folder);
	while (*out_is_here && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, weir_sql_text(rows, 0)); /* checked: fits */
		entries += sqlite3_column_int64(rows, 1) == 0 ? 1 : 0;
		*out_is_here = row_is_here(rows, path);
	}
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		return weir_sql_error(db, code, "the backup", &job->error);
	*out_is_here = *out_is_here && entries == entries_count(folder);
	return 0;
}

/* Upload the object under what its own bytes make its name. */
static int object_upload(struct weir_backup_job *job, sqlite3 *db, const char *hash, const char *name,
			 char out_hash[WEIR_CODE_HASH_BYTES])
{
	struct weir_code_error error = {.text = "it cannot be stored"};
	struct weir_code_upload *upload = NULL;
	int code = weir_code_upload_begin(job->code, name[0] == '\0' ? NULL : name, &upload);

	if (code != 0)
		return fail(job, code, hash, name, strerror(-code));
	weir_code_upload_room(upload, TAR_BYTES_MAX);
	code = name[0] == '\0' ? object_pack(job, db, hash, upload) : file_pack(job, db, hash, upload);
	if (code != 0) {
		weir_code_upload_drop(upload);
		return code;
	}
	code = weir_code_upload_finish(upload, out_hash, &error);
	return code == 0 ? 0 : fail(job, code, hash, "", error.text);
}

static int object_store(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged, const char *hash)
{
	char name[WEIR_CODE_NAME_BYTES_MAX + 1] = "";
	char fresh[WEIR_CODE_HASH_BYTES] = "";
	bool is_here = false;
	int code = object_is_here(job, db, hash, hash, &is_here);

	if (code != 0 || is_here) /* the functions that run it go on */
		return code;
	code = file_name(job, db, hash, name);
	if (code == 0)
		code = object_upload(job, db, hash, name, fresh);
	WEIR_FAULT(backup_code_stored);
	/* Of a name that was there an upload believes that it is what it was. */
	if (code == 0)
		code = object_is_here(job, db, hash, fresh, &is_here);
	if (code == 0 && !is_here)
		code = fail(job, -EIO, fresh, "", "the folder of that name in the data directory's code is damaged; remove it and "
						  "restore again. Nothing was changed");
	return code == 0 && strcmp(hash, fresh) != 0 ? object_rename(job, staged, hash, fresh) : code;
}

int weir_backup_code_store(struct weir_backup_job *job, sqlite3 *db, sqlite3 *staged)
{
	return objects_each(job, db, staged, object_store);
}
