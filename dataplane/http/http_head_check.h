/* http_head_check: what llhttp leaves to its caller, checked once over a complete head.
 * llhttp accepts a bare LF after the request line and at the head's end, several spaces between the
 * line's parts, folded values (obs-fold), empty names, fragments, any Host and any coding before
 * `chunked`. A front end and a back end that read such a head differently can be set against each
 * other (request smuggling, RFC 9112 section 11.2), so each of these is refused here.
 * Private to dataplane/http: http_request.c calls it. Any thread; neither blocks nor allocates. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_HEAD_CHECK_H
#define WEIR_DATAPLANE_HTTP_HTTP_HEAD_CHECK_H

#include "dataplane/http/http_request.h"

/* Check the lines of the head at `head` that llhttp read: method, minor, head_bytes, target and headers
 * (values as llhttp gave them) are set. Values lose their surrounding white space; path and query are
 * set, and *out_absolute to the authority of an absolute-form (else offset 0). False: refuse it. */
bool weir_http_head_tidy(struct weir_http_parser *parser, const char *head,
			 struct weir_http_slice *out_absolute);

/* Check what a tidy head says, and fill authority, body, content_length, keep_alive and
 * expect_continue. `coding`: F_CHUNKED and F_TRANSFER_ENCODING as llhttp has them (other bits are
 * ignored). WEIR_HTTP_OK or the failure. */
enum weir_http_failure weir_http_head_check(struct weir_http_parser *parser, const char *head,
					    struct weir_http_slice absolute, unsigned coding);

#endif
