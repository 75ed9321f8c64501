#include <errno.h>
#include <stdio.h>

#include "ctrl/api/call.h"
#include "ctrl/model/model_json.h"

/* One member that is JSON of any form. False: the answer is set. */
static bool json_member(struct weir_api_call *call, const char *name, struct weir_model_details *details,
			int (*read)(struct weir_model_details *, struct weir_span, struct weir_model_error *))
{
	struct weir_model_error wrong;
	struct weir_span json;
	int code = 0;

	if (!weir_model_json_member(call->text, name, &json))
		return true;
	code = read(details, json, &wrong);
	if (code == -EINVAL)
		(void)weir_api_refuse_field(call, &wrong);
	else if (code != 0)
		(void)weir_api_refuse(call, 503, "memory", name, "not enough memory for this request");
	return code == 0;
}

static bool members_read(struct weir_api_call *call, struct weir_model_details *details)
{
	struct weir_model_error wrong;

	if (!weir_api_body_text(call, "description", details->description, sizeof(details->description)) ||
	    !json_member(call, "parameters", details, weir_model_parameters_read) ||
	    !json_member(call, "annotations", details, weir_model_annotations_read))
		return false;
	if (weir_model_details_check(details, &wrong) == 0)
		return true;
	(void)weir_api_refuse_field(call, &wrong);
	return false;
}

bool weir_api_details_read(struct weir_api_call *call, const struct weir_model_function *function,
			   struct weir_model_details *details, const struct weir_model_details **out_given,
			   enum weir_api_result *out_result)
{
	struct weir_store_error error = {{0}};
	int code = 0;

	*out_given = NULL;
	*out_result = WEIR_API_DONE;
	if (!cJSON_HasObjectItem(call->body, "description") && !cJSON_HasObjectItem(call->body, "parameters") &&
	    !cJSON_HasObjectItem(call->body, "annotations"))
		return true;
	code = weir_store_details_get(call->owner->store, function, details, &error);
	if (code != 0) {
		*out_result = weir_api_refuse_store(call, code, &error);
		return false;
	}
	*out_given = details;
	return members_read(call, details);
}

void weir_api_details_add(cJSON *json, const struct weir_model_details *details)
{
	(void)cJSON_AddStringToObject(json, "description", details->description); /* or members lack */
	(void)cJSON_AddRawToObject(json, "parameters", details->parameters == NULL ? "{}" : details->parameters);
	(void)cJSON_AddRawToObject(json, "annotations",
				   details->annotations == NULL ? "{}" : details->annotations);
}
