"""bench/schedule: every policy is measured in every scenario, and what is said of it is whole."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
BENCH = pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench"
BUILD = pathlib.Path(os.environ["WEIR_BIN"]).parent
POLICIES = ("score", "least-in-flight", "two-choices", "round-robin", "random", "c-seed")
sys.path.insert(0, str(BENCH))
import results

loader = importlib.machinery.SourceFileLoader("schedule", str(BENCH / "schedule"))
schedule = importlib.util.module_from_spec(importlib.util.spec_from_loader("schedule", loader))
loader.exec_module(schedule)


def run(*arguments):
    return subprocess.run([sys.executable, str(BENCH / "schedule"), "--build", str(BUILD), "--dry", *arguments],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


class Schedule(unittest.TestCase):
    def test_a_short_run_measures_every_policy(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one CPU: workers on two are what is compared")
        done = run("--rounds", "1", "--seconds", "0.5", "--scenario", "stall")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|") and "---" not in line]
        self.assertEqual(rows, ["policy", *POLICIES])

    def test_the_targets_come_from_where_the_score_does_worst(self):
        class Played:
            """Every policy has a p99 of 4 ms; the score 2 ms, but 3 ms beside the writer and 4.4 ms for long calls."""

            @staticmethod
            def median(name, policy, place, _):
                return {"writer": 3000, "mixed": 4400 if place else 2000}.get(name, 2000) if policy == "score" else 4000

        found = schedule.measured(Played)
        self.assertAlmostEqual(found["schedule-best"][0], 1.1)
        self.assertIn("mixed", found["schedule-best"][1])
        self.assertAlmostEqual(found["schedule-unequal"][0], 4 / 3)
        self.assertEqual(found["schedule-unequal"][1], "writer")
        self.assertLessEqual(set(found), {key for key, *_ in results.TARGETS})

    def test_wrong_use_is_told(self):
        self.assertEqual(run("--rounds", "0").returncode, 2)
        self.assertEqual(run("--scenario", "nothing").returncode, 2)


if __name__ == "__main__":
    unittest.main()
