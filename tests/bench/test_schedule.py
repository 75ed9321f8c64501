"""bench/schedule: every policy is measured in every scenario, and what is said of it is whole."""

import os
import pathlib
import subprocess
import sys
import unittest

BENCH = pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench"
BUILD = pathlib.Path(os.environ["WEIR_BIN"]).parent
POLICIES = ("score", "least-in-flight", "two-choices", "round-robin", "random", "c-seed")


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

    def test_wrong_use_is_told(self):
        self.assertEqual(run("--rounds", "0").returncode, 2)
        self.assertEqual(run("--scenario", "nothing").returncode, 2)


if __name__ == "__main__":
    unittest.main()
