/* The lists of system calls, as a filter for the kernel. What is on none of them gets EPERM; clone3, which
 * the C library replaces by clone, gets ENOSYS, so that it does.
 *
 *   other machine's calls -> killed
 *   a call whose arguments matter: one block of comparisons each
 *   intervals of allowed numbers, in order
 *
 * Linear, because the kernel works out once at the start which numbers are always allowed (5.11) and
 * does not run the filter for those. Written here and not by libseccomp, which took 1.2 ms to build this
 * list at every start of a worker; this takes less than 0.1 ms. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/base/assert.h"
#include "dataplane/sandbox/layers.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "name this machine's AUDIT_ARCH"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the low half of an argument is looked for first"
#endif

#define CLONE_NEW_ANY                                                                              \
	((uint32_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |   \
		    CLONE_NEWPID | CLONE_NEWNET))
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

enum {
	NUMBERS_MAX = 512, /* of system calls; larger ones are never allowed */
	FILTER_MAX = 2048, /* instructions; the kernel takes 4,096 */
};

/* Memory, threads, time, what is open already, and files: which of them, the view and Landlock say. */
static const int common_calls[] = {
	/* memory */
	SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_mincore, SYS_msync,
	SYS_mlock, SYS_munlock, SYS_membarrier, SYS_memfd_create,
	/* descriptors */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv,
	SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_close, SYS_close_range, SYS_dup, SYS_dup3,
	SYS_fcntl, SYS_lseek, SYS_pipe2, SYS_ppoll, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl,
	SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2, SYS_timerfd_create, SYS_timerfd_settime,
	SYS_timerfd_gettime, SYS_sendfile, SYS_splice, SYS_copy_file_range, SYS_sendmsg, SYS_recvmsg,
	SYS_sendto, SYS_recvfrom, SYS_shutdown, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
	/* files */
	SYS_openat, SYS_openat2, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_fstatfs,
	SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_chdir,
	SYS_fchdir, SYS_umask, SYS_flock, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_truncate,
	SYS_fallocate, SYS_fadvise64, SYS_readahead, SYS_mkdirat, SYS_unlinkat, SYS_renameat,
	SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_fchmod, SYS_fchmodat, SYS_utimensat,
	SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
	/* threads and signals */
	SYS_exit, SYS_exit_group, SYS_futex, SYS_futex_waitv, SYS_set_robust_list,
	SYS_set_tid_address, SYS_rseq, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_getparam,
	SYS_sched_getscheduler, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
	SYS_getpriority, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending,
	SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_restart_syscall, SYS_wait4,
	SYS_waitid, SYS_gettid, SYS_getpid, SYS_getppid, SYS_getpgid, SYS_getsid, SYS_getuid,
	SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getgroups, SYS_getresuid, SYS_getresgid, SYS_capget,
	/* time and facts */
	SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
	SYS_times, SYS_setitimer, SYS_getitimer, SYS_timer_create, SYS_timer_settime,
	SYS_timer_gettime, SYS_timer_getoverrun, SYS_timer_delete, SYS_uname, SYS_sysinfo,
	SYS_getrusage, SYS_getrlimit, SYS_getcpu, SYS_getrandom,
#ifdef __x86_64__ /* what newer machines have only by other names */
	SYS_dup2, SYS_pipe, SYS_poll, SYS_select, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd,
	SYS_open, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_mkdir,
	SYS_rmdir, SYS_unlink, SYS_rename, SYS_link, SYS_symlink, SYS_chmod, SYS_utime, SYS_utimes,
	SYS_futimesat, SYS_pause, SYS_arch_prctl, SYS_getpgrp, SYS_time, SYS_alarm,
#endif
};

/* WEIR_SANDBOX_PROGRAMS: what shells and the programs that they start need among themselves. */
static const int program_calls[] = {
	SYS_execve, SYS_execveat, SYS_setpgid, SYS_setsid, SYS_kill, SYS_tkill, SYS_tgkill,
	SYS_pidfd_open, SYS_pidfd_send_signal, SYS_prlimit64, SYS_setrlimit, SYS_sched_setaffinity,
	SYS_setpriority, SYS_mknodat, SYS_fchown, SYS_fchownat, SYS_tee, SYS_inotify_init1,
	SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_signalfd4, SYS_sched_setscheduler,
	SYS_sched_setparam, SYS_sync_file_range,
#ifdef __x86_64__ /* what newer machines have only by other names */
	SYS_fork, SYS_vfork, SYS_mknod, SYS_chown, SYS_lchown, SYS_inotify_init, SYS_signalfd,
#endif
};

/* WEIR_SANDBOX_CONNECTS: the sockets are Unix ones, see emit_conditions(). */
static const int connect_calls[] = {SYS_connect};

/* Never a terminal's input queue (TIOCSTI): standard error may be one. */
static const uint32_t ioctls[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX};

static const uint32_t prctls[] = {PR_SET_NAME,	       PR_GET_NAME,	    PR_SET_PDEATHSIG, PR_GET_PDEATHSIG,
				  PR_SET_VMA,	       PR_GET_DUMPABLE,	    PR_CAPBSET_READ,  PR_GET_SECCOMP,
				  PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_GET_TIMERSLACK};

struct filter {
	struct sock_filter code[FILTER_MAX];
	size_t count;
	bool is_allowed[NUMBERS_MAX];
};

static void emit(struct filter *filter, struct sock_filter instruction)
{
	WEIR_ASSERT(filter->count < FILTER_MAX);
	filter->code[filter->count++] = instruction;
}

