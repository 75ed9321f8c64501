#include "ctrl/publish/publish_image.h"

#include <stdlib.h>
#include <string.h>

static int compare_image(const void *image, const void *alias)
{
	return strcmp(image, ((const struct weir_model_alias *)alias)->image);
}

static int compare_name(const void *alias, const void *function)
{
	const struct weir_model_alias *a = alias;
	const struct weir_model_function *f = function;
	const int order = strcmp(a->space, f->space);

	return order != 0 ? order : strcmp(a->name, f->name);
}

/* Its image stays until all are through: others must see that it has one. */
static void code_take(struct weir_model_function *function, const struct weir_model_function *from)
{
	memcpy(function->runtime, from->runtime, sizeof(function->runtime));
	memcpy(function->code_path, from->code_path, sizeof(function->code_path));
	memcpy(function->handler, from->handler, sizeof(function->handler));
	memcpy(function->problem, from->problem, sizeof(function->problem));
	if (function->version < from->version)
		function->version = from->version;
}

void weir_publish_images_resolve(struct weir_model_function *functions, size_t function_count,
				 const struct weir_model_alias *aliases, size_t alias_count)
{
	for (size_t i = 0; i < function_count; i++) {
		struct weir_model_function *const function = &functions[i];
		const struct weir_model_alias *alias = NULL;
		const struct weir_model_function *to = NULL;

		if (function->image[0] == '\0')
			continue;
		if (alias_count > 0)
			alias = bsearch(function->image, aliases, alias_count, sizeof(*aliases), compare_image);
		if (alias != NULL)
			to = bsearch(alias, functions, function_count, sizeof(*functions), compare_name);
		if (weir_model_image_problem(function->image, alias, to, function->problem)[0] == '\0')
			code_take(function, to);
	}
	for (size_t i = 0; i < function_count; i++) {
		if (functions[i].image[0] != '\0' && functions[i].code_path[0] != '\0')
			functions[i].image[0] = '\0';
	}
}
