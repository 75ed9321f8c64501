#include "dataplane/worker/node/node_v8.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

typedef size_t near_limit(void *data, size_t bytes, size_t bytes_first);

/* C++ member functions: the object is their first argument on every Linux ABI that Node runs on. */
static struct {
	void *isolate;
	void (*terminate)(void *isolate);
	void (*go_on)(void *isolate);
	void (*limit_add)(void *isolate, near_limit *callback, void *data);
	void (*limit_remove)(void *isolate, near_limit *callback, size_t bytes);
	void (*full)(void);
} v8;

static void find(void *out_function, const char *name)
{
	/* As dlopen(3) has it: ISO C knows no conversion to a pointer to a function. */
	*(void **)out_function = dlsym(RTLD_DEFAULT, name);
}

void weir_node_v8_open(void)
{
	void *(*isolate_current)(void) = NULL;

	find(&isolate_current, "_ZN2v87Isolate10GetCurrentEv");
	if (isolate_current == NULL)
		return;
	v8.isolate = isolate_current();
	find(&v8.terminate, "_ZN2v87Isolate18TerminateExecutionEv");
	find(&v8.go_on, "_ZN2v87Isolate24CancelTerminateExecutionEv");
	find(&v8.limit_add, "_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_");
	find(&v8.limit_remove, "_ZN2v87Isolate27RemoveNearHeapLimitCallbackEPFmPvmmEm");
}

bool weir_node_v8_can_terminate(void)
{
	return v8.isolate != NULL && v8.terminate != NULL && v8.go_on != NULL;
}

void weir_node_v8_terminate(void)
{
	v8.terminate(v8.isolate);
}

void weir_node_v8_go_on(void)
{
	v8.go_on(v8.isolate);
}

static size_t on_near_limit(void *data, size_t bytes, size_t bytes_first)
{
	(void)data;
	(void)bytes_first;
	v8.full();
	return bytes;
}

bool weir_node_v8_limit(uint64_t bytes, void (*full)(void))
{
	if (v8.isolate == NULL || v8.limit_add == NULL || v8.limit_remove == NULL)
		return false;
	/* V8 sets the limit that is named when a callback goes. */
	if (v8.full == NULL)
		v8.limit_add(v8.isolate, on_near_limit, NULL);
	v8.full = full;
	v8.limit_remove(v8.isolate, on_near_limit, (size_t)bytes);
	v8.limit_add(v8.isolate, on_near_limit, NULL);
	return true;
}
