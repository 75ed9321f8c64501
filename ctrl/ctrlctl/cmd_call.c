#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/follow.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"

enum {
	TARGET_MAX = 1024,
	PAGE_CALLS = 1000, /* of one answer; the API's most */
	CALLS_DEFAULT = 30,
	NS_PER_US = 1000,
};

/* What was asked for, and how far it got. */
struct listing {
	const struct weir_ctl_call *call;
	char filter[TARGET_MAX]; /* "&function=...&failed=1" */
	uint64_t since_ns;
	uint64_t last_number;
	cJSON *all;  /* of one table, or of -o json */
	bool is_tail; /* a line each, as they come */
};

/* "12.3us", "4.56ms", "7.89s": three digits that count. */
static const char *time_format(double ns, char out[24])
{
	static const struct {
		double ns;
		const char *unit;
	} units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
	size_t i = 0;
	double value;

	while (i < 3 && ns < units[i].ns)
		i++;
	value = ns / units[i].ns;
	(void)snprintf(out, 24, "%.*f%s", i == 3 || value >= 100 ? 0 : value >= 10 ? 1 : 2, value, units[i].unit);
	return out;
}

static const char *time_of(const cJSON *call, const char *stage, char out[24])
{
	const cJSON *const times = cJSON_GetObjectItemCaseSensitive(call, "times_ns");
	const cJSON *const time = cJSON_GetObjectItemCaseSensitive(times, stage);

	if (cJSON_IsNumber(time))
		return time_format(time->valuedouble, out);
	(void)snprintf(out, 24, "-");
	return out;
}

static bool is(const cJSON *call, const char *what)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call, what));
}

/* "200", "502 worker_died", "200 cut", "gone": what came of it. */
static const char *outcome(const cJSON *call, char out[64])
{
	const double status = weir_ctl_json_number(call, "status");
	const char *const failure = weir_ctl_json_text(call, "failure");

	if (status == 0)
		(void)snprintf(out, 64, "gone");
	else
		(void)snprintf(out, 64, "%.0f%s%s%s", status, failure[0] != '\0' ? " " : "", failure,
			       is(call, "cut") ? " cut" : ""); /* cut is fine */
	return out;
}

/* ---- call list, call tail ---- */

