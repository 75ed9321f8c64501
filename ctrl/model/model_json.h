/* model_json: JSON text of others, checked byte by byte before anything else reads it, and written in one
 * canonical form: no blanks, the shortest escapes, everything else as UTF-8, numbers and the order of
 * members as they came.
 *
 *   text --canonicalize--> canonical text --walk--> members, elements (borrowed)
 *          '-- refused: where ("parameters.rates[3]"), why, at which byte
 *
 * RFC 8259 and nothing more lenient; besides, no member twice in one object (compared unescaped), no
 * NUL within strings (C texts end there), no lone surrogates, no number that a double cannot hold.
 * Owns: nothing; the caller's buffers. Pure; any thread. No recursion. */
#ifndef WEIR_CTRL_MODEL_MODEL_JSON_H
#define WEIR_CTRL_MODEL_MODEL_JSON_H

#include "ctrl/model/model.h"
#include "dataplane/base/span.h"

enum {
	WEIR_MODEL_JSON_LEVELS_MAX = 32,       /* the most that a caller may allow */
	WEIR_MODEL_JSON_NUMBER_BYTES_MAX = 63, /* one number's text */
};

/* Write `text` in canonical form to out[0 .. *out_bytes-1], and a NUL behind it; out has room for
 * text.bytes + 1 and may be the text itself. At most `levels_max` objects and lists within each other.
 * 0; -EINVAL with *error, whose field is the path of what is wrong, `root` for the whole; -ENOMEM. */
int weir_model_json_canonicalize(struct weir_span text, const char *root, size_t levels_max,
				 char *out, size_t *out_bytes, struct weir_model_error *error);

/* The members of an object, or the elements of a list, in canonical form, one by one. */
struct weir_model_json_walk {
	struct weir_span rest;
	bool is_object;
};

/* Over a value in canonical form; one that is neither object nor list has nothing to walk over. */
struct weir_model_json_walk weir_model_json_walk(struct weir_span canonical);

/* The next one; false behind the last. A member's name is without its quotes, but escaped; empty for
 * an element. */
bool weir_model_json_next(struct weir_model_json_walk *walk, struct weir_span *out_name,
			  struct weir_span *out_value);

/* The value of an object's member in canonical form; false if there is none of that name. */
bool weir_model_json_member(struct weir_span object, const char *name, struct weir_span *out_value);

#endif
