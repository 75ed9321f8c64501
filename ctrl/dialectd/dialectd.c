/* dialectd: the runtime `dialect`: its functions are the adapters of ctrl/dialect, one of each name, which are in
 * this program; what is loaded is the way to the management API. It is a worker like others: its calls come over
 * the rings, those that wait are parked, and it may die at any time.
 *
 *   head, body --> struct weir_dialect_call --serve()--> reply --> the answer
 *
 * Threads: as runtime.h says. Peer death: manage.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/dialect/dialect.h"
#include "ctrl/dialectd/failure.h"
#include "ctrl/dialectd/manage.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/id.h"
#include "dataplane/http/http_failure.h"
#include "dataplane/runtime/runtime.h"
#include "dataplane/runtime/whole.h"

enum { METHOD_GET = 0, METHOD_POST = 2 /* in a request's head */ };

static const struct weir_dialect *const dialects[] = {
	&weir_dialect_vespid, &weir_dialect_faasm, &weir_dialect_openwhisk, &weir_dialect_project,
	&weir_dialect_spike, &weir_dialect_upload};

struct instance {
	const struct weir_dialect *dialect;
	char socket_path[WEIR_MODEL_PATH_BYTES_MAX + 1];
};

/* One call, as its adapter sees it and as the worker does. */
struct running {
	struct weir_dialect_call call; /* first */
	const struct instance *instance;
	struct weir_runtime_call *runtime;
	struct weir_runtime_answer answer; /* of the latest invoke() */
	bool has_answer;
	struct weir_whole_body body;
};

static struct running *running_of(const struct weir_dialect_call *call)
{
	return (struct running *)(uintptr_t)call;
}

/* ---- what adapters ask for ---- */

static struct weir_span find(const struct weir_runtime_call *call, const struct weir_head_field *first, size_t count,
			     const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (weir_span_equal_nocase(weir_runtime_span(call, first[i].name), weir_span_of(name)))
			return weir_runtime_span(call, first[i].value);
	}
	return WEIR_SPAN("");
}

static struct weir_span dialect_field(const struct weir_dialect_call *call, const char *name)
{
	const struct weir_runtime_call *const runtime = running_of(call)->runtime;

	return find(runtime, weir_runtime_fields(runtime), runtime->head->field_count, name);
}

static struct weir_span dialect_param(const struct weir_dialect_call *call, const char *name)
{
	const struct weir_runtime_call *const runtime = running_of(call)->runtime;

	return find(runtime, weir_runtime_fields(runtime) + runtime->head->field_count, runtime->head->param_count, name);
}

static void answer_free(struct running *running)
{
	if (running->has_answer)
		running->runtime->ops->nested_free(running->runtime, &running->answer);
	running->has_answer = false;
}

static int dialect_invoke(struct weir_dialect_call *call, const struct weir_dialect_invocation *wanted,
			  struct weir_dialect_result *out_result)
{
	struct running *const running = running_of(call);
	struct weir_runtime_call *const runtime = running->runtime;
	const uint64_t begun_ns = weir_clock_now_ns();
	struct weir_runtime_field field[WEIR_DIALECT_FIELDS_MAX];
	char name[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	const bool is_own = wanted->space == NULL;
	const struct weir_runtime_target target = {
		.name = {.data = name,
			 .bytes = (size_t)snprintf(name, sizeof(name), "%s%s%s", is_own ? "" : wanted->space,
						   is_own ? "" : "/", wanted->name)}, /* fits */
		.path = weir_span_of(wanted->path == NULL ? "/" : wanted->path),
		.query = weir_span_of(wanted->query == NULL ? "" : wanted->query),
		.body = wanted->body,
		.fields = field,
		.field_count = wanted->field_count,
		.method = wanted->is_get ? METHOD_GET : METHOD_POST,
	};
	uint32_t nested = 0;
	int result = 0;

	answer_free(running);
	/* Whatever the adapter looked at. What it wants of Weir's own functions it has looked at itself. */
	if (!is_own && !weir_dialect_may(call, WEIR_ROLE_INVOKER, wanted->space)) {
		*out_result = (struct weir_dialect_result){
			.status = 403, .failure = weir_http_failure_row(WEIR_HTTP_FORBIDDEN)->code};
		(void)snprintf(out_result->sentence, sizeof(out_result->sentence), "%s",
			       weir_http_failure_row(WEIR_HTTP_FORBIDDEN)->sentence); /* fits */
		return 0;
	}
	for (size_t i = 0; i < wanted->field_count; i++)
		field[i] = (struct weir_runtime_field){.name = wanted->fields[i].name, .value = wanted->fields[i].value};
	result = runtime->ops->nested_start(runtime, &target, &nested);
	if (result == 0)
		result = weir_runtime_nested_wait(runtime, nested, &running->answer);
	if (result != 0)
		return result;
	running->has_answer = true;
	*out_result = (struct weir_dialect_result){
		.status = running->answer.status,
		.type = weir_runtime_answer_field(&running->answer, WEIR_SPAN("content-type")),
		.body = running->answer.body,
		.took_ns = weir_clock_now_ns() - begun_ns,
	};
	weir_id_format((struct weir_id){.high = running->answer.activation_high,
					.low = running->answer.activation_low},
		       out_result->activation);
	out_result->failure = weir_failure_read(out_result->status, out_result->body, out_result->sentence,
						sizeof(out_result->sentence));
	return 0;
}

static int dialect_manage(struct weir_dialect_call *call, const struct weir_dialect_order *order,
			  struct weir_dialect_verdict *out_verdict)
{
	const struct running *const running = running_of(call);

