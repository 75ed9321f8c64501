#include "dataplane/shm/output.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "dataplane/base/assert.h"

void weir_output_begin(struct weir_output_message *message, struct weir_id activation,
		       struct weir_span name)
{
	struct weir_output_head head = {.magic = WEIR_OUTPUT_MAGIC,
					.activation_high = activation.high,
					.activation_low = activation.low};

	if (name.bytes > WEIR_OUTPUT_NAME_BYTES_MAX)
		name.bytes = WEIR_OUTPUT_NAME_BYTES_MAX;
	head.name_bytes = (uint16_t)name.bytes;
	memcpy(message->data, &head, sizeof(head));
	if (name.bytes != 0)
		memcpy(message->data + sizeof(head), name.data, name.bytes);
	message->bytes = sizeof(head) + name.bytes;
}

uint16_t weir_output_entries(const struct weir_output_message *message)
{
	struct weir_output_head head;

	if (message->bytes < sizeof(head))
		return 0;
	memcpy(&head, message->data, sizeof(head));
	return head.entry_count;
}

bool weir_output_append(struct weir_output_message *message, uint64_t time_ns,
			enum weir_output_stream stream, struct weir_span text)
{
	const uint16_t entries = (uint16_t)(weir_output_entries(message) + 1);
	struct weir_output_entry entry = {.time_ns = time_ns, .stream = (uint8_t)stream};

	WEIR_ASSERT(text.bytes <= WEIR_OUTPUT_TEXT_BYTES_MAX);
	if (sizeof(entry) + text.bytes > sizeof(message->data) - message->bytes)
		return false;
	entry.text_bytes = (uint16_t)text.bytes;
	memcpy(message->data + message->bytes, &entry, sizeof(entry));
	if (text.bytes != 0)
		memcpy(message->data + message->bytes + sizeof(entry), text.data, text.bytes);
	message->bytes += sizeof(entry) + text.bytes;
	memcpy(message->data + offsetof(struct weir_output_head, entry_count), &entries,
	       sizeof(entries));
	return true;
}

void weir_output_dropped(struct weir_output_message *message, uint64_t dropped)
{
	WEIR_ASSERT(message->bytes >= sizeof(struct weir_output_head));
	memcpy(message->data + offsetof(struct weir_output_head, dropped), &dropped,
	       sizeof(dropped));
}

bool weir_output_next(struct weir_output_reader *reader, struct weir_output_line *out_line)
{
	struct weir_output_entry entry;

	if (reader->entries_left == 0 || reader->rest.bytes < sizeof(entry))
		return false;
	memcpy(&entry, reader->rest.data, sizeof(entry));
	if (entry.text_bytes > WEIR_OUTPUT_TEXT_BYTES_MAX || entry.stream >= WEIR_OUTPUT_STREAMS ||
	    entry.text_bytes > reader->rest.bytes - sizeof(entry))
		return false;
	*out_line = (struct weir_output_line){
		.time_ns = entry.time_ns,
		.stream = (enum weir_output_stream)entry.stream,
		.text = {.data = reader->rest.data + sizeof(entry), .bytes = entry.text_bytes}};
	reader->entries_left--;
	reader->rest.data += sizeof(entry) + entry.text_bytes;
	reader->rest.bytes -= sizeof(entry) + entry.text_bytes;
	return true;
}

int weir_output_read(const void *data, size_t bytes, struct weir_output_reader *out_reader)
{
	struct weir_output_head head;
	struct weir_output_reader reader;
	struct weir_output_reader walk;
	struct weir_output_line line;

	if (bytes < sizeof(head))
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	if (head.magic != WEIR_OUTPUT_MAGIC || head.entry_count == 0 ||
	    head.name_bytes > WEIR_OUTPUT_NAME_BYTES_MAX ||
	    head.name_bytes > bytes - sizeof(head))
		return -EBADMSG;
	reader = (struct weir_output_reader){
		.activation = {.high = head.activation_high, .low = head.activation_low},
		.dropped = head.dropped,
		.name = {.data = (const char *)data + sizeof(head), .bytes = head.name_bytes},
		.entries_left = head.entry_count,
		.rest = {.data = (const char *)data + sizeof(head) + head.name_bytes,
			 .bytes = bytes - sizeof(head) - head.name_bytes}};
	walk = reader;
	while (weir_output_next(&walk, &line))
		continue;
	if (walk.entries_left != 0 || walk.rest.bytes != 0)
		return -EBADMSG;
	*out_reader = reader;
	return 0;
}
