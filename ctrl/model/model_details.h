/* model_details: what a function carries beside what makes it run: a description, parameters and
 * annotations. They may be large, so they are no part of struct weir_model_function, which is listed,
 * copied and published often; whoever wants them reads them on demand.
 *
 * Parameters and annotations are each one JSON object, name -> any value, in canonical form
 * (model_json.h). The dialects hand parameters to the function under those of the call; the data path
 * does not look at them. OpenWhisk's form, a list of {"key", "value"}, is read, too.
 * Owns: the two texts, from malloc. Pure; any thread. */
#ifndef WEIR_CTRL_MODEL_MODEL_DETAILS_H
#define WEIR_CTRL_MODEL_MODEL_DETAILS_H

#include "ctrl/model/model.h"
#include "dataplane/base/span.h"

enum {
	WEIR_MODEL_DESCRIPTION_BYTES_MAX = 1023,
	WEIR_MODEL_PARAMETERS_BYTES_MAX = 1 << 20, /* in canonical form */
	WEIR_MODEL_ANNOTATIONS_BYTES_MAX = 65536,
};

struct weir_model_details {
	char description[WEIR_MODEL_DESCRIPTION_BYTES_MAX + 1]; /* one line */
	char *parameters;                                       /* NULL: none */
	char *annotations;                                      /* likewise */
};

/* Free the texts; the struct is zeroed. Made for WEIR_CLEANUP. */
void weir_model_details_release(struct weir_model_details *details);

/* Parameters (annotations) from JSON, an object or OpenWhisk's list, in place of those that were there;
 * none where it is empty. 0; -EINVAL with *error, in whose field the path begins with "parameters"
 * ("annotations"); -ENOMEM. On failure the old ones stay. */
int weir_model_parameters_read(struct weir_model_details *details, struct weir_span json,
			       struct weir_model_error *error);
int weir_model_annotations_read(struct weir_model_details *details, struct weir_span json,
				struct weir_model_error *error);

/* Check a record that may come from anywhere: sizes, a clean description, texts as the two above make
 * them. 0; -EINVAL with *error; -ENOMEM. */
int weir_model_details_check(const struct weir_model_details *details, struct weir_model_error *error);

#endif
