/* exec: any program, a process per call: body to standard input, standard output back (the C seed's
 * contract: exec_answer.h; environment: exec_environment.h).
 *
 *   loop: body piece -> stdin | stdout -> kept output | stderr -> the log | exit -> answer
 *         | WEIR_CALL_FD -> calls of other functions (exec_nested.h)
 *
 * The program runs in the directory of its file. It is killed, with everything in its process group,
 * at the deadline and when nobody wants the answer; what it left behind in that group is killed when
 * it ends. One thread waits for one child, so as many run at once as calls may be parked. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/clock.h"
#include "dataplane/base/fd.h"
#include "dataplane/base/program_path.h"
#include "dataplane/runtime/exec/exec_answer.h"
#include "dataplane/runtime/exec/exec_child.h"
#include "dataplane/runtime/exec/exec_environment.h"
#include "dataplane/runtime/exec/exec_memory.h"
#include "dataplane/runtime/exec/exec_nested.h"
#include "dataplane/runtime/runtime.h"

enum {
	LOOK_NS = 20 * WEIR_NS_PER_MS, /* at 5 GB/s, 100 MB come on top */
	LOOK_PART = 20,                /* looking takes a twentieth of the time at most */
	START_AGAIN_NS = 10 * WEIR_NS_PER_MS, /* between two tries of starting a program, */
	START_TRIES = 300,                    /* where a worker has as many processes as it may have */
};

struct instance {
	char *interpreter; /* absolute; NULL = the module is the program */
	char *module;
	char *directory;
	char *name; /* namespace/name */
	char **own; /* its variables, ended by NULL */
	uint64_t memory_bytes;
};

/* One call: the program and both directions. */
struct running {
	struct weir_runtime_call *call;
	struct weir_exec_child child;
	struct weir_exec_answer answer;
	struct weir_exec_nested nested;
	uint64_t memory_bytes; /* that it may use */
	uint64_t look_ns;      /* when to see how much it does */
	uint64_t kills_before; /* for want of memory, when it started */
};

static void reason_set(char *out_reason, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void reason_set(char *out_reason, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(out_reason, WEIR_RUNTIME_REASON_BYTES, format,
			arguments); /* cut where too long */
	va_end(arguments);
}

/* Where weir-call lies; found before the sandbox hides its folder. Empty: it is not there. */
static char call_path[PATH_MAX];

static int exec_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	(void)out_reason; /* pidfds came with Linux 5.3, long before what everything else needs */
	if (weir_program_path_find("weir-call", call_path) == 0)
		weir_exec_environment_path_set(call_path);
	else
		call_path[0] = '\0';
	return 0;
}

static int exec_open(void **out_runtime)
{
	*out_runtime = NULL; /* all state belongs to instances and calls */
	return 0;
}

static void exec_close(void *runtime)
{
	(void)runtime;
}

/* ---- load ---- */

static void exec_unload(void *opaque)
{
	struct instance *const instance = opaque;

	if (instance == NULL)
		return;
	free(instance->interpreter);
	free(instance->module);
	free(instance->directory);
	free(instance->name);
	for (size_t i = 0; instance->own != NULL && instance->own[i] != NULL; i++)
		free(instance->own[i]);
	free(instance->own);
	free(instance);
}

/* The program `name` in WEIR_EXEC_PATH, or itself if it has a slash; NULL if it is not there. */
static char *interpreter_find(const char *name)
{
	char path[4096];
	const char *place = WEIR_EXEC_PATH;

	if (strchr(name, '/') != NULL)
		return access(name, X_OK) == 0 ? strdup(name) : NULL;
	while (*place != '\0') {
		const size_t bytes = strcspn(place, ":");
		const int written =
			snprintf(path, sizeof(path), "%.*s/%s", (int)bytes, place, name);

		if (written > 0 && (size_t)written < sizeof(path) && access(path, X_OK) == 0)
			return strdup(path);
		place += bytes + (place[bytes] == ':');
	}
	return NULL;
}

