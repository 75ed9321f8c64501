/* http_head_scan: the usual head, read in one pass.
 * Nearly every head is there whole with its first read and has nothing odd in it. Such a head is read
 * here, for a fifth of what llhttp's state machine takes; every other one is declined and goes to
 * llhttp. What is read here, llhttp would have accepted with the same fields: this is a short cut, it
 * neither accepts nor refuses anything of its own (tests/fuzz/fuzz_http_request.c compares the two).
 *   METHOD SP "/..." [ "?..." ] SP "HTTP/1." 0|1 CRLF  *( token ":" value CRLF )  CRLF
 * Declined: a head that is not whole, over a limit, after empty lines, of another form of target; any
 * byte that a strict reader would frown at; Transfer-Encoding; Content-Length unless it is one number.
 * Private to dataplane/http: http_request.c calls it. Any thread; neither blocks nor allocates. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_HEAD_SCAN_H
#define WEIR_DATAPLANE_HTTP_HTTP_HEAD_SCAN_H

#include "dataplane/http/http_request.h"

/* Read the head at data[0 .. bytes-1], `bytes` being at most the head's limit. True: method, minor,
 * head_bytes, target, path, query and headers (values without surrounding white space) are set.
 * False: declined; of `parser` only headers[] behind header_count have changed. */
bool weir_http_head_scan(struct weir_http_parser *parser, const char *data, size_t bytes);

#endif
