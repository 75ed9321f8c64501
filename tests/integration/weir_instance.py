"""A private Weir for a test: its own data directory and port, started, watched and stopped.

    class Echo(weir_instance.Case):
        def test_body_comes_back(self):
            with Instance(samples=True) as weir:
                self.assertEqual(weir.request("POST", "/echo", b"abc").body, b"abc")

    if __name__ == "__main__":
        weir_instance.main()

Leaving the `with` block stops the instance with SIGINT and fails the test when anything is left:
a process, a socket, a temporary file. When the block fails, the instance's log is shown.
Owner: the test that made it. The programs come from WEIR_BIN (ctest sets it; default
build/release/bin). `main` exits with 77 when every test skipped, which ctest counts as skipped.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", SOURCE / "build" / "release"))
BIN = pathlib.Path(os.environ.get("WEIR_BIN", BUILD / "bin"))
SAMPLES = BUILD / "lib" / "weir" / "samples"
# Sanitized programs on a busy machine are slow; waiting longer costs nothing when things work.
PATIENCE_S = float(os.environ.get("WEIR_TEST_PATIENCE_S", "60"))
MARK = "WEIR_TEST_INSTANCE"


class Answer:
    """One HTTP answer: status, headers (lower-case names, last one wins), body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def port_free(address="127.0.0.1"):
    """A TCP port that nobody listens on, below the range that the kernel gives to clients."""
    for _ in range(200):
        port = random.randint(20000, 31999)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port found in 200 tries")


def wait_until(condition, what, timeout_s=None):
    """Call `condition` until it returns something true, which is returned; fail with `what` otherwise."""
    deadline = time.monotonic() + (PATIENCE_S if timeout_s is None else timeout_s)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.02)


