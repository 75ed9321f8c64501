/* orphans: what functions leave behind. A program that a function started in the background becomes a
 * child of the keeper (the subreaper) when its parent ends. As long as its process group's leader, the
 * program of the call, lives, it belongs to that call; after that nobody waits for it any more.
 * A program that left its group on purpose (setsid) is ended with the instance only.
 * Owner: the supervisor's thread; reads /proc, sends SIGKILL through pidfds. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_ORPHANS_H
#define WEIR_DATAPLANE_SUPERVISOR_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What /proc/PID/stat says. */
struct weir_orphan_stat {
	pid_t parent;
	pid_t group;
	char state;
	unsigned long long start; /* clock ticks after boot: tells a reused pid from the old one */
};

/* Read the text of /proc/PID/stat, whose second field may hold anything. False if it is malformed. */
bool weir_orphan_stat_parse(const char *text, struct weir_orphan_stat *out_stat);

/* Kill every child of `keeper` that is none of the `known_count` pids in `known` and whose group has no
 * leader. Returns how many; 0 also where the kernel does not list children. */
size_t weir_orphans_kill(pid_t keeper, const pid_t *known, size_t known_count);

#endif
