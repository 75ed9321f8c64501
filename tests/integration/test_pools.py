#!/usr/bin/env python3
# labels: integration
# timeout: 200
"""How pools choose workers: ctrlctl pool set, and that the data path does it while requests flow."""

import concurrent.futures
import json

import weir_instance
from weir_instance import Instance, wait_until

POOL = "default/native"
PYTHON_FUNCTION = 'def handler(request):\n    return "hello"\n'


def pool(weir, name=POOL):
    return json.loads(weir.ctrlctl("pool", "get", name, "-o", "json").stdout)


def burst(weir, path, count):
    """Statuses of `count` requests at a time."""
    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        return [answer.status for answer in threads.map(lambda _: weir.request("GET", path), range(count))]


def workers(weir):
    """{worker: calls started} of the native pool's ready ones."""
    return {row["worker"]: row["accepted"] for row in weir.status()["processes"]
            if row["kind"] == "worker" and row["runtime"] == "native" and row["state"] == "ready"}


class Pools(weir_instance.Case):
    def test_settings_are_kept_listed_and_reset(self):
        with Instance(samples=True) as weir:
            self.assertEqual(pool(weir)["policy"], "score")
            self.assertEqual((pool(weir)["alpha"], pool(weir)["ema"], pool(weir)["set"]), (0.5, 0.7, []))
            weir.ctrlctl("pool", "set", "*", "--delta", "2")
            weir.ctrlctl("pool", "set", POOL, "--policy", "two-choices", "--alpha", ".25", "--one-task", "on")
            self.assertEqual((pool(weir)["policy"], pool(weir)["alpha"], pool(weir)["delta"]), ("two-choices", 0.25, 2))
            self.assertEqual(pool(weir)["set"], ["alpha", "one_task", "policy"])
            rows = {row["pool"]: row for row in json.loads(weir.ctrlctl("pool", "list", "-o", "json").stdout)}
            self.assertEqual(rows["*"]["delta"], 2)
            self.assertTrue(rows[POOL]["one_task"])
            self.assertIn("two-choices", weir.ctrlctl("pool", "list").stdout)
            weir.ctrlctl("pool", "set", POOL, "--reset")
            self.assertEqual((pool(weir)["policy"], pool(weir)["delta"], pool(weir)["set"]), ("score", 2, []))

    def test_wrong_names_and_values_are_refused_with_what_is_right(self):
        with Instance(samples=True) as weir:
            done = weir.ctrlctl("pool", "set", POOL, "--policy", "best", check=False)
            self.assertEqual(done.returncode, 7)
            self.assertIn("least-in-flight", done.stderr)
            for value in ("10.5", "-1", "x", ".1234", ""):
                self.assertEqual(weir.ctrlctl("pool", "set", POOL, "--alpha", value, check=False).returncode, 7, value)
            self.assertEqual(weir.ctrlctl("pool", "set", POOL, "--ema", "1", check=False).returncode, 7)
            self.assertEqual(weir.ctrlctl("pool", "set", "default/none", "--ema", "0", check=False).returncode, 5)
            self.assertEqual(weir.ctrlctl("pool", "get", "nowhere/native", check=False).returncode, 5)
            self.assertEqual(weir.ctrlctl("pool", "set", POOL, check=False).returncode, 2)
            self.assertEqual(pool(weir)["set"], [])

    def test_a_pool_of_one_function_has_its_name(self):
        with Instance() as weir:
            path = weir.home / "hi.py"
            path.write_text(PYTHON_FUNCTION)
            if weir.ctrlctl("fn", "deploy", str(path), check=False).returncode != 0:
                self.skipTest("no Python runtime here")
            weir.ctrlctl("pool", "set", "default/python/hi", "--policy", "random")
            self.assertEqual(pool(weir, "default/python/hi")["policy"], "random")

    def test_every_policy_serves_and_changes_while_requests_flow(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "pool.workers_min", "3")
            wait_until(lambda: len(workers(weir)) == 3, "three workers are ready")
            for name in ("round-robin", "least-in-flight", "two-choices", "random", "score"):
                before = workers(weir)
                weir.ctrlctl("pool", "set", POOL, "--policy", name)
                self.assertEqual(burst(weir, "/sleep/5", 12), [200] * 12, name)
                wait_until(lambda seen=sum(before.values()): sum(workers(weir).values()) - seen == 12,
                           f"all calls are counted with {name}")

    def test_round_robin_takes_each_in_turn(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "pool.workers_min", "3")
            weir.ctrlctl("config", "set", "pool.workers_max", "3")
            weir.ctrlctl("pool", "set", POOL, "--policy", "round-robin")
            wait_until(lambda: len(workers(weir)) == 3, "three workers are ready")
            before = workers(weir)
            for _ in range(30):
                self.assertEqual(weir.request("GET", "/ping").status, 200)
            wait_until(lambda: sum(workers(weir).values()) - sum(before.values()) == 30, "all are counted")
            shards = len(weir.status()["shards"])
            for worker, calls in workers(weir).items():
                # Each shard goes round its own workers: evenly where there is one.
                self.assertGreaterEqual(calls - before[worker], 10 if shards == 1 else 1)

    def test_scores_show_every_worker_and_the_last_picks(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "pool.workers_min", "2")
            wait_until(lambda: len(workers(weir)) == 2, "two workers are ready")
            self.assertEqual(burst(weir, "/sleep/50", 4), [200] * 4)

            def seen():
                self.assertEqual(weir.request("GET", "/sleep/1").status, 200)
                rows = json.loads(weir.ctrlctl("status", "--scores", "-o", "json").stdout)
                mine = [row for row in rows["scores"] if row["pool"] == POOL]
                return rows if len(mine) == 2 and sum(row["picks"] for row in mine) >= 4 else None

            rows = wait_until(seen, "both workers are shown with their calls")
            for row in (row for row in rows["scores"] if row["pool"] == POOL):
                self.assertEqual((row["policy"], row["weights"]["delta"]), ("score", 1))
                for term in ("cpu", "mem", "io", "remote"):
                    self.assertTrue(0 <= row[term] <= 1, row)
                self.assertIn(row["source"], ("probes", "clocks", "none"))
            self.assertEqual({pick["pool"] for pick in rows["picks"]} - {POOL}, set())
            self.assertGreaterEqual(len(rows["picks"]), 2)
            text = weir.ctrlctl("status", "--scores").stdout
            self.assertIn("IN FLIGHT", text)
            self.assertIn("PICKED", text)
            self.assertNotIn("\033", text)
            wait_until(lambda: "they do before they pick again" in weir.ctrlctl("status", "--scores").stdout,
                       "what an idle instance shows is old, and it says so")

    def test_one_task_holds_with_several_shards(self):
        with Instance(extra=("--shards", "2")) as weir:
            # Each call finds a directory of its worker's own /tmp, or fails: exec would run many at once.
            program = weir.home / "alone.sh"
            program.write_text("#!/bin/sh\nmkdir /tmp/busy || exit 1\nsleep 0.02\nrmdir /tmp/busy\necho done\n")
            program.chmod(0o755)
            weir.ctrlctl("config", "set", "pool.workers_min", "2")
            weir.ctrlctl("config", "set", "pool.workers_max", "2")
            weir.ctrlctl("fn", "add", "alone", "--runtime", "exec", "--file", program)
            weir.ctrlctl("pool", "set", "default/exec", "--one-task", "on", "--policy", "random")
            weir.ctrlctl("route", "add", "GET /alone", "--fn", "alone")
            weir.ctrlctl("ready", "--wait", "30s")
            for _ in range(4):
                self.assertEqual(burst(weir, "/alone", 16), [200] * 16)

    def test_one_task_means_one_at_a_time(self):
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "pool.workers_min", "2")
            weir.ctrlctl("config", "set", "pool.workers_max", "2")
            weir.ctrlctl("pool", "set", POOL, "--one-task", "on", "--policy", "random")
            self.assertEqual(burst(weir, "/sleep/20", 8), [200] * 8)
            self.assertEqual(weir.request("GET", "/sleep/1").status, 200)


if __name__ == "__main__":
    weir_instance.main()
