#include "dataplane/worker/probe.h"

bool weir_probe_is(const struct weir_port_call *call)
{
	const struct weir_head_field *const row =
		(const struct weir_head_field *)(const void *)(call->head + 1);

	if (!weir_span_equal(weir_port_call_span(call, call->head->peer), WEIR_SPAN("unix")))
		return false;
	for (size_t i = 0; i < call->head->field_count; i++) {
		if (weir_span_equal(weir_port_call_span(call, row[i].name), WEIR_SPAN("x-weir-load")))
			return true;
	}
	return false;
}
