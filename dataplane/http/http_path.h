/* http_path: request paths in their one canonical form, the form that routes are matched in. */
#ifndef WEIR_DATAPLANE_HTTP_HTTP_PATH_H
#define WEIR_DATAPLANE_HTTP_HTTP_PATH_H

#include "dataplane/base/span.h"

/* Normalise `raw` (begins with '/' or is "*"):
 * percent-decode once ("%2F" stays, in upper case), then remove "." and ".." segments
 * (RFC 3986 section 5.2.4); empty segments ("//") are kept. *out_path is the result: `raw` itself if
 * it is in that form already, as most are; else it lies in `out`, which has room for raw.bytes.
 * 0, or -EINVAL: bad escape, %00, a control byte, or a path that climbs above the root. */
int weir_http_path_normalize(struct weir_span raw, char *out, struct weir_span *out_path);

#endif