	return weir_manage_ask(running->runtime, running->instance->socket_path, order, running->instance->dialect->name,
			       order->is_nobodys ? WEIR_SPAN("") : dialect_field(call, "authorization"), out_verdict);
}

static_assert((int)WEIR_DIALECT_KEPT_BYTES_MAX == (int)WEIR_RUNTIME_KEPT_BYTES_MAX, "one limit");

static void dialect_keep(struct weir_dialect_call *call, const char *activation, struct weir_span json)
{
	struct weir_runtime_call *const runtime = running_of(call)->runtime;
	struct weir_id id = {0};

	if (weir_id_parse(activation, &id))
		runtime->ops->keep(runtime, id.high, id.low, json);
}

static const struct weir_dialect_ops dialect_ops = {.invoke = dialect_invoke,
						     .manage = dialect_manage,
						     .keep = dialect_keep,
						     .param = dialect_param,
						     .field = dialect_field};

/* ---- the call ---- */

static int fail(struct weir_runtime_call *call, const char *reason)
{
	call->abort_code = WEIR_ABORT_FAILED;
	(void)snprintf(call->abort_reason, sizeof(call->abort_reason), "%s", reason); /* fits */
	return -1;
}

static int reply_send(struct weir_runtime_call *call, const struct weir_dialect_reply *reply)
{
	struct weir_runtime_field field[WEIR_DIALECT_FIELDS_MAX];
	const struct weir_whole_answer answer = {
		.status = reply->status,
		.type = weir_span_of(reply->type),
		.body = {.data = reply->text, .bytes = reply->bytes},
		.fields = field,
		.field_count = reply->field_count,
	};

	for (size_t i = 0; i < reply->field_count; i++)
		field[i] = (struct weir_runtime_field){.name = reply->field[i].name, .value = reply->field[i].value};
	return weir_whole_answer_send(call, &answer);
}

/* Did a browser send this for a page of another site? It says so in a field (the Fetch standard, "origin"), and
 * such a page may send anything but read nothing: it must not act with what its visitor can reach. */
static bool is_of_another_site(const struct weir_dialect_call *call)
{
	const struct weir_span origin = call->ops->field(call, "origin");
	const struct weir_span host = call->ops->field(call, "host");
	const char *const authority = origin.bytes == 0 ? NULL : memmem(origin.data, origin.bytes, "://", 3);

	if (origin.bytes == 0 || weir_span_equal(call->method, WEIR_SPAN("GET")))
		return false;
	return authority == NULL ||
	       !weir_span_equal_nocase((struct weir_span){.data = authority + 3,
							  .bytes = (size_t)(origin.data + origin.bytes - authority - 3)},
				       host);
}

/* Before an adapter is asked, so in Weir's own form. */
static int refuse(struct weir_dialect_call *call, uint16_t status, const char *word, const char *sentence)
{
	cJSON *const json = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(json, "error", sentence); /* or members lack */
	(void)cJSON_AddStringToObject(json, "code", word);
	return weir_dialect_reply_json(call, status, json);
}

/* The reply of the adapter, or of what is looked at before. 0, or -errno. */
static int reply_make(struct running *running)
{
	struct weir_dialect_call *const call = &running->call;
	const char *const space = running->instance->dialect->space;
	char sentence[128];
	int result = 0;

	if (is_of_another_site(call))
		return refuse(call, 403, "another_site", "A page of another site sent this; such pages may not act here");
	/* Whether the role is enough, and nobody may, the gateway has looked at. */
	if (space != NULL && call->caller.role != WEIR_ROLE_NOBODY && !weir_dialect_may(call, WEIR_ROLE_INVOKER, space)) {
		(void)snprintf(sentence, sizeof(sentence), "The key is of another namespace; this is about %s", space); /* fits */
		return refuse(call, 403, "forbidden", sentence);
	}
	result = weir_whole_body_read(running->runtime, &running->body, running->instance->dialect->body_bytes_max);
	if (result == -EMSGSIZE)
		return refuse(call, 413, "body_too_large", "The body is larger than requests of this kind may be");
	if (result == -ENOBUFS)
		return refuse(call, 503, "no_memory", "Too many large bodies are on their way; try again later");
	if (result != 0)
		return result;
	call->body = (struct weir_span){.data = running->body.data, .bytes = running->body.bytes};
	return running->instance->dialect->serve(call);
}

static int served(struct running *running)
{
	struct weir_runtime_call *const runtime = running->runtime;
	int result = reply_make(running);

	if (result == 0)
		result = reply_send(runtime, &running->call.reply);
	if (result == -ENOMEM)
		return fail(runtime, "not enough memory for the answer");
	if (result == -EBUSY || result == -ENOBUFS)
		return fail(runtime, "no memory for another call at the gateway; try again later");
	return result == 0 ? 0 : fail(runtime, strerror(-result));
}

static int dialect_call(void *opaque, struct weir_runtime_call *call)
{
	struct running running = {
		.call = {.ops = &dialect_ops,
			 .method = weir_runtime_method(call),
			 .pattern = weir_runtime_span(call, call->head->pattern),
			 .path = weir_runtime_span(call, call->head->path),
			 .query = weir_runtime_span(call, call->head->query),
			 .caller = {.role = call->head->caller_role,
				    .space = weir_runtime_span(call, call->head->caller),
				    .is_required = (call->head->caller_flags & WEIR_HEAD_CALLER_REQUIRED) != 0}},
		.instance = opaque,
		.runtime = call,
	};
	int result = 0;

	weir_id_format((struct weir_id){.high = call->activation_high, .low = call->activation_low},
		       running.call.activation);
	result = served(&running);

	answer_free(&running);
	free(running.call.reply.text);
	weir_whole_body_free(&running.body);
	return result;
}

/* ---- the runtime ---- */

static int dialect_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	(void)out_reason; /* it needs nothing of the machine's */
	return 0;
}

