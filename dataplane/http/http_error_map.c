#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/http/http_failure.h"

#define RETRY true
#define CLOSE true

/* clang-format off: a table */
static const struct weir_http_failure_row rows[WEIR_HTTP_FAILURE_COUNT] = {
	[WEIR_HTTP_BAD_REQUEST] = {400, "bad_request", "http",
				   "The request line or a header field is malformed; send "
				   "HTTP/1.1 as RFC 9112 defines it",
				   !RETRY, CLOSE},
	[WEIR_HTTP_BAD_HOST] = {400, "bad_host", "http",
				"The request needs exactly one valid Host, equal to the "
				"authority of its target if that has one",
				!RETRY, CLOSE},
	[WEIR_HTTP_BAD_PATH] = {400, "bad_path", "http",
				"The path has a malformed escape, a control character, or "
				"climbs above the root",
				!RETRY, !CLOSE},
	[WEIR_HTTP_BAD_FRAMING] = {400, "bad_framing", "http",
				   "The length of the body is ambiguous; send one "
				   "Content-Length or one Transfer-Encoding: chunked",
				   !RETRY, CLOSE},
	[WEIR_HTTP_BAD_CHUNK] =
		{400, "bad_chunk", "http",
		 "The chunked body is malformed, or it has more framing than payload allows",
		 !RETRY, CLOSE},
	[WEIR_HTTP_BAD_RESOURCES] =
		{400, "bad_resources", "http",
		 "x-weir-cpu-millicores and x-weir-memory-mb take one whole number each", !RETRY, !CLOSE},
	[WEIR_HTTP_HEAD_TIMEOUT] = {408, "head_timeout", "http",
				    "The head of the request did not arrive in time", !RETRY,
				    CLOSE},
	[WEIR_HTTP_BODY_TIMEOUT] = {408, "body_timeout", "http",
				    "The body of the request did not arrive in time", !RETRY,
				    CLOSE},
	[WEIR_HTTP_LENGTH_REQUIRED] = {411, "length_required", "http",
				       "Expect: 100-continue announces a body; send its "
				       "Content-Length or Transfer-Encoding: chunked",
				       !RETRY, CLOSE},
	[WEIR_HTTP_BODY_TOO_LARGE] = {413, "body_too_large", "http",
				      "The body is larger than this instance accepts", !RETRY,
				      CLOSE},
	[WEIR_HTTP_TARGET_TOO_LONG] =
		{414, "target_too_long", "http",
		 "The request target is longer than this instance accepts", !RETRY, CLOSE},
	[WEIR_HTTP_EXPECTATION] = {417, "expectation_failed", "http",
				   "The only expectation that can be met is 100-continue",
				   !RETRY, CLOSE},
	[WEIR_HTTP_HEAD_TOO_LARGE] =
		{431, "head_too_large", "http",
		 "The header fields are larger or more than this instance accepts", !RETRY,
		 CLOSE},
	[WEIR_HTTP_METHOD_UNKNOWN] =
		{501, "method_unknown", "http",
		 "The method is unknown; use GET, HEAD, POST, PUT, DELETE, PATCH or OPTIONS",
		 !RETRY, CLOSE},
	[WEIR_HTTP_CODING_UNKNOWN] = {501, "coding_unknown", "http",
				      "The only transfer coding understood is chunked", !RETRY,
				      CLOSE},
	[WEIR_HTTP_VERSION] =
		{505, "version_unsupported", "http",
		 "The protocol version is not supported; use HTTP/1.1 or HTTP/1.0", !RETRY,
		 CLOSE},

	[WEIR_HTTP_NO_ROUTE] = {404, "no_route", "route", "Function not found", !RETRY, !CLOSE},
	[WEIR_HTTP_METHOD_NOT_ALLOWED] =
		{405, "method_not_allowed", "route",
		 "The path has routes, but none for this method; see Allow", !RETRY, !CLOSE},
	[WEIR_HTTP_RUNTIME_MISSING] = {501, "runtime_missing", "route",
				       "The runtime of the function is not installed", !RETRY,
				       !CLOSE},

	[WEIR_HTTP_CALL_MALFORMED] =
		{400, "call_malformed", "route",
		 "The request to another function is malformed; its path begins with '/', and fields "
		 "that frame a message are Weir's own",
		 !RETRY, !CLOSE},
	[WEIR_HTTP_CALL_FOREIGN] = {403, "call_foreign", "route",
				    "A function may call functions of its own namespace only",
				    !RETRY, !CLOSE},
	[WEIR_HTTP_CALL_UNKNOWN] =
		{404, "call_unknown", "route",
		 "No function of this name is deployed in the caller's namespace", !RETRY, !CLOSE},
	[WEIR_HTTP_CALL_BODY] = {413, "call_body", "route",
				 "The body of a call to another function may have 1 MiB", !RETRY,
				 !CLOSE},
	[WEIR_HTTP_CALL_FAN_OUT] = {429, "call_fan_out", "route",
				    "One call may make 64 calls to other functions, no more",
				    RETRY, !CLOSE},
	[WEIR_HTTP_CALL_DEPTH] =
		{508, "call_depth", "route",
		 "Functions call each other more than 16 deep; they may be calling in a circle",
		 !RETRY, !CLOSE},

	[WEIR_HTTP_UNAUTHORIZED] = {401, "unauthorized", "access",
				    "A key is needed; send it as Authorization: Bearer KEY", !RETRY,
				    !CLOSE},
	[WEIR_HTTP_FORBIDDEN] = {403, "forbidden", "access", "The key does not open this", !RETRY,
				 !CLOSE},

	[WEIR_HTTP_QUEUE_FULL] =
		{429, "queue_full", "queue",
		 "The function has as many requests waiting as it may have; try again later",
		 RETRY, !CLOSE},
	[WEIR_HTTP_OVERLOADED] =
		{503, "overloaded", "queue",
		 "More requests come than the function's workers can do, and this one would wait too long; try again later",
		 RETRY, !CLOSE},
	[WEIR_HTTP_CONNECTIONS_FULL] =
		{503, "connections_full", "queue",
		 "This instance has as many connections as it may have; try again later", RETRY,
		 CLOSE},
	[WEIR_HTTP_CALLS_FULL] =
		{503, "calls_full", "queue",
		 "As many calls between functions are in progress as there may be; try again later",
		 RETRY, !CLOSE},
	[WEIR_HTTP_NO_WORKER] = {503, "no_worker", "queue",
				 "No worker can take the request now; try again later", RETRY,
				 !CLOSE},
	[WEIR_HTTP_NO_SPEC] = {503, "no_spec", "queue",
			       "No spec of the function holds what the request asks for; ask for less", !RETRY,
			       !CLOSE},
	[WEIR_HTTP_NO_MEMORY] = {503, "no_memory", "queue",
				 "The memory for waiting requests is used up; try again later",
				 RETRY, !CLOSE},
	[WEIR_HTTP_QUEUE_TIMEOUT] = {504, "queue_timeout", "queue",
				     "The deadline passed before a worker was free", !RETRY,
				     !CLOSE},
	[WEIR_HTTP_SHUTTING_DOWN] = {503, "shutting_down", "queue",
				     "This instance is stopping; try again later", RETRY,
				     CLOSE},

	[WEIR_HTTP_OUT_OF_MEMORY] = {502, "out_of_memory", "worker",
				     "The worker ran out of memory while it ran the function",
				     !RETRY, !CLOSE},
	[WEIR_HTTP_WORKER_DIED] = {502, "worker_died", "worker",
				   "The worker died while it ran the function", !RETRY, !CLOSE},
	[WEIR_HTTP_FUNCTION_FAILED] = {502, "function_failed", "worker",
				       "The function reported an internal failure", !RETRY,
				       !CLOSE},
	[WEIR_HTTP_FUNCTION_GARBAGE] = {502, "function_garbage", "worker",
					"The function answered with a malformed response",
					!RETRY, !CLOSE},
	[WEIR_HTTP_FUNCTION_LOAD] = {502, "function_load", "worker",
				     "The code of the function could not be loaded", !RETRY,
				     !CLOSE},
	[WEIR_HTTP_FUNCTION_TIMEOUT] = {504, "function_timeout", "worker",
					"The function did not answer before its deadline",
					!RETRY, !CLOSE},
};
/* clang-format on */

