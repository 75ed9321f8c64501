/* php: PHP scripts, one whole request cycle per call, as under php-fpm; or a function of the file that
 * stays loaded (php_handler.h), where the function names one as its handler. Rows of the public table
 * answer as `php FILE` did (exec/exec_answer.h).
 *
 * PHP runs one call at a time: a call waits for its body, then locks PHP, and answers when others may
 * have it again. How calls fail:
 *   fatal error, uncaught exception   502 with its message, unless the script's own shutdown function has
 *                                     printed an answer since
 *   more memory than the function's   502 "Allowed memory size of N bytes exhausted ..."
 *   deadline                          504; the script ends by "Maximum execution time ... exceeded"
 *   exit(), die()                     no failure: what was printed is the answer */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/fd.h"
#include "dataplane/runtime/php/php_answer.h"
#include "dataplane/runtime/php/php_call.h"
#include "dataplane/runtime/php/php_engine.h"
#include "dataplane/runtime/php/php_handler.h"
#include "dataplane/runtime/php/php_stdio.h"

enum { MEMORY_BYTES_MIN = 4 << 20 }; /* PHP takes memory in pieces of 2 MiB */

static const char *const environment_first[] = {"PATH=" WEIR_EXEC_PATH, "LANG=C.UTF-8"};

/* PHP starts here, before the sandbox: it reads its settings and loads extensions, and the opcode cache
 * makes a file to lock. No code of a function runs before open(). */
static int php_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	const int result = weir_php_engine_open();

	if (result != 0)
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "PHP does not start; see its message above"); /* fits */
	return result;
}

static int php_open(void **out_runtime)
{
	*out_runtime = NULL; /* one PHP in a process: php_engine.h */
	return 0;
}

static void php_close(void *runtime)
{
	(void)runtime;
	weir_php_handler_end();
	weir_php_engine_close();
}

/* ---- load ---- */

static void environment_free(char **environment)
{
	for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
		free(environment[i]);
	free(environment);
}

static void php_unload(void *opaque)
{
	struct weir_php_instance *const instance = opaque;

	if (instance == NULL)
		return;
	weir_php_handler_forget(instance);
	weir_fd_close(&instance->directory_fd);
	environment_free(instance->environment);
	free(instance->path);
	free(instance->directory);
	free(instance->name);
	free(instance->handler);
	free(instance);
}

static int file_check(const char *path, char *out_reason)
{
	struct stat status;
	int error = 0;

	if (stat(path, &status) != 0)
		error = errno;
	else if (!S_ISREG(status.st_mode))
		error = EISDIR;
	else if (access(path, R_OK) != 0)
		error = errno;
	if (error != 0)
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "cannot open the module '%s': %s", path, strerror(error)); /* cut is fine */
	return -error;
}

static char **environment_make(const char *const *own)
{
	const size_t first = sizeof(environment_first) / sizeof(environment_first[0]);
	size_t count = first;
	char **environment = NULL;

	for (size_t i = 0; own != NULL && own[i] != NULL; i++)
		count++;
	environment = calloc(count + 1, sizeof(*environment));
	for (size_t i = 0; environment != NULL && i < count; i++) {
		environment[i] = strdup(i < first ? environment_first[i] : own[i - first]);
		if (environment[i] == NULL) {
			environment_free(environment);
			return NULL;
		}
	}
	return environment;
}

