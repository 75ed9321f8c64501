#!/usr/bin/env python3
# labels: integration long
# timeout: 300
"""Processes die at random moments under asynchronous load: every call that was accepted has run, and every
record is as it must be. WEIR_TEST_SEED repeats a run's order, WEIR_TEST_KILL_S sets another length."""

import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

import weir_instance
from survival import programs
from weir_instance import Instance, wait_until

SEED = int(os.environ.get("WEIR_TEST_SEED", time.time_ns() % 1_000_000))
SECONDS = float(os.environ.get("WEIR_TEST_KILL_S", "8"))
VICTIMS = ("weir-worker-queue", "weir-worker-queue", "weir-gateway", "weir-supervisor", "weir-ctrld", "weir-worker-native")


class Load:
    """Sends calls and remembers those that were accepted, by id, with what they carried."""

    def __init__(self, weir, threads=4):
        self.weir = weir
        self.accepted = {}
        self.refused = {}
        self.stopping = False
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self, thread):
        number = 0
        while not self.stopping:
            number += 1
            body = f"{thread}-{number}"
            try:
                answer = self.weir.request("POST", "/weir/async/default/echo", body.encode())
                if answer.status == 202:
                    self.accepted[answer.json()["activation"]] = body
                else:
                    self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
            except (OSError, http.client.HTTPException):
                self.refused["broken"] = self.refused.get("broken", 0) + 1

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class Kills(weir_instance.Case):
    def test_every_accepted_call_has_run(self):
        print(f"seed {SEED}", flush=True)
        order = random.Random(SEED)
        killed = {}
        with Instance(samples=True) as weir:
            weir.ctrlctl("config", "set", "async.retry", "50ms")
            weir.ctrlctl("config", "set", "async.retries", "50")
            load = Load(weir)
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                victim = order.choice(VICTIMS)
                for pid, _ in programs(weir, victim)[:order.choice((1, 2))]:
                    os.kill(pid, signal.SIGKILL)
                    killed[victim] = killed.get(victim, 0) + 1
                time.sleep(order.uniform(0.05, 0.6))
            load.stop()
            weir.wait_ready()
            self.assertGreater(len(load.accepted), 0, load.refused)

            def all_ended():
                answer = weir.request("GET", "/weir/async")
                counts = answer.json() if answer.status == 200 else {"ready": 1}
                return sum(counts.get(state, 0) for state in ("delayed", "ready", "running")) == 0 and counts
            counts = wait_until(all_ended, "no call waits or runs any more", 120)
            print(f"{len(load.accepted)} accepted, refused {load.refused}, killed {killed}, {counts}", flush=True)
            self.assertEqual((counts["dead"], counts["cancelled"]), (0, 0))
            self.assertGreaterEqual(counts["done"], len(load.accepted))
            database = sqlite3.connect(f"file:{weir.data}/queue/queue.db?mode=ro", uri=True)
            try:
                rows = database.execute("SELECT lower(hex(id)), state, CAST(answer AS TEXT), status, CAST(body AS TEXT), "
                                        "attempt, accepted_ms, begun_ms, ended_ms FROM calls").fetchall()
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            finally:
                database.close()
            kept = {row[0]: row for row in rows}
            for call, body in load.accepted.items():
                row = kept[call]
                self.assertEqual(row[1:5], (3, body, 200, body), json.dumps(row))
            for row in rows:
                self.assertTrue(row[5] >= 1 and row[6] <= row[7] <= row[8], row)


if __name__ == "__main__":
    weir_instance.main()
