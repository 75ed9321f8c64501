#!/usr/bin/env python3
"""One suite for every runtime: limits.py RUNTIME [unittest arguments].

A function misbehaves (functions/RUNTIME/misbehave.* and those of the conformance suite): its caller is
told what came of it, with the activation's id; the next call of the same runtime is right, and a
neighbour in another worker does not notice: it is asked all the time, and compared with how it was
before.
"""

import concurrent.futures
import http.client
import os
import pathlib
import re
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BIN, BUILD, SAMPLES, SOURCE, Instance, wait_until  # noqa: E402

RUNTIME = ""  # set by main
ENDING = {"python": ".py", "php": ".php", "js": ".js", "node": ".js", "wasm": ".wasm", "native": ".so", "exec": ".py"}
MIB = 1 << 20
SCRATCH_BYTES = 64 * MIB
MEMORY_MB = 64
TIMEOUT = "1s"
LOG_BYTES_MAX = 64 << 10  # of one call, and its lines' times
NO_FILES = ("wasm", "js")
STREAMS = ("native", "exec", "wasm", "php")  # answers go out while they are made
# A program that fails is the function's own answer, in the seed's shape; so is one that used up its stack.
RECURSION = {"exec": 500}
ASKED = 400       # of the neighbour, for each kind of misbehaviour
SLOWER_MAX = 25   # times what it was before or after; the slowest of a hundred, on a busy machine
SLICE_S = 0.004   # less than this the kernel makes anybody wait who shares a CPU


def file_of(name):
    places = [BUILD / "tests" / "functions" / RUNTIME, HERE / "functions" / RUNTIME, SAMPLES / RUNTIME,
              SOURCE / "dataplane" / "sdk" / "samples" / RUNTIME]
    return next((found for place in places if (found := place / f"{name}{ENDING[RUNTIME]}").exists()), None)


