#include "bench/load_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataplane/base/span.h"

static const char status_ok[] = "HTTP/1.1 200 ";
#define STATUS_OK_BYTES    (sizeof(status_ok) - 1)
#define STATUS_OK          200
#define STATUS_LINE_PREFIX 9 /* "HTTP/1.1 " */

struct head {
	uint32_t bytes;
	uint16_t status;
	bool retry_after;
	uint64_t body_bytes;
	const char *length_line;
	uint32_t length_line_bytes;
};

int weir_load_answer_open(struct weir_load_answer *answer)
{
	*answer = (struct weir_load_answer){.carry = malloc(WEIR_LOAD_CARRY_BYTES)};
	return answer->carry != NULL ? 0 : -ENOMEM;
}

void weir_load_answer_reset(struct weir_load_answer *answer)
{
	answer->body_left = 0;
	answer->expected = 0;
	answer->carry_bytes = 0;
	answer->in_body = false;
	answer->echo = NULL;
}

static bool shape_matches(const struct weir_load_shape *shape, const char *data, size_t bytes)
{
	return shape->head_bytes != 0 && bytes >= shape->head_bytes &&
	       memcmp(data, status_ok, STATUS_OK_BYTES) == 0 &&
	       memcmp(data + shape->head_bytes - 4, "\r\n\r\n", 4) == 0 &&
	       memcmp(data + shape->length_offset, shape->length_line, shape->length_bytes) ==
		       0;
}

/* Read the value of a Content-Length line: decimal digits with blanks around them. */
static bool length_parse(const char *value, const char *line_end, uint64_t *out_length)
{
	uint64_t length = 0;
	bool any = false;

	while (value < line_end && *value == ' ')
		value++;
	for (; value < line_end && *value >= '0' && *value <= '9'; value++) {
		if (length > UINT32_MAX)
			return false;
		length = length * 10 + (uint64_t)(*value - '0');
		any = true;
	}
	while (value < line_end && *value == ' ')
		value++;
	*out_length = length;
	return any && value == line_end;
}

/* The three digits behind the version; 0 where others stand. */
static uint16_t status_parse(const char *digits)
{
	unsigned status = 0;

	for (int i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(digits[i] - '0');
	}
	return (uint16_t)status;
}

static bool line_has_name(const char *line, const char *line_end, struct weir_span name)
{
	return (size_t)(line_end - line) >= name.bytes && strncasecmp(line, name.data, name.bytes) == 0;
}

/* 0 and *out_head, -EAGAIN (the blank line has not come yet), -EBADMSG. */
static int head_parse(const char *data, size_t bytes, struct head *out_head)
{
	static const struct weir_span name = WEIR_SPAN("content-length:");
	const char *blank = memmem(data, bytes, "\r\n\r\n", 4);
	bool has_length = false;

	if (blank == NULL)
		return bytes >= WEIR_LOAD_CARRY_BYTES ? -EBADMSG : -EAGAIN;
	*out_head = (struct head){.bytes = (uint32_t)(blank - data) + 4};
	if (out_head->bytes < STATUS_OK_BYTES ||
	    memcmp(data, status_ok, STATUS_LINE_PREFIX) != 0)
		return -EBADMSG;
	out_head->status = status_parse(data + STATUS_LINE_PREFIX);
	const char *const lines_end = blank + 2;

	for (const char *line = data, *line_end; line < lines_end; line = line_end + 2) {
		line_end = memmem(line, (size_t)(lines_end - line), "\r\n", 2);
		if (line_end == NULL)
			break;
		out_head->retry_after |= line_has_name(line, line_end, WEIR_SPAN("retry-after:"));
		if (!line_has_name(line, line_end, name))
			continue;
		if (has_length || !length_parse(line + name.bytes, line_end, &out_head->body_bytes))
			return -EBADMSG;
		has_length = true;
		out_head->length_line = line;
		out_head->length_line_bytes = (uint32_t)(line_end - line) + 2;
	}
	return has_length ? 0 : -EBADMSG;
}

