# labels: integration
# timeout: 240
"""Each worker has a control group: it has the limits that it should, and nobody's death leaves it behind.
Where there are no control groups, resource limits take their place, and that is said."""

import contextlib
import os
import pathlib
import time
import unittest

import weir_instance
from survival import kill, programs
from weir_instance import SAMPLES, Instance, needs_program, wait_until

MIB = 1 << 20
NOBODY = 65534
HOG = weir_instance.BUILD / "tests" / "functions" / "native" / "hog.so"
BOMB = weir_instance.SOURCE / "tests" / "runtime" / "functions" / "exec" / "misbehave.py"
SPIN = weir_instance.BUILD / "tests" / "functions" / "native" / "spin.so"


def tree(weir, file):
    """The instance's group that has `file` in its workers' groups."""
    for group in weir.groups_note():
        if any((worker / file).exists() for worker in group.glob("w*")):
            return group
    return None


def workers(group):
    """{worker id: its group}."""
    with contextlib.suppress(OSError):
        return {int(path.name[1:]): path for path in group.iterdir() if path.name[0] == "w" and path.name[1:].isdigit()}
    return {}


def number(path):
    return int(path.read_text().split()[0])


class Groups(weir_instance.Case):
    @contextlib.contextmanager
    def instance(self, *functions, **more):
        """An instance with these native functions; skipped where the machine has no control groups for it."""
        with Instance(**more) as weir:
            for name in functions:
                self.add(weir, name)
            if not weir.groups_note():
                raise unittest.SkipTest("no control groups here: " + "; ".join(weir.status()["missing"]))
            yield weir

    def add(self, weir, name, file=None, runtime="native", **options):
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        weir.ctrlctl("fn", "add", name, "--runtime", runtime, "--file", file or SAMPLES / runtime / f"{name}.so", *arguments)
        weir.ctrlctl("route", "add", f"ANY /{name}", "--fn", name)

    def memory_limit(self, path):
        v1 = path / "memory.limit_in_bytes"
        return number(v1 if v1.exists() else path / "memory.max")

    def memory_tree(self, weir):
        return tree(weir, "memory.limit_in_bytes") or tree(weir, "memory.max")

    def answers(self, weir, path="/hello"):
        answer = weir.request("GET", path)
        self.assertEqual(answer.status, 200, answer)

    def matches(self, weir):
        """Every worker has its group, and there are no others."""
        pids = [row["pid"] for row in weir.status()["processes"] if row["kind"] == "worker" and row["pid"]]
        return pids and all(sorted(self.members(group)) == sorted(pids) for group in weir.groups if self.is_for_all(group))

    def members(self, group):
        """The pids in an instance's workers' groups; 0 for an empty group."""
        for path in workers(group).values():
            with contextlib.suppress(OSError):  # it goes at this moment
                yield from map(int, (path / "cgroup.procs").read_text().split() or ["0"])

    def is_for_all(self, group):
        """v1's tree of processor time is made for those that need it."""
        return not (group / "cpu.shares").exists()

    def test_a_worker_is_in_its_group_with_its_limits(self):
        with self.instance("hello") as weir:
            self.answers(weir)
            group = self.memory_tree(weir)
            self.assertEqual(set(self.members(group)), {pid for pid, name in programs(weir) if name.startswith("weir-worker")})
            for path in workers(group).values():
                self.assertGreater(self.memory_limit(path), 256 * MIB)
                self.assertLess(self.memory_limit(path), 1024 * MIB)
            for path in workers(tree(weir, "pids.max")).values():
                self.assertLess(number(path / "pids.max"), 1000)
            self.assertIn("limits of workers", weir.log_path.read_text())
            self.assertNotIn("control group", weir.ctrlctl("status").stdout)

    def test_memory_grows_with_the_pool_s_largest_function(self):
        with self.instance("hello") as weir:
            self.answers(weir)
            path = workers(self.memory_tree(weir))[weir.workers()[0]["worker"]]
            before = self.memory_limit(path)
            self.add(weir, "echo", memory=1024)
            wait_until(lambda: self.memory_limit(path) >= before + 768 * MIB, "the limit follows")
            weir.ctrlctl("route", "rm", "ANY /echo")
            weir.ctrlctl("fn", "rm", "echo")
            self.answers(weir)
            self.assertGreaterEqual(self.memory_limit(path), before + 768 * MIB, "a worker keeps what it was given")

    def test_processor_time_can_be_limited(self):
        with self.instance("hello") as weir:
            self.add(weir, "spin", SPIN, timeout="60s")
            self.answers(weir)
            weir.ctrlctl("config", "set", "worker_cpu_millicores", 200)
            cpu = wait_until(lambda: tree(weir, "cpu.cfs_quota_us") or tree(weir, "cpu.max"), "the worker is limited")
            path = workers(cpu)[weir.workers()[0]["worker"]]
            (pid,) = map(int, (path / "cgroup.procs").read_text().split())
            def burnt():
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            with weir_instance.socket.create_connection(("127.0.0.1", weir.port)) as client:
                client.sendall(b"GET /spin HTTP/1.1\r\nHost: a\r\n\r\n")
                wait_until(lambda: burnt() > 0.3, "it spins")
                began, before = time.monotonic(), burnt()
                time.sleep(3)
                share = (burnt() - before) / (time.monotonic() - began)
                self.assertLess(share, 0.4, "a fifth of a CPU, and some room for measuring it")
                weir.ctrlctl("config", "set", "worker_cpu_millicores", 0)
                file = path / "cpu.cfs_quota_us" if (path / "cpu.cfs_quota_us").exists() else path / "cpu.max"
                wait_until(lambda: file.read_text().split()[0] in ("-1", "max"), "the limit goes")
                kill(pid)

    def test_no_death_leaves_a_group(self):
        with self.instance("hello", "echo") as weir:
            self.answers(weir)
            group = self.memory_tree(weir)
            for victim in ("weir-worker-native", "weir-supervisor", "weir-worker-native", "weir-gateway", "weir-supervisor"):
                before = programs(weir, victim)[0]
                kill(before[0])
                wait_until(lambda: before not in programs(weir, victim) and programs(weir, victim), f"{victim} is replaced")
                wait_until(lambda: weir.request("GET", "/hello").status == 200, "service goes on")
                wait_until(lambda: self.matches(weir), f"groups and workers match after {victim} died")
            # In the middle of it: worker and supervisor at once, again and again.
            for _ in range(5):
                for name in ("weir-worker-native", "weir-supervisor"):
                    for pid, _ in programs(weir, name):
                        kill(pid)
                wait_until(lambda: programs(weir, "weir-worker-native"), "there is a worker again")
            wait_until(lambda: weir.request("GET", "/hello").status == 200, "service goes on")
            wait_until(lambda: self.matches(weir), "groups and workers match")
            self.assertTrue(workers(group))

    def test_the_keeper_s_death_leaves_none(self):
        weir = Instance()
        try:
            weir.start()
            self.add(weir, "hello")
            self.answers(weir)
            groups = set(weir.groups_note())
            if not groups:
                self.skipTest("no control groups here")
            weir.remember()
            weir.keeper.kill()
            weir.keeper.wait()
            wait_until(lambda: not [path for path in groups if path.exists()], "the supervisor removes them")
        finally:
            weir.kill_everything()
            weir.remove()

    def test_what_a_killed_instance_left_is_removed_at_the_next_start(self):
        weir = Instance()
        try:
            weir.start()
            self.add(weir, "hello")
            self.answers(weir)
            weir.remember()
            if not weir.groups_note():
                self.skipTest("no control groups here")
            for name in ("weir-supervisor", "weir-keeper"):
                for pid, _ in programs(weir, name):
                    kill(pid)
            for pid in weir_instance.processes_marked(weir.mark):
                kill(pid)
            weir.keeper.wait()
            old = {path for group in weir.groups for path in workers(group).values()}
            weir.start()
            self.answers(weir)
            wait_until(lambda: self.matches(weir), "only groups of workers that live are left")
            self.assertFalse([path for path in old if path.exists() and path not in
                              {new for group in weir.groups for new in workers(group).values()}])
            weir.stop()
            self.assertEqual(weir.leftovers(), [])
        finally:
            weir.kill_everything()
            weir.remove()


