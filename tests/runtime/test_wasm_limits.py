#!/usr/bin/env python3
"""What a WebAssembly function cannot do to the next call: 1,000 endless loops, each ended by its deadline in
another place, and after each of them a call that finds nothing changed."""

import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import wasm_hostile  # noqa: E402
import weir_instance  # noqa: E402
from weir_instance import BUILD, Instance, wait_until  # noqa: E402

FUNCTIONS = BUILD / "tests" / "functions" / "wasm"
STATE = b"11156311"  # calls, a zero page, another, pages, a kept byte, table's size, its first is null, a grown page
TIMEOUTS = int(os.environ.get("WEIR_TEST_TIMEOUTS", "1000"))
LOOPS = "fcwrtgzs"  # fill, copy, write, random, time, grow, sleep, none of them


class Limits(weir_instance.Case):
    def workers(self, weir):
        return {process for process, name in weir_instance.descendants(weir.keeper.pid).items() if name.startswith("weir-worker")}

    def test_a_thousand_deadlines(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "loops", "--runtime", "wasm", "--file", FUNCTIONS / "loops.wasm", "--memory", 8)
            weir.ctrlctl("route", "add", "GET /state", "--fn", "loops")
            wait_until(lambda: weir.request("GET", "/state?x").status != 501, "the module is built")
            weir.ctrlctl("route", "add", "GET /loop", "--fn", "loops", "--timeout", "3ms")
            self.assertEqual(weir.request("GET", "/state?x").body, STATE)
            before = self.workers(weir)
            self.assertTrue(before)
            for number in range(TIMEOUTS):
                which = LOOPS[number % len(LOOPS)]
                answer = weir.request("GET", f"/loop?{which}")
                self.assertEqual(answer.status, 504, f"{which}: {answer}")
                answer = weir.request("GET", "/state?x")
                self.assertEqual((answer.status, answer.body), (200, STATE), f"after {which}, the {number}th: {answer}")
            self.assertLessEqual(before, self.workers(weir), "no worker was lost over it")

    def test_an_answer_without_end_is_cut(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "loops", "--runtime", "wasm", "--file", FUNCTIONS / "loops.wasm", "--memory", 8)
            weir.ctrlctl("route", "add", "GET /state", "--fn", "loops")
            wait_until(lambda: weir.request("GET", "/state?x").status != 501, "the module is built")
            weir.ctrlctl("route", "add", "GET /loop", "--fn", "loops", "--timeout", "100ms")
            with self.assertRaises(Exception):
                weir.request("GET", "/loop?a")
            self.assertEqual(weir.request("GET", "/state?x").body, STATE)

    def test_calls_that_wait_do_not_share_memory(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "loops", "--runtime", "wasm", "--file", FUNCTIONS / "loops.wasm", "--memory", 8)
            weir.ctrlctl("route", "add", "GET /state", "--fn", "loops")
            wait_until(lambda: weir.request("GET", "/state?x").status != 501, "the module is built")
            weir.ctrlctl("route", "add", "GET /loop", "--fn", "loops", "--timeout", "500ms")
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(weir.request("GET", "/loop?z").status)) for _ in range(12)]
            for thread in threads:
                thread.start()
            for _ in range(50):
                self.assertEqual(weir.request("GET", "/state?x").body, STATE)
            for thread in threads:
                thread.join()
            self.assertEqual(answers, [504] * 12)
            for _ in range(12):
                self.assertEqual(weir.request("GET", "/state?x").body, STATE)

    def test_calls_that_write_elsewhere_than_those_before_find_nothing_of_each_other(self):
        """After many calls that write the same pages the others are guarded (dataplane/runtime/wasm/guard.h)."""
        steps = ["0&1"] * 50 + ["40&2"] * 3 + ["0&1"] * 2 + ["41&3", "60&1&1", "60&1&1", "60&1"] + ["0&60"] * 3 + ["64&60"] * 2
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "touch", "--runtime", "wasm", "--file", FUNCTIONS / "touch.wasm")
            weir.ctrlctl("route", "add", "GET /touch", "--fn", "touch")
            wait_until(lambda: weir.request("GET", "/touch?0&1").status != 501, "the module is built")
            before = self.workers(weir)
            for number, step in enumerate(steps * 3):
                if number == len(steps):
                    time.sleep(0.1)   # what was written goes back to the kernel
                answer = weir.request("GET", f"/touch?{step}")
                self.assertEqual((answer.status, answer.body), (200, b"clean"), f"{number}: {step}")
            self.assertLessEqual(before, self.workers(weir), "no worker was lost over it")

    def test_there_are_no_files_and_no_sockets(self):
        wanted = {"open": 8, "open in 0": 54, "mkdir": 8, "unlink": 8, "symlink": 8, "prestat": 8, "seek": 70, "seek 7": 8,
                  "write 0": 8, "write 3": 8, "write beyond": 21, "renumber": 58, "sync": 28, "send": 57, "shutdown": 8,
                  "clock 9": 28, "clock": 0, "random beyond": 21, "fdstat": 0, "filestat": 0, "poll nothing": 28, "yield": 0,
                  "close": 0, "close again": 8, "close 3": 8}
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "refused", "--runtime", "wasm", "--file", FUNCTIONS / "refused.wasm")
            weir.ctrlctl("route", "add", "GET /refused", "--fn", "refused")
            wait_until(lambda: weir.request("GET", "/refused").status != 501, "the module is built")
            answer = weir.request("GET", "/refused")
            self.assertEqual(answer.status, 200, answer)
            got = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines())
            self.assertEqual({name: int(number) for name, number in got.items()}, wanted)

    def test_what_cannot_start_says_so_and_disturbs_nobody(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "loops", "--runtime", "wasm", "--file", FUNCTIONS / "loops.wasm", "--memory", 8)
            weir.ctrlctl("route", "add", "GET /state", "--fn", "loops")
            for name, (data, _) in wasm_hostile.STARTED.items():
                (weir.home / f"{name}.wasm").write_bytes(data)
                weir.ctrlctl("fn", "add", name, "--runtime", "wasm", "--file", weir.home / f"{name}.wasm", "--memory", 64)
                weir.ctrlctl("route", "add", f"GET /{name}", "--fn", name)
            for path in ("state?x", *wasm_hostile.STARTED):
                wait_until(lambda: weir.request("GET", f"/{path}").status != 501, "the module is built")
            workers = self.workers(weir)
            for _ in range(3):
                for name, (_, words) in wasm_hostile.STARTED.items():
                    answer = weir.request("GET", f"/{name}")
                    self.assertEqual(answer.status, 502, answer)
                    self.assertIn(words, answer.json()["error"])
                    self.assertEqual(weir.request("GET", "/state?x").body, STATE)
            self.assertEqual(workers - self.workers(weir), set(), "no worker died of it")

    def test_what_is_no_module_is_refused(self):
        with Instance() as weir:
            weir.ctrlctl("fn", "add", "native", "--runtime", "wasm", "--file", weir_instance.SAMPLES / "native" / "hello.so")
            weir.ctrlctl("route", "add", "GET /native", "--fn", "native")
            wait_until(lambda: "not a WebAssembly module" in weir.request("GET", "/native").json()["error"], "it is refused")
            self.assertEqual(weir.request("GET", "/native").status, 501)


if __name__ == "__main__":
    weir_instance.main()