static void table_print(const cJSON *all)
{
	static const char *const titles[] = {"START", "ACTIVATION", "FUNCTION", "OUTCOME", "TOTAL",
					     "QUEUE", "RUN", "CPU", "COLD", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *call = NULL;
	char text[80];
	char time[24];

	cJSON_ArrayForEach(call, all)
	{
		(void)snprintf(text, sizeof(text), "%.23sZ", weir_ctl_json_text(call, "start"));
		weir_ctl_table_cell(&table, text);
		weir_ctl_table_cell(&table, weir_ctl_json_text(call, "activation"));
		weir_ctl_table_cell(&table, weir_ctl_json_text(call, "function"));
		text[0] = '!';
		(void)outcome(call, text + 1);
		weir_ctl_table_cell(&table, is(call, "failed") ? text : text + 1);
		weir_ctl_table_cell(&table, time_of(call, "total", time));
		weir_ctl_table_cell(&table, time_of(call, "queue", time));
		weir_ctl_table_cell(&table, time_of(call, "run", time));
		weir_ctl_table_cell(&table, time_of(call, "cpu", time));
		weir_ctl_table_cell(&table, is(call, "cold") ? "cold" : "");
	}
	weir_ctl_table_print(&table);
}

/* One line, as `call tail` shows it. */
static void line_print(const cJSON *call)
{
	const bool red = weir_ctl_print_has_colours() && is(call, "failed");
	char text[64];
	char time[24];

	weir_ctl_print("%.23sZ %s %s %s%s%s", weir_ctl_json_text(call, "start"),
		       weir_ctl_json_text(call, "activation"), weir_ctl_json_text(call, "function"),
		       red ? "\033[31m" : "", outcome(call, text), red ? "\033[0m" : "");
	weir_ctl_print(" total=%s", time_of(call, "total", time));
	weir_ctl_print(" queue=%s", time_of(call, "queue", time));
	weir_ctl_print(" run=%s%s\n", time_of(call, "run", time), is(call, "cold") ? " cold" : "");
}

/* One page: the newest `count`, or the next ones. */
static enum weir_ctl_exit page_read(struct listing *listing, bool newest, unsigned count, size_t *out_count)
{
	char target[TARGET_MAX + 120];
	cJSON *json = NULL;
	cJSON *calls = NULL;
	cJSON *call = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	(void)snprintf(target, sizeof(target), "/weir/activations?after=%llu&since=%llu&newest=%d&limit=%u%s",
		       (unsigned long long)listing->last_number, (unsigned long long)listing->since_ns, newest ? 1 : 0,
		       count, listing->filter); /* fits */
	code = weir_ctl_api(listing->call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	calls = cJSON_GetObjectItemCaseSensitive(json, "activations");
	*out_count = (size_t)cJSON_GetArraySize(calls);
	while ((call = cJSON_DetachItemFromArray(calls, 0)) != NULL) {
		const uint64_t number = (uint64_t)weir_ctl_json_number(call, "number");

		if (number > listing->last_number) /* they come in the order of their starts */
			listing->last_number = number;
		if (!listing->is_tail) {
			(void)cJSON_AddItemToArray(listing->all, call);
			continue;
		}
		line_print(call);
		cJSON_Delete(call);
	}
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}

static enum weir_ctl_exit rest_read(void *context)
{
	size_t count = PAGE_CALLS;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	while (code == WEIR_CTL_OK && count == PAGE_CALLS)
		code = page_read(context, false, PAGE_CALLS, &count);
	return code;
}

/* --fn, --namespace, --failed and --since. */
static enum weir_ctl_exit filter_parse(const struct weir_ctl_call *call, struct listing *listing)
{
	const char *const function = weir_ctl_option(call, "--fn");
	const char *const space_wanted = weir_ctl_option(call, "--namespace");
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;

	if (weir_ctl_option(call, "--failed") != NULL)
		(void)snprintf(listing->filter, sizeof(listing->filter), "&failed=1");
	if (space_wanted != NULL) {
		strncat(listing->filter, "&namespace=", sizeof(listing->filter) - strlen(listing->filter) - 1);
		if (!weir_ctl_encode(listing->filter, sizeof(listing->filter) / 2, space_wanted))
			return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the namespace's name is too long");
	}
	if (function != NULL) {
		char full[sizeof(space) + sizeof(name) + 1];

		if (weir_model_name_parse(function, space, name, &wrong) != 0)
			return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "%s %s", wrong.field, wrong.reason);
		(void)snprintf(full, sizeof(full), "%s/%s", space, name);
		strncat(listing->filter, "&function=", sizeof(listing->filter) - strlen(listing->filter) - 1);
		(void)weir_ctl_encode(listing->filter, sizeof(listing->filter), full); /* names are short */
	}
	return weir_ctl_since_parse(call, &listing->since_ns);
}

enum weir_ctl_exit weir_ctl_call_list(const struct weir_ctl_call *call)
{
	struct listing listing = {.call = call, .all = cJSON_CreateArray()};
	const bool is_all = weir_ctl_option(call, "--since") != NULL && weir_ctl_option(call, "--limit") == NULL;
	unsigned limit = CALLS_DEFAULT;
	size_t count = 0;
	enum weir_ctl_exit code = filter_parse(call, &listing);

	if (code == WEIR_CTL_OK)
		code = weir_ctl_count_parse(call, "--limit", PAGE_CALLS, &limit);
	if (code == WEIR_CTL_OK)
		code = is_all ? rest_read(&listing) : page_read(&listing, true, limit, &count);
	if (code == WEIR_CTL_OK && call->json)
		weir_ctl_print_json(listing.all);
	else if (code == WEIR_CTL_OK)
		table_print(listing.all);
	cJSON_Delete(listing.all);
	return code;
}

enum weir_ctl_exit weir_ctl_call_tail(const struct weir_ctl_call *call)
{
	struct listing listing = {.call = call, .is_tail = true};
	size_t count = 0;
	enum weir_ctl_exit code = filter_parse(call, &listing);

	if (code == WEIR_CTL_OK && call->json)
		return weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl call list -o json", "call tail prints lines, not JSON");
	if (code == WEIR_CTL_OK)
		code = page_read(&listing, true, CALLS_DEFAULT, &count);
	return code == WEIR_CTL_OK ? weir_ctl_follow(call, rest_read, &listing) : code;
}

/* ---- call get ---- */

static void stages_print(const cJSON *call)
{
	static const struct {
		const char *name;
		const char *what;
	} stages[] = {
		{"parse", "from its first byte until head and small body were here"},
		{"queue", "until a worker got it"},
		{"dispatch", "in the worker's queue, waiting for a CPU, and on the way back"},
		{"run", "in the function"},
		{"reply", "until the last byte was on its way"},
		{"total", ""},
		{"cpu", "that the worker used meanwhile, its share"},
	};
	static const char *const titles[] = {"STAGE", "TIME", "WHAT", NULL};
	struct weir_ctl_table table = {.titles = titles};
	char time[24];

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		weir_ctl_table_cell(&table, stages[i].name);
		weir_ctl_table_cell(&table, time_of(call, stages[i].name, time));
		weir_ctl_table_cell(&table, stages[i].what);
	}
	weir_ctl_table_print(&table);
}

static void field_print(const char *name, const char *text)
{
	weir_ctl_print("%-12s", name);
	weir_ctl_print_clean(text[0] == '\0' ? "-" : text);
	weir_ctl_print("\n");
}

static void details_print(const cJSON *call)
{
	char text[64];

	field_print("activation", weir_ctl_json_text(call, "activation"));
	field_print("parent", weir_ctl_json_text(call, "parent"));
	field_print("function", weir_ctl_json_text(call, "function"));
	(void)snprintf(text, sizeof(text), "%.0f", weir_ctl_json_number(call, "version"));
	field_print("version", text);
	field_print("route", weir_ctl_json_text(call, "route"));
	field_print("start", weir_ctl_json_text(call, "start"));
	field_print("outcome", outcome(call, text));
	(void)snprintf(text, sizeof(text), "%.0f%s", weir_ctl_json_number(call, "worker"),
		       is(call, "cold") ? ", started for it" : "");
	field_print("worker", weir_ctl_json_number(call, "worker") == 0 ? "" : text);
	(void)snprintf(text, sizeof(text), "%.0f in, %.0f out", weir_ctl_json_number(call, "request_bytes"),
		       weir_ctl_json_number(call, "answer_bytes"));
	field_print("bytes", text);
	weir_ctl_print("\n");
	stages_print(call);
}

enum weir_ctl_exit weir_ctl_call_get(const struct weir_ctl_call *call)
{
	char target[TARGET_MAX] = "/weir/activations/";
	cJSON *json = NULL;
	enum weir_ctl_exit code = WEIR_CTL_OK;

	if (!weir_ctl_encode(target, sizeof(target), call->arguments[0]))
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the activation's id is too long");
	code = weir_ctl_api(call, "GET", target, NULL, &json);
	if (code != WEIR_CTL_OK)
		return code;
	if (call->json)
		weir_ctl_print_json(json);
	else
		details_print(json);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}