/* Is the module still something that can be run? Asked before each call, since files come and go. */
static int module_check(const struct instance *instance, char *out_reason)
{
	const bool is_program = instance->interpreter == NULL;
	struct stat status;

	if (stat(instance->module, &status) != 0) {
		const int error = errno;

		reason_set(out_reason, "cannot open the module '%s': %s", instance->module,
			   strerror(error));
		return -error;
	}
	if (!S_ISREG(status.st_mode)) {
		reason_set(out_reason, "the module '%s' is not a file", instance->module);
		return -EINVAL;
	}
	if (access(instance->module, is_program ? X_OK : R_OK) != 0) {
		const int error = errno;

		reason_set(out_reason, "the module '%s' is not %s: %s", instance->module,
			   is_program ? "executable" : "readable", strerror(error));
		return -error;
	}
	return 0;
}

/* What runs the module; "" = it is a program. A PHP script that is none by itself runs as `php FILE`. */
static const char *interpreter_name(const struct weir_runtime_function *function)
{
	const char *const ending = strrchr(function->code_path.data, '.');

	if (function->interpreter.bytes != 0)
		return function->interpreter.data;
	if (ending != NULL && strcmp(ending, ".php") == 0 &&
	    access(function->code_path.data, X_OK) != 0)
		return "php";
	return "";
}

static int instance_fill(struct instance *instance,
			 const struct weir_runtime_function *function, char *out_reason)
{
	const char *const path = function->code_path.data;
	const char *slash = strrchr(path, '/');
	const char *interpreter = NULL;

	if (slash == NULL) {
		reason_set(out_reason, "the module '%s' is no absolute path", path);
		return -EINVAL;
	}
	instance->memory_bytes = function->memory_bytes;
	instance->module = strdup(path);
	instance->directory =
		slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (asprintf(&instance->name, "%s/%s", function->space.data, function->name.data) == -1)
		instance->name = NULL;
	if (instance->module == NULL || instance->directory == NULL || instance->name == NULL) {
		reason_set(out_reason, "no memory to load the module '%s'", path);
		return -ENOMEM;
	}
	interpreter = interpreter_name(function);
	if (interpreter[0] != '\0') {
		instance->interpreter = interpreter_find(interpreter);
		if (instance->interpreter == NULL) {
			reason_set(out_reason,
				   "the interpreter '%s' of the module '%s' is not installed",
				   interpreter, path);
			return -ENOENT;
		}
	}
	return module_check(instance, out_reason);
}

static int own_fill(struct instance *instance, const char *const *environment)
{
	size_t count = 0;

	while (environment[count] != NULL)
		count++;
	instance->own = calloc(count + 1, sizeof(*instance->own));
	for (size_t i = 0; instance->own != NULL && i < count; i++) {
		instance->own[i] = strdup(environment[i]);
		if (instance->own[i] == NULL)
			return -ENOMEM;
	}
	return instance->own == NULL ? -ENOMEM : 0;
}

static int exec_load(void *runtime, const struct weir_runtime_function *function,
		     void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	struct instance *const instance = calloc(1, sizeof(*instance));
	int result = 0;

	(void)runtime;
	if (instance == NULL) {
		reason_set(out_reason, "no memory to load the module '%s'",
			   function->code_path.data);
		return -ENOMEM;
	}
	result = instance_fill(instance, function, out_reason);
	if (result == 0)
		result = own_fill(instance, function->environment);
	if (result != 0) {
		exec_unload(instance);
		return result;
	}
	*out_instance = instance;
	return 0;
}

/* ---- invoke ---- */

/* As the operation, but that a time which passed before this thread got to wait is no end: only the deadline is. */
static int wait_until(struct weir_runtime_call *call, struct pollfd *fds, size_t count, uint64_t until_ns)
{
	const int result = call->ops->wait(call, fds, count, until_ns);

	return result == -ETIMEDOUT && weir_clock_now_ns() < call->deadline_ns ? 0 : result;
}

/* Move body bytes to the program until it or the body has to be waited for. True: the program's
 * standard input is full. */
