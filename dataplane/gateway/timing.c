#include "dataplane/gateway/timing.h"

#include <stdio.h>

#include "dataplane/base/clock.h"
#include "dataplane/gateway/shard.h"

static const struct weir_span field_name = {.data = "x-weir-timing", .bytes = 13};

void weir_timing_begin(struct weir_exchange *exchange, const struct weir_http_parser *parser,
		       const char *head)
{
	for (uint16_t i = 0; i < parser->header_count; i++) {
		if (weir_span_equal_nocase(weir_http_slice_span(head, parser->headers[i].name), field_name))
			exchange->began_ns = weir_clock_now_ns();
	}
}

bool weir_timing_field(const struct weir_exchange *exchange, char text[WEIR_TIMING_BYTES_MAX],
		       struct weir_http_field *out_field)
{
	uint64_t now_ns = 0;
	uint64_t bound_ns = 0;
	int bytes = 0;

	if (exchange->began_ns == 0)
		return false;
	now_ns = weir_clock_now_ns();
	bound_ns = exchange->bound_ns == 0 ? now_ns : exchange->bound_ns;
	bytes = snprintf(text, WEIR_TIMING_BYTES_MAX, "wait=%.3f worker=%.3f cold=%d",
			 (double)(bound_ns - exchange->began_ns) / WEIR_NS_PER_MS,
			 (double)(now_ns - bound_ns) / WEIR_NS_PER_MS, exchange->cold_since_ns != 0 ? 1 : 0); /* fits */
	*out_field = (struct weir_http_field){
		.name = field_name, .value = {.data = text, .bytes = (size_t)bytes}};
	return true;
}

void weir_timing_cold(struct weir_shard *shard, struct weir_shard_link *link, const struct weir_exchange *exchange)
{
	const uint64_t took_ns = shard->now_ns - exchange->cold_since_ns;

	weir_shard_count(shard, WEIR_METRIC_calls_cold, 1);
	weir_shard_count(shard, WEIR_METRIC_calls_cold_ns, (int64_t)took_ns);
	if (link->cold_told)
		return;
	link->cold_told = true;
	weir_shard_tell(shard, &(struct weir_letter){.kind = WEIR_LETTER_COLD_START,
						     .value = link->worker_id,
						     .took_ns = took_ns});
}
