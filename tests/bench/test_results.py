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
        """Write without targets, as a script does that measures none."""
        results.section_write(name, content, path=self.path)

    def sections(self):
        found = results.sections_read(self.path.read_text())
        del found["targets"]
        return found

    def test_a_section_replaces_only_itself(self):
        self.write("latency", "## L\n\nformer words")
        self.write("load", "## R\n\n| a | b |")
        self.write("latency", "## L\n\nnew")
        text = self.path.read_text()
        self.assertEqual(self.sections(), {"load": "## R\n\n| a | b |", "latency": "## L\n\nnew"})
        self.assertNotIn("former words", text)

    def test_sections_keep_their_order_whoever_writes_first(self):
        self.write("latency", "L")
        self.write("load", "R")
        self.assertEqual(list(self.sections()), ["load", "latency"])

    def test_sections_unknown_to_this_version_are_kept(self):
        self.write("other", "O")
        self.write("load", "R")
        self.assertEqual(list(self.sections()), ["load", "other"])

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


class Targets(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "RESULTS.md"

    def rows(self):
        """{what: (measured, verdict, section)} of the page's table of targets."""
        text = results.sections_read(self.path.read_text())["targets"]
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
        return {line[0]: tuple(line[2:5]) for line in lines[2:]}

    def what(self, key):
        return next(what for name, what, *_ in results.TARGETS if name == key)

    def test_rows_of_all_sections_stand_in_one_table(self):
        results.section_write("load", "L", {"cpu-64": 1.31, "ceiling-64": 0.5}, self.path)
        results.section_write("scale", "S", {"routes": (1.02, "5 rounds")}, self.path)
        rows = self.rows()
        self.assertEqual(rows[self.what("cpu-64")], ("1.31", "reached", "load"))
        self.assertEqual(rows[self.what("ceiling-64")], ("0.50", "not reached", "load"))
        self.assertEqual(rows[self.what("routes")], ("1.02", "reached", "scale"))
        self.assertIn("5 rounds", self.path.read_text())

    def test_every_target_has_a_row_measured_or_not(self):
        results.section_write("load", "L", {"cpu-64": 1.31}, self.path)
        rows = self.rows()
        self.assertEqual(len(rows), len(results.TARGETS))
        self.assertEqual(rows[self.what("handoff")], ("-", "not measured", "-"))

    def test_a_section_written_again_without_a_figure_loses_it(self):
        results.section_write("load", "L", {"cpu-64": 1.31}, self.path)
        results.section_write("load", "L", {"cpu-256": 1.31}, self.path)
        self.assertEqual(self.rows()[self.what("cpu-64")][1], "not measured")

    def test_limits_count_as_their_words_say(self):
        for key, value, good in (("cpu-64", 1.20, True), ("cpu-64", 1.19, False), ("p50-1", 1.10, True),
                                 ("p50-1", 1.11, False), ("calls-64", 0.1, False), ("calls-64", 0.09, True)):
            self.assertEqual(results.reached(key, value), good, (key, value))

    def test_an_unknown_key_is_refused_and_nothing_written(self):
        with self.assertRaises(KeyError):
            results.section_write("load", "L", {"no such": 1}, self.path)
        self.assertFalse(self.path.exists())

    def test_a_remark_cannot_end_its_mark(self):
        results.section_write("load", "L", {"cpu-64": (1.3, "a --> b")}, self.path)
        results.section_write("micro", "M", {"handoff": 160}, self.path)
        self.assertEqual(self.rows()[self.what("cpu-64")][0], "1.30")
        self.assertEqual(self.rows()[self.what("handoff")], ("160", "reached", "micro"))

    def test_the_targets_come_first_and_the_notes_last(self):
        for name in ("notes", "zebra", "latency", "micro", "load"):
            results.section_write(name, name, path=self.path)
        self.assertEqual(list(results.sections_read(self.path.read_text())),
                         ["targets", "load", "micro", "latency", "zebra", "notes"])


class Processes(unittest.TestCase):
    def test_tree_holds_children_and_their_cpu_time_grows(self):
        before = machine.tree([os.getpid()])
        self.assertIn(os.getpid(), [pid for pid, _ in before])
        first = machine.cpu_ns(before)
        sum(number * number for number in range(200000))
        self.assertGreater(machine.cpu_ns(before), first)

    def test_what_others_take_is_seen_and_what_is_ones_own_is_not(self):
        import subprocess
        with subprocess.Popen([sys.executable, "-c", "import sys; print(sum(n * n for n in range(300000))); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            own = machine.tree([os.getpid()])
            before = {}
            other.stdout.readline()
            member = next(member for member in own if member[0] == other.pid)
            self.assertNotIn(member, machine.others_ns(own))
            after = {member: machine.others_ns({})[member]}
            self.assertGreater(machine.others_share(before, after, 1), 0)
            self.assertEqual(machine.others_share(after, after, 1), 0)
            other.stdin.close()

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
