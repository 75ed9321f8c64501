/* dialect_test: an adapter's world without a worker: what the API and functions say is scripted, what the adapter
 * asked for is written down.
 *
 *   dialect_test_api(...) / test->result --> serve() --> test->log, the call's reply */
#ifndef WEIR_TESTS_DIALECT_DIALECT_TEST_H
#define WEIR_TESTS_DIALECT_DIALECT_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctrl/dialect/dialect.h"

enum { DIALECT_TEST_ANSWERS = 8 };

struct dialect_test {
	struct weir_dialect_call call; /* first */
	const char *name;              /* the path's parameter of that name, or `function`; likewise the next */
	const char *user;
	const char *authorization; /* the head's field of that name; NULL: none; likewise the next */
	const char *content_type;
	/* Of manage(), in order; then what `code` says. */
	struct {
		uint16_t status;
		const char *text;
	} answer[DIALECT_TEST_ANSWERS];
	size_t answers;
	size_t asked;
	int manage_code;
	/* Of invoke(). */
	struct weir_dialect_result result;
	int invoke_code;
	char log[2048]; /* "GET /weir/functions/default/a\n", "invoke default/a {...}\n" */
};

static inline struct dialect_test *dialect_test_of(const struct weir_dialect_call *call)
{
	return (struct dialect_test *)(uintptr_t)call;
}

static inline void dialect_test_log(struct dialect_test *test, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline void dialect_test_log(struct dialect_test *test, const char *format, ...)
{
	const size_t used = strlen(test->log);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(test->log + used, sizeof(test->log) - used, format, arguments);
	va_end(arguments);
}

static inline int dialect_test_manage(struct weir_dialect_call *call, const struct weir_dialect_order *order,
				      struct weir_dialect_verdict *out_verdict)
{
	struct dialect_test *test = dialect_test_of(call);
	char *json = order->json == NULL ? NULL : cJSON_PrintUnformatted(order->json);

	dialect_test_log(test, "%s %s%s%s%.*s\n", order->method, order->target, json != NULL ? " " : "",
			 json != NULL ? json : "", (int)order->body.bytes, order->body.data);
	cJSON_free(json);
	if (test->manage_code != 0)
		return test->manage_code;
	assert_true(test->asked < test->answers);
	*out_verdict = (struct weir_dialect_verdict){
		.status = test->answer[test->asked].status,
		.json = cJSON_Parse(test->answer[test->asked].text),
		.text = strdup(test->answer[test->asked].text),
		.bytes = strlen(test->answer[test->asked].text),
	};
	test->asked++;
	return 0;
}

static inline int dialect_test_invoke(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
				      struct weir_dialect_result *out_result)
{
	struct dialect_test *test = dialect_test_of(call);

	if (wanted->space == NULL) /* one of Weir's own */
		dialect_test_log(test, "%s %s%s%s %.*s\n", wanted->is_get ? "GET" : "POST", wanted->path,
				 wanted->query == NULL ? "" : "?", wanted->query == NULL ? "" : wanted->query,
				 (int)wanted->body.bytes, wanted->body.data);
	else
		dialect_test_log(test, "invoke %s/%s %.*s\n", wanted->space, wanted->name, (int)wanted->body.bytes,
				 wanted->body.data);
	*out_result = test->result;
	return test->invoke_code;
}

static inline void dialect_test_keep(struct weir_dialect_call *call, const char *activation, struct weir_span json)
{
	dialect_test_log(dialect_test_of(call), "keep %s %.*s\n", activation, (int)json.bytes, json.data);
}

static inline struct weir_span dialect_test_param(const struct weir_dialect_call *call, const char *name)
{
	const struct dialect_test *test = dialect_test_of(call);

	const bool is_name = strcmp(name, "name") == 0 || strcmp(name, "function") == 0 ||
			     strcmp(name, "function_name") == 0;
	const char *const value = is_name ? test->name : strcmp(name, "user") == 0 ? test->user : NULL;

	return value != NULL ? weir_span_of(value) : WEIR_SPAN("");
}

static inline struct weir_span dialect_test_field(const struct weir_dialect_call *call, const char *name)
{
	const struct dialect_test *test = dialect_test_of(call);

	const char *const value = strcmp(name, "authorization") == 0  ? test->authorization
				  : strcmp(name, "content-type") == 0 ? test->content_type
								      : NULL;

	return value != NULL ? weir_span_of(value) : WEIR_SPAN("");
}

/* Serve a request; the reply, NUL-terminated, is the test's to look at until the next one. The pattern stays. */
static inline const char *dialect_test_serve_as(struct dialect_test *test, const struct weir_dialect *dialect,
						const char *method, const char *body)
{
	static const struct weir_dialect_ops ops = {.invoke = dialect_test_invoke,
						    .manage = dialect_test_manage,
						    .keep = dialect_test_keep,
						    .param = dialect_test_param,
						    .field = dialect_test_field};

	test->call.ops = &ops;
	test->call.method = weir_span_of(method);
	test->call.body = weir_span_of(body);
	test->asked = 0;
	test->log[0] = '\0';
	free(test->call.reply.text);
	test->call.reply = (struct weir_dialect_reply){.status = 0};
	return dialect->serve(&test->call) == 0 ? test->call.reply.text : NULL;
}

/* A POST by a route's pattern. */
static inline const char *dialect_test_serve(struct dialect_test *test, const struct weir_dialect *dialect,
					     const char *pattern, const char *body)
{
	test->call.pattern = weir_span_of(pattern);
	return dialect_test_serve_as(test, dialect, "POST", body);
}

static inline void dialect_test_close(struct dialect_test *test)
{
	free(test->call.reply.text);
	memset(test, 0, sizeof(*test));
}

#endif