static bool input_feed(struct running *running)
{
	struct weir_runtime_call *const call = running->call;

	while (running->child.in_fd != -1) {
		struct weir_span piece = {0};
		const int result = call->ops->body_peek(call, &piece);
		ssize_t written = 0;

		if (result == -EAGAIN)
			return false;
		if (result != 1) { /* the end, or cancelled: the next wait says so */
			weir_fd_close(&running->child.in_fd);
			return false;
		}
		written = write(running->child.in_fd, piece.data, piece.bytes);
		if (written == -1 && errno == EAGAIN)
			return true;
		if (written == -1)
			weir_fd_close(&running->child.in_fd); /* it reads no more: EPIPE */
		else
			call->ops->body_consume(call, (size_t)written);
	}
	return false;
}

/* Read what one pipe has; close it at its end. 0, or the error of keeping or sending it. */
static int pipe_drain(struct running *running, int *fd,
		      int (*take)(struct weir_exec_answer *answer, int fd))
{
	int result = *fd == -1 ? -EAGAIN : 1;

	while (result == 1)
		result = take(&running->answer, *fd);
	if (result == 0)
		weir_fd_close(fd);
	return result == -EAGAIN ? 0 : result;
}

static int outputs_drain(struct running *running)
{
	const int result =
		pipe_drain(running, &running->child.out_fd, weir_exec_answer_read_output);

	if (result != 0)
		return result;
	return pipe_drain(running, &running->child.error_fd, weir_exec_answer_read_error);
}

enum { OWN_POLL = 4, POLL = OWN_POLL + WEIR_EXEC_CALL_POLL };
static_assert((int)POLL <= (int)WEIR_RUNTIME_POLL_MAX, "a program and its calls are waited for at once");

/* See now and then how much memory the call's programs use; the more there is to see, the less often.
 * 0 or -ENOMEM. */
static int memory_look(struct running *running)
{
	const uint64_t now_ns = weir_clock_now_ns();
	uint64_t took_ns = 0;

	if (now_ns < running->look_ns || running->memory_bytes == 0)
		return 0;
	if (running->look_ns != 0 &&
	    weir_exec_memory_is_beyond(running->child.pid, running->memory_bytes)) {
		reason_set(running->call->abort_reason, "out of memory: the function may use %llu MB",
			   (unsigned long long)(running->memory_bytes >> 20));
		return -ENOMEM;
	}
	took_ns = weir_clock_now_ns() - now_ns;
	running->look_ns = now_ns + (took_ns * LOOK_PART > LOOK_NS ? took_ns * LOOK_PART : LOOK_NS);
	return 0;
}

/* Serve the program until it ends. 0, -ENOMEM, or what waiting or keeping its output returned. */
static int child_serve(struct running *running)
{
	struct weir_runtime_call *const call = running->call;
	struct weir_exec_child *const child = &running->child;

	for (;;) {
		const bool is_full = input_feed(running);
		struct pollfd fds[POLL] = {
			{.fd = child->pid_fd, .events = POLLIN},
			{.fd = child->out_fd, .events = POLLIN},
			{.fd = child->error_fd, .events = POLLIN},
			{.fd = is_full ? child->in_fd : -1, .events = POLLOUT},
		};
		int result = memory_look(running);

		weir_exec_nested_poll(&running->nested, fds + OWN_POLL);
		if (result == 0)
			result = wait_until(call, fds, POLL,
					    running->look_ns != 0 ? running->look_ns : call->deadline_ns);
		if (result != 0)
			return result;
		result = outputs_drain(running);
		if (result == 0)
			result = weir_exec_nested_serve(&running->nested, fds + OWN_POLL);
		if (result != 0)
			return result;
		if (fds[0].revents == 0)
			continue;
		/* It ended, and with it what it left in its group; what is in the pipes is all there is. */
		weir_exec_child_reap(child);
		return outputs_drain(running);
	}
}

/* A call that was killed may have left so many processes that there is no room for another before the kernel
 * has ended them all. 0, what weir_exec_child_start() returned, -ETIMEDOUT, -ECANCELED. */
static int program_start(struct running *running, const struct weir_exec_program *program)
{
	struct weir_runtime_call *const call = running->call;
	int result = weir_exec_child_start(&running->child, program);

	for (int tries = 1; result == -EAGAIN && tries < START_TRIES; tries++) {
		result = wait_until(call, NULL, 0, weir_clock_now_ns() + START_AGAIN_NS);
		if (result == 0)
			result = weir_exec_child_start(&running->child, program);
	}
	return result;
}

