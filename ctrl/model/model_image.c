#include <stdio.h>
#include <string.h>

#include "ctrl/model/model_text.h"

enum { IMAGE_BYTES_SHOWN = 100 };

#define SET_COMMAND "ctrlctl image alias set IMAGE NAMESPACE/FUNCTION"

int weir_model_image_check(const char *image, struct weir_model_error *error)
{
	const size_t bytes = strnlen(image, WEIR_MODEL_IMAGE_BYTES_MAX + 1);
	char quote[WEIR_MODEL_QUOTE_BYTES_MAX];

	if (bytes == 0)
		return weir_model_fail(error, "image", "is empty");
	if (bytes > WEIR_MODEL_IMAGE_BYTES_MAX)
		return weir_model_fail(error, "image", "is longer than %d bytes",
				       WEIR_MODEL_IMAGE_BYTES_MAX);
	for (size_t i = 0; i < bytes; i++) {
		if (image[i] < '!' || image[i] > '~')
			return weir_model_fail(error, "image",
					       "is '%s'; a reference is printable ASCII without blanks",
					       weir_model_quote(image, bytes, quote));
	}
	return 0;
}

void weir_model_image_settle(struct weir_model_function *function)
{
	if (function->image[0] != '\0' && function->runtime[0] == '\0')
		memcpy(function->runtime, WEIR_MODEL_CONTAINER, sizeof(WEIR_MODEL_CONTAINER));
}

int weir_model_alias_check(const struct weir_model_alias *alias, struct weir_model_error *error)
{
	int result = weir_model_image_check(alias->image, error);

	if (result == 0)
		result = weir_model_name_check("namespace", alias->space, strnlen(alias->space, sizeof(alias->space)), error);
	if (result == 0)
		result = weir_model_name_check("function", alias->name, strnlen(alias->name, sizeof(alias->name)), error);
	return result;
}

const char *weir_model_image_problem(const char *image, const struct weir_model_alias *alias,
				     const struct weir_model_function *to,
				     char out[WEIR_MODEL_PROBLEM_BYTES_MAX + 1])
{
	const size_t max = WEIR_MODEL_PROBLEM_BYTES_MAX + 1;
	const char *const rest = strlen(image) > IMAGE_BYTES_SHOWN ? "..." : "";

	out[0] = '\0'; /* all of them fit */
	if (alias == NULL)
		(void)snprintf(out, max, "No function is set for the image '%.*s%s'; name one: " SET_COMMAND,
			       IMAGE_BYTES_SHOWN, image, rest);
	else if (to == NULL)
		(void)snprintf(out, max,
			       "The image '%.*s%s' stands for %s/%s, which is not there; add that function, or name another: "
			       SET_COMMAND,
			       IMAGE_BYTES_SHOWN, image, rest, alias->space, alias->name);
	else if (to->image[0] != '\0')
		(void)snprintf(out, max,
			       "The image '%.*s%s' stands for %s/%s, which has an image itself; name a function with code: "
			       SET_COMMAND,
			       IMAGE_BYTES_SHOWN, image, rest, alias->space, alias->name);
	return out;
}
