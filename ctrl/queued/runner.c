/* Function `runner`: take a call, run it, say what came of it and get the next one, until there is none or the
 * time is up. A runner's own request is one-way: nobody reads its answer.
 *
 *   /take --> call --> NAMESPACE/NAME ... /renew, once a second ... --> answer --> /done --> call --> ...
 *
 * What the queue refuses for want of room is asked again. A runner that gives up leaves a lease that expires. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/dialectd/failure.h"
#include "ctrl/queued/queued.h"
#include "dataplane/base/clock.h"
#include "dataplane/runtime/whole.h"

enum {
	METHOD_POST = 2, /* in a request's head */
	FIELDS_MAX = 8,
	BUDGET_MS = 20000, /* then the runner makes room for another one */
	RENEW_MS = 1000,
	END_MS = 5000, /* before its own time is up a runner says that the function's is */
	AGAIN_MS = 20, /* after a refusal */
	TRIES_MAX = 200,
	SENTENCE_BYTES = 256,
};

/* What a runner has. */
struct runner {
	struct weir_runtime_call *call;
	struct weir_span number; /* its own, as it was sent for */
	uint64_t until_ns;
};

/* A call to run: copies of what the queue handed out. */
struct task {
	char number[48]; /* "NUMBER ATTEMPT" */
	char id[33];
	char function[2 * WEIR_MODEL_NAME_BYTES_MAX + 2];
	char query[WEIR_QUEUE_QUERY_BYTES_MAX + 1];
	char type[WEIR_QUEUE_TYPE_BYTES_MAX + 1];
	char attempt[16];
};

/* What came of it. */
struct end {
	uint32_t status;
	const char *failure; /* NULL: the function answered */
	bool is_lost;	     /* the call is somebody else's now */
	bool has_answer;
	struct weir_runtime_answer answer; /* if it has */
};

/* ---- the queue ---- */

/* One request to function `queue`. 0 and *out_answer, to be freed; or an errno of the call's operations. */
static int ask_once(const struct runner *runner, const char *path, const struct weir_runtime_field *fields,
		    size_t field_count, struct weir_span body, struct weir_runtime_answer *out_answer)
{
	const struct weir_runtime_target target = {
		.name = WEIR_SPAN("queue"),
		.path = weir_span_of(path),
		.body = body,
		.fields = fields,
		.field_count = field_count,
		.method = METHOD_POST,
	};
	uint32_t nested = 0;
	const int result = runner->call->ops->nested_start(runner->call, &target, &nested);

	return result == 0 ? weir_runtime_nested_wait(runner->call, nested, out_answer) : result;
}

static bool is_worth_another_try(int result, const struct weir_runtime_answer *answer)
{
	if (result == 0)
		return answer->status >= 429;
	return result == -ENOBUFS || result == -EPIPE;
}

/* The same until it is answered. 0; or -errno: nobody answers. */
static int ask(const struct runner *runner, const char *path, const struct weir_runtime_field *fields,
	       size_t field_count, struct weir_span body, struct weir_runtime_answer *out_answer)
{
	struct weir_runtime_call *const call = runner->call;
	int result = -EAGAIN;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		result = ask_once(runner, path, fields, field_count, body, out_answer);
		if (!is_worth_another_try(result, out_answer))
			return result;
		if (result == 0)
			call->ops->nested_free(call, out_answer);
		result = call->ops->wait(call, NULL, 0, weir_clock_now_ns() + AGAIN_MS * WEIR_NS_PER_MS);
		if (result == -ECANCELED || weir_clock_now_ns() >= call->deadline_ns)
			return -ECANCELED;
	}
	return -EAGAIN;
}

static struct weir_runtime_field field_of(const char *name, const char *value)
{
	return (struct weir_runtime_field){.name = weir_span_of(name), .value = weir_span_of(value)};
}

/* ---- the call ---- */

static bool text_take(const struct weir_runtime_answer *answer, const char *name, char *out, size_t max)
{
	const struct weir_span text = weir_runtime_answer_field(answer, weir_span_of(name));

	if (text.bytes >= max)
		return false;
	if (text.bytes > 0)
		memcpy(out, text.data, text.bytes);
	out[text.bytes] = '\0';
	return true;
}