class Limits(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        if not (BIN / f"weir-worker-{RUNTIME}").exists():
            raise unittest.SkipTest(f"weir-worker-{RUNTIME} is not built")
        cls.weir = Instance()
        cls.weir.__enter__()
        try:
            cls.functions_add()
        except BaseException:
            cls.weir.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    @classmethod
    def functions_add(cls):
        if RUNTIME == "exec":
            ping = cls.weir.home / "ping"
            ping.write_text("#!/bin/sh\necho pong\n")
            ping.chmod(0o755)
            nap = cls.weir.home / "nap"
            nap.write_text("#!/bin/sh\nsleep 3\necho rested\n")
            nap.chmod(0o755)
            cls.add("nap", RUNTIME, nap, "/nap")
        else:
            ping = file_of("ping")
            for name in ("spin", "hog", "recurse"):
                cls.add(name, RUNTIME, file_of(name), f"/{name}", "--timeout", TIMEOUT if name == "spin" else "30s")
        cls.add("ping", RUNTIME, ping, "/ping")
        cls.add("misbehave", RUNTIME, file_of("misbehave"), "/misbehave")
        cls.weir.ctrlctl("route", "add", "GET /short", "--fn", "misbehave", "--timeout", TIMEOUT)
        cls.add("other/hello", "native", SAMPLES / "native" / "hello.so", "/neighbour")
        for path in ("/ping", "/spin", "/hog", "/recurse", "/misbehave?do=log") if RUNTIME == "wasm" else ("/ping",):
            wait_until(lambda: cls.weir.request("GET", path, timeout_s=60).status != 501, "it is built")

    @classmethod
    def add(cls, name, runtime, file, path, *more):
        cls.weir.ctrlctl("fn", "add", name, "--runtime", runtime, "--file", file, "--memory", MEMORY_MB, *more)
        cls.weir.ctrlctl("route", "add", f"GET {path}", "--fn", name)

    def path(self, what, short=False):
        if RUNTIME != "exec" and what in ("spin", "hog", "recurse"):
            return f"/{what}"
        return f"/{'short' if short else 'misbehave'}?do={what}"

    def call(self, what, short=False):
        return self.weir.request("GET", self.path(what, short), timeout_s=90)

    def failed(self, what, status, *words, short=False, **more):
        answer = self.call(what, short)
        self.assertEqual(answer.status, status, answer)
        error = answer.json()
        self.assertTrue(error["error"])
        self.assertRegex(answer.headers["x-openwhisk-activation-id"], "^[0-9a-f]{32}$")
        if status != 500:
            self.assertEqual(error["activation"], answer.headers["x-openwhisk-activation-id"])
        for word in words:
            self.assertIn(word, error["error"])
        self.still_right()

    def still_right(self):
        for path, text in (("/ping", b"pong"), ("/neighbour", b"world")):
            answer = self.weir.request("GET", path, timeout_s=60)
            self.assertEqual(answer.status, 200, f"{path}: {answer}")
            self.assertIn(text, answer.body)

    # What its caller gets

    def test_an_endless_loop(self):
        self.failed("spin", 504, short=True)

    def test_a_call_that_blocks(self):
        self.failed("block", 504, short=True)

    def test_allocating_without_end(self):
        for _ in range(2):
            self.failed("hog", 502, "memory")

    def test_programs_of_a_call_have_its_memory_together(self):
        """Pages that parent and children share count once, so eight that share 40 MB may; eight with 40 each may not."""
        if RUNTIME != "exec":
            self.skipTest("functions of this runtime cannot start processes")
        if "pid" not in self.weir.status()["sandbox"].split(", "):
            self.skipTest("without a pid namespace only the program itself is looked at")
        answer = self.call("share")
        self.assertEqual((answer.status, answer.json()), (200, {"result": "shared"}))
        self.failed("family", 502, "out of memory: the function may use 64 MB")
        wait_until(lambda: not self.alive("family"), "nothing is left of it")

    def test_recursion_without_end(self):
        self.failed("recurse", RECURSION.get(RUNTIME, 502))

    def test_a_full_disk(self):
        """Its own: /tmp has a size, and others' have theirs."""
        if RUNTIME in NO_FILES:
            self.skipTest("functions of this runtime have no files")
        if "mount" not in self.weir.status()["sandbox"]:
            self.skipTest("without a view of its own a worker has the machine's /tmp, or none")
        for _ in range(2):
            answer = self.call("disk")
            self.assertEqual(answer.status, 200, answer)
            text = answer.json()["result"] if RUNTIME == "exec" else answer.body.decode()
            error, count = map(int, text.split())
            self.assertEqual(error, 28)
            self.assertLessEqual(count, SCRATCH_BYTES)
            self.assertGreater(count, SCRATCH_BYTES // 2)
            self.still_right()

    def gateway_kib(self):
        status = pathlib.Path(f"/proc/{self.weir.pid_of('weir-gateway')}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def test_an_answer_without_end(self):
        """It is cut at the deadline, or refused for its size; the gateway holds little of it."""
        before = self.gateway_kib()
        connection = http.client.HTTPConnection("127.0.0.1", self.weir.port, timeout=90)
        self.addCleanup(connection.close)
        connection.request("GET", self.path("body", short=True))
        answer = connection.getresponse()
        self.assertRegex(answer.headers["x-openwhisk-activation-id"], "^[0-9a-f]{32}$")
        if RUNTIME in STREAMS:
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                while answer.read(MIB):
                    pass
        else:
            self.assertIn(answer.status, (502, 504))
            self.assertIn(b'"activation"', answer.read())
        self.assertLess(self.gateway_kib() - before, 64 * 1024)
        self.still_right()

    def test_a_log_without_measure(self):
        answer = self.call("log")
        self.assertEqual(answer.status, 200, answer)
        self.assertIn(b"logged", answer.body)
        kept = self.weir.ctrlctl("call", "logs", answer.headers["x-openwhisk-activation-id"]).stdout
        self.assertIn("line 0 of a function", kept)
        self.assertLess(sum(len(line.partition(": ")[2]) for line in kept.splitlines()), LOG_BYTES_MAX + 4096)
        self.still_right()

    def alive(self, word):
        """Processes that run misbehave.py and do `word`."""
        found = []
        for pid in weir_instance.process_table():
            try:
                line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"misbehave.py" in line and f"WEIR_QUERY=do={word}".encode() in pathlib.Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(pid)
            except OSError:
                pass
        return found

    def test_a_fork_bomb(self):
        if RUNTIME != "exec":
            self.skipTest("functions of this runtime cannot start processes")
        for _ in range(2):
            self.failed("bomb", 504, short=True)
            wait_until(lambda: not self.alive("bomb"), "nothing is left of it")

    def test_a_fork_bomb_beside_another_call(self):
        """What is left of it is found among the programs of calls that go on, which notice nothing."""
        if RUNTIME != "exec":
            self.skipTest("functions of this runtime cannot start processes")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            naps = [pool.submit(self.weir.request, "GET", "/nap", timeout_s=90) for _ in range(3)]
            self.failed("bomb", 504, short=True)
            for nap in naps:
                answer = nap.result()
                self.assertEqual((answer.status, b"rested" in answer.body), (200, True), answer)
        wait_until(lambda: not self.alive("bomb"), "nothing is left of it")

    def test_what_a_program_leaves_behind(self):
        if RUNTIME != "exec":
            self.skipTest("functions of this runtime cannot start processes")
        if "pid" not in self.weir.status()["sandbox"].split(", "):
            self.skipTest("without a pid namespace the supervisor ends it, some seconds later")
        self.assertEqual(self.call("daemon").status, 200)
        self.still_right()
        wait_until(lambda: not self.alive("daemon"), "nothing is left of it")

    def test_programs_have_as_much_right_to_a_cpu_as_their_worker(self):
        """One that went before them would start ever more, and those that run would wait for half a second."""
        if RUNTIME != "exec":
            self.skipTest("functions of this runtime cannot start processes")
        own = os.getpriority(os.PRIO_PROCESS, 0)
        self.still_right()
        workers = [row["pid"] for row in self.weir.status()["processes"] if row.get("runtime") == "exec"]
        self.assertEqual({os.getpriority(os.PRIO_PROCESS, pid) for pid in workers}, {own}, workers)

    # What its neighbour notices

    def ask(self, count):
        """The 99th percentile of `count` calls of the neighbour, in seconds; every one is answered."""
        took = []
        connection = http.client.HTTPConnection("127.0.0.1", self.weir.port, timeout=60)
        for _ in range(count):
            began = time.perf_counter()
            connection.request("GET", "/neighbour")
            answer = connection.getresponse()
            self.assertEqual((answer.status, b"world" in answer.read()), (200, True))
            took.append(time.perf_counter() - began)
        connection.close()
        return sorted(took)[count * 99 // 100 - 1]

    def test_the_neighbour_does_not_notice(self):
        misdeeds = ["spin", "block", "hog", "recurse", "body", "log"]
        misdeeds += [] if RUNTIME in NO_FILES else ["disk"]
        misdeeds += ["bomb"] if RUNTIME == "exec" else []
        said = []
        self.ask(ASKED)
        for what in misdeeds:
            stopping = threading.Event()
            calls = [0]

            def misbehave():
                while not stopping.is_set():
                    try:
                        self.call(what, short=True)
                    except (http.client.HTTPException, OSError):
                        pass  # cut
                    calls[0] += 1
            before = self.ask(ASKED)
            thread = threading.Thread(target=misbehave)
            thread.start()
            try:
                wait_until(lambda: what in ("spin", "block", "bomb", "body") or calls[0] > 0, "it has begun")
                time.sleep(0.2)
                during = self.ask(ASKED)
            finally:
                stopping.set()
                thread.join()
            after = self.ask(ASKED)
            said.append(f"{what}: p99 {before * 1e3:.2f} ms before, {during * 1e3:.2f} during, {after * 1e3:.2f} after")
            self.assertLess(during, SLOWER_MAX * max(before, after, SLICE_S), said)
        print("\n".join(said))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ENDING:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(ENDING)} [unittest arguments]")
    RUNTIME = sys.argv.pop(1)
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    weir_instance.main()
