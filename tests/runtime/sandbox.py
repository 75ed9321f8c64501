#!/usr/bin/env python3
"""One suite for every runtime: sandbox.py RUNTIME [unittest arguments].

A function tries what it must not do (functions/RUNTIME/attack.*): with the sandbox each try is refused
with the errno that the layer gives, without it the same tries succeed. As root and, where that can be
had, as an ordinary user. What `ctrlctl status` says decides which layers a machine has; a machine that
lacks one skips what that layer refuses, with the reason.
"""

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, BUILD, Instance  # noqa: E402

RUNTIME = ""  # set by main
NOBODY = 65534
LAYERS = ("seccomp", "landlock", "own user", "user", "mount", "pid", "net", "ipc", "uts")
# What a language cannot try, and why.
LEFT_OUT = {(runtime, what): f"{language} has no way to ask the kernel for it"
            for runtime, language in (("node", "JavaScript"), ("php", "PHP"))
            for what in ("ptrace", "peek", "uring", "keys", "mount", "unshare", "bpf")}
# Runtimes whose functions are programs: they may start others.
PROGRAMS = ("exec",)


def attack_file():
    built = BUILD / "tests" / "functions" / RUNTIME
    for place in (built, HERE / "functions" / RUNTIME):
        found = sorted(path for path in place.glob("attack.*") if path.suffix not in (".c", ".o")) if place.exists() else []
        if found:
            return found[0]
    raise AssertionError(f"no attack function of runtime {RUNTIME}")


class Attacks(weir_instance.Case):
    """The tries; the classes below say as whom and with which sandbox."""

    extra, prefix, owner = (), (), None

    @classmethod
    def setUpClass(cls):
        if not (BIN / f"weir-worker-{RUNTIME}").exists():
            raise unittest.SkipTest(f"weir-worker-{RUNTIME} is not built")
        cls.prepare()
        cls.weir = Instance(extra=cls.extra, prefix=cls.prefix, owner=cls.owner)
        cls.weir.__enter__()
        try:
            cls.functions_add()
        except BaseException:
            cls.weir.__exit__(*sys.exc_info())
            raise

    @classmethod
    def prepare(cls):
        """Skip where this class cannot run."""

    @classmethod
    def functions_add(cls):
        cls.weir.ctrlctl("fn", "add", "attack", "--runtime", RUNTIME, "--file", attack_file())
        cls.weir.ctrlctl("route", "add", "GET /attack", "--fn", "attack")
        cls.layers = set(cls.weir.status()["sandbox"].split(", "))
        # Another namespace's function, in its own directory and its own worker.
        secret = cls.weir.home / "elsewhere" / "secret.sh"
        secret.parent.mkdir()
        secret.write_text("#!/bin/sh\necho secret\n")
        secret.chmod(0o755)
        cls.secret = secret
        cls.weir.ctrlctl("fn", "add", "tenant/secret", "--runtime", "exec", "--file", secret)
        cls.weir.ctrlctl("route", "add", "GET /secret", "--fn", "tenant/secret")
        if cls.weir.request("GET", "/secret").status != 200:
            raise AssertionError("the other tenant's function does not answer")
        cls.neighbour = next(row["pid"] for row in cls.weir.status()["processes"]
                             if row["kind"] == "worker" and row["namespace"] == "tenant")
        # Somebody of the same user and with as few rights as the worker.
        fewer = cls.prefix or (("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ())
        cls.other = subprocess.Popen([*fewer, "sleep", "600"], stdin=subprocess.DEVNULL)
        cls.addClassCleanup(cls.other_end, cls.other)
        weir_instance.wait_until(lambda: pathlib.Path(f"/proc/{cls.other.pid}/comm").read_text() == "sleep\n",
                                 "setpriv has become sleep")
        cls.outside = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.outside, ignore_errors=True)
        if cls.owner is not None:
            os.chown(cls.outside, cls.owner, cls.owner)

    @staticmethod
    def other_end(process):
        process.kill()
        process.wait()

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "weir"):
            cls.weir.__exit__(None, None, None)

    def attack(self, what, **arguments):
        if (RUNTIME, what) in LEFT_OUT:
            self.skipTest(LEFT_OUT[RUNTIME, what])
        query = "&".join(f"{name}={value}" for name, value in {"do": what, **arguments}.items())
        answer = self.weir.request("GET", f"/attack?{query}")
        self.assertEqual(answer.status, 200, answer)
        return int(answer.json()["result"] if RUNTIME == "exec" else answer.body)

    def expect(self, layer, got, *refusals):
        """Refused with one of those where the layer is there; without a sandbox it works."""
        raise NotImplementedError

    def test_sockets(self):
        self.expect("seccomp", self.attack("socket"), errno.EPERM)
        self.expect("seccomp", self.attack("local"), errno.EPERM)

    def test_another_process(self):
        for what in ("ptrace", "peek"):
            for pid in (self.other.pid, self.neighbour):
                self.expect("seccomp", self.attack(what, pid=pid), errno.EPERM)

    def test_another_process_s_signals(self):
        layer = "landlock" if RUNTIME in PROGRAMS else "seccomp"
        self.expect(layer, self.attack("kill", pid=self.other.pid), errno.EPERM, errno.ESRCH)

    def test_files_of_the_machine(self):
        for path in ("/etc/passwd", "/etc/hostname", "/proc/meminfo", "/sys/kernel/uevent_seqnum", self.weir.data / "weir.db"):
            self.expect("mount", self.attack("read", path=path), errno.ENOENT)

    def test_another_tenant_s_code(self):
        self.expect("mount", self.attack("read", path=self.secret), errno.ENOENT)

    def test_another_worker_s_process(self):
        for name in ("maps", "mem", "environ"):
            self.expect("mount", self.attack("read", path=f"/proc/{self.neighbour}/{name}"), errno.ENOENT)

    def test_another_worker_s_segment(self):
        """Where its calls and their bodies lie: to be had by nobody but itself and the gateway."""
        maps = pathlib.Path(f"/proc/{self.neighbour}/maps").read_text()
        at = int(next(line for line in maps.splitlines() if "memfd:weir-link" in line).partition("-")[0], 16)
        self.expect("mount", self.attack("segment", path=f"/proc/{self.neighbour}/mem", at=at), errno.ENOENT)

    def test_new_processes(self):
        if RUNTIME in PROGRAMS:
            self.assertEqual(self.attack("fork"), 0)
        else:
            self.expect("seccomp", self.attack("fork"), errno.EPERM)

    def test_kernel_interfaces(self):
        for what in ("uring", "keys"):
            self.expect("seccomp", self.attack(what), errno.EPERM)
        for what in ("mount", "unshare", "bpf"):  # what an ordinary user may not do either
            self.expect("seccomp", self.attack(what), errno.EPERM, allowed=(0, errno.EPERM, errno.EINVAL))

    def test_writing(self):
        self.expect("landlock", self.attack("write", path=self.outside / "new"), errno.EACCES, errno.ENOENT)
        self.assertEqual(self.attack("read", path="/dev/null"), 0)

    def test_writing_inside_its_view(self):
        for path in ("/new", "/usr/new", "/etc/new"):
            self.expect("mount", self.attack("write", path=path), errno.EACCES, errno.EROFS, allowed=(0, errno.EACCES))
        self.assertEqual(self.attack("write", path="/tmp/new"), 0)


