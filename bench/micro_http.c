/* HTTP: parsing with all checks, paths, response heads. */
#include <stdio.h>
#include <string.h>

#include "dataplane/base/id.h"
#include "dataplane/http/http_path.h"
#include "dataplane/http/http_request.h"
#include "dataplane/http/http_response.h"

#include "bench/micro.h"

enum { ROUNDS = 32, HEAD_BYTES_MAX = 1024 };

const char weir_micro_get_minimal[] = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const char weir_micro_get_browser[] =
	"GET /shop/items/4711?sort=price&page=2 HTTP/1.1\r\n"
	"Host: shop.example.org\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Referer: https://shop.example.org/shop/items?page=2\r\n"
	"Connection: keep-alive\r\n"
	"Cookie: session=6f1c0e2a9b7d4c58; theme=dark; consent=all; cart=19284756\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"Sec-Fetch-Dest: document\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"Cache-Control: max-age=0\r\n\r\n";
const char weir_micro_post[] = "POST /shop/orders HTTP/1.1\r\n"
			       "Host: shop.example.org\r\n"
			       "User-Agent: curl/7.88.1\r\n"
			       "Accept: */*\r\n"
			       "Content-Type: application/json\r\n"
			       "Content-Length: 38\r\n\r\n"
			       "{\"item\":4711,\"count\":2,\"express\":true}";

static const char *const request[] = {weir_micro_get_minimal, weir_micro_get_browser,
				      weir_micro_post};
static const struct weir_http_limits limits = {.target_bytes_max = 8192,
					       .head_bytes_max = 16384,
					       .headers_max = 100,
					       .body_bytes_max = 1 << 20};
static struct weir_http_parser parser;
static char date[29];
static char activation[32];
static struct weir_id_source ids;

static void parse_pass(uint32_t which)
{
	const size_t bytes = strlen(request[which]);

	for (uint32_t i = 0; i < ROUNDS; i++) {
		weir_http_parser_reset(&parser, &limits);
		if (weir_http_parser_execute(&parser, request[which], bytes) !=
		    WEIR_HTTP_PARSE_HEAD)
			weir_micro_fail("a request is not valid", 0);
		weir_micro_keep(parser.head_bytes);
	}
}

static void path_pass(uint32_t unused)
{
	static const char raw[] = "/shop/items/4711";
	char out[sizeof(raw)];
	struct weir_span path = {0};

	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (weir_http_path_normalize(
			    (struct weir_span){.data = raw, .bytes = sizeof(raw) - 1}, out,
			    &path) != 0)
			weir_micro_fail("a path is not valid", 0);
		weir_micro_keep((uint64_t)(unsigned char)path.data[path.bytes - 1]);
	}
}

static void response_open(uint32_t unused)
{
	int result;

	(void)unused;
	result = weir_id_source_open(&ids);
	if (result != 0)
		weir_micro_fail("no random bytes", result);
	weir_http_date_format(1800000000, date);
	weir_id_format(weir_id_next(&ids), activation);
}

static void response_pass(uint32_t unused)
{
	const struct weir_http_field field = {
		.name = {.data = "content-type", .bytes = 12},
		.value = {.data = "application/json", .bytes = 16}};
	const struct weir_http_response_head head = {.status = 200,
						     .minor = 1,
						     .keep_alive = true,
						     .content_length = 26,
						     .activation = activation,
						     .date = date,
						     .fields = &field,
						     .field_count = 1};
	char out[HEAD_BYTES_MAX];

	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (weir_http_field_check(field.name, field.value) != WEIR_HTTP_FIELD_KEEP)
			weir_micro_fail("a field is not valid", 0);
		weir_micro_keep(weir_http_response_head_write(&head, out, sizeof(out)));
	}
}

static void date_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		weir_http_date_format(1800000000 + (int64_t)i * 86399, date);
		weir_micro_keep((uint64_t)date[0]);
	}
}

static void id_pass(uint32_t unused)
{
	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		weir_id_format(weir_id_next(&ids), activation);
		weir_micro_keep((uint64_t)activation[0]);
	}
}

const struct weir_micro weir_micro_http[] = {
	{"parse-get-minimal", "HTTP: parse and check `GET` with Host only", NULL, parse_pass, 0,
	 ROUNDS},
	{"parse-get-browser", "the same, a browser's `GET`, 12 fields, 600 bytes", NULL,
	 parse_pass, 1, ROUNDS},
	{"parse-post", "the same, a `POST` with 5 fields", NULL, parse_pass, 2, ROUNDS},
	{"path", "normalise a path of three segments", NULL, path_pass, 0, ROUNDS},
	{"response-head", "answer: check one field, write the head", response_open,
	 response_pass, 0, ROUNDS},
	{"date", "write a date (once a second and shard)", NULL, date_pass, 0, ROUNDS},
	{"activation-id", "make and write an activation id", response_open, id_pass, 0, ROUNDS},
	{0},
};
