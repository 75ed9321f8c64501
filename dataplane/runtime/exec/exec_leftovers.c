#include "dataplane/runtime/exec/exec_leftovers.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/assert.h"

enum {
	PROGRAMS_MAX = 128, /* twice as many as calls may wait */
	CROWD = 32,         /* of leftovers and what programs started: it may be forking faster than it is ended */
	ROUNDS_CALM = 2,    /* each ends one generation of what is left; if there are more, the same holds */
};

static pid_t programs[PROGRAMS_MAX];
static size_t program_count;
static bool is_held; /* everything but this process is stopped */

static bool is_program(pid_t pid)
{
	for (size_t i = 0; i < program_count; i++)
		if (programs[i] == pid)
			return true;
	return false;
}

void weir_exec_leftovers_started(pid_t pid)
{
	WEIR_ASSERT(program_count < PROGRAMS_MAX);
	programs[program_count++] = pid;
}

static void program_forget(pid_t pid)
{
	for (size_t i = 0; i < program_count; i++)
		if (programs[i] == pid) {
			programs[i] = programs[--program_count];
			return;
		}
}

/* Nobody's program runs: whatever there is, goes. Until it is gone it counts among the processes that
 * this worker may have. */
static void all_end(void)
{
	if (kill(-1, SIGKILL) != 0)
		return; /* there is none */
	while (waitpid(-1, NULL, 0) > 0)
		continue;
}

/* Those that have ended and only wait to be counted: the common kind. */
static void ended_reap(void)
{
	siginfo_t info = {.si_pid = 0};

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
	       !is_program(info.si_pid)) {
		(void)waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

/* Its parent is this process, the first: "7 (name) S 1 ..."; a name may hold brackets itself. */
static bool is_child(const char *number)
{
	char path[64];
	char text[512];
	const char *end = NULL;
	char state = 0;
	int parent = 0;
	FILE *file = NULL;
	size_t bytes = 0;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", number);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	bytes = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[bytes] = '\0';
	end = strrchr(text, ')');
	return end != NULL && sscanf(end + 1, " %c %d", &state, &parent) == 2 && parent == 1;
}

/* One generation; its children become ours. Returns how many there were. */
static size_t generation_end(void)
{
	DIR *const directory = opendir("/proc");
	const struct dirent *found = NULL;
	size_t ended = 0;

	while (directory != NULL && (found = readdir(directory)) != NULL) {
		const pid_t pid = (pid_t)strtol(found->d_name, NULL, 10);

		if (pid <= 1 || is_program(pid) || !is_child(found->d_name))
			continue;
		(void)kill(pid, SIGKILL); /* ours and not waited for: the number is its own */
		(void)waitpid(pid, NULL, 0);
		ended++;
	}
	if (directory != NULL)
		(void)closedir(directory);
	return ended;
}

/* How many processes there are beside those of calls. */
static size_t others_count(void)
{
	DIR *const directory = opendir("/proc");
	const struct dirent *found = NULL;
	size_t count = 0;

	while (directory != NULL && (found = readdir(directory)) != NULL)
		count += strtol(found->d_name, NULL, 10) > 1;
	if (directory != NULL)
		(void)closedir(directory);
	return count > program_count ? count - program_count : 0;
}

static void all_hold(void)
{
	is_held = is_held || kill(-1, SIGSTOP) == 0; /* fails only where nothing is left */
}

void weir_exec_leftovers_hold(void)
{
	if (getpid() == 1 && others_count() > CROWD)
		all_hold();
}

static void all_release(void)
{
	if (is_held)
		(void)kill(-1, SIGCONT); /* there may be none */
	is_held = false;
}

/* As deep as it goes; held, nothing is born any more, so it ends. */
static void generations_end(void)
{
	weir_exec_leftovers_hold();
	for (int round = 1; generation_end() > 0; round++) {
		if (round >= ROUNDS_CALM)
			all_hold();
	}
}

void weir_exec_leftovers_reaped(pid_t pid, bool was_killed)
{
	program_forget(pid);
	if (getpid() != 1)
		return;
	if (program_count == 0)
		all_end();
	else
		ended_reap();
	if (was_killed && program_count > 0)
		generations_end();
	all_release();
}
