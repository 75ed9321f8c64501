/* wasm_call: calls functions of built modules, as a worker would, told line by line on standard input:
 *   load PATH              another instance, limits of 1024 pages    "ok", or "trap N"
 *   call NAME SIGNATURE CELL...   cells in hex                       "ok CELL...", "trap N" or "none"
 *   keep | reset                                                     "ok"
 * For tests/runtime/test_wasm_spec.py, which knows what should come out. */
#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/runtime/wasm/instance.h"
#include "dataplane/runtime/wasm/pages.h"

enum { LINE_BYTES = 8192, PAGES = 1024 };

static struct weir_wasm_instance *instance;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (weir_wasm_trap_take(number, info))
		return;
	(void)signal(number, SIG_DFL); /* not the module's: it happens again */
}

static void signals_open(void)
{
	static char stack_bytes[65536];
	const stack_t stack = {.ss_sp = stack_bytes, .ss_size = sizeof(stack_bytes)};
	const struct sigaction action = {.sa_sigaction = on_signal,
					 .sa_flags = SA_SIGINFO | SA_ONSTACK};

	WEIR_ASSERT(sigaltstack(&stack, NULL) == 0);
	WEIR_ASSERT(sigaction(SIGSEGV, &action, NULL) == 0);
}

static uint64_t no_import(struct weir_wasm_instance *unused, const uint64_t *arguments)
{
	(void)unused;
	(void)arguments;
	return 0;
}

static void missing(struct weir_wasm_instance *unused, const char *name)
{
	(void)unused;
	(void)name;
}

static void load(const char *path)
{
	void *const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct weir_wasm_module *const module =
		library != NULL ? dlsym(library, "weir_wasm_module") : NULL;
	int trap = 0;

	if (module == NULL) {
		(void)fprintf(stderr, "%s\n", dlerror()); /* NOLINT(concurrency-mt-unsafe) */
		exit(EXIT_FAILURE);                       /* NOLINT(concurrency-mt-unsafe) */
	}
	if (instance != NULL)
		weir_wasm_instance_destroy(instance);
	free(instance);
	instance = calloc(1, sizeof(*instance));
	WEIR_ASSERT(instance != NULL);
	module->bind(weir_wasm_host());
	WEIR_ASSERT(weir_wasm_instance_create(instance, module, PAGES, NULL) == 0);
	trap = (int)weir_wasm_instance_start(instance);
	(void)printf(trap == 0 ? "ok\n" : "trap %d\n", trap);
}

static void call(char *words)
{
	uint64_t cells[WEIR_WASM_VALUES_MAX] = {0};
	uint64_t results[WEIR_WASM_VALUES_MAX] = {0};
	char *rest = NULL;
	const char *const name = strtok_r(words, " \n", &rest);
	const char *const signature = strtok_r(NULL, " \n", &rest);
	const struct weir_wasm_export *const found =
		weir_wasm_export_find(instance->module, name, signature);
	size_t count = 0;
	int trap = 0;

	if (found == NULL) {
		(void)puts("none");
		return;
	}
	for (const char *word = strtok_r(NULL, " \n", &rest); word != NULL;
	     word = strtok_r(NULL, " \n", &rest))
		cells[count++] = strtoull(word, NULL, 16);
	trap = (int)weir_wasm_instance_enter(instance, found, cells, results);
	if (trap != 0) {
		(void)printf("trap %d\n", trap);
		return;
	}
	(void)fputs("ok", stdout);
	count = strlen(strchr(signature, ':') + 1);
	for (size_t i = 0; i < count; i++)
		(void)printf(" %" PRIx64, results[i]);
	(void)puts("");
}

/* On a thread of its own, as in a worker: the main thread's stack has another kind of end. */
static void *serve(void *unused)
{
	char line[LINE_BYTES];

	signals_open();
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "load ", 5) == 0) {
			load(line + 5);
		} else if (strncmp(line, "call ", 5) == 0) {
			call(line + 5);
		} else if (strcmp(line, "keep") == 0) {
			WEIR_ASSERT(weir_wasm_instance_keep(instance) == 0);
			(void)puts("ok");
		} else {
			weir_wasm_instance_reset(instance);
			(void)puts("ok");
		}
		(void)fflush(stdout);
	}
	return unused;
}

int main(void)
{
	static weir_wasm_import *const functions[] = {no_import};
	static const struct weir_wasm_imports imports = {functions, 1, missing};
	pthread_t thread;

	weir_wasm_pages_open();
	WEIR_ASSERT(weir_wasm_instances_open(&imports) == 0);
	WEIR_ASSERT(pthread_create(&thread, NULL, serve, NULL) == 0);
	WEIR_ASSERT(pthread_join(thread, NULL) == 0);
	return EXIT_SUCCESS;
}
