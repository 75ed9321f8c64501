#include "dataplane/supervisor/build.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/clock.h"
#include "dataplane/base/log.h"
#include "dataplane/base/program_path.h"
#include "dataplane/supervisor/program.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { BUILD_FDS = 3, BUILD_TIME_MS_MAX = 600000 };

static struct weir_build *build_find(struct weir_supervisor *supervisor, uint64_t id)
{
	for (size_t i = 0; i < WEIR_SUPERVISOR_BUILDS_MAX; i++) {
		if (supervisor->build[i].id == id)
			return &supervisor->build[i];
	}
	return NULL;
}

static void build_tell(struct weir_supervisor *supervisor, struct weir_build *build)
{
	if (weir_supervisor_send(supervisor, &supervisor->ctrld, &build->done, NULL, 0))
		build->id = 0;
}

/* Is it a plain word, that can be no other program's name? */
static bool word_sound(const char *text, size_t bytes)
{
	const size_t length = strnlen(text, bytes);

	return length > 0 && length < bytes &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789")] == '\0';
}

static bool name_sound(const char *text, size_t bytes)
{
	const size_t length = strnlen(text, bytes);

	return length > 0 && length < bytes && strchr(text, '/') == NULL && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

static int build_spawn(struct weir_build *build, const struct weir_control *control, const int *fds)
{
	char runtime[sizeof(control->build.runtime)];
	char name[sizeof(control->build.name)];
	char program[] = "weir-build";
	char *const arguments[] = {program, runtime, name, NULL};
	char path[PATH_MAX];
	int result = 0;

	if (!word_sound(control->build.runtime, sizeof(runtime)) ||
	    !name_sound(control->build.name, sizeof(name)) || control->build.time_ms == 0 ||
	    control->build.time_ms > BUILD_TIME_MS_MAX)
		return -EINVAL;
	memcpy(runtime, control->build.runtime, sizeof(runtime));
	memcpy(name, control->build.name, sizeof(name));
	result = weir_program_path_find(program, path);
	return result != 0 ? result
			   : weir_program_start_build(path, arguments, fds, &build->pid, &build->pidfd);
}

void weir_build_start(struct weir_supervisor *supervisor, const struct weir_control *control,
		      const struct weir_control_fds *fds)
{
	struct weir_build *build = build_find(supervisor, 0);
	struct weir_build none = {.id = 0};
	const uint64_t now_ns = weir_clock_now_ns();
	int result = 0;

	if (build == NULL) {
		none.done.kind = WEIR_CONTROL_BUILD_DONE;
		none.done.build_done.build_id = control->build.build_id;
		none.done.build_done.error = -EBUSY;
		/* ctrld begins no more than there are places; one that did not hear it gives up later. */
		(void)weir_supervisor_send(supervisor, &supervisor->ctrld, &none.done, NULL, 0);
		return;
	}
	*build = (struct weir_build){.id = weir_supervisor_id_next(supervisor), .pidfd = -1};
	build->build_id = control->build.build_id;
	build->done.kind = WEIR_CONTROL_BUILD_DONE;
	build->done.build_done.build_id = build->build_id;
	result = fds->count == BUILD_FDS ? build_spawn(build, control, fds->fd) : -EBADMSG;
	if (result == 0)
		result = weir_supervisor_watch(supervisor, build->pidfd, WEIR_WATCH_BUILD, build->id);
	if (result != 0) {
		weir_log(WEIR_LOG_ERROR, "cannot start a build", "error=\"%s\"", strerror(-result));
		build->done.build_done.error = result;
		build->pidfd = -1;
		build_tell(supervisor, build);
		return;
	}
	build->kill_at_ns = now_ns + control->build.time_ms * WEIR_NS_PER_MS;
	weir_supervisor_due(supervisor, build->kill_at_ns);
	weir_log(WEIR_LOG_INFO, "build started", "pid=%d runtime=%s file=\"%s\"", (int)build->pid,
		 control->build.runtime, control->build.name);
}

/* Its whole group: a compiler has processes of its own. Not after it was waited for: then the number
 * may be another's. */
static void build_kill(const struct weir_build *build)
{
	(void)kill(-build->pid, SIGKILL); /* fails where all are gone */
}

/* Wait for what has ended: its exit status, or minus its signal. */
static int build_reap(struct weir_supervisor *supervisor, struct weir_build *build)
{
	siginfo_t info = {.si_code = 0};

	build_kill(build);
	(void)waitid((idtype_t)P_PIDFD, (id_t)build->pidfd, &info, WEXITED);
	weir_supervisor_unwatch(supervisor, build->pidfd);
	weir_fd_close(&build->pidfd);
	return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

void weir_build_ended(struct weir_supervisor *supervisor, uint64_t id)
{
	struct weir_build *build = build_find(supervisor, id);

	if (build == NULL || build->pidfd == -1)
		return;
	build->done.build_done.status = build_reap(supervisor, build);
	build->done.build_done.timed_out = build->killed;
	weir_log(WEIR_LOG_INFO, "build ended", "pid=%d status=%d timed_out=%s", (int)build->pid,
		 build->done.build_done.status, build->killed ? "true" : "false");
	build_tell(supervisor, build);
}

void weir_build_turn(struct weir_supervisor *supervisor, uint64_t now_ns)
{
	for (size_t i = 0; i < WEIR_SUPERVISOR_BUILDS_MAX; i++) {
		struct weir_build *build = &supervisor->build[i];

		if (build->id == 0)
			continue;
		if (build->pidfd == -1) {
			build_tell(supervisor, build);
		} else if (build->kill_at_ns <= now_ns && !build->killed) {
			build->killed = true;
			build_kill(build);
		} else if (!build->killed) {
			weir_supervisor_due(supervisor, build->kill_at_ns);
		}
	}
}

void weir_build_ctrld_died(struct weir_supervisor *supervisor)
{
	for (size_t i = 0; i < WEIR_SUPERVISOR_BUILDS_MAX; i++) {
		struct weir_build *build = &supervisor->build[i];

		if (build->id != 0 && build->pidfd != -1)
			(void)build_reap(supervisor, build);
		build->id = 0;
	}
}
