#include "ctrl/code/code.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/code/code_internal.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

/* A data directory's path, "/code/", and the longest of our own names. */
enum { FOLDER_BYTES_MAX = WEIR_CODE_PATH_BYTES_MAX - 80, COPY_BYTES = 65536, SIZES_MAX = 256 };

/* What a folder holds never changes, so its size is counted once. */
struct code_size {
	char hash[WEIR_CODE_HASH_BYTES];
	uint64_t bytes;
};

struct weir_code {
	char folder[FOLDER_BYTES_MAX];
	char sums[FOLDER_BYTES_MAX];
	_Atomic uint64_t uploads; /* so far: names of what is half done */
	struct code_size sizes[SIZES_MAX]; /* by the hash's first byte: who comes later has the place */
};

struct weir_code_upload {
	struct weir_code *code;
	uint64_t number;
	int fd;
	uint64_t bytes;
	uint64_t bytes_max;
	crypto_hash_sha256_state hash;
	char name[WEIR_CODE_NAME_BYTES_MAX + 1]; /* empty: an archive */
};

int weir_code_fail(struct weir_code_error *error, int number, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error->text, sizeof(error->text), format, arguments); /* cut is fine */
	va_end(arguments);
	return number;
}

static void digest_format(crypto_hash_sha256_state *state, char out[WEIR_CODE_HASH_BYTES])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256_final(state, digest); /* these cannot fail */
	(void)sodium_bin2hex(out, WEIR_CODE_HASH_BYTES, digest, sizeof(digest));
}

/* A number for the next thing that is half done. */
static uint64_t half_next(struct weir_code *code)
{
	return atomic_fetch_add_explicit(&code->uploads, 1, memory_order_relaxed) + 1;
}

/* The i-th upload's file or folder. */
static const char *half_path(const struct weir_code *code, const char *kind, uint64_t number,
			     char out[WEIR_CODE_PATH_BYTES_MAX])
{
	(void)snprintf(out, WEIR_CODE_PATH_BYTES_MAX, "%s/.%s-%llu", code->folder, kind,
		       (unsigned long long)number); /* fits */
	return out;
}

/* Remove a file or a folder with all that is in it. Folders are made writable first; what cannot be
 * removed stays, for the next sweep. */
static void tree_remove(const char *path)
{
	char *const paths[] = {strdupa(path), NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	const FTSENT *entry = NULL;

	if (tree == NULL)
		return;
	while ((entry = fts_read(tree)) != NULL) {
		if (entry->fts_info == FTS_D)
			(void)chmod(entry->fts_accpath, 0700);
		else if (entry->fts_info == FTS_DP)
			(void)rmdir(entry->fts_accpath);
		else
			(void)unlink(entry->fts_accpath);
	}
	(void)fts_close(tree);
}

static void leftovers_remove(const struct weir_code *code)
{
	DIR *list = opendir(code->folder);
	const struct dirent *entry = NULL;
	char path[WEIR_CODE_PATH_BYTES_MAX];

	if (list == NULL)
		return;
	while ((entry = readdir(list)) != NULL) {
		if (entry->d_name[0] != '.' || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", code->folder,
				     entry->d_name) < sizeof(path))
			tree_remove(path);
	}
	(void)closedir(list);
}

int weir_code_open(const char *data, struct weir_code **out_code)
{
	struct weir_code *code = NULL;
	int written = 0;

	if (sodium_init() < 0)
		return -ENOSYS;
	code = calloc(1, sizeof(*code));
	if (code == NULL)
		return -ENOMEM;
	written = snprintf(code->folder, sizeof(code->folder), "%s/code", data);
	if (written < 0 || (size_t)written >= sizeof(code->folder) ||
	    snprintf(code->sums, sizeof(code->sums), "%s/sums", data) != written) { /* as long as the other */
		free(code);
		return -ENAMETOOLONG;
	}
	if ((mkdir(code->folder, 0700) != 0 && errno != EEXIST) ||
	    (mkdir(code->sums, 0700) != 0 && errno != EEXIST)) {
		const int result = -errno;

		free(code);
		return result;
	}
	leftovers_remove(code);
	*out_code = code;
	return 0;
}

void weir_code_close(struct weir_code *code)
{
	free(code);
}

bool weir_code_hash_sound(const char *hash)
{
	return strlen(hash) == WEIR_CODE_HASH_BYTES - 1 &&
	       hash[strspn(hash, "0123456789abcdef")] == '\0';
}

