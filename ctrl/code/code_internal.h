/* code_internal: what the files of ctrl/code share; nobody else includes it. */
#ifndef WEIR_CTRL_CODE_CODE_INTERNAL_H
#define WEIR_CTRL_CODE_CODE_INTERNAL_H

#include "ctrl/code/code.h"

/* Unpack the archive behind `fd` (at its start) into the folder at `path`, which exists and is empty.
 * 0, -EINVAL, -EFBIG or -errno, with a sentence. What was unpacked so far stays. */
int weir_code_unpack(int fd, const char *path, struct weir_code_error *error);

/* DATA/sums/HASH; returns out. */
const char *weir_code_sum_path(const struct weir_code *code, const char *hash,
			       char out[WEIR_CODE_PATH_BYTES_MAX]);

/* Note the sum of all that was stored as `hash`; where that fails, nobody can say later
 * whether it is still the same. And forget it. */
void weir_code_sum_write(const struct weir_code *code, const char *hash);
void weir_code_sum_remove(const struct weir_code *code, const char *hash);

/* Fill error->text; returns `number`. */
int weir_code_fail(struct weir_code_error *error, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
