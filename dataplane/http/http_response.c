#include "dataplane/http/http_response.h"

#include "dataplane/base/assert.h"
#include "dataplane/base/bytes.h"
#include "dataplane/http/http_char.h"
#include "dataplane/http/http_failure.h"
#include "dataplane/http/http_scan.h"

enum {
	REASON_BYTES_MAX = 48, /* of http_error_map.c; the longest has 31 */
	/* What a head has beside its fields: status line, date, length, connection, activation, end. */
	OWN_BYTES_MAX = 15 + REASON_BYTES_MAX + 37 + 38 + 24 + 61 + 2,
};

struct writer {
	char *out;
	size_t max;
	size_t bytes;
	bool roomy; /* what is written is known to fit */
	bool full;
};

/* Always inlined, as all of these: most texts are constants, whose copies then are a few moves, and
 * `roomy` folds. */
static inline __attribute__((always_inline)) void put(struct writer *writer, struct weir_span text)
{
	if (!writer->roomy && writer->max - writer->bytes < text.bytes) {
		writer->full = true;
		return;
	}
	if (__builtin_constant_p(text.bytes))
		memcpy(writer->out + writer->bytes, text.data, text.bytes);
	else
		weir_bytes_copy(writer->out + writer->bytes, text.data, text.bytes);
	writer->bytes += text.bytes;
}

static inline __attribute__((always_inline)) void put_decimal(struct writer *writer, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	if (number < 10) {
		digits[0] = (char)('0' + number);
		put(writer, (struct weir_span){.data = digits, .bytes = 1});
		return;
	}
	if (number < 100) {
		digits[0] = (char)('0' + number / 10);
		digits[1] = (char)('0' + number % 10);
		put(writer, (struct weir_span){.data = digits, .bytes = 2});
		return;
	}
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(writer, (struct weir_span){.data = digits + at, .bytes = sizeof(digits) - at});
}

static inline __attribute__((always_inline)) void
put_field(struct writer *writer, struct weir_span name, struct weir_span value)
{
	put(writer, name);
	put(writer, WEIR_SPAN(": "));
	put(writer, value);
	put(writer, WEIR_SPAN("\r\n"));
}

/* Framing and connection fields, and those of the exchange: ours alone, whatever a function says. */
static bool name_is_ours(struct weir_span name)
{
	switch (name.bytes) {
	case 2:
		return weir_span_equal_word(name, WEIR_SPAN("te"));
	case 4:
		return weir_span_equal_word(name, WEIR_SPAN("date"));
	case 7:
		return weir_span_equal_word(name, WEIR_SPAN("trailer")) ||
		       weir_span_equal_word(name, WEIR_SPAN("upgrade"));
	case 10:
		return weir_span_equal_word(name, WEIR_SPAN("connection")) ||
		       weir_span_equal_word(name, WEIR_SPAN("keep-alive"));
	case 14:
		return weir_span_equal_word(name, WEIR_SPAN("content-length"));
	case 16:
		return weir_span_equal_word(name, WEIR_SPAN("proxy-connection"));
	case 17:
		return weir_span_equal_word(name, WEIR_SPAN("transfer-encoding"));
	case 25:
		return weir_span_equal_word(name, WEIR_SPAN("x-openwhisk-activation-id"));
	default:
		return false;
	}
}

enum weir_http_field_verdict weir_http_field_check(struct weir_span name,
						   struct weir_span value)
{
	if (value.bytes >= WEIR_HTTP_SCAN_BYTES
		    ? weir_http_scan(value.data, 0, value.bytes, weir_http_scan_value_mask) != value.bytes
		    : !weir_http_char_all(value, WEIR_HTTP_CHAR_VALUE))
		return WEIR_HTTP_FIELD_REFUSE;
	/* By far the most frequent one; known to be a token. */
	if (weir_span_equal_word(name, WEIR_SPAN("content-type")))
		return WEIR_HTTP_FIELD_KEEP;
	if (!weir_http_char_is_token(name))
		return WEIR_HTTP_FIELD_REFUSE;
	return name_is_ours(name) ? WEIR_HTTP_FIELD_DROP : WEIR_HTTP_FIELD_KEEP;
}

static inline __attribute__((always_inline)) void put_status_line(struct writer *writer, uint16_t status)
{
	WEIR_ASSERT(status >= 200 && status <= 599);
	if (status == 200) {
		put(writer, WEIR_SPAN("HTTP/1.1 200 OK\r\n"));
		return;
	}
	put(writer, WEIR_SPAN("HTTP/1.1 "));
	put_decimal(writer, status);
	put(writer, WEIR_SPAN(" "));
	const struct weir_span reason = weir_span_of(weir_http_reason(status));

	WEIR_ASSERT(reason.bytes <= REASON_BYTES_MAX);
	put(writer, reason);
	put(writer, WEIR_SPAN("\r\n"));
}

