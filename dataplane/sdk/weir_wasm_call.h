/* weir_wasm_call: a WebAssembly function calls another by its name.
 * Owns: answers lie in memory that stays until the call ends. Waiting lets other calls run. */
#ifndef WEIR_WASM_CALL_H
#define WEIR_WASM_CALL_H

#include <weir_wasm.h>

/* Call another function of the same namespace with POST and wait for its answer: its HTTP status, or
 * Weir's own (404: there is none of that name), or a negative errno; *out_body is what it answered. */
static inline int weir_function_call(const struct weir_request *request, const char *name,
				     struct weir_text body, struct weir_text *out_body)
{
	const int status = weir_wasm_call(name, strlen(name), body.data, body.bytes, 0);
	struct weir_text text = {NULL, 0};

	(void)request;
	if (status >= 0)
		WEIR_WASM_TEXT(text, weir_wasm_call_body(out, bytes));
	*out_body = text;
	return status;
}

/* Have another function called, and go on: 202 when it was accepted. */
static inline int weir_function_call_one_way(const struct weir_request *request,
					     const char *name, struct weir_text body)
{
	(void)request;
	return weir_wasm_call(name, strlen(name), body.data, body.bytes, 1);
}

#endif