/* What the queue handed out. False: it is not what the queue hands out. */
static bool task_read(const struct weir_runtime_answer *answer, struct task *task)
{
	const char *attempt = NULL;

	if (!text_take(answer, WEIR_QUEUED_CALL, task->number, sizeof(task->number)) ||
	    !text_take(answer, WEIR_QUEUED_ID, task->id, sizeof(task->id)) ||
	    !text_take(answer, WEIR_QUEUED_FUNCTION, task->function, sizeof(task->function)) ||
	    !text_take(answer, WEIR_QUEUED_QUERY, task->query, sizeof(task->query)) ||
	    !text_take(answer, "content-type", task->type, sizeof(task->type)))
		return false;
	attempt = strchr(task->number, ' ');
	if (attempt == NULL)
		return false;
	(void)snprintf(task->attempt, sizeof(task->attempt), "%s", attempt + 1); /* fits */
	return true;
}

/* Start it: its activation has the call's id. */
static int task_start(const struct runner *runner, const struct task *task, struct weir_span body, uint32_t *out_nested)
{
	struct weir_runtime_field field[FIELDS_MAX];
	size_t count = 0;

	field[count++] = field_of("x-weir-activation", task->id);
	field[count++] = field_of("x-weir-attempt", task->attempt);
	if (task->type[0] != '\0')
		field[count++] = field_of("content-type", task->type);
	const struct weir_runtime_target target = {
		.name = weir_span_of(task->function),
		.query = weir_span_of(task->query),
		.body = body,
		.fields = field,
		.field_count = count,
		.method = METHOD_POST,
	};

	return runner->call->ops->nested_start(runner->call, &target, out_nested);
}

/* Say that the call is still run. False: it is to end, *end says why. */
static bool renew(const struct runner *runner, const struct task *task, struct end *end)
{
	const struct weir_runtime_field field[] = {
		{.name = WEIR_SPAN(WEIR_QUEUED_RUNNER), .value = runner->number},
		field_of(WEIR_QUEUED_CALL, task->number),
	};
	struct weir_runtime_answer answer;
	uint32_t status = 0;

	if (ask_once(runner, "/renew", field, 2, WEIR_SPAN(""), &answer) != 0)
		return true; /* it may be heard the next time */
	status = answer.status;
	runner->call->ops->nested_free(runner->call, &answer);
	end->is_lost = status == 409;
	end->failure = status == 410 ? "cancelled" : NULL;
	end->status = 503;
	return status != 409 && status != 410;
}

/* Wait for its answer. */
static void task_wait(const struct runner *runner, const struct task *task, uint32_t nested, struct end *end)
{
	struct weir_runtime_call *const call = runner->call;
	const uint64_t end_ns = call->deadline_ns - END_MS * WEIR_NS_PER_MS;
	uint64_t renew_ns = weir_clock_now_ns() + RENEW_MS * WEIR_NS_PER_MS;
	int result = call->ops->nested_answer(call, nested, &end->answer);

	while (result == -EAGAIN) {
		result = call->ops->wait(call, NULL, 0, renew_ns < end_ns ? renew_ns : end_ns);
		if (result == -ECANCELED)
			break;
		if (weir_clock_now_ns() >= end_ns) {
			call->ops->nested_drop(call, nested);
			end->status = 504;
			end->failure = "function_timeout";
			return;
		}
		if (weir_clock_now_ns() >= renew_ns) {
			if (!renew(runner, task, end)) {
				call->ops->nested_drop(call, nested);
				return;
			}
			renew_ns = weir_clock_now_ns() + RENEW_MS * WEIR_NS_PER_MS;
		}
		result = call->ops->nested_answer(call, nested, &end->answer);
	}
	/* The queue is told as much as one call to another may carry, which is a little less than one may answer. */
	if (result == 0 && end->answer.body.bytes > WEIR_RUNTIME_ANSWER_BYTES_MAX) {
		call->ops->nested_free(call, &end->answer);
		result = -EMSGSIZE;
	} else if (result != 0) {
		call->ops->nested_drop(call, nested);
	}
	end->has_answer = result == 0;
	if (result == 0)
		return;
	end->is_lost = result == -ECANCELED || result == -ETIMEDOUT; /* this runner's own end */
	end->status = 502;
	end->failure = result == -EMSGSIZE ? "answer_too_large" : "answer_broken";
}

/* A program of runtime `exec` that ended otherwise than well: its worker says so in place of an answer
 * (runtime/exec/exec_answer.h). */
