#include "bench/load_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "dataplane/base/clock.h"

static double us(uint64_t ns)
{
	return (double)ns / (double)WEIR_NS_PER_US;
}

static double quantile_us(const struct weir_histogram *histogram, uint32_t part_per_million)
{
	return us(weir_histogram_quantile(histogram, part_per_million));
}

/* What this program itself took so far; 0 where the clock does not exist. */
static double own_cpu_seconds(void)
{
	struct timespec own = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own); /* leaves the zero on failure */
	return (double)own.tv_sec + (double)own.tv_nsec / (double)WEIR_NS_PER_SECOND;
}

uint64_t weir_load_report_print(const struct weir_load_report *report)
{
	const struct weir_load_counts *counts = report->counts;
	const struct weir_load_options *options = report->options;
	const struct weir_histogram *latency = report->latency_ns;
	const struct weir_histogram *late = report->late_ns;
	const double seconds = (double)report->measured_ns / (double)WEIR_NS_PER_SECOND;
	const double rate = (double)report->requests / seconds;
	const uint64_t errors = counts->status + counts->length + counts->content +
				counts->malformed + report->closed;

	printf("{\"connections\":%u,\"pipeline\":%u,\"rate_asked\":%u,\"seconds\":%.6f,"
	       "\"requests\":%" PRIu64 ",\"requests_total\":%" PRIu64 ",\"rate\":%.1f,"
	       "\"echo_bytes_per_second\":%.0f,\"own_cpu_seconds\":%.6f,\n",
	       options->connections, options->pipeline, options->rate, seconds,
	       report->requests, counts->answers, rate, rate * (double)options->body_bytes,
	       own_cpu_seconds());
	printf(" \"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%."
	       "1f,\n",
	       quantile_us(latency, 500000), quantile_us(latency, 900000),
	       quantile_us(latency, 990000), quantile_us(latency, 999000), us(latency->max));
	printf(" \"late_p50_us\":%.1f,\"late_p99_us\":%.1f,\"late_p999_us\":%.1f,"
	       "\"late_max_us\":%.1f,\"waiting_max\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\n",
	       quantile_us(late, 500000), quantile_us(late, 990000), quantile_us(late, 999000),
	       us(late->max), report->waiting_max, report->unanswered);
	printf(" \"head_bytes\":%u,\"body_bytes\":%" PRIu64 ",\"connections_silent\":%u,\n",
	       report->shape->head_bytes, report->shape->body_bytes, report->silent);
	if (report->phases->count > 0) {
		weir_load_phases_print(report->phases);
		printf(",\n");
	}
	printf(" \"errors\":%" PRIu64 ",\"errors_status\":%" PRIu64
	       ",\"errors_length\":%" PRIu64 ",\"errors_content\":%" PRIu64
	       ",\"errors_malformed\":%" PRIu64 ",\"errors_closed\":%" PRIu64 "}\n",
	       errors, counts->status, counts->length, counts->content, counts->malformed,
	       report->closed);
	return errors;
}
