#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrlctl/body.h"
#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "dataplane/base/assert.h"

enum { COUNT_MAX = 1000000 }; /* what is too many, the instance says */

/* Digits up to `end`. False: something else. */
static bool count_parse(const char *text, const char *end, double *out_count)
{
	char *stop = NULL;
	unsigned long count;

	if (text == end || *text < '0' || *text > '9')
		return false;
	errno = 0;
	count = strtoul(text, &stop, 10);
	*out_count = count > COUNT_MAX ? COUNT_MAX : (double)count;
	return stop == end && errno == 0;
}

/* "+2", "-1": how many more. False: it is no such text. */
static bool by_parse(const char *text, double *out_by)
{
	if ((text[0] != '+' && text[0] != '-') || !count_parse(text + 1, text + strlen(text), out_by))
		return false;
	*out_by = text[0] == '-' ? -*out_by : *out_by;
	return true;
}

/* "4", "0..16", "+2", "auto" -> the request's body, or NULL. */
static cJSON *scale_body(const char *text)
{
	const char *const dots = strstr(text, "..");
	const char *const end = text + strlen(text);
	const bool is_auto = strcmp(text, "auto") == 0;
	cJSON *body = NULL;
	double min = 0;
	double max = 0;
	double by = 0;
	const bool is_by = by_parse(text, &by);

	if (!is_auto && !is_by && (dots == NULL ? !count_parse(text, end, &min)
				      : !count_parse(text, dots, &min) || !count_parse(dots + 2, end, &max)))
		return NULL;
	body = cJSON_CreateObject();
	WEIR_ASSERT(body != NULL); /* a command line that has no memory left cannot go on */
	if (is_auto) {
		(void)cJSON_AddTrueToObject(body, "reset");
		return body;
	}
	if (is_by) {
		(void)cJSON_AddNumberToObject(body, "by", by);
		return body;
	}
	(void)cJSON_AddNumberToObject(body, "workers_min", min);
	(void)cJSON_AddNumberToObject(body, "workers_max", dots == NULL ? min : max);
	return body;
}

enum weir_ctl_exit weir_ctl_function_scale(const struct weir_ctl_call *call)
{
	char target[WEIR_CTL_TARGET_MAX];
	cJSON *body = NULL;

	if (strcmp(call->arguments[1], "0") == 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, "0..16 lets the pool have none while nobody calls",
				     "with exactly 0 workers nobody would ever answer");
	if (!weir_ctl_function_target(call->arguments[0], "/scale", target))
		return WEIR_CTL_INVALID;
	body = scale_body(call->arguments[1]);
	if (body == NULL)
		return weir_ctl_fail(WEIR_CTL_INVALID, "for example: 4, or 0..16, or +2, or auto",
				     "'%s' is no number of workers", call->arguments[1]);
	if (!weir_ctl_body_number(body, call, "--cpu", "cpu_millicores") ||
	    !weir_ctl_body_number(body, call, "--memory", "memory_mb")) {
		cJSON_Delete(body);
		return WEIR_CTL_INVALID;
	}
	return weir_ctl_api_change(call, "PATCH", target, body);
}
