"""bench/runtimes: what it makes of figures that are made up, and a short run with what is at hand."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(os.environ["WEIR_SOURCE"])
BUILD = pathlib.Path(os.environ["WEIR_BUILD"])
SCRIPT = SOURCE / "bench" / "runtimes"
sys.path.insert(0, str(SOURCE / "bench"))
import machine
import results
import runtime_peers


def script_load():
    loader = importlib.machinery.SourceFileLoader("runtimes", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("runtimes", loader))
    loader.exec_module(module)
    return module


runtimes = script_load()


def bench_of():
    options = types.SimpleNamespace(build=BUILD, peers=list(runtime_peers.KINDS), what=["load"], rounds=3, seconds=1, server_cpu=0, load_cpu=1)
    return runtimes.Bench(options)


def made_up(cpu_us, rate):
    return {"rate": rate, "cpu_us": cpu_us, "p50_us": 10, "p99_us": 20, "p999_us": 30, "late_p99_us": 1, "late_p999_us": 2, "waiting_max": 0,
            "rate_asked": 0, "clean": True}


class Figures(unittest.TestCase):
    def test_ratios_stand_the_way_the_targets_say(self):
        bench = bench_of()
        for name, cpu_us, rate in (("php", 10, 80_000), ("fpm", 100, 10_000), ("node", 20, 30_000), ("node-http", 40, 20_000),
                                   ("python", 8, 90_000), ("gunicorn", 200, 3_000), ("wasm", 6, 100_000), ("native", 5, 110_000)):
            bench.rounds["64", name] = [made_up(cpu_us, rate)]
        found = {key: value for key, (value, _) in bench.targets().items()}
        self.assertEqual(found, {"php-fpm": 8, "node-http": 1.5, "python-gunicorn": 30, "wasm-native": 1.2})

    def test_cold_starts_are_judged_by_their_median(self):
        bench = bench_of()
        bench.cold = {("wasm", "function"): [1, 2, 90], ("wasm", "process"): [10, 20, 30],
                      ("php", "function"): [1, 1, 1], ("php", "process"): [20, 25, 99]}
        found = bench.targets()
        self.assertEqual((found["cold-wasm"][0], found["cold-php"][0]), (2, 25))
        self.assertIn("20.0 ms", found["cold-wasm"][1])

    def test_every_figure_has_a_target(self):
        keys = {key for key, *_ in results.TARGETS}
        self.assertLessEqual({key for key, *_ in (*runtimes.RATIOS, *runtimes.COLD)} | {"memory-wasm"}, keys)

    def test_modules_that_differ_are_still_modules(self):
        weir = types.SimpleNamespace(file=lambda: BUILD / "lib" / "bench" / "hello.wasm")
        if not weir.file().exists():
            self.skipTest("hello.wasm is not built: its compiler is not installed")
        with tempfile.TemporaryDirectory() as home:
            found = [path.read_bytes() for path in runtimes.modules_write(weir, pathlib.Path(home), 3)]
        self.assertEqual(len(set(found)), 3)
        for data in found:
            self.assertTrue(data.startswith(weir.file().read_bytes()))
            self.assertEqual(data[-8:-2], b"\x05bench")

    def test_memory_in_files_of_no_name_is_seen_where_nobody_maps_it(self):
        if os.geteuid() != 0:
            self.skipTest("only root sees the files of others")
        child = subprocess.Popen([sys.executable, "-c", "import mmap, os, sys; fd = os.memfd_create('weir-test'); "
                                  "os.write(fd, b'x' * 1048576); x = mmap.mmap(fd, 1048576); print(1, flush=True); sys.stdin.read()"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        child.stdout.readline()
        held = machine.memory_with_kernel_of(machine.tree([child.pid]))
        child.stdin.close()
        child.stdout.close()
        self.assertEqual([size for (_, mapping), size in held.items() if "weir-test" in mapping], [1048576])
        self.assertGreater(next(size for (_, mapping), size in held.items() if mapping == "page tables"), 4096)


class Script(unittest.TestCase):
    def run_script(self, *arguments):
        return subprocess.run([SCRIPT, "--build", BUILD, *arguments], capture_output=True, text=True, timeout=100, check=False,
                              stdin=subprocess.DEVNULL)

    def test_a_part_is_not_written_to_the_page(self):
        for arguments in (("--what", "cold"), ("--peers", "native")):
            done = self.run_script(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn("--dry", done.stderr)

    def test_an_unknown_server_is_named(self):
        done = self.run_script("--peers", "native,nonsense")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nonsense", done.stderr)

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "two CPUs are needed")
    def test_runtimes_are_measured_for_real(self):
        page = results.RESULTS.read_bytes()
        done = self.run_script("--quick", "--peers", "native,python,node-http,js", "--functions", "2")
        if "cannot use io_uring" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        for words in ("Weir, native (C)", "### Cold start", "native: process there, function not loaded", "### Memory of an idle function"):
            self.assertIn(words, done.stdout)
        for name in ("python", "js"):
            there = (BUILD / "bin" / f"weir-worker-{name}").exists()
            self.assertEqual(f"{name} is left out" in done.stdout, not there)
        self.assertEqual(results.RESULTS.read_bytes(), page)


if __name__ == "__main__":
    unittest.main()
