#include "dataplane/gateway/encode.h"

#include "dataplane/abi/head.h"

/* The head is struct | field table | parameter table | raw head bytes | path | parameter names and
 * values | peer | pattern. Fields, target, query and authority stay where they are in the raw bytes:
 * one copy of the whole head costs less than one per field. */

static size_t tables_bytes(const struct weir_encode_input *input)
{
	return sizeof(struct weir_request_head) +
	       ((size_t)input->parser->header_count + input->match->param_count) *
		       sizeof(struct weir_head_field);
}

static struct weir_span param_name(const struct weir_encode_input *input, uint16_t i)
{
	return weir_route_param_name(input->snapshot, input->match->target, i);
}

static struct weir_span pattern(const struct weir_encode_input *input)
{
	return weir_snapshot_span(input->snapshot, input->match->target->pattern);
}

size_t weir_encode_bytes(const struct weir_encode_input *input)
{
	size_t bytes = tables_bytes(input) + input->parser->head_bytes + input->path.bytes +
		       input->peer.bytes + pattern(input).bytes + input->caller.space.bytes;

	for (uint16_t i = 0; i < input->match->param_count; i++)
		bytes += param_name(input, i).bytes + input->match->param[i].bytes;
	return bytes;
}

/* Copy a text behind what is written and return its slice. */
static struct weir_head_slice put(char *out, size_t *at, struct weir_span text)
{
	const struct weir_head_slice slice = {.offset = (uint16_t)*at, .bytes = (uint16_t)text.bytes};

	if (text.bytes > 0)
		memcpy(out + *at, text.data, text.bytes);
	*at += text.bytes;
	return slice;
}

static struct weir_head_slice moved(struct weir_http_slice slice, size_t by)
{
	return (struct weir_head_slice){.offset = (uint16_t)(slice.offset + by), .bytes = slice.bytes};
}

/* The function must not see this field's value: it is there, but empty. */
static __attribute__((noinline)) void hide(const struct weir_encode_input *input, size_t raw, char *out)
{
	const uint16_t i = (uint16_t)(input->caller.hidden - 1);
	const struct weir_http_slice value = input->parser->headers[i].value;
	struct weir_head_field *field = (void *)(out + sizeof(struct weir_request_head));

	memset(out + raw + value.offset, ' ', value.bytes);
	field[i].value.bytes = 0;
}

size_t weir_encode_request(const struct weir_encode_input *input, char *out)
{
	const struct weir_http_parser *parser = input->parser;
	const size_t bytes = weir_encode_bytes(input);
	const size_t raw = tables_bytes(input);
	struct weir_request_head *head = (void *)out;
	struct weir_head_field *field = (void *)(out + sizeof(*head));
	size_t at = raw;

	if (bytes > WEIR_HEAD_REQUEST_BYTES_MAX)
		return 0;
	(void)put(out, &at, (struct weir_span){.data = input->head, .bytes = parser->head_bytes});
	for (uint16_t i = 0; i < parser->header_count; i++, field++)
		*field = (struct weir_head_field){.name = moved(parser->headers[i].name, raw),
						  .value = moved(parser->headers[i].value, raw)};
	if (input->caller.hidden != 0)
		hide(input, raw, out);
	for (uint16_t i = 0; i < input->match->param_count; i++, field++) {
		field->name = put(out, &at, param_name(input, i));
		field->value = put(out, &at, input->match->param[i]);
	}
	*head = (struct weir_request_head){
		.bytes = (uint32_t)bytes,
		.method = (uint8_t)parser->method,
		.minor = parser->minor,
		.field_count = parser->header_count,
		.param_count = input->match->param_count,
		.content_length = input->content_length,
		.query = moved(parser->query, raw),
		.authority = moved(parser->authority, raw),
		.target = moved(parser->target, raw),
		.caller_role = input->caller.role,
		.caller_flags = input->caller.flags,
	};
	head->path = put(out, &at, input->path);
	head->peer = put(out, &at, input->peer);
	head->pattern = put(out, &at, pattern(input));
	head->caller = put(out, &at, input->caller.space);
	return bytes;
}
