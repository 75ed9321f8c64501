"""What bench/run measured, as tables and as figures for the targets; nothing here measures.

A *round* is what the generator printed, with cpu_us (server CPU per request), foreign and clean
added; rounds are kept in {(scenario name, peer name): [round]}. A *figure* is a median over rounds.
"""

import dataclasses

import results

OPEN_SHARE = 0.7     # of the peak, in the open loop


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    connections: int
    pipeline: int = 1
    body_bytes: int = 0
    peak_of: str = ""    # open loop: whose peak the rate is a share of; "" is the closed loop


CLOSED = (
    Scenario("1", "1 connection, one request at a time", 1),
    Scenario("8", "8 connections, one request at a time", 8),
    Scenario("64", "64 connections, one request at a time", 64),
    Scenario("256", "256 connections, one request at a time", 256),
    Scenario("1x16", "1 connection, 16 requests pipelined", 1, pipeline=16),
    Scenario("64x16", "64 connections, 16 requests pipelined", 64, pipeline=16),
)
PEAKS = ("64", "256")   # the scenarios of which the best rate is a server's peak
OPEN = (
    Scenario("open", "Open loop", 64, peak_of="nginx"),
    Scenario("open-own", "Open loop, own peak", 64, peak_of="weir"),
)
ECHO = (
    Scenario("echo-64k", "64 KiB", 8, body_bytes=64 << 10),
    Scenario("echo-1m", "1 MiB", 8, body_bytes=1 << 20),
)
SCENARIOS = {scenario.name: scenario for scenario in (*CLOSED, *OPEN, *ECHO)}
MEDIANS = ("rate", "cpu_us", "p50_us", "p99_us", "p999_us", "late_p99_us", "late_p999_us", "waiting_max")


def ratio(one, other, digits=2):
    return "-" if not one or not other else f"{one / other:.{digits}f}"


