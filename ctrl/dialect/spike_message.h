/* spike_message: how messages of Pixels-Spike's clients are read, and what they are answered with when something
 * is wrong: grpc-gateway's way. Part of the dialect `spike`; owns nothing; threads as dialect.h says. */
#ifndef WEIR_CTRL_DIALECT_SPIKE_MESSAGE_H
#define WEIR_CTRL_DIALECT_SPIKE_MESSAGE_H

#include "ctrl/dialect/dialect.h"

#define WEIR_SPIKE_SPACE    "default"
#define WEIR_SPIKE_FUNCTION "/weir/functions/%s/%s"

/* Of gRPC, each of which grpc-gateway gives a status: 500, 400, 404, 501, 503. */
enum weir_spike_code {
	WEIR_SPIKE_UNKNOWN = 2,
	WEIR_SPIKE_INVALID = 3,
	WEIR_SPIKE_NOT_FOUND = 5,
	WEIR_SPIKE_UNIMPLEMENTED = 12,
	WEIR_SPIKE_UNAVAILABLE = 14,
};

/* Reply {"code":2,"message":"...","details":[]}, a long message cut; and {"code":0,"message":"..."}. 0 or -ENOMEM. */
int weir_spike_fail(struct weir_dialect_call *call, enum weir_spike_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int weir_spike_done(struct weir_dialect_call *call, const char *message);

/* The code for a status of Weir's own: it may work later, or not. */
enum weir_spike_code weir_spike_code_of(uint32_t status);

/* Reply that the name is none; reply what the API said no with, and release it. */
int weir_spike_name_wrong(struct weir_dialect_call *call);
int weir_spike_refused(struct weir_dialect_call *call, struct weir_dialect_verdict *verdict);

/* Ask the API about the function `name`: `format` is the path, which begins with WEIR_SPIKE_FUNCTION where it names
 * it. 0 with a verdict, or as manage(). */
int weir_spike_ask(struct weir_dialect_call *call, const char *method, const char *format, const char *name,
		   const cJSON *json, struct weir_dialect_verdict *out_verdict);

/* A message being read; what is wrong with it is kept, so that one look at the end is enough. */
struct weir_spike_reader {
	const cJSON *json;
	char wrong[128]; /* empty: nothing yet */
};

/* A member by its name in the proto ("function_name"), or as JSON spells that ("functionName"). NULL: it is not
 * there, or null, which means the same. */
const cJSON *weir_spike_member(const cJSON *json, const char *name);

/* Note what is wrong, if nothing was so far: `name` must be `wanted`. */
void weir_spike_wrong(struct weir_spike_reader *reader, const char *name, const char *wanted);

/* A member's value; "", 0 or false where it is not there, or no such value, which is noted. A number may stand in
 * a text. A text is valid as long as the message's JSON. */
const char *weir_spike_text(struct weir_spike_reader *reader, const char *name);
int32_t weir_spike_number(struct weir_spike_reader *reader, const char *name);
bool weir_spike_switch(struct weir_spike_reader *reader, const char *name);

/* spike_list.c: the calls that look something up. */
int weir_spike_get_all_functions(struct weir_dialect_call *call, cJSON **body);
int weir_spike_get_function_resources(struct weir_dialect_call *call, cJSON **body);

#endif
