"""What bench/run says about figures: nothing is measured here, the rounds are made up."""

import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(os.environ["WEIR_SOURCE"]) / "bench"))
import load_tables
import peers
import results

HELLO = [("weir", "Weir"), ("nginx", "nginx"), ("ceiling", "bare responder")]
ECHO = [("weir-echo", "Weir"), ("nginx-echo", "nginx"), ("nginx-echo-unbuffered", "nginx, buffering off")]


def made_up(cpu_us, clean=True, **others):
    return {"rate": 1e6 / cpu_us, "cpu_us": cpu_us, "p50_us": 10 * cpu_us, "p99_us": 20 * cpu_us, "p999_us": 30 * cpu_us,
            "late_p99_us": 1, "late_p999_us": 2, "waiting_max": 0, "rate_asked": 0, "clean": clean, **others}


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if not line.startswith("| --")]


class Medians(unittest.TestCase):
    def figures(self, *rounds):
        return load_tables.Figures({("64", "weir"): list(rounds)}, {}, HELLO).of("64", "weir")

    def test_disturbed_rounds_do_not_count_where_two_are_clean(self):
        figures = self.figures(made_up(5), made_up(90, clean=False), made_up(7), made_up(99, clean=False))
        self.assertEqual((figures["cpu_us"], figures["cpu_us_high"], figures["clean"]), (6, 7, "2/4"))

    def test_all_rounds_count_where_fewer_are_clean(self):
        figures = self.figures(made_up(5), made_up(90, clean=False), made_up(80, clean=False))
        self.assertEqual((figures["cpu_us"], figures["clean"]), (80, "1/3"))

    def test_what_was_not_measured_is_none(self):
        self.assertIsNone(load_tables.Figures({}, {}, HELLO).of("64", "weir"))

    def test_the_peak_is_the_best_of_the_plain_loads(self):
        figures = load_tables.Figures({("64", "nginx"): [made_up(5)], ("256", "nginx"): [made_up(4)],
                                       ("64x16", "nginx"): [made_up(1)]}, {}, HELLO)
        self.assertEqual(figures.peak("nginx"), 250_000)
        self.assertIsNone(figures.peak("weir"))


class Targets(unittest.TestCase):
    def all_figures(self, weir_cpu_us, calls=0.05, open_rate=1000):
        rounds = {}
        for scenario in load_tables.CLOSED:
            rounds[scenario.name, "weir"] = [made_up(weir_cpu_us)]
            rounds[scenario.name, "nginx"] = [made_up(6)]
            rounds[scenario.name, "ceiling"] = [made_up(4)]
        rounds["open", "nginx"] = [made_up(6, rate=1000, rate_asked=1000)]
        rounds["open", "weir"] = [made_up(weir_cpu_us, rate=open_rate, rate_asked=1000)]
        for scenario in load_tables.ECHO:
            rounds[scenario.name, "weir-echo"] = [made_up(100)]
            rounds[scenario.name, "nginx-echo"] = [made_up(400)]
            rounds[scenario.name, "nginx-echo-unbuffered"] = [made_up(250)]
        return load_tables.Figures(rounds, {("64", "weir"): (calls, 0.1, 0.1)}, HELLO + ECHO)

    def test_ratios_stand_the_way_the_targets_say(self):
        found = {key: round(value, 4) for key, (value, _) in self.all_figures(5).targets().items()}
        self.assertEqual(found, {"cpu-64": 1.2, "cpu-256": 1.2, "ceiling-64": 0.8, "ceiling-8": 0.8, "ceiling-1": 0.8,
                                 "pipelined": 1.2, "p50-1": 1.25, "open-p99": 0.8333, "open-p999": 0.8333, "calls-64": 0.05,
                                 "echo-64k": 2.5, "echo-1m": 2.5})

    def test_every_key_is_a_target_and_the_page_takes_them(self):
        text = results.targets_section({"load": results.measured_mark(self.all_figures(5).targets())})
        verdicts = {row[0]: row[3] for row in cells(text)[1:] if len(row) > 3}
        self.assertIn("reached", verdicts.values())
        self.assertIn("not reached", verdicts.values())

    def test_a_server_that_cannot_keep_up_has_no_open_loop_figures(self):
        """The few requests that an overloaded server answers would look quick."""
        found = self.all_figures(5, open_rate=900).targets()
        self.assertNotIn("open-p99", found)
        self.assertNotIn("open-p999", found)

    def test_nginx_is_judged_by_its_better_set_up(self):
        self.assertAlmostEqual(self.all_figures(5).echo_best("echo-64k"), 65536 / 250)

    def test_what_was_not_measured_gives_no_target(self):
        self.assertEqual(load_tables.Figures({("64", "weir"): [made_up(5)]}, {}, HELLO).targets(), {})


class Tables(unittest.TestCase):
    def figures(self):
        rounds = {("64", name): [made_up(cpu_us)] for (name, _), cpu_us in zip(HELLO, (5, 6, 4))}
        return load_tables.Figures(rounds, {("64", "weir"): (0.05, None, 0.25)}, HELLO)

    def test_costs_are_compared_with_nginx_and_the_ceiling(self):
        rows = {row[0]: row for row in cells(self.figures().cost_table("64"))}
        self.assertEqual(rows["Weir"][5:7], ["1.20", "0.800"])
        self.assertEqual(rows["nginx"][5:7], ["1.00", "0.667"])
        self.assertEqual(rows["bare responder"][5:7], ["1.50", "1.000"])

    def test_what_could_not_be_counted_is_a_dash(self):
        rows = {row[0]: row for row in cells(self.figures().kernel_table("64"))}
        self.assertEqual(rows["Weir"][4:], ["0.050", "-", "0.250"])
        self.assertEqual(rows["nginx"][4:], ["-", "-", "-"])

    def test_a_server_without_rounds_has_no_row(self):
        figures = load_tables.Figures({("1", "weir"): [made_up(5)]}, {}, HELLO)
        self.assertEqual([row[0] for row in cells(figures.cost_table("1"))], ["server", "Weir"])

    def test_an_overloaded_server_is_marked_and_has_no_latency(self):
        rounds = {("open", "nginx"): [made_up(6, rate=1000, rate_asked=1000)],
                  ("open", "weir"): [made_up(5, rate=700, rate_asked=1000)]}
        rows = {row[0]: row for row in cells(load_tables.Figures(rounds, {}, HELLO).open_table())}
        self.assertEqual(rows["Weir"][2], "700 (cannot)")
        self.assertEqual(rows["Weir"][4:9], ["-"] * 5)
        self.assertEqual(rows["nginx"][7:9], ["1.00", "1.00"])


class Peers(unittest.TestCase):
    def test_the_peers_of_the_echo_are_those_of_its_table(self):
        self.assertEqual(list(peers.ECHO_KINDS), [name for name, _ in ECHO])


if __name__ == "__main__":
    unittest.main(verbosity=2)
