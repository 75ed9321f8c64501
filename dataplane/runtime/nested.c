#include <errno.h>

#include "dataplane/runtime/runtime.h"

struct weir_span weir_runtime_answer_field(const struct weir_runtime_answer *answer,
					   struct weir_span name)
{
	const char *const base = (const char *)answer->head;
	const struct weir_head_field *const rows = (const void *)(answer->head + 1);

	for (uint16_t i = 0; i < answer->head->field_count; i++) {
		const struct weir_span found = {.data = base + rows[i].name.offset,
						.bytes = rows[i].name.bytes};

		if (weir_span_equal_nocase(found, name))
			return (struct weir_span){.data = base + rows[i].value.offset,
						  .bytes = rows[i].value.bytes};
	}
	return (struct weir_span){0};
}

int weir_runtime_method_find(struct weir_span name)
{
	struct weir_request_head head = {.method = 0};
	const struct weir_runtime_call call = {.head = &head};

	for (; weir_runtime_method(&call).bytes != 0; head.method++)
		if (weir_span_equal(weir_runtime_method(&call), name))
			return head.method;
	return -EINVAL;
}

int weir_runtime_nested_wait(struct weir_runtime_call *call, uint32_t nested,
			     struct weir_runtime_answer *out_answer)
{
	int result = call->ops->nested_answer(call, nested, out_answer);

	while (result == -EAGAIN) {
		result = call->ops->wait(call, NULL, 0, UINT64_MAX);
		if (result == 0)
			result = call->ops->nested_answer(call, nested, out_answer);
	}
	if (result != 0)
		call->ops->nested_drop(call, nested);
	return result;
}
