"""The results page: sections are replaced one by one and never lose each other."""

import os
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench"))
import machine
import results


class Sections(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "RESULTS.md"

    def write(self, name, content):
        results.section_write(name, content, self.path)

    def test_a_section_replaces_only_itself(self):
        self.write("latency", "## L\n\nformer words")
        self.write("load", "## R\n\n| a | b |")
        self.write("latency", "## L\n\nnew")
        text = self.path.read_text()
        self.assertEqual(results.sections_read(text), {"load": "## R\n\n| a | b |", "latency": "## L\n\nnew"})
        self.assertNotIn("former words", text)

    def test_sections_keep_their_order_whoever_writes_first(self):
        self.write("latency", "L")
        self.write("load", "R")
        self.assertEqual(list(results.sections_read(self.path.read_text())), ["load", "latency"])

    def test_sections_unknown_to_this_version_are_kept(self):
        self.write("other", "O")
        self.write("load", "R")
        self.assertEqual(list(results.sections_read(self.path.read_text())), ["load", "other"])

    def test_writing_twice_changes_nothing(self):
        self.write("load", "R")
        first = self.path.read_text()
        self.write("load", "R")
        self.assertEqual(first, self.path.read_text())

    def test_nothing_else_is_left_beside_the_page(self):
        self.write("load", "R")
        self.assertEqual([entry.name for entry in self.path.parent.iterdir()], ["RESULTS.md"])

    def test_table_columns_are_aligned(self):
        lines = results.table(["server", "us"], [["a", 1], ["longer name", 12.5]]).splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1)


class Processes(unittest.TestCase):
    def test_tree_holds_children_and_their_cpu_time_grows(self):
        before = machine.tree([os.getpid()])
        self.assertIn(os.getpid(), [pid for pid, _ in before])
        first = machine.cpu_ns(before)
        sum(number * number for number in range(200000))
        self.assertGreater(machine.cpu_ns(before), first)

    def test_end_tree_ends_children_that_ignore_the_signal(self):
        import subprocess
        shell = subprocess.Popen(["sh", "-c", "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & wait; wait"],
                                 start_new_session=True)
        while len(machine.tree([shell.pid])) < 2:
            pass
        members = machine.tree([shell.pid])
        machine.end_tree([shell], patience_s=0.3)
        self.assertEqual([pid for pid, start in members if machine.alive(pid, start)
                          and members[pid, start] == "sh"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
