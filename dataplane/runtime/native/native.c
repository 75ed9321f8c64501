/* native: functions in shared objects, called in place (sdk/weir_function.h).
 *
 * The file is copied to a memfd and loaded from there: the dynamic linker recognises files by device
 * and inode, so a changed file would give the old code again; and a file overwritten in place would
 * change under a running function. The memfd stays open while the code is loaded, because its number
 * is part of the name under which the linker remembers it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/native/native_sdk.h"
#include "dataplane/runtime/runtime.h"

#define CODE_BYTES_MAX    (INT64_C(64) << 20)
#define HANDLER_BYTES_MAX 255

struct instance {
	int code_fd;
	void *code;
	weir_native_handler *handler;
	char **variables; /* environ while it runs, which it may change; with the worker's */
	char **own;       /* texts of its own ones */
	size_t own_count;
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

static int native_probe(char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	if (access("/proc/self/fd", X_OK) == 0)
		return 0;
	reason_set(out_reason,
		   "native functions are loaded through /proc, which is not mounted");
	return -ENOSYS;
}

static int native_open(void **out_runtime)
{
	*out_runtime = NULL; /* all state belongs to instances */
	return 0;
}

static void native_close(void *runtime)
{
	(void)runtime;
}

/* Copy the file at `path` to a new memfd. */
static int code_copy(const char *path, int *out_fd, char *out_reason)
{
	WEIR_CLEANUP(weir_fd_close) int file = open(path, O_RDONLY | O_CLOEXEC);
	WEIR_CLEANUP(weir_fd_close) int copy = -1;
	struct stat status;
	off_t offset = 0;

	if (file == -1 || fstat(file, &status) != 0) {
		const int error = errno;

		reason_set(out_reason, "cannot open the module '%s': %s", path,
			   strerror(error));
		return -error;
	}
	if (!S_ISREG(status.st_mode) || status.st_size == 0 ||
	    status.st_size > CODE_BYTES_MAX) {
		reason_set(out_reason, "the module '%s' is not a file of 1 byte to 64 MiB",
			   path);
		return -EINVAL;
	}
	copy = memfd_create("weir-function", MFD_CLOEXEC);
	while (copy != -1 && offset < status.st_size) {
		const ssize_t moved =
			sendfile(copy, file, &offset, (size_t)(status.st_size - offset));

		if (moved == 0)
			errno = EIO; /* the file became shorter */
		if (moved <= 0)
			break;
	}
	if (copy == -1 || offset < status.st_size) {
		const int error = errno;

		reason_set(out_reason, "cannot read the module '%s': %s", path,
			   strerror(error));
		return -error;
	}
	*out_fd = copy;
	copy = -1;
	return 0;
}

/* The linker's message without its name for the file, which means nothing to people. */
static const char *linker_message(const char *name)
{
	const char *message =
		dlerror(); /* NOLINT(concurrency-mt-unsafe): its state is per thread */
	const size_t name_bytes = strlen(name);

	if (message == NULL)
		return "unknown error";
	if (strncmp(message, name, name_bytes) == 0 &&
	    strncmp(message + name_bytes, ": ", 2) == 0)
		return message + name_bytes + 2;
	return message;
}

/* Its constructors find its variables, too. */
static void *code_open(const struct instance *instance, const char *name)
{
	char **const others = environ;
	void *code = NULL;

	environ = instance->variables;
	code = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	environ = others;
	return code;
}

static int code_load(struct instance *instance, const char *path, const char *handler,
		     char *out_reason)
{
	char name[32];
	const uint32_t *abi = NULL;
	void *symbol = NULL;

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", instance->code_fd); /* fits */
	instance->code = code_open(instance, name);
	if (instance->code == NULL) {
		reason_set(out_reason, "cannot load the module '%s': %s", path,
			   linker_message(name));
		return -ENOEXEC;
	}
	abi = dlsym(instance->code, "weir_function_abi");
	if (abi == NULL) {
		reason_set(out_reason,
			   "the module '%s' lacks the constant weir_function_abi: include "
			   "weir_function.h",
			   path);
		return -ENOEXEC;
	}
	if (*abi == 0 || *abi > WEIR_FUNCTION_ABI) { /* older ones use less of the same */
		reason_set(out_reason,
			   "the module '%s' has function ABI %u, this worker has %u: build it "
			   "again",
			   path, (unsigned int)*abi, (unsigned int)WEIR_FUNCTION_ABI);
		return -EPROTO;
	}
	symbol = dlsym(instance->code, handler);
	if (symbol == NULL) {
		reason_set(out_reason, "the module '%s' has no visible function '%s'", path,
			   handler);
		return -ENOENT;
	}
	/* POSIX guarantees this conversion for dlsym. */
	memcpy(&instance->handler, &symbol, sizeof(symbol));
	return 0;
}

