"""weir-bench-micro and bench/micro: every step runs, hand-offs arrive, wrong use is told."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

BENCH = pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench"
PROGRAM = pathlib.Path(os.environ["WEIR_BIN"]) / "weir-bench-micro"


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


class Steps(unittest.TestCase):
    def test_every_step_that_is_listed_runs_and_names_its_operations(self):
        names = run(PROGRAM, "--list").stdout.split()
        self.assertGreater(len(names), 20)
        self.assertEqual(len(set(names)), len(names))
        done = run(PROGRAM, "--passes", 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([row["name"] for row in rows], names)
        for row in rows:
            self.assertGreater(row["operations"], 0)

    def test_a_step_is_chosen_by_the_beginning_of_its_name(self):
        done = run(PROGRAM, "--only", "ring-1", "--milliseconds", 1)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([row["name"] for row in rows], ["ring-1", "ring-16"])
        for row in rows:
            self.assertGreater(row["ns"], 0)

    def test_an_unknown_step_is_told(self):
        done = run(PROGRAM, "--only", "nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no benchmark begins with 'nothing'", done.stderr)


class Handoff(unittest.TestCase):
    def check(self, *arguments):
        done = run(PROGRAM, "--handoff", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertGreater(result["p50_ns"], 0)
        self.assertLessEqual(result["p50_ns"], result["p99_ns"])
        self.assertLessEqual(result["p99_ns"], result["max_ns"])
        return result

    def test_calls_arrive_between_two_ends_that_sleep(self):
        self.assertEqual(self.check("asleep", "--calls", 300)["calls"], 300)

    def test_calls_arrive_between_two_ends_that_stay_awake(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one CPU: the ends would wait for each other's time slices")
        self.check("awake", "--calls", 3000)

    def test_wrong_use_is_told(self):
        for arguments in (("--handoff", "dozing"), ("--calls", "0"), ("--passes", "x"), ("more",)):
            done = run(PROGRAM, *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("usage:", done.stderr)

    def test_a_cpu_that_is_not_there_is_told(self):
        done = run(PROGRAM, "--handoff", "asleep", "--gateway-cpu", 1000, "--calls", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot run on the CPU", done.stderr)


class Script(unittest.TestCase):
    def test_it_makes_a_table_and_leaves_the_page_alone(self):
        page = (BENCH / "RESULTS.md").read_text()
        done = run(BENCH / "micro", "--build", PROGRAM.parent.parent, "--only", "ring", "--rounds", 2, "--milliseconds", 1,
                   "--no-callgrind")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\| the same, 16 messages a batch +\| +ring-16 \| +[\d.]+ \| +\d+ % \| +- \|")
        self.assertEqual((BENCH / "RESULTS.md").read_text(), page)

    def test_a_folder_without_the_program_is_named(self):
        done = run(BENCH / "micro", "--build", "/nonexistent")
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent/bin/weir-bench-micro is not built", done.stderr)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
