/* code: what people deployed, by content: DATA/code/HASH/ holds the files of one upload, or what a
 * builder made of them.
 *
 *   bytes --append--> .upload-N --finish--> .unpack-N/ --rename--> HASH/    files 0444, folders 0555
 *                                             '-- refused: removed, with a sentence
 *
 * HASH is the SHA-256 (hex) of what came: of an archive its bytes, of a file its name and bytes. The
 * same upload again finds what is there. DATA/sums/HASH is a sum (XXH3) of all names, modes and bytes
 * that were stored, to tell later whether they are still the same: damage, not malice. Who refers to a
 * HASH is the caller's to know: a sweep condemns what nobody does (folder 0755), a later one removes it
 * if still nobody does, so that a worker that loads it or a deployment that is about to name it finishes.
 * An archive is unpacked into its own folder only: no absolute or climbing names, no links that lead
 * out, no devices; so many entries and bytes and no more.
 * Owns: everything in DATA/code and DATA/sums. Threads: one; but each upload may be on a thread of its
 * own, and what only asks (has, path, keep, inside, examine) on any. Blocks on the disk. Peer death: what
 * a dead process left half done has a name with a dot and is removed when the next one opens the folder. */
#ifndef WEIR_CTRL_CODE_CODE_H
#define WEIR_CTRL_CODE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_CODE_ARTIFACT "function.so" /* what a builder made, in its folder */

enum {
	WEIR_CODE_HASH_BYTES = 65, /* hex digits and the NUL */
	WEIR_CODE_PATH_BYTES_MAX = 4096,
	WEIR_CODE_NAME_BYTES_MAX = 255,
	WEIR_CODE_UPLOAD_BYTES_MAX = 256 << 20,
	WEIR_CODE_UNPACKED_BYTES_MAX = 512 << 20,
	WEIR_CODE_ENTRIES_MAX = 32768,
	WEIR_CODE_DEPTH_MAX = 32,
	WEIR_CODE_SWEEP_AGE_S = 600, /* condemned for so long, then removed */
};

struct weir_code; /* the folder */
struct weir_code_upload;

/* Why something was refused, for people. */
struct weir_code_error {
	char text[512];
};

/* Open DATA/code, made where it is missing, without what a dead process left. 0 or -errno. */
int weir_code_open(const char *data, struct weir_code **out_code);
void weir_code_close(struct weir_code *code);

/* DATA/code/HASH. `hash` is sound: weir_code_hash_sound(). Returns out. */
const char *weir_code_path(const struct weir_code *code, const char *hash,
			   char out[WEIR_CODE_PATH_BYTES_MAX]);
bool weir_code_hash_sound(const char *hash);
bool weir_code_has(const struct weir_code *code, const char *hash);

/* It is about to be referred to: no sweep that comes within WEIR_CODE_SWEEP_AGE_S removes it. False: it is
 * not there. */
bool weir_code_keep(const struct weir_code *code, const char *hash);

/* May an entry of that name be unpacked: is it relative, printable, not too deep, and does it stay within the
 * folder? And a symbolic link of that name to that target? */
bool weir_code_name_inside(const char *name);
bool weir_code_link_inside(const char *name, const char *target);

/* Begin an upload of a file called `name`, or of an archive (NULL): zip, or tar, plain or compressed.
 * 0, -EINVAL (the name has a slash, control characters, is hidden or too long), -ENOMEM or -errno. */
int weir_code_upload_begin(struct weir_code *code, const char *name,
			   struct weir_code_upload **out_upload);

/* It may have so many bytes instead of WEIR_CODE_UPLOAD_BYTES_MAX: what Weir packed itself is not compressed. */
void weir_code_upload_room(struct weir_code_upload *upload, uint64_t bytes_max);

/* The next bytes. 0, -EFBIG or -errno; then only drop it. */
int weir_code_upload_append(struct weir_code_upload *upload, const void *data, size_t bytes);

/* All came: store it. 0 and its hash; -EINVAL (not an archive, or one with things in it that are
 * refused), -EFBIG, -ENOSPC or -errno, with a sentence. The upload is released either way. */
int weir_code_upload_finish(struct weir_code_upload *upload,
			    char out_hash[WEIR_CODE_HASH_BYTES],
			    struct weir_code_error *error);

/* Forget it. NULL is accepted. */
void weir_code_upload_drop(struct weir_code_upload *upload);

/* The hash that bytes get as an upload of that name (NULL: an archive), which need not be made then. */
void weir_code_hash_upload(const char *name, const void *data, size_t bytes,
			   char out[WEIR_CODE_HASH_BYTES]);

/* Does anybody refer to it? */
typedef bool weir_code_is_used(void *context, const char *hash);

/* Condemn what `is_used` does not want; remove what is condemned since WEIR_CODE_SWEEP_AGE_S at
 * `now_s` (seconds since 1970). Returns how many were removed. */
size_t weir_code_sweep(const struct weir_code *code, int64_t now_s, weir_code_is_used *is_used,
		       void *context);

/* How many bytes the files of HASH have together; 0 where it is not there. Looks at each of them once,
 * and remembers some 256 such sums. */
uint64_t weir_code_bytes(struct weir_code *code, const char *hash);

/* The hash of texts, each with its end; and of a file's bytes: 0 or -errno. */
void weir_code_hash_texts(const char *const *texts, size_t count, char out[WEIR_CODE_HASH_BYTES]);
int weir_code_hash_file(const char *path, char out[WEIR_CODE_HASH_BYTES]);

/* A folder for a build to work in: *out_fd (the caller's) is it, *out_number names it. 0 or -errno.
 * Its file "artifact" is then kept as the one file WEIR_CODE_ARTIFACT of HASH: 0, -ENOENT (it made
 * none, or no plain file) or -errno; or nothing is. The folder is gone either way. */
int weir_code_build_begin(struct weir_code *code, uint64_t *out_number, int *out_fd);
int weir_code_build_keep(struct weir_code *code, uint64_t number, const char *hash);
void weir_code_build_drop(struct weir_code *code, uint64_t number);

/* Whether a long look at code shall end. */
struct weir_code_stop {
	bool (*asked)(void *context);
	void *context;
};

/* Is what lies in the folder of `hash` what was stored? Reads all of it; any thread. 0, with *out_known
 * false where no sum was noted, so that nobody can tell; -EBADMSG: it is not; -ENOENT: it is not there;
 * -ECANCELED (stop, which may be NULL), or -errno: it cannot be read. */
int weir_code_examine(const struct weir_code *code, const char *hash, const struct weir_code_stop *stop,
		      bool *out_known);

/* What a function is made of: a runtime, and the file that it begins with. */
struct weir_code_kind {
	char runtime[16];
	char entry[WEIR_CODE_NAME_BYTES_MAX + 1];
};

/* What the folder HASH holds. `kind->runtime` may be given (then only the file is looked for), or "";
 * so may `kind->entry`, a path within. Fills both. 0, -EINVAL with a sentence that says what was
 * looked for, or -errno. */
int weir_code_detect(const struct weir_code *code, const char *hash,
		     struct weir_code_kind *kind, struct weir_code_error *error);

#endif
