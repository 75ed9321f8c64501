"""bench/overload: which rate it takes for sustained, and what it makes of the generator's figures."""

import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import types
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(os.environ["WEIR_SOURCE"])
SCRIPT = SOURCE / "bench" / "overload"
sys.path.insert(0, str(SOURCE / "bench"))
import results


def overload_load():
    loader = importlib.machinery.SourceFileLoader("overload", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("overload", loader))
    loader.exec_module(module)
    return module


overload = overload_load()


def phase(rate, seconds, right, **figures):
    return {"rate": rate, "seconds": seconds, "right": right, "late": 0, "refused": 0, "refused_bare": 0, "failed": 0, "unanswered": 0,
            "p50_us": 1000, "p99_us": 4000, "max_us": 9000, "refused_p50_us": 0, "refused_p99_us": 0, "settled_ms": 0, **figures}


class Played(overload.Case):
    """A server that does 1,000 requests a second and is disturbed at one rate; no generator, no processes."""

    def __init__(self, disturbed=()):
        options = types.SimpleNamespace(step_seconds=2, seconds=60, load_cpu=1)
        super().__init__(types.SimpleNamespace(name="weir", title="Weir, php", version=lambda: "0", members=dict), options)
        self.disturbed = disturbed

    def load(self, *arguments):
        if "--phases" not in arguments:
            return {"rate": 1000.0, "errors": 0}
        phases = [part.split(":") for part in arguments[arguments.index("--phases") + 1].split(",")]
        found = []
        for rate, seconds in ((int(rate), float(seconds)) for rate, seconds in phases):
            right = int(min(rate, 1000) * seconds)
            slow = rate > 950 or rate in self.disturbed
            found.append(phase(rate, seconds, right, refused=int(rate * seconds) - right, p99_us=80_000 if slow else 4000))
        return {"phases": found, "errors": 0}


class Sustained(unittest.TestCase):
    def test_the_highest_step_that_holds(self):
        case = Played()
        case.sustain(case.closed())
        self.assertEqual(case.sustained, 950)
        self.assertEqual(case.best, 1000)

    def test_one_disturbed_step_does_not_end_the_search(self):
        case = Played(disturbed=(700,))
        case.sustain(case.closed())
        self.assertEqual(case.sustained, 950)

    def test_a_server_that_holds_no_step_has_no_figure(self):
        case = Played(disturbed=range(0, 2000))
        with self.assertRaisesRegex(RuntimeError, "keeps up no rate"):
            case.sustain(case.closed())


class Figures(unittest.TestCase):
    def case(self, **over):
        case = Played()
        case.best = 1000.0
        case.sustained = 950
        case.phases = [phase(475, 5, 2375), phase(1900, 60, 57000, refused=57000, refused_p99_us=2500, **over),
                       phase(475, 5, 2375, settled_ms=420)]
        case.memory = (50 << 20, 60 << 20, 61 << 20)
        return case

    def test_late_answers_are_no_goodput(self):
        self.assertAlmostEqual(self.case().goodput_share(), 0.95)
        self.assertAlmostEqual(self.case(late=57000).goodput_share(), 0)

    def test_the_table_names_what_the_issue_is(self):
        row = dict(zip(overload.HEADER, self.case(failed=3).row(), strict=True))
        self.assertEqual((row["of peak"], row["refused"], row["failed"], row["settled ms"]), ("0.95", "50 %", "3", "420"))
        self.assertEqual(row["p99 of refusals ms"], "2.5")

    def test_every_figure_has_a_target(self):
        self.assertLessEqual(set(overload.measured([self.case()])), {key for key, *_ in results.TARGETS})
        self.assertAlmostEqual(overload.measured([self.case()])["overload-memory"], 61 / 60)

    def test_a_short_run_is_no_measurement_of_the_targets(self):
        case = self.case()
        case.options.seconds = 10
        self.assertEqual(overload.measured([case]), {})


class Script(unittest.TestCase):
    def test_wrong_options_are_named(self):
        for arguments, word in ((["--peers", "weir,apache"], "apache"), (["--seconds", "0"], "--seconds")):
            done = subprocess.run([SCRIPT, "--build", os.environ["WEIR_BUILD"], *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
