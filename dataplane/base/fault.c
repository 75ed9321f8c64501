#include "dataplane/base/fault.h"

#ifdef WEIR_FAULT_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one fault that the environment asks for; `name_bytes` 0 means none. */
static struct {
	const char *name;
	size_t name_bytes;
	const char *action;
	size_t action_bytes;
	unsigned long passes_wanted;
} wanted;

static pthread_once_t wanted_once = PTHREAD_ONCE_INIT;
static _Atomic unsigned long passes;

/* "name:action:count"; anything else is ignored, since a test would notice that nothing happens. */
static void wanted_read(void)
{
	const char *text = getenv("WEIR_FAULT"); /* NOLINT(concurrency-mt-unsafe): once */
	const char *action = NULL;
	const char *count = NULL;

	if (text == NULL)
		return;
	action = strchr(text, ':');
	count = action != NULL ? strchr(action + 1, ':') : NULL;
	if (count == NULL)
		return;
	wanted.name = text;
	wanted.name_bytes = (size_t)(action - text);
	wanted.action = action + 1;
	wanted.action_bytes = (size_t)(count - action) - 1;
	wanted.passes_wanted = strtoul(count + 1, NULL, 10);
}

static int action_is(const char *name)
{
	return strlen(name) == wanted.action_bytes &&
	       memcmp(name, wanted.action, wanted.action_bytes) == 0;
}

/* The first process of a pid namespace does not die of its own SIGKILL, but of this. */
static void die(void)
{
	(void)kill(getpid(), SIGKILL); /* does not return */
	__builtin_trap();
}

static bool is_wanted(const char *name)
{
	(void)pthread_once(&wanted_once, wanted_read); /* fails only for a bad once object */
	return wanted.name_bytes != 0 && strlen(name) == wanted.name_bytes &&
	       memcmp(name, wanted.name, wanted.name_bytes) == 0;
}

bool weir_fault_fails(const char *name)
{
	return is_wanted(name) && action_is("fail") &&
	       atomic_fetch_add_explicit(&passes, 1, memory_order_relaxed) + 1 >= wanted.passes_wanted;
}

void weir_fault_pass(const char *name)
{
	if (!is_wanted(name))
		return;
	if (atomic_fetch_add_explicit(&passes, 1, memory_order_relaxed) + 1 !=
	    wanted.passes_wanted)
		return;
	if (action_is("kill"))
		die();
	else if (action_is("stop"))
		(void)kill(getpid(), SIGSTOP); /* returns after SIGCONT */
	else if (action_is("abort"))
		abort();
}

#else

/* ISO C forbids an empty translation unit. */
typedef int weir_fault_points_are_compiled_out;

#endif
