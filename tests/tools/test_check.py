"""check counts what ctest did: passed, failed, skipped; a run of skips only has failed."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE", pathlib.Path(__file__).resolve().parents[2]))

PRESETS = """{"version": 6,
 "configurePresets": [{"name": "dev", "generator": "Ninja", "binaryDir": "${sourceDir}/build/dev"}],
 "buildPresets": [{"name": "dev", "configurePreset": "dev"}],
 "testPresets": [{"name": "quick", "configurePreset": "dev"}]}
"""
HEAD = "cmake_minimum_required(VERSION 3.25)\nproject(few NONE)\nenable_testing()\n"
PASSING = 'add_test(NAME good COMMAND sh -c "exit 0")\n'
FAILING = 'add_test(NAME bad COMMAND sh -c "exit 3")\n'
ABSENT = "add_test(NAME absent COMMAND /nonexistent/program)\n"
SKIPPING = ("add_test(NAME shy COMMAND sh -c \"echo 'skipped: no moon tonight'; exit 77\")\n"
            "set_tests_properties(shy PROPERTIES SKIP_RETURN_CODE 77)\n")


class Check(unittest.TestCase):
    def check(self, text, *options):
        with tempfile.TemporaryDirectory() as home:
            root = pathlib.Path(home)
            (root / "tools").mkdir()
            shutil.copy(SOURCE / "tools" / "check", root / "tools" / "check")
            (root / "tools" / "packages.sh").write_text("#!/bin/sh\n")
            (root / "tools" / "packages.sh").chmod(0o755)
            (root / "CMakePresets.json").write_text(PRESETS)
            (root / "CMakeLists.txt").write_text(HEAD + text)
            return subprocess.run([str(root / "tools" / "check"), "--quick", *options], capture_output=True, text=True)

    def last_line(self, done):
        return done.stdout.splitlines()[-1]

    def test_all_passed(self):
        done = self.check(PASSING)
        self.assertEqual((done.returncode, self.last_line(done)), (0, "1 passed, 0 failed, 0 skipped"))

    def test_a_failure_fails_and_is_named(self):
        done = self.check(PASSING + FAILING)
        self.assertEqual((done.returncode, self.last_line(done)), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("failed: dev/bad", done.stdout)

    def test_a_skip_is_counted_and_named_with_its_reason(self):
        done = self.check(PASSING + SKIPPING)
        self.assertEqual((done.returncode, self.last_line(done)), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("skipped: dev/shy - no moon tonight", done.stdout)

    def test_a_run_in_which_everything_skipped_fails(self):
        done = self.check(SKIPPING)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(self.last_line(done), "^0 passed, [1-9] failed, 1 skipped$")

    def test_a_test_program_that_is_not_there_is_a_failure(self):
        done = self.check(PASSING + ABSENT)
        self.assertEqual((done.returncode, self.last_line(done)), (1, "1 passed, 1 failed, 0 skipped"))

    def test_no_test_at_all_fails(self):
        self.assertEqual(self.check("").returncode, 1)

    def test_a_build_that_fails_is_a_failure(self):
        done = self.check(PASSING + "add_custom_target(broken ALL COMMAND false)\n")
        self.assertEqual((done.returncode, self.last_line(done)), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("build/dev/check.log", done.stdout)

    def test_bad_options_are_usage_errors(self):
        self.assertEqual(self.check(PASSING, "--fuzz-seconds", "long").returncode, 2)
        self.assertEqual(self.check(PASSING, "--slow").returncode, 2)


if __name__ == "__main__":
    unittest.main()