class WithoutGroups(weir_instance.Case):
    """An ordinary user without control groups of its own."""

    def setUp(self):
        super().setUp()
        self.prefix, self.owner = (), None
        if os.geteuid() == 0:
            needs_program("setpriv", "util-linux")
            for part in [weir_instance.BIN, *weir_instance.BIN.parents, *HOG.parents, *BOMB.parents]:
                if not part.stat().st_mode & 0o001:
                    self.skipTest("the build folder is closed to other users")
            self.owner = NOBODY
            self.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
                           "--bounding-set=-all", "--no-new-privs")

    def test_memory_without_end_ends_in_an_answer_all_the_same(self):
        if b"__asan_init" in (weir_instance.BIN / "weir-supervisor").read_bytes():
            self.skipTest("a sanitizer's shadow leaves nothing of this limit")
        with Instance(prefix=self.prefix, owner=self.owner) as weir:
            if weir.groups_note():
                self.skipTest("this user has control groups of its own")
            said = weir.ctrlctl("status").stdout
            self.assertIn("a control group for each worker's memory", said)
            self.assertIn("resource limits", said)
            self.assertIn('by="resource limits"', weir.log_path.read_text())
            for name, file in (("hog", HOG), ("hello", SAMPLES / "native" / "hello.so")):
                weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", file, "--memory", 64)
                weir.ctrlctl("route", "add", f"GET /{name}", "--fn", name)
            for _ in range(2):
                answer = weir.request("GET", "/hog")
                self.assertEqual((answer.status, answer.json()["code"]), (502, "out_of_memory"), answer)
                self.assertEqual(answer.json()["activation"], answer.headers["x-openwhisk-activation-id"])
                self.assertEqual(weir.request("GET", "/hello").status, 200)

    def test_a_fork_bomb_ends_all_the_same(self):
        with Instance(prefix=self.prefix, owner=self.owner) as weir:
            if "pid" not in weir.status()["sandbox"].split(", "):
                self.skipTest("without a pid namespace what a bomb leaves is not found at once")
            weir.ctrlctl("fn", "add", "bomb", "--runtime", "exec", "--file", BOMB)
            weir.ctrlctl("route", "add", "GET /bomb", "--fn", "bomb", "--timeout", "1s")
            weir.ctrlctl("fn", "add", "hello", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so")
            weir.ctrlctl("route", "add", "GET /hello", "--fn", "hello")
            for _ in range(2):
                self.assertEqual(weir.request("GET", "/bomb?do=bomb", timeout_s=60).status, 504)
                self.assertEqual(weir.request("GET", "/hello", timeout_s=60).status, 200)
            # Also where all of its processes are killed with their worker.
            wait_until(lambda: not [name for _, name in weir.processes() if name.startswith("misbehave")], "nothing is left of it")

    def test_runtimes_with_heaps_work_within_resource_limits(self):
        """Their limits leave them what they need."""
        with Instance(prefix=self.prefix, owner=self.owner) as weir:
            tried = 0
            for runtime, ending in (("python", ".py"), ("php", ".php"), ("node", ".js"), ("js", ".js"), ("wasm", ".wasm")):
                places = (SAMPLES, weir_instance.SOURCE / "dataplane" / "sdk" / "samples")
                file = next((file for place in places if (file := place / runtime / f"hello{ending}").exists()), places[0])
                if not (weir_instance.BIN / f"weir-worker-{runtime}").exists() or not file.is_file():
                    continue
                weir.ctrlctl("fn", "add", runtime, "--runtime", runtime, "--file", file, "--memory", 64)
                weir.ctrlctl("route", "add", f"GET /{runtime}", "--fn", runtime)
                wait_until(lambda: weir.request("GET", f"/{runtime}").status != 501, f"{runtime} is built")
                answer = weir.request("GET", f"/{runtime}")
                self.assertEqual(answer.status, 200, f"{runtime}: {answer}")
                tried += 1
            if tried == 0:
                self.skipTest("no such runtime is built")


if __name__ == "__main__":
    weir_instance.main()
