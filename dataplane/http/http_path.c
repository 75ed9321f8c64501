#include "dataplane/http/http_path.h"

#include <errno.h>

#include "dataplane/http/http_char.h"
#include "dataplane/http/http_scan.h"

/* Drop the last segment of out[0 .. bytes-1], which ends in '/'. Returns the new length, which ends
 * in '/' again, or 0 if the segment was the root's. A '/' in `out` is always a separator, because
 * an encoded one stays encoded. */
static size_t segment_drop(const char *out, size_t bytes)
{
	size_t at = bytes - 1;

	while (at > 0 && out[at - 1] != '/')
		at--;
	return at;
}

/* A segment ended at `bytes`, having begun at `segment` (behind a '/'). Resolve it if it is "." or
 * "..": *inout_bytes then ends in the '/' before it. False if it climbs above the root. */
static bool segment_resolve(const char *out, size_t segment, size_t *inout_bytes)
{
	const size_t bytes = *inout_bytes - segment;

	if (bytes == 1 && out[segment] == '.') {
		*inout_bytes = segment;
		return true;
	}
	if (bytes == 2 && out[segment] == '.' && out[segment + 1] == '.') {
		*inout_bytes = segment_drop(out, segment);
		return *inout_bytes > 0;
	}
	return true;
}

/* The byte that raw[at] stands for, or -1 if it may not stand there; *out_used is how many bytes of
 * `raw` it takes: 3 for an escape. */
static int byte_decode(struct weir_span raw, size_t at, size_t *out_used)
{
	int byte = (unsigned char)raw.data[at];

	*out_used = 1;
	if (byte == '%') {
		const int high = at + 2 < raw.bytes ? weir_http_char_hex(raw.data[at + 1]) : -1;
		const int low = at + 2 < raw.bytes ? weir_http_char_hex(raw.data[at + 2]) : -1;

		if (high < 0 || low < 0)
			return -1;
		byte = high * 16 + low;
		*out_used = 3;
	}
	return byte >= 0x20 && byte != 0x7f ? byte : -1;
}

/* The path is in its normal form as it is: nothing to decode and, to be quick, no segment that begins
 * with a dot. */
static bool path_is_plain(struct weir_span raw)
{
	const size_t end = raw.bytes;
	size_t at = 0;

	for (;;) {
		if (end >= WEIR_HTTP_SCAN_BYTES)
			at = weir_http_scan(raw.data, at, end, weir_http_scan_escape_mask);
		while (at < end && weir_http_char_is(raw.data[at], WEIR_HTTP_CHAR_PATH))
			at++;
		if (at == end)
			return true;
		if (raw.data[at] != '.' || raw.data[at - 1] == '/')
			return false;
		at++;
	}
}

int weir_http_path_normalize(struct weir_span raw, char *out, struct weir_span *out_path)
{
	size_t bytes = 0;
	size_t segment = 0; /* where the current segment begins in `out` */
	size_t used;

	if (raw.bytes == 1 && raw.data[0] == '*') {
		*out_path = raw;
		return 0;
	}
	if (raw.bytes == 0 || raw.data[0] != '/')
		return -EINVAL;
	if (path_is_plain(raw)) {
		*out_path = raw;
		return 0;
	}
	for (size_t i = 0; i < raw.bytes; i += used) {
		const int byte = byte_decode(raw, i, &used);

		if (byte < 0)
			return -EINVAL;
		if (byte != '/') {
			out[bytes++] = (char)byte;
		} else if (used == 3) {
			memcpy(out + bytes, "%2F", 3);
			bytes += 3;
		} else {
			const size_t before = bytes;

			if (bytes > 0 && !segment_resolve(out, segment, &bytes))
				return -EINVAL;
			if (bytes == before)
				out[bytes++] = '/';
			segment = bytes;
		}
	}
	if (!segment_resolve(out, segment, &bytes))
		return -EINVAL;
	*out_path = (struct weir_span){.data = out, .bytes = bytes};
	return 0;
}
