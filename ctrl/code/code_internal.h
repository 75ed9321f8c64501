/* code_internal: what the files of ctrl/code share; nobody else includes it. */
#ifndef WEIR_CTRL_CODE_CODE_INTERNAL_H
#define WEIR_CTRL_CODE_CODE_INTERNAL_H

#include "ctrl/code/code.h"

/* Unpack the archive behind `fd` (at its start) into the folder at `path`, which exists and is empty.
 * 0, -EINVAL, -EFBIG or -errno, with a sentence. What was unpacked so far stays. */
int weir_code_unpack(int fd, const char *path, struct weir_code_error *error);

/* Fill error->text; returns `number`. */
int weir_code_fail(struct weir_code_error *error, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
