/* @NAME@: says hello. Deploy it with: make -C @DIR@ && ctrlctl fn deploy @DIR@/@NAME@.so
 *
 * Stays loaded and serves many requests; what it prints goes to the log: ctrlctl fn logs @NAME@
 * Its variables come by getenv(): ctrlctl fn env set @NAME@ GREETING=Hi */
#include "weir_function.h"

#include <stdio.h>
#include <stdlib.h>

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const char *greeting = getenv("GREETING");
	struct weir_text name = {0};
	char text[256];

	if (weir_request_body(request, &name) != 0 || name.bytes == 0)
		name = (struct weir_text){.data = "world", .bytes = 5};
	if (name.bytes > 100) {
		(void)weir_response_status(response, 400);
		return weir_response_write_text(response, "that is a long name\n");
	}
	printf("greeting %.*s\n", (int)name.bytes, name.data);
	snprintf(text, sizeof(text), "%.100s, %.*s!\n", greeting == NULL ? "Hello" : greeting,
		 (int)name.bytes, name.data);
	return weir_response_write_text(response, text);
}
