# labels: vm
# timeout: 500
"""Weir on the distribution's stock kernel (Debian 12: 6.1), booted in qemu without root or KVM.

The guest is an initramfs with busybox, the programs, the libraries they name and two functions. It
tries the eBPF probes, starts the keeper, adds routes, asks /hello and sends 1 MiB through /echo. Its control groups are version 2:
workers have the CPU time of their specs, and a function that allocates without end is ended there, and only it; then the latter
as an ordinary user. Skipped where qemu, the kernel package or a tool for it cannot be had."""

import os
import pathlib
import shutil
import tempfile

import weir_instance
from vm_guest import Guest
from weir_instance import BUILD, SAMPLES, needs_program

BODY_BYTES = 1 << 20
LIMIT_S = 240

SCRIPT = """setpriv_run() { exec sh -c 'echo 0 >/sys/fs/cgroup/own/cgroup.procs; exec setpriv-full "$@"' setpriv_run --reuid=65534 --regid=65534 --clear-groups "$@"; }
ask() { { cat "$1"; sleep 30; } | nc 127.0.0.1 8080 >/tmp/answer & wait_for_answer "$2" $3; }
wait_for_answer() {
	for try in $(seq 600); do
		[ "$(wc -c </tmp/answer)" -lt "$1" ] || break
		sleep 0.1
	done
	kill $! 2>/dev/null
	head -n 1 /tmp/answer | grep -q " ${2:-200} "
}
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
ctrlctl fn add sized --runtime native --file /weir/samples/hello.so --spec cpu=250,memory=64,min=1 --spec cpu=1500,memory=128,min=1 ||
	end "failed: fn add sized"
for try in $(seq 600); do
	cat /sys/fs/cgroup/weir-*/w*/cpu.max | sort -n | uniq | tr '\\n' ';' >/tmp/quotas
	! grep -q '^max 100000;25000 100000;150000 100000;$' /tmp/quotas || break
	sleep 0.1
done
[ $try -lt 600 ] || end "failed: workers have the CPU time $(cat /tmp/quotas)"
say "specs: $(cat /tmp/quotas)"
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


class StockKernel(weir_instance.Case):
    def guest_prepare(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        guest = Guest(home)
        guest.weir_add()
        guest.program_add(needs_program("setpriv", "util-linux"), "bin/setpriv-full")  # busybox's knows no users
        # The programs that were built here, on that kernel.
        guest.program_add(BUILD / "tests" / "test_load_probe", "weir/test_load_probe")
        for function in (SAMPLES / "native/hello.so", SAMPLES / "native/echo.so", BUILD / "tests/functions/native/hog.so"):
            guest.function_add(function)
        body = os.urandom(BODY_BYTES)
        head = "HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n"
        (guest.root / "weir/body").write_bytes(body)
        for name in ("hello", "hog"):
            (guest.root / f"weir/{name}.request").write_text(f"GET /{name} {head}\r\n")
        (guest.root / "weir/echo.request").write_bytes(
            f"POST /echo {head}Content-Length: {BODY_BYTES}\r\n\r\n".encode() + body)
        return guest

    def test_hello_a_mebibyte_of_echo_and_a_limit(self):
        said = self.guest_prepare().run(SCRIPT % {"body_bytes": BODY_BYTES}, LIMIT_S)
        self.assertIn("guest: passed", said, said[-6000:])
        # Debian 12's kernel is what this is for; another release boots its own.
        self.assertRegex(said, r"guest: kernel \d+\.\d+\.\S*-cloud-amd64")


if __name__ == "__main__":
    weir_instance.main()
