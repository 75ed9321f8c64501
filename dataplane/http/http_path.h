/* http_path: request paths in their one canonical form, the form that routes are matched in. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_PATH_H
#define WEIR_DATAPLANE_HTTP_HTTP_PATH_H

#include "dataplane/base/span.h"

/* Normalise `raw` (begins with '/' or is "*") to `out`, which has room for raw.bytes:
 * percent-decode once ("%2F" stays, in upper case), then remove "." and ".." segments
 * (RFC 3986 section 5.2.4); empty segments ("//") are kept. *out_bytes is the length.
 * 0, or -EINVAL: bad escape, %00, a control byte, or a path that climbs above the root. */
int weir_http_path_normalize(struct weir_span raw, char *out, size_t *out_bytes);

#endif
