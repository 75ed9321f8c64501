#!/usr/bin/env python3
# labels: integration
# timeout: 300
"""A pool's size over a day: load makes it grow, silence shrinks it to nothing, the first request wakes it,
people scale it while requests flow, and nothing of that costs a request."""

import concurrent.futures
import contextlib
import json
import os
import signal
import threading
import time

import weir_instance
from weir_instance import Instance, wait_until

POOL = "default/native"


def workers(weir, runtime="native", state="ready"):
    """The pids of a runtime's workers in that state, of the namespace `default`."""
    return {row["pid"] for row in weir.status()["processes"] if row["kind"] == "worker" and row["runtime"] == runtime
            and row["state"] == state and row["namespace"] == "default"}


def spaces(weir):
    """The namespaces of all workers that there are, sorted."""
    return sorted(row["namespace"] for row in weir.status()["processes"] if row["kind"] == "worker")


def pool(weir, name=POOL):
    """What `status` says of a pool."""
    return next(row for row in weir.status()["pools"] if row["pool"] == name)


def wait_workers(weir, count, runtime="native"):
    """Until exactly `count` are ready, and none is on its way in or out."""
    return wait_until(lambda: len(workers(weir, runtime)) == count and not workers(weir, runtime, "draining")
                      and not workers(weir, runtime, "starting"), f"{count} {runtime} workers are ready")


class Traffic:
    """Requests from `count` threads until the block ends; `answers` has the statuses, `others` what was not 200."""

    def __init__(self, weir, path, count, headers=None):
        self.headers = headers
        self.answers = []
        self.others = []
        self.failures = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(weir, path)) for _ in range(count)]

    def run(self, weir, path):
        while not self.ended.is_set():
            try:
                answer = weir.request("GET", path, headers=self.headers)
                self.answers.append(answer.status)
                if answer.status != 200:
                    self.others.append(answer)
            except OSError as failure:
                self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


