"""bench/compare: one short run for real, and what it says of builds that are none."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench" / "compare"
BUILD = os.environ["WEIR_BUILD"]


def compare(*arguments):
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=120, check=False)


class Compare(unittest.TestCase):
    def test_two_builds_get_a_row_each_number_of_connections(self):
        done = compare(BUILD, BUILD, "--rounds", "2", "--seconds", "0.2", "--connections", "1", "8")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
        self.assertEqual([row[0] for row in rows[2:]], ["1", "8"])
        for row in rows[2:]:
            for cell in row[1:]:
                self.assertGreater(float(cell), 0)

    def test_a_folder_without_a_build_is_named(self):
        with tempfile.TemporaryDirectory() as nothing:
            done = compare(nothing, BUILD)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{nothing}/bin/weir-keeper is not built", done.stderr)


if __name__ == "__main__":
    unittest.main()
