/* The programs. Compiled without the kernel's headers: of its types only the fields that are read are
 * declared here, and libbpf moves each access to where the running kernel has the field (CO-RE). One
 * object for Linux 6.1 to 6.18.
 *
 * What a switch between two tasks that are no workers' costs: this CPU's record, one line of the table. A
 * tracked thread has a record of its own with what was counted of it. Whenever it comes or goes, what its
 * counters have gained is added, so that a switch which was not reported (hypervisors' kernels have such:
 * some in a thousand were seen) is made up for at the next. A CPU's record names whom the last switch there
 * was to: so one who came unseen is known when it goes.
 *
 * Needed are sched_switch and sched_process_exit; sched_process_fork, block_rq_issue and block_rq_complete are
 * tried one by one. There is no fentry program: faults, bytes and switches stand in the task itself, and reading
 * them when it comes and goes costs nothing in between. */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/load_probe.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sched_entity {
	unsigned long long sum_exec_runtime;
};
struct sched_info {
	unsigned long long run_delay;
};
struct task_io_accounting {
	unsigned long long rchar, wchar, read_bytes, write_bytes;
};
typedef struct {
	int counter;
} atomic_t;
struct signal_struct {
	atomic_t live;
};
struct task_struct {
	int pid, tgid;
	unsigned int in_iowait : 1;
	struct sched_entity se;
	struct sched_info sched_info;
	struct task_io_accounting ioac;
	unsigned long maj_flt, min_flt, nvcsw, nivcsw;
	struct signal_struct *signal;
};
struct request;
#pragma clang attribute pop

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, unsigned int);
	__type(value, struct weir_load_board);
} weir_load SEC(".maps");

struct thread {
	unsigned long long counted[WEIR_PROBE_COUNTED]; /* of its counters, as far as the slot has them */
	unsigned long long io_since_ns; /* fell asleep for storage; 0 = did not */
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} weir_threads SEC(".maps");

struct pending {
	unsigned long long issued_ns;
	unsigned int tag;
	unsigned int reserved;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH); /* a request that never completes is forgotten */
	__uint(max_entries, 4096);
	__type(key, unsigned long long);
	__type(value, struct pending);
} weir_requests SEC(".maps");

struct weir_probe_table weir_table __attribute__((aligned(128)));

static __always_inline void add(weir_load_word *to, unsigned long long count)
{
	__sync_fetch_and_add(to, count);
}

static __always_inline struct weir_load_board *board(void)
{
	const unsigned int zero = 0;

	return bpf_map_lookup_elem(&weir_load, &zero);
}

/* The tag of a process, or 0. */
static __always_inline unsigned int find(unsigned int tgid)
{
	const weir_load_word *const entry = weir_table.entry[weir_probe_set(tgid) & (WEIR_PROBE_SETS - 1)];

	if (tgid == 0)
		return 0;
#pragma unroll
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++) {
		const unsigned long long found = entry[i];

		if ((unsigned int)found == tgid)
			return (unsigned int)(found >> 32);
	}
	return 0;
}

/* The slot of a tag, unless it has another owner by now. */
static __always_inline struct weir_load_slot *slot_of(unsigned int tag)
{
	struct weir_load_board *const all = board();
	struct weir_load_slot *slot;

	if (!all)
		return 0;
	slot = &all->slot[weir_probe_slot(tag)];
	return slot->tag == tag ? slot : 0;
}

/* A thread's counters in the order of enum weir_load_count. On-CPU time is the kernel's own figure, which
 * leaves out what a hypervisor stole. In units, and rounded before differences are taken: those add up
 * without an error. */
