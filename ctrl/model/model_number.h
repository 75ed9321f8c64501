/* model_number: numbers of JSON that are kept as they were written. cJSON has them as doubles and prints some 15
 * digits, so a longer one would come out as another: such a one becomes raw text, which cJSON prints, copies and
 * compares as it stands, and which is no number to whoever wants one.
 * Owns: nothing. Pure; any thread. No recursion. */
#ifndef WEIR_CTRL_MODEL_MODEL_NUMBER_H
#define WEIR_CTRL_MODEL_MODEL_NUMBER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum { WEIR_MODEL_NUMBER_DIGITS_MAX = 15, WEIR_MODEL_NUMBER_LEVELS_MAX = 32 };

/* Has a number's text more digits than a double surely keeps? */
bool weir_model_number_is_long(const char *text, size_t bytes);

/* Make long numbers of `json` raw, as they stand in the sound text that it was parsed from. 0; -ENOMEM;
 * -EBADMSG: it was parsed from another text, or has more levels. */
int weir_model_numbers_keep(cJSON *json, const char *text, size_t bytes);

#endif
