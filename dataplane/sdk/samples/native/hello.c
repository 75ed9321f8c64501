/* GET /hello, GET /hello?name=Ada */
#include "weir_function.h"

enum { NAME_BYTES_MAX = 256 };

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The undecoded value of `name` in a query such as "a=1&name=Ada". */
static struct weir_text query_find(struct weir_text query, const char *name)
{
	const size_t name_bytes = strlen(name);
	size_t first = 0;

	while (first < query.bytes) {
		size_t end = first;

		while (end < query.bytes && query.data[end] != '&')
			end++;
		if (end - first > name_bytes &&
		    memcmp(query.data + first, name, name_bytes) == 0 &&
		    query.data[first + name_bytes] == '=')
			return (struct weir_text){query.data + first + name_bytes + 1,
						  end - first - name_bytes - 1};
		first = end + 1;
	}
	return (struct weir_text){NULL, 0};
}

/* Write `text` percent-decoded and as the inside of a JSON string; at most NAME_BYTES_MAX bytes of it. */
static int write_name(struct weir_response *response, struct weir_text text)
{
	char out[6 * NAME_BYTES_MAX];
	size_t used = 0;
	size_t taken = 0;

	for (size_t i = 0; i < text.bytes && taken < NAME_BYTES_MAX; i++, taken++) {
		static const char digits[] = "0123456789abcdef";
		unsigned char c = (unsigned char)text.data[i];

		if (c == '%' && i + 2 < text.bytes && hex_value(text.data[i + 1]) >= 0 &&
		    hex_value(text.data[i + 2]) >= 0) {
			c = (unsigned char)(hex_value(text.data[i + 1]) * 16 +
					    hex_value(text.data[i + 2]));
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (c == '"' || c == '\\') {
			out[used++] = '\\';
			out[used++] = (char)c;
		} else if (c < 0x20) {
			memcpy(out + used, "\\u00", 4);
			out[used + 4] = digits[c >> 4];
			out[used + 5] = digits[c & 15];
			used += 6;
		} else {
			out[used++] = (char)c;
		}
	}
	return weir_response_write(response, out, used);
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text name = query_find(weir_request_query(request), "name");
	int result = 0;

	(void)weir_response_header(response, "content-type", "application/json");
	if (name.bytes == 0)
		return weir_response_write_text(response, "{\"message\":\"Hello, world\"}");
	result = weir_response_write_text(response, "{\"message\":\"Hello, ");
	if (result == 0)
		result = write_name(response, name);
	if (result == 0)
		result = weir_response_write_text(response, "\"}");
	return result;
}
