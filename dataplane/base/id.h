/* id: activation ids. 16 random bytes, shown as 32 lower-case hex digits; no central counter. */
#ifndef WEIR_DATAPLANE_BASE_ID_H
#define WEIR_DATAPLANE_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

struct weir_id {
	uint64_t high;
	uint64_t low;
};

/* State of a per-thread generator (xoshiro256**, seeded from getrandom(2)): unique, not secret. */
struct weir_id_source {
	uint64_t state[4];
};

/* Seed from the kernel. 0 or -errno. */
int weir_id_source_open(struct weir_id_source *source);

/* A new id, never all zero. One thread per source. */
struct weir_id weir_id_next(struct weir_id_source *source);

/* Write 32 hex digits, no NUL. */
void weir_id_format(struct weir_id id, char out_text[32]);

/* Read 32 hex digits of any case and the NUL behind them. False: `text` is something else. */
bool weir_id_parse(const char *text, struct weir_id *out_id);

#endif