const char *weir_code_path(const struct weir_code *code, const char *hash,
			   char out[WEIR_CODE_PATH_BYTES_MAX])
{
	WEIR_ASSERT(weir_code_hash_sound(hash));
	(void)snprintf(out, WEIR_CODE_PATH_BYTES_MAX, "%s/%s", code->folder, hash); /* fits */
	return out;
}

const char *weir_code_sum_path(const struct weir_code *code, const char *hash,
			       char out[WEIR_CODE_PATH_BYTES_MAX])
{
	WEIR_ASSERT(weir_code_hash_sound(hash));
	(void)snprintf(out, WEIR_CODE_PATH_BYTES_MAX, "%s/%s", code->sums, hash); /* fits */
	return out;
}

bool weir_code_has(const struct weir_code *code, const char *hash)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	struct stat info;

	return weir_code_hash_sound(hash) &&
	       stat(weir_code_path(code, hash, path), &info) == 0 && S_ISDIR(info.st_mode);
}

bool weir_code_keep(const struct weir_code *code, const char *hash)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];

	return weir_code_has(code, hash) && chmod(weir_code_path(code, hash, path), 0555) == 0;
}

static uint64_t tree_bytes(char *path)
{
	char *const paths[] = {path, NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *entry = NULL;
	uint64_t bytes = 0;

	if (tree == NULL)
		return 0;
	while ((entry = fts_read(tree)) != NULL)
		bytes += entry->fts_info == FTS_F ? (uint64_t)entry->fts_statp->st_size : 0;
	(void)fts_close(tree);
	return bytes;
}

static uint8_t first_byte(const char *hash)
{
	const char digits[] = {hash[0], hash[1], '\0'};

	return (uint8_t)strtoul(digits, NULL, 16);
}

uint64_t weir_code_bytes(struct weir_code *code, const char *hash)
{
	struct code_size *size = NULL;
	char path[WEIR_CODE_PATH_BYTES_MAX];

	if (!weir_code_has(code, hash))
		return 0;
	size = &code->sizes[first_byte(hash)];
	if (strcmp(size->hash, hash) != 0) {
		(void)weir_code_path(code, hash, path);
		size->bytes = tree_bytes(path);
		memcpy(size->hash, hash, sizeof(size->hash));
	}
	return size->bytes;
}

/* ---- uploads ---- */

static bool name_sound(const char *name)
{
	const size_t bytes = strlen(name);

	if (bytes == 0 || bytes > WEIR_CODE_NAME_BYTES_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < bytes; i++) {
		if (name[i] == '/' || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	}
	return true;
}

/* Of an archive its bytes count, of a file its name, too. */
static void hash_begin(crypto_hash_sha256_state *hash, const char *name)
{
	static const char mark[] = "weir file ";

	(void)crypto_hash_sha256_init(hash); /* these cannot fail */
	if (name == NULL)
		return;
	(void)crypto_hash_sha256_update(hash, (const unsigned char *)mark, sizeof(mark));
	(void)crypto_hash_sha256_update(hash, (const unsigned char *)name, strlen(name) + 1);
}

void weir_code_hash_upload(const char *name, const void *data, size_t bytes,
			   char out[WEIR_CODE_HASH_BYTES])
{
	crypto_hash_sha256_state hash;

	hash_begin(&hash, name);
	(void)crypto_hash_sha256_update(&hash, data, bytes);
	digest_format(&hash, out);
}

int weir_code_upload_begin(struct weir_code *code, const char *name,
			   struct weir_code_upload **out_upload)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	struct weir_code_upload *upload = NULL;

	if (name != NULL && !name_sound(name))
		return -EINVAL;
	upload = calloc(1, sizeof(*upload));
	if (upload == NULL)
		return -ENOMEM;
	upload->code = code;
	upload->number = half_next(code);
	upload->bytes_max = WEIR_CODE_UPLOAD_BYTES_MAX;
	hash_begin(&upload->hash, name);
	if (name != NULL)
		(void)snprintf(upload->name, sizeof(upload->name), "%s", name); /* fits */
	upload->fd = open(half_path(code, "upload", upload->number, path),
			  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (upload->fd == -1) {
		const int result = -errno;

		free(upload);
		return result;
	}
	*out_upload = upload;
	return 0;
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

void weir_code_upload_room(struct weir_code_upload *upload, uint64_t bytes_max)
{
	upload->bytes_max = bytes_max;
}

int weir_code_upload_append(struct weir_code_upload *upload, const void *data, size_t bytes)
{
	if (bytes > upload->bytes_max - upload->bytes)
		return -EFBIG;
	upload->bytes += bytes;
	(void)crypto_hash_sha256_update(&upload->hash, data, bytes);
	return write_all(upload->fd, data, bytes);
}

void weir_code_upload_drop(struct weir_code_upload *upload)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];

	if (upload == NULL)
		return;
	(void)unlink(half_path(upload->code, "upload", upload->number, path));
	tree_remove(half_path(upload->code, "unpack", upload->number, path));
	weir_fd_close(&upload->fd);
	free(upload);
}

/* A file may be run if it looks like a program. */
static mode_t file_mode(int fd)
{
	char start[4] = "";
	const ssize_t got = pread(fd, start, sizeof(start), 0);

	return got == (ssize_t)sizeof(start) &&
			       (memcmp(start, "#!", 2) == 0 || memcmp(start, "\177ELF", 4) == 0)
		       ? 0555
		       : 0444;
}

/* The upload is one file: it moves into the folder. */
static int file_place(struct weir_code_upload *upload, const char *folder)
{
	char from[WEIR_CODE_PATH_BYTES_MAX];
	char to[WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1];

	(void)half_path(upload->code, "upload", upload->number, from);
	(void)snprintf(to, sizeof(to), "%s/%s", folder, upload->name); /* fits */
	return fchmod(upload->fd, file_mode(upload->fd)) != 0 || rename(from, to) != 0 ? -errno
										      : 0;
}

/* Nobody writes to it any more: folders last, since files could not be made in them else. */
static void tree_settle(const char *path)
{
	char *const paths[] = {strdupa(path), NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	const FTSENT *entry = NULL;

	if (tree == NULL)
		return;
	while ((entry = fts_read(tree)) != NULL) {
		if (entry->fts_info == FTS_DP)
			(void)chmod(entry->fts_accpath, 0555);
		else if (entry->fts_info == FTS_F)
			(void)chmod(entry->fts_accpath, entry->fts_statp->st_mode & 0100 ? 0555 : 0444);
	}
	(void)fts_close(tree);
}

static int tree_store(struct weir_code_upload *upload, const char *hash,
		      struct weir_code_error *error)
{
	char from[WEIR_CODE_PATH_BYTES_MAX];
	char to[WEIR_CODE_PATH_BYTES_MAX];
	int result = 0;

	(void)half_path(upload->code, "unpack", upload->number, from);
	if (mkdir(from, 0700) != 0)
		return weir_code_fail(error, -errno, "cannot store the code: %s", strerror(errno));
	if (upload->name[0] != '\0') {
		result = file_place(upload, from);
		if (result != 0)
			return weir_code_fail(error, result, "cannot store the file: %s",
					      strerror(-result));
	} else {
		result = lseek(upload->fd, 0, SEEK_SET) != 0 ? -errno : 0;
		if (result == 0)
			result = weir_code_unpack(upload->fd, from, error);
		if (result != 0)
			return result;
	}
	tree_settle(from);
	(void)chmod(from, 0700); /* some kernels want to write to a folder that is renamed */
	/* Another thread may have stored the same just now. */
	if (rename(from, weir_code_path(upload->code, hash, to)) != 0 && errno != ENOTEMPTY && errno != EEXIST)
		return weir_code_fail(error, -errno, "cannot store the code: %s", strerror(errno));
	(void)chmod(to, 0555);
	return 0;
}

int weir_code_upload_finish(struct weir_code_upload *upload,
			    char out_hash[WEIR_CODE_HASH_BYTES], struct weir_code_error *error)
{
	char hash[WEIR_CODE_HASH_BYTES];
	int result = 0;

	digest_format(&upload->hash, hash);
	if (!weir_code_keep(upload->code, hash)) {
		result = tree_store(upload, hash, error);
		if (result == 0)
			weir_code_sum_write(upload->code, hash);
	}
	weir_code_upload_drop(upload);
	if (result == 0)
		memcpy(out_hash, hash, sizeof(hash));
	return result;
}

/* ---- builds ---- */

void weir_code_hash_texts(const char *const *texts, size_t count, char out[WEIR_CODE_HASH_BYTES])
{
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < count; i++)
		(void)crypto_hash_sha256_update(&state, (const unsigned char *)texts[i],
						strlen(texts[i]) + 1);
	digest_format(&state, out);
}

int weir_code_hash_file(const char *path, char out[WEIR_CODE_HASH_BYTES])
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	crypto_hash_sha256_state state;
	unsigned char data[COPY_BYTES];
	struct stat info;
	ssize_t got = 0;

	if (fd == -1 || fstat(fd, &info) != 0)
		return -errno;
	if (!S_ISREG(info.st_mode))
		return -EISDIR;
	(void)crypto_hash_sha256_init(&state);
	while ((got = read(fd, data, sizeof(data))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		(void)crypto_hash_sha256_update(&state, data, (size_t)got);
	}
	digest_format(&state, out);
	return 0;
}

int weir_code_build_begin(struct weir_code *code, uint64_t *out_number, int *out_fd)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	const uint64_t number = half_next(code);
	int fd = -1;

	if (mkdir(half_path(code, "build", number, path), 0700) != 0)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		const int result = -errno;

		(void)rmdir(path);
		return result;
	}
	*out_number = number;
	*out_fd = fd;
	return 0;
}