class Autoscale(weir_instance.Case):
    def check_all_answered(self, traffic, at_least=1):
        self.assertEqual(traffic.failures, [])
        self.assertEqual(traffic.others, [])
        self.assertGreaterEqual(len(traffic.answers), at_least)

    @contextlib.contextmanager
    def instance(self, *pool_settings):
        """With pools that follow their load within a second, from none to three workers; each request takes
        a worker of its own, waiting ones too."""
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "pool.workers_min", "0")
            weir.ctrlctl("pool", "set", "*", "--workers-max", "3", "--scale-step", ".2", "--scale-samples", "5",
                         "--one-task", "on", *pool_settings)
            yield weir

    def test_load_grows_silence_shrinks_and_the_first_request_wakes(self):
        with self.instance() as weir:
            with Traffic(weir, "/sleep/50", 8) as traffic:
                wait_until(lambda: len(workers(weir)) == 3, "load made the pool grow to its maximum")
            self.check_all_answered(traffic)
            seen = [3]

            def shrunk():
                seen.append(len(workers(weir)))
                return seen[-1] == 0

            wait_until(shrunk, "silence shrank it to nothing")
            self.assertEqual(seen, sorted(seen, reverse=True))
            self.assertEqual(weir.request("GET", "/hello").status, 200)
            wait_until(lambda: len(workers(weir)) == 0, "it went again")
            with Traffic(weir, "/hello", 16) as traffic:
                wait_until(lambda: len(traffic.answers) >= 16, "sixteen that came at once were answered")
            self.check_all_answered(traffic)

    def test_many_that_come_at_once_start_no_stampede(self):
        with self.instance("--one-task", "off", "--workers-max", "16") as weir:
            wait_workers(weir, 0)
            before = pool(weir)["starts"]["count"]
            with concurrent.futures.ThreadPoolExecutor(32) as threads:
                statuses = list(threads.map(lambda _: weir.request("GET", "/hello").status, range(64)))
            self.assertEqual(statuses, [200] * 64)
            started = wait_until(lambda: pool(weir)["starts"]["count"] - before, "a start is counted")
            self.assertLess(started, 8)  # one, and perhaps some more where all CPUs were taken

    def test_cold_starts_are_counted_with_their_times(self):
        with self.instance() as weir:
            wait_workers(weir, 0)
            before = pool(weir)
            cold = weir.status()["metrics"]["calls_cold"]
            self.assertEqual(before["cold_starts"], {"count": 0, "mean_ms": 0, "last_ms": 0, "max_ms": 0})
            count = 0  # a request that was to be warm is another cold start where the worker had just gone
            for _ in range(2):
                self.assertEqual(weir.request("GET", "/hello").status, 200)
                now = wait_until(lambda: (row := pool(weir))["cold_starts"]["count"] > count and row, "it is counted")
                count = now["cold_starts"]["count"]
                self.assertGreaterEqual(now["starts"]["count"], before["starts"]["count"] + count)
                self.assertGreater(now["starts"]["last_ms"], 0)
                # The request waits for the start and is answered after it.
                self.assertGreaterEqual(now["cold_starts"]["last_ms"], now["starts"]["last_ms"])
                self.assertGreaterEqual(now["cold_starts"]["max_ms"], now["cold_starts"]["mean_ms"])
                self.assertEqual(weir.request("GET", "/hello").status, 200)  # warm
                wait_workers(weir, 0)
            count = pool(weir)["cold_starts"]["count"]
            self.assertEqual(weir.status()["metrics"]["calls_cold"], cold + count)
            self.assertIn(count, (2, 3, 4))
            told = json.loads(weir.ctrlctl("fn", "get", "hello", "-o", "json").stdout)["pools"][0]
            self.assertEqual(told["cold_starts"], pool(weir)["cold_starts"])
            self.assertIn(f"{count} cold ones", weir.ctrlctl("fn", "get", "hello").stdout)
            self.assertIn(POOL, weir.ctrlctl("status").stdout)
            os.kill(weir.pid_of("weir-supervisor"), signal.SIGKILL)
            wait_until(lambda: weir.ctrlctl("ready", check=False).returncode == 0 and
                       pool(weir)["cold_starts"] == told["cold_starts"], "another supervisor goes on counting")

    def test_a_warm_floor_is_kept(self):
        with self.instance("--workers-min", "2") as weir:
            wait_workers(weir, 2)
            with Traffic(weir, "/sleep/50", 8) as traffic:
                wait_until(lambda: len(workers(weir)) == 3, "load made the pool grow")
            self.check_all_answered(traffic)
            wait_workers(weir, 2)

    def test_scaling_by_hand_under_traffic_loses_nothing_and_outlives_a_restart(self):
        with self.instance() as weir:
            with Traffic(weir, "/sleep/5", 4) as traffic:
                for count in (3, 1, 4, 2):
                    weir.ctrlctl("fn", "scale", "sleep", str(count))
                    wait_workers(weir, count)
                    answered = len(traffic.answers)
                    wait_until(lambda: len(traffic.answers) > answered + 20, f"{count} workers serve")
            self.check_all_answered(traffic)
            pool = json.loads(weir.ctrlctl("fn", "get", "sleep", "-o", "json").stdout)["pools"][0]
            self.assertEqual((pool["pool"], pool["workers_min"], pool["workers_max"]), (POOL, 2, 2))
            self.assertIn("default/native, 2 workers, shared by", weir.ctrlctl("fn", "get", "sleep").stdout)
            self.assertEqual(weir.stop(), 0)
            weir.start(wait=False)
            weir.wait_ready()
            wait_workers(weir, 2)
            weir.ctrlctl("fn", "scale", "sleep", "1..2")
            wait_workers(weir, 1)
            weir.ctrlctl("fn", "scale", "sleep", "auto")
            wait_workers(weir, 0)
            self.assertEqual(weir.request("GET", "/hello").status, 200)

    def test_each_spec_of_a_function_is_scaled_by_itself(self):
        with self.instance() as weir:
            weir.ctrlctl("fn", "add", "sized", "--runtime", "native", "--file", weir_instance.SAMPLES / "native" / "hello.so",
                         "--spec", "cpu=200,memory=64,min=0,max=8", "--spec", "cpu=400,memory=64,min=0,max=8")
            done = weir.ctrlctl("fn", "scale", "sized", "2", check=False)
            self.assertEqual(done.returncode, 7)
            self.assertIn("cpu 200 memory 64, cpu 400 memory 64", done.stderr)
            done = weir.ctrlctl("fn", "scale", "sized", "2", "--cpu", "300", "--memory", "64", check=False)
            self.assertEqual(done.returncode, 7)
            weir.ctrlctl("fn", "scale", "sized", "2", "--cpu", "400", "--memory", "64")
            wait_until(lambda: pool(weir, "default/native:400x64")["ready"] == 2, "the larger spec has two workers")
            self.assertEqual(pool(weir, "default/native:200x64")["ready"], 0)
            # What is set for all pools does not stand above what functions name for their specs.
            self.assertEqual(pool(weir, "default/native:200x64")["workers_max"], 8)
            weir.ctrlctl("fn", "scale", "sized", "auto", "--cpu", "400", "--memory", "64")
            wait_until(lambda: pool(weir, "default/native:400x64")["ready"] == 0, "and none again")
            self.assertEqual(weir.ctrlctl("fn", "invoke", "sized").returncode, 0)

    def test_a_pool_is_scaled_by_so_many(self):
        with self.instance() as weir:
            weir.ctrlctl("fn", "add", "sized", "--runtime", "native", "--file", weir_instance.SAMPLES / "native" / "hello.so",
                         "--spec", "cpu=200,memory=64,min=1,max=4")
            for by, bounds in (("+2", (3, 4)), ("+9", (4, 4)), ("-1", (3, 4)), ("+0", (3, 4)), ("-100000", (1, 4)),
                               ("2", (2, 2)), ("+1", (3, 3)), ("-9", (1, 1)), ("0..2", (0, 2)), ("+9", (2, 2)), ("-9", (1, 1))):
                weir.ctrlctl("fn", "scale", "sized", "--", by)
                found = pool(weir, "default/native:200x64")
                self.assertEqual((found["workers_min"], found["workers_max"]), bounds, by)
            wait_until(lambda: pool(weir, "default/native:200x64")["ready"] == 1, "one worker is left")
            weir.ctrlctl("fn", "scale", "sized", "auto")
            for by in ("+100001", "+1.5", "+", "+-1"):
                self.assertIn(weir.ctrlctl("fn", "scale", "sized", by, check=False).returncode, (2, 7), by)

    def test_requests_that_ask_count_as_what_they_ask_for(self):
        with self.instance("--one-task", "off") as weir:
            weir.ctrlctl("fn", "add", "sized", "--runtime", "native", "--file", weir_instance.SAMPLES / "native" / "sleep.so",
                         "--spec", "cpu=1000,memory=64,min=0,max=8")
            weir.ctrlctl("route", "add", "GET /nap/{ms}", "--fn", "sized")
            # They sleep, so one worker could have all six; but each asks for half of one.
            with Traffic(weir, "/nap/500", 6, {"x-weir-cpu-millicores": "500"}) as traffic:
                wait_until(lambda: (pool(weir, "default/native:1000x64")["target"] or 0) >= 3, "three workers are asked for")
                wait_until(lambda: pool(weir, "default/native:1000x64")["ready"] >= 3, "and there")
            self.check_all_answered(traffic)
            wait_until(lambda: pool(weir, "default/native:1000x64")["ready"] == 0, "and go when nobody asks")

    def test_what_cannot_be_is_refused_with_what_is_right(self):
        with self.instance() as weir:
            for count, word in (("0", "0..16"), ("x", "0..16"), ("3..", "0..16"), ("..3", "0..16"), ("-1", ""),
                                ("401", "from 0 to 400"), ("5..2", "workers_max, 2"), ("0..0", "from 1 to 400")):
                done = weir.ctrlctl("fn", "scale", "sleep", count, check=False)
                self.assertIn(done.returncode, (2, 7), (count, done))
                self.assertIn(word, done.stderr, count)
            self.assertEqual(weir.ctrlctl("fn", "scale", "nowhere", "2", check=False).returncode, 5)
            self.assertEqual(weir.ctrlctl("pool", "set", POOL, "--workers-min", "4", check=False).returncode, 7)
            for option, value in (("--scale-step", "0.049"), ("--scale-samples", "0"), ("--scale-samples", "121"),
                                  ("--scale-samples", "1.5"), ("--scale-threshold", "0"), ("--workers-max", "0")):
                done = weir.ctrlctl("pool", "set", POOL, option, value, check=False)
                self.assertEqual((done.returncode, "is a number from" in done.stderr), (7, True), (option, done))

    @contextlib.contextmanager
    def one_of_two_drains(self):
        """Two workers with a call each, of which one is on its way out: (weir, its pid, statuses to be).
        The calls have ended behind the block."""
        with self.instance() as weir:
            weir.ctrlctl("fn", "scale", "sleep", "2")
            wait_workers(weir, 2)
            statuses = []
            threads = [threading.Thread(target=lambda: statuses.append(weir.request("GET", "/sleep/3000").status))
                       for _ in range(2)]
            for thread in threads:
                thread.start()
            wait_until(lambda: sum(row["accepted"] - row["finished"] for row in weir.status()["processes"]
                                   if row["kind"] == "worker") == 2, "both workers run one")
            weir.ctrlctl("fn", "scale", "sleep", "1")
            draining = wait_until(lambda: workers(weir, state="draining"), "one worker drains")
            yield weir, draining.pop(), statuses
            for thread in threads:
                thread.join()
            wait_workers(weir, 1)
            self.assertEqual(weir.request("GET", "/hello").status, 200)

    def test_a_worker_that_is_killed_while_it_drains_fails_only_what_it_had(self):
        with self.one_of_two_drains() as (_, draining, statuses):
            os.kill(draining, signal.SIGKILL)
        self.assertEqual(sorted(statuses), [200, 502])

    def test_a_worker_drains_on_under_another_supervisor(self):
        with self.one_of_two_drains() as (weir, draining, statuses):
            os.kill(weir.pid_of("weir-supervisor"), signal.SIGKILL)
            wait_until(lambda: draining in workers(weir, state="draining"), "another supervisor lets it drain")
        self.assertEqual(statuses, [200, 200])

    def test_who_was_used_longest_ago_makes_room(self):
        with self.instance() as weir:
            def serve(space):
                self.assertEqual(weir.ctrlctl("fn", "invoke", f"{space}/hello").returncode, 0)
                return wait_until(lambda: spaces(weir) if space in spaces(weir) else None, f"{space} has a worker")

            for space in ("a", "b", "c"):
                weir.ctrlctl("fn", "add", f"{space}/hello", "--runtime", "native", "--file",
                             weir_instance.SAMPLES / "native" / "hello.so")
            wait_until(lambda: spaces(weir) == [], "no worker of the first moments is left")
            weir.ctrlctl("pool", "set", "*", "--scale-step", "3600")  # nothing more shrinks by itself
            weir.ctrlctl("config", "set", "workers_max", "2")
            serve("a")
            time.sleep(2.5)
            serve("b")
            self.assertEqual(serve("c"), ["b", "c"])
            time.sleep(2.5)  # when a pool was used is known to the second
            serve("b")
            self.assertEqual(serve("a"), ["a", "b"])
            weir.ctrlctl("config", "set", "resident_bytes_max", "1")
            serve("b")  # who is there stays
            done = weir.ctrlctl("fn", "add", "d/hello", "--runtime", "native", "--file",
                                weir_instance.SAMPLES / "native" / "hello.so", "--timeout", "2s")
            self.assertEqual(done.returncode, 0)  # what there is no room for is added all the same,
            self.assertEqual(weir.ctrlctl("fn", "invoke", "d/hello", check=False).returncode, 1)  # and waits in vain
            weir.ctrlctl("config", "unset", "resident_bytes_max")
            serve("d")


if __name__ == "__main__":
    weir_instance.main()
