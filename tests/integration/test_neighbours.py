#!/usr/bin/env python3
# labels: integration long
# timeout: 240
"""One route hangs, another crashes in a loop: 30 s of load on a third show no answer but 200."""

import collections
import os
import re
import subprocess
import threading
import time
import unittest

import weir_instance
from weir_instance import SAMPLES, Instance, wait_until

LOAD_S = int(os.environ.get("WEIR_NEIGHBOUR_SECONDS", "30"))


class Neighbours(weir_instance.Case):
    def call_in_a_loop(self, weir, path, until, statuses):
        while time.monotonic() < until:
            statuses[weir.request("GET", path, timeout_s=60).status] += 1

    def test_hello_is_always_answered_with_200(self):
        weir_instance.needs_program("wrk", "wrk")
        with Instance(samples=True) as weir:
            for name, timeout in (("hang", "500ms"), ("crash", "5s")):
                weir.ctrlctl("fn", "add", name, "--runtime", "native", "--file", SAMPLES / "native" / f"{name}.so")
                weir.ctrlctl("route", "add", f"GET /{name}", "--fn", name, "--timeout", timeout)
            until = time.monotonic() + LOAD_S
            hung, crashed = collections.Counter(), collections.Counter()
            threads = [threading.Thread(target=self.call_in_a_loop, args=(weir, *more, until, statuses))
                       for more, statuses in ((("/hang",), hung), (("/crash",), crashed))]
            for thread in threads:
                thread.start()
            load = subprocess.run(["wrk", "-t1", "-c32", f"-d{LOAD_S}", weir.url("/hello")],
                                  capture_output=True, text=True, timeout=LOAD_S + 60)
            for thread in threads:
                thread.join()
            print(load.stdout, "hang:", dict(hung), "crash:", dict(crashed))
            self.assertEqual(load.returncode, 0, load.stderr)
            self.assertNotIn("Non-2xx", load.stdout)
            self.assertNotIn("Socket errors", load.stdout)
            self.assertGreater(int(re.search(r"(\d+) requests in", load.stdout)[1]), 1000)
            # The neighbours get their own failures, each with a status of its own kind.
            self.assertEqual(set(hung), {504})
            self.assertEqual(set(crashed) - {504}, {502})
            wait_until(lambda: weir.status()["metrics"]["calls_in_flight"] == 0, "every call is back")


if __name__ == "__main__":
    weir_instance.main()
