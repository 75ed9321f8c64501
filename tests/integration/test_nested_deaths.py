#!/usr/bin/env python3
# labels: integration fault
# timeout: 300
"""A function calls another, and somebody dies in the middle of it: in every runtime its caller gets to hear of
it, nothing is left over, and the next call is right."""

import http.client
import json
import os
import re
import signal
import threading
import unittest

import weir_instance
from weir_instance import BIN, SAMPLES, SOURCE, Instance, wait_until

CALLERS = {"native": "so", "exec": "sh", "php": "php", "python": "py", "node": "js", "js": "js", "wasm": "wasm"}


class Deaths(weir_instance.Case):
    @classmethod
    def setUpClass(cls):
        cls.weir = Instance()
        cls.weir.__enter__()
        try:
            cls.called_add()
            cls.runtimes = [runtime for runtime, ending in CALLERS.items() if cls.caller_add(runtime, ending)]
        except BaseException:
            cls.weir.__exit__(ValueError, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.weir.__exit__(None, None, None)

    @classmethod
    def called_add(cls):
        """`slow` runs for long, `hello` does not."""
        slow = cls.weir.home / "slow.sh"
        slow.write_text("#!/bin/sh\nexec sleep 50\n")
        slow.chmod(0o755)
        cls.weir.ctrlctl("fn", "add", "slow", "--runtime", "exec", "--file", slow, "--timeout", "50s")
        cls.weir.ctrlctl("fn", "add", "hello", "--runtime", "native", "--file", SAMPLES / "native" / "hello.so")

    @classmethod
    def caller_add(cls, runtime, ending):
        places = [SAMPLES / runtime / f"chain.{ending}", SOURCE / "dataplane/sdk/samples" / runtime / f"chain.{ending}"]
        file = next((place for place in places if place.exists()), None)
        if file is None or not (BIN / f"weir-worker-{runtime}").exists():
            return False
        cls.weir.ctrlctl("fn", "add", runtime, "--runtime", runtime, "--file", file, "--timeout", "50s")
        cls.weir.ctrlctl("route", "add", f"ANY /{runtime}", "--fn", runtime)
        cls.weir.ctrlctl("route", "add", f"ANY /hasty/{runtime}", "--fn", runtime, "--timeout", "500ms")
        return True

    def right(self, runtime):
        """It serves (again)."""
        def answers():
            try:
                answer = self.weir.request("GET", f"/{runtime}")
            except (OSError, http.client.HTTPException):
                return False
            return answer.status == 200 and answer.json()["status"] == 200
        wait_until(answers, f"{runtime} calls hello")

    def nothing_is_left(self):
        def empty():
            done = self.weir.ctrlctl("status", "-o", "json", check=False)
            metrics = json.loads(done.stdout)["metrics"] if done.returncode == 0 else {}
            return metrics.get("nested_in_use") == 0 and metrics.get("calls_in_flight") == 0
        wait_until(empty, "no call is left")
        wait_until(lambda: not self.weir.processes("sleep"), "the program has ended")

    def kill(self, program):
        """Processes are told by the log: workers have other names than their programs."""
        started = re.findall(rf"program={program} pid=(\d+)", self.weir.log_path.read_text())
        alive = {pid for pid, _ in self.weir.processes()} & set(map(int, started))
        self.assertTrue(alive, f"{program} runs")
        for pid in alive:
            os.kill(pid, signal.SIGKILL)

    def die(self, runtime, path, program=None):
        """Call slow through `path`, kill the processes of that program meanwhile; what the client gets, or None."""
        got = []

        def ask():
            try:
                got.append(self.weir.request("GET", f"{path}?function=slow", timeout_s=45))
            except (OSError, http.client.HTTPException):
                got.append(None)

        self.right(runtime)
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: got or self.weir.processes("sleep"), "the other one runs")
        if program is not None:
            self.kill(program)
        thread.join()
        self.nothing_is_left()
        self.right(runtime)
        return got[0]

    def test_the_calling_worker_is_killed(self):
        for runtime in self.runtimes:
            with self.subTest(runtime):
                answer = self.die(runtime, f"/{runtime}", f"weir-worker-{runtime}")
                if runtime == "exec" and answer.status == 200:  # the called one's worker was killed before its own
                    self.assertEqual(answer.json()["status"], 502, answer)
                else:
                    self.assertIn(answer.status, (500, 502), answer)

    def test_the_called_worker_is_killed(self):
        for runtime in self.runtimes:
            with self.subTest(runtime):
                answer = self.die(runtime, f"/{runtime}", "weir-worker-exec")
                if runtime != "exec":
                    self.assertEqual((answer.status, answer.json()["status"]), (200, 502), answer)

    def test_the_gateway_is_killed(self):
        for runtime in self.runtimes:
            with self.subTest(runtime):
                self.assertIsNone(self.die(runtime, f"/{runtime}", "weir-gateway"))

    def test_the_caller_s_deadline_passes(self):
        for runtime in self.runtimes:
            with self.subTest(runtime):
                answer = self.die(runtime, f"/hasty/{runtime}")
                self.assertTrue(answer.status == 504 or answer.json()["status"] == 504, answer)


if __name__ == "__main__":
    weir_instance.main()
