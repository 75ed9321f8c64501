#include "bench/load_phase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/load_options.h"

#define SETTLED_NS     (WEIR_LOAD_SETTLED_MS * WEIR_NS_PER_MS)
#define LATE_NS        (WEIR_LOAD_LATE_MS * WEIR_NS_PER_MS)
#define SECONDS_MAX    86400.0
#define STATUS_OK      200
#define STATUS_MANY    429
#define STATUS_NOT_NOW 503

bool weir_load_phases_parse(const char *text, struct weir_load_phases *out_phases)
{
	out_phases->count = 0;
	for (;;) {
		struct weir_load_phase *phase = &out_phases->phase[out_phases->count];
		char *end = NULL;
		unsigned long rate;

		if (out_phases->count == WEIR_LOAD_PHASES_MAX || *text < '0' || *text > '9')
			return false;
		rate = strtoul(text, &end, 10);
		if (rate < 1 || rate > WEIR_LOAD_RATE_MAX || *end != ':')
			return false;
		text = end + 1;
		phase->rate = (uint32_t)rate;
		phase->seconds = strtod(text, &end);
		if (end == text || !(phase->seconds > 0 && phase->seconds <= SECONDS_MAX))
			return false;
		out_phases->count++;
		if (*end == '\0')
			return true;
		if (*end != ',')
			return false;
		text = end + 1;
	}
}

double weir_load_phases_seconds(const struct weir_load_phases *phases)
{
	double seconds = 0;

	for (uint32_t i = 0; i < phases->count; i++)
		seconds += phases->phase[i].seconds;
	return seconds;
}

void weir_load_phases_start(struct weir_load_phases *phases, struct weir_load_pace *pace, uint64_t now_ns)
{
	if (phases->count == 0)
		return;
	for (uint32_t i = 0; i < phases->count; i++) {
		struct weir_load_phase *phase = &phases->phase[i];

		phase->start_ns = now_ns;
		now_ns += (uint64_t)(phase->seconds * (double)WEIR_NS_PER_SECOND);
		phase->end_ns = now_ns;
	}
	weir_load_pace_start(pace, phases->phase[0].rate, phases->phase[0].start_ns);
}

/* The phase in which a request was due; NULL before the first and after the last. */
static struct weir_load_phase *phase_of(struct weir_load_phases *phases, uint64_t due_ns)
{
	for (uint32_t i = 0; i < phases->count; i++) {
		if (due_ns >= phases->phase[i].start_ns && due_ns < phases->phase[i].end_ns)
			return &phases->phase[i];
	}
	return NULL;
}

static void unsettle(struct weir_load_phase *phase, uint64_t due_ns)
{
	if (due_ns > phase->unsettled_ns)
		phase->unsettled_ns = due_ns;
}

void weir_load_phases_answer(struct weir_load_phases *phases, uint64_t due_ns, uint64_t now_ns,
			     const struct weir_load_answer *answer)
{
	struct weir_load_phase *phase = phase_of(phases, due_ns);
	const uint64_t took_ns = now_ns - due_ns;

	if (!phase)
		return;
	if (answer->status == STATUS_OK) {
		weir_histogram_add(&phase->right_ns, took_ns, 1);
		phase->late += took_ns > LATE_NS;
		if (took_ns <= SETTLED_NS)
			return;
	} else if (answer->status == STATUS_MANY || answer->status == STATUS_NOT_NOW) {
		weir_histogram_add(&phase->refused_ns, took_ns, 1);
		phase->refused_bare += !answer->retry_after;
	} else {
		phase->failed++;
	}
	unsettle(phase, due_ns);
}

void weir_load_phases_unanswered(struct weir_load_phases *phases, uint64_t due_ns, uint64_t ended_ns)
{
	struct weir_load_phase *phase = phase_of(phases, due_ns);

	if (!phase)
		return;
	phase->unanswered++;
	if (ended_ns - due_ns > SETTLED_NS)
		unsettle(phase, due_ns);
}

static double quantile_us(const struct weir_histogram *histogram, uint32_t part_per_million)
{
	return (double)weir_histogram_quantile(histogram, part_per_million) / (double)WEIR_NS_PER_US;
}

void weir_load_phases_print(const struct weir_load_phases *phases)
{
	printf("\"phases\":[");
	for (uint32_t i = 0; i < phases->count; i++) {
		const struct weir_load_phase *phase = &phases->phase[i];
		const uint64_t settled_ns = phase->unsettled_ns == 0 ? 0 : phase->unsettled_ns - phase->start_ns;

		printf("%s\n  {\"rate\":%u,\"seconds\":%.3f,\"right\":%" PRIu64 ",\"late\":%" PRIu64 ",\"refused\":%" PRIu64
		       ",\"refused_bare\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\n",
		       i == 0 ? "" : ",", phase->rate, phase->seconds, phase->right_ns.total, phase->late,
		       phase->refused_ns.total, phase->refused_bare, phase->failed, phase->unanswered);
		printf("   \"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"refused_p50_us\":%.1f,"
		       "\"refused_p99_us\":%.1f,\"settled_ms\":%.1f}",
		       quantile_us(&phase->right_ns, 500000), quantile_us(&phase->right_ns, 990000),
		       quantile_us(&phase->right_ns, 1000000), quantile_us(&phase->refused_ns, 500000),
		       quantile_us(&phase->refused_ns, 990000), (double)settled_ns / (double)WEIR_NS_PER_MS);
	}
	printf("]");
}