def process_table():
    """{pid: (parent pid, start time, name, state)} of every process that may be seen."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            text = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            name, _, rest = text[text.index("(") + 1:].rpartition(")")
            fields = rest.split()
            table[int(entry)] = (int(fields[1]), fields[19], name, fields[0])
    return table


def processes_marked(mark):
    """{pid: name} of live processes that carry `mark` in their first environment."""
    found = {}
    for pid, (_, _, name, state) in process_table().items():
        if state in "ZX":
            continue
        with contextlib.suppress(OSError):
            if mark.encode() in pathlib.Path("/proc", str(pid), "environ").read_bytes():
                found[pid] = name
    return found


def descendants(root):
    """{(pid, start time): name} of `root` and all below it."""
    table = process_table()
    members = {root} if root in table else set()
    grown = True
    while grown:
        fresh = {pid for pid, row in table.items() if row[0] in members} - members
        members |= fresh
        grown = bool(fresh)
    return {(pid, table[pid][1]): table[pid][2] for pid in members}


def temporary_files(directory):
    """What lies in an instance's own temporary directory, and under a name of ours in shared memory.
    (/tmp itself is everybody's: other programs of ours may be at work there.)"""
    found = {str(path) for path in pathlib.Path(directory).rglob("*")}
    with contextlib.suppress(OSError):
        found |= {f"/dev/shm/{name}" for name in os.listdir("/dev/shm") if name.startswith("weir")}
    return found


class Instance:
    """One running platform. `prefix` runs the keeper through another program (setpriv, unshare)."""

    def __init__(self, samples=False, data=None, listen=None, extra=(), prefix=(), env=None, owner=None):
        self.samples = samples
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="it-weir-"))
        self.data = pathlib.Path(data) if data else self.home / "data"
        self.port = port_free() if listen is None else int(str(listen[0]).rpartition(":")[2])
        self.listen = list(listen) if listen is not None else [f"127.0.0.1:{self.port}"]
        self.extra = list(extra)
        self.prefix = list(prefix)
        self.mark = f"{MARK}={os.getpid()}-{random.getrandbits(64):016x}"
        name, _, value = self.mark.partition("=")
        self.temporary_home = self.home / "tmp"
        self.temporary_home.mkdir()
        self.env = {**os.environ, "TMPDIR": str(self.temporary_home), **(env or {}), name: value}
        self.log_path = self.home / "weir.log"
        self.keeper = None
        self.seen = {}
        self.groups = set()
        self.temporary = temporary_files(self.temporary_home)
        if owner is not None:
            os.chown(self.home, owner, owner)
            os.chown(self.temporary_home, owner, owner)

    # Life

    def start(self, wait=True):
        """Start the keeper; with `wait`, return once the instance answers (and has its samples)."""
        command = self.prefix + [str(BIN / "weir-keeper"), "--data", str(self.data)]
        for address in self.listen:
            command += ["--listen", address]
        with open(self.log_path, "ab") as log:
            self.keeper = subprocess.Popen(command + self.extra, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, env=self.env, start_new_session=True)
        if wait:
            self.wait_ready()
            if self.samples:
                self.samples_install()
        return self

    def wait_ready(self):
        """Wait until `ctrlctl ready` says so; fail with the log when the keeper ends instead."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.ctrlctl("ready", "--wait", "2s", check=False)
            if answer.returncode == 0:
                self.remember()
                return
            if self.keeper.poll() is not None:
                raise AssertionError(f"weir-keeper ended with {self.keeper.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready after {PATIENCE_S} s: {answer.stderr}\n{self.log()}")
            time.sleep(0.05)

    def samples_install(self):
        """Install the sample functions and routes, as quickstart does at a first start."""
        command = self.prefix + [str(SOURCE / "tools" / "samples"), "--data", str(self.data), "--build", str(BUILD)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"tools/samples failed: {done.stdout}{done.stderr}\n{self.log()}")

    def remember(self):
        """Note the processes that live now, so that `leftovers` can ask for them later."""
        if self.keeper is not None:
            self.seen.update(descendants(self.keeper.pid))
        self.groups_note()
        return self.seen

    def groups_note(self):
        """The instance's control groups, which must be gone at the end: their directories."""
        with contextlib.suppress(OSError):
            self.groups |= {pathlib.Path(line) for line in (self.data / "run" / "cgroups").read_text().splitlines()}
        return self.groups

    def stop(self, number=signal.SIGINT, timeout_s=None):
        """Signal the keeper, wait for its end, return its exit status (negative: a signal)."""
        if self.keeper is None:
            return None
        self.remember()
        if self.keeper.poll() is None:
            self.keeper.send_signal(number)
        status = self.keeper.wait(timeout=PATIENCE_S if timeout_s is None else timeout_s)
        self.keeper = None
        return status

    def leftovers(self):
        """What an ended instance left behind, one sentence each; empty is right."""
        deadline = time.monotonic() + 5  # the kernel may still be reaping
        while True:
            left = self._leftovers_now()
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def _leftovers_now(self):
        table = process_table()
        left = [f"process {pid} ({name})" for (pid, start), name in self.seen.items()
                if pid in table and table[pid][1] == start]
        left += [f"process {pid} ({name}) of this instance" for pid, name in processes_marked(self.mark).items()]
        for path in sorted(self.data.rglob("*")) if self.data.exists() else []:
            if path.is_socket():
                left.append(f"socket {path}")
            elif path.suffix in (".tmp", ".pid", ".lock"):
                left.append(f"temporary file {path}")
        left += [f"control group {path}" for path in sorted(self.groups) if path.exists()]
        left += [f"temporary file {path}" for path in sorted(temporary_files(self.temporary_home) - self.temporary)]
        return left

    def kill_everything(self):
        """For a failed test: end all processes of this instance, whatever state they are in."""
        for _ in range(50):
            marked = processes_marked(self.mark)
            if self.keeper is not None and self.keeper.poll() is None:
                marked[self.keeper.pid] = "keeper"
            if not marked:
                break
            for pid in marked:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        if self.keeper is not None:
            self.keeper.wait()
            self.keeper = None
        for group in self.groups_note():
            for path in [*group.glob("*/"), group]:
                with contextlib.suppress(OSError):  # gone already, or not empty: then the next run's affair
                    path.rmdir()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill_everything()
            self.remove()
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                if kind is not unittest.SkipTest:
                    sys.stderr.write(f"--- log of the failed instance\n{self.log()}\n---\n")
                return
            self.stop()
            left = self.leftovers()
            if left:
                raise AssertionError("left behind: " + "; ".join(left) + "\n" + self.log())
        finally:
            self.kill_everything()
            self.remove()

    def remove(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        """The last lines of what the instance wrote."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-80:])
        return "(no log)"

    # Talking to it

    def ctrlctl(self, *arguments, check=True, stdin=None, timeout_s=60):
        """Run ctrlctl on this instance; with `check`, any exit status but 0 fails the test."""
        command = self.prefix + [str(BIN / "ctrlctl"), "--data", str(self.data), *map(str, arguments)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, input=stdin,
                              timeout=timeout_s)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} exited with {done.returncode}: "
                                 f"{done.stdout}{done.stderr}\n{self.log()}")
        return done

    def status(self):
        """`ctrlctl status -o json`, parsed, as soon as it has what the supervisor tells, too."""
        def whole():
            status = json.loads(self.ctrlctl("status", "-o", "json").stdout)
            return status if "processes" in status else None
        return wait_until(whole, "the supervisor tells its part of the status")

    def workers(self):
        """The ready workers of people's functions: `status`'s rows. Weir's own are in weir.system."""
        return [row for row in self.status()["processes"] if row["kind"] == "worker" and row["state"] == "ready"
                and row["namespace"] != "weir.system"]

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def request(self, method, path, body=None, headers=None, timeout_s=30):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())

    def raw(self, data, timeout_s=10):
        """Send `data` as it is, half-close, return everything that comes until the end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
            return b"".join(parts)

    def curl(self, *arguments, check=True, timeout_s=60):
        """Run curl with `arguments`, quiet but for errors; returns the finished process (bytes)."""
        done = subprocess.run(["curl", "-sS", *map(str, arguments)], capture_output=True, timeout=timeout_s)
        if check and done.returncode != 0:
            raise AssertionError(f"curl {arguments} exited with {done.returncode}: {done.stderr!r}\n{self.log()}")
        return done

    # Its processes

    def processes(self, name=None):
        """[(pid, name)] of this instance's processes, by name where one is given (as in
        /proc/PID/comm, cut by the kernel to 15 bytes)."""
        members = descendants(self.keeper.pid)
        return sorted((pid, comm) for (pid, _), comm in members.items()
                      if name is None or comm == name[:15])

    def pid_of(self, name):
        """The pid of the one process with that name; fails where there are none or several."""
        found = self.processes(name)
        if len(found) != 1:
            raise AssertionError(f"one process {name} expected, these run: {self.processes()}")
        return found[0][0]


class Case(unittest.TestCase):
    """A test case that skips where the programs are not built."""

    needs = ("weir-keeper", "ctrlctl")

    def setUp(self):
        for program in self.needs:
            if not (BIN / program).exists():
                self.skipTest(f"{program} is not built")


def needs_program(name, package=None):
    """Skip the running test where `name` is not installed."""
    path = shutil.which(name)
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed" + (f" (Debian package {package})" if package else ""))
    return path


def main():
    """Run the caller's tests; exit 0 passed, 1 failed, 77 all skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2, argv=[sys.argv[0], *sys.argv[1:]])
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    # A class that skips as a whole counts among the skipped, but none of its tests among the run.
    skipped_tests = [test for test, _ in result.skipped if isinstance(test, unittest.TestCase)]
    if result.testsRun > len(skipped_tests):
        sys.exit(0)
    if not result.skipped:
        print("no test ran", file=sys.stderr)
        sys.exit(1)
    sys.exit(77)