const struct weir_http_failure_row *weir_http_failure_row(enum weir_http_failure failure)
{
	WEIR_ASSERT(failure > WEIR_HTTP_OK && failure < WEIR_HTTP_FAILURE_COUNT);
	return &rows[failure];
}

/* The bytes of the UTF-8 character at text[0]: 1 to 4, or 0 if it is malformed (RFC 3629). */
static size_t utf8_bytes(const char *text, size_t bytes)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t count;
	unsigned char second_min = 0x80;
	unsigned char second_max = 0xbf;

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	count = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (count > bytes)
		return 0;
	if (at[0] == 0xe0)
		second_min = 0xa0; /* else overlong */
	else if (at[0] == 0xed)
		second_max = 0x9f; /* else a surrogate */
	else if (at[0] == 0xf0)
		second_min = 0x90;
	else if (at[0] == 0xf4)
		second_max = 0x8f; /* else beyond U+10FFFF */
	if (at[1] < second_min || at[1] > second_max)
		return 0;
	for (size_t i = 2; i < count; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return count;
}

/* One character of a JSON string at text[0]. Returns the input bytes used; what to write stands in
 * out[0 .. *out_bytes-1]. */
static size_t json_character(const char *text, size_t bytes, char out[6], size_t *out_bytes)
{
	static const char hex[16] = {'0', '1', '2', '3', '4', '5', '6', '7',
				     '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
	const size_t count = utf8_bytes(text, bytes);
	const unsigned char byte = (unsigned char)text[0];

	if (count == 0) {
		memcpy(out, "\\ufffd", 6);
		*out_bytes = 6;
		return 1;
	}
	if (byte == '"' || byte == '\\') {
		out[0] = '\\';
		out[1] = (char)byte;
		*out_bytes = 2;
		return 1;
	}
	if (byte < 0x20) {
		memcpy(out, "\\u00", 4);
		out[4] = hex[byte >> 4];
		out[5] = hex[byte & 15];
		*out_bytes = 6;
		return 1;
	}
	memcpy(out, text, count);
	*out_bytes = count;
	return count;
}

static size_t append(char *out, size_t at, const char *text)
{
	const size_t bytes = strlen(text);

	memcpy(out + at, text, bytes);
	return at + bytes;
}

size_t weir_http_failure_body(enum weir_http_failure failure, const char *detail,
			      const char *activation, char *out, size_t max)
{
	const struct weir_http_failure_row *row = weir_http_failure_row(failure);
	const char *sentence = detail != NULL && detail[0] != '\0' ? detail : row->sentence;
	char tail[160]; /* code and part are words of the table, at most 40 bytes together */
	size_t tail_bytes = 0;
	size_t at = 0;

	WEIR_ASSERT(max >= 256);
	if (failure == WEIR_HTTP_NO_ROUTE)
		return append(out, 0, "{\"error\":\"Function not found\"}");
	tail_bytes = append(tail, tail_bytes, "\",\"code\":\"");
	tail_bytes = append(tail, tail_bytes, row->code);
	tail_bytes = append(tail, tail_bytes, "\",\"part\":\"");
	tail_bytes = append(tail, tail_bytes, row->part);
	if (activation != NULL) {
		tail_bytes = append(tail, tail_bytes, "\",\"activation\":\"");
		memcpy(tail + tail_bytes, activation, 32);
		tail_bytes += 32;
	}
	tail_bytes = append(tail, tail_bytes, "\"}");

	at = append(out, at, "{\"error\":\"");
	size_t left = strlen(sentence);
	while (left > 0) {
		char character[6];
		size_t character_bytes;
		const size_t used = json_character(sentence, left, character, &character_bytes);

		if (at + character_bytes + tail_bytes > max)
			break;
		memcpy(out + at, character, character_bytes);
		at += character_bytes;
		sentence += used;
		left -= used;
	}
	memcpy(out + at, tail, tail_bytes);
	return at + tail_bytes;
}

/* clang-format off: a table */
static const struct {
	uint16_t status;
	const char *reason;
} reasons[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{102, "Processing"},
	{103, "Early Hints"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{203, "Non-Authoritative Information"},
	{204, "No Content"},
	{205, "Reset Content"},
	{206, "Partial Content"},
	{207, "Multi-Status"},
	{208, "Already Reported"},
	{226, "IM Used"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{305, "Use Proxy"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{423, "Locked"},
	{424, "Failed Dependency"},
	{425, "Too Early"},
	{426, "Upgrade Required"},
	{428, "Precondition Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{451, "Unavailable For Legal Reasons"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{506, "Variant Also Negotiates"},
	{507, "Insufficient Storage"},
	{508, "Loop Detected"},
	{511, "Network Authentication Required"},
};
/* clang-format on */

const char *weir_http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "";
}