static bool is_program_failure(const struct weir_runtime_answer *answer)
{
	static const char start[] = "{\"error\":\"Function failed\",\"exit_code\":";

	return answer->status == 500 && answer->body.bytes > sizeof(start) &&
	       memcmp(answer->body.data, start, sizeof(start) - 1) == 0;
}

static void task_run(const struct runner *runner, const struct task *task, struct weir_span body, struct end *end)
{
	uint32_t nested = 0;
	char sentence[SENTENCE_BYTES];
	const int result = task_start(runner, task, body, &nested);

	if (result != 0) {
		end->is_lost = result == -ECANCELED || result == -ETIMEDOUT;
		end->status = result == -E2BIG || result == -EMSGSIZE ? 413 : 503;
		end->failure = result == -E2BIG || result == -EMSGSIZE ? "call_body" : "no_memory";
		return;
	}
	task_wait(runner, task, nested, end);
	if (!end->has_answer)
		return;
	end->status = end->answer.status;
	end->failure = weir_failure_read(end->status, end->answer.body, sentence, sizeof(sentence));
	if (end->failure == NULL && is_program_failure(&end->answer))
		end->failure = "program_failed";
}

/* Say what came of it; *out_next is what there is next. */
static int task_end(const struct runner *runner, const struct task *task, const struct end *end,
		    struct weir_runtime_answer *out_next)
{
	const bool is_last = weir_clock_now_ns() >= runner->until_ns;
	struct weir_runtime_field field[FIELDS_MAX];
	struct weir_span type = WEIR_SPAN("");
	char status[16];
	size_t count = 0;

	(void)snprintf(status, sizeof(status), "%u", end->status); /* fits */
	field[count++] = (struct weir_runtime_field){WEIR_SPAN(WEIR_QUEUED_RUNNER), runner->number};
	field[count++] = field_of(WEIR_QUEUED_CALL, task->number);
	field[count++] = field_of(WEIR_QUEUED_STATUS, status);
	if (end->failure != NULL)
		field[count++] = field_of(WEIR_QUEUED_FAILURE, end->failure);
	if (end->has_answer)
		type = weir_runtime_answer_field(&end->answer, WEIR_SPAN("content-type"));
	if (type.bytes > 0 && type.bytes <= WEIR_QUEUE_TYPE_BYTES_MAX)
		field[count++] = (struct weir_runtime_field){WEIR_SPAN("content-type"), type};
	if (is_last)
		field[count++] = field_of(WEIR_QUEUED_LAST, "1");
	return ask(runner, "/done", field, count, end->has_answer ? end->answer.body : WEIR_SPAN(""), out_next);
}

/* Run what was handed out, and get the next. 0, or an errno: the runner ends. */
static int step(const struct runner *runner, struct weir_runtime_answer *next)
{
	struct weir_runtime_call *const call = runner->call;
	struct task task;
	struct end end = {.status = 0};
	int result = 0;

	if (!task_read(next, &task)) {
		call->ops->nested_free(call, next);
		return -EBADMSG;
	}
	task_run(runner, &task, next->body, &end);
	call->ops->nested_free(call, next);
	result = end.is_lost ? -ESRCH : task_end(runner, &task, &end, next);
	if (end.has_answer)
		call->ops->nested_free(call, &end.answer);
	return result;
}

static struct weir_span request_field(const struct weir_runtime_call *call, struct weir_span name)
{
	const struct weir_head_field *const field = weir_runtime_fields(call);

	for (uint16_t i = 0; i < call->head->field_count; i++) {
		if (weir_span_equal_nocase(weir_runtime_span(call, field[i].name), name))
			return weir_runtime_span(call, field[i].value);
	}
	return WEIR_SPAN("");
}

int weir_queued_run(struct weir_runtime_call *call)
{
	const struct runner runner = {
		.call = call,
		.number = request_field(call, WEIR_SPAN(WEIR_QUEUED_RUNNER)),
		.until_ns = weir_clock_now_ns() + BUDGET_MS * WEIR_NS_PER_MS,
	};
	const struct weir_runtime_field field = {.name = WEIR_SPAN(WEIR_QUEUED_RUNNER), .value = runner.number};
	const struct weir_whole_answer answer = {.status = 204};
	struct weir_runtime_answer next;
	int result = ask(&runner, "/take", &field, 1, WEIR_SPAN(""), &next);

	while (result == 0 && next.status == 200)
		result = step(&runner, &next);
	if (result == 0)
		call->ops->nested_free(call, &next);
	return weir_whole_answer_send(call, &answer);
}