class Figures:
    """Medians of what was measured. `counts` is {(scenario, peer): (system calls, switches, wake-ups)
    per request}, None where it could not be counted."""

    def __init__(self, rounds, counts, peers):
        self.rounds = rounds
        self.counts = counts
        self.peers = peers   # [(name, title)] in the order of the tables

    def of(self, scenario, peer):
        """Medians over the clean rounds; over all where fewer than two were clean; None where the
        peer was not measured."""
        rounds = self.rounds.get((scenario, peer))
        if not rounds:
            return None
        clean = [result for result in rounds if result["clean"]]
        used = clean if len(clean) >= 2 else rounds
        figures = {key: results.median([result[key] for result in used]) for key in MEDIANS}
        for key in ("rate", "cpu_us"):
            figures[key + "_low"] = min(result[key] for result in used)
            figures[key + "_high"] = max(result[key] for result in used)
        figures["asked"] = results.median([result["rate_asked"] for result in used])
        figures["clean"] = f"{len(clean)}/{len(rounds)}"
        figures["calls"], figures["switches"], figures["wakes"] = self.counts.get((scenario, peer), (None, None, None))
        return figures

    def value(self, scenario, peer, key):
        figures = self.of(scenario, peer)
        return figures[key] if figures else None

    def peak(self, peer):
        """The best median rate of a server, one request at a time; None where it was not measured."""
        rates = [rate for scenario in PEAKS if (rate := self.value(scenario, peer, "rate"))]
        return max(rates) if rates else None

    def measured(self, scenario):
        return [(name, title, figures) for name, title in self.peers if (figures := self.of(scenario, name))]

    def cost_table(self, scenario):
        base = self.of(scenario, "nginx") or {}
        ceiling = self.of(scenario, "ceiling") or {}
        header = ["server", "requests/s", "vs nginx", "CPU us/request", "lowest to highest", "nginx's / own", "share of ceiling",
                  "clean rounds"]
        return results.table(header, [
            [title, f"{own['rate']:,.0f}", ratio(own["rate"], base.get("rate")), results.number(own["cpu_us"]),
             f"{results.number(own['cpu_us_low'])} to {results.number(own['cpu_us_high'])}",
             ratio(base.get("cpu_us"), own["cpu_us"]), ratio(ceiling.get("cpu_us"), own["cpu_us"], 3), own["clean"]]
            for _, title, own in self.measured(scenario)])

    def kernel_table(self, scenario):
        def count(value):
            return "-" if value is None else f"{value:.3f}"
        header = ["server", "p50 us", "p99 us", "p99.9 us", "system calls", "switches", "wake-ups"]
        return results.table(header, [
            [title, results.number(own["p50_us"]), results.number(own["p99_us"]), results.number(own["p999_us"]),
             count(own["calls"]), count(own["switches"]), count(own["wakes"])]
            for _, title, own in self.measured(scenario)])

    def open_table(self):
        base = self.of("open", "nginx") or {}
        rows = []
        for scenario in OPEN:
            for _, title, own in self.measured(scenario.name):
                kept_up = own["rate"] >= 0.99 * own["asked"]
                rows.append([title + (", 70 % of its own peak" if scenario.peak_of == "weir" else ""), f"{own['asked']:,.0f}",
                             f"{own['rate']:,.0f}" + ("" if kept_up else " (cannot)"), results.number(own["cpu_us"]),
                             *(results.number(own[key]) if kept_up else "-" for key in ("p50_us", "p99_us", "p999_us")),
                             ratio(own["p99_us"], base.get("p99_us")) if kept_up else "-",
                             ratio(own["p999_us"], base.get("p999_us")) if kept_up else "-",
                             results.number(own["late_p99_us"]), own["clean"]])
        return results.table(["server", "asked/s", "answered/s", "CPU us/request", "p50 us", "p99 us", "p99.9 us", "p99 vs nginx",
                              "p99.9 vs nginx", "generator late p99 us", "clean rounds"], rows)

    def echo_speed(self, scenario, peer):
        """MB of bodies echoed in a second of the server's CPU; None where not measured."""
        cpu_us = self.value(scenario, peer, "cpu_us")
        return SCENARIOS[scenario].body_bytes / cpu_us if cpu_us else None

    def echo_best(self, scenario):
        """The better of nginx's two set-ups; None where neither was measured."""
        speeds = [speed for name, _ in self.peers if name.startswith("nginx-echo") and (speed := self.echo_speed(scenario, name))]
        return max(speeds) if speeds else None

    def echo_table(self, scenario):
        best = self.echo_best(scenario)
        header = ["server", "requests/s", "MB/s", "CPU us/request", "MB per CPU-second", "vs nginx's better", "p50 us", "p99 us",
                  "system calls", "clean rounds"]
        return results.table(header, [
            [title, f"{own['rate']:,.0f}", f"{own['rate'] * SCENARIOS[scenario].body_bytes / 1e6:,.0f}",
             results.number(own["cpu_us"]), f"{self.echo_speed(scenario, name):,.0f}", ratio(self.echo_speed(scenario, name), best),
             results.number(own["p50_us"]), results.number(own["p99_us"]),
             "-" if own["calls"] is None else f"{own['calls']:.1f}", own["clean"]]
            for name, title, own in self.measured(scenario)])

    def targets(self):
        """{key of results.TARGETS: (value, the two figures)} for what was measured."""
        found = {}

        def compare(key, scenario, upper, lower, figure, unit):
            above, below = self.value(scenario, upper, figure), self.value(scenario, lower, figure)
            if above and below:
                found[key] = (above / below, f"{results.number(above)} / {results.number(below)} {unit}")

        compare("cpu-64", "64", "nginx", "weir", "cpu_us", "us")
        compare("cpu-256", "256", "nginx", "weir", "cpu_us", "us")
        for connections in ("64", "8", "1"):
            compare(f"ceiling-{connections}", connections, "ceiling", "weir", "cpu_us", "us")
        compare("pipelined", "64x16", "nginx", "weir", "cpu_us", "us")
        compare("p50-1", "1", "weir", "ceiling", "p50_us", "us")
        if self.kept_up("open", "weir") and self.kept_up("open", "nginx"):
            compare("open-p99", "open", "weir", "nginx", "p99_us", "us")
            compare("open-p999", "open", "weir", "nginx", "p999_us", "us")
        calls = self.value("64", "weir", "calls")
        if calls is not None:
            found["calls-64"] = (calls, "")
        for scenario in ECHO:
            own, best = self.echo_speed(scenario.name, "weir-echo"), self.echo_best(scenario.name)
            if own and best:
                found[scenario.name] = (own / best, f"{own:,.0f} / {best:,.0f} MB")
        return found

    def kept_up(self, scenario, peer):
        figures = self.of(scenario, peer)
        return bool(figures) and figures["rate"] >= 0.99 * figures["asked"]
