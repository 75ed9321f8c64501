#include "dataplane/schedule/score.h"

#include "dataplane/base/assert.h"

enum {
	MILLICORES_DEFAULT = 1000,
	PERIODS_MAX = 64, /* .7 to that power is nothing */
	/* What part of the wanted time was waited for: of the last so much wanted time, and forgotten so much more slowly
	 * than the rest, since a worker that gets fewer calls for it shows it more seldom; with much less there is
	 * no saying. */
	CROWD_WANTED_NS_MAX = 20000000,
	CROWD_SLOWER = 32,
	CROWD_EVIDENCE_NS = 500000,
	JITTER_NS = 1000000, /* time that a running thread is credited with may be corrected by less */
};

static bool went_back(const struct weir_schedule_sample *last, const struct weir_schedule_sample *next)
{
	return next->cpu_ns + JITTER_NS < last->cpu_ns || next->wait_ns < last->wait_ns ||
	       next->block_ns < last->block_ns || next->io_bytes < last->io_bytes;
}

static float share(uint64_t part, float whole)
{
	const float quotient = (float)part / whole;

	return quotient < 1.0F ? quotient : 1.0F;
}

/* How much of the old value is left after `passed_ns`. */
static float weight_of_old(uint64_t passed_ns, uint64_t period_ns, uint32_t ema)
{
	const uint64_t period = period_ns > 0 ? period_ns : WEIR_SCHEDULE_SAMPLE_NS;
	const uint64_t periods = (passed_ns + period / 2) / period;
	const float factor = (float)ema / (float)WEIR_WEIGHT_ONE;
	float weight = factor;

	for (uint64_t i = 1; i < periods && i < PERIODS_MAX; i++)
		weight *= factor;
	return periods < PERIODS_MAX ? weight : 0.0F;
}

static float average(float old, float now, float weight)
{
	return old * weight + now * (1.0F - weight);
}

/* Of the time in which the worker wanted a CPU, what part it waited for one. */
static float crowd(const struct weir_schedule_load *load)
{
	return load->waited_ns / (load->wanted_ns + (float)CROWD_EVIDENCE_NS);
}

static void crowd_take(struct weir_schedule_load *load, uint64_t ran_ns, uint64_t waited_ns, float weight)
{
	load->wanted_ns = load->wanted_ns * weight + (float)(ran_ns + waited_ns);
	load->waited_ns = load->waited_ns * weight + (float)waited_ns;
	if (load->wanted_ns > (float)CROWD_WANTED_NS_MAX) {
		load->waited_ns *= (float)CROWD_WANTED_NS_MAX / load->wanted_ns;
		load->wanted_ns = (float)CROWD_WANTED_NS_MAX;
	}
}

static float memory_share(const struct weir_schedule_sample *sample, const struct weir_schedule_capacity *capacity)
{
	return share(sample->memory_bytes,
		     (float)(capacity->memory_bytes > 0 ? capacity->memory_bytes : WEIR_SCHEDULE_MEMORY_DEFAULT));
}

static void take_first(struct weir_schedule_load *load, const struct weir_schedule_sample *sample,
		       const struct weir_schedule_capacity *capacity)
{
	*load = (struct weir_schedule_load){.last = *sample, .memory = memory_share(sample, capacity)};
}

void weir_schedule_load_take(struct weir_schedule_load *load, const struct weir_schedule_sample *sample,
			     const struct weir_schedule_capacity *capacity, uint32_t ema)
{
	const struct weir_schedule_sample *last = &load->last;
	const uint32_t millicores = capacity->cpu_millicores > 0 ? capacity->cpu_millicores : MILLICORES_DEFAULT;

	WEIR_DEBUG_ASSERT(ema <= WEIR_WEIGHT_ONE);
	if (sample->at_ns <= last->at_ns)
		return;
	if (last->at_ns == 0 || went_back(last, sample)) {
		take_first(load, sample, capacity);
		return;
	}
	const uint64_t passed_ns = sample->at_ns - last->at_ns;
	const float time_ns = (float)passed_ns;
	const float second_part = time_ns / 1e9F;
	const uint64_t ran_ns = sample->cpu_ns > last->cpu_ns ? sample->cpu_ns - last->cpu_ns : 0;
	const uint64_t waited_ns = sample->wait_ns - last->wait_ns;
	const float cpu = share(ran_ns + waited_ns, time_ns * (float)millicores / (float)MILLICORES_DEFAULT);
	const float blocked = share(sample->block_ns - last->block_ns, time_ns);
	const float bytes = share(sample->io_bytes - last->io_bytes, second_part * (float)WEIR_SCHEDULE_IO_BYTES_MAX);
	const float weight = weight_of_old(passed_ns, capacity->period_ns, ema);

	crowd_take(load, ran_ns, waited_ns,
		   weight_of_old(passed_ns, capacity->period_ns, WEIR_WEIGHT_ONE - (WEIR_WEIGHT_ONE - ema) / CROWD_SLOWER));
	load->cpu = average(load->cpu, cpu, load->has_rates ? weight : 0.0F);
	load->io = average(load->io, blocked > bytes ? blocked : bytes, load->has_rates ? weight : 0.0F);
	load->memory = average(load->memory, memory_share(sample, capacity), weight);
	load->last = *sample;
	load->has_rates = true;
}

struct weir_schedule_terms weir_schedule_load_terms(const struct weir_schedule_load *load, uint64_t now_ns)
{
	const bool is_old = load->last.at_ns == 0 ||
			    (now_ns > load->last.at_ns &&
			     now_ns - load->last.at_ns > WEIR_SCHEDULE_SAMPLE_AGE_MAX_NS);

	if (is_old)
		return (struct weir_schedule_terms){0};
	const float crowded = crowd(load);

	return (struct weir_schedule_terms){
		.cpu = (uint32_t)((load->cpu > crowded ? load->cpu : crowded) * (float)WEIR_SCHEDULE_UNIT),
		.memory = (uint32_t)(load->memory * (float)WEIR_SCHEDULE_UNIT),
		.io = (uint32_t)(load->io * (float)WEIR_SCHEDULE_UNIT),
	};
}

uint32_t weir_schedule_terms_price(const struct weir_schedule_terms *terms, const struct weir_weights *weights)
{
	/* At most 4 terms of 65,536 at weight 10,000. */
	return (uint32_t)(((uint64_t)weights->alpha * terms->cpu + (uint64_t)weights->beta * terms->memory +
			   (uint64_t)weights->gamma * terms->io + (uint64_t)weights->epsilon * terms->remote) /
			  WEIR_WEIGHT_ONE);
}