class Sandboxed(Attacks):
    def expect(self, layer, got, *refusals, allowed=()):
        if layer not in self.layers:
            self.skipTest(f"this machine has no {layer}")
        self.assertIn(got, refusals)

    def test_all_layers_are_said(self):
        status = self.weir.status()
        lacking = [layer for layer in LAYERS if layer not in self.layers]
        if lacking:
            self.assertTrue(status["missing"])
        self.assertIn("sandbox: " + status["sandbox"], self.weir.ctrlctl("status").stdout)
        self.assertIn("sandbox of workers", self.weir.log_path.read_text())


class Unprivileged:
    """Mixed in: as an ordinary user."""

    @classmethod
    def prepare(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("this is an ordinary user already")
        weir_instance.needs_program("setpriv", "util-linux")
        for part in [BIN / "weir-keeper", *(BIN / "weir-keeper").parents, *attack_file().parents]:
            if not part.stat().st_mode & 0o001:
                raise unittest.SkipTest("the build or source folder is closed to other users")
        cls.owner = NOBODY
        cls.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
                      "--bounding-set=-all", "--no-new-privs")


class SandboxedUser(Unprivileged, Sandboxed):
    pass


class Open(Attacks):
    """The sandbox switched off: the same tries work, so it is the sandbox that refuses them."""

    extra = ("--sandbox", "off")

    def expect(self, layer, got, *refusals, allowed=(0,)):
        self.assertIn(got, allowed)

    def test_it_is_said(self):
        self.assertTrue(self.weir.status()["sandbox"].startswith("off"))
        self.assertIn("--sandbox off", self.weir.log_path.read_text())


del Attacks  # not to be run itself


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} RUNTIME [unittest arguments]")
    RUNTIME = sys.argv.pop(1)
    weir_instance.main()
