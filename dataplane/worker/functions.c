#include "dataplane/worker/functions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/worker/capture.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/reveal.h"

enum { MASK = WEIR_FUNCTIONS_CELLS - 1 };
static_assert((WEIR_FUNCTIONS_CELLS & MASK) == 0, "cells are found by masking");
static_assert(WEIR_FUNCTIONS_LOADED_MAX <= WEIR_FUNCTIONS_CELLS / 2,
	      "a search ends at an empty cell");

int weir_functions_open(struct weir_functions *functions)
{
	return weir_runtime.open(&functions->runtime);
}

/* Where a function's search starts: ids may be small and consecutive or spread. */
static uint32_t cell_first(uint64_t id)
{
	return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & MASK;
}

/* The cell of `id`, or the empty one where it would be. */
static uint32_t cell_find(const struct weir_functions *functions, uint64_t id)
{
	uint32_t place = cell_first(id);

	while (functions->cell[place] != NULL && functions->cell[place]->id != id)
		place = (place + 1) & MASK;
	return place;
}

static void cell_insert(struct weir_functions *functions, struct weir_function *function)
{
	functions->cell[cell_find(functions, function->id)] = function;
	functions->count++;
}

/* Empty a cell and move those up whose search would end there. */
static void cell_remove(struct weir_functions *functions, uint32_t place)
{
	uint32_t next = (place + 1) & MASK;

	functions->cell[place] = NULL;
	functions->count--;
	while (functions->cell[next] != NULL) {
		const uint32_t first = cell_first(functions->cell[next]->id);

		if (((next - first) & MASK) >= ((next - place) & MASK)) {
			functions->cell[place] = functions->cell[next];
			functions->cell[next] = NULL;
			place = next;
		}
		next = (next + 1) & MASK;
	}
}

static void function_destroy(struct weir_function *function)
{
	weir_runtime.unload(function->instance);
	free(function);
}

/* Out of the table; unloaded now or after its last call. */
static void function_retire(struct weir_functions *functions, uint32_t place)
{
	struct weir_function *const function = functions->cell[place];

	cell_remove(functions, place);
	function->is_replaced = true;
	if (function->calls == 0)
		function_destroy(function);
}

/* Unload the idle function that was used longest ago. */
static int function_evict(struct weir_functions *functions)
{
	uint32_t oldest = WEIR_FUNCTIONS_CELLS;

	for (uint32_t i = 0; i < WEIR_FUNCTIONS_CELLS; i++) {
		const struct weir_function *const function = functions->cell[i];

		if (function != NULL && function->calls == 0 &&
		    (oldest == WEIR_FUNCTIONS_CELLS ||
		     function->used_ns < functions->cell[oldest]->used_ns))
			oldest = i;
	}
	if (oldest == WEIR_FUNCTIONS_CELLS)
		return -ENOSPC;
	function_retire(functions, oldest);
	return 0;
}

static int function_load(struct weir_functions *functions, const struct weir_snapshot *snapshot,
			 const struct weir_snapshot_function *row,
			 struct weir_function **out_function, char *out_reason)
{
	const char *environment[WEIR_ENVIRONMENT_VARIABLES_MAX + 1] = {NULL};
	const struct weir_runtime_function wanted = {
		.id = row->id,
		.version = row->version,
		.memory_bytes = weir_memory_of(snapshot, row),
		.space = weir_snapshot_span(snapshot, row->space),
		.name = weir_snapshot_span(snapshot, row->name),
		.code_path = weir_snapshot_span(snapshot, row->code_path),
		.handler = weir_snapshot_span(snapshot, row->handler),
		.interpreter = weir_snapshot_span(snapshot, row->interpreter),
		.environment = environment,
	};
	struct weir_function *function = NULL;
	int result = 0;

	if ((row->flags & WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT) != 0 &&
	    !weir_variables_list(functions->variables, row->id, row->version, environment)) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "the worker has not received the function's variables");
		return -EAGAIN;
	}
	if (functions->count == WEIR_FUNCTIONS_LOADED_MAX && function_evict(functions) != 0) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "the worker already runs %d functions",
			       WEIR_FUNCTIONS_LOADED_MAX);
		return -ENOSPC;
	}
	function = calloc(1, sizeof(*function));
	if (function == NULL) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "no memory to load the function");
		return -ENOMEM;
	}
	(void)snprintf(function->name, sizeof(function->name), "%s/%s", wanted.space.data,
		       wanted.name.data);
	weir_capture_name(function->name); /* loading may print, too */
	result = weir_reveal_ask(row->id);
	if (result != 0)
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "cannot open the module '%s': %s",
			       wanted.code_path.data, strerror(-result));
	else
		result = weir_runtime.load(functions->runtime, &wanted, &function->instance,
					   out_reason);
	if (result != 0) {
		free(function);
		return result;
	}
	function->id = row->id;
	function->version = row->version;
	cell_insert(functions, function);
	*out_function = function;
	return 0;
}

int weir_functions_claim(struct weir_functions *functions, const struct weir_snapshot *snapshot,
			 uint64_t id, struct weir_function **out_function,
			 char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	const uint32_t place = cell_find(functions, id);
	struct weir_function *function = functions->cell[place];
	const struct weir_snapshot_function *row = NULL;
	bool is_ours = true;
	int result = 0;

	if (function == NULL || function->generation != snapshot->header->generation) {
		row = weir_snapshot_function_find(snapshot, id);
		if (row == NULL) {
			(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
				       "the function is not in the worker's configuration");
			return -ESRCH;
		}
		is_ours = weir_memory_is_of_pool(snapshot, row);
		if (function == NULL && !is_ours) {
			(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, "the function has moved to other workers");
			return -ESRCH;
		}
		/* Where it has moved, what is loaded is what the call was bound for, before. */
		if (function != NULL && function->version != row->version && is_ours) {
			function_retire(functions, place);
			function = NULL;
		}
		if (function == NULL)
			result = function_load(functions, snapshot, row, &function, out_reason);
		if (result != 0)
			return result;
		function->generation = snapshot->header->generation;
	}
	function->calls++;
	*out_function = function;
	return 0;
}

void weir_functions_release(struct weir_functions *functions, struct weir_function *function)
{
	WEIR_ASSERT(function->calls != 0);
	(void)functions;
	function->calls--;
	if (weir_runtime.reset != NULL)
		weir_runtime.reset(function->instance);
	if (function->is_replaced && function->calls == 0)
		function_destroy(function);
}

struct weir_variables *weir_functions_variables(struct weir_functions *functions,
						struct weir_variables *variables)
{
	struct weir_variables *const old = functions->variables;

	functions->variables = variables;
	return old;
}

void weir_functions_configured(struct weir_functions *functions,
			       const struct weir_snapshot *snapshot)
{
	uint32_t i = 0;

	while (i < WEIR_FUNCTIONS_CELLS) {
		const struct weir_function *const function = functions->cell[i];

		/* A removal may move another function into this cell: look at it again. */
		if (function != NULL &&
		    weir_snapshot_function_find(snapshot, function->id) == NULL)
			function_retire(functions, i);
		else
			i++;
	}
}
