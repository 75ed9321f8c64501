/* publish_image: functions that name an image become, for publishing, functions with the code of the one that
 * the image stands for.
 *
 *   pixels/test  image X --.                          pixels/test  native /srv/reverse.so
 *   alias        X -> default/reverse       ==>
 *   default/reverse  native /srv/reverse.so           (as it is)
 *
 * Runtime, code and handler are the other's; namespace, name, limits, specs and variables stay its own, so it
 * runs in its own namespace's workers. Its version is the newer of both: when either changes, workers load it
 * anew. Where there is no code it gets a problem instead, and calls are answered with that.
 * Owns: nothing. Pure; any thread. */
#ifndef WEIR_CTRL_PUBLISH_PUBLISH_IMAGE_H
#define WEIR_CTRL_PUBLISH_PUBLISH_IMAGE_H

#include "ctrl/model/model.h"

/* Do so for `functions`, which stand by namespace and name, with `aliases`, which stand by image, each once.
 * Those with a problem keep it and their image. Cannot fail. */
void weir_publish_images_resolve(struct weir_model_function *functions, size_t function_count,
				 const struct weir_model_alias *aliases, size_t alias_count);

#endif
