#include "dataplane/runtime/exec/exec_environment.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"

/* The request's head, and room for the names of variables and the values that are ours. */
#define TEXT_BYTES_MAX (WEIR_HEAD_REQUEST_BYTES_MAX + 16384)

static char more_path[PATH_MAX + sizeof(WEIR_EXEC_PATH)]; /* empty: WEIR_EXEC_PATH */

void weir_exec_environment_path_set(const char *path)
{
	const char *const end = strrchr(path, '/');

	if (end != NULL && end != path)
		(void)snprintf(more_path, sizeof(more_path), "%s:%.*s", WEIR_EXEC_PATH, (int)(end - path),
			       path); /* fits */
}

/* What does not fit is noticed at the end: only a head whose slices overlap is that long. */
static void text_add(struct weir_exec_environment *environment, struct weir_span text)
{
	if (text.bytes > TEXT_BYTES_MAX - environment->text_bytes) {
		environment->is_cut = true;
		return;
	}
	if (text.bytes != 0)
		memcpy(environment->text + environment->text_bytes, text.data, text.bytes);
	environment->text_bytes += text.bytes;
}

static void variable_add(struct weir_exec_environment *environment, const char *prefix,
			 struct weir_span name, struct weir_span value)
{
	WEIR_ASSERT(environment->count < WEIR_EXEC_VARIABLES_MAX);
	environment->variable[environment->count++] =
		environment->text + environment->text_bytes;
	text_add(environment, weir_span_of(prefix));
	text_add(environment, name);
	text_add(environment, WEIR_SPAN("="));
	text_add(environment, value);
	text_add(environment, (struct weir_span){.data = "", .bytes = 1});
}

static bool is_variable_name(struct weir_span name)
{
	for (size_t i = 0; i < name.bytes; i++) {
		const char c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return name.bytes != 0;
}

static struct weir_span content_type(const struct weir_runtime_call *call)
{
	const struct weir_head_field *const fields = weir_runtime_fields(call);

	for (size_t i = 0; i < call->head->field_count; i++)
		if (weir_span_equal_nocase(weir_runtime_span(call, fields[i].name),
					   WEIR_SPAN("content-type")))
			return weir_runtime_span(call, fields[i].value);
	return WEIR_SPAN("");
}

static void params_add(struct weir_exec_environment *environment,
		       const struct weir_runtime_call *call)
{
	const struct weir_head_field *const params =
		weir_runtime_fields(call) + call->head->field_count;

	for (size_t i = 0; i < call->head->param_count && i < WEIR_HEAD_PARAMS_MAX; i++) {
		const struct weir_span name = weir_runtime_span(call, params[i].name);

		if (is_variable_name(name))
			variable_add(environment, "WEIR_PARAM_", name,
				     weir_runtime_span(call, params[i].value));
	}
}

int weir_exec_environment_open(struct weir_exec_environment *environment, const char *function,
			       char *const *own, const struct weir_runtime_call *call)
{
	const struct weir_request_head *const head = call->head;
	const uint64_t now_ns = weir_clock_now_ns();
	char activation[32];
	char deadline_ms[24];

	*environment = (struct weir_exec_environment){0};
	environment->text = malloc(TEXT_BYTES_MAX);
	if (environment->text == NULL)
		return -ENOMEM;
	weir_id_format(
		(struct weir_id){.high = call->activation_high, .low = call->activation_low},
		activation);
	(void)snprintf(
		deadline_ms, sizeof(deadline_ms), "%llu",
		call->deadline_ns > now_ns
			? (unsigned long long)((call->deadline_ns - now_ns) / WEIR_NS_PER_MS)
			: 0ULL); /* fits */
	variable_add(environment, "PATH", WEIR_SPAN(""),
		     more_path[0] != '\0' ? weir_span_of(more_path) : WEIR_SPAN(WEIR_EXEC_PATH));
	if (more_path[0] != '\0')
		variable_add(environment, "WEIR_CALL_FD", WEIR_SPAN(""), WEIR_SPAN("20"));
	variable_add(environment, "LANG", WEIR_SPAN(""), WEIR_SPAN("C.UTF-8"));
	variable_add(environment, "WEIR_FUNCTION", WEIR_SPAN(""), weir_span_of(function));
	variable_add(environment, "WEIR_ACTIVATION_ID", WEIR_SPAN(""),
		     (struct weir_span){.data = activation, .bytes = sizeof(activation)});
	variable_add(environment, "WEIR_PARENT_ID", WEIR_SPAN(""), weir_runtime_span(call, head->parent));
	variable_add(environment, "WEIR_METHOD", WEIR_SPAN(""), weir_runtime_method(call));
	variable_add(environment, "WEIR_PATH", WEIR_SPAN(""),
		     weir_runtime_span(call, head->path));
	variable_add(environment, "WEIR_QUERY", WEIR_SPAN(""),
		     weir_runtime_span(call, head->query));
	variable_add(environment, "WEIR_PATTERN", WEIR_SPAN(""),
		     weir_runtime_span(call, head->pattern));
	variable_add(environment, "WEIR_HOST", WEIR_SPAN(""),
		     weir_runtime_span(call, head->authority));
	variable_add(environment, "WEIR_PEER", WEIR_SPAN(""),
		     weir_runtime_span(call, head->peer));
	variable_add(environment, "WEIR_CONTENT_TYPE", WEIR_SPAN(""), content_type(call));
	variable_add(environment, "WEIR_DEADLINE_MS", WEIR_SPAN(""), weir_span_of(deadline_ms));
	params_add(environment, call);
	for (size_t i = 0; own != NULL && own[i] != NULL && i < WEIR_EXEC_VARIABLES_OWN_MAX; i++)
		environment->variable[environment->count++] = own[i];
	return environment->is_cut ? -E2BIG : 0;
}

void weir_exec_environment_close(struct weir_exec_environment *environment)
{
	free(environment->text);
	environment->text = NULL;
}
