#include <errno.h>
#include <string.h>

#include "ctrl/api/call.h"

/* All that is kept, read on a thread of its own; asked for again and again until it is through. */
enum weir_api_result weir_api_check_get(struct weir_api_call *call)
{
	cJSON *answer = cJSON_CreateObject();
	const int code = call->owner->examine(call->owner->context, &call->examination, answer);

	if (code == 0) {
		call->answer = answer;
		call->status = 200;
		return WEIR_API_DONE;
	}
	cJSON_Delete(answer);
	if (code == -EINPROGRESS || code == -EBUSY) /* busy: the other one ends some time */
		return WEIR_API_PENDING;
	return weir_api_refuse(call, 503, "check", NULL, strerror(-code));
}