/* Whether the head is as it should be; what is not is counted. */
static bool head_judge(struct weir_load_shape *shape, const struct head *head, const char *data,
		       struct weir_load_counts *counts)
{
	if (head->status != STATUS_OK) {
		if (shape->refusals && (head->status == 429 || head->status == 503))
			counts->refused++;
		else
			counts->status++;
		return false;
	}
	if (shape->echo_bytes != 0 && head->body_bytes != shape->echo_bytes) {
		counts->length++;
		return false;
	}
	if (shape->head_bytes == 0 && head->length_line_bytes <= sizeof(shape->length_line)) {
		shape->head_bytes = head->bytes;
		shape->body_bytes = head->body_bytes;
		shape->length_offset = (uint32_t)(head->length_line - data);
		shape->length_bytes = head->length_line_bytes;
		memcpy(shape->length_line, head->length_line, head->length_line_bytes);
	}
	if (head->bytes != shape->head_bytes || head->body_bytes != shape->body_bytes) {
		counts->length++;
		return false;
	}
	return true;
}

static void body_start(struct weir_load_answer *answer, uint64_t body_bytes)
{
	answer->body_left = body_bytes;
	answer->in_body = true;
	answer->differs = false;
}

/* Read a head at `data`. Returns its bytes and starts the body; -EAGAIN, -EBADMSG (not counted),
 * -ECANCELED (counted: it answers a body, and wrongly). */
static int head_take(struct weir_load_answer *answer, struct weir_load_shape *shape,
		     const char *data, size_t bytes, struct weir_load_counts *counts)
{
	struct head head;

	if (answer->expected == 0)
		return -EBADMSG;
	if (shape_matches(shape, data, bytes)) {
		answer->status = STATUS_OK;
		body_start(answer, shape->body_bytes);
		return (int)shape->head_bytes;
	}
	const int status = head_parse(data, bytes, &head);

	if (status != 0)
		return status;
	answer->status = head.status;
	answer->retry_after = head.retry_after;
	if (!head_judge(shape, &head, data, counts) && answer->echo != NULL)
		return -ECANCELED;
	body_start(answer, head.body_bytes);
	return (int)head.bytes;
}

/* Continue a head that began in an earlier receive. Returns how many of the new bytes belong to
 * what was taken into `carry`, or -EBADMSG, -ECANCELED. */
static int carry_take(struct weir_load_answer *answer, struct weir_load_shape *shape,
		      const char *data, size_t bytes, struct weir_load_counts *counts)
{
	const uint32_t before = answer->carry_bytes;
	size_t added = WEIR_LOAD_CARRY_BYTES - before;

	if (added > bytes)
		added = bytes;
	memcpy(answer->carry + before, data, added);
	answer->carry_bytes += (uint32_t)added;
	const int head = head_take(answer, shape, answer->carry, answer->carry_bytes, counts);

	if (head == -EAGAIN)
		return (int)added;
	answer->carry_bytes = 0;
	/* The blank line was not in the bytes that waited, so the head ends in the new ones. */
	return head < 0 ? head : head - (int)before;
}

/* Take what belongs to the body under way; the bytes taken. */
static size_t body_take(struct weir_load_answer *answer, const struct weir_load_shape *shape,
			const char *data, size_t bytes)
{
	const size_t taken = answer->body_left < bytes ? (size_t)answer->body_left : bytes;

	if (answer->echo != NULL &&
	    memcmp(answer->echo + (shape->echo_bytes - answer->body_left), data, taken) != 0)
		answer->differs = true;
	answer->body_left -= taken;
	return taken;
}

int weir_load_answer_take(struct weir_load_answer *answer, struct weir_load_shape *shape,
			  const char *data, size_t bytes, struct weir_load_counts *counts)
{
	int completed = 0;

	for (;;) {
		if (answer->in_body) {
			const size_t taken = body_take(answer, shape, data, bytes);

			data += taken;
			bytes -= taken;
			if (answer->body_left > 0)
				break;
			counts->content += answer->differs;
			answer->in_body = false;
			answer->expected--;
			completed++;
		}
		if (bytes == 0)
			break;
		int head = answer->carry_bytes == 0
				   ? head_take(answer, shape, data, bytes, counts)
				   : -EAGAIN;

		if (head == -EAGAIN)
			head = carry_take(answer, shape, data, bytes, counts);
		if (head < 0) {
			counts->malformed += head == -EBADMSG;
			return -EBADMSG;
		}
		data += head;
		bytes -= (size_t)head;
	}
	counts->answers += (uint64_t)completed;
	return completed;
}
