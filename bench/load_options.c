#include "bench/load_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 86400.0

static const struct option names[] = {
	{"port", required_argument, NULL, 'p'},
	{"path", required_argument, NULL, 'u'},
	{"paths", required_argument, NULL, 'n'},
	{"connections", required_argument, NULL, 'c'},
	{"pipeline", required_argument, NULL, 'd'},
	{"rate", required_argument, NULL, 'r'},
	{"body-bytes", required_argument, NULL, 'b'},
	{"phases", required_argument, NULL, 'f'},
	{"seconds", required_argument, NULL, 's'},
	{"warmup", required_argument, NULL, 'w'},
	{"mark", no_argument, NULL, 'm'},
	{"sleep", no_argument, NULL, 'e'},
	{"hold", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* A whole number from `least` to `most`, nothing before or after it. */
static bool number_parse(const char *text, uint32_t least, uint32_t most, uint32_t *out_number)
{
	char *end = NULL;
	const unsigned long number = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || *text == '-' || number < least || number > most)
		return false;
	*out_number = (uint32_t)number;
	return true;
}

static bool seconds_parse(const char *text, double *out_seconds)
{
	char *end = NULL;
	const double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= SECONDS_MAX))
		return false;
	*out_seconds = seconds;
	return true;
}

static bool option_take(int name, const char *text, struct weir_load_options *options)
{
	uint32_t port = 0;

	switch (name) {
	case 'p':
		if (!number_parse(text, 1, UINT16_MAX, &port))
			return false;
		options->port = (uint16_t)port;
		return true;
	case 'u':
		options->path = text;
		return text[0] == '/';
	case 'n':
		return number_parse(text, 1, WEIR_LOAD_PATHS_MAX, &options->paths);
	case 'c':
		return number_parse(text, 1, WEIR_LOAD_CONNECTIONS_MAX, &options->connections);
	case 'd':
		return number_parse(text, 1, WEIR_LOAD_PIPELINE_MAX, &options->pipeline);
	case 'r':
		return number_parse(text, 1, WEIR_LOAD_RATE_MAX, &options->rate);
	case 'b':
		return number_parse(text, 1, WEIR_LOAD_BODY_BYTES_MAX, &options->body_bytes);
	case 'f':
		options->phases = text;
		return true;
	case 's':
		return seconds_parse(text, &options->seconds) && options->seconds > 0;
	case 'w':
		return seconds_parse(text, &options->warmup_seconds);
	case 'm':
		options->mark = true;
		return true;
	case 'e':
		options->sleep = true;
		return true;
	case 'h':
		options->hold = true;
		return true;
	default:
		return false;
	}
}

/* Pipelined batches have no single time at which they were due, and bodies are sent one by one. */
static bool options_agree(const struct weir_load_options *options)
{
	const bool single = options->rate == 0 && options->body_bytes == 0 && !options->hold;

	return options->port != 0 && (options->pipeline == 1 || single) &&
	       (options->paths == 1 || strstr(options->path, "%u") != NULL) &&
	       !(options->hold && options->rate != 0);
}

bool weir_load_options_parse(int argument_count, char **arguments,
			     struct weir_load_options *out_options)
{
	struct weir_load_options options = {
		.path = "/",
		.connections = 64,
		.pipeline = 1,
		.paths = 1,
		.seconds = 2,
		.warmup_seconds = 0.2,
	};

	for (;;) {
		const int name = getopt_long(argument_count, arguments, "", names, NULL);

		if (name == -1)
			break;
		if (!option_take(name, optarg, &options))
			return false;
	}
	if (optind != argument_count || !options_agree(&options))
		return false;
	*out_options = options;
	return true;
}

void weir_load_options_usage(void)
{
	fputs("usage: weir-bench-load --port PORT [--path /] [--paths 1] [--connections 64]\n"
	      "                       [--pipeline 1 | --rate N | --phases N:S,... | --hold] [--body-bytes N]\n"
	      "                       [--seconds 2] [--warmup 0.2] [--mark]\n"
	      "Sends requests to 127.0.0.1:PORT and prints JSON about the answers.\n"
	      "  (nothing)       each connection asks again as soon as it is answered\n"
	      "  --pipeline N    N requests in one write, the next N when all are answered\n"
	      "  --rate N        open loop: N requests a second over all connections, "
	      "whatever\n"
	      "                  the answers do; latency runs from when a request was due\n"
	      "  --phases N:S,... open loop at N requests a second for S seconds, then at the\n"
	      "                  next rate; 429 and 503 are no errors, each phase is told apart\n"
	      "  --sleep         in an open loop: sleep while nothing is due, for servers that\n"
	      "                  share the CPU; see how late it gets in the output\n"
	      "  --hold          one request on each connection, then \"holding\" on standard\n"
	      "                  output and silence until standard input ends or SIGTERM\n"
	      "  --body-bytes N  POST with a body of N bytes, which must come back as it was\n"
	      "  --paths N       the first %u in the path is a number below N\n"
	      "  --mark          \"measuring\" on standard error when the warm-up is over\n",
	      stderr);
}