static void emit_load(struct filter *filter, size_t offset)
{
	emit(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void emit_return(struct filter *filter, uint32_t action)
{
	emit(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Skip `if_true` or `if_false` instructions. */
static void emit_jump(struct filter *filter, uint16_t comparison, uint32_t value, uint8_t if_true,
		      uint8_t if_false)
{
	emit(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, value, if_true, if_false));
}

static size_t argument_offset(unsigned argument)
{
	return offsetof(struct seccomp_data, args) + (size_t)argument * sizeof(uint64_t);
}

/* The low half of an argument must be one of `values`: what the kernel takes as an int is no wider. */
static void emit_choice(struct filter *filter, int call, unsigned argument, const uint32_t *values, size_t count)
{
	emit_jump(filter, BPF_JEQ, (uint32_t)call, 0, (uint8_t)(2 * count + 2));
	emit_load(filter, argument_offset(argument));
	for (size_t i = 0; i < count; i++) {
		emit_jump(filter, BPF_JEQ, values[i], 0, 1);
		emit_return(filter, SECCOMP_RET_ALLOW);
	}
	emit_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

/* Threads, or with `programs` also processes; never a namespace. */
static void emit_clone(struct filter *filter, bool programs)
{
	emit_jump(filter, BPF_JEQ, SYS_clone, 0, programs ? 4 : 5);
	emit_load(filter, argument_offset(0));
	emit_jump(filter, BPF_JSET, CLONE_NEW_ANY, programs ? 1 : 2, 0);
	if (!programs)
		emit_jump(filter, BPF_JSET, CLONE_THREAD, 0, 1);
	emit_return(filter, SECCOMP_RET_ALLOW);
	emit_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

/* Reading its limits, not setting them: the third argument is NULL. */
static void emit_limits(struct filter *filter)
{
	emit_jump(filter, BPF_JEQ, SYS_prlimit64, 0, 6);
	emit_load(filter, argument_offset(2));
	emit_jump(filter, BPF_JEQ, 0, 0, 3);
	emit_load(filter, argument_offset(2) + sizeof(uint32_t));
	emit_jump(filter, BPF_JEQ, 0, 0, 1);
	emit_return(filter, SECCOMP_RET_ALLOW);
	emit_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

/* Calls whose arguments decide. Each block ends in a return. */
static void emit_conditions(struct filter *filter, uint32_t flags)
{
	const bool programs = (flags & WEIR_SANDBOX_PROGRAMS) != 0;
	const uint32_t own = (uint32_t)getpid();
	const uint32_t local = AF_UNIX;

	emit_jump(filter, BPF_JEQ, SYS_clone3, 0, 1);
	emit_return(filter, SECCOMP_RET_ERRNO | ENOSYS);
	emit_clone(filter, programs);
	emit_choice(filter, SYS_socketpair, 0, &local, 1);
	if ((flags & WEIR_SANDBOX_CONNECTS) != 0)
		emit_choice(filter, SYS_socket, 0, &local, 1);
	emit_choice(filter, SYS_ioctl, 1, ioctls, sizeof(ioctls) / sizeof(ioctls[0]));
	emit_choice(filter, SYS_prctl, 0, prctls, sizeof(prctls) / sizeof(prctls[0]));
	if (programs)
		return;
	emit_choice(filter, SYS_kill, 0, &own, 1);
	emit_choice(filter, SYS_tgkill, 0, &own, 1);
	emit_limits(filter);
}

static void emit_intervals(struct filter *filter)
{
	uint32_t first = 0;

	while (first < NUMBERS_MAX) {
		uint32_t end = first;

		while (end < NUMBERS_MAX && filter->is_allowed[end])
			end++;
		if (end > first) {
			emit_jump(filter, BPF_JGE, end, 3, 0); /* above: the next interval */
			emit_jump(filter, BPF_JGE, first, 0, 1);
			emit_return(filter, SECCOMP_RET_ALLOW);
			emit_return(filter, SECCOMP_RET_ERRNO | EPERM);
		}
		first = end + 1;
	}
	emit_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

static int calls_allow(struct filter *filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (calls[i] < 0 || calls[i] >= NUMBERS_MAX)
			return -EINVAL;
		filter->is_allowed[calls[i]] = true;
	}
	return 0;
}

static int filter_build(struct filter *filter, const struct weir_sandbox_profile *profile)
{
	const bool programs = (profile->flags & WEIR_SANDBOX_PROGRAMS) != 0;
	int result = calls_allow(filter, common_calls, sizeof(common_calls) / sizeof(common_calls[0]));

	if (result == 0 && programs)
		result = calls_allow(filter, program_calls, sizeof(program_calls) / sizeof(program_calls[0]));
	if (result == 0 && (profile->flags & WEIR_SANDBOX_CONNECTS) != 0)
		result = calls_allow(filter, connect_calls, sizeof(connect_calls) / sizeof(connect_calls[0]));
	if (result == 0)
		result = calls_allow(filter, profile->calls, profile->call_count);
	if (result != 0)
		return result;
	emit_load(filter, offsetof(struct seccomp_data, arch));
	emit_jump(filter, BPF_JEQ, ARCHITECTURE, 1, 0);
	emit_return(filter, SECCOMP_RET_KILL_PROCESS);
	emit_load(filter, offsetof(struct seccomp_data, nr));
	emit_conditions(filter, profile->flags);
	emit_intervals(filter);
	return 0;
}

int weir_sandbox_seccomp_enter(const struct weir_sandbox_profile *profile)
{
	static struct filter filter; /* too large for a stack */
	struct sock_fprog program = {.filter = filter.code};
	int result = 0;

	memset(&filter, 0, sizeof(filter));
	result = filter_build(&filter, profile);
	if (result != 0)
		return result;
	program.len = (unsigned short)filter.count;
	/* For all threads: a runtime that is a program of others has some already. */
	result = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
	return result == 0 ? 0 : result > 0 ? -EBUSY : -errno; /* a thread's number: it has another filter */
}
