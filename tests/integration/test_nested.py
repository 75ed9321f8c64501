#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""Functions that call each other, on the real platform."""

import concurrent.futures
import json
import pathlib
import re
import subprocess
import threading
import unittest

import weir_instance
from weir_instance import BIN, SOURCE, Instance, wait_until


class Nested(weir_instance.Case):
    def deploy(self, weir):
        module = pathlib.Path(weir.home) / "nest.so"
        # As a user builds it: the public header and nothing else.
        subprocess.run(["cc", "-O2", "-fPIC", "-shared", "-I", SOURCE / "dataplane/sdk", "-o", module,
                        SOURCE / "tests/integration/function_nest.c"], check=True)
        weir.ctrlctl("fn", "add", "nest", "--runtime", "native", "--file", module)
        weir.ctrlctl("route", "add", "ANY /nest", "--fn", "nest")
        weir.ctrlctl("route", "add", "ANY /hasty", "--fn", "nest", "--timeout", "1s")

    def ask(self, weir, query, path="/nest"):
        answer = weir.request("GET", f"{path}?{query}", timeout_s=60)
        return answer, answer.body.decode(errors="replace")

    def metric(self, weir, name):
        return weir.status()["metrics"][name]

    def test_the_sample_wraps_what_hello_says(self):
        with Instance(samples=True) as weir:
            answer = weir.request("GET", "/chain")
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
            self.assertEqual(answer.json()["called"], "hello")
            self.assertEqual(answer.json()["status"], 200)
            direct = weir.request("GET", "/hello")
            self.assertEqual(answer.json()["answer"], direct.json())
            self.assertEqual(weir.request("GET", "/chain?function=nothing").json()["status"], 404)
            answer = weir.request("GET", "/chain?one-way=1").json()
            self.assertEqual(answer["status"], 202)
            self.assertRegex(answer["answer"]["activation"], "^[0-9a-f]{32}$")
            wait_until(lambda: self.metric(weir, "nested_in_use") == 0, "the one-way call has run")
            self.assertEqual(self.metric(weir, "calls_one_way"), 1)
            self.assertEqual(self.metric(weir, "calls_one_way_failed"), 0)

    def test_every_rule_holds(self):
        with Instance(samples=True) as weir:
            self.deploy(weir)
            with self.subTest("the called function knows its caller"):
                answer, text = self.ask(weir, "ask")
                caller = answer.headers["x-openwhisk-activation-id"]
                self.assertIn(f"depth 1 parent {caller} own ", text)
                self.assertIn("peer function", text)
                made = re.search(r"activation ([0-9a-f]{32})\n.* own ([0-9a-f]{32})", text)
                self.assertEqual(made[1], made[2])
                _, text = self.ask(weir, "who")
                self.assertIn("depth 0 parent  own", text)
            with self.subTest("bodies of every size come back"):
                for size in (0, 1, 4000, 16384, 16385, 65536, 100000, 1 << 20):
                    _, text = self.ask(weir, f"echo{size}")
                    self.assertRegex(text, "^result 0 status 200 ", f"{size} bytes")
                _, text = self.ask(weir, f"echo{(1 << 20) + 1}")
                self.assertIn("result -90 ", text)  # EMSGSIZE
            with self.subTest("a circle ends with a clear error"):
                answer, text = self.ask(weir, "circle")
                self.assertEqual(answer.status, 200)
                self.assertEqual(text.count("status 200"), 16)
                self.assertIn("status 508", text)
                self.assertIn("call_depth", text)
            with self.subTest("four at once, 64 in all"):
                _, text = self.ask(weir, "fan")
                self.assertEqual(text, "made 64 refused 5")
            with self.subTest("the deadline is inherited, and nothing goes on after it"):
                answer, text = self.ask(weir, "late", path="/hasty")
                # Both pass theirs in the same moment; the caller may get to tell of it.
                self.assertTrue(answer.status == 504 or "status 504" in text, f"{answer} {text}")
                wait_until(lambda: self.metric(weir, "calls_in_flight") == 0, "all calls are back")
            with self.subTest("a one-way call runs after its caller, and its log names it"):
                _, text = self.ask(weir, "after")
                activation = re.search(r'"activation":"([0-9a-f]{32})"', text)[1]
                wait_until(lambda: "noted" in weir.ctrlctl("call", "logs", activation, check=False).stdout,
                           "it was noted")
            with self.subTest("many callers at once"):
                texts = []
                threads = [threading.Thread(target=lambda: [texts.append(self.ask(weir, "circle")[1])
                                                            for _ in range(5)]) for _ in range(12)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.assertEqual(len(texts), 60)
                for text in texts:  # a full pool refuses at once, which ends the circle sooner
                    self.assertRegex(text, "call_depth|no_worker|queue_full")
            with self.subTest("a crash below is an answer above, and the next call is right"):
                answer, text = self.ask(weir, "victim")
                self.assertTrue(answer.status == 502 or "status 502" in text, f"{answer} {text}")
                wait_until(lambda: self.ask(weir, "ask")[0].status == 200, "the function serves again")
            self.assertEqual(self.metric(weir, "nested_in_use"), 0)

    def test_a_pool_of_one_worker_is_never_stuck(self):
        """Callers and called share the only worker: what they get differs with the runtime, but all get it soon."""
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "pool.workers_max", "1")
            self.deploy(weir)

            def all_at_once(path):
                with concurrent.futures.ThreadPoolExecutor(64) as pool:
                    answers = list(pool.map(lambda n: weir.request("POST", path, json.dumps({"name": f"n{n}"}), timeout_s=120),
                                            range(64)))
                wait_until(lambda: self.metric(weir, "nested_in_use") == 0, "nothing is left")
                self.assertEqual({answer.status for answer in answers}, {200}, answers)
                return [answer.json() for answer in answers]

            with self.subTest("calls that wait give others their place"):
                for path in ("/chain", "/chain?function=chain"):
                    answers = all_at_once(path)
                    wrong = [answer for answer in answers if answer["status"] != 200]
                    self.assertEqual({answer["answer"]["code"] for answer in wrong} - {"no_worker"}, set())
                    self.assertLess(len(wrong), 32, "only when all its places were taken by callers")
            with self.subTest("a script in PHP keeps its worker while it waits"):
                if not (BIN / "weir-worker-php").exists():
                    self.skipTest("weir-worker-php is not built")
                for name in ("hello", "chain"):
                    weir.ctrlctl("fn", "add", f"php-{name}", "--runtime", "php",
                                 "--file", SOURCE / f"dataplane/sdk/samples/php/{name}.php")
                weir.ctrlctl("route", "add", "ANY /php-chain", "--fn", "php-chain")
                answers = all_at_once("/php-chain")  # of another runtime: that has a worker of its own
                self.assertEqual({answer["status"] for answer in answers}, {200})
                answers = all_at_once("/php-chain?function=php-hello")
                self.assertEqual({(answer["status"], answer["answer"]["code"]) for answer in answers}, {(503, "no_worker")})
                weir.ctrlctl("config", "set", "pool.workers_max", "4")
                answers = all_at_once("/php-chain?function=php-hello")
                good = sum(answer["status"] == 200 for answer in answers)
                self.assertGreater(good, 32, "three workers call, one is kept for what they call")


if __name__ == "__main__":
    weir_instance.main()