static int child_start(const struct instance *instance, struct running *running)
{
	struct weir_runtime_call *const call = running->call;
	char *argv[3] = {instance->interpreter, instance->module, NULL};
	struct weir_exec_environment environment;
	WEIR_CLEANUP(weir_fd_close) int call_fd = -1;
	struct weir_exec_program program = {.directory = instance->directory, .argv = argv};
	int result = module_check(instance, call->abort_reason);

	if (instance->interpreter == NULL) {
		argv[0] = instance->module;
		argv[1] = NULL;
	}
	if (result == 0) {
		result = weir_exec_environment_open(&environment, instance->name, instance->own, call);
		program.environment = environment.variable;
		if (result == 0)
			result = weir_exec_nested_open(&running->nested, call, &call_fd);
		program.call_fd = call_fd;
		if (result == 0)
			result = program_start(running, &program);
		weir_exec_environment_close(&environment);
		if (result != 0)
			reason_set(call->abort_reason, "cannot start '%s': %s", argv[0],
				   strerror(-result));
	}
	if (result != 0)
		call->abort_code = WEIR_ABORT_LOAD;
	return result;
}

static void running_close(struct running *running)
{
	running->call->running = NULL;
	weir_exec_child_close(&running->child);
	weir_exec_nested_close(&running->nested);
	weir_exec_answer_close(&running->answer);
}

/* A program that fails while the kernel ends one of this worker's for want of memory: that is why, unless
 * it was another call's and this one fails by chance at the same time. */
static bool is_out_of_memory(const struct running *running)
{
	return running->child.exit_code != 0 &&
	       running->call->ops->memory_kills(running->call) > running->kills_before;
}

static int exec_invoke(void *opaque, struct weir_runtime_call *call)
{
	WEIR_CLEANUP(running_close) struct running running = {.call = call};
	int result = 0;

	running.child = (struct weir_exec_child){
		.pid_fd = -1, .in_fd = -1, .out_fd = -1, .error_fd = -1};
	running.memory_bytes = ((const struct instance *)opaque)->memory_bytes;
	running.kills_before = call->ops->memory_kills(call);
	running.nested.fd = -1;
	for (size_t i = 0; i < WEIR_EXEC_CALLS_MAX; i++)
		running.nested.connection[i].fd = -1;
	result = weir_exec_answer_open(&running.answer, call);
	if (result == 0)
		result = child_start(opaque, &running);
	if (result != 0)
		return result;
	call->running = &running;
	result = child_serve(&running);
	if (result == 0 && is_out_of_memory(&running)) {
		reason_set(call->abort_reason, "out of memory: the kernel ended the program, or one that it started");
		return -ENOMEM;
	}
	if (result == 0)
		result = weir_exec_answer_finish(&running.answer, running.child.exit_code);
	if (result == -EIO)
		reason_set(call->abort_reason,
			   "the program ended with code %d after its answer had begun",
			   running.child.exit_code);
	else if (result < 0 && call->abort_reason[0] == '\0')
		reason_set(call->abort_reason, "the program could not be served: %s",
			   strerror(-result));
	return result;
}

static void exec_cancel(void *instance, struct weir_runtime_call *call)
{
	const struct running *const running = call->running;

	(void)instance;
	if (running != NULL)
		weir_exec_child_kill(&running->child);
}

/* weir-call, and what interpreters read beside /usr. */
static const char *const paths[] = {call_path, "/etc/php", "/etc/perl", "/etc/python3", "/etc/python3.11", "/etc/node",
				    NULL};

static const struct weir_sandbox_profile sandbox = {
	.flags = WEIR_SANDBOX_PROGRAMS | WEIR_SANDBOX_DIRECTORY,
	.paths = paths,
};

const struct weir_runtime_ops weir_runtime = {
	.name = "exec",
	.sandbox = &sandbox,
	.probe = exec_probe,
	.open = exec_open,
	.load = exec_load,
	.invoke = exec_invoke,
	.cancel = exec_cancel,
	.unload = exec_unload,
	.close = exec_close,
};
