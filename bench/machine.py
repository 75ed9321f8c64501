"""What the kernel says about processes and CPUs, for the measuring scripts.

Times are seconds unless a name ends in a unit. A *tree* is a set of root processes and everything
below them; members are named by (pid, start time), so a reused pid is never mistaken for one.
"""

import contextlib
import ctypes
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


def stat_fields(pid):
    """(command name, fields after it) of /proc/PID/stat, or None where the process is gone."""
    try:
        text = pathlib.Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return None
    name, _, rest = text[text.index("(") + 1:].rpartition(")")
    return name, rest.split()


def tree(roots):
    """{(pid, start time): command name} of `roots` and all below them, zombies left out."""
    rows = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = stat_fields(entry)
            if found is not None:
                name, fields = found
                rows[int(entry)] = (int(fields[1]), fields[19], name, fields[0])
    members = {pid for pid in roots if pid in rows}
    while True:
        fresh = {pid for pid, row in rows.items() if row[0] in members} - members
        if not fresh:
            break
        members |= fresh
    return {(pid, rows[pid][1]): rows[pid][2] for pid in members if rows[pid][3] not in "ZX"}


def alive(pid, start_time):
    """Whether that very process still runs (a zombie does not)."""
    found = stat_fields(pid)
    return found is not None and found[1][19] == start_time and found[1][0] not in "ZX"


def cpu_ns(members):
    """CPU time of all threads of `members` so far, from the scheduler's own clock (schedstat)."""
    total = 0
    for pid, _ in members:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                total += int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        except (OSError, IndexError):
            continue  # ended while we looked; its share is lost, which the result's spread shows
    return total


def others_ns(own):
    """{(pid, start time): CPU time so far} of every process that is not in `own`, from schedstat, which
    sees a millisecond where /proc/stat counts ticks; what the kernel does for a network is left out."""
    found = {}
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields is not None and (int(entry), fields[1][19]) not in own and not fields[0].startswith("ksoftirqd"):
            found[int(entry), fields[1][19]] = cpu_ns([(int(entry), fields[1][19])])
    return found


def others_share(before, after, seconds):
    """Share of one CPU that `after` took more than `before` (both from others_ns)."""
    return sum(max(0, taken - before.get(member, 0)) for member, taken in after.items()) / 1e9 / seconds


def threads(members):
    """The thread ids of `members`."""
    found = []
    for pid, _ in members:
        try:
            found += [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
        except OSError:
            continue  # as above
    return found


def context_switches(members):
    """Voluntary and involuntary switches of all threads of `members` so far."""
    total = 0
    for pid, _ in members:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                text = pathlib.Path(f"/proc/{pid}/task/{thread}/status").read_text()
                total += sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", text))
        except OSError:
            continue  # as above
    return total


def memory_of(members):
    """{(process, mapping): bytes} that the processes hold: their share of pages (Pss) as smaps tells."""
    held = {}
    for (pid, _), name in members.items():
        mapping = ""
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
                head = re.match(r"([0-9a-f]+-[0-9a-f]+) \S+ \S+ \S+ \d+\s*(.*)", line)
                if head:
                    mapping = head.group(2) or f"anonymous {head.group(1).split('-')[0]}"
                elif line.startswith("Pss:"):
                    held[name, mapping] = held.get((name, mapping), 0) + int(line.split()[1]) * 1024
    return held


def memory_with_kernel_of(members):
    """As memory_of(), and besides it "page tables"; files in memory ("/memfd:...") count with all pages that
    they have, mapped or not, for the first process that maps them (which only root can see)."""
    held = memory_of(members)
    seen = set()
    for (pid, _), name in sorted(members.items()):
        with contextlib.suppress(OSError, AttributeError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            tables = int(re.search(r"VmPTE:\s+(\d+)", status).group(1)) * 1024
            held[name, "page tables"] = held.get((name, "page tables"), 0) + tables
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
                place, _, _, _, inode, *path = line.split(maxsplit=5)
                if not path or not path[0].startswith("/memfd:"):
                    continue
                mapped = held.pop((name, path[0]), None)   # once: its share of pages, told below
                if mapped is not None:
                    held[name, path[0] + " held"] = 0
                if inode not in seen:
                    seen.add(inode)
                    held[name, path[0] + " held"] += os.stat(f"/proc/{pid}/map_files/{place}").st_blocks * 512
    return held


def busy_s(cpu=None):
    """Time that all CPUs together, or that one, have been busy, what the hypervisor took included."""
    name = "cpu" if cpu is None else f"cpu{cpu}"
    line = next(line for line in pathlib.Path("/proc/stat").read_text().splitlines() if line.split(" ", 1)[0] == name)
    user, nice, system, _idle, _iowait, irq, softirq, steal = [int(field) for field in line.split()[1:9]]
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


class Foreign:
    """Measures how much of one CPU others used between creation and `share()`: everything the CPUs
    did, less what `members`, this script and the children it reaped meanwhile did. Where processes
    come and go too fast to be members, the CPU that they stand on is left out as a whole."""

    def __init__(self, members, without_cpu=None):
        self.members = members if without_cpu is None else {}
        self.without_cpu = without_cpu
        self.before = self._own_s()
        self.busy_before = self._busy_s()
        self.started = time.monotonic()

    def _busy_s(self):
        return busy_s() - (busy_s(self.without_cpu) if self.without_cpu is not None else 0)

    def _own_s(self):
        own = cpu_ns(self.members) / 1e9
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            own += usage.ru_utime + usage.ru_stime
        return own

    def elapsed(self):
        return time.monotonic() - self.started

    def share(self):
        elapsed = self.elapsed()
        foreign = (self._busy_s() - self.busy_before) - (self._own_s() - self.before)
        return max(0.0, foreign / elapsed)


def child_setup(cpus):
    """A preexec function: stay on `cpus` (None: anywhere), end when this script ends."""
    libc = ctypes.CDLL(None)

    def setup():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)

    return setup


def end_tree(roots, patience_s=10):
    """Ask the root processes (Popen objects) to end, then end what is left of their trees."""
    members = tree([process.pid for process in roots])
    for process in roots:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and any(alive(*member) for member in members):
        for process in roots:
            process.poll()
        time.sleep(0.02)
    members.update(tree([process.pid for process in roots]))
    while left := [member for member in members if alive(*member)]:
        for pid, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    for process in roots:
        process.wait()


def first_line(*command):
    """The first line that `command` prints, or None where it cannot be run."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else None


def cpu_model():
    found = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return found.group(1).strip() if found else platform.machine()


def description():
    """[(what, value)] of this machine and its software, for the head of a section."""
    memory_kib = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
    system = re.search(r'PRETTY_NAME="?([^"\n]+)', pathlib.Path("/etc/os-release").read_text())
    virtual = first_line("systemd-detect-virt", "--vm")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return [
        ("processor", f"{cpu_model()}, {os.cpu_count()} CPUs" + (f", virtual ({virtual})" if virtual not in (None, "none") else "")),
        ("memory", f"{memory_kib / 1048576:.0f} GiB"),
        ("kernel", f"{platform.release()}, TCP {congestion}"),
        ("system", system.group(1) if system else "unknown"),
    ]
