/* load_options: what weir-bench-load was asked to do, read from its command line.
 *
 *   closed loop  (default)   the next request when the last is answered
 *   open loop    --rate N    N requests a second, whatever the answers do
 *                --phases ...   likewise, at rates that change
 *   bodies       --body-bytes N   POST; the answer must bring the same bytes back
 *   hold         --hold      one request on each connection, then silence until told
 *
 * Owner: the program, one struct. Threads: one. Peer death: no peers. */
#ifndef WEIR_BENCH_LOAD_OPTIONS_H
#define WEIR_BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_LOAD_CONNECTIONS_MAX 16384 /* a power of two */
#define WEIR_LOAD_PIPELINE_MAX    1024
#define WEIR_LOAD_PATHS_MAX       131072
#define WEIR_LOAD_BODY_BYTES_MAX  (64u << 20)
#define WEIR_LOAD_RATE_MAX        10000000u

struct weir_load_options {
	const char *path;
	uint16_t port;
	uint32_t connections;
	uint32_t pipeline;
	uint32_t paths; /* how many numbers stand for "%u" in `path` */
	uint32_t rate;  /* requests a second; 0: closed loop */
	uint32_t body_bytes;
	const char *phases; /* rates that change, see load_phase.h; NULL: none */
	double seconds;
	double warmup_seconds;
	bool mark;
	bool hold;
	bool sleep; /* open loop: sleep until something is due, instead of looking at the clock */
};

/* Read the command line. False where an option is unknown, out of range, or does not go with
 * another; *out_options then holds nothing of use. */
bool weir_load_options_parse(int argument_count, char **arguments,
			     struct weir_load_options *out_options);

/* Say on standard error how the program is used. */
void weir_load_options_usage(void);

#endif
