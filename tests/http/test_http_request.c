#include "tests/http/http_test.h"

/* One head and what must come of it; with WEIR_HTTP_OK it is complete at its last byte. */
struct head_row {
	const char *name;
	const char *text;
	size_t bytes;
	enum weir_http_failure failure;
};

#define ROW(row_name, literal, row_failure)                                      \
	{                                                                        \
		.name = row_name, .text = literal, .bytes = sizeof(literal) - 1, \
		.failure = row_failure                                           \
	}

#define H           "Host: a\r\n"
#define LONG_TARGET "/23456789012345678901234567890123456789012345678901234567890123"

/* clang-format off: a table */
static const struct head_row rows[] = {
	ROW("plain", "GET / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("1.0 without Host", "GET / HTTP/1.0\r\n\r\n", WEIR_HTTP_OK),
	ROW("empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("bare LF before", "\nGET / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("bare CR before", "\r\rGET / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("two LF before", "\n\nGET / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("values of obs-text", "GET / HTTP/1.1\r\n" H "X: \xff\x80\r\n\r\n", WEIR_HTTP_OK),
	ROW("every method 1", "HEAD / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("every method 2", "POST / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("every method 3", "PUT / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("every method 4", "DELETE / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("every method 5", "PATCH / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("every method 6", "OPTIONS * HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),

	/* versions */
	ROW("0.9", "GET /\r\n", WEIR_HTTP_VERSION),
	ROW("0.9 with bare LF", "GET /\n", WEIR_HTTP_VERSION),
	ROW("0.9 by name", "GET / HTTP/0.9\r\n\r\n", WEIR_HTTP_VERSION),
	ROW("1.2", "GET / HTTP/1.2\r\n" H "\r\n", WEIR_HTTP_VERSION),
	ROW("2.0", "GET / HTTP/2.0\r\n" H "\r\n", WEIR_HTTP_VERSION),
	ROW("3.0", "GET / HTTP/3.0\r\n" H "\r\n", WEIR_HTTP_VERSION),
	ROW("9.9", "GET / HTTP/9.9\r\n" H "\r\n", WEIR_HTTP_VERSION),
	ROW("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", WEIR_HTTP_VERSION),
	ROW("HTTP/2 preface of 1.1", "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("version of two digits", "GET / HTTP/1.10\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("version in lower case", "GET / http/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("version without dot", "GET / HTTP/11\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("letter as minor", "GET / HTTP/1.x\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("major is no digit", "GET / HTTP/:.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("minor is no digit", "GET / HTTP/1.:\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("version without dot in 4 bytes", "GET / HTTP/2;0\r\n" H "\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("version after empty line", "\r\nGET / HTTP/1.2\r\n" H "\r\n", WEIR_HTTP_VERSION),
	ROW("CR after target", "GET /\rX", WEIR_HTTP_BAD_REQUEST),
	ROW("space after version", "GET / HTTP/1.1 \r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("another protocol", "GET / ICE/1.0\r\n\r\n", WEIR_HTTP_BAD_REQUEST),

	/* methods */
	ROW("unknown method", "FOO / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("unknown method after empty line", "\r\nFOO / HTTP/1.1\r\n" H "\r\n",
	    WEIR_HTTP_METHOD_UNKNOWN),
	ROW("longer than a method", "GETX / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("shorter than a method", "GE / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("method in lower case", "get / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("CONNECT", "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("TRACE", "TRACE / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("WebDAV method", "PROPFIND / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("RTSP method", "DESCRIBE / RTSP/1.0\r\n" H "\r\n", WEIR_HTTP_METHOD_UNKNOWN),
	ROW("no method", " / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("method is no token", "G@T / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("tab after method", "GET\t/ HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("TLS hello", "\x16\x03\x01\x02\x00\x01", WEIR_HTTP_BAD_REQUEST),
	ROW("method alone", "GET\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),

	/* targets */
	ROW("two spaces before target", "GET  / HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("two spaces after target", "GET /  HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("space in target", "GET /a b HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("control in target", "GET /\x01 HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("tab in target", "GET /\t HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("high byte in target", "GET /\xe4 HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("relative target", "GET a/b HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("asterisk for GET", "GET * HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("asterisk and more", "OPTIONS *a HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("absolute", "GET http://a/x HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("absolute in other case", "GET HTTP://A/x HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("absolute against Host", "GET http://b/x HTTP/1.1\r\n" H "\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("absolute with port", "GET http://a:80/x HTTP/1.1\r\n" H "\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("absolute without Host", "GET http://a/x HTTP/1.1\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("absolute with user", "GET http://u@a/x HTTP/1.1\r\nHost: u@a\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("absolute without host", "GET http:///x HTTP/1.0\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("https scheme alone", "GET https:// HTTP/1.0\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("http scheme alone", "GET http:// HTTP/1.0\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("absolute of ftp", "GET ftp://a/x HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("target at its limit", "GET " LONG_TARGET "4 HTTP/1.1\r\n" H "\r\n", WEIR_HTTP_OK),
	ROW("target over its limit", "GET " LONG_TARGET "45", WEIR_HTTP_TARGET_TOO_LONG),
	ROW("target over its limit, then bad", "GET " LONG_TARGET "45\x01 HTTP/1.1\r\n",
	    WEIR_HTTP_TARGET_TOO_LONG),
	ROW("target bad at its limit", "GET " LONG_TARGET "4\x01", WEIR_HTTP_BAD_REQUEST),

	/* Host */
	ROW("no Host", "GET / HTTP/1.1\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", WEIR_HTTP_BAD_HOST),
	ROW("two Hosts on 1.0", "GET / HTTP/1.0\r\n" H H "\r\n", WEIR_HTTP_BAD_HOST),
	ROW("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("Host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("Host of obs-text", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("Host with port", "GET / HTTP/1.1\r\nHost: a.b-c:65535\r\n\r\n", WEIR_HTTP_OK),
	ROW("Host with empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", WEIR_HTTP_OK),
	ROW("Host with port over range", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host with signed port", "GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", WEIR_HTTP_BAD_HOST),
	ROW("Host with port 9", "GET / HTTP/1.1\r\nHost: a:9\r\n\r\n", WEIR_HTTP_OK),
	ROW("Host with port of six digits", "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host of IPv6 without port", "GET / HTTP/1.1\r\nHost: [::]\r\n\r\n", WEIR_HTTP_OK),
	ROW("Host of IPv6 and more", "GET / HTTP/1.1\r\nHost: [::1]80\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host of IPv6 with bad port", "GET / HTTP/1.1\r\nHost: [::1]:65536\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host of too little IPv6", "GET / HTTP/1.1\r\nHost: [:]\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", WEIR_HTTP_OK),
	ROW("Host of IPv6 unclosed", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),
	ROW("Host of IPv6 with zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25e]\r\n\r\n",
	    WEIR_HTTP_BAD_HOST),

	/* lines and fields */
	ROW("bare LF after line", "GET / HTTP/1.1\n" H "\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("bare LF after line, no fields", "GET / HTTP/1.0\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("bare LF after field", "GET / HTTP/1.1\r\nHost: a\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("bare LF after empty field", "GET / HTTP/1.1\r\n" H "X:\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("bare LF as end", "GET / HTTP/1.1\r\n" H "\n", WEIR_HTTP_BAD_REQUEST),
	ROW("bare CR in value", "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("bare CR as end", "GET / HTTP/1.1\r\n" H "\rX", WEIR_HTTP_BAD_REQUEST),
	ROW("folded value", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("folded by tab", "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("folded empty value", "GET / HTTP/1.1\r\n" H "X:\r\n b\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("folded to nothing", "GET / HTTP/1.1\r\n" H "X:\r\n \r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("tab before colon", "GET / HTTP/1.1\r\n" H "X\t: a\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("space in name", "GET / HTTP/1.1\r\n" H "X Y: a\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("empty name", "GET / HTTP/1.1\r\n" H ": a\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("no colon", "GET / HTTP/1.1\r\n" H "X\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("NUL in value", "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("NUL in name", "GET / HTTP/1.1\r\n" H "X\0: a\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("control in value", "GET / HTTP/1.1\r\n" H "X: a\x0b\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("DEL in value", "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", WEIR_HTTP_BAD_REQUEST),
	ROW("parenthesis in name", "GET / HTTP/1.1\r\n" H "X(y): a\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("fields at their limit",
	    "GET / HTTP/1.1\r\n" H "B:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nI:\r\n\r\n",
	    WEIR_HTTP_OK),
	ROW("fields over their limit",
	    "GET / HTTP/1.1\r\n" H "B:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nI:\r\nJ: x\r\n\r\n",
	    WEIR_HTTP_HEAD_TOO_LARGE),

	/* framing */
	ROW("length", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", WEIR_HTTP_OK),
	ROW("length 0", "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", WEIR_HTTP_OK),
	ROW("length at limit", "POST / HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\n",
	    WEIR_HTTP_OK),
	ROW("length over limit", "POST / HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n",
	    WEIR_HTTP_BODY_TOO_LARGE),
	ROW("length of 64 bits",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n",
	    WEIR_HTTP_BODY_TOO_LARGE),
	ROW("length of 65 bits",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("empty length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("signed length", "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("length of two numbers", "POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("length list", "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("hex length", "POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("two lengths",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("two equal lengths",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("folded length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n 5\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
	    WEIR_HTTP_OK),
	ROW("chunked in other case",
	    "POST / HTTP/1.1\r\n" H "tRANSFER-eNCODING: cHUNKED  \r\n\r\n", WEIR_HTTP_OK),
	ROW("chunked and tab", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\t\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked on 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("length, then chunked",
	    "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked, then length",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("gzip", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n",
	    WEIR_HTTP_CODING_UNKNOWN),
	ROW("identity", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n",
	    WEIR_HTTP_CODING_UNKNOWN),
	ROW("xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n",
	    WEIR_HTTP_CODING_UNKNOWN),
	ROW("gzip, chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n",
	    WEIR_HTTP_CODING_UNKNOWN),
	ROW("gzip and chunked",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
	    WEIR_HTTP_CODING_UNKNOWN),
	ROW("coding with parameter",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: foo;q=1, chunked\r\n\r\n",
	    WEIR_HTTP_CODING_UNKNOWN),
	ROW("chunked, gzip", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked, chunked",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked and gzip",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked twice",
	    "POST / HTTP/1.1\r\n" H
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked with parameter",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("quoted chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("chunked and word", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked x\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("empty coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("empty first coding",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: , chunked\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("empty last coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n",
	    WEIR_HTTP_BAD_FRAMING),
	ROW("control before chunked",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
	    "chunked\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("folded chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),
	ROW("space before colon of coding",
	    "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n",
	    WEIR_HTTP_BAD_REQUEST),

	/* expectations */
	ROW("continue",
	    "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n",
	    WEIR_HTTP_OK),
	ROW("continue on 1.0",
	    "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
	    WEIR_HTTP_OK),
	ROW("continue without length", "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n",
	    WEIR_HTTP_LENGTH_REQUIRED),
	ROW("another expectation",
	    "POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 5\r\n\r\n",
	    WEIR_HTTP_EXPECTATION),
	ROW("continue and another",
	    "POST / HTTP/1.1\r\n" H "Expect: 100-continue, tea\r\nContent-Length: 5\r\n\r\n",
	    WEIR_HTTP_EXPECTATION),

	/* Upgrade is ignored */
	ROW("websocket",
	    "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	    WEIR_HTTP_OK),
	ROW("h2c with body",
	    "POST / HTTP/1.1\r\n" H
	    "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n",
	    WEIR_HTTP_OK),
};
/* clang-format on */

/* Parse with a read of `first` bytes and then reads of `step`; each read sees the head in another,
 * exactly sized place. Fails at the first byte count at which the outcome is not MORE. */
static enum weir_http_parse parse_in_pieces(struct weir_http_parser *parser,
					    const struct weir_http_limits *limits,
					    struct weir_span text, size_t first, size_t step)
{
	enum weir_http_parse outcome = WEIR_HTTP_PARSE_MORE;
	size_t have = first;

	weir_http_parser_reset(parser, limits);
	for (;;) {
		char *copy = exact_copy(text.data, have);

		outcome = weir_http_parser_execute(parser, copy, have);
		free(copy);
		if (outcome != WEIR_HTTP_PARSE_MORE || have == text.bytes)
			return outcome;
		have = text.bytes - have < step ? text.bytes : have + step;
	}
}

static void assert_outcome(const struct head_row *row, enum weir_http_parse outcome,
			   const struct weir_http_parser *parser, size_t first, size_t step)
{
	const enum weir_http_parse expected =
		row->failure == WEIR_HTTP_OK ? WEIR_HTTP_PARSE_HEAD : WEIR_HTTP_PARSE_FAILED;

	if (outcome == expected && parser->failure == row->failure &&
	    (outcome != WEIR_HTTP_PARSE_HEAD || parser->head_bytes == row->bytes))
		return;
	fail_msg("%s, read as %zu then %zu bytes: outcome %d failure %d, expected %d and %d",
		 row->name, first, step, (int)outcome, (int)parser->failure, (int)expected,
		 (int)row->failure);
}

static void each_head_has_its_outcome_however_it_is_cut(void **state)
{
	struct weir_http_parser parser;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct weir_span text = {.data = rows[i].text, .bytes = rows[i].bytes};

		assert_outcome(&rows[i], parse_in_pieces(&parser, &test_limits, text, 1, 1),
			       &parser, 1, 1);
		for (size_t first = 1; first <= text.bytes; first++)
			assert_outcome(
				&rows[i],
				parse_in_pieces(&parser, &test_limits, text, first, text.bytes),
				&parser, first, text.bytes);
	}
}

static void assert_slice(const char *head, struct weir_http_slice slice, const char *expected)
{
	const struct weir_span span = weir_http_slice_span(head, slice);

	if (!weir_span_equal(span, weir_span_of(expected)))
		fail_msg("slice is \"%.*s\", expected \"%s\"", (int)span.bytes, span.data,
			 expected);
}

static void slices_name_the_parts_of_the_head(void **state)
{
	static const char text[] =
		"\r\nPOST /a/b%20c?x=1&y=?2 HTTP/1.1\r\nHost: example.org:8080\r\nX-Empty:\r\n"
		"X-Blank: \t \r\nX-Inner: \t a b\tc \t\r\nContent-Length: 5\r\n\r\nhello";
	struct weir_http_parser parser;

	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		assert_int_equal(
			parse_in_pieces(&parser, &test_limits, WEIR_SPAN(text), step, step),
			WEIR_HTTP_PARSE_HEAD);
		assert_int_equal(parser.method, WEIR_HTTP_POST);
		assert_int_equal(parser.minor, 1);
		assert_int_equal(parser.head_bytes, sizeof(text) - 1 - 5);
		assert_int_equal(parser.body, WEIR_HTTP_BODY_LENGTH);
		assert_int_equal(parser.content_length, 5);
		assert_slice(text, parser.target, "/a/b%20c?x=1&y=?2");
		assert_slice(text, parser.path, "/a/b%20c");
		assert_slice(text, parser.query, "x=1&y=?2");
		assert_slice(text, parser.authority, "example.org:8080");
		assert_int_equal(parser.header_count, 5);
		assert_slice(text, parser.headers[1].name, "X-Empty");
		assert_slice(text, parser.headers[1].value, "");
		assert_slice(text, parser.headers[2].name, "X-Blank");
		assert_slice(text, parser.headers[2].value, "");
		assert_slice(text, parser.headers[3].value, "a b\tc");
		assert_slice(text, parser.headers[4].name, "Content-Length");
		assert_slice(text, parser.headers[4].value, "5");
	}
}

static void parse_whole(struct weir_http_parser *parser, const char *text)
{
	weir_http_parser_reset(parser, &test_limits);
	assert_int_equal(weir_http_parser_execute(parser, text, strlen(text)),
			 WEIR_HTTP_PARSE_HEAD);
}

static void absolute_form_is_split_and_an_empty_path_means_the_root(void **state)
{
	static const char with_path[] =
		"GET http://Example.org:81/p?q HTTP/1.1\r\nHost: example.ORG:81\r\n\r\n";
	static const char query_only[] = "GET https://a?q/r HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char nothing[] = "GET http://a HTTP/1.0\r\n\r\n";
	struct weir_http_parser parser;

	(void)state;
	parse_whole(&parser, with_path);
	assert_slice(with_path, parser.path, "/p");
	assert_slice(with_path, parser.query, "q");
	assert_slice(with_path, parser.authority, "example.ORG:81");
	parse_whole(&parser, query_only);
	assert_slice(query_only, parser.path, "/");
	assert_slice(query_only, parser.query, "q/r");
	parse_whole(&parser, nothing);
	assert_slice(nothing, parser.path, "/");
	assert_slice(nothing, parser.query, "");
	assert_slice(nothing, parser.authority, "a");
}

static void keep_alive_follows_version_and_connection_options(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{"GET / HTTP/1.1\r\n" H "\r\n", true},
		{"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: foo , CLOSE\r\n\r\n", false},
		{"GET / HTTP/1.1\r\n" H "Connection: keep-alive\r\nConnection: close\r\n\r\n",
		 false},
		{"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", true},
		{"GET / HTTP/1.1\r\n" H "Proxy-Connection: close\r\n\r\n", true},
		{"GET / HTTP/1.1\r\n" H "Connection:\r\n\r\n", true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", false},
	};
	struct weir_http_parser parser;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse_whole(&parser, cases[i].text);
		if (parser.keep_alive != cases[i].keep_alive)
			fail_msg("keep_alive is %d for %s", parser.keep_alive, cases[i].text);
	}
}

static void continue_is_expected_only_on_1_1_with_a_body_to_come(void **state)
{
	struct weir_http_parser parser;

	(void)state;
	parse_whole(&parser,
		    "PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	assert_true(parser.expect_continue);
	parse_whole(&parser, "PUT / HTTP/1.1\r\n" H
			     "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_true(parser.expect_continue);
	assert_int_equal(parser.body, WEIR_HTTP_BODY_CHUNKED);
	parse_whole(&parser,
		    "PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n");
	assert_false(parser.expect_continue);
	parse_whole(&parser,
		    "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	assert_false(parser.expect_continue);
	parse_whole(&parser, "PUT / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n");
	assert_false(parser.expect_continue);
}

static void a_body_is_possible_with_any_method(void **state)
{
	struct weir_http_parser parser;

	(void)state;
	parse_whole(&parser, "GET / HTTP/1.1\r\n" H "Content-Length: 7\r\n\r\n");
	assert_int_equal(parser.body, WEIR_HTTP_BODY_LENGTH);
	parse_whole(&parser, "DELETE / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	assert_int_equal(parser.body, WEIR_HTTP_BODY_CHUNKED);
	parse_whole(&parser, "POST / HTTP/1.1\r\n" H "\r\n");
	assert_int_equal(parser.body, WEIR_HTTP_BODY_NONE);
}

static void a_head_may_be_as_long_as_its_limit_and_no_longer(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n";
	struct weir_http_limits limits = test_limits;
	struct weir_http_parser parser;

	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		limits.head_bytes_max = sizeof(text) - 1;
		assert_int_equal(parse_in_pieces(&parser, &limits, WEIR_SPAN(text), step, step),
				 WEIR_HTTP_PARSE_HEAD);
		limits.head_bytes_max = sizeof(text) - 2;
		assert_int_equal(parse_in_pieces(&parser, &limits, WEIR_SPAN(text), step, step),
				 WEIR_HTTP_PARSE_FAILED);
		assert_int_equal(parser.failure, WEIR_HTTP_HEAD_TOO_LARGE);
	}
}

static void a_head_of_all_65535_bytes_has_right_slices(void **state)
{
	const struct weir_http_limits limits = {
		.target_bytes_max = 65535, .head_bytes_max = 65535, .headers_max = 8};
	static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
	char *text = malloc(65535);
	struct weir_http_parser parser;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 65535);
	memcpy(text, start, sizeof(start) - 1);
	memcpy(text + 65535 - 4, "\r\n\r\n", 4);
	assert_int_equal(
		parse_in_pieces(&parser, &limits, (struct weir_span){text, 65535}, 40000, 1000),
		WEIR_HTTP_PARSE_HEAD);
	assert_int_equal(parser.headers[1].value.offset, sizeof(start) - 1);
	assert_int_equal(parser.headers[1].value.bytes, 65535 - 4 - (sizeof(start) - 1));
	free(text);
}

static void empty_lines_count_against_the_head(void **state)
{
	struct weir_http_limits limits = test_limits;
	struct weir_http_parser parser;

	(void)state;
	limits.head_bytes_max = 8;
	assert_int_equal(parse_in_pieces(&parser, &limits, WEIR_SPAN("\r\n\r\n\r\n\r\n"), 1, 1),
			 WEIR_HTTP_PARSE_FAILED);
	assert_int_equal(parser.failure, WEIR_HTTP_HEAD_TOO_LARGE);
}

static void the_outcome_stays_when_asked_again(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
	struct weir_http_parser parser;

	(void)state;
	parse_whole(&parser, text);
	assert_int_equal(weir_http_parser_execute(&parser, text, sizeof(text) - 1),
			 WEIR_HTTP_PARSE_HEAD);
	assert_int_equal(parser.head_bytes, sizeof(text) - 1 - 3);
	weir_http_parser_reset(&parser, &test_limits);
	assert_int_equal(weir_http_parser_execute(&parser, "?", 1), WEIR_HTTP_PARSE_FAILED);
	assert_int_equal(weir_http_parser_execute(&parser, "?a", 2), WEIR_HTTP_PARSE_FAILED);
	assert_int_equal(weir_http_parser_execute(&parser, "?a", 0), WEIR_HTTP_PARSE_FAILED);
}

static void the_method_is_known_of_a_head_that_fails_later(void **state)
{
	struct weir_http_parser parser;

	(void)state;
	weir_http_parser_reset(&parser, &test_limits);
	assert_int_equal(weir_http_parser_execute(&parser, "HEAD / HTTP/1.1\r\n\r\n", 19),
			 WEIR_HTTP_PARSE_FAILED);
	assert_int_equal(parser.method, WEIR_HTTP_HEAD);
	weir_http_parser_reset(&parser, &test_limits);
	assert_int_equal(weir_http_parser_execute(&parser, "HEAD\t", 5),
			 WEIR_HTTP_PARSE_FAILED);
	weir_http_parser_reset(&parser, &test_limits);
	assert_int_equal(weir_http_parser_execute(&parser, "FOO", 3), WEIR_HTTP_PARSE_FAILED);
	assert_int_equal(parser.method, WEIR_HTTP_GET);
}

static void method_names_are_case_sensitive_and_round_trip(void **state)
{
	enum weir_http_method method = WEIR_HTTP_OPTIONS;

	(void)state;
	for (unsigned i = 0; i < WEIR_HTTP_METHOD_COUNT; i++) {
		assert_int_equal(
			weir_http_method_parse(weir_http_method_name((enum weir_http_method)i),
					       &method),
			0);
		assert_int_equal(method, i);
	}
	assert_true(weir_http_method_parse(WEIR_SPAN("get"), &method) < 0);
	assert_true(weir_http_method_parse(WEIR_SPAN(""), &method) < 0);
	assert_int_equal(method, WEIR_HTTP_OPTIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_head_has_its_outcome_however_it_is_cut),
		cmocka_unit_test(slices_name_the_parts_of_the_head),
		cmocka_unit_test(absolute_form_is_split_and_an_empty_path_means_the_root),
		cmocka_unit_test(keep_alive_follows_version_and_connection_options),
		cmocka_unit_test(continue_is_expected_only_on_1_1_with_a_body_to_come),
		cmocka_unit_test(a_body_is_possible_with_any_method),
		cmocka_unit_test(a_head_may_be_as_long_as_its_limit_and_no_longer),
		cmocka_unit_test(a_head_of_all_65535_bytes_has_right_slices),
		cmocka_unit_test(empty_lines_count_against_the_head),
		cmocka_unit_test(the_outcome_stays_when_asked_again),
		cmocka_unit_test(the_method_is_known_of_a_head_that_fails_later),
		cmocka_unit_test(method_names_are_case_sensitive_and_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
