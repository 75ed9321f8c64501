/* Lines "+METHODS PATTERN" (or "@METHODS PATTERN" for host h) make a table, lines "dPATH" (d: a digit,
 * the method) are requests for it: what the table accepts can be published, and each request gets the
 * answer that the plain reference matcher gives; "#AUTHORITY" asks for / of any host. */
#include "ctrl/publish/publish.h"
#include "dataplane/base/fd.h"
#include "tests/fuzz/fuzz.h"
#include "tests/route/route_reference.h"

enum {
	/* So few lines cannot make a tree of WEIR_ROUTE_STEPS_MAX nodes: the walk is never cut. */
	INPUT_BYTES_MAX = 4096,
	ROUTES_MAX = 64,
	METHODS = 7,
};

struct table {
	struct weir_model_function function;
	struct weir_model_route routes[ROUTES_MAX];
	size_t count;
	int fd;
	struct weir_snapshot snapshot;
};

static void add_route(struct table *table, const char *line)
{
	struct weir_model_error error = {.reason = ""};
	struct weir_model_route *route = &table->routes[table->count];

	if (table->count == ROUTES_MAX)
		return;
	*route = (struct weir_model_route){.id = table->count + 1, .function_id = 1};
	if (line[0] == '@')
		(void)strcpy(route->host, "h");
	if (weir_model_route_parse(line + 1, route, &error) != 0) {
		FUZZ_CHECK(error.reason[0] != '\0');
		return;
	}
	FUZZ_CHECK(weir_model_route_check(route, &error) == 0);
	table->count++;
}

static void publish(struct table *table)
{
	const struct weir_publish_input input = {
		.generation = 1,
		.settings = weir_publish_settings_default(),
		.pool_workers_max = 1,
		.functions = &table->function,
		.function_count = 1,
		.routes = table->routes,
		.route_count = table->count,
	};

	FUZZ_CHECK(weir_publish_build(&input, &table->fd) == 0);
	FUZZ_CHECK(weir_snapshot_attach(table->fd, &table->snapshot) == 0);
}

static bool is_inside(struct weir_span part, struct weir_span whole)
{
	return part.data >= whole.data && part.data + part.bytes <= whole.data + whole.bytes;
}

static void request(const struct table *table, const char *line, const char *host)
{
	const uint8_t method = (uint8_t)((line[0] - '0') % METHODS);
	char *path = fuzz_copy(line + 1, strlen(line + 1));
	const struct weir_route_query query = {
		.path = {.data = path, .bytes = strlen(line + 1)},
		.authority = weir_span_of(host),
		.method = method,
	};
	const struct route_reference_answer wanted =
		route_reference_match(table->routes, table->count, method, host, line + 1);
	struct weir_route_match match;
	const enum weir_route_result result =
		weir_route_match(&table->snapshot, &query, &match);

	FUZZ_CHECK(result == wanted.result);
	if (result == WEIR_ROUTE_METHOD)
		FUZZ_CHECK(match.allow == wanted.allow);
	if (result == WEIR_ROUTE_MATCH) {
		FUZZ_CHECK(match.target->route_id == wanted.route->id);
		FUZZ_CHECK(match.param_count == match.target->param_count);
		FUZZ_CHECK(is_inside(match.rest, query.path));
		for (uint16_t i = 0; i < match.param_count; i++) {
			FUZZ_CHECK(is_inside(match.param[i], query.path));
			FUZZ_CHECK(match.param[i].bytes > 0);
			FUZZ_CHECK(memchr(match.param[i].data, '/', match.param[i].bytes) ==
				   NULL);
		}
	}
	free(path);
}

static void any_host(const struct table *table, const char *line)
{
	char *authority = fuzz_copy(line + 1, strlen(line + 1));
	const struct weir_route_query query = {
		.path = WEIR_SPAN("/"),
		.authority = {.data = authority, .bytes = strlen(line + 1)},
	};
	struct weir_route_match match;

	(void)weir_route_match(&table->snapshot, &query,
			       &match); /* no crash is all that is asked */
	free(authority);
}

/* Give each line of `text` to the table or, once it is published, to the matcher. */
static void each_line(struct table *table, const char *text, bool published)
{
	while (*text != '\0') {
		const size_t bytes = strcspn(text, "\n");
		char *line = malloc(bytes + 1);

		FUZZ_CHECK(line != NULL);
		memcpy(line, text, bytes);
		line[bytes] = '\0';
		text += bytes + (text[bytes] == '\n' ? 1 : 0);
		if (!published && (line[0] == '+' || line[0] == '@'))
			add_route(table, line);
		if (published && line[0] >= '0' && line[0] <= '9') {
			request(table, line, "");
			request(table, line, "h");
		}
		if (published && line[0] == '#')
			any_host(table, line);
		free(line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct table table; /* large */
	static char text[INPUT_BYTES_MAX + 1];

	if (bytes > INPUT_BYTES_MAX)
		return 0;
	if (bytes > 0)
		memcpy(text, data, bytes);
	text[bytes] = '\0';
	table.function = (struct weir_model_function){
		.id = 1,
		.space = "default",
		.name = "f",
		.runtime = "native",
		.code_path = "/f",
		.timeout_ms = WEIR_MODEL_TIMEOUT_MS_DEFAULT,
		.memory_mb = WEIR_MODEL_MEMORY_MB_DEFAULT,
		.queue_max = WEIR_MODEL_QUEUE_DEFAULT,
	};
	table.count = 0;
	each_line(&table, text, false);
	publish(&table);
	each_line(&table, text, true);
	weir_snapshot_detach(&table.snapshot);
	weir_fd_close(&table.fd);
	return 0;
}
