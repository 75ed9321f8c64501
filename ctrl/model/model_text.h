/* model_text: what the checks of this folder share: error sentences and clean text. Private to
 * ctrl/model. Pure; any thread. */
#ifndef WEIR_CTRL_MODEL_MODEL_TEXT_H
#define WEIR_CTRL_MODEL_MODEL_TEXT_H

#include "ctrl/model/model.h"

enum { WEIR_MODEL_QUOTE_BYTES_MAX = 48 };

/* The runtime of a function that names an image. */
#define WEIR_MODEL_CONTAINER "container"

/* Fill *error (may be NULL) and return -EINVAL. */
int weir_model_fail(struct weir_model_error *error, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Somebody's bytes, fit for a sentence: printable ASCII, at most 40 of them, other bytes as '?',
 * "..." where cut. Returns out. */
const char *weir_model_quote(const char *text, size_t bytes,
			     char out[WEIR_MODEL_QUOTE_BYTES_MAX]);

/* True if text is valid UTF-8 without control characters. */
bool weir_model_text_clean(const char *text, size_t bytes);

/* A name of `bytes` bytes, by model.h. 0 or -EINVAL with *error. */
int weir_model_name_check(const char *field, const char *name, size_t bytes, struct weir_model_error *error);

/* Bit of a method by its upper-case name, or 0. */
uint16_t weir_model_method_bit(const char *name, size_t bytes);

/* The specs of a record that may come from anywhere: each as it must be, in order. 0 or -EINVAL. */
int weir_model_specs_check(const struct weir_model_function *function, struct weir_model_error *error);

#endif
