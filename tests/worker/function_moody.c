/* A function that does what its query says: everything that weir_function.h offers, and every way to
 * misbehave that the samples leave out. */
#include "weir_function.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int is_query(const struct weir_request *request, const char *text)
{
	const struct weir_text query = weir_request_query(request);

	return query.bytes == strlen(text) && memcmp(query.data, text, query.bytes) == 0;
}

/* Never ends: each level needs the one below. */
static int stack_use(volatile int *level)
{
	volatile char page[4096];

	page[0] = (char)*level;
	*level += 1;
	return *level > 0 ? stack_use(level) + page[0] : 0;
}

static int tell(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text texts[] = {
		weir_request_method(request),
		weir_request_path(request),
		weir_request_pattern(request),
		weir_request_host(request),
		weir_request_peer(request),
		weir_request_param(request, "id"),
		weir_request_param(request, "ID"),
		weir_request_header(request, "x-FIELD"),
		weir_request_header(request, "absent"),
	};
	struct weir_text name = {0};
	struct weir_text value = {0};
	char activation[33];
	int result = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && result == 0; i++) {
		result = weir_response_write(response, texts[i].data, texts[i].bytes);
		if (result == 0)
			result = weir_response_write_text(response,
							  texts[i].data != NULL ? "\n" : "-\n");
	}
	for (size_t i = 0;
	     weir_request_header_at(request, i, &name, &value) == 1 && result == 0; i++)
		result = weir_response_write(response, name.data, name.bytes);
	weir_request_activation(request, activation);
	if (result == 0)
		result = weir_response_write_text(response, "\n");
	return result == 0 ? weir_response_write_text(response, activation) : result;
}

/* Answer with the body in upper case, read and written in place. */
static int upper(const struct weir_request *request, struct weir_response *response)
{
	struct weir_text body = {0};
	void *place = NULL;
	size_t room = 0;
	int result = weir_request_body(request, &body);

	if (result == -EAGAIN)
		return weir_response_write_text(response, "streamed");
	if (result == 0)
		result = weir_response_reserve(response, &place, &room);
	if (result != 0 || room < body.bytes)
		return -1;
	for (size_t i = 0; i < body.bytes; i++)
		((char *)place)[i] =
			(char)(body.data[i] -
			       (body.data[i] >= 'a' && body.data[i] <= 'z' ? 32 : 0));
	return weir_response_commit(response, body.bytes);
}

/* What the refused operations return, as a list of numbers. */
static int refused(struct weir_response *response)
{
	const int results[] = {
		weir_response_status(response, 99),
		weir_response_header(response, "a b", "c"),
		weir_response_header(response, "a", "b\nc"),
		weir_response_length(response, 1000),
		weir_response_write_text(response, ""),
		weir_response_status(response, 201),
		weir_response_flush(response),
		weir_response_status(response, 202),
		weir_response_header(response, "a", "b"),
		weir_response_length(response, 5),
	};
	char text[1001];
	size_t used = 0;

	memset(text, ' ', sizeof(text));
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%d ", results[i]);
	text[used] = ' ';
	if (weir_response_write(response, text, 1001) != -EMSGSIZE)
		return -1;
	return weir_response_write(response, text, 1000);
}

/* Use the CPU for 20 ms without telling the worker. */
static void spin(void)
{
	struct timespec first;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &first);
	do
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - first.tv_sec) * 1000000000L + now.tv_nsec - first.tv_nsec < 20000000L);
}

WEIR_FUNCTION_EXPORT int moody(const struct weir_request *request,
			       struct weir_response *response);

int moody(const struct weir_request *request, struct weir_response *response)
{
	volatile int *const nowhere = NULL;
	volatile int level = 0;

	if (is_query(request, "crash"))
		*nowhere = 1;
	if (is_query(request, "abort"))
		abort();
	if (is_query(request, "exit"))
		exit(3);
	if (is_query(request, "stack"))
		return stack_use(&level);
	if (is_query(request, "fail"))
		return -77;
	if (is_query(request, "late-fail"))
		return weir_response_write_text(response, "a part") == 0 &&
				       weir_response_flush(response) == 0
			       ? -78
			       : 0;
	if (is_query(request, "log"))
		weir_function_log(request, WEIR_FUNCTION_WARNING, "a line\nfrom the function");
	if (is_query(request, "tell"))
		return tell(request, response);
	if (is_query(request, "spin"))
		spin();
	if (is_query(request, "upper"))
		return upper(request, response);
	if (is_query(request, "refused"))
		return refused(response);
	return weir_response_write_text(response, "calm");
}