static int dialect_open(void **out_runtime)
{
	*out_runtime = NULL; /* all state belongs to calls */
	return 0;
}

static int dialect_load(void *runtime, const struct weir_runtime_function *function, void **out_instance,
			char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct instance *instance = NULL;

	(void)runtime;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
		if (!weir_span_equal(function->name, weir_span_of(dialects[i]->name)))
			continue;
		instance = calloc(1, sizeof(*instance));
		if (instance == NULL)
			return -ENOMEM;
		instance->dialect = dialects[i];
		(void)snprintf(instance->socket_path, sizeof(instance->socket_path), "%s",
			       function->code_path.data); /* fits: checked */
		*out_instance = instance;
		return 0;
	}
	(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "this worker has no dialect '%.*s'",
		       (int)function->name.bytes, function->name.data);
	return -ENOENT;
}

static void dialect_close(void *runtime)
{
	(void)runtime;
}

static const struct weir_sandbox_profile sandbox = {.flags = WEIR_SANDBOX_DIRECTORY | WEIR_SANDBOX_CONNECTS};

const struct weir_runtime_ops weir_runtime = {
	.name = "dialect",
	.sandbox = &sandbox,
	.probe = dialect_probe,
	.open = dialect_open,
	.load = dialect_load,
	.invoke = dialect_call,
	.unload = free,
	.close = dialect_close,
};
