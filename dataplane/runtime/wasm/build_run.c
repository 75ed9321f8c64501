#include "dataplane/runtime/wasm/build_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

#define SAID "said.txt"

enum { EXIT_NOT_STARTED = 127 };

/* Not above what this process itself has. */
static void limit_set(__rlimit_resource_t resource, uint64_t soft, uint64_t hard)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0)
		_exit(EXIT_NOT_STARTED);
	if (limit.rlim_max > hard)
		limit.rlim_max = hard;
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	if (setrlimit(resource, &limit) != 0)
		_exit(EXIT_NOT_STARTED);
}

/* In the child; does not return. */
static void child_run(const char *const *arguments, const char *directory,
		      const struct weir_wasm_limits *limits)
{
	char directory_variable[PATH_MAX + 16];
	char path_variable[] = "PATH=" WEIR_WASM_PATH;
	char language_variable[] = "LC_ALL=C";
	char *environment[] = {path_variable, language_variable, directory_variable, NULL};
	const int null = open("/dev/null", O_RDONLY);
	int said = -1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* 0 always for a valid signal */
	if (chdir(directory) != 0)
		_exit(EXIT_NOT_STARTED);
	said = open(SAID, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (null == -1 || said == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(said, STDOUT_FILENO) == -1 || dup2(said, STDERR_FILENO) == -1)
		_exit(EXIT_NOT_STARTED);
	(void)snprintf(directory_variable, sizeof(directory_variable), "TMPDIR=%s", directory);
	/* execvpe() searches the PATH of this process. After the limits nothing here may need memory. */
	if (setenv("PATH", WEIR_WASM_PATH, 1) != 0)
		_exit(EXIT_NOT_STARTED);
	limit_set(RLIMIT_CORE, 0, 0);
	limit_set(RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1);
	limit_set(RLIMIT_FSIZE, limits->file_bytes, limits->file_bytes);
	limit_set(RLIMIT_AS, limits->memory_bytes, limits->memory_bytes);
	/* The cast: it changes nothing. */
	(void)execvpe(arguments[0], (char *const *)(uintptr_t)arguments, environment);
	_exit(EXIT_NOT_STARTED);
}

/* The file's beginning, as text. */
static void said_read(const char *directory, char *out_text, uint32_t text_bytes)
{
	char path[PATH_MAX];
	WEIR_CLEANUP(weir_fd_close) int fd = -1;
	ssize_t bytes = 0;

	(void)snprintf(path, sizeof(path), "%s/" SAID, directory); /* it was created */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1)
		bytes = read(fd, out_text, text_bytes - 1);
	if (bytes < 0)
		bytes = 0;
	while (bytes > 0 && out_text[bytes - 1] == '\n')
		bytes--;
	out_text[bytes] = '\0';
}

/* gcc says so and exits as if the code were wrong when one of its own processes was stopped. */
static bool is_out_of(const char *text)
{
	static const char *const words[] = {
		"out of memory",          "virtual memory exhausted",
		"Cannot allocate memory", "File size limit exceeded",
		"CPU time limit",         "Killed signal",
		"std::bad_alloc"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(text, words[i]) != NULL)
			return true;
	return false;
}

static enum weir_wasm_ran judge(int status, const char *program, char *text,
				uint32_t text_bytes)
{
	const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	size_t used = strlen(text);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return WEIR_WASM_RAN_WELL;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_STARTED) {
		(void)snprintf(text, text_bytes,
			       "'%s' cannot be started: is its package installed?", program);
		return WEIR_WASM_RAN_NOT;
	}
	if (number != 0)
		(void)snprintf(text + used, text_bytes - used, "%s%s was stopped by signal %d",
			       used != 0 ? "\n" : "", program, number); /* cut where too long */
	if (number == SIGXCPU || number == SIGXFSZ || number == SIGKILL || is_out_of(text))
		return WEIR_WASM_RAN_OUT;
	return WEIR_WASM_RAN_BADLY;
}

enum weir_wasm_ran weir_wasm_run(const char *const *arguments, const char *directory,
				 const struct weir_wasm_limits *limits, char *out_text,
				 uint32_t text_bytes)
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0)
		child_run(arguments, directory, limits);
	if (pid == -1) {
		(void)snprintf(out_text, text_bytes, "cannot start '%s': %s", arguments[0],
			       strerror(errno));
		return WEIR_WASM_RAN_NOT;
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return WEIR_WASM_RAN_NOT;
	said_read(directory, out_text, text_bytes);
	return judge(status, arguments[0], out_text, text_bytes);
}
