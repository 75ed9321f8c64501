#!/usr/bin/env python3
# labels: integration long
# timeout: 900
"""All processes but the keeper die in random order for a minute, under load and while the configuration
changes: service resumes each time, no answer is wrong, all counts return and no change is lost.
WEIR_TEST_SEED repeats a run's order, WEIR_TEST_KILL_S sets another length."""

import json
import os
import random
import threading
import time

import weir_instance
from survival import SERVING, Load, Survival, kill, programs
from weir_instance import Instance, wait_until

SEED = int(os.environ.get("WEIR_TEST_SEED", time.time_ns() % 1_000_000))
SECONDS = float(os.environ.get("WEIR_TEST_KILL_S", "60"))
SAVED = (0, 9)  # exit codes of ctrlctl: done; saved but not acknowledged yet


class Changes:
    """Adds one route after the other and remembers which were saved."""

    def __init__(self, weir):
        self.weir = weir
        self.saved = []
        self.refused = {}
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        number = 0
        while not self.stopping:
            number += 1
            done = self.weir.ctrlctl("route", "add", f"GET /made/{number}", "--fn", "hello", check=False)
            if done.returncode in SAVED:
                self.saved.append(f"/made/{number}")
            else:
                self.refused[done.returncode] = self.refused.get(done.returncode, 0) + 1
            time.sleep(0.1)

    def stop(self):
        self.stopping = True
        self.thread.join()


class KillAll(Survival):
    def victims(self, weir, order):
        """Some process's pid or, now and then, all of them."""
        choice = order.choice(SERVING + ("weir-supervisor", "weir-worker", "all"))
        if choice == "all":
            chosen = [pid for pid, program in programs(weir) if program != "weir-keeper"]
            order.shuffle(chosen)
        elif choice == "weir-worker":
            chosen = [pid for pid, program in programs(weir) if program.startswith("weir-worker-")]
        else:
            chosen = [pid for pid, _ in programs(weir, choice)[:1]]
        return choice, chosen

    def test_random_kills_lose_nothing(self):
        print(f"seed {SEED}", flush=True)
        order = random.Random(SEED)
        with Instance(samples=True) as weir:
            with self.counts_return(weir):
                resumed = {}
                with Load(weir) as load:
                    changes = Changes(weir)
                    until = time.monotonic() + SECONDS
                    while time.monotonic() < until:
                        choice, pids = self.victims(weir, order)
                        for pid in pids:
                            kill(pid)
                        resumed.setdefault(choice, []).append(load.wait_answers(5))
                        time.sleep(order.uniform(0, 1.2))
                    changes.stop()
                    load.stop()
                self.assertEqual(load.wrong(), [])
                self.assertLessEqual(set(load.failures()), {502, 503, "broken"}, load.texts)
                weir.wait_ready()
            for choice, seconds in sorted(resumed.items()):
                print(f"{choice}: {len(seconds)} kills, the slowest next 5 answers after {max(seconds):.3f} s")
            print(f"{load.answers} answers, {len(load.failures())} failures, {len(changes.saved)} routes saved, "
                  f"refused with {changes.refused}", flush=True)
            self.assertGreater(len(changes.saved), 0)
            listed = {row["pattern"] for row in json.loads(weir.ctrlctl("route", "list", "-o", "json").stdout)}
            self.assertLessEqual(set(changes.saved), listed)
            for path in changes.saved:
                wait_until(lambda: weir.request("GET", path).status == 200, f"{path} is served")


if __name__ == "__main__":
    weir_instance.main()