static bool instance_fill(struct weir_php_instance *instance,
			  const struct weir_runtime_function *function)
{
	const char *const path = function->code_path.data;
	const char *const slash = strrchr(path, '/');

	instance->memory_bytes = function->memory_bytes > MEMORY_BYTES_MIN ? function->memory_bytes
									   : MEMORY_BYTES_MIN;
	(void)snprintf(instance->memory_limit, sizeof(instance->memory_limit), "%llu",
		       (unsigned long long)instance->memory_bytes); /* fits */
	instance->is_row = function->interpreter.bytes != 0;
	instance->has_stdio = weir_php_stdio_is_named(path);
	instance->path = strdup(path);
	instance->directory = slash == NULL || slash == path
				      ? strdup("/")
				      : strndup(path, (size_t)(slash - path));
	if (asprintf(&instance->name, "%s/%s", function->space.data, function->name.data) == -1)
		instance->name = NULL;
	if (function->handler.bytes != 0 && !instance->is_row) {
		instance->handler = strdup(function->handler.data);
		if (instance->handler == NULL)
			return false;
	}
	instance->environment = environment_make(function->environment);
	if (instance->directory != NULL)
		instance->directory_fd =
			open(instance->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return instance->path != NULL && instance->directory != NULL && instance->name != NULL &&
	       instance->environment != NULL;
}

/* So that a deployed version that cannot run is not put to service. While another call is in PHP, the
 * first call says it. */
static int syntax_check(const struct weir_php_instance *instance, char *out_reason)
{
	if (weir_php_engine_lock.owner != NULL)
		return 0;
	weir_php_handler_end();
	return weir_php_engine_check(instance, out_reason);
}

static int php_load(void *runtime, const struct weir_runtime_function *function,
		    void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct weir_php_instance *instance = NULL;
	const int result = file_check(function->code_path.data, out_reason);

	(void)runtime;
	if (result != 0)
		return result;
	instance = calloc(1, sizeof(*instance));
	if (instance != NULL)
		instance->directory_fd = -1;
	if (instance == NULL || !instance_fill(instance, function)) {
		(void)snprintf(out_reason, WEIR_RUNTIME_REASON_BYTES,
			       "no memory to load the module '%s'",
			       function->code_path.data); /* cut is fine */
		php_unload(instance);
		return -ENOMEM;
	}
	if (!instance->is_row) { /* `php FILE` says it at the call */
		const int wrong = syntax_check(instance, out_reason);

		if (wrong != 0) {
			php_unload(instance);
			return wrong;
		}
	}
	*out_instance = instance;
	return 0;
}

/* ---- invoke ---- */

/* Run it in PHP, which is ours. 0 = the answer can be sent, or -EIO with a reason. */
static int run(struct weir_php_call *running, int *out_exit_code)
{
	const struct weir_php_instance *const instance = running->instance;

	if (instance->handler != NULL) {
		weir_php_engine_attach(running);
		return weir_php_handler_run(running) ? 0 : -EIO;
	}
	weir_php_engine_attach(NULL);
	weir_php_handler_end();
	weir_php_engine_attach(running);
	if (weir_php_engine_begin(running) != 0)
		return -EIO;
	(void)weir_php_engine_script(instance, out_exit_code); /* fatal errors were noted */
	weir_php_engine_end();
	/* What was printed after a fatal error is what the script has to say about it. */
	if (running->is_fatal && !instance->is_row && running->output_total <= running->fatal_total)
		return -EIO;
	return 0;
}

static int php_invoke(void *opaque, struct weir_runtime_call *base)
{
	struct weir_php_call running;
	int exit_code = 0;
	int result = 0;

	weir_php_call_open(&running, opaque, base);
	result = weir_php_call_gather(&running);
	if (result == 0)
		result = base->ops->lock(base, &weir_php_engine_lock);
	if (result == 0) {
		result = run(&running, &exit_code);
		weir_php_engine_attach(NULL);
		base->ops->unlock(base, &weir_php_engine_lock);
		if (weir_php_call_is_interrupted(&running))
			result = -ETIMEDOUT;
	}
	if (result == 0)
		result = running.instance->is_row ? weir_php_answer_finish_row(&running, exit_code)
						  : weir_php_answer_finish(&running);
	weir_php_call_close(&running);
	return result;
}

static void php_interrupt(void *instance, struct weir_runtime_call *call)
{
	(void)instance;
	weir_php_engine_interrupt(call);
}

/* Its own settings and extensions, what is installed for everybody, and what DateTimeZone reads. */
static const char *const paths[] = {"/etc/php", "/usr/lib/php", "/usr/share/php", "/usr/share/zoneinfo",
				    NULL};
static const struct weir_sandbox_profile sandbox = {.flags = WEIR_SANDBOX_DIRECTORY, .paths = paths};

const struct weir_runtime_ops weir_runtime = {
	.name = "php",
	.sandbox = &sandbox,
	.probe = php_probe,
	.open = php_open,
	.load = php_load,
	.invoke = php_invoke,
	.interrupt = php_interrupt,
	.unload = php_unload,
	.close = php_close,
};
