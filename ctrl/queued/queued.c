#include "ctrl/queued/queued.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One loaded function. */
struct instance {
	bool is_runner;
	struct weir_queue_limits limits;
	struct weir_writer *writer; /* of all; `queue` only */
};

static int queued_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	(void)out_reason; /* it needs nothing of the machine's */
	return 0;
}

/* The writer, once there is one: it outlives the functions, which are loaded anew when settings change. */
static int queued_open(void **out_runtime)
{
	struct weir_writer **const writer = calloc(1, sizeof(*writer));

	*out_runtime = writer;
	return writer == NULL ? -ENOMEM : 0;
}

static int queue_load(struct weir_writer **writer, const struct weir_runtime_function *function,
		      struct instance *instance, char *out_reason)
{
	int result = *writer == NULL ? weir_writer_create(writer) : 0;

	if (result != 0) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "cannot start the thread that keeps calls: %s",
			       strerror(-result));
		return result;
	}
	if (!weir_queue_limits_parse(function->handler.data, &instance->limits)) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "the queue's limits are not those of this version");
		return -EINVAL;
	}
	instance->writer = *writer;
	weir_writer_configure(*writer, function->code_path.data, &instance->limits);
	return 0;
}

static int queued_load(void *runtime, const struct weir_runtime_function *function, void **out_instance,
		       char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct instance *const instance = calloc(1, sizeof(*instance));
	int result = instance == NULL ? -ENOMEM : 0;

	if (result == 0 && weir_span_equal(function->name, WEIR_SPAN("runner"))) {
		instance->is_runner = true;
	} else if (result == 0 && weir_span_equal(function->name, WEIR_SPAN("queue"))) {
		result = queue_load(runtime, function, instance, out_reason);
	} else if (result == 0) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "this worker has no function '%.*s'",
			       (int)function->name.bytes, function->name.data);
		result = -ENOENT;
	}
	if (result == 0)
		*out_instance = instance;
	else
		free(instance);
	return result;
}

static int queued_invoke(void *opaque, struct weir_runtime_call *call)
{
	const struct instance *const instance = opaque;

	return instance->is_runner ? weir_queued_run(call) : weir_queued_door(call, instance->writer, &instance->limits);
}

static void queued_close(void *runtime)
{
	free(runtime);
}

static const struct weir_sandbox_profile sandbox = {.flags = WEIR_SANDBOX_KEEPS};

const struct weir_runtime_ops weir_runtime = {
	.name = "queue",
	.sandbox = &sandbox,
	.probe = queued_probe,
	.open = queued_open,
	.load = queued_load,
	.invoke = queued_invoke,
	.unload = free,
	.close = queued_close,
};
