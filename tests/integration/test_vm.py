# labels: vm
# timeout: 300
"""Weir on the distribution's stock kernel (Debian 12: 6.1), booted in qemu without root or KVM.

The guest is an initramfs with busybox, the programs, the libraries they name and two functions. It
tries the eBPF probes, starts the keeper, adds routes, asks /hello and sends 1 MiB through /echo. Its control groups are version 2:
a function that allocates without end is ended there, and only it; then the same as an ordinary user. Skipped where qemu, the
kernel package or a tool for it cannot be had. The kernel is kept under build/."""

import os
import pathlib
import platform
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

import weir_instance
from weir_instance import BIN, BUILD, SAMPLES, needs_program

CACHE = BUILD.parent / "vm-kernel"
BODY_BYTES = 1 << 20
LIMIT_S = 240

INIT = """#!/bin/busybox sh
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
setpriv_run() { exec sh -c 'echo 0 >/sys/fs/cgroup/own/cgroup.procs; exec setpriv-full "$@"' setpriv_run --reuid=65534 --regid=65534 --clear-groups "$@"; }
say() { echo "guest: $*"; }
end() { say "$*"; [ "$1" = passed ] || cat /tmp/log; sync; poweroff -f; }
ask() { { cat "$1"; sleep 30; } | nc 127.0.0.1 8080 >/tmp/answer & wait_for_answer "$2" $3; }
wait_for_answer() {
	for try in $(seq 600); do
		[ "$(wc -c </tmp/answer)" -lt "$1" ] || break
		sleep 0.1
	done
	kill $! 2>/dev/null
	head -n 1 /tmp/answer | grep -q " ${2:-200} "
}
say "kernel $(uname -r)"
(cd /tmp && exec /weir/test_load_probe) >/tmp/probes 2>&1
probes=$?
[ $probes = 0 ] || [ $probes = 77 ] || { cat /tmp/probes; end "failed: probes"; }
say "probes $probes: $(head -n 1 /tmp/probes)"
weir-keeper --data /data --listen 127.0.0.1:8080 >/tmp/log 2>&1 &
keeper=$!
ctrlctl ready --wait 120s || end "failed: not ready"
for name in hello echo hog; do
	ctrlctl fn add $name --runtime native --file /weir/samples/$name.so --memory 64 || end "failed: fn add $name"
	ctrlctl route add "ANY /$name" --fn $name || end "failed: route add $name"
done
ctrlctl status >/tmp/status
cat /tmp/status
[ $probes = 77 ] || grep '^load: eBPF probes' /tmp/status || end "failed: workers are not measured by probes"
: >/tmp/answer
ask /weir/hello.request 60 || end "failed: /hello: $(head -n 20 /tmp/answer)"
say "hello: $(tail -n 1 /tmp/answer)"
: >/tmp/answer
ask /weir/echo.request %(body_bytes)d || end "failed: /echo: $(head -c 300 /tmp/answer)"
tail -c %(body_bytes)d /tmp/answer | cmp - /weir/body || end "failed: /echo changed the body"
ls -d /sys/fs/cgroup/weir-*/w* || end "failed: no worker has a control group"
: >/tmp/answer
ask /weir/hog.request 300 502 || end "failed: /hog: $(head -n 20 /tmp/answer)"
grep -q '"code":"out_of_memory"' /tmp/answer || end "failed: /hog says $(tail -n 1 /tmp/answer)"
say "hog: $(tail -n 1 /tmp/answer)"
: >/tmp/answer
ask /weir/hello.request 60 || end "failed: /hello after /hog: $(head -n 20 /tmp/answer)"
kill -INT $keeper
wait $keeper || end "failed: keeper ended with $?"
pidof weir-gateway weir-worker weir-ctrld weir-supervisor && end "failed: processes are left"
ls -d /sys/fs/cgroup/weir-* && end "failed: control groups are left"
# An ordinary user with a group of its own, as systemd delegates one.
own=/sys/fs/cgroup/own
mkdir $own /data/user
echo +memory +pids +cpu >/sys/fs/cgroup/cgroup.subtree_control
chown 65534:65534 $own $own/cgroup.procs $own/cgroup.threads $own/cgroup.subtree_control /data/user
chmod 755 /data
chmod 666 /dev/null
WEIR_DATA=/data/user setpriv_run weir-keeper --data /data/user --listen 127.0.0.1:8080 >/tmp/log 2>&1 &
keeper=$!
export WEIR_DATA=/data/user
ctrlctl ready --wait 120s || end "failed: the user's is not ready"
for name in hello hog; do
	ctrlctl fn add $name --runtime native --file /weir/samples/$name.so --memory 64 || end "failed: fn add $name"
	ctrlctl route add "ANY /$name" --fn $name || end "failed: route add $name"
done
: >/tmp/answer
ask /weir/hello.request 60 || end "failed: /hello of a user: $(head -n 20 /tmp/answer)"
ls -d $own/weir-*/w* $own/weir-*/main || end "failed: no worker has a delegated group"
: >/tmp/answer
ask /weir/hog.request 300 502 || end "failed: /hog of a user: $(head -n 20 /tmp/answer)"
grep -q '"code":"out_of_memory"' /tmp/answer || end "failed: /hog of a user says $(tail -n 1 /tmp/answer)"
say "the user's limits: $(grep -o 'by=.*' /tmp/log)"
kill -INT $keeper
wait $keeper || end "failed: the user's keeper ended with $?"
ls -d $own/weir-* && end "failed: a user's control groups are left"
end "passed"
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


class StockKernel(weir_instance.Case):
    def setUp(self):
        super().setUp()
        if platform.machine() != "x86_64":
            self.skipTest("the rig is for x86_64")
        needs_program("qemu-system-x86_64", "qemu-system-x86")
        needs_program("cpio", "cpio")
        self.busybox = needs_program("busybox", "busybox-static")
        self.setpriv = needs_program("setpriv", "util-linux")
        if libraries(self.busybox):
            self.skipTest("busybox is not static (Debian package busybox-static)")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def guest_write(self):
        """Lay out the guest's root; return the initramfs."""
        root = self.home / "root"
        for folder in ("bin", "proc", "sys", "dev", "tmp", "etc", "weir/bin", "weir/samples"):
            (root / folder).mkdir(parents=True)
        shutil.copy(self.busybox, root / "bin/busybox")
        (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        needed = set()
        shutil.copy(self.setpriv, root / "bin/setpriv-full")  # busybox's knows no users
        needed |= libraries(self.setpriv)
        for program in [*BIN.glob("weir-*"), BIN / "ctrlctl"]:
            shutil.copy(program, root / "weir/bin" / program.name)
            needed |= libraries(program)
        probes = BUILD / "tests" / "test_load_probe"  # the programs that were built here, on that kernel
        shutil.copy(probes, root / "weir/test_load_probe")
        needed |= libraries(probes)
        for name in ("hello", "echo"):
            shutil.copy(SAMPLES / "native" / f"{name}.so", root / "weir/samples")
        shutil.copy(BUILD / "tests" / "functions" / "native" / "hog.so", root / "weir/samples")
        for library in needed:
            target = root / str(library).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library.resolve(), target)
        body = os.urandom(BODY_BYTES)
        head = "HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n"
        (root / "weir/body").write_bytes(body)
        for name in ("hello", "hog"):
            (root / f"weir/{name}.request").write_text(f"GET /{name} {head}\r\n")
        (root / "weir/echo.request").write_bytes(
            f"POST /echo {head}Content-Length: {BODY_BYTES}\r\n\r\n".encode() + body)
        init = root / "init"
        init.write_text(INIT % {"body_bytes": BODY_BYTES})
        init.chmod(init.stat().st_mode | stat.S_IXUSR)
        image = self.home / "initramfs"
        with open(image, "wb") as out:
            subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=root, stdout=out, check=True)
        return image

    def test_hello_a_mebibyte_of_echo_and_a_limit(self):
        image = kernel()
        console = self.home / "console"
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-machine", "q35,hpet=off", "-accel", "tcg,thread=multi",
                   # Emulated cmpxchg16b of qemu 7.2 now and then breaks the guest's flags.
                   "-cpu", "max,cx16=off", "-smp", "2", "-m", "1024", "-kernel", str(image),
                   "-initrd", str(self.guest_write()), "-serial", f"file:{console}",
                   "-append", "console=ttyS0,115200 quiet panic=-1 mitigations=off random.trust_cpu=on"]
        try:
            subprocess.run(command, timeout=LIMIT_S, check=True, capture_output=True)
        except subprocess.TimeoutExpired:
            pass
        said = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
        print("\n".join(line for line in said.splitlines() if line.startswith("guest: ")))
        self.assertIn("guest: passed", said, said[-6000:])
        # Debian 12's kernel is what this is for; another release boots its own.
        self.assertRegex(said, r"guest: kernel \d+\.\d+\.\S*-cloud-amd64")


if __name__ == "__main__":
    weir_instance.main()