static __always_inline void counters(const struct task_struct *task, unsigned long long *count)
{
	count[0] = task->se.sum_exec_runtime >> WEIR_LOAD_UNIT_SHIFT;
	count[1] = bpf_core_field_exists(task->sched_info.run_delay) ? task->sched_info.run_delay : 0;
	count[2] = task->nvcsw;
	count[3] = task->nivcsw;
	count[4] = task->min_flt;
	count[5] = task->maj_flt;
	count[6] = bpf_core_field_exists(task->ioac.rchar) ? task->ioac.rchar : 0;
	count[7] = bpf_core_field_exists(task->ioac.wchar) ? task->ioac.wchar : 0;
	count[8] = bpf_core_field_exists(task->ioac.read_bytes) ? task->ioac.read_bytes : 0;
	count[9] = bpf_core_field_exists(task->ioac.write_bytes) ? task->ioac.write_bytes : 0;
}

/* Add what the thread's counters gained, and `mark` to the word of its on-CPU time. */
static __always_inline void account(struct weir_load_slot *slot, struct thread *thread,
				    const struct task_struct *task, unsigned long long mark)
{
	unsigned long long count[WEIR_PROBE_COUNTED];

	counters(task, count);
	add(&slot->probe[WEIR_LOAD_ON_CPU_NS], mark + count[0] - thread->counted[0]);
	thread->counted[0] = count[0];
#pragma unroll
	for (int i = 1; i < WEIR_PROBE_COUNTED; i++) {
		if (count[i] != thread->counted[i])
			add(&slot->probe[i], count[i] - thread->counted[i]);
		thread->counted[i] = count[i];
	}
}

/* Add what the thread did that leaves its CPU, and `mark`; false where nothing is known of it. */
static __always_inline bool settle(struct weir_load_slot *slot, struct task_struct *prev, unsigned long long mark,
				   unsigned long long now_ns)
{
	struct thread *const thread = bpf_task_storage_get(&weir_threads, prev, 0, 0);

	if (!thread)
		return false;
	account(slot, thread, prev, mark);
	if (BPF_CORE_READ_BITFIELD(prev, in_iowait))
		thread->io_since_ns = now_ns;
	return true;
}

/* A tracked thread left this CPU: with the switch to `prev`'s successor, or unseen before it. */
static __always_inline void leave(struct weir_probe_run *run, struct task_struct *prev, unsigned long long now_ns)
{
	struct weir_load_slot *const slot = slot_of(run->tag);
	const unsigned long long mark = run->start - (1ull << WEIR_LOAD_RUNNING_SHIFT);

	run->tag = 0;
	if (slot && (run->pid != (unsigned int)prev->pid || !settle(slot, prev, mark, now_ns)))
		add(&slot->probe[WEIR_LOAD_ON_CPU_NS], mark);
}

/* The switch to `prev`, which leaves now, was not reported: if it is tracked, count what it did. */
static __always_inline void leave_unseen(struct task_struct *prev, unsigned long long now_ns)
{
	const unsigned int tag = find(prev->tgid);
	struct weir_load_slot *const slot = tag != 0 ? slot_of(tag) : 0;

	if (slot)
		(void)settle(slot, prev, 0, now_ns);
}

