"""A guest that runs Weir on the distribution's stock kernel (Debian 12: 6.1), in qemu without root or KVM.

    guest = Guest(home)            # SkipTest where qemu, the kernel package or a tool for it cannot be had
    guest.weir_add()               # programs, the libraries that they name
    guest.function_add(SAMPLES / "native/hello.so")
    said = guest.run(SCRIPT, nodes=2)

The guest is an initramfs: busybox, what was added, and SCRIPT behind BEGIN (see there for `say`, `end` and
`ask`). It ends with `end passed` or with a reason. The kernel is kept under build/. Owner: the test that made
it; `home` is the test's to remove."""

import pathlib
import platform
import re
import shutil
import stat
import subprocess
import tempfile
import time
import unittest

from weir_instance import BIN, BUILD, needs_program

CACHE = BUILD.parent / "vm-kernel"
BOOTS_MAX = 3
SILENT_S = 30  # within which a guest says where it hangs; one that does not has no CPU left to say it
SILENT = "the guest does not even say where it hangs"

BEGIN = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/weir/bin HOME=/ WEIR_DATA=/data
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/null
mkdir -p /dev/shm /tmp /data
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /data
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
ulimit -n 20000
echo 7 >/proc/sys/kernel/printk # a kernel that has trouble says all of it
say() { echo "guest: $*"; }
end() { say "$*"; [ "$1" = passed ] || cat /tmp/log; sync; poweroff -f; }
# Where every process is, when the script is not done in time: a guest that does not even say this has lost a CPU.
late() {
	sleep $1
	for process in /proc/[0-9]*; do
		words=$(tr '\\0' ' ' <$process/cmdline)
		[ "$words" ] && echo "$process: $words" || continue
		for thread in $process/task/*; do echo "$thread $(sed -n 's/^State:.//p' $thread/status) $(tr '\\n' ' ' <$thread/stack)"; done
	done
	end "failed: not done after $1 s"
}
late %d &
say "kernel $(uname -r)"
"""


def kernel():
    """Path of the stock cloud kernel; downloaded once. SkipTest where that is impossible."""
    found = sorted(CACHE.glob("boot/vmlinuz-*"))
    if found:
        return found[-1]
    needs_program("apt-get")
    shown = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True).stdout
    package = re.search(r"Depends: (linux-image-\S+)", shown)
    if not package:
        raise unittest.SkipTest("no package linux-image-cloud-amd64 is known (apt-get update?)")
    with tempfile.TemporaryDirectory(prefix="it-weir-") as folder:
        done = subprocess.run(["apt-get", "download", package.group(1)], cwd=folder, capture_output=True, text=True)
        archives = list(pathlib.Path(folder).glob("*.deb"))
        if done.returncode != 0 or not archives:
            raise unittest.SkipTest(f"cannot download {package.group(1)}")
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), folder], check=True)
        (CACHE / "boot").mkdir(exist_ok=True)
        for image in pathlib.Path(folder).glob("boot/vmlinuz-*"):
            shutil.copy(image, CACHE / "boot" / image.name)
    return sorted(CACHE.glob("boot/vmlinuz-*"))[-1]


def libraries(program):
    """The shared objects that `program` loads, as absolute paths."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
    return {pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}


def numa_options(nodes, cpus, memory_mib):
    """qemu's words for `nodes` nodes that share CPUs and memory evenly."""
    each = cpus // nodes
    options = []
    for node in range(nodes):
        options += ["-object", f"memory-backend-ram,id=m{node},size={memory_mib // nodes}M",
                    "-numa", f"node,nodeid={node},cpus={node * each}-{node * each + each - 1},memdev=m{node}"]
    for node in range(nodes):
        options += [word for other in range(nodes) if other != node
                    for word in ("-numa", f"dist,src={node},dst={other},val=21")]
    return options


def is_stuck(said):
    """Did a CPU of the guest stop for good? Under load qemu 7.2 (TCG, several threads) forgets to wake one now and
    then, seen once in some 30 boots: that CPU runs nothing, and others wait for it in the kernel."""
    return any(sign in said for sign in ("self-detected stall on CPU", "detected stalls on CPUs", "soft lockup - CPU", SILENT))


def boot(command, console, limit_s):
    """Run qemu until it ends, is stuck or `limit_s` and SILENT_S are over; what the console showed."""
    console.unlink(missing_ok=True)
    said = ""
    until = time.monotonic() + limit_s + SILENT_S
    with tempfile.TemporaryFile("w+") as words, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words) as qemu:
        while qemu.poll() is None and time.monotonic() < until and not is_stuck(said):
            time.sleep(0.2)
            said = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
        silent = qemu.poll() is None and not is_stuck(said)
        if qemu.poll() is None:
            qemu.kill()
        elif qemu.returncode != 0:
            words.seek(0)
            raise AssertionError(f"qemu: {words.read()}")
    said = console.read_text(errors="replace").replace("\r", "") if console.exists() else said
    return f"{said}\n{SILENT}" if silent else said


class Guest:
    def __init__(self, home):
        if platform.machine() != "x86_64":
            raise unittest.SkipTest("the rig is for x86_64")
        needs_program("qemu-system-x86_64", "qemu-system-x86")
        needs_program("cpio", "cpio")
        busybox = needs_program("busybox", "busybox-static")
        if libraries(busybox):
            raise unittest.SkipTest("busybox is not static (Debian package busybox-static)")
        self.kernel = kernel()
        self.home = pathlib.Path(home)
        self.root = self.home / "root"
        for folder in ("bin", "proc", "sys", "dev", "tmp", "etc", "weir/bin", "weir/samples"):
            (self.root / folder).mkdir(parents=True)
        shutil.copy(busybox, self.root / "bin/busybox")
        (self.root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")

    def program_add(self, program, where):
        """Copy a program to the path `where`, and what it loads."""
        shutil.copy(program, self.root / where)
        for library in libraries(program):
            target = self.root / str(library).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library.resolve(), target)

    def weir_add(self, programs=None):
        """The programs of the build: those named, or all."""
        for program in [BIN / name for name in programs] if programs else [*BIN.glob("weir-*"), BIN / "ctrlctl"]:
            self.program_add(program, f"weir/bin/{program.name}")

    def function_add(self, shared_object):
        shutil.copy(shared_object, self.root / "weir/samples")

    def run(self, script, limit_s, nodes=1, cpus=2, memory_mib=1024):
        """Boot, run BEGIN and `script`, return what the console showed. After `limit_s` the guest says where it hangs."""
        init = self.root / "init"
        init.write_text(BEGIN % limit_s + script)
        init.chmod(init.stat().st_mode | stat.S_IXUSR)
        image = self.home / "initramfs"
        console = self.home / "console"
        with open(image, "wb") as out:
            subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=self.root, stdout=out, check=True)
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-machine", "q35,hpet=off", "-accel", "tcg,thread=multi",
                   # Emulated cmpxchg16b of qemu 7.2 now and then breaks the guest's flags.
                   "-cpu", "max,cx16=off", "-smp", f"{cpus},sockets={nodes}", "-m", str(memory_mib),
                   *(numa_options(nodes, cpus, memory_mib) if nodes > 1 else []),
                   "-kernel", str(self.kernel), "-initrd", str(image), "-serial", f"file:{console}",
                   "-append", "console=ttyS0,115200 quiet panic=-1 mitigations=off random.trust_cpu=on"]
        for _ in range(BOOTS_MAX):
            said = boot(command, console, limit_s)
            print("\n".join(line for line in said.splitlines() if line.startswith("guest: ")))
            if not is_stuck(said):
                break
            print(f"the emulator lost a CPU:\n{said[-3000:]}")
        return said