static inline __attribute__((always_inline)) size_t
head_write(const struct weir_http_response_head *head, char *out, size_t max, bool roomy)
{
	struct writer writer = {.out = out, .max = max, .roomy = roomy};
	const bool has_content = head->status != 204 && head->status != 304;
	const bool until_close = head->content_length == WEIR_HTTP_LENGTH_UNKNOWN &&
				 head->minor == 0 && has_content;

	put_status_line(&writer, head->status);
	if (head->date != NULL)
		put_field(&writer, WEIR_SPAN("Date"),
			  (struct weir_span){.data = head->date, .bytes = 29});
	if (has_content && head->content_length != WEIR_HTTP_LENGTH_UNKNOWN) {
		put(&writer, WEIR_SPAN("Content-Length: "));
		put_decimal(&writer, head->content_length);
		put(&writer, WEIR_SPAN("\r\n"));
	} else if (has_content && !until_close) {
		put(&writer, WEIR_SPAN("Transfer-Encoding: chunked\r\n"));
	}
	/* A body that only the connection's end delimits allows no other answer after it. */
	if (!head->keep_alive || until_close)
		put(&writer, WEIR_SPAN("Connection: close\r\n"));
	else if (head->minor == 0)
		put(&writer, WEIR_SPAN("Connection: keep-alive\r\n"));
	if (head->activation != NULL)
		put_field(&writer, WEIR_SPAN("x-openwhisk-activation-id"),
			  (struct weir_span){.data = head->activation, .bytes = 32});
	for (size_t i = 0; i < head->field_count; i++)
		put_field(&writer, head->fields[i].name, head->fields[i].value);
	put(&writer, WEIR_SPAN("\r\n"));
	return writer.full ? 0 : writer.bytes;
}

/* Room for all of it is looked for once; the checks of each piece matter only when it is scarce. */
size_t weir_http_response_head_write(const struct weir_http_response_head *head, char *out,
				     size_t max)
{
	size_t need = OWN_BYTES_MAX;

	for (size_t i = 0; i < head->field_count; i++)
		need += head->fields[i].name.bytes + head->fields[i].value.bytes + 4;
	return need <= max ? head_write(head, out, max, true) : head_write(head, out, max, false);
}

bool weir_http_response_bodyless(unsigned status, bool request_was_head)
{
	return request_was_head || status < 200 || status == 204 || status == 304;
}

size_t weir_http_chunk_prefix(uint64_t bytes, char out[WEIR_HTTP_CHUNK_PREFIX_MAX])
{
	static const char hex[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
				     '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
	size_t digits = 1;

	WEIR_ASSERT(bytes > 0);
	while (digits < 16 && bytes >> (4 * digits) != 0)
		digits++;
	for (size_t i = 0; i < digits; i++)
		out[i] = hex[bytes >> (4 * (digits - 1 - i)) & 15];
	memcpy(out + digits, "\r\n", 2);
	return digits + 2;
}

static void two_digits(char *out, int64_t number)
{
	out[0] = (char)('0' + number / 10);
	out[1] = (char)('0' + number % 10);
}

/* Days since the epoch to the civil date, by 400-year eras that begin on 1 March: leap days are
 * then the last of their year. `days` may not be negative. */
static void date_civil(int64_t days, int64_t *out_year, int64_t *out_month, int64_t *out_day)
{
	const int64_t since_0000_march = days + 719468;
	const int64_t era = since_0000_march / 146097;
	const int64_t era_day = since_0000_march % 146097;
	const int64_t era_year =
		(era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	const int64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
	const int64_t march_month = (5 * year_day + 2) / 153;

	*out_day = year_day - (153 * march_month + 2) / 5 + 1;
	*out_month = march_month < 10 ? march_month + 2 : march_month - 10; /* 0 is January */
	*out_year = era * 400 + era_year + (*out_month < 2 ? 1 : 0);
}

void weir_http_date_format(int64_t epoch_seconds, char out[29])
{
	static const char day_names[] =
		"ThuFriSatSunMonTueWed"; /* 1 January 1970 was a Thursday */
	static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const int64_t seconds_max = INT64_C(253402300799); /* the end of 9999 */
	int64_t year;
	int64_t month;
	int64_t day;

	if (epoch_seconds < 0)
		epoch_seconds = 0;
	if (epoch_seconds > seconds_max)
		epoch_seconds = seconds_max;
	const int64_t days = epoch_seconds / 86400;
	const int64_t second = epoch_seconds % 86400;
	date_civil(days, &year, &month, &day);
	memcpy(out, "Day, 00 Mon 0000 00:00:00 GMT", 29);
	memcpy(out, day_names + 3 * (days % 7), 3);
	two_digits(out + 5, day);
	memcpy(out + 8, month_names + 3 * month, 3);
	two_digits(out + 12, year / 100);
	two_digits(out + 14, year % 100);
	two_digits(out + 17, second / 3600);
	two_digits(out + 20, second / 60 % 60);
	two_digits(out + 23, second % 60);
}