void weir_code_build_drop(struct weir_code *code, uint64_t number)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];

	tree_remove(half_path(code, "build", number, path));
}

/* Into a folder of its own, which then gets its name. */
static int artifact_store(struct weir_code *code, uint64_t number, const char *hash)
{
	char build[WEIR_CODE_PATH_BYTES_MAX];
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	char from[WEIR_CODE_PATH_BYTES_MAX + 16];
	char to[WEIR_CODE_PATH_BYTES_MAX + 16];
	struct stat info;

	(void)snprintf(from, sizeof(from), "%s/artifact", half_path(code, "build", number, build));
	(void)snprintf(to, sizeof(to), "%s/" WEIR_CODE_ARTIFACT,
		       half_path(code, "unpack", number, folder));
	if (lstat(from, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 1)
		return -ENOENT;
	if (mkdir(folder, 0700) != 0 || rename(from, to) != 0 || chmod(to, 0555) != 0)
		return -errno;
	if (rename(folder, weir_code_path(code, hash, build)) != 0 && errno != ENOTEMPTY &&
	    errno != EEXIST)
		return -errno;
	return chmod(build, 0555) != 0 ? -errno : 0;
}

int weir_code_build_keep(struct weir_code *code, uint64_t number, const char *hash)
{
	char path[WEIR_CODE_PATH_BYTES_MAX];
	const int result = artifact_store(code, number, hash);

	if (result == 0)
		weir_code_sum_write(code, hash);
	tree_remove(half_path(code, "unpack", number, path)); /* where it could not be stored */
	weir_code_build_drop(code, number);
	return result;
}

/* ---- sweeping ---- */

/* One folder that is looked at; `info` is of it. True: it was removed. */
static bool sweep_one(const char *path, const struct stat *info, int64_t now_s, bool used)
{
	const struct timespec times[2] = {{.tv_sec = now_s}, {.tv_sec = now_s}};
	const bool condemned = (info->st_mode & 0200) != 0;

	/* Failures show again the next time. */
	if (used && condemned)
		(void)chmod(path, 0555);
	if (!used && !condemned) {
		(void)utimensat(AT_FDCWD, path, times, 0);
		(void)chmod(path, 0755);
	}
	if (used || !condemned || info->st_mtim.tv_sec > now_s - WEIR_CODE_SWEEP_AGE_S)
		return false;
	tree_remove(path);
	return true;
}

size_t weir_code_sweep(const struct weir_code *code, int64_t now_s, weir_code_is_used *is_used,
		       void *context)
{
	DIR *list = opendir(code->folder);
	const struct dirent *entry = NULL;
	char path[WEIR_CODE_PATH_BYTES_MAX];
	size_t removed = 0;

	if (list == NULL)
		return 0;
	while ((entry = readdir(list)) != NULL) {
		struct stat info;

		if (weir_code_hash_sound(entry->d_name) &&
		    stat(weir_code_path(code, entry->d_name, path), &info) == 0 &&
		    sweep_one(path, &info, now_s, is_used(context, entry->d_name))) {
			weir_code_sum_remove(code, entry->d_name);
			removed++;
		}
	}
	(void)closedir(list);
	return removed;
}
