/* nest: what test_nested.py deploys as `nest`; the query's first word says what it does. */
#include <stdio.h>
#include <stdlib.h>

#include <weir_call.h>

static int tell(struct weir_response *response, int result, const struct weir_call_answer *answer)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "result %d status %u activation %s\n", result,
		       result == 0 ? answer->status : 0, result == 0 ? answer->activation : "-");
	(void)weir_response_write_text(response, line);
	return result == 0 ? weir_response_write(response, answer->body.data, answer->body.bytes) : 0;
}

/* Who called me? */
static int who(const struct weir_request *request, struct weir_response *response)
{
	char line[160], own[33];
	const struct weir_text parent = weir_request_parent(request);
	const struct weir_text peer = weir_request_peer(request);

	weir_request_activation(request, own);
	(void)snprintf(line, sizeof(line), "depth %u parent %.*s own %s peer %.*s",
		       weir_request_depth(request), (int)parent.bytes, parent.data ? parent.data : "",
		       own, (int)peer.bytes, peer.data);
	return weir_response_write_text(response, line);
}

static int call_nest(const struct weir_request *request, const char *query, int one_way,
		     struct weir_call_answer *answer)
{
	struct weir_call call = {0};

	call.name = "nest";
	call.query = query;
	call.one_way = one_way;
	return weir_call_with(request, &call, answer);
}

/* The body comes back from echo, byte for byte. */
static int echo(const struct weir_request *request, struct weir_response *response, size_t bytes)
{
	struct weir_call_answer answer;
	unsigned char *body = malloc(bytes + 1);
	int result = 0;

	for (size_t i = 0; i < bytes; i++)
		body[i] = (unsigned char)(i * 7 % 251);
	result = weir_call(request, "echo", body, bytes, &answer);
	if (result == 0 && (answer.body.bytes != bytes || memcmp(answer.body.data, body, bytes) != 0))
		result = -EBADMSG;
	free(body);
	if (result == 0)
		answer.body.bytes = 0;
	return tell(response, result, &answer);
}

/* Four at once, more than may be, then one after the other as often as may be. */
static int fan(const struct weir_request *request, struct weir_response *response)
{
	struct weir_call call = {0};
	struct weir_call_answer answer;
	unsigned int handle[5], made = 0, refused = 0;
	char line[128];
	int result = 0;

	call.name = "ping";
	call.method = "GET";
	for (unsigned int i = 0; i < 5; i++) {
		result = weir_call_start(request, &call, &handle[i]);
		if (result == -EBUSY && i == 4)
			refused++;
		else if (result != 0)
			return result;
	}
	for (unsigned int i = 4; i > 0; i--) {
		if (weir_call_wait(request, handle[i - 1], &answer) == 0 && answer.status == 200)
			made++;
		weir_call_free(request, &answer);
	}
	for (unsigned int i = 0; i < 64; i++) {
		result = weir_call_with(request, &call, &answer);
		if (result != 0)
			return result;
		if (answer.status == 200)
			made++;
		else if (answer.status == 429)
			refused++;
	}
	(void)snprintf(line, sizeof(line), "made %u refused %u", made, refused);
	return weir_response_write_text(response, line);
}

static int sleep_call(const struct weir_request *request, struct weir_response *response)
{
	struct weir_call call = {0};
	struct weir_call_answer answer;
	int result = 0;

	call.name = "nest";
	call.query = "nap";
	result = weir_call_with(request, &call, &answer);
	return result != 0 ? result : tell(response, result, &answer);
}

int weir_handle(const struct weir_request *request, struct weir_response *response)
{
	const struct weir_text query = weir_request_query(request);
	struct weir_call_answer answer = {0};
	char word[32] = {0};
	int result = 0;

	memcpy(word, query.data, query.bytes < sizeof(word) - 1 ? query.bytes : sizeof(word) - 1);
	if (strcmp(word, "who") == 0)
		return who(request, response);
	if (strcmp(word, "nap") == 0)
		return weir_function_sleep_ms(request, 20000);
	if (strncmp(word, "echo", 4) == 0)
		return echo(request, response, strtoul(word + 4, NULL, 10));
	if (strcmp(word, "fan") == 0)
		return fan(request, response);
	if (strcmp(word, "late") == 0)
		return sleep_call(request, response);
	if (strcmp(word, "note") == 0) {
		weir_function_log(request, WEIR_FUNCTION_INFO, "noted");
		return weir_response_write_text(response, "noted");
	}
	if (strcmp(word, "crash") == 0)
		abort();
	if (strcmp(word, "circle") == 0)
		result = call_nest(request, "circle", 0, &answer);
	else if (strcmp(word, "ask") == 0)
		result = call_nest(request, "who", 0, &answer);
	else if (strcmp(word, "after") == 0)
		result = call_nest(request, "note", 1, &answer);
	else if (strcmp(word, "victim") == 0)
		result = call_nest(request, "crash", 0, &answer);
	else
		return -EINVAL;
	return tell(response, result, &answer);
}
