#include "dataplane/gateway/error_answer.h"

#include "dataplane/base/assert.h"
#include "dataplane/gateway/output.h"
#include "dataplane/gateway/shard.h"
#include "dataplane/gateway/timing.h"

enum {
	HEAD_ROOM_BYTES = 512, /* status line and the fields that the gateway adds */
	BODY_BYTES_MAX = 1024,
};

static void count_status(struct weir_shard *shard, unsigned status)
{
	static const enum weir_metric metric_of[] = {
		[2] = WEIR_METRIC_responses_2xx,
		[3] = WEIR_METRIC_responses_3xx,
		[4] = WEIR_METRIC_responses_4xx,
		[5] = WEIR_METRIC_responses_5xx,
	};

	WEIR_ASSERT(status >= 200 && status < 600);
	weir_shard_count(shard, metric_of[status / 100], 1);
}

bool weir_error_answer_write_head(struct weir_shard *shard, struct weir_exchange *exchange,
				  const struct weir_http_response_head *head)
{
	size_t room = HEAD_ROOM_BYTES, bytes;
	char *out;

	for (size_t i = 0; i < head->field_count; i++)
		room += head->fields[i].name.bytes + head->fields[i].value.bytes + 4;
	out = weir_output_reserve(shard, exchange->connection, room);
	if (!out)
		return false;
	bytes = weir_http_response_head_write(head, out, room);
	WEIR_ASSERT(bytes > 0); /* room was counted above */
	weir_output_commit(exchange->connection, bytes);
	exchange->stages.status = head->status;
	count_status(shard, head->status);
	return true;
}

/* "GET, POST" from the methods of a 405; HEAD comes with GET. */
static size_t write_allow(uint16_t allow, char *out)
{
	size_t at = 0;

	if (allow & 1 << WEIR_HTTP_GET)
		allow |= 1 << WEIR_HTTP_HEAD;
	for (int method = 0; method < WEIR_HTTP_METHOD_COUNT; method++) {
		struct weir_span name;

		if (!(allow >> method & 1))
			continue;
		name = weir_http_method_name((enum weir_http_method)method);
		if (at > 0) {
			memcpy(out + at, ", ", 2);
			at += 2;
		}
		memcpy(out + at, name.data, name.bytes);
		at += name.bytes;
	}
	return at;
}

static size_t write_body(struct weir_exchange *exchange, const char *activation, char *out)
{
	char detail[512] = {0};

	if (exchange->detail) {
		const size_t bytes = weir_block_used(exchange->detail);

		memcpy(detail, exchange->detail->data,
		       bytes < sizeof(detail) - 1 ? bytes : sizeof(detail) - 1);
	}
	return weir_http_failure_body((enum weir_http_failure)exchange->failure, detail, activation, out,
				      BODY_BYTES_MAX);
}

bool weir_error_answer_write(struct weir_shard *shard, struct weir_exchange *exchange)
{
	const struct weir_http_failure_row *row =
		weir_http_failure_row((enum weir_http_failure)exchange->failure);
	char activation[33] = {0}, allow[64], body[BODY_BYTES_MAX];
	char timing[WEIR_TIMING_BYTES_MAX];
	struct weir_http_field fields[4] = {
		{.name = WEIR_SPAN("Content-Type"), .value = WEIR_SPAN("application/json")}};
	struct weir_http_response_head head = {.status = row->status,
					       .minor = exchange->minor,
					       .activation = activation,
					       .date = weir_shard_date(shard),
					       .fields = fields,
					       .field_count = 1};

	weir_id_format(exchange->activation, activation);
	head.content_length = write_body(exchange, activation, body);
	if (row->retry_after)
		fields[head.field_count++] = (struct weir_http_field){
			.name = WEIR_SPAN("Retry-After"), .value = WEIR_SPAN("1")};
	if (exchange->failure == WEIR_HTTP_METHOD_NOT_ALLOWED)
		fields[head.field_count++] = (struct weir_http_field){
			.name = WEIR_SPAN("Allow"),
			.value = {.data = allow, .bytes = write_allow(exchange->allow, allow)}};
	if (row->status == 401)
		fields[head.field_count++] = (struct weir_http_field){
			.name = WEIR_SPAN("WWW-Authenticate"),
			.value = WEIR_SPAN("Bearer realm=\"weir\", Basic realm=\"weir\", charset=\"UTF-8\"")};
	if (weir_timing_field(exchange, timing, &fields[head.field_count]))
		head.field_count++;
	if (row->close || exchange->refused_body || shard->stopping)
		exchange->keep_alive = false;
	head.keep_alive = exchange->keep_alive;
	if (!weir_error_answer_write_head(shard, exchange, &head) ||
	    (!exchange->head_request &&
	     !weir_output_append(shard, exchange->connection, body, head.content_length))) {
		weir_connection_abort(shard, exchange->connection);
		return false;
	}
	exchange->head_written = true;
	exchange->stages.answer_bytes = exchange->head_request ? 0 : head.content_length;
	return true;
}

size_t weir_error_answer_refused(struct weir_shard *shard, char *out, size_t max)
{
	const struct weir_http_failure_row *row = weir_http_failure_row(WEIR_HTTP_CONNECTIONS_FULL);
	char activation[33] = {0}, body[BODY_BYTES_MAX];
	const struct weir_http_field fields[] = {
		{.name = WEIR_SPAN("Content-Type"), .value = WEIR_SPAN("application/json")},
		{.name = WEIR_SPAN("Retry-After"), .value = WEIR_SPAN("1")},
	};
	struct weir_http_response_head head = {.status = row->status,
					       .minor = 1,
					       .activation = activation,
					       .date = weir_shard_date(shard),
					       .fields = fields,
					       .field_count = 2};
	size_t bytes;

	weir_id_format(weir_id_next(&shard->id_source), activation);
	head.content_length =
		weir_http_failure_body(WEIR_HTTP_CONNECTIONS_FULL, "", activation, body, sizeof(body));
	bytes = weir_http_response_head_write(&head, out, max);
	WEIR_ASSERT(bytes > 0 && bytes + head.content_length <= max);
	memcpy(out + bytes, body, head.content_length);
	return bytes + head.content_length;
}