/* A tracked thread comes to this CPU. */
static __always_inline void enter(struct weir_probe_run *run, struct task_struct *next, unsigned int tag,
				  unsigned long long now_ns)
{
	struct weir_load_slot *const slot = slot_of(tag);
	unsigned long long mark = 1ull << WEIR_LOAD_RUNNING_SHIFT;
	struct thread *thread;

	if (!slot)
		return;
	run->pid = next->pid;
	run->start = (now_ns - slot->epoch_ns) >> WEIR_LOAD_UNIT_SHIFT;
	run->tag = tag;
	mark -= run->start;
	thread = bpf_task_storage_get(&weir_threads, next, 0, 0);
	if (!thread) { /* it ran before it was tracked */
		thread = bpf_task_storage_get(&weir_threads, next, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (thread)
			counters(next, thread->counted);
	}
	if (!thread) {
		add(&slot->probe[WEIR_LOAD_ON_CPU_NS], mark);
		return;
	}
	account(slot, thread, next, mark);
	if (thread->io_since_ns != 0)
		add(&slot->probe[WEIR_LOAD_IO_WAIT_NS], now_ns - thread->io_since_ns);
	thread->io_since_ns = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(weir_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	const unsigned int cpu = bpf_get_smp_processor_id();
	struct weir_probe_run *run;
	unsigned long long now_ns;
	unsigned int tag, unseen;

	if (cpu >= WEIR_PROBE_CPUS_MAX)
		return 0;
	run = &weir_table.run[cpu];
	unseen = run->next_pid ^ (unsigned int)prev->pid;
	run->next_pid = next->pid;
	tag = find(next->tgid);
	if ((run->tag | tag | unseen) == 0)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (run->tag != 0)
		leave(run, prev, now_ns);
	if (unseen != 0)
		leave_unseen(prev, now_ns);
	if (tag != 0)
		enter(run, next, tag, now_ns);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(weir_fork, struct task_struct *parent, struct task_struct *child)
{
	const unsigned int tgid = child->tgid;
	weir_load_word *const entry = weir_table.entry[weir_probe_set(tgid) & (WEIR_PROBE_SETS - 1)];
	const unsigned int tag = find(parent->tgid);
	struct weir_load_board *all;

	if (tag == 0)
		return 0;
	/* A record from the start: its counters begin at 0, whatever is seen of it first. */
	bpf_task_storage_get(&weir_threads, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (parent->tgid == child->tgid) /* a thread */
		return 0;
#pragma unroll
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++) {
		if (entry[i] == 0 &&
		    __sync_val_compare_and_swap(&entry[i], 0, (unsigned long long)tag << 32 | tgid) == 0)
			return 0;
	}
	all = board();
	if (all)
		add(&all->unplaced, 1);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(weir_exit, struct task_struct *task)
{
	const unsigned int tgid = task->tgid;
	weir_load_word *const entry = weir_table.entry[weir_probe_set(tgid) & (WEIR_PROBE_SETS - 1)];
	const unsigned int tag = find(tgid);
	struct weir_load_slot *slot;
	struct thread *thread;

	if (tag == 0)
		return 0;
	slot = slot_of(tag);
	thread = slot ? bpf_task_storage_get(&weir_threads, task, 0, 0) : 0;
	if (thread) /* should its last switch go unseen, there is none to make up for it */
		account(slot, thread, task, 0);
	if (task->signal->live.counter != 0) /* threads of it are left */
		return 0;
	if (slot && slot->tgid == tgid)
		slot->exited_ns = bpf_ktime_get_ns();
	/* Its last slice still counts: run[cpu] says whose it is. */
#pragma unroll
	for (int i = 0; i < WEIR_PROBE_SET_ENTRIES; i++) {
		if ((unsigned int)entry[i] == tgid)
			entry[i] = 0;
	}
	return 0;
}

/* Optional: time in devices, for requests that a worker's own thread hands to its device. */
SEC("?tp_btf/block_rq_issue")
int BPF_PROG(weir_block_issue, struct request *request)
{
	const unsigned long long key = (unsigned long long)request;
	struct pending pending = {.tag = find(bpf_get_current_pid_tgid() >> 32)};

	if (pending.tag == 0)
		return 0;
	pending.issued_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&weir_requests, &key, &pending, BPF_ANY);
	return 0;
}

SEC("?tp_btf/block_rq_complete")
int BPF_PROG(weir_block_complete, struct request *request)
{
	const unsigned long long key = (unsigned long long)request;
	const struct pending *const pending = bpf_map_lookup_elem(&weir_requests, &key);
	struct weir_load_slot *slot;

	if (!pending)
		return 0;
	slot = slot_of(pending->tag);
	if (slot) {
		add(&slot->probe[WEIR_LOAD_DEVICE_REQUESTS], 1);
		add(&slot->probe[WEIR_LOAD_DEVICE_NS], bpf_ktime_get_ns() - pending->issued_ns);
	}
	bpf_map_delete_elem(&weir_requests, &key);
	return 0;
}
