"""bench/scale: what it puts into databases, what it reads from /proc, and one part of it for real."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(os.environ["WEIR_SOURCE"])
SCRIPT = SOURCE / "bench" / "scale"
sys.path.insert(0, str(SOURCE / "bench"))
import machine
import peers
import results


def scale_load():
    loader = importlib.machinery.SourceFileLoader("scale", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("scale", loader))
    loader.exec_module(module)
    return module


scale = scale_load()


class Databases(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "x.db"
        self.database = sqlite3.connect(self.path)
        self.addCleanup(self.database.close)

    def test_routes_get_fresh_ids_and_a_new_generation(self):
        self.database.executescript("""
            CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER);
            INSERT INTO meta VALUES ('generation', 5), ('id', 7);
            CREATE TABLE functions (id INTEGER PRIMARY KEY, name TEXT);
            INSERT INTO functions VALUES (3, 'hello');
            CREATE TABLE routes (id INTEGER PRIMARY KEY, function_id, methods, host, pattern, shape, timeout_ms);""")
        self.database.commit()
        scale.routes_insert(self.path, "/a/%u/b", 3)
        self.assertEqual(self.database.execute("SELECT id, function_id, pattern, shape FROM routes ORDER BY id").fetchall(),
                         [(8, 3, "/a/0/b", "/a/0/b"), (9, 3, "/a/1/b", "/a/1/b"), (10, 3, "/a/2/b", "/a/2/b")])
        self.assertEqual(dict(self.database.execute("SELECT name, value FROM meta")), {"generation": 6, "id": 10})

    def test_rows_are_those_of_the_public_contract(self):
        self.database.execute("CREATE TABLE functions (k TEXT PRIMARY KEY, v TEXT NOT NULL, updated INTEGER)")
        self.database.commit()
        peers.rows_insert(self.path, "/f/%u", 2, [pathlib.Path("/x/hello.so")])
        rows = self.database.execute("SELECT k, v FROM functions ORDER BY k").fetchall()
        self.assertEqual([key for key, _ in rows], ["GET:/f/0", "GET:/f/1"])
        self.assertEqual(json.loads(rows[1][1])["name"], "f1")
        self.assertEqual(json.loads(rows[1][1])["module"], "/x/hello.so")


class Figures(unittest.TestCase):
    def test_one_path_has_its_number_written_out(self):
        self.assertEqual(scale.Case("x", None, "/a/%u").path, "/a/0")
        self.assertEqual(scale.Case("x", None, "/a/%u", 5).path, "/a/%u")

    def test_memory_that_a_process_takes_is_seen(self):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.readline(); x = b'x' * 33554432; print(1, flush=True); "
                                  "sys.stdin.readline()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        members = machine.tree([child.pid])
        before = sum(machine.memory_of(members).values())
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        grown = sum(machine.memory_of(members).values()) - before
        child.stdin.close()
        child.stdout.close()
        self.assertGreater(grown, 30 << 20)
        self.assertLess(grown, 64 << 20)

    def test_every_figure_has_a_target(self):
        keys = {key for key, *_ in results.TARGETS}
        self.assertLessEqual({*scale.COMPARISONS, "idle-memory", "idle-cpu", "swap", "visible", "start"}, keys)


class Script(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([SCRIPT, "--build", os.environ["WEIR_BUILD"], *arguments], capture_output=True, text=True,
                              timeout=100, check=False, stdin=subprocess.DEVNULL)

    def test_a_part_is_not_written_to_the_page(self):
        done = self.run_script("--what", "idle")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--dry", done.stderr)

    def test_an_unknown_part_is_named(self):
        done = self.run_script("--what", "idle,nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nonsense", done.stderr)

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "two CPUs are needed")
    def test_idling_is_measured_for_real(self):
        page = results.RESULTS.read_bytes()
        done = self.run_script("--quick", "--what", "idle", "--idle-seconds", "0.5")
        if "descriptors" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("### CPU when idle", done.stdout)
        self.assertIn("weir-ctrld", done.stdout)
        self.assertRegex(done.stderr, r"idle-cpu: [\d.e-]+\n")
        self.assertEqual(results.RESULTS.read_bytes(), page)


if __name__ == "__main__":
    unittest.main()