static bool is_own(const struct instance *instance, const char *text)
{
	const size_t bytes = strcspn(text, "=") + 1;

	for (size_t i = 0; i < instance->own_count; i++) {
		if (strncmp(instance->own[i], text, bytes) == 0)
			return true;
	}
	return false;
}

static int variables_make(struct instance *instance, const char *const *own)
{
	size_t count = 0;
	size_t worker_count = 0;

	while (own[count] != NULL)
		count++;
	while (environ[worker_count] != NULL)
		worker_count++;
	instance->own = calloc(count + 1, sizeof(*instance->own));
	instance->variables = calloc(count + worker_count + 1, sizeof(*instance->variables));
	if (instance->own == NULL || instance->variables == NULL)
		return -ENOMEM;
	for (; instance->own_count < count; instance->own_count++) {
		char *const text = strdup(own[instance->own_count]);

		if (text == NULL)
			return -ENOMEM;
		instance->own[instance->own_count] = text;
		instance->variables[instance->own_count] = text;
	}
	for (size_t i = 0; i < worker_count; i++) {
		if (!is_own(instance, environ[i]))
			instance->variables[count++] = environ[i];
	}
	return 0;
}

static void variables_free(struct instance *instance)
{
	for (size_t i = 0; i < instance->own_count; i++) {
		explicit_bzero(instance->own[i], strlen(instance->own[i]));
		free(instance->own[i]);
	}
	free(instance->own);
	free(instance->variables);
}

static void native_unload(void *opaque)
{
	struct instance *const instance = opaque;

	if (instance == NULL)
		return;
	if (instance->code != NULL)
		(void)dlclose(
			instance->code); /* a failure leaves the code loaded: it is not used again */
	weir_fd_close(&instance->code_fd);
	variables_free(instance);
	free(instance);
}

static int native_load(void *runtime, const struct weir_runtime_function *function,
		       void **out_instance, char out_reason[WEIR_RUNTIME_REASON_BYTES])
{
	const char *const handler =
		function->handler.bytes != 0 ? function->handler.data : "weir_handle";
	struct instance *instance = NULL;
	int result = 0;

	(void)runtime;
	if (function->handler.bytes > HANDLER_BYTES_MAX) {
		reason_set(out_reason, "the handler's name is longer than %d bytes",
			   HANDLER_BYTES_MAX);
		return -EINVAL;
	}
	instance = calloc(1, sizeof(*instance));
	if (instance == NULL) {
		reason_set(out_reason, "no memory to load the module '%s'",
			   function->code_path.data);
		return -ENOMEM;
	}
	instance->code_fd = -1;
	result = variables_make(instance, function->environment);
	if (result != 0)
		reason_set(out_reason, "no memory for the function's variables");
	else
		result = code_copy(function->code_path.data, &instance->code_fd, out_reason);
	if (result == 0)
		result = code_load(instance, function->code_path.data, handler, out_reason);
	if (result != 0) {
		native_unload(instance);
		return result;
	}
	*out_instance = instance;
	return 0;
}

static int native_invoke(void *opaque, struct weir_runtime_call *call)
{
	struct instance *const instance = opaque;
	const int result = weir_native_sdk_run(instance->handler, instance->variables, call);

	if (result < 0)
		reason_set(call->abort_reason, "the function returned %d", result);
	return result < 0 ? result : 0;
}

const struct weir_runtime_ops weir_runtime = {
	.name = "native",
	.prints_by_stdio = true,
	.probe = native_probe,
	.open = native_open,
	.load = native_load,
	.invoke = native_invoke,
	.unload = native_unload,
	.close = native_close,
};
