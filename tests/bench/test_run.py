"""bench/run from end to end, with the servers that are at hand: tables come out, nothing stays."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(os.environ["WEIR_SOURCE"])
sys.path.insert(0, str(SOURCE / "bench"))
import machine

BUILD = os.environ["WEIR_BUILD"]
HAS_NGINX = bool(shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"))


def run(*arguments):
    return subprocess.run([sys.executable, SOURCE / "bench" / "run", "--quick", "--dry", "--build", BUILD, *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if len(os.sched_getaffinity(0)) < 2 or not {0, 1} <= os.sched_getaffinity(0):
            print("needs CPUs 0 and 1", file=sys.stderr)
            sys.exit(77)

    def result(self, *arguments):
        with tempfile.TemporaryDirectory() as home:
            path = pathlib.Path(home) / "rounds.json"
            page = (SOURCE / "bench" / "RESULTS.md").read_text()
            done = run("--json", str(path), *arguments)
            if "cannot use io_uring" in done.stderr:
                self.skipTest(done.stderr)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((SOURCE / "bench" / "RESULTS.md").read_text(), page, "--dry wrote the page")
            self.assertEqual([line for line in machine.tree([os.getpid()]).values() if "bench" in line or "nginx" in line], [])
            return done, json.loads(path.read_text())

    @unittest.skipUnless(HAS_NGINX, "nginx is not installed")
    def test_an_open_loop_asks_for_a_share_of_the_peak_of_nginx(self):
        done, rounds = self.result("--peers", "nginx,ceiling", "--scenarios", "64,open")
        self.assertEqual(set(rounds), {"64 nginx", "64 ceiling", "open nginx", "open ceiling"})
        asked = {result["rate_asked"] for name in ("open nginx", "open ceiling") for result in rounds[name]}
        self.assertEqual(asked, {round(0.7 * rounds["64 nginx"][0]["rate"])})
        for heading in ("### 64 connections", "### Open loop", "## Targets"):
            self.assertIn(heading, done.stdout)
        self.assertNotIn("### 8 connections", done.stdout)

    def test_an_echo_is_compared_by_bytes(self):
        done, rounds = self.result("--scenarios", "echo-64k")
        self.assertIn("echo-64k weir-echo", rounds)
        for name, found in rounds.items():
            self.assertEqual((found[0]["body_bytes"], found[0]["errors"]), (65536, 0), name)
        if HAS_NGINX:
            self.assertIn("buffering off", done.stdout)

    def test_a_server_that_is_not_there_is_left_out_and_said(self):
        with tempfile.TemporaryDirectory() as empty:
            (pathlib.Path(empty) / "bin").mkdir()
            for name in ("weir-bench-load", "weir-bench-responder"):
                (pathlib.Path(empty) / "bin" / name).symlink_to(pathlib.Path(BUILD) / "bin" / name)
            done, rounds = self.result("--build", empty, "--peers", "weir,ceiling", "--scenarios", "1")
        self.assertIn("weir is left out", done.stdout)
        self.assertEqual(list(rounds), ["1 ceiling"])

    def test_wrong_names_are_refused_with_the_right_ones(self):
        done = run("--scenarios", "65")
        self.assertEqual(done.returncode, 2)
        self.assertIn("64x16", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
